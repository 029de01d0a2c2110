"""``/_esinfer/clock``: minutes in milliseconds, over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.conftest import Client, StartServer, Upstream, create, envelope

PATH = "/_esinfer/clock"
ENDPOINT = "/_inference/text_embedding/id"


@pytest.fixture
async def slow(start: StartServer) -> AsyncIterator[Client]:
    """A mock with retries as slow as Elasticsearch's; a test may not take seconds."""
    mock = await start(
        "inference.retry_initial_delay=1s", "inference.retry_max_delay_bound=5s", mode="mock"
    )
    started = time.monotonic()
    async with asyncio.timeout(20):
        yield mock
    assert time.monotonic() - started < 10


async def endpoint(client: Client, **settings: object) -> None:
    body = {
        "service": "hugging_face",
        "service_settings": {"api_key": "hf_a_key", "url": "https://example.com"} | settings,
    }
    reply = await client("PUT", ENDPOINT, body)
    assert reply.status == 200, reply.text


async def faults(client: Client, *declared: dict[str, object]) -> None:
    reply = await client("PUT", "/_esinfer/upstreams/default", {"faults": declared})
    assert reply.status == 200, reply.text


async def now(client: Client) -> float:
    seconds: float = (await client("GET", PATH)).json["time"]
    return seconds


async def entries(client: Client, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client("GET", f"/_esinfer/journal{query}")).json["entries"]
    return found


async def test_a_timeout_of_half_a_minute_takes_none(slow: Client) -> None:
    await endpoint(slow)
    await faults(slow, {"kind": "stall", "duration": "5m"})
    reply = await slow("POST", ENDPOINT, {"input": "a"})
    assert (reply.status, reply.headers["X-Timed-Out"]) == (429, "?1")
    assert "Request timed out after [30s]" in reply.text
    assert await now(slow) == 30


async def test_a_rate_limit_keeps_the_order_of_a_thousand(slow: Client) -> None:
    await endpoint(slow, rate_limit={"requests_per_minute": 3000})
    requests = [slow("POST", ENDPOINT, {"input": f"text {n}"}) for n in range(1000)]
    replies = await asyncio.gather(*requests)
    assert {reply.status for reply in replies} == {200}
    sent = [entry["attempts"][0]["time"] for entry in await entries(slow, "?method=POST&size=1000")]
    assert sent == pytest.approx([n * 0.02 for n in range(1, 1001)], abs=1e-4)


async def test_back_off_takes_no_time_and_is_the_same_each_time(slow: Client) -> None:
    seen = []
    for name in "ab":
        client = Client(f"{slow.url}/_ns/{name}", slow.session)
        await endpoint(client)
        await faults(client, {"kind": "overloaded", "times": 2})
        assert (await client("POST", ENDPOINT, {"input": "a"})).status == 200
        (entry,) = await entries(client, "?method=POST")
        seen.append([attempt.get("retry") for attempt in entry["attempts"]])
        first, second, last = (attempt["time"] for attempt in entry["attempts"])
        assert 0.5 <= second - first < 1
        assert 1 <= last - second < 2
    assert seen[0] == seen[1]


async def test_delays_that_overlap_pass_together(slow: Client) -> None:
    await endpoint(slow, rate_limit={"requests_per_minute": 1_000_000})
    await faults(slow, {"kind": "latency", "delay": "20s"})
    await asyncio.gather(*(slow("POST", ENDPOINT, {"input": "a"}) for _ in range(50)))
    assert await now(slow) < 20 * 50


async def test_a_drip_is_a_wait_too(slow: Client) -> None:
    body = {
        "service": "hugging_face",
        "service_settings": {"api_key": "hf_a_key", "url": "https://example.com"},
    }
    await slow("PUT", "/_inference/chat_completion/chat", body)
    await faults(slow, {"kind": "drip", "size": 64, "pause": "1s"})
    messages = {"messages": [{"role": "user", "content": "Hello"}]}
    reply = await slow("POST", "/_inference/chat_completion/chat/_stream", messages)
    assert reply.text.endswith("data: [DONE]\n\n")
    assert await now(slow) > 5


async def test_batches_of_a_chunked_inference_wait_together(slow: Client) -> None:
    await endpoint(slow, rate_limit={"requests_per_minute": 60})
    text = " ".join(f"Sentence number {n} is here." for n in range(400))
    body = {
        "input": text,
        "chunking_settings": {
            "strategy": "sentence",
            "max_chunk_size": 20,
            "sentence_overlap": 0,
        },
    }
    reply = await slow("POST", "/_esinfer/inference/text_embedding/id/chunked", body)
    assert reply.status == 200, reply.text
    (entry,) = await entries(slow, "?method=POST")
    assert entry["request"]["path"] == "/_esinfer/inference/text_embedding/id/chunked"
    times = [attempt["time"] for attempt in entry["attempts"]]
    assert len(times) > 3
    assert times == pytest.approx([float(n) for n in range(1, len(times) + 1)], abs=1e-3)
    assert [attempt["inference"] for attempt in entry["attempts"]] == list(range(len(times)))


