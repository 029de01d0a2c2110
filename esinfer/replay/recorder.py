"""Notes what passes between esinfer and its upstreams.

Whoever was answered finds the answer in the file: it is written first. An
answer whose reader gave up before it came is not recorded.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from enum import StrEnum
from typing import Final

from esinfer.errors import ElasticsearchError, NotRecorded, RecordingFailed
from esinfer.replay.answers import Answer, ByText, Failure, Part, Recorded, cut_events
from esinfer.replay.asked import Asked, Key, read_request
from esinfer.replay.player import Player, explain_miss, respond, respond_stream, send_rest
from esinfer.replay.problems import RecordingError
from esinfer.replay.recording import Recording
from esinfer.replay.runs import Runs
from esinfer.threads import run_beside
from esinfer.upstream import Transport, UpstreamRequest, UpstreamResponse, UpstreamStream


class RecordMode(StrEnum):
    """When the upstream is called and recorded, as VCR's record modes.

    ``once``: if there was no file at the start; else it alone answers, and what
    it does not have is an error. ``new``: for what the file does not have.
    ``all``: always; what was asked before is replaced. ``none``: never.
    """

    ONCE = "once"
    NEW = "new"
    ALL = "all"
    NONE = "none"


class RecordingTransport:
    """Sends through another transport and records; what was recorded before may answer instead."""

    def __init__(self, inner: Transport, recording: Recording, mode: RecordMode) -> None:
        self._inner = inner
        self._recording = recording
        known = {} if mode is RecordMode.ALL else recording.load()
        self._records = mode in (RecordMode.NEW, RecordMode.ALL) or (
            mode is RecordMode.ONCE and not recording.exists
        )
        self._mode = mode
        self._player = Player(known)
        self._fresh: dict[Key, Runs] = {}
        if self._records:
            recording.make_directory()

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        asked = read_request(request)
        played = self._player.play(asked)
        if played is not None:
            return respond(played, request)
        if not self._records:
            raise await self._miss(asked, request)
        try:
            sent = await send_rest(self._player, self._inner, asked, request)
        except ElasticsearchError as error:
            await self._keep_failure(asked, error)
            raise
        response = sent.response
        if sent.parts is not None:
            await self._keep_parts(asked, sent.asked.parts, sent.parts)
        else:
            chunks = (asked.mask.body(response.body),)
            await self._keep(asked, Answer(status=response.status, chunks=chunks))
        return response

    @asynccontextmanager
    async def stream(self, request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
        asked = read_request(request)
        played = self._player.play(asked)
        async with AsyncExitStack() as stack:
            if played is not None:
                yield await stack.enter_async_context(respond_stream(played, request))
            elif self._records:
                yield await self._record_stream(stack, asked, request)
            else:
                raise await self._miss(asked, request)

    async def _record_stream(
        self, stack: AsyncExitStack, asked: Asked, request: UpstreamRequest
    ) -> UpstreamStream:
        try:
            upstream = await stack.enter_async_context(self._inner.stream(request))
        except ElasticsearchError as error:
            await self._keep_failure(asked, error)
            raise

        async def keep(body: bytes, failure: Failure | None, left: bool) -> None:
            events = cut_events(asked.mask.body(body))
            answer = Answer(
                status=upstream.status, chunks=events, streamed=True, left=left, failure=failure
            )
            await self._keep(asked, answer)

        tape = _Tape(upstream.chunks, keep)
        stack.push_async_callback(tape.leave)
        chunks = await stack.enter_async_context(aclosing(tape.read()))
        return UpstreamStream(status=upstream.status, chunks=chunks)

    async def _miss(self, asked: Asked, request: UpstreamRequest) -> NotRecorded:
        error = await explain_miss(self._player, asked, request, str(self._recording.path))
        error.reason += f"; it is not asked for in the record mode [{self._mode}]"
        return error

    async def _keep_failure(self, asked: Asked, error: ElasticsearchError) -> None:
        failure = Failure.of(error)
        if failure is not None:
            await self._keep(asked, Answer(failure=failure))

    async def _keep(self, asked: Asked, answer: Answer) -> None:
        """Write down the next answer to a request."""
        self._note(asked.whole, answer)
        await self._save()

    async def _keep_parts(self, asked: Asked, keys: Sequence[Key], parts: Sequence[Part]) -> None:
        """Write down the next answer to each text that was sent."""
        self._note(asked.whole, ByText())
        for key, part in zip(keys, parts, strict=True):
            self._note(key, part)
        await self._save()

    def _note(self, key: Key, recorded: Recorded) -> None:
        runs = self._fresh.setdefault(key, Runs())
        runs.add(recorded)
        self._recording.note(key, runs)

    async def _save(self) -> None:
        try:
            await run_beside(self._recording.save)
        except RecordingError as error:
            raise RecordingFailed(problem=str(error)) from error


_DONE: Final = re.compile(rb"(?:^|[\r\n])data: ?\[done\] *[\r\n]", re.IGNORECASE)
_LONGEST_DONE: Final = 64
"""Bytes at the end of a chunk in which the event that ends a stream may have begun."""


class _Tape:
    """A stream while it is read; kept once, at its end or where its reader leaves it."""

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        keep: Callable[[bytes, Failure | None, bool], Awaitable[None]],
    ) -> None:
        self._chunks = chunks
        self._keep = keep
        self._read: list[bytes] = []
        self._is_kept = False

    async def read(self) -> AsyncGenerator[bytes]:
        """The chunks. Who has seen the last event asks for no more, so it is kept before."""
        tail = b""
        try:
            async for chunk in self._chunks:
                self._read.append(chunk)
                tail += chunk
                if _DONE.search(tail):
                    await self._end()
                tail = tail[-_LONGEST_DONE:]
                yield chunk
        except ElasticsearchError as error:
            failure = Failure.of(error)
            await self._end(failure, left=failure is None)
            raise
        await self._end()

    async def leave(self) -> None:
        """Nobody reads any further."""
        await self._end(left=True)

    async def _end(self, failure: Failure | None = None, *, left: bool = False) -> None:
        if not self._is_kept:
            self._is_kept = True
            await self._keep(b"".join(self._read), failure, left)
