"""The upstream attempts of one inference, as the journal notes and shows them.

Bodies are kept as they went by; keys are taken out when somebody looks. Times
are seconds of the namespace's clock.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import ElasticsearchError
from esinfer.masking import Kept, shown_headers, shown_url, without
from esinfer.shown_bodies import answer_to_wire, read, request_to_wire
from esinfer.upstream import UpstreamRequest, UpstreamResponse

UNRECORDED: Final = 0
"""The limit of bodies of which nothing is kept."""


class Attempt:
    """One request to the upstream, and what came of it."""

    __slots__ = ("answer", "delay", "duration", "error", "request", "sent", "shortened", "status")

    def __init__(self, request: UpstreamRequest, limit: int) -> None:
        self.request = (request.url, request.headers)
        self.sent = Kept(limit)
        self.sent.add(request.body)
        self.status: int | None = None
        self.answer = Kept(limit)
        self.error: tuple[str, str] | None = None  # type and reason: the error holds its frames
        self.duration: tuple[float, float | None] = (0.0, None)
        self.delay: float | None = None
        self.shortened = False

    def to_wire(self, secrets: Sequence[str]) -> dict[str, object]:
        """The attempt for whoever reads the journal."""
        url, headers = self.request
        shown: dict[str, object] = {
            **times_to_wire(*self.duration),
            "request": {
                "url": shown_url(url, secrets),
                "headers": shown_headers(headers, secrets),
                **request_to_wire(self.sent, secrets, read(self.sent)),
            },
            "answer": None,
        }
        if self.status is not None:
            shown["answer"] = {"status": self.status, **answer_to_wire(self.answer, secrets)}
        if self.error is not None:
            kind, reason = self.error
            shown["error"] = {"type": kind, "reason": without(reason, secrets)}
        if self.delay is not None:
            shown["retry"] = {"delay": round_seconds(self.delay), "shortened": self.shortened}
        return shown


class Run:
    """One inference: its wait for the rate limit, its attempts."""

    __slots__ = ("_clock", "_limit", "attempts", "endpoint", "waited")

    def __init__(self, endpoint: InferenceEndpoint, clock: Callable[[], float], limit: int) -> None:
        self.endpoint = endpoint
        self.waited = 0.0
        self.attempts: list[Attempt] = []
        self._clock = clock
        self._limit = limit

    async def queue(self, turn: Awaitable[None]) -> None:
        """Wait for the rate limit."""
        started = self._clock()
        try:
            await turn
        finally:
            self.waited = self._clock() - started

    def send(self, request: UpstreamRequest) -> UpstreamRequest:
        """An attempt begins with this request."""
        attempt = Attempt(request, self._limit)
        attempt.duration = (self._clock(), None)
        self.attempts.append(attempt)
        return request

    def receive(self, response: UpstreamResponse) -> UpstreamResponse:
        """The attempt is answered."""
        attempt = self.attempts[-1]
        attempt.status = response.status
        attempt.answer.add(response.body)
        self._end(attempt)
        return response

    def receive_stream(self, status: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The attempt's answer has begun; its chunks, noted as they pass."""
        attempt = self.attempts[-1]
        attempt.status = status
        return chunks if self._limit == UNRECORDED else self._noted(attempt, chunks)

    async def _noted(self, attempt: Attempt, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        try:
            async for chunk in chunks:
                attempt.answer.add(chunk)
                yield chunk
        finally:
            self._end(attempt)

    def fail(self, error: ElasticsearchError) -> None:
        """The attempt, if one was begun, came to nothing."""
        if self.attempts and self.attempts[-1].error is None:
            self.attempts[-1].error = error.type, error.reason
            self._end(self.attempts[-1])

    def retry(self, delay: float, *, shortened: bool) -> None:
        """Another attempt follows after ``delay`` seconds, with shorter inputs or the same."""
        if self.attempts:
            self.attempts[-1].delay = delay
            self.attempts[-1].shortened = shortened

    def _end(self, attempt: Attempt) -> None:
        started, ended = attempt.duration
        if ended is None:
            attempt.duration = (started, self._clock() - started)


def times_to_wire(started: float, duration: float | None) -> dict[str, float | None]:
    return {
        "time": round_seconds(started),
        "duration": None if duration is None else round_seconds(duration),
    }


def round_seconds(value: float) -> float:
    """To the microsecond: below it are rounding errors only."""
    return round(value, 6)
