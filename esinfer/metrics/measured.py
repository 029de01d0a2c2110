"""Upstreams and rate limits, watched: the same to their callers, with a stopwatch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from time import perf_counter

from esinfer.clock import Clock
from esinfer.endpoints import RateLimitGroup
from esinfer.errors import (
    ConnectError,
    ConnectionClosed,
    ConnectTimeout,
    ElasticsearchError,
    InvalidHost,
    QueueFull,
    ResponseTooLarge,
    TlsError,
)
from esinfer.limits import RateLimits
from esinfer.metrics.meters import Meters
from esinfer.metrics.timing import TIMING
from esinfer.upstream import Transport, UpstreamRequest, UpstreamResponse, UpstreamStream

_OUTCOMES: Mapping[type[BaseException], str] = {
    ConnectTimeout: "connect_timed_out",
    ConnectError: "connect_failed",
    InvalidHost: "unknown_host",
    TlsError: "tls_failed",
    ConnectionClosed: "connection_closed",
    ResponseTooLarge: "response_too_large",
    ElasticsearchError: "failed",
    asyncio.CancelledError: "cancelled",
}
"""By the most specific class; ``cancelled`` is a request out of time, or whose client went away."""


def outcome_of_status(status: int) -> str:
    """``429`` for itself, else the hundreds: ``2xx``."""
    return "429" if status == 429 else f"{status // 100}xx"


def outcome_of_error(error: BaseException) -> str:
    return next((_OUTCOMES[kind] for kind in type(error).__mro__ if kind in _OUTCOMES), "defect")


class MeasuredTransport:
    """A Transport before another one; streams are timed till they begin, counted at their end."""

    def __init__(self, transport: Transport, meters: Meters | None) -> None:
        self._transport = transport
        self._meters = meters

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        began = perf_counter()
        outcome = ""
        try:
            response = await self._transport.send(request)
        except BaseException as error:
            outcome = outcome_of_error(error)
            raise
        else:
            outcome = outcome_of_status(response.status)
            return response
        finally:
            self._count(request, outcome, _seconds_since(began))

    @asynccontextmanager
    async def stream(self, request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
        async with AsyncExitStack() as stack:
            began = perf_counter()
            try:
                stream = await stack.enter_async_context(self._transport.stream(request))
            except BaseException as error:
                self._count(request, outcome_of_error(error), _seconds_since(began))
                raise
            seconds = _seconds_since(began)
            watched = _WatchedStream(stream)
            try:
                async with aclosing(watched.chunks()) as chunks:
                    yield UpstreamStream(status=stream.status, chunks=chunks)
            finally:
                self._count(request, watched.outcome, seconds)

    def _count(self, request: UpstreamRequest, outcome: str, seconds: float) -> None:
        if self._meters is not None:
            self._meters.count_attempt(request.service, request.task_type, outcome, seconds)


def _seconds_since(began: float) -> float:
    """The time that an upstream took to answer, which the request's own timing has too."""
    seconds = perf_counter() - began
    timing = TIMING.get()
    if timing is not None:
        timing.upstream += seconds
    return seconds


class _WatchedStream:
    """A stream whose outcome is that of its status until its chunks break off."""

    def __init__(self, stream: UpstreamStream) -> None:
        self._stream = stream
        self.outcome = outcome_of_status(stream.status)

    async def chunks(self) -> AsyncGenerator[bytes]:
        try:
            async for chunk in self._stream.chunks:
                yield chunk
        except (Exception, asyncio.CancelledError) as error:
            self.outcome = outcome_of_error(error)
            raise


class MeasuredLimits(RateLimits):
    """Rate limits whose waits are measured."""

    def __init__(self, *, queue_capacity: int, clock: Clock, meters: Meters | None) -> None:
        super().__init__(queue_capacity=queue_capacity, clock=clock)
        self._meters = meters

    async def acquire(self, group: RateLimitGroup, inference_id: str) -> None:
        began = perf_counter()
        meters = self._meters
        label = ""
        if meters is not None:
            label = meters.group(group.account)
            meters.begin_wait(label)
        refused = False
        try:
            await super().acquire(group, inference_id)
        except QueueFull:
            refused = True
            raise
        finally:
            seconds = perf_counter() - began
            if meters is not None:
                meters.end_wait(label, seconds, refused=refused)
            timing = TIMING.get()
            if timing is not None:
                timing.infers = True
                timing.queue += seconds
