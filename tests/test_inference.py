"""One inference: attempts, delays, shortened bodies, timeouts, wrapped errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer import clock as clocks
from esinfer.api.responses import error_body
from esinfer.endpoints import InferenceEndpoint, RateLimit, Secret, SecretSettings
from esinfer.errors import (
    ConnectionClosed,
    ElasticsearchError,
    HttpClientFailed,
    InvalidHost,
    ResponseTooLarge,
)
from esinfer.inference import MOST_ATTEMPTS, Inference, RetryPolicy, default_timeout
from esinfer.limits import RateLimits
from esinfer.services.hugging_face import (
    SERVICE,
    ChatSettings,
    EmbeddingSettings,
    SparseSettings,
)
from esinfer.tasks import CompletionRequest, EmbeddingRequest, InputType, Request, TaskType
from esinfer.upstream import Transport, UpstreamRequest, UpstreamResponse, UpstreamStream
from tests.clock import Clock
from tests.conftest import Answer, Client, Upstream, create, envelope

LIMIT = RateLimit(requests_per_minute=60)
ENDPOINT = InferenceEndpoint(
    inference_id="id",
    task_type=TaskType.TEXT_EMBEDDING,
    service="hugging_face",
    service_settings=EmbeddingSettings(url="http://h", rate_limit=LIMIT),
    secret_settings=SecretSettings(api_key=Secret("hf_key")),
)
SPARSE = replace(
    ENDPOINT,
    task_type=TaskType.SPARSE_EMBEDDING,
    service_settings=SparseSettings(url="http://h", rate_limit=LIMIT),
)
COMPLETION = replace(
    ENDPOINT,
    task_type=TaskType.COMPLETION,
    service_settings=ChatSettings(url="http://h", rate_limit=LIMIT),
)
REQUEST = EmbeddingRequest(inputs=("abcd",))
PROMPT = CompletionRequest(inputs=("abcd",))
MOST = 1000
CHANCE = Random(0)  # noqa: S311 - no secret
POLICY = RetryPolicy(initial_delay=1.0, max_delay_bound=5.0, timeout=30.0, reduction=0.5)
GOOD = UpstreamResponse(status=200, body=b"[[1,2]]")
GOOD_WIRE = b'{"text_embedding":[{"embedding":[1.0,2.0]}]}'

Step = UpstreamResponse | Exception
CLOSED = ConnectionClosed(reason="closed")


def status(number: int, error: str = "no") -> UpstreamResponse:
    return UpstreamResponse(status=number, body=orjson.dumps({"error": error}))


async def one_chunk(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


@dataclass(slots=True)
class Script:
    """A transport that answers as told, the last answer again and again."""

    steps: Sequence[Step]
    sent: list[UpstreamRequest] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        self.sent.append(request)
        step = self.steps[min(len(self.sent), len(self.steps)) - 1]
        if isinstance(step, Exception):
            raise step
        return step

    @asynccontextmanager
    async def stream(self, request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
        answer = await self.send(request)
        yield UpstreamStream(status=answer.status, chunks=one_chunk(answer.body))

    @property
    def inputs(self) -> list[list[str]]:
        return [orjson.loads(request.body)["inputs"] for request in self.sent]


def inference(
    transport: Transport, policy: RetryPolicy = POLICY, queue_capacity: int = 0, **seams: Any
) -> Inference:
    limits = RateLimits(queue_capacity=queue_capacity)
    return Inference(transport, limits, policy, max_response_size=MOST, **seams)


class SleeplessClock(clocks.Clock):
    """Moves on by what is slept, and waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass(slots=True)
