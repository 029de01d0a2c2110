"""What the log keeps: the last, up to limits, and no secret."""

from __future__ import annotations

from typing import Any

import pytest

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.exchange_log import ExchangeLog, LogLimits
from esinfer.twin.received import Received

KEY = "hf_a_secret_key"


def received(body: bytes = b"{}", **headers: str) -> Received:
    request = TwinRequest(method="POST", path="/", headers=headers, body=body)
    return Received(request=request, url=f"https://me:pass@example.com/?key={KEY}")


def logged(log: ExchangeLog, body: bytes, answer: bytes = b"") -> None:
    entry = log.open(received(body), next(_NUMBERS), 1.0)
    entry.answer = TwinAnswer(status=200)
    entry.send(answer)


_NUMBERS = iter(range(1, 10_000))


def bodies(log: ExchangeLog) -> list[Any]:
    return [entry["request"]["body"] for entry in log.to_wire(())]  # type: ignore[index]


def test_the_last_entries_are_kept() -> None:
    log = ExchangeLog(LogLimits(entries=2))
    for body in (b"1", b"2", b"3"):
        logged(log, body)
    assert bodies(log) == ["2", "3"]
    log.clear()
    assert bodies(log) == []


def test_the_bytes_of_all_are_bounded() -> None:
    log = ExchangeLog(LogLimits(size=4000, body_size=1000))
    logged(log, b"a" * 1000)
    logged(log, b"b", b"c" * 900)
    assert [body[0] for body in bodies(log)] == ["a", "b"]
    entry = log.open(received(b"d"), next(_NUMBERS), 1.0)
    assert [body[0] for body in bodies(log)] == ["b", "d"]
    entry.send(b"e" * 1000)
    entry.send(b"e" * 1000)
    assert [body[0] for body in bodies(log)] == ["b", "d"]
    logged(log, b"f" * 1000)
    assert [body[0] for body in bodies(log)] == ["f"]


def test_an_entry_that_is_forgotten_counts_no_more() -> None:
    log = ExchangeLog(LogLimits(size=5000))
    entry = log.open(received(), next(_NUMBERS), 1.0)
    log.clear()
    entry.send(b"x" * 4900)
    logged(log, b"1")
    logged(log, b"2")
    assert bodies(log) == ["1", "2"]


def test_no_entries_are_no_log() -> None:
    log = ExchangeLog(LogLimits(entries=0))
    logged(log, b"1")
    assert bodies(log) == []


def test_a_long_body_is_cut_and_says_so() -> None:
    log = ExchangeLog(LogLimits(body_size=4))
    logged(log, b"abcdef", b"\xff")
    (entry,) = log.to_wire(())
    request: Any = entry["request"]
    answer: Any = entry["answer"]
    assert (request["body"], request["body_size"], request["truncated"]) == ("abcd", 6, True)
    assert (answer["body"], answer["body_size"], answer["truncated"]) == ("\\xff", 1, False)


@pytest.mark.parametrize("limit", range(20, 60))
def test_a_key_is_nowhere_not_even_its_beginning(limit: int) -> None:
    log = ExchangeLog(LogLimits(body_size=limit))
    headers = {
        "Authorization": f"Bearer {KEY}",
        "X-Api-Key": "k",
        "Cookie": "c=1",
        "X-Note": f"mine is {KEY}",
    }
    entry = log.open(received(b"x" * 15 + KEY.encode() * 3, **headers), 1, 1.0)
    entry.answer = TwinAnswer(status=401, headers={"x-echo": KEY})
    for byte in (b"the token %s is wrong" % KEY.encode()).split():
        entry.send(byte)
    shown = str(list(log.to_wire(())))
    assert KEY not in shown
    assert "hf_" not in shown
    assert "pass" not in shown


def test_the_upstreams_own_key_is_masked_too() -> None:
    log = ExchangeLog(LogLimits())
    logged(log, b"another_secret")
    assert "another_secret" not in str(log.to_wire(["another_secret"]))
