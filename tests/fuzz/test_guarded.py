"""At ``serve`` with credentials and a bound on time: the short form, the same at every run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz import wire
from tests.fuzz.guarded import judge_guarded, odd_bytes, serve_guarded
from tests.fuzz.server import Server
from tests.fuzz.wire import Sent, exchange


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve_guarded() as served:
        yield served
        served.check_rest()


def test_odd_bytes_without_credentials_are_refused(server: Server) -> None:
    wire.fuzz(server, odd_bytes(), count=150, number=1, judge=judge_guarded)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /_inference HTTP/1.1\r\nHost: a\r\n\r\n", b"401"),
        (b"GET /_inference HTTP/1.1\r\nHost:", b"408"),
        (b"GET /_inference HTTP/1.1\r\nHost: a\r\nExpect: \xff\r\n\r\n", b"400"),
    ],
)
def test_client_that_never_hangs_up_is_refused(server: Server, sent: bytes, status: bytes) -> None:
    waiting = Sent((sent,), waits=True)
    answer = exchange(server, waiting)
    assert answer.startswith((b"HTTP/1.1 " + status, b"HTTP/1.0 " + status))
    judge_guarded(answer, waiting)


_HEAD = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n"
_PRODUCT = b"X-elastic-product: Elasticsearch\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        _HEAD + b'\r\n{"error":"no product"}',
        _HEAD + _PRODUCT + b'\r\n{"no":"error"}',
        _HEAD.replace(b"401", b"200") + _PRODUCT + b"\r\n",
    ],
)
def test_answer_of_another_form_is_seen(answer: bytes) -> None:
    with pytest.raises((AssertionError, KeyError)):
        judge_guarded(answer, Sent(()))