class Run:
    """One inference with its transport, and the delays it slept."""

    script: Script
    policy: RetryPolicy = POLICY
    clock: SleeplessClock = field(default_factory=SleeplessClock)

    @property
    def slept(self) -> list[float]:
        return self.clock.slept

    async def __call__(
        self, endpoint: InferenceEndpoint = ENDPOINT, request: Request = REQUEST
    ) -> bytes:
        result = await self._inference().run(SERVICE, endpoint, request, 30)
        return result.to_json()

    async def streams(self) -> list[list[bytes]]:
        async with self._inference().stream(SERVICE, COMPLETION, PROMPT, 30) as batches:
            return [batch async for batch in batches]

    def _inference(self) -> Inference:
        return inference(self.script, self.policy, clock=self.clock)

    async def fails(
        self, endpoint: InferenceEndpoint = ENDPOINT, request: Request = REQUEST
    ) -> dict[str, Any]:
        with pytest.raises(ElasticsearchError) as raised:
            await self(endpoint, request)
        return error_body(raised.value)

    async def fails_to_stream(self) -> dict[str, Any]:
        with pytest.raises(ElasticsearchError) as raised:
            await self.streams()
        return error_body(raised.value)


def run(*steps: Step, **policy: float) -> Run:
    return Run(Script(steps), replace(POLICY, **policy))


# -- attempts ---------------------------------------------------------------


async def test_good_answer_is_one_attempt() -> None:
    one = run(GOOD)
    assert await one() == GOOD_WIRE
    assert (len(one.script.sent), one.slept) == (1, [])


@pytest.mark.parametrize(
    "failure",
    [status(429), status(502), status(503), status(413), CLOSED],
)
async def test_passing_failure_is_tried_again(failure: Step) -> None:
    one = run(failure, failure, GOOD)
    assert await one() == GOOD_WIRE
    assert len(one.script.sent) == 3


async def test_failures_of_different_kinds_share_the_three_attempts() -> None:
    one = run(status(503), CLOSED, status(429, "slow down"), GOOD)
    assert await one.fails() == envelope(
        "status_exception",
        "Received a rate limit status code for request from inference entity id [id]"
        " status [429]. Error message: [slow down]",
        429,
    )
    assert len(one.script.sent) == MOST_ATTEMPTS == 3


@pytest.mark.parametrize("number", [300, 307, 400, 401, 402, 404, 408, 409, 422, 424, 500, 504])
async def test_lasting_failure_is_not_tried_again(number: int) -> None:
    one = run(status(number), GOOD)
    assert (await one.fails())["status"] == (number if number < 500 else 400)
    assert (len(one.script.sent), one.slept) == (1, [])


async def test_unknown_host_is_not_tried_again() -> None:
    one = run(InvalidHost(url="http://h"), GOOD)
    assert await one.fails() == envelope(
        "status_exception", "Invalid host [http://h], please check that the URL is correct."
    )
    assert len(one.script.sent) == 1


async def test_request_that_cannot_be_made_is_not_tried_again() -> None:
    one = run(HttpClientFailed(inference_id="id"), GOOD)
    assert await one.fails() == envelope(
        "exception", "Http client failed to send request from inference entity id [id]", 500
    )
    assert len(one.script.sent) == 1


@pytest.mark.parametrize(
    ("body", "line", "col", "found"),
    [(b"[1]", 1, 2, "VALUE_NUMBER"), (b'[{"a":1}]', 1, 2, "START_OBJECT")],
)
async def test_malformed_answer_is_asked_for_three_times(
    body: bytes, line: int, col: int, found: str
) -> None:
    one = run(UpstreamResponse(status=200, body=body))
    error = {
        "type": "parsing_exception",
        "reason": "Failed to parse object: expecting token of type [START_ARRAY]"
        f" but found [{found}]",
        "line": line,
        "col": col,
    }
    assert await one.fails() == {"error": {"root_cause": [error], **error}, "status": 400}
    assert len(one.script.sent) == 3


async def test_malformed_answer_may_be_followed_by_a_good_one() -> None:
    one = run(UpstreamResponse(status=200, body=b"<html>"), GOOD)
    assert await one() == GOOD_WIRE


# -- delays -----------------------------------------------------------------


@given(
    st.floats(0.001, 10),
    st.floats(0.001, 10),
)
def test_delays_are_random_between_half_the_bound_and_the_bound(
    initial: float, most: float
) -> None:
    policy = replace(POLICY, initial_delay=initial, max_delay_bound=most)
    for attempt, bound in enumerate((initial, initial * 2, initial * 4), 1):
        assert min(bound, most) / 2 <= policy.delay(attempt, CHANCE) <= min(bound, most)


