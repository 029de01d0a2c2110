"""The twin as a transport: ``esinfer mock`` answers every upstream request here, in process.

No packet leaves the machine, whatever the request's ``url`` says: the form of
the answer follows from the task type.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager

from esinfer.tasks import TaskType
from esinfer.twin.answers import TwinAnswer
from esinfer.twin.servers import Kind, Server
from esinfer.upstream import UpstreamRequest, UpstreamResponse, UpstreamStream

_KINDS = {
    TaskType.TEXT_EMBEDDING: Kind.EMBED,
    TaskType.SPARSE_EMBEDDING: Kind.ELSER,
    TaskType.RERANK: Kind.RERANK,
    TaskType.COMPLETION: Kind.CHAT,
    TaskType.CHAT_COMPLETION: Kind.CHAT,
}
_LARGE = 16 * 1024
"""Bodies over this are answered in a thread, so that they do not hold other requests."""


class TwinTransport:
    """Sends to a twin of this process."""

    def __init__(self, twin: Server) -> None:
        self._twin = twin

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """The whole answer; that of a stream is its events, joined."""
        answer = await self._answer(request)
        return UpstreamResponse(status=answer.status, body=b"".join(answer.chunks))

    @asynccontextmanager
    async def stream(self, request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
        """The answer as it is made: event by event, or in one chunk if it is no stream."""
        answer = await self._answer(request)
        async with aclosing(_paced(answer.chunks)) as chunks:
            yield UpstreamStream(status=answer.status, chunks=chunks)

    async def _answer(self, request: UpstreamRequest) -> TwinAnswer:
        kind = _KINDS[request.task_type]
        if len(request.body) > _LARGE:
            return await asyncio.to_thread(self._twin.run, kind, request.headers, request.body)
        return self._twin.run(kind, request.headers, request.body)


async def _paced(chunks: Iterable[bytes]) -> AsyncGenerator[bytes]:
    """Chunk by chunk; between two, other tasks have their turn."""
    for chunk in chunks:
        yield chunk
        await asyncio.sleep(0)
