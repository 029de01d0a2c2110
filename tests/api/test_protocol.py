"""Bytes on the socket that are no good HTTP (rest.md sections 7.7 and 9)."""

from __future__ import annotations

import asyncio
import logging

import orjson
import pytest

from tests.api.sockets import exchange, head, settle, split
from tests.conftest import Client, StartServer, envelope


def malformed(problem: str) -> dict[str, object]:
    return envelope("illegal_argument_exception", f"invalid HTTP request: {problem}")


GARBAGE = {
    "words": b"hello there\r\n\r\n",
    "no words": b"\x00\x01\x02\x03\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "a wrong version": b"GET / HTTP/7.0\r\nHost: a\r\n\r\n",
    "no version": b"GET /_inference\r\nHost: a\r\n\r\n",
    "version 0.9": b"GET /_inference HTTP/0.9\r\nHost: a\r\n\r\n",
    "version 2": b"GET /_inference HTTP/2.0\r\nHost: a\r\n\r\n",
    "an unreadable length": head("POST", "/_inference/x", "Content-Length: abc") + b"{}",
    "a negative length": head("POST", "/_inference/x", "Content-Length: -1") + b"{}",
    "two lengths": head("POST", "/_inference/x", "Content-Length: 2", "Content-Length: 3") + b"{}",
    "a length and chunks": head(
        "POST", "/_inference/x", "Content-Length: 2", "Transfer-Encoding: chunked"
    )
    + b"{}",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
    "a blank in a header's name": b"GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n",
    "a path that is not ASCII": b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "an expectation that is not ASCII": b"GET /nowhere HTTP/1.1\r\nHost: a\r\nExpect: \xff\r\n\r\n",
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
async def test_what_is_no_http_is_answered_in_json_and_the_connection_closed(
    client: Client, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer, closed = await exchange(client.url, sent)
    status, headers, body = split(answer)
    document = orjson.loads(body)
    reason = document["error"]["reason"]
    assert reason.startswith("invalid HTTP request: ")
    assert document == envelope("illegal_argument_exception", reason)
    assert status.endswith(b" 400 Bad Request")
    assert b"x-elastic-product: elasticsearch" in headers
    assert b"content-type: application/json" in headers
    assert not [header for header in headers if header.startswith(b"server:")]
    assert closed
    assert [r for r in caplog.records if r.levelno > logging.INFO] == []


@pytest.mark.parametrize(
    ("sent", "kind", "reason"),
    [
        (
            b"GET /" + b"a" * 4100 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            "too_long_http_line_exception",
            "An HTTP line is larger than 4096 bytes.",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 17000 + b"\r\n\r\n",
            "too_long_http_header_exception",
            "HTTP header is larger than 16384 bytes.",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a" * 17000 + b": x\r\n\r\n",
            "too_long_http_header_exception",
            "HTTP header is larger than 16384 bytes.",
        ),
    ],
    ids=["line", "header value", "header name"],
)
async def test_what_is_too_long_is_named(
    client: Client, sent: bytes, kind: str, reason: str
) -> None:
    answer, closed = await exchange(client.url, sent)
    status, headers, body = split(answer)
    assert status.endswith(b" 400 Bad Request")
    assert orjson.loads(body) == envelope(kind, reason)
    assert b"x-elastic-product: elasticsearch" in headers
    assert closed


async def test_long_lines_and_headers_below_the_limits_are_read(client: Client) -> None:
    sent = head("GET", "/_inference/" + "a" * 4000, "X: " + "a" * 16000)
    answer, _ = await exchange(client.url, sent)
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")


CHUNKED = head("POST", "/_inference/x", "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    "parts",
    [
        (CHUNKED, b"zz\r\n{}\r\n"),
        (CHUNKED + b"1\r\n{\r\n", b"zz\r\n{}\r\n"),
        (CHUNKED + b"1\r\n", b"{{\r\n"),
    ],
)
async def test_broken_chunks_are_400_and_the_connection_closed(
    client: Client, parts: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    answer, closed = await exchange(client.url, *parts)
    status, headers, body = split(answer)
    assert (status, orjson.loads(body)) == (
        b"HTTP/1.1 400 Bad Request",
        malformed("the body breaks off"),
    )
    assert b"x-elastic-product: elasticsearch" in headers
    assert closed
    assert [r for r in caplog.records if r.levelno > logging.INFO] == []


KEY = b"hunter2"
_PUT = head("PUT", "/_inference/x").removesuffix(b"\r\n")
QUOTED = {
    "the rest of a body": _PUT + b'Content-Length: 5\r\n\r\n{"a":"' + KEY + b'"}',
    "a header with a control character": _PUT + b"Authorization: ApiKey " + KEY + b"\x00\r\n\r\n",
    "a header that is too long": _PUT + b"Authorization: ApiKey " + KEY * 3000 + b"\r\n\r\n",
    "a header without a colon": _PUT + KEY + b"\r\n\r\n",
    "a path": b"GET /" + KEY + b"\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "an address": b"GET http://[" + KEY + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method": KEY + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a chunk": _PUT + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{" + KEY + b"\r\n",
    "a trailer": _PUT + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + KEY + b"\r\n\r\n",
}


@pytest.mark.parametrize("sent", QUOTED.values(), ids=QUOTED.keys())
async def test_what_was_sent_is_not_in_the_log(
    client: Client, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await exchange(client.url, sent)
    assert caplog.records
    assert KEY.decode() not in caplog.text


async def test_bytes_after_a_good_request_do_not_spoil_it(client: Client) -> None:
    good = b"GET /_inference HTTP/1.1\r\nHost: a\r\n\r\n"
    answer, closed = await exchange(client.url, good, b"\x00garbage\r\n\r\n")
    first, _, rest = answer.partition(b'{"endpoints":[]}')
    assert first.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b" 400 Bad Request\r\n" in rest
    assert closed


@pytest.mark.parametrize("sent", [b"", b'{"input"'])
async def test_a_client_that_leaves_while_it_sends_is_no_error(
    client: Client, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    host, _, port = client.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(head("POST", "/_inference/x", "Content-Length: 100") + sent)
    await settle(client.url)
    writer.transport.abort()
    await settle(client.url)
    assert [r for r in caplog.records if r.levelno > logging.INFO] == []


async def test_a_header_that_is_no_utf8_is_quoted_with_question_marks(client: Client) -> None:
    sent = b"POST /_inference/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n"
    answer, _ = await exchange(client.url, sent + b"Content-Type: text/\xffplain\r\n\r\n{}")
    cause = {"type": "illegal_argument_exception", "reason": "invalid media-type [text/?plain]"}
    reason = "Invalid media-type value on headers [Content-Type]"
    expected = envelope("media_type_header_exception", reason, caused_by=cause)
    assert orjson.loads(split(answer)[2]) == expected


async def test_http_1_0_is_answered(client: Client) -> None:
    answer, closed = await exchange(client.url, b"GET /_inference HTTP/1.0\r\n\r\n")
    status, headers, body = split(answer)
    assert (status, body) == (b"HTTP/1.0 200 OK", b'{"endpoints":[]}')
    assert b"x-elastic-product: elasticsearch" in headers
    assert closed


async def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    one = b"GET /_inference/a HTTP/1.1\r\nHost: a\r\n\r\n"
    answer, _ = await exchange(client.url, one + head("GET", "/_inference/b"))
    assert answer.index(b"not found [a]") < answer.index(b"not found [b]")


async def test_a_body_that_is_too_long_is_not_asked_for(start: StartServer) -> None:
    client = await start("server.max_content_length=100b")
    sent = head("POST", "/_inference/x", "Content-Length: 101", "Expect: 100-continue")
    answer, _ = await exchange(client.url, sent, b"a" * 101)
    status, headers, body = split(answer)
    assert (status, body) == (b"HTTP/1.1 413 Request Entity Too Large", b"")
    assert b"x-elastic-product: elasticsearch" in headers


async def test_a_host_that_is_no_utf8_is_quoted_with_question_marks(client: Client) -> None:
    sent = b"GET /_nodes/http HTTP/1.1\r\nHost: a\xff:1\r\nConnection: close\r\n\r\n"
    answer, _ = await exchange(client.url, sent)
    status, _, body = split(answer)
    (node,) = orjson.loads(body)["nodes"].values()
    assert (status, node["host"]) == (b"HTTP/1.1 200 OK", "a?")


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("DELETE", "/_inference/x")])
@pytest.mark.parametrize("rest", [b"zz\r\n{}\r\n", b"1\r\n{{\r\n"])
async def test_an_unread_body_that_breaks_off_is_400_in_a_mock_too(
    mock: Client, method: str, path: str, rest: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The mock's journal takes bodies that no handler has read; of this one nothing can be had."""
    sent = head(method, path, "Transfer-Encoding: chunked")
    answer, closed = await exchange(mock.url, sent, rest)
    status, _, body = split(answer)
    assert (status, orjson.loads(body)) == (
        b"HTTP/1.1 400 Bad Request",
        malformed("the body breaks off"),
    )
    assert closed
    assert [r for r in caplog.records if r.levelno > logging.INFO] == []
