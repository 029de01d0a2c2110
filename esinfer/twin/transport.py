"""The twin as a transport: ``esinfer mock`` answers every upstream request here, in process.

No packet leaves the machine, whatever the request's ``url`` says: the form of
the answer follows from the task type.
"""

from __future__ import annotations

import asyncio

from esinfer.tasks import TaskType
from esinfer.twin.tei import Kind, Twin
from esinfer.upstream import UpstreamRequest, UpstreamResponse

_KINDS = {TaskType.TEXT_EMBEDDING: Kind.EMBED, TaskType.SPARSE_EMBEDDING: Kind.ELSER}
_LARGE = 16 * 1024
"""Bodies over this are answered in a thread, so that embedding does not hold other requests."""


class TwinTransport:
    """Sends to a twin of this process."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        if len(request.body) > _LARGE:
            return await asyncio.to_thread(self._answer, request)
        return self._answer(request)

    def _answer(self, request: UpstreamRequest) -> UpstreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = self._twin.run(_KINDS[request.task_type], headers, request.body)
        return UpstreamResponse(status=answer.status, body=answer.body)
