"""Time values and byte sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.units import NEGATIVE, NO_UNIT, format_time, parse_size, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("0s", 0.0),
        ("0", 0.0),
        (" 1m ", 60.0),
        ("1.5m", 90.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("200ms", 0.2),
        ("5micros", 5e-6),
        ("7nanos", 7e-9),
        ("10S", 10.0),
        ("10MS", 0.01),
        ("10 s", 10.0),
    ],
)
def test_time_value_is_seconds(text: str, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("text", ["", "5", "abc", "s", "1w", "1.s", "+1s", "1s2", "1_0s", "0.0"])
def test_time_value_needs_a_unit(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{NO_UNIT}$"):
        parse_time(text)


@pytest.mark.parametrize("text", ["-5s", "-1", "-0.5ms"])
def test_time_value_may_not_be_negative(text: str) -> None:
    problem = NO_UNIT if text == "-1" else NEGATIVE
    with pytest.raises(ValueError, match=f"^{problem}$"):
        parse_time(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (30, "30s"),
        (60, "1m"),
        (90, "1.5m"),
        (61, "1m"),
        (66, "1.1m"),
        (3600, "1h"),
        (86400, "1d"),
        (129600, "1.5d"),
        (0.2, "200ms"),
        (0.001, "1ms"),
        (0.0015, "1.5ms"),
        (5e-6, "5micros"),
        (7e-9, "7nanos"),
        (1.25, "1.2s"),
    ],
)
def test_duration_is_printed_in_its_largest_unit(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


@given(st.integers(1, 999), st.sampled_from(["nanos", "micros", "ms"]))
def test_printed_duration_is_the_one_that_was_read(number: int, unit: str) -> None:
    assert format_time(parse_time(f"{number}{unit}")) == f"{number}{unit}"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0b", 0),
        ("1b", 1),
        ("1kb", 1024),
        ("50mb", 52428800),
        ("1.5kb", 1536),
        ("2GB", 2147483648),
        (" 10 mb ", 10485760),
    ],
)
def test_size_is_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "50", "mb", "-1b", "1xb", "1e3b"])
def test_text_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a byte size such as \[50mb\]$"):
        parse_size(text)
