"""When a connection has taken too little of its answer. The loop's clock is the test's."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from esinfer.unread import CountedTransport, UnreadAnswers


class Wire:
    """A transport with so many bytes in its buffer, each of which was written to it."""

    def __init__(self) -> None:
        self.waiting = 0
        self.is_broken_off = False
        self.counted = CountedTransport(cast(asyncio.Transport, self))

    def send(self, size: int) -> None:
        self.counted.write(bytes(size))

    def write(self, data: bytes) -> None:
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.is_broken_off = True


class Looks:
    """Stands in for the loop: looks are taken when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, object]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, look: object) -> None:
        self.due.append((self.now + delay, look))

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.due and self.due[0][0] <= end:
            self.now, look = self.due.pop(0)
            assert callable(look)
            look()
        self.now = end


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    loop = Looks()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


def opened(unread: UnreadAnswers) -> Wire:
    wire = Wire()
    unread.add(wire, wire.counted)
    return wire


def test_who_takes_nothing_is_broken_off(looks: Looks) -> None:
    wire = opened(UnreadAnswers(4.0))
    looks.pass_time(100.0)
    wire.send(10)
    looks.pass_time(4.9)
    assert not wire.is_broken_off
    looks.pass_time(0.1)
    assert wire.is_broken_off


def test_who_takes_a_little_now_and_then_is_not(looks: Looks) -> None:
    wire = opened(UnreadAnswers(4.0))
    wire.send(100)
    for _ in range(30):
        looks.pass_time(4.0)
        wire.waiting -= 1
    assert not wire.is_broken_off


def test_who_takes_what_is_at_once_replaced_is_not(looks: Looks) -> None:
    wire = opened(UnreadAnswers(4.0))
    wire.send(100)
    for _ in range(30):
        looks.pass_time(4.0)
        wire.waiting -= 10
        wire.send(10)
    assert not wire.is_broken_off


def test_more_that_waits_is_no_progress(looks: Looks) -> None:
    wire = opened(UnreadAnswers(4.0))
    for _ in range(6):
        wire.send(1)
        looks.pass_time(1.0)
    assert wire.is_broken_off


def test_no_time_is_no_limit_and_nobody_looks(looks: Looks) -> None:
    wire = opened(UnreadAnswers(0.0))
    wire.send(10)
    looks.pass_time(1000.0)
    assert not looks.due
    assert not wire.is_broken_off


def test_nobody_looks_where_no_connection_is_open(looks: Looks) -> None:
    unread = UnreadAnswers(4.0)
    for _ in range(2):
        wires = opened(unread), opened(unread)
        assert len(looks.due) == 1
        for wire in wires:
            unread.remove(wire)
        looks.pass_time(1.0)
        assert not looks.due
