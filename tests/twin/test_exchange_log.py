"""What the log keeps: the last, up to limits, and no secret."""

from __future__ import annotations

import tracemalloc
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
    entry.begin(TwinAnswer(status=200))
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
    log = ExchangeLog(LogLimits(size=5000, body_size=1000))
    logged(log, b"a" * 1000)
    logged(log, b"b", b"c" * 900)
    assert [body[0] for body in bodies(log)] == ["a", "b"]
    entry = log.open(received(b"d"), next(_NUMBERS), 1.0)
    assert [body[0] for body in bodies(log)] == ["b", "d"]
    entry.send(b"e" * 1000)
    entry.send(b"e" * 1000)
    assert [body[0] for body in bodies(log)] == ["b", "d"]
    logged(log, b"f" * 1000)
    assert [body[0] for body in bodies(log)] == ["d", "f"]


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
    entry.begin(TwinAnswer(status=401, headers={"x-echo": KEY}))
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


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Authorization", KEY, "***"),
        ("Authorization", f"{KEY} and more", "***"),
        ("Authorization", f"Bearer {KEY}", "Bearer ***"),
        ("Proxy-Authorization", f"Basic {KEY}", "Basic ***"),
        ("X-Auth-Token", KEY, "***"),
        ("X-Goog-Api-Key", KEY, "***"),
        ("Cookie", KEY, "***"),
    ],
)
def test_a_key_in_a_header_is_masked_wherever_it_recurs(name: str, value: str, shown: str) -> None:
    log = ExchangeLog(LogLimits())
    words = f"my key is {KEY}".encode()
    request = TwinRequest(method="POST", path="/", headers={name: value}, body=words)
    log.open(Received(request=request, url="http://twin/"), 1, 1.0).begin(TwinAnswer(status=200))
    (entry,) = log.to_wire(())
    said: Any = entry["request"]
    assert said["headers"] == {name.lower(): shown}
    assert said["body"] == "my key is ***"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"http://twin/?api_key={KEY}&a=1", "http://twin/?api_key=***&a=1"),
        (f"http://twin/?a=1&access_token={KEY}#b", "http://twin/?a=1&access_token=***#b"),
        ("http://twin/?key=short&max_tokens=3", "http://twin/?key=***&max_tokens=3"),
        (f"http://me:{KEY}@twin/", "http://***@twin/"),
    ],
)
def test_a_key_in_a_url_is_masked_wherever_it_recurs(url: str, shown: str) -> None:
    log = ExchangeLog(LogLimits())
    request = TwinRequest(method="POST", path="/", headers={}, body=KEY.encode())
    log.open(Received(request=request, url=url), 1, 1.0)
    (entry,) = log.to_wire(())
    said: Any = entry["request"]
    assert said["url"] == shown
    assert said["body"] == ("hf_a_secret_key" if "short" in url else "***")


def test_counts_of_tokens_are_no_keys() -> None:
    log = ExchangeLog(LogLimits())
    headers = {"x-compute-tokens": "7", "x-tokenization-time": "0"}
    log.open(received(), 1, 1.0).begin(TwinAnswer(status=200, headers=headers))
    (entry,) = log.to_wire(())
    answer: Any = entry["answer"]
    assert answer["headers"] == headers


def test_headers_and_urls_count() -> None:
    log = ExchangeLog(LogLimits(size=100_000))
    for _ in range(5):
        logged(log, b"1")
        log.open(received(b"", long="l" * 30_000), next(_NUMBERS), 1.0)
    assert len(bodies(log)) == 6
    log.open(received(), next(_NUMBERS), 1.0).begin(
        TwinAnswer(status=200, headers={"x-long": "l" * 90_000})
    )
    assert len(bodies(log)) == 1


def test_of_large_bodies_no_more_stays_in_memory_than_is_shown() -> None:
    """Not the body, not the document that a fault has read out of it, not the whole answer."""
    log = ExchangeLog(LogLimits(body_size=1000))
    tracemalloc.start()
    try:
        for _ in range(20):
            asked = received(b'["' + b"a" * 500_000 + b'"]')
            assert asked.has_text("aaa")
            entry = log.open(asked, next(_NUMBERS), 1.0)
            answer = TwinAnswer(status=200, body=b"b" * 500_000)
            entry.begin(answer)
            entry.send(answer.body)
        del asked, answer
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(bodies(log)) == 20
    assert kept < 200_000
