"""``esinfer endpoints import`` where endpoints are there already, and where something breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from esinfer import endpoints_import
from esinfer.__main__ import main
from esinfer.remote import Remote
from tests.conftest import PROBES, Answer, Client, Upstream, run_app

RunImport = Callable[..., Awaitable[tuple[int, list[str]]]]
GOOD = Answer.json(PROBES["rerank"])
BAD = Answer.json({"error": "no such token"}, 401)
WHY = (
    "Could not complete inference endpoint creation as validation call to service threw an"
    " exception: Received an authentication error status code for request from inference entity id"
    " [a] status [401]. Error message: [no such token]"
)


@pytest.fixture
def run_import(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> RunImport:
    """Import endpoints with options, in a thread; the status and the lines that were said."""
    monkeypatch.setattr(endpoints_import, "_PAUSES", (0, 0))

    async def run(url: str, endpoints: object, *options: str) -> tuple[int, list[str]]:
        file = tmp_path / "endpoints.json"
        file.write_text(json.dumps({"endpoints": endpoints}), encoding="utf-8")
        argv = ["endpoints", "import", str(file), "--url", url, *options]
        status = await asyncio.to_thread(main, argv)
        return status, capsys.readouterr().err.splitlines()

    return run


def endpoint(inference_id: str = "a", **service_settings: object) -> dict[str, Any]:
    settings = {"url": "https://example.com", "api_key": "new"} | service_settings
    service = {"service": "hugging_face", "service_settings": settings}
    return {"inference_id": inference_id, "task_type": "rerank", **service}


@pytest.fixture
async def there(client: Client, upstream: Upstream) -> dict[str, Any]:
    """The endpoint ``a`` as an export has it, but with a new key."""
    old = endpoint(url=upstream.url, api_key="old")
    upstream.answers(GOOD)
    body = {part: old[part] for part in ("service", "service_settings")}
    reply = await client("PUT", "/_inference/rerank/a", body)
    assert reply.status == 200, reply.text
    stored = (await client("GET", "/_inference/a")).json["endpoints"][0]
    return {**stored, "service_settings": {**stored["service_settings"], "api_key": "new"}}


def keys(upstream: Upstream) -> list[str]:
    return [request["headers"]["Authorization"] for request in upstream.requests]


async def deletions(client: Client) -> int:
    text = (await client("GET", "/_esinfer/metrics")).text
    lines = [line for line in text.splitlines() if 'method="DELETE"' in line]
    return sum("requests_total" in line for line in lines)


async def test_what_can_be_changed_is_changed_in_place(
    client: Client, upstream: Upstream, there: dict[str, Any], run_import: RunImport
) -> None:
    there["service_settings"]["rate_limit"] = {"requests_per_minute": 600_000}
    there["task_settings"] = {"top_n": 3, "return_documents": True}
    ran = await run_import(client.url, [there], "--existing=replace")
    assert ran == (0, ["esinfer: 1 of 1 endpoints imported"])
    assert await deletions(client) == 0
    assert keys(upstream)[-1] == "Bearer new"
    stored = (await client("GET", "/_inference/a")).json["endpoints"][0]
    assert stored == {
        **there,
        "service_settings": {"url": upstream.url, "rate_limit": {"requests_per_minute": 600_000}},
    }


async def test_what_is_refused_when_it_is_changed_stays_as_it_was(
    client: Client, upstream: Upstream, there: dict[str, Any], run_import: RunImport
) -> None:
    before = (await client("GET", "/_inference")).json
    upstream.answers(GOOD, BAD)
    there["service_settings"]["rate_limit"] = {"requests_per_minute": 600_000}
    ran = await run_import(client.url, [there], "--existing=replace")
    assert ran == (
        1,
        [f"esinfer: endpoint [a]: {WHY}", "esinfer: 0 of 1 endpoints imported"],
    )
    assert (await client("GET", "/_inference")).json == before


async def test_what_is_deleted_is_created_again_although_the_upstream_hiccups(
    client: Client, upstream: Upstream, there: dict[str, Any], run_import: RunImport
) -> None:
    there["service_settings"]["url"] += "?new"
    upstream.answers(GOOD, BAD, BAD, GOOD)
    ran = await run_import(client.url, [there], "--existing=replace")
    assert ran == (0, ["esinfer: 1 of 1 endpoints imported"])
    stored = (await client("GET", "/_inference/a")).json["endpoints"][0]
    assert stored["service_settings"]["url"] == f"{upstream.url}?new"


async def test_what_is_deleted_and_cannot_be_created_again_is_told(
    client: Client, upstream: Upstream, there: dict[str, Any], run_import: RunImport
) -> None:
    there["service_settings"]["url"] += "?new"
    upstream.answers(GOOD, BAD)
    ran = await run_import(client.url, [there], "--existing=replace")
    assert ran == (
        1,
        [
            f"esinfer: endpoint [a]: deleted, not created again: {WHY}",
            "esinfer: 0 of 1 endpoints imported",
        ],
    )
    assert len(upstream.requests) == 4


async def test_what_is_deleted_when_somebody_stops_the_import_is_told(
    client: Client,
    upstream: Upstream,
    there: dict[str, Any],
    run_import: RunImport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delete = Remote.delete

    def delete_and_stop(*args: Any) -> None:
        delete(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(Remote, "delete", delete_and_stop)
    there["service_settings"]["url"] += "?new"
    ran = await run_import(client.url, [there], "--existing=replace")
    assert ran == (
        130,
        [
            "esinfer: endpoint [a]: stopped while it was replaced: it may be gone",
            "esinfer: 0 of 1 endpoints imported",
        ],
    )


async def test_those_that_are_left_alone_are_not_counted_as_imported(
    mock: Client, run_import: RunImport
) -> None:
    await run_import(mock.url, [endpoint("a")])
    ran = await run_import(mock.url, [endpoint("a"), endpoint("b")], "--existing=skip")
    assert ran == (0, ["esinfer: 1 of 2 endpoints imported, 1 left as they were"])


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def failing() -> AsyncIterator[tuple[str, dict[str, Handler]]]:
    """A server that has every endpoint but ``new`` and breaks where told, by method."""
    broken: dict[str, Handler] = {}

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method in broken:
            return await broken[request.method](request)
        if request.method == "PUT" and not request.path.endswith("/new"):
            error = {"type": "resource_already_exists_exception", "reason": "exists"}
            return web.json_response({"error": error, "status": 400}, status=400)
        return web.json_response({"endpoints": [{**endpoint(), "task_type": "completion"}]})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with run_app(app, ours=False) as url:
        yield url, broken


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_a_server_that_dies_halfway_leaves_a_count(
    failing: tuple[str, dict[str, Handler]], run_import: RunImport
) -> None:
    url, broken = failing

    async def die(request: web.Request) -> web.StreamResponse:
        broken["PUT"] = hang_up
        return await hang_up(request)

    broken["DELETE"] = die
    endpoints = [endpoint("new"), endpoint("b"), endpoint("c"), endpoint("d")]
    ran = await run_import(url, endpoints, "--existing=replace")
    gone = f"cannot ask {url}: Remote end closed connection without response"
    assert ran == (
        1,
        [
            f"esinfer: endpoint [b]: perhaps deleted, not created again: {gone}",
            f"esinfer: {gone}",
            "esinfer: 1 of 4 endpoints imported",
        ],
    )
    assert await run_import(url, endpoints) == (2, [f"esinfer: {gone}"])


async def test_one_that_was_created_although_the_answer_was_lost_is_imported(
    failing: tuple[str, dict[str, Handler]], run_import: RunImport
) -> None:
    url, broken = failing

    async def hang_up_once(request: web.Request) -> web.StreamResponse:
        del broken["PUT"]
        return await hang_up(request)

    async def delete(_: web.Request) -> web.StreamResponse:
        broken["PUT"] = hang_up_once
        return web.json_response({"acknowledged": True})

    broken["DELETE"] = delete
    ran = await run_import(url, [endpoint("b")], "--existing=replace")
    assert ran == (0, ["esinfer: 1 of 1 endpoints imported"])
