"""The short form of ``make fuzz``: the same at every run, in a few seconds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing

import pytest
from schemathesis import GenerationMode

from tests.fuzz import wire
from tests.fuzz.requests import Fuzzer
from tests.fuzz.server import Server, serve
from tests.fuzz.wire import Sent, exchange, judge_elasticsearch


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve() as served:
        yield served
        served.check_rest()


@pytest.fixture(scope="module")
def fuzzer(server: Server) -> Iterator[Fuzzer]:
    with closing(Fuzzer(server)) as made:
        yield made


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_requests_with_bodies_are_answered_as_documented(
    fuzzer: Fuzzer, mode: GenerationMode
) -> None:
    fuzzed = 0
    for operation in fuzzer.operations():
        if operation.takes_body:
            fuzzer.fuzz(operation, mode, count=4, number=1)
            fuzzed += 1
    assert fuzzed > 10


def test_operations_in_any_order_do_no_harm(fuzzer: Fuzzer) -> None:
    fuzzer.mix(count=60, number=1)


def test_good_http_has_as_many_answers_as_requests(server: Server) -> None:
    wire.fuzz(server, wire.good_requests(), count=60, number=1)


def test_odd_bytes_do_no_harm(server: Server) -> None:
    wire.fuzz(server, wire.odd_bytes(), count=200, number=1)


# -- what the fuzzer would see ------------------------------------------------

_GOOD = b"HTTP/1.1 200 OK\r\nX-elastic-product: Elasticsearch\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "answers"),
    [
        (b"no HTTP", None),
        (b"\r\n" + _GOOD, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None),
        (_GOOD.replace(b"200 OK", b"500 Internal Server Error"), None),
        (_GOOD, 2),
        (b"", 1),
    ],
)
def test_bad_answer_is_seen(answer: bytes, answers: int | None) -> None:
    with pytest.raises(AssertionError):
        judge_elasticsearch(answer, Sent((), answers))


def test_answers_of_an_exchange_are_counted(server: Server) -> None:
    request = b"GET /_esinfer HTTP/1.1\r\nHost: a\r\n"
    sent = Sent((request + b"\r\n" + request, b"Connection: close\r\n\r\n"), 2)
    judge_elasticsearch(exchange(server, sent), sent)


def test_warning_in_the_log_is_seen(server: Server) -> None:
    logging.getLogger("esinfer.any").warning("a defect")
    with pytest.raises(AssertionError, match="a defect"):
        server.check_log()


def test_connection_that_stays_is_seen(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.server.PATIENCE", 0.1)
    with pytest.raises(AssertionError, match="are left"), server.connect():
        server.check_rest()
