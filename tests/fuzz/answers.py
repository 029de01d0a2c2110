"""Answers of an upstream that are HTTP, nearly HTTP or no HTTP at all, round bodies likewise."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Final

from hypothesis import strategies as st

from tests.fuzz.hostile import Answer, Ending
from tests.fuzz.wire import split, spoil

API_KEY: Final = "hf_NeverToBeSeenByAnyone"

_CHUNK: Final = (
    b'{"id":"a","choices":[{"delta":{"content":"fox","tool_calls":[{"index":0,"id":"b",'
    b'"function":{"name":"c","arguments":"{}"},"type":"function"}],"reasoning_details":[{"d":1}]},'
    b'"finish_reason":null,"index":0}],"model":"m","object":"chat.completion.chunk",'
    b'"usage":{"completion_tokens":1,"prompt_tokens":2,"total_tokens":3}}'
)
_WHOLE: Final = _CHUNK.replace(b'"delta"', b'"message"').replace(b'"finish_reason":null,', b"")
BODIES: Final[dict[str, bytes]] = {
    "text_embedding": b"[[0.1,-2,3e-3],[4.5,1,0]]",
    "sparse_embedding": b'[{"a":0.1,"b":2},{"##c":3e2}]',
    "rerank": b'[{"index":1,"score":0.9,"text":"a"},{"index":0,"score":-1}]',
    "completion": _WHOLE,
    "chat_completion": _WHOLE,
}
"""Of each task a good one to begin with."""
_ERRORS: Final = [
    b'{"error":"no %b","error_type":"unauthorized"}' % API_KEY.encode(),
    b'{"error":{"message":"no %b","http_status_code":422}}' % API_KEY.encode(),
    b'{"error":{"message":7,"http_status_code":"x"}}',
    b'{"detail":[{"msg":"no"}]}',
    b"<html>Bad Gateway</html>",
]
_VALUES: Final = [
    *[
        b"1e400",
        b"-1e-400",
        b"1E+99999999999",
        b"9" * 400,
        b"9" * 5000,
        b"-0",
        b"00",
        b"1.",
        b"NaN",
    ],
    *[b"-Infinity", b"0x1", b"2147483648", b"-9223372036854775809", b"3.5e38", b"0.5", b"1"],
    *[b'"\\ud800"', b'"\\u0000"', b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\\x"', b'"\n"', b'"'],
    *[b'""', b'"7"', b'"NaN"', b"null", b"true", b"[]", b"{}", b"[[]]", b'{"":{}}', b"{,}", b"tru"],
    *[b"[" * 999 + b"]" * 999, b"[" * 2000, b"[" * 200_000, b'{"a":' * 1200, b'{"a":[' * 40_000],
    *[b'{"a":1,"a":2}', b'"' + b"a" * 70_000 + b'"', b"\xef\xbb\xbf", b"/**/", b"\x00", b""],
    b'"%b"' % API_KEY.encode(),
]
"""Put in the place of a value; some are none."""
_CODES: Final = [
    *[200, 200, 200, 200, 201, 204, 205, 206, 299, 300, 302, 303, 304, 308, 400, 401, 403, 404],
    *[
        408,
        413,
        418,
        421,
        422,
        429,
        451,
        499,
        500,
        501,
        502,
        503,
        504,
        599,
        600,
        999,
        100,
        101,
        102,
    ],
]
_LINES: Final = [
    *[b"HTTP/1.0 200 OK", b"HTTP/2 200", b"HTTP/1.1 200", b"HTTP/1.1  200 OK", b"HTTP/1.1 20 OK"],
    *[b"HTTP/1.1 -1 OK", b"HTTP/1.1 2e2 OK", b"HTTP/1.1 200 \xff\x00", b"200 OK", b"ICY 200 OK"],
    *[b"HTTP/1.1 999999 A", b"http/1.1 200 ok", b"\r\nHTTP/1.1 200 OK", b"", b"\x16\x03\x01\x02"],
    b"HTTP/1.1 200 " + b"a" * 9000,
]
_HEADERS: Final = [
    *[b"Content-Type: application/json", b"Content-Type: text/event-stream; charset=utf-16"],
    *[
        b"Content-Type: ;;",
        b"Set-Cookie: a=b; Max-Age=x",
        b"Set-Cookie: \xff=",
        b"Connection: close",
    ],
    *[
        b"Connection: keep-alive, upgrade",
        b"Upgrade: websocket",
        b"Location: //\xff",
        b"Location: :",
    ],
    *[b"Retry-After: 99999", b"Keep-Alive: timeout=0", b"Transfer-Encoding: gzip", b"Trailer: a"],
    *[b"Transfer-Encoding: chunked, chunked", b"Content-Length: -1", b"Content-Length: 1, 2"],
    *[b"Content-Length: 99999999999999999999", b"Content-Length: 3", b"Content-Encoding: br"],
    *[b"Content-Encoding: identity", b"Content-Encoding: gzip, gzip", b"Content-Encoding: \xff"],
    *[b"Content-Encoding: zstd", b"no colon", b": no name", b" folded", b"X: a\rb", b"X: \x00"],
    *[
        b"X: " + b"a" * 9000,
        b"X" * 9000 + b": 1",
        b"X\xe9: 1",
        b"Authorization: " + API_KEY.encode(),
    ],
]
_EVENT_LINES: Final = [
    *[
        b"data: [DONE]",
        b"data:[done] ",
        b"data: [DONE",
        b"data",
        b"data:",
        b"data: ",
        b"event: error",
    ],
    *[
        b"event: \xff",
        b"event:",
        b"id: 7",
        b"retry: -1",
        b": ping",
        b":",
        b"",
        b"",
        b"",
        b"no field",
    ],
    *[b"\xef\xbb\xbfdata: {}", b"data: {}", b"data: null", b"data: " + b"[" * 5000, b"DATA: {}"],
    *[b"data: {" + b" " * 150_000 + b"}", b"{}"],
    *[b"data: " + each for each in _ERRORS],
]


def answers(task_type: str, *, streams: bool) -> st.SearchStrategy[Answer]:
    """What an upstream of this task may say, which seldom is what it should."""
    body = odd_json(BODIES[task_type])
    if streams:
        body = st.one_of(_events(), _events(), body)
    odd = _responses(body)
    noise = st.binary(max_size=100)
    return st.builds(
        Answer,
        st.one_of(
            body.map(_in_good_form), body.map(_in_good_form), odd, odd.flatmap(spoil), noise
        ).flatmap(split),
        st.sampled_from([Ending.KEEP, Ending.CLOSE, Ending.CLOSE, Ending.CLOSE, Ending.RESET]),
        st.sampled_from([False, False, False, True]),
    )


def _in_good_form(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@st.composite
def odd_json(draw: st.DrawFn, good: bytes) -> bytes:
    """JSON with odd values in it, an error, or what comes of them by accident."""
    places = st.sampled_from(_values_in(good))
    body = good
    for start, end in draw(st.sampled_from([[], [draw(places)], [draw(places)]])):
        body = body[:start] + draw(st.sampled_from(_VALUES)) + body[end:]
    body = draw(st.sampled_from([body, body, body, body, *_ERRORS]))
    return draw(spoil(body)) if draw(st.integers(0, 3)) == 0 else body


@cache
def _values_in(body: bytes) -> Sequence[tuple[int, int]]:
    """Where values of the body stand, itself among them."""
    text = body.decode()
    decoder = json.JSONDecoder()
    found = []
    for start in [0, *(at + 1 for at, each in enumerate(text[:-1]) if each in ":[,")]:
        with suppress(ValueError):  # an array's end, or within a text
            found.append((start, decoder.raw_decode(text, start)[1]))
    return found


@st.composite
def _events(draw: st.DrawFn) -> bytes:
    chunk = st.one_of(st.just(_CHUNK), odd_json(_CHUNK)).map(b"data: ".__add__)
    event = st.one_of(chunk, chunk, st.sampled_from(_EVENT_LINES))
    end = draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]))
    lines = [line for each in draw(st.lists(event, max_size=6)) for line in (each, b"")]
    whole = end.join([*lines, draw(st.sampled_from([b"data: [DONE]", b"", b"data: {"])), b"", b""])
    return draw(spoil(whole)) if draw(st.integers(0, 3)) == 0 else whole


@st.composite
def _responses(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> bytes:
    """One answer, or what follows a provisional one, or more than was asked for."""
    code = draw(st.sampled_from(_CODES))
    first = draw(st.sampled_from([b"HTTP/1.1 %d A" % code] * 4 + [draw(st.sampled_from(_LINES))]))
    body = draw(bodies)
    headers = draw(st.lists(st.sampled_from(_HEADERS), max_size=draw(st.sampled_from([0, 0, 3]))))
    packed, encoding = _pack(body, draw(st.integers(0, 8)))
    framed, length = draw(_framed(packed))
    response = b"\r\n".join([first, *headers, *encoding, *length, b"", framed])
    before = draw(st.sampled_from([b"", b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    after = draw(st.sampled_from([b"", b"", b"", b"", response, b"\x00", b"HTTP/1.1 200 OK\r\n"]))
    return before + response + after


def _pack(body: bytes, how: int) -> tuple[bytes, list[bytes]]:
    """Packed, well or badly, and the header that says so."""
    match how:
        case 0:
            return gzip.compress(body), [b"Content-Encoding: gzip"]
        case 1:
            return gzip.compress(body)[:-9], [b"Content-Encoding: gzip"]
        case 2:
            return gzip.compress(body) + b"more", [b"Content-Encoding: gzip"]
        case 3:
            return body, [b"Content-Encoding: deflate"]
        case 4:
            return zlib.compress(b" " * 3_000_000 + body), [b"Content-Encoding: deflate"]
        case _:
            return body, []


@st.composite
def _framed(draw: st.DrawFn, body: bytes) -> tuple[bytes, list[bytes]]:
    """The body and the header of its length, which may lie or not be there."""
    lie = draw(st.sampled_from([0, 0, 0, 1, 1000, -1, -len(body)]))
    length = [b"Content-Length: %d" % max(0, len(body) + lie)]
    chunked = [b"Transfer-Encoding: chunked"]
    size = max(1, draw(st.integers(1, 10_000)), len(body) // 50)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces)
    end = draw(
        st.sampled_from(
            [b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\na: b\r\n\r\n", b"", b"zz\r\n", b"0\r\n"]
        )
    )
    framings = [
        *[(body, length), (body, length), (body, []), (body, chunked)],
        *[(chunks + end, chunked), (chunks + end, chunked + length)],
    ]
    return draw(st.sampled_from(framings))
