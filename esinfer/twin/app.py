"""The twin over HTTP: every request is read, answered by ``tei.Twin``, written."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from esinfer.twin.tei import Twin, TwinAnswer, TwinRequest

TWIN: Final = web.AppKey("twin", Twin)

_LARGE: Final = 16 * 1024
"""Bodies over this are answered in a thread, so that they do not hold up the loop."""


def make_twin_app(twin: Twin) -> web.Application:
    """An application that answers as ``twin`` does."""
    app = web.Application()
    app[TWIN] = twin
    app.router.add_route("*", "/{path:.*}", _answer)
    return app


async def _answer(request: web.Request) -> web.Response:
    twin = request.app[TWIN]
    body = await _read(request, twin.payload_limit)
    read = TwinRequest(method=request.method, path=request.path, headers=request.headers, body=body)
    if len(body) > _LARGE:
        return _respond(await asyncio.to_thread(twin.answer, read))
    return _respond(twin.answer(read))


async def _read(request: web.Request, limit: int) -> bytes:
    """The body, or so much of it that it is seen to be over the limit."""
    body = bytearray()
    while len(body) <= limit and (chunk := await request.content.readany()):
        body += chunk
    return bytes(body)


def _respond(answer: TwinAnswer) -> web.Response:
    headers = dict(answer.headers)
    if answer.content_type is not None:
        headers["content-type"] = answer.content_type
    return web.Response(status=answer.status, body=answer.body or None, headers=headers)
