"""One inference from request to result: queue, send, parse, retry, shorten.

The walk: the provider builds the upstream request, the rate limit group lets
it through, the transport sends it, the provider checks and parses the
answer. A failure that is no ElasticsearchException in Java is wrapped at the
end, as Elasticsearch's ActionUtils does.

Source: hugging_face.md sections 5 and 6, rest.md section 6.6.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from esinfer import units
from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import (
    ElasticsearchError,
    EmptyResponse,
    RequestTimedOut,
    Retry,
    SendFailed,
    mask,
)
from esinfer.limits import RateLimits
from esinfer.services.base import EventReader, Service, Task
from esinfer.sse import Event, EventParser
from esinfer.tasks import Request, Result, TaskType
from esinfer.upstream import Transport, UpstreamRequest, UpstreamResponse, read_all

T = TypeVar("T")

logger = logging.getLogger(__name__)

DONE = b"[DONE]"
"""The data of the event that ends a stream of OpenAI's form, in any case."""

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

    def delay(self, attempt: int) -> float:
        """Seconds to wait after the ``attempt``-th failed: at random in [bound/2, bound)."""
        bound = min(self.initial_delay * 2 ** (attempt - 1), self.max_delay_bound)
        return random.uniform(bound / 2, bound)  # noqa: S311 - no secret


