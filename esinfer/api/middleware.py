"""The middleware: what every request has in common, success and error alike.

It settles the form of body and answer, and it alone turns exceptions into
bodies. The order of its checks is Elasticsearch's: who calls, escapes, media
types, route, content type; only what the caller may do is settled earlier than
there, while the body is unread. What is open to strangers makes no namespace,
is in no journal and reads no body. Source: rest.md sections 2.1, 7.2, 7.3, 7.7 and 9.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache

from aiohttp import hdrs, web

from esinfer.api import media
from esinfer.api.body import BODY_FORM, HAS_BODY, MAX_CONTENT_LENGTH, has_body
from esinfer.api.guard import authenticate, authorize, is_stranger
from esinfer.api.keys import NAMESPACE
from esinfer.api.naming import find_namespace
from esinfer.api.parameters import Parameters, check_escapes
from esinfer.api.responses import PRODUCT, SHAPE, Shape, respond_error
from esinfer.errors import (
    ElasticsearchError,
    IllegalArgument,
    IllegalState,
    PayloadTooLarge,
    RouterError,
    Unauthorized,
)
from esinfer.journal import Call, Entry
from esinfer.readiness import READINESS

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ANY_SLASHES = "_"
"""Name of the part of a route's pattern that takes trailing slashes; no parameter."""

PARAMETERS = web.RequestKey("parameters", Parameters)
_OPAQUE_ID = "X-Opaque-Id"