async def test_waits_between_the_attempts_and_not_after_the_last() -> None:
    one = run(status(503))
    await one.fails()
    first, second = one.slept
    assert 0.5 <= first <= 1
    assert 1 <= second <= 2


async def test_retry_timeout_of_zero_is_never() -> None:
    one = run(status(503), GOOD, timeout=0)
    assert (await one.fails())["status"] == 400
    assert (len(one.script.sent), one.slept) == (1, [])


async def test_no_retry_is_planned_once_the_retry_timeout_is_over() -> None:
    one = run(status(503), timeout=0.4)  # over after the first delay, which is 0.5 at least
    await one.fails()
    assert len(one.script.sent) == 2


# -- shortened bodies -------------------------------------------------------


async def test_too_large_content_is_halved_twice() -> None:
    one = run(status(413, "too long"))
    assert await one.fails() == envelope(
        "status_exception",
        "Received a content too large status code for request from inference entity id [id]"
        " status [413]. Error message: [too long]",
        413,
    )
    assert one.script.inputs == [["abcd"], ["ab"], ["a"]]


async def test_reduction_is_a_setting() -> None:
    one = run(status(413), reduction=0.75)
    await one.fails()
    assert one.script.inputs == [["abcd"], ["abc"], ["ab"]]


async def test_other_failures_shorten_nothing() -> None:
    one = run(status(503), status(413), GOOD)
    await one()
    assert one.script.inputs == [["abcd"], ["abcd"], ["ab"]]


async def test_known_token_limit_cuts_before_sending() -> None:
    settings = EmbeddingSettings(url="http://h", rate_limit=LIMIT, max_input_tokens=1)
    one = run(GOOD)
    await one(replace(ENDPOINT, service_settings=settings))
    assert one.script.inputs == [["abc"]]


async def test_sparse_result_flags_what_the_successful_attempt_cut() -> None:
    one = run(status(413), UpstreamResponse(status=200, body=b'[{"a":1},{"b":2}]'))
    request = EmbeddingRequest(inputs=("x" * 2000, ""))
    assert await one(SPARSE, request) == (
        b'{"sparse_embedding":[{"is_truncated":true,"embedding":{"a":1.0}},'
        b'{"is_truncated":false,"embedding":{"b":2.0}}]}'
    )
    assert one.script.inputs == [["x" * 1536, ""], ["x" * 768, ""]]


# -- completion -------------------------------------------------------------

COMPLETED = UpstreamResponse(status=200, body=b'{"choices":[{"message":{"content":"x"}}]}')
COMPLETED_WIRE = b'{"completion":[{"result":"x"}]}'
DELTAS = UpstreamResponse(
    status=200, body=b'data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n'
)


@pytest.mark.parametrize("failure", [status(500), status(503), status(413), CLOSED])
async def test_passing_failure_of_a_completion_is_tried_again(failure: Step) -> None:
    one = run(failure, failure, COMPLETED)
    assert await one(COMPLETION, PROMPT) == COMPLETED_WIRE
    bodies = {request.body for request in one.script.sent}
    assert len(one.script.sent) == 3
    assert bodies == {b'{"messages":[{"content":"abcd","role":"user"}],"n":1,"stream":false}'}


@pytest.mark.parametrize("number", [300, 400, 401, 404, 422, 429, 502, 504])
async def test_lasting_failure_of_a_completion_is_not_tried_again(number: int) -> None:
    one = run(status(number), COMPLETED)
    assert (await one.fails(COMPLETION, PROMPT))["status"] == (number if number < 500 else 400)
    assert (len(one.script.sent), one.slept) == (1, [])


@pytest.mark.parametrize("failure", [status(500), status(503), CLOSED])
async def test_stream_that_does_not_begin_is_tried_again(failure: Step) -> None:
    one = run(failure, failure, DELTAS)
    assert await one.streams() == [[b'{"completion":[{"delta":"x"}]}']]
    assert len(one.script.sent) == 3


async def test_stream_that_is_refused_says_why_and_is_not_tried_again() -> None:
    refused = UpstreamResponse(status=401, body=b'{"error":{"message":"no key"}}')
    one = run(refused, DELTAS)
    assert await one.fails_to_stream() == envelope(
        "status_exception",
        "Received an authentication error status code for request from inference entity id [id]"
        " status [401]. Error message: [no key]",
        401,
    )
    assert len(one.script.sent) == 1


