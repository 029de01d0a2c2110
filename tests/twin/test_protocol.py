"""The twin's connections: bytes that are no HTTP request, and bodies as they come."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator

import orjson
import pytest

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.app import make_twin_app
from esinfer.twin.protocol import make_runner
from esinfer.twin.tei import Twin
from tests.api.sockets import exchange, head, listening, settle, split

KEY = b"hunter2"
AUTHORIZED = b"POST /embed HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + KEY


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with listening(make_runner(make_twin_app(Twin()), access_log=None)) as url:
        yield url


MALFORMED = {
    "words": KEY + b" there\r\n\r\n",
    "a method": b"G/" + KEY + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a wrong version": b"GET /" + KEY + b" HTTP/7.0\r\nHost: a\r\n\r\n",
    "a control character in a header": AUTHORIZED + b"\x00\r\n\r\n",
    "a header without a colon": AUTHORIZED + b"\r\n" + KEY + b"\r\n\r\n",
    "an unreadable length": AUTHORIZED + b"\r\nContent-Length: " + KEY + b"\r\n\r\n",
    "a path that is not ASCII": b"GET /" + KEY + b"\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "an expectation that is not ASCII": AUTHORIZED + b"\r\nExpect: \xff\r\n\r\n",
    "chunks": AUTHORIZED + b"\r\nTransfer-Encoding: chunked\r\n\r\nzz" + KEY + b"\r\n",
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_no_http_is_an_empty_400_and_nowhere_quoted(
    url: str, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer, closed = await exchange(url, sent)
    status, headers, body = split(answer)
    assert status == b"HTTP/1.0 400 Bad Request"
    assert sorted(header.partition(b":")[0] for header in headers) == [b"content-length", b"date"]
    assert body == b""
    assert closed
    assert KEY.decode() not in caplog.text
    assert [r for r in caplog.records if r.levelno > logging.DEBUG] == []


@pytest.mark.parametrize("host", [b"a:b", b"\xff", b"\xc3\xa9" * 64, b"["])
async def test_host_that_can_be_none_is_nobodys_concern(url: str, host: bytes) -> None:
    close = b"\r\nConnection: close\r\n\r\n"
    answer, _ = await exchange(url, b"GET /health HTTP/1.1\r\nHost: " + host + close)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    log, _ = await exchange(url, head("GET", "/__twin/upstreams/default/log"))
    _, _, body = split(log)
    assert orjson.loads(body)["exchanges"][0]["request"]["url"].endswith("/health")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.0 414 Request-URI Too Long"),
        (
            AUTHORIZED + b"a" * 66_000 + b"\r\n\r\n",
            b"HTTP/1.0 431 Request Header Fields Too Large",
        ),
    ],
    ids=["path", "header"],
)
async def test_what_is_too_long_has_a_status_of_its_own(
    url: str, sent: bytes, expected: bytes
) -> None:
    answer, closed = await exchange(url, sent)
    status, _, body = split(answer)
    assert (status.lower(), body, closed) == (expected.lower(), b"", True)


async def test_long_paths_and_headers_below_the_limits_are_read(url: str) -> None:
    answer, _ = await exchange(url, head("GET", "/" + "a" * 65_000, "X: " + "a" * 65_000))
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")


@pytest.mark.parametrize(
    "body", [b'{"inputs": "a"}', gzip.compress(b'{"inputs": "a"}')], ids=["plain", "packed"]
)
async def test_a_body_is_read_as_it_was_sent_whatever_its_encoding(url: str, body: bytes) -> None:
    length = f"Content-Length: {len(body)}"
    sent = head("POST", "/embed", "Content-Encoding: gzip", length) + body
    expected = Twin().answer(
        TwinRequest(
            method="POST", path="/embed", headers={"content-type": "application/json"}, body=body
        )
    )
    answer, _ = await exchange(url, sent)
    status, _, answered = split(answer)
    assert int(status.split()[1]) == expected.status
    assert answered == expected.body


CHUNKED = head("POST", "/embed", "Transfer-Encoding: chunked")


async def test_a_body_that_breaks_off_is_400_as_in_axum(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer, closed = await exchange(url, CHUNKED, b"1\r\n{\r\n", b"zz" + KEY + b"\r\n")
    status, headers, body = split(answer)
    assert status == b"HTTP/1.1 400 Bad Request"
    assert b"content-type: text/plain; charset=utf-8" in headers
    assert body == (b"Failed to buffer the request body: error reading a body from connection")
    assert closed
    assert caplog.records == []


@pytest.mark.parametrize("sent", [b"", b'{"inputs"'])
async def test_a_client_that_leaves_while_it_sends_is_no_error(
    url: str, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(head("POST", "/embed", "Content-Length: 100") + sent)
    await settle(url)
    writer.transport.abort()
    await settle(url)
    assert caplog.records == []


async def test_a_defect_is_an_empty_500_and_its_words_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Twin):
        def answer(self, request: TwinRequest) -> TwinAnswer:
            raise ValueError(request.headers["Authorization"])

    sent = AUTHORIZED + b"\r\nConnection: close\r\n\r\n"
    async with listening(make_runner(make_twin_app(Broken()), access_log=None)) as url:
        status, _, body = split((await exchange(url, sent))[0])
    assert (status, body) == (b"HTTP/1.1 500 Internal Server Error", b"")
    assert "unhandled ValueError in a request" in caplog.text
    assert KEY.decode() not in caplog.text
