"""The twin as a transport: ``esinfer mock`` answers every upstream request here, in process.

No packet leaves the machine, whatever the request's ``url`` says: it chooses
the upstream, and the form of the answer follows from the task type. What
breaks a connection raises what ``upstream`` makes of it over HTTP.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Final
from urllib.parse import unquote

import aiohttp

from esinfer.errors import ResponseTooLarge, StubbedError
from esinfer.tasks import TaskType
from esinfer.threads import ANSWERING
from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.delivery import Delivery, Ending
from esinfer.twin.exchange import Exchange
from esinfer.twin.pauses import Interrupted
from esinfer.twin.received import Received
from esinfer.twin.servers import Kind, Server
from esinfer.twin.upstreams import Upstreams
from esinfer.upstream import (
    UpstreamRequest,
    UpstreamResponse,
    UpstreamStream,
    map_transport_error,
    read_all,
)

_KINDS = {
    TaskType.TEXT_EMBEDDING: Kind.EMBED,
    TaskType.SPARSE_EMBEDDING: Kind.ELSER,
    TaskType.RERANK: Kind.RERANK,
    TaskType.COMPLETION: Kind.CHAT,
    TaskType.CHAT_COMPLETION: Kind.CHAT,
}
_BODILESS: Final = (204, 304)
"""Statuses after which HTTP has no body, whatever was to be sent."""
_WINDOW_BITS: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class TwinTransport:
    """Sends to upstreams of this process; ``max_response_size`` in bytes."""

    def __init__(self, upstreams: Upstreams, *, max_response_size: int = 2**31) -> None:
        self._upstreams = upstreams
        self._limit = max_response_size

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """The whole answer; that of a stream is its events, joined."""
        upstream = self._upstreams.find(request.url)
        received = _received(request)
        with upstream.receive(received) as exchange:
            delivery = await self._begin(exchange, upstream.server, request, received.request.path)
            body = await self._read(exchange, delivery, request)
            return UpstreamResponse(status=delivery.answer.status, body=body)

    async def _read(
        self, exchange: Exchange, delivery: Delivery, request: UpstreamRequest
    ) -> bytes:
        """The whole body; one that comes at once is not waited for."""
        if delivery.ending is not Ending.WHOLE or delivery.answer.events is not None:
            async with aclosing(self._chunks(exchange, delivery, request)) as chunks:
                return await read_all(chunks, self._limit)
        body = b"".join(_body(exchange, delivery.answer, request))
        exchange.end(Ending.WHOLE)
        if len(body) > self._limit:
            raise ResponseTooLarge(limit=self._limit)
        return body

    @asynccontextmanager
    async def stream(self, request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
        """The answer as it is made: event by event, or in one chunk if it is no stream."""
        upstream = self._upstreams.find(request.url)
        received = _received(request)
        with upstream.receive(received) as exchange:
            delivery = await self._begin(exchange, upstream.server, request, received.request.path)
            chunks = self._chunks(exchange, delivery, request)
            async with aclosing(chunks):
                yield UpstreamStream(status=delivery.answer.status, chunks=chunks)

    async def _begin(
        self, exchange: Exchange, server: Server, request: UpstreamRequest, path: str
    ) -> Delivery:
        """The answer, once its status and headers are there."""
        kind = _KINDS[request.task_type]

        def answer() -> TwinAnswer:
            return server.run(kind, request.headers, request.body, path=path, hold=exchange.hold)

        if server.is_quick(path, request.body):
            delivery = exchange.deliver(answer)
        else:
            delivery = await ANSWERING.run(partial(exchange.deliver, answer))
        await self._pause(exchange.delay, request)
        exchange.begin(delivery)
        if not delivery.begins:
            await self._break_off(exchange, delivery, request)
        return delivery

    async def _chunks(
        self, exchange: Exchange, delivery: Delivery, request: UpstreamRequest
    ) -> AsyncGenerator[bytes]:
        """The body part by part; between two, other tasks have their turn."""
        is_whole = delivery.ending is Ending.WHOLE
        for chunk, is_last in _marked(_body(exchange, delivery.answer, request)):
            if is_last and is_whole:
                exchange.end(Ending.WHOLE)  # now: who has read the last part asks for no more
            yield chunk
            if delivery.pause:
                await self._pause(delivery.pause, request)
            else:
                await asyncio.sleep(0)
        if is_whole:
            exchange.end(Ending.WHOLE)
        else:
            await self._break_off(exchange, delivery, request)

    async def _break_off(
        self, exchange: Exchange, delivery: Delivery, request: UpstreamRequest
    ) -> None:
        """End as no answer should: raises what the caller of a real upstream would see."""
        if delivery.ending is Ending.STALLED:
            await self._pause(delivery.hold, request)
        exchange.end(delivery.ending)
        refusal = delivery.refusal
        if refusal is not None:
            raise StubbedError(type=refusal.type, reason=refusal.reason, status=refusal.status)
        error: aiohttp.ClientError = aiohttp.ClientPayloadError()
        if not delivery.begins:
            is_reset = delivery.ending is Ending.RESET
            error = aiohttp.ClientOSError() if is_reset else aiohttp.ServerDisconnectedError()
        raise map_transport_error(error, request)

    async def _pause(self, seconds: float, request: UpstreamRequest) -> None:
        try:
            await self._upstreams.pauses.pause(seconds)
        except Interrupted as error:
            closed = aiohttp.ServerDisconnectedError()
            raise map_transport_error(closed, request) from error


def _received(request: UpstreamRequest) -> Received:
    path = request.url.partition("://")[2].partition("/")[2].partition("?")[0].partition("#")[0]
    return Received(
        request=TwinRequest(
            method="POST", path=f"/{unquote(path)}", headers=request.headers, body=request.body
        ),
        url=request.url,
        inference_id=request.inference_id,
        task_type=request.task_type,
    )


def _body(exchange: Exchange, answer: TwinAnswer, request: UpstreamRequest) -> Iterator[bytes]:
    """What the caller sees of the body: unpacked, and nothing where HTTP has none."""
    if answer.status in _BODILESS:
        return
    coding = _WINDOW_BITS.get(answer.headers.get("content-encoding", ""))
    unpack = None if coding is None else zlib.decompressobj(coding).decompress
    for part in answer.chunks:
        exchange.entry.send(part)
        try:
            chunk = part if unpack is None else unpack(part)
        except zlib.error as error:
            raise map_transport_error(aiohttp.ClientPayloadError(), request) from error
        if chunk:
            yield chunk


def _marked(parts: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each part, and whether it is the last."""
    remaining = iter(parts)
    part = next(remaining, None)
    while part is not None:
        following = next(remaining, None)
        yield part, following is None
        part = following