class Inference:
    """Runs inferences; one for an app."""

    def __init__(
        self,
        transport: Transport,
        limits: RateLimits,
        policy: RetryPolicy,
        *,
        max_response_size: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._policy = policy
        self._max_response_size = max_response_size
        self._sleep = sleep
        self._clock = clock

    async def run(
        self, service: Service, endpoint: InferenceEndpoint, request: Request, timeout: float
    ) -> Result:
        """The result of one request within ``timeout`` seconds, queueing and retries included."""
        task = service.tasks[endpoint.task_type]

        async def attempt(current: Request) -> Result:
            response = await self._transport.send(task.build(endpoint, current))
            task.check(endpoint, response)
            if not response.body:
                raise EmptyResponse(inference_id=endpoint.inference_id)
            return task.parse(endpoint, current, response)

        return await self._bounded(service, endpoint, request, timeout, attempt)

    @asynccontextmanager
    async def stream(
        self, service: Service, endpoint: InferenceEndpoint, request: Request, timeout: float
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """The events of one streamed request, in batches as they arrive.

        ``timeout`` bounds the time until the first event is there: until then
        the caller has seen nothing and can still be told. Leaving the context
        closes the upstream's connection.
        """
        streaming = service.tasks[endpoint.task_type].streaming
        if streaming is None:
            raise TypeError(f"{endpoint.task_type} of {service.name} does not stream")
        check = partial(service.tasks[endpoint.task_type].check, endpoint)
        deadline = asyncio.get_running_loop().time() + timeout
        async with AsyncExitStack() as stack:

            async def attempt(current: Request) -> AsyncIterator[bytes]:
                return await self._open(stack, streaming.build(endpoint, current), check)

            chunks = await self._bounded(service, endpoint, request, timeout, attempt)
            parser = EventParser(self._max_response_size)
            reader = _DiscreetReader(streaming.reader(endpoint), endpoint)
            events = read_events(chunks, parser, reader)
            watched = _watched(events, endpoint, deadline, timeout)
            async with aclosing(watched) as batches:
                yield batches

    async def _open(
        self,
        stack: AsyncExitStack,
        request: UpstreamRequest,
        check: Callable[[UpstreamResponse], None],
    ) -> AsyncIterator[bytes]:
        """Begin one streamed call; it is closed here unless it begins well, else by ``stack``."""
        async with AsyncExitStack() as opened:
            upstream = await opened.enter_async_context(self._transport.stream(request))
            if not 200 <= upstream.status < 300:
                body = await read_all(upstream.chunks, self._max_response_size)
                check(UpstreamResponse(status=upstream.status, body=body))
            stack.push_async_callback(opened.pop_all().aclose)
            return upstream.chunks

    async def _bounded(
        self,
        service: Service,
        endpoint: InferenceEndpoint,
        request: Request,
        timeout: float,
        attempt: Callable[[Request], Awaitable[T]],
    ) -> T:
        """Queue, then try; within the time, and with failures wrapped as Elasticsearch does."""
        task = service.tasks[endpoint.task_type]
        task.accept(endpoint, request)
        try:
            async with asyncio.timeout(timeout) as bound:
                await self._limits.acquire(endpoint.rate_limit_group, endpoint.inference_id)
                return await self._try(task, endpoint, request, attempt)
        except TimeoutError as late:
            if not bound.expired():
                raise
            raise _timed_out(endpoint, timeout) from late
        except ElasticsearchError as error:
            error.hide(endpoint.secret_settings.api_key.reveal())
            _log_failure(endpoint, error)
            if error.is_elasticsearch:
                raise
            raise SendFailed(
                provider=service.provider,
                task_type=endpoint.task_type,
                inference_id=endpoint.inference_id,
                cause=error.reason,
            ) from error

    async def _try(
        self,
        task: Task,
        endpoint: InferenceEndpoint,
        request: Request,
        attempt: Callable[[Request], Awaitable[T]],
    ) -> T:
        limit = task.character_limit(endpoint)
        if limit is not None:
            request = request.cut_to(limit)
        started = self._clock()
        for number in range(1, MOST_ATTEMPTS):
            try:
                return await attempt(request)
            except ElasticsearchError as error:
                logger.debug(
                    "inference [%s]: attempt %d failed: %s",
                    endpoint.inference_id,
                    number,
                    _story(error),
                )
                if error.retry is Retry.NO or self._clock() - started >= self._policy.timeout:
                    raise
                if error.retry is Retry.SHORTER:
                    request = request.shortened(self._policy.reduction)
            await self._sleep(self._policy.delay(number))
        return await attempt(request)


class _DiscreetReader:
    """A reader that never sees the endpoint's key: errors quote, and cut, what they are about."""

    def __init__(self, reader: EventReader, endpoint: InferenceEndpoint) -> None:
        self._reader = reader
        self._api_key = endpoint.secret_settings.api_key.reveal()
        self._found = self._api_key.encode()

    def read(self, event: Event) -> Iterator[bytes]:
        if self._found in event.data:
            masked = mask(event.data.decode("utf-8", "replace"), self._api_key)
            event = Event(event.name, masked.encode())
        return self._reader.read(event)


async def _watched(
    events: AsyncGenerator[list[bytes]],
    endpoint: InferenceEndpoint,
    deadline: float,
    timeout: float,
) -> AsyncGenerator[list[bytes]]:
    """The events; the first by the deadline, and what ends them badly in the log."""
    async with aclosing(events):
        try:
            async with asyncio.timeout_at(deadline) as bound:
                first = await anext(events, None)
            if first is not None:
                yield first
            async for batch in events:
                yield batch
        except TimeoutError as late:
            if not bound.expired():
                raise
            raise _timed_out(endpoint, timeout) from late
        except ElasticsearchError as error:
            _log_failure(endpoint, error)
            raise


def _timed_out(endpoint: InferenceEndpoint, timeout: float) -> RequestTimedOut:
    return RequestTimedOut(timeout=units.format_time(timeout), inference_id=endpoint.inference_id)


def _log_failure(endpoint: InferenceEndpoint, error: ElasticsearchError) -> None:
    """What an upstream says is the caller's business; what it does wrong is an operator's."""
    level = logging.DEBUG if error.is_elasticsearch else logging.WARNING
    logger.log(level, "inference [%s] failed: %s", endpoint.inference_id, _story(error))


def _story(error: ElasticsearchError) -> str:
    """What happened, for the log: our fixed words, and of a library's error what cannot quote."""
    cause = error.__cause__
    if cause is None or isinstance(cause, ElasticsearchError):
        return type(error).__name__
    detail = getattr(cause, "certificate_error", None) or getattr(cause, "os_error", None)
    story = f"{type(error).__name__}, {type(cause).__name__}"
    return f"{story}: {detail}" if detail else story


async def read_events(
    chunks: AsyncIterator[bytes], parser: EventParser, reader: EventReader
) -> AsyncGenerator[list[bytes]]:
    """What a stream's events say, a batch a chunk; it ends with the upstream's ``[DONE]``.

    When an event cannot be read, what came before it is passed on first.
    """
    async for chunk in chunks:
        batch, done, failure = _read_batch(parser.feed(chunk), reader)
        if batch:
            yield batch
        if failure is not None:
            raise failure
        if done:
            return
    batch, _, failure = _read_batch(parser.end(), reader)
    if batch:
        yield batch
    if failure is not None:
        raise failure


def _read_batch(
    events: Iterator[Event], reader: EventReader
) -> tuple[list[bytes], bool, ElasticsearchError | None]:
    """The payloads, whether the stream is done, and what stopped the reading."""
    batch: list[bytes] = []
    try:
        for event in events:
            if event.data.strip().upper() == DONE:
                return batch, True, None
            batch.extend(reader.read(event))
    except ElasticsearchError as failure:
        return batch, True, failure
    return batch, False, None
