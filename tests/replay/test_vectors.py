"""Vectors come back as the numbers they were, to the last bit."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.replay.vectors import dump, pack, unpack

singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
doubles = st.floats(allow_nan=False, allow_infinity=False)


def shortest(number: float) -> float:
    """A float32 as text-embeddings-inference prints it."""
    (single,) = struct.unpack("f", struct.pack("f", number))
    return next(
        value
        for digits in range(1, 18)
        if struct.pack("f", value := float(f"{single:.{digits}g}")) == struct.pack("f", single)
    )


def again(row: list[float]) -> str:
    return dump(unpack(pack(row))).decode()


@given(st.lists(singles))
def test_what_is_printed_as_float32_takes_four_bytes(row: list[float]) -> None:
    printed = [shortest(value) for value in row if abs(value) < 3e38]
    assert [*pack(printed)] == ["float32"]
    assert list(map(repr, json.loads(again(printed)))) == list(map(repr, printed))


@given(st.lists(singles))
def test_what_is_printed_as_the_double_of_a_float32_takes_four_bytes(row: list[float]) -> None:
    assert {*pack(row)} <= {"float32", "float32_as_float64"}
    assert list(map(repr, json.loads(again(row)))) == list(map(repr, row))


@given(st.lists(doubles | st.integers(-(2**31), 2**31)))
def test_any_numbers_come_back(row: list[float]) -> None:
    assert list(map(repr, json.loads(again(row)))) == list(map(repr, row))


@pytest.mark.parametrize(
    ("row", "form"),
    [
        ([0.1, 0.5], "float32"),
        ([0.10000000149011612], "float32_as_float64"),
        ([0.1, 0.10000000149011612], "float64"),
        ([1e300], "float64"),
        ([], "float32"),
    ],
)
def test_the_form_is_the_smallest_that_is_exact(row: list[float], form: str) -> None:
    assert [*pack(row)] == [form]


def test_integers_stay_integers() -> None:
    assert pack([1, 0.5]) == [1, 0.5]