@web.middleware
async def elasticsearch(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Wrap every handler; see the module."""
    try:
        await _authenticate(request)
        namespace = request[NAMESPACE] = find_namespace(request)
    except Exception as error:  # noqa: BLE001 - as below
        return await respond_error(request, _wire_error(request, error))
    with namespace.clock.working():
        if namespace.journal is None or not _is_noted(request.path) or is_stranger(request):
            return await _answer(request, handler)
        with namespace.journal.record(_call(request)) as entry:
            response = await _answer(request, handler)
            if isinstance(response, web.Response):
                await _note(entry, request, response)
            return response


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        await _prepare(request)
        return await handler(request)
    except web.HTTPException as error:
        return await _router_answer(request, error)
    except PayloadTooLarge:
        response = web.Response(status=413)
        response.force_close()
        return response
    except asyncio.CancelledError:
        if request.app[READINESS].stopping:
            logger.warning("%s %s was cut off by the stop", request.method, request.path)
        raise
    except Exception as error:  # noqa: BLE001 - what is nobody's doing is logged there
        return await respond_error(request, _wire_error(request, error))


def _is_noted(path: str) -> bool:
    """Whether the journal has it: all but what is about esinfer itself."""
    return not path.startswith("/_esinfer") or path.startswith("/_esinfer/inference/")


def _call(request: web.Request) -> Call:
    path, _, query = request.raw_path.partition("#")[0].partition("?")
    found = request.match_info.get
    return Call(
        method=request.method,
        path=path,
        query=query,
        headers=request.headers,
        inference_id=found("inference_id"),
        task_type=found("task_type"),
    )


async def _note(entry: Entry, request: web.Request, response: web.Response) -> None:
    """Keep the answer, and of a request that was refused unread what has come of its body.

    A body that broke off cannot be read.
    """
    body, content = response.body, request.content
    entry.answer(response.status, response.headers, body if isinstance(body, bytes) else b"")
    if not entry.received.size and content.is_eof() and content.exception() is None:
        entry.take(await request.read())


def _wire_error(request: web.Request, error: Exception) -> ElasticsearchError | RouterError:
    """The error to answer with; what is no error of ours is a defect of ours."""
    if isinstance(error, ElasticsearchError | RouterError):
        return error
    if isinstance(error, RecursionError):
        return IllegalArgument(reason="the request is nested too deeply")
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return IllegalState(reason=f"esinfer failed with {type(error).__name__}; see its log")


async def _authenticate(request: web.Request) -> None:
    """Before anything else, with the body unread, but in the form that the caller asked for."""
    try:
        await authenticate(request)
    except ElasticsearchError:
        _settle_bodiless_shape(request)
        raise


def _authorize(request: web.Request) -> None:
    """As above."""
    try:
        authorize(request)
    except Unauthorized:
        _settle_bodiless_shape(request)
        raise


def _settle_bodiless_shape(request: web.Request) -> None:
    with suppress(ElasticsearchError):
        request[SHAPE] = _bodiless_shape(request)


def _bodiless_shape(request: web.Request) -> Shape:
    check_escapes(request.raw_path)
    path, _, query = request.raw_path.partition("#")[0].partition("?")
    parameters = Parameters(path, query)
    accept, form = request.headers.get(hdrs.ACCEPT), parameters.text("format")
    return _shape(parameters, media.negotiate(accept, None, form, has_body=False))


async def _prepare(request: web.Request) -> None:
    target = request.raw_path
    if "%" in target:
        check_escapes(target)
    path, _, query = target.partition("#")[0].partition("?")
    parameters = Parameters(path, query, request.match_info.keys() - {ANY_SLASHES})
    request[PARAMETERS] = parameters
    _authorize(request)
    has_bytes = request[HAS_BODY] = await has_body(request)
    content_type = request.headers.get(hdrs.CONTENT_TYPE)
    forms = media.negotiate(
        content_type if _is_stream(request.method, path) else request.headers.get(hdrs.ACCEPT),
        content_type,
        parameters.text("format"),
        has_body=has_bytes,
    )
    request[SHAPE] = _shape(parameters, forms) if query else _plain_shape(forms)
    error = request.match_info.http_exception
    if error is not None:
        raise error
    if has_bytes:
        media.check_body_form(forms.body, content_type)
        request[BODY_FORM] = forms.body or media.Form.JSON
    media.check_answer_form(forms.answer)


def _is_stream(method: str, path: str) -> bool:
    """Whatever ``Accept`` says, the answer is an event stream (clients.md section 1)."""
    return method == hdrs.METH_POST and path.rstrip("/").endswith("/_stream")


@lru_cache(maxsize=64)
def _plain_shape(forms: media.Negotiated) -> Shape:
    """The shape of an answer for which the query asks nothing."""
    return _shape(Parameters("", ""), forms)


def _shape(parameters: Parameters, forms: media.Negotiated) -> Shape:
    writable = forms.answer in media.IMPLEMENTED
    pretty = parameters.boolean("pretty") if parameters.text("pretty") is not None else None
    parameters.boolean("human")
    return Shape(
        pretty=pretty,
        form=forms.answer if writable else media.Form.JSON,
        content_type=forms.content_type if writable else "application/json",
        filter_path=parameters.text("filter_path") or None,
        error_trace=parameters.boolean("error_trace"),
    )


async def _router_answer(request: web.Request, error: web.HTTPException) -> web.Response:
    """Aiohttp's 404 and 405 as Elasticsearch's router words them."""
    uri = request.raw_path
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted(error.allowed_methods)
        allow: dict[str, str] = {hdrs.ALLOW: ",".join(allowed)}
        if request.method == hdrs.METH_OPTIONS:
            return web.Response(headers=allow, content_type="text/plain", charset="UTF-8")
        text = (
            f"Incorrect HTTP method for uri [{uri}] and method [{request.method}],"
            f" allowed: [{', '.join(allowed)}]"
        )
        return await respond_error(request, RouterError(405, text, headers=allow))
    text = f"no handler found for uri [{uri}] and method [{request.method}]"
    return await respond_error(request, RouterError(400, text, shows_status=False))


_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


async def sign(request: web.Request, response: web.StreamResponse) -> None:
    """Put Elasticsearch's headers on every answer, whoever made it."""
    name, value = PRODUCT
    response.headers[name] = value
    response.headers.popall(hdrs.SERVER, None)
    opaque_id = request.headers.get(_OPAQUE_ID)
    if opaque_id is not None:
        response.headers[_OPAQUE_ID] = _UNPRINTABLE.sub("?", opaque_id)


async def expect(request: web.Request) -> web.StreamResponse | None:
    """Answer an ``Expect`` header: go on for ``100-continue``, 417 for anything else.

    A body that will be refused for its size or its sender is not asked for, nor one that no
    handler reads.
    """
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        if (request.content_length or 0) > request.app[MAX_CONTENT_LENGTH]:
            return None
        try:
            await authenticate(request)
            authorize(request)
        except ElasticsearchError:
            return None
        if is_stranger(request) or request.match_info.http_exception is not None:
            return None
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # or aiohttp takes the answer for begun
        return None
    response = web.Response(status=417)
    response.force_close()
    return response