async def test_a_cold_upstream_warms_up_when_time_is_moved_on(slow: Client) -> None:
    await endpoint(slow)
    await slow("PUT", "/_esinfer/upstreams/default", {"state": "cold", "ready_after": "10m"})
    assert (await slow("POST", ENDPOINT, {"input": "a"})).status == 400
    await slow("POST", PATH, {"advance": "10m"})
    assert (await slow("POST", ENDPOINT, {"input": "a"})).status == 200


async def test_by_hand_a_request_waits_until_time_is_moved_on(slow: Client) -> None:
    await endpoint(slow)
    await faults(slow, {"kind": "latency", "delay": "20s"})
    assert (await slow("POST", PATH, {"mode": "manual"})).json["mode"] == "manual"
    started = await now(slow)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(slow("POST", ENDPOINT, {"input": "a"}))
        # The request's timeout and what it waits for; after its turn, if it has to wait for one.
        while (await slow("GET", PATH)).json["waiting"] < 2:
            pass
        reply = await slow("POST", PATH, {"advance": "19s"})
        assert reply.json == {"mode": "manual", "time": started + 19, "waiting": 2}
        assert not task.done()
        await slow("POST", PATH, {"advance": "2s"})
    assert task.result().status == 200


async def test_real_time_is_real(start: StartServer) -> None:
    mock = await start("clock.mode=real", mode="mock")
    await endpoint(mock)
    await faults(mock, {"kind": "latency", "delay": "20ms"})
    started = time.monotonic()
    assert (await mock("POST", ENDPOINT, {"input": "a"})).status == 200
    assert time.monotonic() - started >= 0.02
    assert (await mock("GET", PATH)).json["mode"] == "real"


async def test_requests_that_wait_go_on_when_the_mode_changes(start: StartServer) -> None:
    mock = await start("clock.mode=real", mode="mock")
    await endpoint(mock)
    await faults(mock, {"kind": "latency", "delay": "25s"})
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(mock("POST", ENDPOINT, {"input": "a"}))
        while (await mock("GET", PATH)).json["waiting"] < 2:
            pass
        await mock("POST", PATH, {"mode": "auto"})
    assert task.result().status == 200


async def test_live_calls_are_not_hurried(start: StartServer, upstream: Upstream) -> None:
    client = await start("clock.mode=auto")
    await create(client, upstream)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def handler(_request: object) -> Any:
        asked.set()
        await go_on.wait()
        return web.json_response([[0.1, 0.2]])

    upstream.handler = handler
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(client("POST", ENDPOINT, {"input": "a"}))
        await asked.wait()
        for _ in range(20):
            assert await now(client) < 30
        assert not task.done()
        go_on.set()
    assert task.result().status == 200


async def test_live_calls_time_out_in_their_time(start: StartServer, upstream: Upstream) -> None:
    client = await start("clock.mode=auto")
    await create(client, upstream)

    async def handler(_request: object) -> Any:
        await asyncio.sleep(0.2)

    upstream.handler = handler
    reply = await client("POST", f"{ENDPOINT}?timeout=50ms", {"input": "a"})
    assert reply.status == 429


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "Required one of fields [mode, advance]"),
        ({"mode": "slow"}, "[mode] is [slow], expected one of [real, auto, manual]"),
        ({"advance": "-1"}, None),
        ({"advance": "soon"}, None),
    ],
)
async def test_what_the_clock_does_not_take(
    mock: Client, body: dict[str, object], reason: str | None
) -> None:
    reply = await mock("POST", PATH, body)
    assert reply.status == 400
    if reason is not None:
        assert reply.json == envelope("illegal_argument_exception", reason)
    else:
        assert "[advance]" in reply.json["error"]["reason"]


async def test_time_ends_after_a_year(mock: Client) -> None:
    reply = await mock("POST", "/_esinfer/clock", {"advance": "366d"})
    assert reply.status == 400
    assert reply.json["error"]["type"] == "illegal_argument_exception"
    assert reply.json["error"]["reason"].endswith("POST /_esinfer/reset sets it back")
    assert (await mock("POST", "/_esinfer/clock", {"advance": "364d"})).status == 200
