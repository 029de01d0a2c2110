"""Rate limits: for each rate limit group a bounded queue before one paced limiter.

Elasticsearch's bucket holds one token, so a rate of 3000 a minute is one
request each 20 ms, never a burst. Above the rate a request waits in the
queue, in order; retries are free. A request whose token is there goes at
once. Source: hugging_face.md section 6.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from aiolimiter import AsyncLimiter

from esinfer.clock import Clock
from esinfer.endpoints import RateLimitGroup
from esinfer.errors import QueueFull

_MINUTE = 60.0
_COARSE = 0.005
_LATENESS = 0.002
"""Timers fire up to so many seconds late. Where periods are not much longer, that lateness is
credited, or a fast limit would never be reached; the burst it allows is as short as itself."""


class _LimiterLoop:
    """What AsyncLimiter asks of its event loop, answered by a clock."""

    def __init__(self, clock: Clock) -> None:
        self.time = clock.time
        self.create_future = clock.create_future
        self.call_at = clock.call_at

    def call_soon(self, call: Callable[..., object], *args: object) -> asyncio.Handle:
        return asyncio.get_running_loop().call_soon(call, *args)


class _Limiter(AsyncLimiter):
    """aiolimiter's bucket, in the time of a clock."""

    def __init__(self, clock: Clock, max_rate: float, time_period: float) -> None:
        super().__init__(max_rate, time_period)
        self._clock_loop = cast("asyncio.AbstractEventLoop", _LimiterLoop(clock))

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return self._clock_loop


class Turns:
    """A lock; those who want it get it in the order in which they came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if not self._taken:
            self._taken = True
            return
        wait = self._clock.create_future()
        self._waiting.append(wait)
        try:
            await wait
        except asyncio.CancelledError:
            if not wait.cancelled():  # it was handed on to a task that is cancelled
                self._hand_on()
            raise

    async def __aexit__(self, *_exception: object) -> None:
        self._hand_on()

    def _hand_on(self) -> None:
        while self._waiting:
            wait = self._waiting.popleft()
            if not wait.done():
                wait.set_result(None)
                return
        self._taken = False


class PacedQueue:
    """The queue and the pace of one group."""

    def __init__(self, group: RateLimitGroup, capacity: int, clock: Clock | None = None) -> None:
        self._name = group.account[:8]
        self._capacity = capacity
        # Room for one token: AsyncLimiter(n, t) would let n through at once.
        period = _MINUTE / group.requests_per_minute
        room = 1 if period >= _COARSE else 1 + _LATENESS / period
        clock = clock or Clock()
        self._limiter = _Limiter(clock, room, room * period)
        self._turn = Turns(clock)  # first come, first served, which AsyncLimiter alone is not
        self.waiting = 0

    async def acquire(self, inference_id: str) -> None:
        """Wait for this request's turn and token; QueueFull if there is no room to wait."""
        if self._capacity and self.waiting >= self._capacity:
            raise QueueFull(inference_id=inference_id, group=self._name)
        self.waiting += 1
        try:
            async with self._turn:
                await self._limiter.acquire()
        finally:
            self.waiting -= 1

    @property
    def idle(self) -> bool:
        """Nobody waits and the token is there: forgetting the queue changes nothing."""
        return not self.waiting and self._limiter.has_capacity()


class RateLimits:
    """The queues of all groups, made on first use; belongs to one event loop."""

    def __init__(
        self, *, queue_capacity: int, most_idle: int = 1000, clock: Clock | None = None
    ) -> None:
        self._clock = clock or Clock()
        self._capacity = queue_capacity
        self._most_idle = most_idle
        self._queues: dict[RateLimitGroup, PacedQueue] = {}

    async def acquire(self, group: RateLimitGroup, inference_id: str) -> None:
        """Wait until a request of ``group`` may be sent."""
        queue = self._queues.get(group)
        if queue is None:
            self._forget_idle()
            queue = self._queues[group] = PacedQueue(group, self._capacity, self._clock)
        await queue.acquire(inference_id)

    def _forget_idle(self) -> None:
        if len(self._queues) >= self._most_idle:
            self._queues = {g: queue for g, queue in self._queues.items() if not queue.idle}
