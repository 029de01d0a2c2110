"""The event parser: however the bytes are cut, the events are the same."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.errors import ConnectionClosed, ResponseTooLarge
from esinfer.sse import Event, EventParser

STREAM = (
    "\ufeffdata: one\n\n"
    ": a comment\n"
    "event: error\r\ndata: twö\r\ndata:three\r\n\r\n"
    "id: 7\nretry: 10\ndata\n\n"
    "event: nothing\n\n"
    "id: last"
).encode()
EVENTS = [Event("message", b"one"), Event("error", "twö\nthree".encode()), Event("message", b"")]


def parse(*chunks: bytes, limit: int = 1000) -> list[Event]:
    parser = EventParser(limit)
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return [*events, *parser.end()]


def test_a_whole_stream_is_parsed() -> None:
    assert parse(STREAM) == EVENTS


def test_bytes_one_at_a_time_give_the_same() -> None:
    assert parse(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_cuts_do_not_matter(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert parse(*(STREAM[a:b] for a, b in pairwise(edges))) == EVENTS


def test_an_event_that_lacks_only_its_blank_line_counts() -> None:
    assert parse(b"data: whole\n") == [Event("message", b"whole")]


@pytest.mark.parametrize("cut", [b"data: ha", b"data:", b"data: one\n\ndata: tw"])
def test_a_stream_that_ends_within_a_data_line_was_cut(cut: bytes) -> None:
    with pytest.raises(ConnectionClosed, match=r"^The stream ended within an event$"):
        parse(cut)


@pytest.mark.parametrize("last", [b"data: [DONE]", b"data:[done]"])
def test_the_end_of_a_stream_counts_without_its_newline(last: bytes) -> None:
    assert [event.data.upper() for event in parse(last)] == [b"[DONE]"]


@pytest.mark.parametrize(
    ("body", "stray"),
    [
        (b"<html>", b"<html>"),
        (b'{"error":"x"}\n', b'{"error":"x"}'),
        (b": comment\nnonsense\n\n", b"nonsense"),
    ],
)
def test_bytes_without_any_event_come_as_one(body: bytes, stray: bytes) -> None:
    assert parse(body) == [Event("message", stray)]


@pytest.mark.parametrize("body", [b"", b": keep-alive\n\n", b"id: 7\n\n", b"retry: 1"])
def test_a_stream_of_no_data_has_no_event(body: bytes) -> None:
    assert parse(body) == []


def test_a_lone_carriage_return_ends_a_line() -> None:
    assert parse(b"data: a\r\rdata: b\r\r\n") == [Event("message", b"a"), Event("message", b"b")]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_an_event_is_there_with_the_last_byte_that_it_needs(newline: bytes) -> None:
    parser = EventParser(1000)
    for text in (b"a", b"b"):
        event = b"data: " + text + newline * 2
        early = [list(parser.feed(event[i : i + 1])) for i in range(len(event) - 1)]
        last = list(parser.feed(event[-1:]))
        # A carriage return is an end already; a newline behind it adds nothing.
        found = early[-1] if newline == b"\r\n" else last
        assert found == [Event("message", text)]
        assert [event for events in [*early, last] for event in events] == found


def test_no_bytes_at_all_change_nothing() -> None:
    assert parse(b"data: a\r", b"", b"\n", b"\n", b"") == [Event("message", b"a")]


def test_a_line_that_never_ends_is_refused() -> None:
    parser = EventParser(10)
    assert [list(parser.feed(b"data")) for _ in range(2)] == [[], []]
    with pytest.raises(ResponseTooLarge, match=r"Maximum limit of \[10\] bytes reached"):
        list(parser.feed(b"data"))


def test_the_limit_is_for_an_event_not_for_the_stream() -> None:
    assert len(parse(*[b"data: 1\n\n"] * 100, limit=20)) == 100
