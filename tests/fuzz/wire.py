"""Bytes on the socket: HTTP, nearly HTTP and no HTTP at all, and what must come back.

Whatever is sent, the connection ends in good time and each answer on it bears
Elasticsearch's header. What is good HTTP has as many answers as requests.
"""

from __future__ import annotations

import gzip
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.server import Server

BODIES = [
    b"",
    b"{}",
    b'{"input":["a fox","a dog"]}',
    b'{"input":"a","task_settings":{"a":[[[[1e400]]]]}}',
    b'{"input":"\xed\xa0\x80\xff\x00"}',
    b'{"input":"' + b"a" * 70_000 + b'"}',
    b"[" * 3000,
    b'{"service":"hugging_face","service_settings":{"url":"https://a.example","api_key":"k"}}',
    "---\ninput: [größer, 😀]\n".encode(),
    "\ufeff{}".encode("utf-16"),
    gzip.compress(b'{"input":"a fox"}'),
    gzip.compress(b"a" * 100_000)[:-9],
]
METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"]
TARGETS = [
    b"/",
    b"/_inference",
    b"/_inference/x",
    b"/_inference/text_embedding/x",
    b"/_inference/chat_completion/x/_stream",
    b"/_inference/x/_update/",
    b"/_esinfer/chunk?pretty&format=yaml",
    b"/_inference/%C3%A9%00%2F?timeout=1s&error_trace",
    b"/_esinfer/journal?inference_id=x#part",
    b"/" + b"a" * 4000,
]
HEADERS = [
    b"Accept: application/yaml",
    b"Accept: */*;q=0, ,",
    b"Content-Type: application/json",
    b"Content-Type: application/vnd.elasticsearch+json; compatible-with=9",
    b"Content-Type: application/x-ndjson; charset=utf-\xff",
    b"Content-Type:",
    b"Content-Encoding: gzip",
    b"Content-Encoding: gzip, br",
    b"X-Opaque-Id: a\tb\xfe",
    b"Authorization: Basic \xff",
    b"Accept-Encoding: gzip;q=x",
    b"Cookie: a=\xc3; ;",
    b"X-Long: " + b"a" * 16_000,
]
ODD = [
    *[b"GET http://a.example/_inference HTTP/1.1", b"GET * HTTP/1.1", b"CONNECT a:1 HTTP/1.1"],
    *[b"GET /%zz HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET  / HTTP/1.1", b"GET /"],
    *[b"get / HTTP/1.1", b"GET / HTTP/1.0", b"GET / HTTP/2.0", b"PRI * HTTP/2.0", b"\x16\x03\x01"],
    *[b"GET http://[::1 HTTP/1.1", b"GET //a:b/ HTTP/1.1", b"GET /?a=%ff&=&&%00 HTTP/1.1"],
    *[b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 1e3", b"Content-Length: 5, 5"],
    *[b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked"],
    *[b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, identity"],
    *[b"Expect: 100-continue", b"Expect: tea", b"Upgrade: websocket", b"Connection: upgrade"],
    *[
        b"Connection: close",
        b"Host: a",
        b"Host:",
        b"Host: [",
        b" folded",
        b": no name",
        b"no colon",
    ],
    *[b"X" * 17_000 + b": 1", b"X: " + b"a" * 17_000, b"X: \x00", b"X: a\rb", b"X\xe9: 1"],
    *[
        b"",
        b"0",
        b"5",
        b"{}",
        b"ffffffffffffffff",
        b"-1",
        b"2;a=\x00",
        b"zz",
        b"a: trailer",
        b"0x2",
    ],
]
"""Lines that have no place, or one that they seldom have."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes out, in parts; ``answers`` is how many must come, None where nobody can say."""

    parts: tuple[bytes, ...]
    answers: int | None = None


def good_requests() -> st.SearchStrategy[Sent]:
    """Requests in good form, one after the other without waiting for answers."""
    pipelined = st.lists(st.booleans().flatmap(_request), min_size=1, max_size=4)
    last = b"GET /_esinfer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    return pipelined.flatmap(
        lambda made: _split(b"".join([*made, last])).map(lambda parts: Sent(parts, len(made) + 1))
    )


def odd_bytes() -> st.SearchStrategy[Sent]:
    """Good requests after an accident, lines in any order, and noise."""
    good = st.lists(st.booleans().flatmap(_request), min_size=1, max_size=3).map(b"".join)
    lines = st.lists(st.sampled_from([*ODD, *HEADERS]), max_size=8).map(b"\r\n".join)
    request = st.tuples(_first_line(), lines, st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\n", b""]))
    odd = st.tuples(request.map(b"".join), st.sampled_from(BODIES)).map(b"".join)
    spoilt = st.one_of(good, odd, lines).flatmap(_spoil)
    return st.one_of(spoilt, odd, st.binary(max_size=200)).flatmap(_split).map(Sent)


@st.composite
def _request(draw: st.DrawFn, is_chunked: bool) -> bytes:
    first = b"%b %b HTTP/1.1" % (draw(st.sampled_from(METHODS)), draw(st.sampled_from(TARGETS)))
    headers = draw(st.lists(st.sampled_from(HEADERS), max_size=4, unique_by=lambda h: h[:9]))
    body = draw(st.sampled_from(BODIES))
    if is_chunked:
        size = draw(st.integers(1, 10_000))
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
        length = b"Transfer-Encoding: chunked"
    else:
        length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([first, b"Host: a", *headers, length, b"", body])


def _first_line() -> st.SearchStrategy[bytes]:
    method = st.one_of(st.sampled_from(METHODS), st.binary(max_size=4))
    target = st.one_of(st.sampled_from(TARGETS), st.binary(max_size=20).map(b"/".__add__))
    return st.tuples(method, target).map(lambda made: b"%b %b HTTP/1.1\r\n" % made)


@st.composite
def _spoil(draw: st.DrawFn, whole: bytes) -> bytes:
    """Cut, put in or put in another's place, up to three times."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(whole)))
        end = draw(st.one_of(st.just(start), st.integers(start, min(len(whole), start + 20))))
        other = draw(st.one_of(st.binary(max_size=4), st.sampled_from(ODD)))
        whole = whole[:start] + other + draw(st.sampled_from([whole[end:], b""]))
    return whole


@st.composite
def _split(draw: st.DrawFn, whole: bytes) -> tuple[bytes, ...]:
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=3)))
    return tuple(whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True))


# -- the exchange -------------------------------------------------------------

_ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
_ASK = b"GET /_esinfer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def fuzz(server: Server, strategy: st.SearchStrategy[Sent], count: int, number: int) -> None:
    """Send so many; AssertionError with the shortest that has a bad answer."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(sent: Sent) -> None:
        judge(exchange(server, sent), sent)
        server.check_log()

    each()


def exchange(server: Server, sent: Sent) -> bytes:
    """Send the parts and read to the end; a client that has sent good requests need not hang up."""
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for part in sent.parts:
                connection.sendall(part)
                _settle(server)
            if sent.answers is None:
                connection.shutdown(socket.SHUT_WR)
        except (ConnectionError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
        return _read(connection)


def _settle(server: Server) -> None:
    """Come back when the server has read what was sent, and show that it still answers."""
    with server.connect() as connection:
        connection.sendall(_ASK)
        answer = _read(connection)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer


def _read(connection: socket.socket) -> bytes:
    """All until the server ends the connection; TimeoutError if it does not."""
    received = bytearray()
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass  # it ended while some of what was sent had not been read
    return bytes(received)


def judge(answer: bytes, sent: Sent) -> None:
    """AssertionError if the answers cannot be those to what was sent."""
    answers: Sequence[re.Match[bytes]] = list(_ANSWER.finditer(answer))
    assert not answer or (answers and answers[0].start() == 0), answer
    final = [each for each in answers if each[1] != b"100"]
    for each in final:
        assert each[1] < b"500" or each[1] == b"501", answer
        assert b"x-elastic-product: elasticsearch\r\n" in each[2].lower(), answer
    if sent.answers is not None:
        assert len(final) == sent.answers, (len(final), answer)