async def test_refusal_of_a_stream_is_read_up_to_the_limit() -> None:
    one = run(UpstreamResponse(status=401, body=b"x" * (MOST + 1)), DELTAS)
    assert await one.fails_to_stream() == wrapped(
        "i_o_exception", f"Maximum limit of [{MOST}] bytes reached", "completion"
    )
    assert len(one.script.sent) == 1


async def test_stream_of_a_task_that_does_not_stream_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="text_embedding of hugging_face does not stream"):
        async with inference(Script([GOOD])).stream(SERVICE, ENDPOINT, REQUEST, 30):
            raise AssertionError("unreachable")


# -- wrapped errors ---------------------------------------------------------


def wrapped(kind: str, cause: str, task: str = "text_embedding") -> dict[str, object]:
    return envelope(
        "status_exception",
        f"Failed to send Hugging Face {task} request from inference entity id [id]. Cause: {cause}",
        500,
        caused_by={"type": kind, "reason": cause},
    )


async def test_failure_that_is_plain_java_is_wrapped() -> None:
    one = run(ConnectionClosed(reason="Connection closed by peer"))
    assert await one.fails() == wrapped("connection_closed_exception", "Connection closed by peer")
    assert len(one.script.sent) == 3


async def test_wrapper_names_the_task() -> None:
    one = run(UpstreamResponse(status=200, body=b"[{"))
    body = await one.fails(SPARSE)
    assert body["error"]["reason"].startswith(
        "Failed to send Hugging Face sparse_embedding request from inference entity id [id]. Cause:"
    )


async def test_missing_field_is_wrapped_after_three_attempts() -> None:
    one = run(UpstreamResponse(status=200, body=b"{}"))
    assert await one.fails() == wrapped(
        "illegal_state_exception",
        "Failed to find required field [embeddings] in Hugging Face embeddings response",
    )
    assert len(one.script.sent) == 3


@pytest.mark.parametrize("number", [200, 204, 299])
async def test_empty_body_is_not_asked_for_again(number: int) -> None:
    one = run(UpstreamResponse(status=number, body=b""), GOOD)
    assert await one.fails() == wrapped(
        "illegal_state_exception",
        "Response body was empty for request from inference entity id [id]",
    )
    assert len(one.script.sent) == 1


async def test_answer_over_the_limit_is_not_asked_for_again() -> None:
    one = run(ResponseTooLarge(limit=52428800), GOOD)
    assert await one.fails() == wrapped(
        "i_o_exception", "Maximum limit of [52428800] bytes reached"
    )
    assert len(one.script.sent) == 1


async def test_refused_request_is_neither_sent_nor_wrapped() -> None:
    one = run(GOOD)
    with pytest.raises(ElasticsearchError) as raised:
        await one(request=replace(REQUEST, input_type=InputType.INGEST))
    assert error_body(raised.value)["error"]["type"] == "validation_exception"
    assert one.script.sent == []


async def test_full_queue_is_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    one = inference(Script([GOOD]), queue_capacity=1)
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(one.run(SERVICE, ENDPOINT, REQUEST, 30))
            await clock.settle()
        with pytest.raises(ElasticsearchError) as raised:
            await one.run(SERVICE, ENDPOINT, REQUEST, 30)
        await clock.advance(1)
    name = ENDPOINT.rate_limit_group.account[:8]
    assert error_body(raised.value) == wrapped(
        "es_rejected_execution_exception",
        f"Failed to execute task for inference id [id] because the request service [{name}]"
        " queue is full",
    )


async def test_retries_take_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    script = Script([status(503), status(503), GOOD])
    one = inference(script, clock=SleeplessClock())
    assert (await one.run(SERVICE, ENDPOINT, REQUEST, 30)).to_json() == GOOD_WIRE
    assert clock.now == 1000.0


# -- timeouts ---------------------------------------------------------------

LATE = {
    "type": "timeout_exception",
    "reason": "Request timed out after [30s] for inference id [id]",
    "timed_out": True,
}
LATE_BODY = {"error": {"root_cause": [LATE], **LATE}, "status": 429}


