"""Request bodies: bytes off the wire into a JSON value.

aiohttp would answer a broken ``Content-Encoding`` by itself, so it does not
unpack; we do. Source: rest.md sections 2.1, 7.6 and 7.7.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import orjson
from aiohttp import hdrs, http_exceptions, web

from esinfer.api.guard import is_stranger
from esinfer.api.keys import NAMESPACE
from esinfer.api.media import Form
from esinfer.connection import RequestTooSlow
from esinfer.errors import (
    BodyRequired,
    DecompressionError,
    MalformedHttp,
    PayloadTooLarge,
    SlowRequest,
    TooManyInputs,
)
from esinfer.journal import CURRENT
from esinfer.json_reader import read_first_value
from esinfer.threads import run_sized
from esinfer.yaml_reader import read_yaml

T = TypeVar("T")

MAX_CONTENT_LENGTH = web.AppKey("max_content_length", int)
MAX_INPUTS = web.AppKey("max_inputs", int)
"""Most inputs of one request, 0 for any number."""
HAS_BODY = web.RequestKey("has_body", bool)
BODY_FORM = web.RequestKey("body_form", Form)


@dataclass(frozen=True, slots=True)
class Body:
    """A parsed body, and the JSON text in which places of errors are counted.

    The value is ``NOTHING`` where there are only spaces and comments.
    """

    value: object = field(repr=False)  # it may hold a key
    text: Callable[[], bytes]


async def has_body(request: web.Request) -> bool:
    """Whether the body has any bytes; one in chunks shows that only when it has come.

    For a stranger's that is not awaited, nor for one that waits in vain to be asked for: they
    pass for ones with bytes.
    """
    if not request.body_exists:
        return False
    if request.content_length is not None:
        return request.content_length > 0
    no_handler = request.match_info.http_exception is not None
    is_unasked = is_stranger(request) or (no_handler and hdrs.EXPECT in request.headers)
    return is_unasked or bool(await _receive(request))


async def read_bytes(request: web.Request) -> bytes:
    """The whole body, unpacked; PayloadTooLarge over the limit, packed or not."""
    data = await _receive(request)
    coding = request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
    if coding in _WINDOW_BITS and data:
        limit = request.app[MAX_CONTENT_LENGTH]
        most = min(len(data) * _MAX_RATIO, limit)
        packed = data
        data = await run_sized(most, lambda: _unpack(packed, coding, limit))
    entry = CURRENT.get()
    if entry is not None:
        entry.take(data)
    return data


async def _receive(request: web.Request) -> bytes:
    """The bytes as sent; they may be asked for again."""
    limit = request.app[MAX_CONTENT_LENGTH]
    if (request.content_length or 0) > limit:
        raise PayloadTooLarge
    try:
        if request.content.is_eof():  # it is here
            return await request.read()
        with request[NAMESPACE].clock.resting():  # what has yet to come keeps nobody at work
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise PayloadTooLarge from error
    except RequestTooSlow as error:
        raise SlowRequest from _without_frames(error)
    except (ConnectionError, http_exceptions.HttpProcessingError, web.RequestPayloadError) as error:
        raise MalformedHttp(problem="the body breaks off") from _without_frames(error)


def _without_frames(error: Exception) -> Exception:
    """The error that a body's stream keeps, without the frame that keeps the body and the stream.

    They would hold each other, and garbage is hardly ever looked for.
    """
    return error.with_traceback(None)


_MAX_RATIO = 1032
"""A byte of deflate stands for no more bytes than this."""

_WINDOW_BITS = {
    "gzip": zlib.MAX_WBITS | 16,
    "x-gzip": zlib.MAX_WBITS | 16,
    "deflate": zlib.MAX_WBITS,
}


def _unpack(data: bytes, coding: str, limit: int) -> bytes:
    unpacker = zlib.decompressobj(_WINDOW_BITS[coding])
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise DecompressionError(coding=coding.upper()) from error
    if len(unpacked) > limit:
        raise PayloadTooLarge
    if not unpacker.eof:
        raise DecompressionError(coding=coding.upper())
    return unpacked


async def required_bytes(request: web.Request) -> bytes:
    """The body; BodyRequired if there is none."""
    data = await read_bytes(request)
    if not data:
        raise BodyRequired
    return data


def check_inputs(request: web.Request, inputs: Sequence[object]) -> None:
    """TooManyInputs if there are more than the server takes at once."""
    limit = request.app[MAX_INPUTS]
    if 0 < limit < len(inputs):
        raise TooManyInputs(count=len(inputs), limit=limit)


_YAML_COST = 32
"""Reading YAML takes that many times longer than reading JSON."""


async def load(request: web.Request, data: bytes, loader: Callable[[Body], T]) -> T:
    """What ``loader`` makes of the first value of the body, whatever follows it."""
    form = request.get(BODY_FORM, Form.JSON)
    cost = _YAML_COST if form is Form.YAML else 1
    return await run_sized(len(data) * cost, lambda: loader(parse(data, form)))


async def load_map(
    request: web.Request, data: bytes, loader: Callable[[Mapping[str, object]], T]
) -> T:
    """The same where Elasticsearch reads a plain map: what is no object is an empty one."""
    return await load(
        request, data, lambda body: loader(body.value if isinstance(body.value, dict) else {})
    )


def parse(data: bytes, form: Form) -> Body:
    """The first value of a body."""
    if form is Form.YAML:
        value = read_yaml(data)
        return Body(value, lambda: orjson.dumps(value))
    return Body(read_first_value(data), lambda: data)
