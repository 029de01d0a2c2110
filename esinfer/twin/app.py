"""The twin over HTTP: every request is read, answered by its upstream, written.

Under ``/__twin/`` it is set and looked at, see ``admin``.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from aiohttp import http_exceptions, web

from esinfer.threads import ANSWERING
from esinfer.twin import admin, cors
from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.delivery import Delivery, Ending
from esinfer.twin.exchange import Exchange
from esinfer.twin.pauses import Interrupted
from esinfer.twin.received import Received
from esinfer.twin.servers import Server
from esinfer.twin.upstreams import Upstreams, UpstreamSettings, single

UPSTREAMS: Final = web.AppKey("upstreams", Upstreams)

_PART: Final = 256 * 1024
"""Bytes of a large answer that are written at once."""


def make_twin_app(twin: Server) -> web.Application:
    """An application that answers as ``twin`` does, as long as nothing else is set."""
    return make_upstreams_app(single(twin), UpstreamSettings())


def make_upstreams_app(upstreams: Upstreams, start: UpstreamSettings) -> web.Application:
    """An application that stands in for ``upstreams``; ``start`` is what a PUT begins from."""
    app = web.Application()
    app[UPSTREAMS] = upstreams
    admin.add_routes(app, upstreams, start)
    app.router.add_route("*", "/{path:.*}", _answer)
    app.on_shutdown.append(_stop_waiting)
    return app


async def _stop_waiting(app: web.Application) -> None:
    """Stalled and dripping answers do not hold up the end of the server."""
    app[UPSTREAMS].pauses.end()


async def _answer(request: web.Request) -> web.StreamResponse:
    url = _url(request)
    upstream = request.app[UPSTREAMS].find(url)
    try:
        body = await _read(request, upstream.server.payload_limit)
    except (ConnectionError, http_exceptions.HttpProcessingError, web.RequestPayloadError):
        return _broken_off()
    read = TwinRequest(
        method=request.method,
        path=request.path,
        headers=request.headers,
        body=body,
        query=request.query_string,
    )
    with upstream.receive(Received(request=read, url=url)) as exchange:
        try:
            delivery = await _deliver(exchange, upstream.server, read)
            await request.app[UPSTREAMS].pauses.pause(exchange.delay)
            return await _write(request, exchange, delivery)
        except Interrupted:
            return _hang_up(request)


def _url(request: web.Request) -> str:
    """The address that was asked; the path alone after a ``Host`` that can be none."""
    try:
        return str(request.url)
    except ValueError:
        return str(request.rel_url)


async def _deliver(exchange: Exchange, server: Server, read: TwinRequest) -> Delivery:
    def deliver() -> Delivery:
        return exchange.deliver(lambda: cors.answer(server, replace(read, hold=exchange.hold)))

    if server.is_quick(read.path, read.body):
        return deliver()
    return await ANSWERING.run(deliver)


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


async def _write(
    request: web.Request, exchange: Exchange, delivery: Delivery
) -> web.StreamResponse:
    """Write the answer; end it, or the connection, as the delivery says."""
    answer = delivery.answer
    exchange.begin(delivery)
    is_small = len(answer.body) <= _PART and answer.events is None
    if delivery.ending is Ending.WHOLE and is_small:
        exchange.entry.send(answer.body)
        exchange.end(Ending.WHOLE)
        return web.Response(
            status=answer.status, body=answer.body or None, headers=_headers(answer)
        )
    response = web.StreamResponse(status=answer.status, headers=_headers(answer))
    if answer.events is None:
        response.content_length = len(answer.body) if delivery.length is None else delivery.length
    try:
        if delivery.begins:
            await response.prepare(request)
            await _write_parts(request, response, exchange, delivery)
        if delivery.ending is Ending.WHOLE:
            await response.write_eof()
            exchange.end(Ending.WHOLE)
            return response
    except ConnectionResetError:  # the client has heard enough
        return response
    return await _break_off(request, exchange, delivery)


async def _write_parts(
    request: web.Request, response: web.StreamResponse, exchange: Exchange, delivery: Delivery
) -> None:
    """Write part by part; between two, other requests have their turn."""
    for part in _parts(delivery.answer.chunks):
        exchange.entry.send(part)
        await response.write(part)
        if delivery.pause:
            await request.app[UPSTREAMS].pauses.pause(delivery.pause)
        else:
            await asyncio.sleep(0)


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _PART):
            yield chunk[start : start + _PART]


async def _break_off(
    request: web.Request, exchange: Exchange, delivery: Delivery
) -> web.StreamResponse:
    if delivery.ending is Ending.STALLED:
        await request.app[UPSTREAMS].pauses.pause(delivery.hold)
    exchange.end(delivery.ending)
    return _hang_up(request, reset=delivery.ending is Ending.RESET)


_LINGER_NOT: Final = struct.pack("ii", 1, 0)
"""With it a socket that is closed resets its connection."""


def _hang_up(request: web.Request, *, reset: bool = False) -> web.Response:
    """Close the connection; what is returned never goes out."""
    transport = request.transport
    if transport is not None and reset:
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT
        )
        transport.abort()
    elif transport is not None:
        transport.close()
    return web.Response()