class Silent:
    """A transport that never answers; it counts who waits."""

    waiting = 0

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:  # noqa: ARG002
        self.waiting += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.waiting -= 1
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def stream(self, request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
        answer = await self.send(request)
        yield UpstreamStream(status=answer.status, chunks=one_chunk(answer.body))


async def late(task: asyncio.Task[Any]) -> dict[str, Any]:
    with pytest.raises(ElasticsearchError) as raised:
        await task
    assert raised.value.headers == {"X-Timed-Out": "?1"}
    return error_body(raised.value)


async def test_timeout_bounds_a_silent_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    silent = Silent()
    one = inference(silent)
    task = asyncio.get_running_loop().create_task(one.run(SERVICE, ENDPOINT, REQUEST, 30))
    await clock.advance(29.9)
    assert (task.done(), silent.waiting) == (False, 1)
    await clock.advance(0.2)
    assert (task.done(), silent.waiting) == (True, 0)
    assert await late(task) == LATE_BODY


async def test_timeout_runs_in_the_queue_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    slow = replace(
        ENDPOINT,
        service_settings=EmbeddingSettings(
            url="http://h", rate_limit=RateLimit(requests_per_minute=1)
        ),
    )
    script = Script([GOOD])
    one = inference(script)
    await one.run(SERVICE, slow, REQUEST, 30)
    task = asyncio.get_running_loop().create_task(one.run(SERVICE, slow, REQUEST, 30))
    await clock.advance(30.1)
    assert await late(task) == LATE_BODY
    assert len(script.sent) == 1
    assert one._limits._queues[slow.rate_limit_group].waiting == 0


async def test_timeout_runs_between_attempts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    slow = replace(POLICY, initial_delay=100, max_delay_bound=100)
    script = Script([status(503)])
    one = inference(script, slow)
    task = asyncio.get_running_loop().create_task(one.run(SERVICE, ENDPOINT, REQUEST, 30))
    await clock.advance(30.1)
    assert await late(task) == LATE_BODY
    assert len(script.sent) == 1


async def test_timeout_is_answered_with_429_and_a_header(
    client: Client, upstream: Upstream
) -> None:
    await create(client, upstream, rate_limit={"requests_per_minute": 1})
    reply = await client("POST", "/_inference/text_embedding/id?timeout=1ms", {"input": "a"})
    error = LATE | {"reason": "Request timed out after [1ms] for inference id [id]"}
    assert (reply.status, reply.headers["X-Timed-Out"]) == (429, "?1")
    assert reply.json == {"error": {"root_cause": [error], **error}, "status": 429}
    assert upstream.requests == []


async def test_caller_that_gives_up_is_no_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    silent = Silent()
    one = inference(silent)
    task = asyncio.get_running_loop().create_task(one.run(SERVICE, ENDPOINT, REQUEST, 30))
    await clock.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert silent.waiting == 0


async def test_time_error_of_the_transport_is_not_the_request_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = inference(Script([TimeoutError("foreign")]))
    with pytest.raises(TimeoutError, match="foreign"):
        await one.run(SERVICE, ENDPOINT, REQUEST, 30)


@pytest.mark.parametrize(
    ("task_type", "seconds"),
    [
        (TaskType.TEXT_EMBEDDING, 30),
        (TaskType.SPARSE_EMBEDDING, 30),
        (TaskType.RERANK, 30),
        (TaskType.COMPLETION, 120),
        (TaskType.CHAT_COMPLETION, 120),
    ],
)
def test_default_timeout_is_longer_where_text_is_written(
    task_type: TaskType, seconds: float
) -> None:
    assert default_timeout(task_type) == seconds


async def test_retried_answers_reach_the_caller(client: Client, upstream: Upstream) -> None:
    await create(client, upstream)
    upstream.answers(Answer.json({"error": "busy"}, 503), Answer.json([[1, 2]]))
    reply = await client("POST", "/_inference/text_embedding/id", {"input": "a"})
    assert (reply.status, reply.raw) == (200, GOOD_WIRE)
    assert upstream.bodies == [{"inputs": ["a"]}] * 2
