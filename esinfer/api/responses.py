"""Answers: compact JSON into a response, an error into its body.

The one place that writes error bodies. Source: rest.md sections 7.1, 8 and 9.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from aiohttp import hdrs, web

from esinfer.api import shaping
from esinfer.api.media import Form
from esinfer.errors import (
    ChatDetail,
    ElasticsearchError,
    MalformedHttp,
    RouterError,
    XContentParseError,
    status_name,
)
from esinfer.threads import LARGE, run_sized

PRODUCT = ("X-elastic-product", "Elasticsearch")
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the caller asked of the answer's form; ``pretty`` None where it said nothing."""

    pretty: bool | None = None
    form: Form = Form.JSON
    content_type: str = "application/json"
    filter_path: str | None = None
    error_trace: bool = False
    is_stream: bool = False
    is_chat: bool = False


PLAIN = Shape()


@dataclass(frozen=True, slots=True)
class EventForm:
    """How events are framed; ``prefix`` is a byte-order mark or nothing."""

    prefix: bytes = b""

    def message(self, data: bytes) -> bytes:
        """An event of the answer."""
        return self.prefix + b"event: message\ndata: " + data + b"\n\n"

    def error(self, data: bytes) -> bytes:
        """The event that ends a stream that failed."""
        return self.prefix + b"event: error\ndata: " + data + b"\n\n"


EVENT_FORM = web.AppKey("event_form", EventForm)
SHAPE = web.RequestKey("shape", Shape)


async def respond(request: web.Request, body: bytes, *, shape: Shape | None = None) -> web.Response:
    """A success: ``body`` is compact JSON, sent as it is or in the form asked for."""
    shape = shape or request[SHAPE]
    return _response(request, 200, await render(body, shape), shape.content_type)


def respond_as(request: web.Request, body: bytes, content_type: str) -> web.Response:
    """A success in a form of its own."""
    return _response(request, 200, body, content_type)


async def respond_json(request: web.Request, body: object) -> web.Response:
    """A success from plain values."""
    return await respond(request, dump(body))


async def respond_pretty(request: web.Request, body: object) -> web.Response:
    """A success that is pretty unless the caller said otherwise."""
    shape = request[SHAPE]
    pretty = True if shape.pretty is None else shape.pretty
    return await respond(request, dump(body), shape=replace(shape, pretty=pretty))


_YAML_COST = 10
"""Printing YAML takes that many times longer than printing JSON."""


async def render(compact: bytes, shape: Shape) -> bytes:
    """Filter and print a compact document as the shape says."""
    if shape.filter_path is None and not shape.pretty and shape.form is Form.JSON:
        return compact
    cost = _YAML_COST if shape.form is Form.YAML else 1
    return await run_sized(len(compact) * cost, lambda: _reshape(compact, shape))


def _reshape(compact: bytes, shape: Shape) -> bytes:
    document = shaping.read(compact)
    if shape.filter_path is not None:
        document = shaping.filter_paths(document, shape.filter_path)
    if shape.form is Form.YAML:
        return shaping.to_yaml(document)
    return shaping.pretty(document) if shape.pretty else shaping.write(document)


async def respond_error(
    request: web.Request, error: ElasticsearchError | RouterError
) -> web.Response:
    """An error, as JSON or on ``_stream`` routes as one event; never filtered."""
    shape = replace(request.get(SHAPE, PLAIN), filter_path=None)
    body = shape_error(error, shape)
    if shape.is_stream and isinstance(error, ElasticsearchError):
        body, content_type = request.app[EVENT_FORM].error(body), EVENT_STREAM
    else:
        body, content_type = await render(body, shape), shape.content_type
    response = _response(request, error.status, body, content_type)
    response.headers.update(error.headers)
    if isinstance(error, MalformedHttp):
        response.force_close()
    return response


def shape_error(error: ElasticsearchError | RouterError, shape: Shape) -> bytes:
    """The body of an error in the one of its forms that the request calls for."""
    if shape.is_chat and isinstance(error, ElasticsearchError):
        return dump(chat_error_body(error))
    return dump(error_body(error, trace=shape.error_trace))


def chat_error_body(error: ElasticsearchError) -> dict[str, Any]:
    """OpenAI's form, of all that fails in chat_completion: members by name, none null."""
    detail = error.chat or ChatDetail(code=status_name(error.status), type=error.type)
    body = {"code": detail.code, "message": error.reason, "type": detail.type}
    return {"error": {name: value for name, value in body.items() if value is not None}}


def dump(body: object) -> bytes:
    """Compact JSON, whatever bytes of a request it quotes."""
    try:
        return orjson.dumps(body)
    except TypeError:  # a header that is not UTF-8
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace")


def error_body(error: ElasticsearchError | RouterError, *, trace: bool = False) -> dict[str, Any]:
    """The envelope of an error."""
    if isinstance(error, RouterError):
        body: dict[str, Any] = {"error": error.text}
        return body | {"status": error.status} if error.shows_status else body
    root = root_cause(error)
    return {
        "error": {"root_cause": [dict(_describe(root, trace))], **_chain(error, trace)},
        "status": error.status,
    }


def root_cause(error: ElasticsearchError) -> ElasticsearchError:
    """The deepest of a chain of Elasticsearch's own or of parser exceptions."""
    cause = error.__cause__
    if not isinstance(cause, ElasticsearchError):
        return error
    deeper = cause.is_elasticsearch
    if isinstance(error, XContentParseError):
        deeper = deeper or isinstance(cause, XContentParseError)
    elif not error.is_elasticsearch:
        deeper = False
    return root_cause(cause) if deeper else error


def _chain(error: ElasticsearchError, trace: bool) -> dict[str, Any]:
    body = dict(_describe(error, trace=False))
    if isinstance(error.__cause__, ElasticsearchError):
        body["caused_by"] = _chain(error.__cause__, trace)
    if trace:
        body["stack_trace"] = _stack_trace(error)
    return body


def _describe(error: ElasticsearchError, trace: bool) -> Iterator[tuple[str, object]]:
    yield "type", error.type
    yield "reason", error.reason
    metadata: Mapping[str, object] = error.metadata
    yield from metadata.items()
    if trace:
        yield "stack_trace", _stack_trace(error)


def _stack_trace(error: ElasticsearchError) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    calls = "".join(f"\n\tat {f.name}({f.filename}:{f.lineno})" for f in frames)
    return f"{type(error).__name__}[{error.reason}]{calls}"


def _response(request: web.Request, status: int, body: bytes, content_type: str) -> web.Response:
    response = web.Response(
        status=status,
        body=body,
        headers={hdrs.CONTENT_TYPE: content_type},
        zlib_executor_size=LARGE,
    )
    accepted = request.headers.get(hdrs.ACCEPT_ENCODING)
    # Clients unpack what HEAD says is packed, though nothing comes; event streams never are packed.
    packs = request.method != hdrs.METH_HEAD and content_type != EVENT_STREAM
    if accepted is not None and body and packs:
        _compress(response, accepted)
    return response


def _compress(response: web.Response, accepted: str) -> None:
    refused = {"0", "0.0", "0.00", "0.000"}
    for item in accepted.lower().split(","):
        coding, _, weight = item.replace(" ", "").partition(";q=")
        if coding == "gzip" and weight not in refused:
            response.enable_compression(web.ContentCoding.gzip)
            return
