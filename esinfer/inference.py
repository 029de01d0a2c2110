"""One inference from request to result: queue, send, parse, retry, shorten.

The walk: the provider builds the upstream request, the rate limit group lets
it through, the transport sends it, the provider checks and parses the
answer. A failure that is no ElasticsearchException in Java is wrapped at the
end, as Elasticsearch's ActionUtils does.

Source: hugging_face.md sections 5 and 6, rest.md section 6.6.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from esinfer import units
from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import (
    ElasticsearchError,
    EmptyResponse,
    RequestTimedOut,
    Retry,
    SendFailed,
)
from esinfer.limits import RateLimits
from esinfer.tasks import Request, Result, TaskType
from esinfer.upstream import Transport

if TYPE_CHECKING:
    from esinfer.services.base import Service, Task

_LONG = {TaskType.COMPLETION: 120.0, TaskType.CHAT_COMPLETION: 120.0}
_SHORT = 30.0

MOST_ATTEMPTS = 3


def default_timeout(task_type: TaskType) -> float:
    """Seconds that a request of this task type may take when it says nothing."""
    return _LONG.get(task_type, _SHORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How failed calls are tried again; times in seconds.

    ``timeout`` is how long after the first attempt another may still be
    planned, 0 for never. ``reduction`` is what a shortened text keeps.
    """

    initial_delay: float
    max_delay_bound: float
    timeout: float
    reduction: float

    def delays(self) -> list[float]:
        """Seconds to wait before the second, third, … attempt: at random in [bound/2, bound)."""
        bounds = [
            min(self.initial_delay * 2**attempt, self.max_delay_bound)
            for attempt in range(MOST_ATTEMPTS - 1)
        ]
        return [random.uniform(bound / 2, bound) for bound in bounds]  # noqa: S311 - no secret


class Inference:
    """Runs inferences; one for an app."""

    def __init__(
        self,
        transport: Transport,
        limits: RateLimits,
        policy: RetryPolicy,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._policy = policy
        self._sleep = sleep
        self._clock = clock

    async def run(
        self, service: Service, endpoint: InferenceEndpoint, request: Request, timeout: float
    ) -> Result:
        """The result of one request within ``timeout`` seconds, queueing and retries included."""
        task = service.tasks[endpoint.task_type]
        task.accept(endpoint, request)
        try:
            async with asyncio.timeout(timeout) as bound:
                await self._limits.acquire(endpoint.rate_limit_group, endpoint.inference_id)
                return await self._send(task, endpoint, request)
        except TimeoutError as late:
            if not bound.expired():
                raise
            raise RequestTimedOut(
                timeout=units.format_time(timeout), inference_id=endpoint.inference_id
            ) from late
        except ElasticsearchError as error:
            if error.is_elasticsearch:
                raise
            raise SendFailed(
                provider=service.provider,
                task_type=endpoint.task_type,
                inference_id=endpoint.inference_id,
                cause=error.reason,
            ) from error

    async def _send(self, task: Task, endpoint: InferenceEndpoint, request: Request) -> Result:
        limit = task.character_limit(endpoint)
        if limit is not None:
            request = request.cut_to(limit)
        started = self._clock()
        for delay in self._policy.delays():
            try:
                return await self._attempt(task, endpoint, request)
            except ElasticsearchError as error:
                if error.retry is Retry.NO or self._clock() - started >= self._policy.timeout:
                    raise
                if error.retry is Retry.SHORTER:
                    request = request.shortened(self._policy.reduction)
            await self._sleep(delay)
        return await self._attempt(task, endpoint, request)

    async def _attempt(self, task: Task, endpoint: InferenceEndpoint, request: Request) -> Result:
        response = await self._transport.send(task.build(endpoint, request))
        task.check(endpoint, response)
        if not response.body:
            raise EmptyResponse(inference_id=endpoint.inference_id)
        return task.parse(request, response)
