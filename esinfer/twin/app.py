"""The twin over HTTP: every request is read, answered by a server of ``twin``, written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from aiohttp import http_exceptions, web

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.servers import Server

TWIN: Final = web.AppKey[Server]("twin")

_LARGE: Final = 16 * 1024
"""Bodies over this are answered in a thread, so that they do not hold up the loop."""


def make_twin_app(twin: Server) -> web.Application:
    """An application that answers as ``twin`` does."""
    app = web.Application()
    app[TWIN] = twin
    app.router.add_route("*", "/{path:.*}", _answer)
    return app


async def _answer(request: web.Request) -> web.StreamResponse:
    twin = request.app[TWIN]
    try:
        body = await _read(request, twin.payload_limit)
    except (ConnectionError, http_exceptions.HttpProcessingError, web.RequestPayloadError):
        return _broken_off()
    read = TwinRequest(
        method=request.method,
        path=request.path,
        headers=request.headers,
        body=body,
        query=request.query_string,
    )
    large = len(body) > _LARGE
    answer = await asyncio.to_thread(twin.answer, read) if large else twin.answer(read)
    headers = _headers(answer)
    if answer.events is None:
        return web.Response(status=answer.status, body=answer.body or None, headers=headers)
    return await _stream(request, answer.events, web.StreamResponse(headers=headers))


async def _read(request: web.Request, limit: int) -> bytes:
    """The body, or so much of it that it is seen to be over the limit."""
    body = bytearray()
    while len(body) <= limit and (chunk := await request.content.readany()):
        body += chunk
    return bytes(body)


def _broken_off() -> web.Response:
    """What axum answers to a body that does not end as it should."""
    reason = "Failed to buffer the request body: error reading a body from connection"
    response = web.Response(status=400, text=reason)
    response.force_close()
    return response


def _headers(answer: TwinAnswer) -> dict[str, str]:
    headers = dict(answer.headers)
    if answer.content_type is not None:
        headers["content-type"] = answer.content_type
    return headers


async def _stream(
    request: web.Request, events: Iterable[bytes], response: web.StreamResponse
) -> web.StreamResponse:
    """Write event by event; between two, other requests have their turn."""
    try:
        await response.prepare(request)
        for event in events:
            await response.write(event)
            await asyncio.sleep(0)
        await response.write_eof()
    except ConnectionResetError:  # the client has heard enough
        pass
    return response
