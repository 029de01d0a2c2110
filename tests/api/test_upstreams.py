"""``/_esinfer/upstreams`` of the mock, and the same under ``/__twin/`` of the twin."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from esinfer.api.protocol import make_runner
from esinfer.app import make_app
from esinfer.config import load
from tests.conftest import Client, Reply, StartServer, envelope
from tests.test_faults import run_twin

PATH = "/_esinfer/upstreams"
START = {
    "name": "default",
    "profile": "tei-1.9",
    "model": "sentence-transformers/all-MiniLM-L6-v2",
    "state": "running",
    "faults": [],
}
PAUSED = START | {"state": "paused"}


@pytest.fixture
async def twin() -> AsyncIterator[Client]:
    async with run_twin("twin.api_key=hf_locked_up") as url, aiohttp.ClientSession() as session:
        yield Client(url, session)


async def test_at_the_start_there_is_the_default(mock: Client) -> None:
    reply = await mock("GET", PATH)
    assert (reply.status, reply.json) == (200, {"upstreams": [START]})
    assert (await mock("GET", f"{PATH}/default")).json == START


async def test_what_was_put_is_read_back_and_cleared(mock: Client) -> None:
    fault = {"kind": "stall", "at": "mid_body", "duration": "1.5s", "match": {"text": "é"}}
    body = {
        "url": "https://example.com/*",
        "model": "m",
        "dimensions": 8,
        "api_key": "hf_never_shown",
        "state": "cold",
        "ready_after": "90s",
        "ready_after_requests": 3,
        "max_concurrent_requests": 4,
        "faults": [fault, {"kind": "respond", "body": {"a": 1.5}, "times": 2}],
    }
    reply = await mock("PUT", f"{PATH}/mine", body)
    shown = {
        "name": "mine",
        "url": "https://example.com/*",
        "profile": "tei-1.9",
        "model": "m",
        "dimensions": 8,
        "state": "cold",
        "ready_after": "1.5m",
        "ready_after_requests": 3,
        "max_concurrent_requests": 4,
        "faults": [
            {**fault, "hits": 0},
            {"kind": "respond", "body": {"a": 1.5}, "times": 2, "hits": 0},
        ],
    }
    assert (reply.status, reply.json) == (200, shown)
    assert (await mock("GET", f"{PATH}/mine")).json == shown
    assert (await mock("GET", PATH)).json == {"upstreams": [START, shown]}
    assert (await mock("DELETE", f"{PATH}/mine")).json == {"acknowledged": True}
    gone = await mock("GET", f"{PATH}/mine")
    assert gone.json == envelope("resource_not_found_exception", "Upstream not found [mine]", 404)


async def test_each_url_has_its_own_profile(mock: Client) -> None:
    settings = {"profile": "toolkit", "task": "sentence-similarity"}
    reply = await mock("PUT", f"{PATH}/old", {"url": "https://old.example/*", **settings})
    assert {name: reply.json[name] for name in settings} == settings

    async def create(host: str) -> Reply:
        service_settings = {"url": f"https://{host}.example/x", "api_key": "k"}
        body = {"service": "hugging_face", "service_settings": service_settings}
        return await mock("PUT", f"/_inference/text_embedding/{host}", body)

    assert (await create("new")).status == 200
    refused = await create("old")
    assert refused.status == 400
    assert "missing 1 required positional argument: 'sentences'" in refused.text


async def test_another_profile_has_not_the_task_of_the_start(start: StartServer) -> None:
    mock = await start("twin.task=reranker", mode="mock")
    assert (await mock("GET", f"{PATH}/default")).json["task"] == "reranker"
    other = await mock("PUT", f"{PATH}/default", {"profile": "toolkit"})
    assert "task" not in other.json


async def test_delete_brings_the_start_back(mock: Client) -> None:
    await mock("PUT", f"{PATH}/default", {"state": "paused"})
    assert (await mock("DELETE", f"{PATH}/default")).json == {"acknowledged": True}
    assert (await mock("GET", f"{PATH}/default")).json == START
    await mock("PUT", f"{PATH}/other", {"url": "*"})
    await mock("PUT", f"{PATH}/default", {"state": "paused"})
    assert (await mock("DELETE", PATH)).json == {"acknowledged": True}
    assert (await mock("GET", PATH)).json == {"upstreams": [START]}


WRONG = "[{}] does not go with the distribution [{}]"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"fault": []}, "[1:2] [upstream] unknown field [fault] did you mean [faults]?"),
        ({"faults": [{"kind": "resett"}]}, "unknown kind of fault [resett], did you mean [reset]?"),
        ({"faults": [{"kind": "?"}]}, "unknown kind of fault [?], expected one of [latency, "),
        ({"faults": [{}]}, "Required [kind]"),
        (
            {"faults": [{"kind": 1}]},
            "[1:22] [fault] kind doesn't support values of type: VALUE_NUMBER",
        ),
        ({"faults": [7]}, "[1:13] [fault] Expected START_OBJECT but was: VALUE_NUMBER"),
        ({"faults": [{"kind": "reset"}] * 101}, "[101] faults, expected [100] at most"),
        ({"faults": {"kind": "stall", "atx": 1}}, "unknown field [atx] did you mean [at]?"),
        (
            {"faults": {"kind": "stall", "at": "mid_bodi"}},
            "unknown value [mid_bodi], did you mean [mid_body]?",
        ),
        (
            {"faults": {"kind": "stall", "duration": "9x"}},
            "Invalid time value [9x]: unit is missing or unrecognized",
        ),
        (
            {"faults": {"kind": "stall", "duration": "2h"}},
            "Invalid time value [2h], expected [1h] at most",
        ),
        (
            {"faults": {"kind": "huge", "size": "1gb"}},
            "Invalid size [1gb], expected [256mb] at most",
        ),
        ({"faults": {"kind": "huge", "size": "1"}}, "Invalid size [1]: expected a byte size"),
        (
            {"faults": {"kind": "malformed", "keep": 2}},
            "Invalid value [2.0], expected one from [0] to [1]",
        ),
        (
            {"faults": {"kind": "gateway", "status": 404}},
            "Invalid value [404], expected one from [500] to [504]",
        ),
        (
            {"faults": {"kind": "respond", "headers": {"Content-Length": "1"}}},
            "Header [Content-Length] cannot be set",
        ),
        (
            {"faults": {"kind": "respond", "headers": {"X-A": "1\r\nX-B: 2"}}},
            "Header [X-A] must have a text of one line",
        ),
        (
            {"faults": {"kind": "latency", "distribution": "uniform", "min": "1s"}},
            "[min] must not be greater than [max]",
        ),
        ({"faults": {"kind": "latency", "median": "2s"}}, WRONG.format("median", "fixed")),
        ({"faults": {"kind": "latency", "seed": 1}}, WRONG.format("seed", "fixed")),
        (
            {"faults": {"kind": "latency", "distribution": "log_normal", "max": "1s"}},
            WRONG.format("max", "log_normal"),
        ),
        (
            {"faults": {"kind": "latency", "distribution": "uniform", "delay": "1s"}},
            WRONG.format("delay", "uniform"),
        ),
        (
            {"faults": {"kind": "redirect", "location": "http://a\r\nX: y"}},
            "Invalid value [http://a\r\nX: y], expected a text of one line",
        ),
        (
            {"faults": {"kind": "reset", "match": {"evry": 2}}},
            "[match] unknown field [evry] did you mean [every]?",
        ),
        (
            {"profile": "tei-1.0"},
            "unknown value [tei-1.0], did you mean any of [tei-1.8, tei-1.9]?",
        ),
        (
            {"profile": "tgi", "task": "reranker"},
            "task of profile tgi must be left out, got reranker",
        ),
        (
            {"task": "chat"},
            "task of profile tei-1.9 must be one of embedding, sentence-similarity, splade, "
            "reranker, classifier, got chat",
        ),
        ({"state": "asleep"}, "unknown value [asleep], expected one of [running, cold, paused]"),
        ({"ready_after": "1s"}, "[ready_after…] goes with the state [cold] alone"),
    ],
)
async def test_what_is_wrong_is_told_and_changes_nothing(
    mock: Client, body: object, reason: str
) -> None:
    await mock("PUT", f"{PATH}/default", {"state": "paused"})
    reply = await mock("PUT", f"{PATH}/default", body)
    error = reply.json["error"]
    reasons = [error["reason"]]
    while "caused_by" in error:
        error = error["caused_by"]
        reasons.append(error["reason"])
    assert reply.status == 400
    assert any(reason in given for given in reasons), reasons
    assert (await mock("GET", f"{PATH}/default")).json == PAUSED


async def test_a_name_and_a_url_are_asked_for(mock: Client) -> None:
    reply = await mock("PUT", f"{PATH}/Mine", {"url": "*"})
    assert reply.status == 400
    assert "Invalid upstream name [Mine]" in reply.json["error"]["reason"]
    reply = await mock("PUT", f"{PATH}/mine", {})
    assert reply.json == envelope("illegal_argument_exception", "Required [url]")
    reply = await mock("PUT", f"{PATH}/mine")
    assert reply.json == envelope("parse_exception", "request body is required")


async def test_there_is_a_bound(mock: Client) -> None:
    for number in range(1000):
        reply = await mock("PUT", f"{PATH}/n{number}", {"url": f"https://n{number}/"})
        assert reply.status == 200
    reply = await mock("PUT", f"{PATH}/more", {"url": "*"})
    expected = "There are [1000] upstreams already"
    assert reply.json == envelope("illegal_argument_exception", expected)


async def test_the_url_of_an_endpoint_chooses_its_upstream(mock: Client) -> None:
    await mock("PUT", f"{PATH}/small", {"url": "https://small.example/*", "dimensions": 8})
    for name, dimensions in (("small", 8), ("large", 384)):
        settings = {"api_key": "any", "url": f"https://{name}.example/x"}
        body = {"service": "hugging_face", "service_settings": settings}
        reply = await mock("PUT", f"/_inference/text_embedding/{name}", body)
        assert reply.json["service_settings"]["dimensions"] == dimensions
    logs = [(await mock("GET", f"{PATH}/{name}/log")).json for name in ("small", "default")]
    assert [
        [(exchange["inference_id"], exchange["request"]["url"]) for exchange in log["exchanges"]]
        for log in logs
    ] == [[("small", "https://small.example/x")], [("large", "https://large.example/x")]]


async def test_of_the_log_the_last_exchanges_can_be_had(mock: Client) -> None:
    settings = {"url": "https://nowhere.invalid", "api_key": "k"}
    for text in ("one", "two", "three"):
        body = {"service": "hugging_face", "service_settings": settings}
        await mock("PUT", f"/_inference/text_embedding/{text}", body)
    whole = (await mock("GET", f"{PATH}/default/log")).json["exchanges"]
    assert len(whole) == 3
    for size, expected in (("0", []), ("2", whole[1:]), ("3", whole), ("1000", whole)):
        reply = await mock("GET", f"{PATH}/default/log?size={size}")
        assert reply.json == {"exchanges": expected}
    for size in ("-1", "x", "", "1e3", "9" * 10):
        reply = await mock("GET", f"{PATH}/default/log?size={size}")
        reason = f"Failed to parse int parameter [size] with value [{size}]"
        assert reply.json == envelope("illegal_argument_exception", reason, 400)


async def test_the_log_tells_all_but_the_key_and_can_be_cleared(mock: Client) -> None:
    settings = {"api_key": "hf_a_secret_key", "url": "https://example.com/x"}
    body = {"service": "hugging_face", "service_settings": settings}
    quoting = {"kind": "respond", "status": 401, "body": {"error": "not hf_a_secret_key"}}
    await mock("PUT", f"{PATH}/default", {"faults": [quoting]})
    await mock("PUT", "/_inference/text_embedding/id", body)
    reply = await mock("GET", f"{PATH}/default/log")
    (exchange,) = reply.json["exchanges"]
    assert exchange.pop("time") == 0
    assert exchange == {
        "sequence": 1,
        "inference_id": "id",
        "task_type": "text_embedding",
        "request": {
            "method": "POST",
            "url": "https://example.com/x",
            "headers": {"content-type": "application/json", "authorization": "Bearer ***"},
            "body": '{"inputs":["how big"]}',
            "body_size": 22,
            "truncated": False,
        },
        "faults": ["respond"],
        "answer": {
            "status": 401,
            "headers": {"content-type": "application/json"},
            "body": '{"error":"not ***"}',
            "body_size": 31,
            "truncated": False,
        },
        "ending": "whole",
    }
    assert (await mock("DELETE", f"{PATH}/default/log")).json == {"acknowledged": True}
    assert (await mock("GET", f"{PATH}/default/log")).json == {"exchanges": []}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("path", ["", "/x", "/x/log"])
async def test_serve_has_none_and_says_so(client: Client, method: str, path: str) -> None:
    reply = await client(method, PATH + path)
    reason = (
        "esinfer serve calls real upstreams and has none to set: start esinfer mock,"
        " or set those of esinfer twin under /__twin/upstreams on its own port"
    )
    assert (reply.status, reply.json) == (400, envelope("status_exception", reason))


async def test_the_twins_own_port_has_the_same_without_the_key(twin: Client) -> None:
    path = "/__twin/upstreams"
    reply = await twin("PUT", f"{path}/default", {"state": "paused"})
    assert (reply.status, reply.json) == (200, PAUSED)
    assert (await twin("GET", path)).json == {"upstreams": [PAUSED]}
    asked = await twin("POST", "/embed", {"inputs": "a"}, headers={"Authorization": "Bearer k"})
    assert (asked.status, asked.json) == (400, {"error": "Bad Request: Invalid state"})
    (exchange,) = (await twin("GET", "/__twin/log")).json["exchanges"]
    assert exchange["request"]["url"] == f"{twin.url}/embed"
    assert exchange["answer"]["body"] == '{"error":"Bad Request: Invalid state"}'
    assert (await twin("DELETE", "/__twin/log")).json == {"acknowledged": True}
    assert (await twin("GET", f"{path}/default/log")).json == {"exchanges": []}
    assert (await twin("DELETE", f"{path}/default")).json == {"acknowledged": True}
    assert (await twin("GET", f"{path}/default")).json == START
    assert (await twin("POST", "/embed", {"inputs": "a"})).status == 401
    assert (await twin("DELETE", path)).json == {"acknowledged": True}


async def test_the_twins_own_port_refuses_in_the_same_form(twin: Client) -> None:
    path = "/__twin/upstreams/default"
    reply = await twin("PUT", path, {"faults": {"kind": "resett"}})
    innermost = reply.json["error"]["caused_by"]["caused_by"]
    assert (reply.status, innermost["reason"]) == (
        400,
        "unknown kind of fault [resett], did you mean [reset]?",
    )
    reply = await twin("PUT", path, {"faults": {"kind": "reset", "match": {"inference_id": "x"}}})
    assert "known in esinfer mock alone" in reply.json["error"]["reason"]
    assert (await twin("PUT", path, b"{")).status == 400
    assert (await twin("PUT", path)).json["error"]["reason"] == "request body is required"
    reply = await twin("GET", "/__twin/upstreams/x")
    assert (reply.status, reply.json["error"]["reason"]) == (404, "Upstream not found [x]")


async def test_a_mock_whose_upstream_stalls_stops_at_once() -> None:
    """Whoever waits for an answer is told that the connection closed."""
    app = make_app(load(None, {}, []), "mock")
    runner = make_runner(app, shutdown_timeout=60.0, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession() as session:
        mock = Client(f"http://127.0.0.1:{site.port}", session)
        await mock("PUT", f"{PATH}/default", {"faults": {"kind": "stall"}})
        settings = {"api_key": "any", "url": "https://example.com/x"}
        body = {"service": "hugging_face", "service_settings": settings}
        asked = asyncio.create_task(mock("PUT", "/_inference/text_embedding/id", body))
        while not (await mock("GET", f"{PATH}/default/log")).json["exchanges"]:
            pass
        async with asyncio.timeout(10):
            await runner.cleanup()
            reply = await asked
    cause = reply.json["error"]["caused_by"]["caused_by"]
    assert (reply.status, cause["reason"]) == (400, "Connection closed by peer")


GREAT = {"a": [-(10**30), 2**64 - 1, 2**64, -(2**63) - 1, 10**999], "b": 1.5}


async def test_whole_numbers_of_any_size_are_answered(twin: Client, mock: Client) -> None:
    for client, path in ((twin, "/__twin/upstreams/default"), (mock, f"{PATH}/default")):
        fault = {"kind": "respond", "body": GREAT}
        for reply in (await client("PUT", path, {"faults": fault}), await client("GET", path)):
            assert reply.status == 200
            assert json.loads(reply.text)["faults"] == [{**fault, "hits": 0}]
    reply = await twin("POST", "/embed", {"inputs": "a"})
    assert json.loads(reply.text) == GREAT


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/__twin"),
        ("GET", "/__twin/"),
        ("PUT", "/__twin/upstream"),
        ("GET", "/__twin/upstreams/default/logs"),
        ("POST", "/__twin/embed"),
    ],
)
async def test_under_its_prefix_nothing_is_imitated(twin: Client, method: str, path: str) -> None:
    reply = await twin(method, path, {})
    reason = f"no handler found for uri [{path}] and method [{method}]"
    error = {"type": "resource_not_found_exception", "reason": reason}
    assert (reply.status, reply.json) == (404, {"error": error, "status": 404})
    assert (await twin("GET", "/__twin/log")).json == {"exchanges": []}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/__twin/upstreams/default", ["DELETE", "GET", "PUT"]),
        ("POST", "/__twin/upstreams/default", ["DELETE", "GET", "PUT"]),
        ("PUT", "/__twin/log", ["DELETE", "GET"]),
    ],
)
async def test_another_method_is_405(
    twin: Client, method: str, path: str, allowed: list[str]
) -> None:
    reply = await twin(method, path, {})
    reason = (
        f"Incorrect HTTP method for uri [{path}] and method [{method}],"
        f" allowed: [{', '.join(allowed)}]"
    )
    error = {"type": "illegal_argument_exception", "reason": reason}
    assert (reply.status, reply.json) == (405, {"error": error, "status": 405})
    assert reply.headers["Allow"] == ",".join(allowed)
