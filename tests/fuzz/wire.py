"""Bytes on the socket: HTTP, nearly HTTP and no HTTP at all, and what must come back.

Whatever is sent, the connection ends in good time and each answer on it bears
Elasticsearch's header. What is good HTTP has as many answers as requests.
"""

from __future__ import annotations

import gzip
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

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
    b"Authorization: Basic Ojo6",
    b"Authorization: ApiKey \xe9\xe9",
    b"Authorization: Bearer",
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
    *[
        b"Expect: 100-continue",
        b"Expect: tea",
        b"Expect: \xff",
        b"Upgrade: websocket",
        b"Connection: upgrade",
    ],
    *[
        b"Connection: close",
        b"Host: a",
        b"Host:",
        b"Host: [",
        b"Host: a:b",
        b"Host: \xff",
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


_REST = b"Host: a\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes out, in parts; ``answers`` is how many must come, None where nobody can say.

    Who ``waits`` leaves it to the server to end the connection.
    """

    parts: tuple[bytes, ...]
    answers: int | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """What is asked of a server: paths it has or nearly has, and bodies to send there."""

    targets: Sequence[bytes]
    bodies: Sequence[bytes]
    alive: bytes


ELASTICSEARCH = Words(TARGETS, BODIES, b"/_esinfer")


def good_requests(words: Words = ELASTICSEARCH) -> st.SearchStrategy[Sent]:
    """Requests in good form, one after the other without waiting for answers."""
    pipelined = st.lists(_requests(words), min_size=1, max_size=4)
    last = b"GET %b HTTP/1.1\r\n%b" % (words.alive, _REST)
    return pipelined.flatmap(
        lambda made: split(b"".join([*made, last])).map(lambda parts: Sent(parts, len(made) + 1))
    )


def odd_bytes(words: Words = ELASTICSEARCH) -> st.SearchStrategy[Sent]:
    """Good requests after an accident, lines in any order, and noise."""
    good = st.lists(_requests(words), min_size=1, max_size=3).map(b"".join)
    lines = st.lists(st.sampled_from([*ODD, *HEADERS]), max_size=8).map(b"\r\n".join)
    request = st.tuples(
        _first_line(words), lines, st.sampled_from([b"\r\n\r\n", b"\n\n", b"\r\n", b""])
    )
    odd = st.tuples(request.map(b"".join), st.sampled_from(words.bodies)).map(b"".join)
    spoilt = st.one_of(good, odd, lines).flatmap(spoil)
    return st.one_of(spoilt, odd, st.binary(max_size=200)).flatmap(split).map(Sent)


def _requests(words: Words) -> st.SearchStrategy[bytes]:
    return st.booleans().flatmap(lambda is_chunked: _request(words, is_chunked))


@st.composite
def _request(draw: st.DrawFn, words: Words, is_chunked: bool) -> bytes:
    target = draw(st.sampled_from(words.targets))
    first = b"%b %b HTTP/1.1" % (draw(st.sampled_from(METHODS)), target)
    headers = draw(st.lists(st.sampled_from(HEADERS), max_size=4, unique_by=lambda h: h[:9]))
    body = draw(st.sampled_from(words.bodies))
    if is_chunked:
        size = draw(st.integers(1, 10_000))
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"
        length = b"Transfer-Encoding: chunked"
    else:
        length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([first, b"Host: a", *headers, length, b"", body])


def _first_line(words: Words) -> st.SearchStrategy[bytes]:
    method = st.one_of(st.sampled_from(METHODS), st.binary(max_size=4))
    target = st.one_of(st.sampled_from(words.targets), st.binary(max_size=20).map(b"/".__add__))
    return st.tuples(method, target).map(lambda made: b"%b %b HTTP/1.1\r\n" % made)


@st.composite
def spoil(draw: st.DrawFn, whole: bytes) -> bytes:
    """Cut, put in or put in another's place, up to three times."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(whole)))
        end = draw(st.one_of(st.just(start), st.integers(start, min(len(whole), start + 20))))
        other = draw(st.one_of(st.binary(max_size=4), st.sampled_from(ODD)))
        whole = whole[:start] + other + draw(st.sampled_from([whole[end:], b""]))
    return whole


@st.composite
def split(draw: st.DrawFn, whole: bytes) -> tuple[bytes, ...]:
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=3)))
    return tuple(whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True))


# -- the exchange -------------------------------------------------------------

ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
"""The head of an answer: its status, its headers."""

Judge: TypeAlias = Callable[[bytes, Sent], None]


def fuzz(
    server: Server,
    strategy: st.SearchStrategy[Sent],
    count: int,
    number: int,
    judge: Judge | None = None,
) -> None:
    """Send so many; AssertionError with the shortest that has a bad answer."""
    judge_answer = judge or judge_elasticsearch

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(sent: Sent) -> None:
        judge_answer(exchange(server, sent), sent)
        server.check_log()

    each()


def exchange(server: Server, sent: Sent) -> bytes:
    """Send the parts and read to the end; who knows how many answers come need not hang up."""
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for part in sent.parts:
                connection.sendall(part)
                _settle(server)
            if sent.answers is None and not sent.waits:
                connection.shutdown(socket.SHUT_WR)
        except (ConnectionError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
        return _read(connection)


def _settle(server: Server) -> None:
    """Come back when the server has read what was sent, and show that it still answers."""
    with server.connect() as connection:
        connection.sendall(b"GET %b HTTP/1.1\r\n%b" % (server.alive.encode(), _REST))
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


def final_answers(answer: bytes) -> list[re.Match[bytes]]:
    """The heads of all answers but 100; AssertionError for what is no HTTP."""
    answers = list(ANSWER.finditer(answer))
    assert not answer or (answers and answers[0].start() == 0), answer
    return [each for each in answers if each[1] != b"100"]


def judge_elasticsearch(answer: bytes, sent: Sent) -> None:
    """AssertionError if the answers cannot be those to what was sent."""
    final = final_answers(answer)
    for each in final:
        assert each[1] < b"500" or each[1] == b"501", answer
        assert b"x-elastic-product: elasticsearch\r\n" in each[2].lower(), answer
    if sent.answers is not None:
        assert len(final) == sent.answers, (len(final), answer)
