"""Rate limits: for each rate limit group a bounded queue before one paced limiter.

Elasticsearch's bucket holds one token, so a rate of 3000 a minute is one
request each 20 ms, never a burst. Above the rate a request waits in the
queue, in order; retries are free. A request whose token is there goes at
once. Source: hugging_face.md section 6.
"""

from __future__ import annotations

import asyncio

from aiolimiter import AsyncLimiter

from esinfer.endpoints import RateLimitGroup
from esinfer.errors import QueueFull

_MINUTE = 60.0
_COARSE = 0.005
_LATENESS = 0.002
"""Timers fire up to so many seconds late. Where periods are not much longer, that lateness is
credited, or a fast limit would never be reached; the burst it allows is as short as itself."""


class PacedQueue:
    """The queue and the pace of one group."""

    def __init__(self, group: RateLimitGroup, capacity: int) -> None:
        self._name = group.account[:8]
        self._capacity = capacity
        # Room for one token: AsyncLimiter(n, t) would let n through at once.
        period = _MINUTE / group.requests_per_minute
        room = 1 if period >= _COARSE else 1 + _LATENESS / period
        self._limiter = AsyncLimiter(room, room * period)
        self._turn = asyncio.Lock()  # first come, first served, which AsyncLimiter alone is not
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

    def __init__(self, *, queue_capacity: int, most_idle: int = 1000) -> None:
        self._capacity = queue_capacity
        self._most_idle = most_idle
        self._queues: dict[RateLimitGroup, PacedQueue] = {}

    async def acquire(self, group: RateLimitGroup, inference_id: str) -> None:
        """Wait until a request of ``group`` may be sent."""
        queue = self._queues.get(group)
        if queue is None:
            self._forget_idle()
            queue = self._queues[group] = PacedQueue(group, self._capacity)
        await queue.acquire(inference_id)

    def _forget_idle(self) -> None:
        if len(self._queues) >= self._most_idle:
            self._queues = {g: queue for g, queue in self._queues.items() if not queue.idle}
