"""Answers from a recording.

``Player`` finds them and knows where in each sequence it is; ``ReplayTransport``
stands in an upstream's place and never opens a connection.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

from esinfer.errors import NotRecorded, RecordingEnds
from esinfer.replay.answers import Answer, ByText, Part
from esinfer.replay.asked import Asked, Key, narrow, read_request
from esinfer.replay.batches import join, split
from esinfer.replay.nearest import describe_miss
from esinfer.replay.recording import Recording
from esinfer.replay.runs import Runs
from esinfer.threads import run_beside
from esinfer.upstream import Transport, UpstreamRequest, UpstreamResponse, UpstreamStream


class Player:
    """Plays ``entries``: the answers to a request in the order in which they were recorded."""

    def __init__(self, entries: Mapping[Key, Runs]) -> None:
        self.entries = entries
        self._played: Counter[Key] = Counter()

    def play(self, asked: Asked) -> Answer | None:
        """The next answer to a request; None, and nothing is played, if it was not recorded."""
        answer = self._next(asked.whole, 0)
        if isinstance(answer, Answer):
            self._played[asked.whole] += 1
            return answer
        parts = self.known(asked)
        if not parts or None in parts:
            return None
        return Answer(status=200, chunks=(self.fill(asked, parts, ()),))

    def known(self, asked: Asked) -> list[Part | None]:
        """The next answer to each text of a batch, None where there is none.

        A text that stands twice is asked for twice.
        """
        parts: list[Part | None] = []
        times: Counter[Key] = Counter()
        for key in asked.parts:
            part = self._next(key, times[key])
            parts.append(part if isinstance(part, Part) else None)
            times[key] += 1
        return parts

    def fill(self, asked: Asked, known: Sequence[Part | None], others: Iterable[Part]) -> bytes:
        """Play the known parts, with ``others`` in their order for the rest; the whole body."""
        rest = iter(others)
        self._played.update((asked.whole, *asked.parts))
        return join(asked, [next(rest) if part is None else part for part in known])

    def missing(self, asked: Asked) -> list[Key]:
        """The keys of a request that nothing was recorded for."""
        return [key for key in asked.parts or (asked.whole,) if key not in self.entries]

    def _next(self, key: Key, ahead: int) -> Answer | Part | ByText | None:
        runs = self.entries.get(key)
        return None if runs is None else runs.at(self._played[key] + ahead)


class ReplayTransport:
    """Answers from a recording; what it does not have is ``fallback``'s, else an error.

    One is one user's, such as a namespace: it has its own place in each sequence.
    """

    def __init__(self, recording: Recording, *, fallback: Transport | None = None) -> None:
        self._path = recording.path
        self._player = Player(recording.load(must_exist=True))
        self._fallback = fallback

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        asked = read_request(request)
        answer = self._player.play(asked)
        if answer is not None:
            return respond(answer, request)
        if self._fallback is not None:
            return (await send_rest(self._player, self._fallback, asked, request)).response
        raise await self._miss(asked, request)

    @asynccontextmanager
    async def stream(self, request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
        asked = read_request(request)
        answer = self._player.play(asked)
        async with AsyncExitStack() as stack:
            if answer is not None:
                yield await stack.enter_async_context(respond_stream(answer, request))
            elif self._fallback is not None:
                yield await stack.enter_async_context(self._fallback.stream(request))
            else:
                raise await self._miss(asked, request)

    async def _miss(self, asked: Asked, request: UpstreamRequest) -> NotRecorded:
        return await explain_miss(self._player, asked, request, str(self._path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What another transport said where nothing was recorded.

    ``parts`` are its answers to the texts of the batch ``asked``, those that
    were sent; None if it did not answer text by text.
    """

    response: UpstreamResponse
    asked: Asked
    parts: list[Part] | None


async def send_rest(
    player: Player, transport: Transport, asked: Asked, request: UpstreamRequest
) -> Sent:
    """Have another transport answer what was not recorded: of a batch those texts alone.

    So a text has the same answer in every batch.
    """
    known = player.known(asked)
    if not any(known):
        response = await transport.send(request)
        return Sent(response=response, asked=asked, parts=_split(asked, response))
    pairs = zip(asked.texts, known, strict=True)
    rest = narrow(request, [text for text, part in pairs if part is None])
    asked_rest = read_request(rest)
    response = await transport.send(rest)
    parts = _split(asked_rest, response)
    if parts is not None:
        response = UpstreamResponse(status=200, body=player.fill(asked, known, parts))
    elif 200 <= response.status < 300:  # good, but no answer to the whole batch
        response = await transport.send(request)
    return Sent(response=response, asked=asked_rest, parts=parts)


def _split(asked: Asked, response: UpstreamResponse) -> list[Part] | None:
    return split(asked, response.body) if response.status == HTTPStatus.OK else None


async def explain_miss(
    player: Player, asked: Asked, request: UpstreamRequest, path: str
) -> NotRecorded:
    """The error for a request that was not recorded."""
    missing = player.missing(asked) or [asked.whole]
    nearest = await run_beside(partial(describe_miss, missing, player.entries))
    return NotRecorded(path=path, inference_id=request.inference_id, nearest=nearest)


def respond(answer: Answer, request: UpstreamRequest) -> UpstreamResponse:
    """A recorded answer as a transport gives it, or raises it."""
    if answer.failure is not None:
        raise answer.failure.error(request)
    if answer.left:
        raise RecordingEnds
    return UpstreamResponse(status=answer.status or 0, body=answer.body)


@asynccontextmanager
async def respond_stream(answer: Answer, request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
    """The same as a stream: each event as soon as it is asked for."""
    if answer.status is None:
        respond(answer, request)
    async with aclosing(_chunks(answer, request)) as chunks:
        yield UpstreamStream(status=answer.status or 0, chunks=chunks)


async def _chunks(answer: Answer, request: UpstreamRequest) -> AsyncGenerator[bytes]:
    for chunk in answer.chunks:
        yield chunk
        await asyncio.sleep(0)  # other tasks have their turn
    if answer.failure is not None or answer.left:
        respond(answer, request)
