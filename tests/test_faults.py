"""Every state and fault of an upstream, seen through esinfer: what the contract says it answers.

Each case runs twice: through ``serve`` over HTTP against a twin on loopback,
and through ``mock``, whose twin is in process; the answers are the same.
Contract: hugging_face.md sections 3.5, 4 and 5.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from aiohttp import web

from esinfer.app import make_twin
from esinfer.config import load
from esinfer.twin.faults.kinds import NAMES
from esinfer.twin.protocol import make_runner
from esinfer.twin.states import State
from tests.conftest import Client, Reply, StartServer, envelope

PATHS = {
    "text_embedding": "/embed",
    "sparse_embedding": "/elser",
    "rerank": "/rerank",
    "completion": "/v1/chat/completions",
    "chat_completion": "/v1/chat/completions",
}
REQUESTS: dict[str, dict[str, object]] = {
    "text_embedding": {"input": ["a fox", "a dog"]},
    "sparse_embedding": {"input": ["a fox", "a dog"]},
    "rerank": {"query": "fox", "input": ["a fox", "a dog"]},
    "completion": {"input": "Grüße"},
    "chat_completion": {"messages": [{"role": "user", "content": "Grüße"}]},
}
SMALL = (
    "twin.dimensions=8",
    "inference.max_response_size=100kb",
    "inference.skip_validate_and_start=true",
)


@asynccontextmanager
async def run_twin(*overrides: str) -> AsyncIterator[str]:
    """A twin behind its own runner; its address."""
    app = make_twin(load(None, {}, overrides))
    runner = make_runner(app, access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Way:
    """A way to the twin: a server, and where the twin behind it is set."""

    server: Client
    twin: Client
    upstreams: str
    url: str
    created: set[str] = field(default_factory=set)

    async def set(self, **settings: object) -> None:
        reply = await self.twin("PUT", f"{self.upstreams}/default", settings)
        assert reply.status == 200, reply.text

    async def log(self) -> list[dict[str, Any]]:
        reply = await self.twin("GET", f"{self.upstreams}/default/log")
        exchanges: list[dict[str, Any]] = reply.json["exchanges"]
        return exchanges

    async def infer(self, task: str, *, query: str = "", stream: bool = False) -> Reply:
        path = f"/_inference/{task}/id"
        if task not in self.created:
            await self.server("DELETE", "/_inference/id")
            settings = {
                "url": self.url + PATHS[task],
                "api_key": "hf_secret_key",
                "rate_limit": {"requests_per_minute": 1_000_000},
            }
            body = {"service": "hugging_face", "service_settings": settings}
            reply = await self.server("PUT", path, body)
            assert reply.status == 200, reply.text
            self.created = {task}
        ending = "/_stream" if stream else ""
        return await self.server("POST", path + ending + query, REQUESTS[task])


@pytest.fixture(params=["serve", "mock"])
async def way(request: pytest.FixtureRequest, start: StartServer) -> AsyncIterator[Way]:
    if request.param == "mock":
        mock = await start(*SMALL, mode="mock")
        yield Way(mock, mock, "/_esinfer/upstreams", "https://example.com")
        return
    async with run_twin(SMALL[0]) as url:
        server = await start(*SMALL)
        yield Way(server, Client(url, server.session), "/__twin/upstreams", url)


# -- what Elasticsearch makes of it ------------------------------------------

RATE_LIMIT = "Received a rate limit status code"
UNSUCCESSFUL = "Received an unsuccessful status code"
AUTHENTICATION = "Received an authentication error status code"
SERVER_ERROR = "Received a server error status code"
REDIRECTION = "Unhandled redirection"

Expected = dict[str, object]


def refused(prefix: str, upstream: int, message: str | None = None, status: int = 0) -> Expected:
    """The upstream answered with a status: the answer is that, or ``status``."""
    reason = f"{prefix} for request from inference entity id [id] status [{upstream}]"
    if message is not None:
        reason += f". Error message: [{message}]"
    return envelope("status_exception", reason, status or upstream)


def failed(kind: str, cause: str, *, deeper: object = None) -> Expected:
    """No answer, or none that can be read."""
    reason = (
        "Failed to send Hugging Face text_embedding request from inference entity id [id]."
        f" Cause: {cause}"
    )
    caused_by: dict[str, object] = {"type": kind, "reason": cause}
    if deeper is not None:
        caused_by["caused_by"] = deeper
    return envelope("status_exception", reason, 500, caused_by=caused_by)


PREMATURE = "Premature end of the response body, or one that cannot be decoded"
CUT_OFF = failed("connection_closed_exception", PREMATURE)
TIMED_OUT = {
    "error": {
        "root_cause": [
            {
                "type": "timeout_exception",
                "reason": "Request timed out after [50ms] for inference id [id]",
                "timed_out": True,
            }
        ],
        "type": "timeout_exception",
        "reason": "Request timed out after [50ms] for inference id [id]",
        "timed_out": True,
    },
    "status": 429,
}
EMPTY = failed(
    "illegal_state_exception",
    "Response body was empty for request from inference entity id [id]",
)


LOADING = refused(RATE_LIMIT, 503, "503 Service Unavailable", 400)
OVERLOADED = refused(RATE_LIMIT, 429, "Model is overloaded")
RATE_LIMITED = refused(RATE_LIMIT, 429, "Rate limit reached")
PAUSED = refused(UNSUCCESSFUL, 400, "Bad Request: Invalid state")

Fault = dict[str, object]
EMBEDDING_FAULTS: list[tuple[Fault, Expected]] = [
    ({"kind": "loading"}, LOADING),
    ({"kind": "paused"}, PAUSED),
    ({"kind": "unauthorized"}, refused(AUTHENTICATION, 401)),
    (
        {"kind": "unauthorized", "by": "endpoint"},
        refused(AUTHENTICATION, 401, "A valid user token is required"),
    ),
    (
        {"kind": "unauthorized", "by": "router"},
        refused(AUTHENTICATION, 401, "Invalid credentials in Authorization header"),
    ),
    ({"kind": "overloaded"}, OVERLOADED),
    ({"kind": "rate_limited"}, RATE_LIMITED),
    ({"kind": "rate_limited", "retry_after": 1, "rate_limit_headers": True}, RATE_LIMITED),
    (
        {"kind": "backend", "message": "no memory"},
        refused(UNSUCCESSFUL, 424, "Backend error: no memory"),
    ),
    ({"kind": "gateway"}, refused(RATE_LIMIT, 502, status=400)),
    ({"kind": "gateway", "status": 500}, refused(SERVER_ERROR, 500, status=400)),
    ({"kind": "gateway", "status": 503}, refused(RATE_LIMIT, 503, status=400)),
    ({"kind": "gateway", "status": 504}, refused(SERVER_ERROR, 504, status=400)),
    ({"kind": "error", "message": "so"}, refused(UNSUCCESSFUL, 422, "so")),
    ({"kind": "error", "form": "list"}, refused(UNSUCCESSFUL, 422)),
    ({"kind": "error", "form": "object"}, refused(UNSUCCESSFUL, 422)),
    ({"kind": "redirect"}, refused(REDIRECTION, 307)),
    ({"kind": "redirect", "status": 303}, refused(REDIRECTION, 303)),
    ({"kind": "empty"}, EMPTY),
    ({"kind": "respond", "status": 204}, EMPTY),
    ({"kind": "respond", "status": 418, "body": "tea"}, refused(UNSUCCESSFUL, 418, status=400)),
    (
        {"kind": "respond", "status": 402, "body": {"error": "pay"}},
        refused(UNSUCCESSFUL, 402, "pay"),
    ),
    (
        {"kind": "respond", "body": {"vectors": []}},
        failed(
            "illegal_state_exception",
            "Failed to find required field [embeddings] in Hugging Face embeddings response",
        ),
    ),
    ({"kind": "huge"}, failed("i_o_exception", "Maximum limit of [102400] bytes reached")),
    ({"kind": "reset"}, failed("i_o_exception", "Connection reset by peer")),
    ({"kind": "reset", "at": "after_headers"}, CUT_OFF),
    ({"kind": "reset", "at": "mid_body"}, CUT_OFF),
    ({"kind": "close"}, failed("connection_closed_exception", "Connection closed by peer")),
    ({"kind": "close", "at": "after_headers"}, CUT_OFF),
    ({"kind": "close", "at": "mid_body"}, CUT_OFF),
    ({"kind": "truncate"}, CUT_OFF),
    ({"kind": "truncate", "framing": "chunked"}, CUT_OFF),
    ({"kind": "stall"}, TIMED_OUT),
    ({"kind": "stall", "at": "after_headers"}, TIMED_OUT),
    ({"kind": "stall", "at": "mid_body"}, TIMED_OUT),
    (
        {"kind": "stall", "duration": "1ms"},
        failed("connection_closed_exception", "Connection closed by peer"),
    ),
    ({"kind": "stall", "duration": "1ms", "at": "mid_body"}, CUT_OFF),
    ({"kind": "latency", "delay": "1m"}, TIMED_OUT),
    ({"kind": "drip", "size": 1, "pause": "1m"}, TIMED_OUT),
]


def name(value: object) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else ""


@pytest.mark.parametrize(
    ("fault", "expected"), EMBEDDING_FAULTS, ids=[name(fault) for fault, _ in EMBEDDING_FAULTS]
)
async def test_an_embedding_meets_a_fault(way: Way, fault: Fault, expected: Expected) -> None:
    await way.set(faults=[fault])
    waits = expected is TIMED_OUT
    reply = await way.infer("text_embedding", query="?timeout=50ms" if waits else "")
    assert (reply.json, reply.status) == (expected, expected["status"])


UNREADABLE: list[tuple[Fault, str, str]] = [
    ({"kind": "html"}, "x_content_parse_exception", "[1:1] Unexpected character ('<' (code 60))"),
    ({"kind": "malformed", "keep": 0.01}, "x_content_e_o_f_exception", "[1:2] Unexpected end"),
    ({"kind": "invalid_utf8"}, "x_content_parse_exception", "[1:3] Unrecognized token 'ÿ'"),
    ({"kind": "nan"}, "x_content_parse_exception", "[1:6] Non-standard token 'NaN'"),
]


@pytest.mark.parametrize(
    ("fault", "kind", "begin"), UNREADABLE, ids=[name(fault) for fault, *_ in UNREADABLE]
)
async def test_a_body_that_is_no_json_is_the_cause(
    way: Way, fault: Fault, kind: str, begin: str
) -> None:
    """What the parser says at length is the business of its own tests."""
    await way.set(faults=[fault])
    reply = await way.infer("text_embedding")
    cause = reply.json["error"]["caused_by"]
    assert (cause["type"], cause["reason"][: len(begin)]) == (kind, begin)
    assert reply.json == failed(kind, cause["reason"], deeper=cause["caused_by"])


GOOD: list[tuple[Fault, Callable[[Any], object]]] = [
    ({"kind": "latency", "delay": "1ms"}, lambda good: good),
    ({"kind": "latency", "distribution": "uniform", "max": "2ms"}, lambda good: good),
    ({"kind": "latency", "distribution": "log_normal", "median": "1ms"}, lambda good: good),
    ({"kind": "gzip"}, lambda good: good),
    ({"kind": "drip", "size": 40, "pause": "1ms"}, lambda good: good),
    ({"kind": "split"}, lambda good: good),
    ({"kind": "huge", "size": "90kb"}, lambda good: good),
    ({"kind": "stream_error"}, lambda good: good),
    ({"kind": "wrong_count"}, lambda good: good[:1]),
    ({"kind": "wrong_count", "count": 3}, lambda good: [*good, good[1]]),
    (
        {"kind": "wrong_dimensions", "dimensions": 3},
        lambda good: [{"embedding": each["embedding"][:3]} for each in good],
    ),
]


@pytest.mark.parametrize(("fault", "expected"), GOOD, ids=[name(fault) for fault, _ in GOOD])
async def test_an_embedding_is_read_in_spite_of_a_fault(
    way: Way, fault: Fault, expected: Callable[[Any], object]
) -> None:
    good = (await way.infer("text_embedding")).json["text_embedding"]
    await way.set(faults=[fault])
    reply = await way.infer("text_embedding")
    assert (reply.status, reply.json) == (200, {"text_embedding": expected(good)})


async def test_a_wrong_size_at_creation_is_believed(way: Way, start: StartServer) -> None:
    """Elasticsearch measures the answer of its validation call."""
    mock = await start("twin.dimensions=8", mode="mock")
    await mock("PUT", "/_esinfer/upstreams/default", {"faults": [{"kind": "wrong_dimensions"}]})
    settings = {"api_key": "any", "url": way.url}
    body = {"service": "hugging_face", "service_settings": settings}
    reply = await mock("PUT", "/_inference/text_embedding/id", body)
    assert reply.json["service_settings"]["dimensions"] == 7


@pytest.mark.parametrize("task", ["sparse_embedding", "rerank"])
async def test_sparse_embedding_and_rerank_go_by_the_same_table(way: Way, task: str) -> None:
    await way.set(faults=[{"kind": "overloaded"}])
    assert (await way.infer(task)).json == OVERLOADED
    await way.set(faults=[{"kind": "truncate"}])
    reply = await way.infer(task)
    assert (reply.status, reply.json["error"]["caused_by"]["reason"]) == (500, PREMATURE)


# -- states --------------------------------------------------------------------


async def test_a_cold_upstream_answers_503_and_runs_after_so_many_requests(way: Way) -> None:
    await way.set(state="cold", ready_after_requests=4)
    reply = await way.infer("text_embedding")
    assert (reply.status, reply.json) == (400, LOADING)
    reply = await way.infer("text_embedding")
    assert reply.status == 200
    assert [exchange["answer"]["status"] for exchange in await way.log()] == [503] * 4 + [200]


async def test_a_cold_upstream_runs_after_a_time(way: Way) -> None:
    await way.set(state="cold", ready_after="1h")
    assert (await way.infer("text_embedding")).json == LOADING
    await way.set(state="cold", ready_after="0s")
    assert (await way.infer("text_embedding")).status == 200


async def test_a_paused_upstream_answers_400(way: Way) -> None:
    await way.set(state="paused")
    assert (await way.infer("text_embedding")).json == PAUSED
    assert [exchange["faults"] for exchange in await way.log()] == [["paused"]]


async def test_a_wrong_key_is_refused_by_the_server_itself(way: Way) -> None:
    await way.set(api_key="another_key")
    assert (await way.infer("text_embedding")).json == refused(AUTHENTICATION, 401)


async def test_more_inputs_than_permits_are_429(way: Way) -> None:
    await way.set(max_concurrent_requests=1)
    assert (await way.infer("text_embedding")).json == OVERLOADED
    await way.set(max_concurrent_requests=2)
    assert (await way.infer("text_embedding")).status == 200


async def test_who_waits_holds_the_permits(way: Way) -> None:
    """A slow server has no permits left for the next request meanwhile."""
    await way.server("POST", "/_esinfer/clock", {"mode": "real"})
    slow = {"kind": "latency", "delay": "300ms", "times": 1}
    await way.infer("text_embedding")
    await way.set(max_concurrent_requests=3, faults=[slow])
    first = asyncio.create_task(way.infer("text_embedding"))
    for _ in range(1000):
        if (await way.log())[-1]["faults"] == ["latency"]:
            break
    assert (await way.infer("text_embedding")).json == OVERLOADED
    assert (await first).status == 200
    assert (await way.infer("text_embedding")).status == 200


# -- how often ------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2])
async def test_what_goes_away_in_time_is_never_seen(way: Way, times: int) -> None:
    await way.set(faults=[{"kind": "reset", "times": times}])
    assert (await way.infer("text_embedding")).status == 200
    log = await way.log()
    assert [exchange["faults"] for exchange in log] == [["reset"]] * times + [[]]
    assert [exchange["ending"] for exchange in log] == ["reset"] * times + ["whole"]


async def test_the_third_failure_is_the_last(way: Way) -> None:
    await way.set(faults=[{"kind": "loading", "times": 3}])
    assert (await way.infer("text_embedding")).json == LOADING
    assert (await way.infer("text_embedding")).status == 200


# -- chat and its streams ---------------------------------------------------------


def chat_refused(reason: str, **rest: str) -> Expected:
    """An error in the form of chat_completion."""
    code = {"code": rest["code"]} if "code" in rest else {}
    return {"error": {**code, "message": reason, "type": rest.get("kind", "hugging_face_error")}}


def chat_reason(prefix: str, upstream: int, message: str | None = None) -> str:
    reason = f"{prefix} for request from inference entity id [id] status [{upstream}]"
    return reason if message is None else f"{reason}. Error message: [{message}]"


UNKNOWN = "UnifiedChatCompletionErrorResponse"
CHAT_REFUSALS: list[tuple[dict[str, object], int, Expected]] = [
    (
        {"state": "cold"},
        400,
        chat_refused(
            chat_reason("Received a server busy error status code", 503, "503 Service Unavailable")
        ),
    ),
    (
        {"state": "paused"},
        400,
        chat_refused(
            chat_reason("Received a bad request status code", 400, "Bad Request: Invalid state")
        ),
    ),
    (
        {"faults": {"kind": "unauthorized"}},
        401,
        chat_refused(chat_reason(AUTHENTICATION, 401), code="unauthorized", kind=UNKNOWN),
    ),
    (
        {"faults": {"kind": "overloaded"}},
        429,
        chat_refused(chat_reason(RATE_LIMIT, 429, "Model is overloaded")),
    ),
    (
        {"faults": {"kind": "backend", "message": "no memory"}},
        424,
        chat_refused(chat_reason(UNSUCCESSFUL, 424, "Request failed during generation: no memory")),
    ),
    (
        {"faults": {"kind": "gateway"}},
        400,
        chat_refused(chat_reason(SERVER_ERROR, 502), code="bad_request", kind=UNKNOWN),
    ),
    (
        {"faults": {"kind": "error", "form": "object", "message": "so"}},
        422,
        chat_refused(chat_reason("Received an input validation error response", 422, "so")),
    ),
    (
        {"faults": {"kind": "reset"}},
        500,
        chat_refused(
            "Failed to send Hugging Face chat_completion request from inference entity id [id]."
            " Cause: Connection reset by peer",
            code="internal_server_error",
            kind="status_exception",
        ),
    ),
    (
        {"faults": {"kind": "stall"}},
        429,
        chat_refused(
            "Request timed out after [50ms] for inference id [id]",
            code="too_many_requests",
            kind="timeout_exception",
        ),
    ),
]


@pytest.mark.parametrize(
    ("settings", "status", "expected"), CHAT_REFUSALS, ids=[name(s) for s, *_ in CHAT_REFUSALS]
)
async def test_a_chat_that_does_not_begin_is_one_error_event(
    way: Way, settings: dict[str, object], status: int, expected: Expected
) -> None:
    await way.set(**settings)
    query = "?timeout=50ms" if settings.get("faults") == {"kind": "stall"} else ""
    reply = await way.infer("chat_completion", stream=True, query=query)
    error = orjson.dumps(expected).decode()
    assert (reply.status, reply.text) == (status, f"event: error\ndata: {error}\n\n")


def closed_event(reason: str) -> str:
    error = chat_refused(reason, code="internal_server_error", kind="connection_closed_exception")
    return f"event: error\ndata: {orjson.dumps(error).decode()}\n\n"


def error_event(message: str, **code: str) -> str:
    reason = (
        "Received an error response for request from inference entity id [id]."
        f" Error message: [{message}]"
    )
    return f"event: error\ndata: {orjson.dumps(chat_refused(reason, **code)).decode()}\n\n"


WITHIN = closed_event("The stream ended within an event")
CUT = closed_event(PREMATURE)
ALL = 8
STREAM_FAULTS: list[tuple[Fault, int, str]] = [
    ({"kind": "stream_error", "message": "so"}, 1, error_event("so", code="422")),
    ({"kind": "stream_error", "after": 0, "message": "so"}, 0, error_event("so", code="422")),
    ({"kind": "stream_error", "form": "vllm", "message": "so"}, 1, error_event("so")),
    ({"kind": "cut_stream", "after": 2}, 2, CUT),
    ({"kind": "cut_stream", "ending": "reset"}, 1, CUT),
    ({"kind": "cut_stream", "ending": "whole"}, 1, WITHIN),
    ({"kind": "truncate"}, 1, CUT),
    ({"kind": "reset", "at": "after_headers"}, 0, CUT),
    ({"kind": "reset", "at": "mid_body"}, 1, CUT),
    ({"kind": "close", "at": "mid_body"}, 1, CUT),
    ({"kind": "stall", "at": "mid_body", "duration": "1ms"}, 1, CUT),
    ({"kind": "missing_done"}, ALL, ""),
    ({"kind": "after_done"}, ALL, ""),
    ({"kind": "comments"}, ALL, ""),
    ({"kind": "crlf"}, ALL, ""),
    ({"kind": "split"}, ALL, ""),
    ({"kind": "split", "size": 7}, ALL, ""),
    ({"kind": "drip", "size": 500, "pause": "1ms"}, ALL, ""),
    ({"kind": "huge", "size": "90kb"}, ALL, ""),
    ({"kind": "gzip"}, ALL, ""),
    ({"kind": "malformed"}, ALL, ""),
    ({"kind": "wrong_count"}, ALL, ""),
]


@pytest.mark.parametrize(
    ("fault", "events", "error"), STREAM_FAULTS, ids=[name(fault) for fault, *_ in STREAM_FAULTS]
)
async def test_a_stream_meets_a_fault(way: Way, fault: Fault, events: int, error: str) -> None:
    """What came before it is passed on; a stream that ends well ends with ``[DONE]``."""
    good = (await way.infer("chat_completion", stream=True)).text.split("\n\n")
    *messages, done, nothing = good
    assert (len(messages), done, nothing) == (ALL, "event: message\ndata: [DONE]", "")
    await way.set(faults=[fault])
    reply = await way.infer("chat_completion", stream=True)
    begin = "".join(f"{message}\n\n" for message in messages[:events])
    assert (reply.status, reply.text) == (200, begin + (error or f"{done}\n\n"))


async def test_a_stream_without_an_event_is_done_at_once(way: Way) -> None:
    await way.set(faults=[{"kind": "empty"}])
    reply = await way.infer("completion", stream=True)
    assert (reply.status, reply.text) == (200, "event: message\ndata: [DONE]\n\n")


# -- the walk is whole -------------------------------------------------------------


def test_the_walk_passes_every_kind_and_every_state() -> None:
    walked = {fault["kind"] for fault, *_ in EMBEDDING_FAULTS}
    walked |= {fault["kind"] for fault, *_ in UNREADABLE}
    walked |= {fault["kind"] for fault, _ in GOOD}
    walked |= {fault["kind"] for fault, *_ in STREAM_FAULTS}
    assert walked == {*NAMES}
    assert {*State} == {"running", "cold", "paused"}
