"""One inference from request to result: queue, send, parse, retry, shorten.

The walk: the provider builds the upstream request, the rate limit group lets
it through, the transport sends it, the provider checks and parses the
answer. A failure that is no ElasticsearchException in Java is wrapped at the
end, as Elasticsearch's ActionUtils does.

Source: hugging_face.md sections 5 and 6, rest.md section 6.6.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TypeVar

from esinfer import units
from esinfer.attempts import Run
from esinfer.clock import Clock
from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import (
    ElasticsearchError,
    EmptyResponse,
    RequestTimedOut,
    Retry,
    SendFailed,
    mask,
)
from esinfer.journal import open_run
from esinfer.limits import RateLimits
from esinfer.services.base import EventReader, Service, Task
from esinfer.sse import Event, EventParser
from esinfer.tasks import Request, Result, TaskType
from esinfer.upstream import Transport, UpstreamRequest, UpstreamResponse, read_all
from esinfer.waits import Timeout

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

    def delay(self, attempt: int, random: Random) -> float:
        """Seconds to wait after the ``attempt``-th failed: at random in [bound/2, bound)."""
        bound = min(self.initial_delay * 2 ** (attempt - 1), self.max_delay_bound)
        return random.uniform(bound / 2, bound)


class Inference:
    """Runs inferences; one for a namespace. A seeded ``random`` makes delays repeat."""

    def __init__(
        self,
        transport: Transport,
        limits: RateLimits,
        policy: RetryPolicy,
        *,
        max_response_size: int,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._policy = policy
        self._max_response_size = max_response_size
        self.clock = clock or Clock()
        self._random = random or Random()  # noqa: S311 - no secret

    async def run(
        self, service: Service, endpoint: InferenceEndpoint, request: Request, timeout: float
    ) -> Result:
        """The result of one request within ``timeout`` seconds, queueing and retries included."""
        task = service.tasks[endpoint.task_type]

        async def attempt(current: Request, run: Run) -> Result:
            sent = run.send(task.build(endpoint, current))
            response = _discreet(run.receive(await self._transport.send(sent)), endpoint)
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
        deadline = self.clock.time() + timeout
        async with AsyncExitStack() as stack:

            async def attempt(current: Request, run: Run) -> AsyncIterator[bytes]:
                sent = run.send(streaming.build(endpoint, current))
                return await self._open(stack, sent, check, run)

            chunks = await self._bounded(service, endpoint, request, timeout, attempt)
            parser = EventParser(self._max_response_size)
            reader = _DiscreetReader(streaming.reader(endpoint), endpoint)
            events = read_events(chunks, parser, reader)
            bound = self.clock.timeout_at(deadline)
            watched = _watched(events, endpoint, bound, timeout)
            async with aclosing(watched) as batches:
                yield batches

    async def _open(
        self,
        stack: AsyncExitStack,
        request: UpstreamRequest,
        check: Callable[[UpstreamResponse], None],
        run: Run,
    ) -> AsyncIterator[bytes]:
        """Begin one streamed call; it is closed here unless it begins well, else by ``stack``."""
        async with AsyncExitStack() as opened:
            upstream = await opened.enter_async_context(self._transport.stream(request))
            if not 200 <= upstream.status < 300:
                body = await read_all(upstream.chunks, self._max_response_size)
                check(run.receive(UpstreamResponse(status=upstream.status, body=body)))
            stack.push_async_callback(opened.pop_all().aclose)
            return run.receive_stream(upstream.status, upstream.chunks)

    async def _bounded(
        self,
        service: Service,
        endpoint: InferenceEndpoint,
        request: Request,
        timeout: float,
        attempt: Callable[[Request, Run], Awaitable[T]],
    ) -> T:
        """Queue, then try; within the time, and with failures wrapped as Elasticsearch does."""
        task = service.tasks[endpoint.task_type]
        task.accept(endpoint, request)
        run = open_run(endpoint, self.clock.time)
        try:
            async with self.clock.timeout(timeout) as bound:
                group = endpoint.rate_limit_group
                await run.queue(self._limits.acquire(group, endpoint.inference_id))
                return await self._try(task, request, attempt, run)
        except TimeoutError as late:
            if not bound.expired():
                raise
            timed_out = _timed_out(endpoint, timeout)
            run.fail(timed_out)
            raise timed_out from late
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
        request: Request,
        attempt: Callable[[Request, Run], Awaitable[T]],
        run: Run,
    ) -> T:
        limit = task.character_limit(run.endpoint)
        if limit is not None:
            request = request.cut_to(limit)
        started = self.clock.time()
        number = 0
        while True:
            number += 1
            try:
                return await attempt(request, run)
            except ElasticsearchError as error:
                run.fail(error)
                if number == MOST_ATTEMPTS:
                    raise
                _log_attempt(run.endpoint, number, error)
                late = self.clock.time() - started >= self._policy.timeout
                if error.retry is Retry.NO or late:
                    raise
                shortens = error.retry is Retry.SHORTER
                if shortens:
                    request = request.shortened(self._policy.reduction)
            delay = self._policy.delay(number, self._random)
            run.retry(delay, shortened=shortens)
            await self.clock.sleep(delay)


def _discreet(response: UpstreamResponse, endpoint: InferenceEndpoint) -> UpstreamResponse:
    """The answer without the endpoint's key, which an upstream may quote in a result too."""
    api_key = endpoint.secret_settings.api_key.reveal()
    # Without a quotation mark there are numbers only, which are many.
    if b'"' not in response.body or api_key.encode() not in response.body:
        return response
    masked = mask(response.body.decode(errors="surrogateescape"), api_key)
    return replace(response, body=masked.encode(errors="surrogateescape"))


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
    bound: Timeout,
    timeout: float,
) -> AsyncGenerator[list[bytes]]:
    """The events; the first within ``bound``, and what ends them badly in the log."""
    async with aclosing(events):
        try:
            async with bound:
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


def _log_attempt(endpoint: InferenceEndpoint, number: int, error: ElasticsearchError) -> None:
    logger.debug(
        "inference [%s]: attempt %d failed: %s", endpoint.inference_id, number, _story(error)
    )


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
