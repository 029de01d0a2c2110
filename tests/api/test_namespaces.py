"""Namespaces over HTTP: four ways to name one, and nothing that shows in another."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable

import pytest
from elasticsearch import AsyncElasticsearch

from tests.conftest import Client, Reply, StartServer, envelope

ENDPOINT = "/_inference/text_embedding/id"
BODY = {
    "service": "hugging_face",
    "service_settings": {"api_key": "hf_a_key", "url": "https://example.com"},
}
Address = tuple[str, dict[str, str]]


def encoded(user: str) -> str:
    return b64encode(f"{user}:any".encode()).decode()


WAYS: dict[str, Callable[[str], Address]] = {
    "prefix": lambda name: (f"/_ns/{name}", {}),
    "basic": lambda name: ("", {"Authorization": f"Basic {encoded(f'ns-{name}')}"}),
    "api_key": lambda name: ("", {"Authorization": f"ApiKey {encoded(f'ns-{name}')}"}),
    "header": lambda name: ("", {"X-Esinfer-Namespace": name}),
}
every_way = pytest.mark.parametrize("way", WAYS)


class Named:
    """Speaks to one namespace of a server."""

    def __init__(self, client: Client, way: str, name: str) -> None:
        self._client = client
        self._prefix, self._headers = WAYS[way](name)

    async def __call__(self, method: str, path: str, body: object = None) -> Reply:
        return await self._client(method, self._prefix + path, body, headers=self._headers)

    async def create(self, **settings: object) -> None:
        body = BODY | {"service_settings": BODY["service_settings"] | settings}  # type: ignore[operator]
        reply = await self("PUT", ENDPOINT, body)
        assert reply.status == 200, reply.text

    async def infer(self, query: str = "") -> Reply:
        return await self("POST", ENDPOINT + query, {"input": "a"})


def both(mock: Client, way: str) -> tuple[Named, Named]:
    return Named(mock, way, "one"), Named(mock, way, "other")


@every_way
async def test_endpoints_are_private(mock: Client, way: str) -> None:
    one, other = both(mock, way)
    await one.create()
    assert [(await each.infer()).status for each in (one, other)] == [200, 404]
    assert (await mock("GET", "/_inference")).json == {"endpoints": []}
    await other.create()
    await one("DELETE", ENDPOINT)
    assert [(await each.infer()).status for each in (one, other)] == [404, 200]


@every_way
async def test_faults_and_logs_are_private(mock: Client, way: str) -> None:
    one, other = both(mock, way)
    for each in (one, other):
        await each.create()
    await one("PUT", "/_esinfer/upstreams/default", {"faults": [{"kind": "unauthorized"}]})
    assert [(await each.infer()).status for each in (one, other)] == [401, 200]
    logs = [(await each("GET", "/_esinfer/upstreams/default/log")).json for each in (one, other)]
    assert [len(log["exchanges"]) for log in logs] == [2, 2]
    assert (await mock("GET", "/_esinfer/upstreams/default/log")).json == {"exchanges": []}


@every_way
async def test_journals_are_private(mock: Client, way: str) -> None:
    one, other = both(mock, way)
    await one("GET", "/_license")
    await other("GET", "/_xpack")
    paths = [
        [
            entry["request"]["path"]
            for entry in (await each("GET", "/_esinfer/journal")).json["entries"]
        ]
        for each in (one, other, mock)
    ]
    assert paths == [["/_license"], ["/_xpack"], []]


@every_way
async def test_clocks_are_private(mock: Client, way: str) -> None:
    one, other = both(mock, way)
    await one("POST", "/_esinfer/clock", {"advance": "1h", "mode": "manual"})
    clocks = [(await each("GET", "/_esinfer/clock")).json for each in (one, other, mock)]
    assert [(clock["mode"], clock["time"]) for clock in clocks] == [
        ("manual", 3600),
        ("auto", 0),
        ("auto", 0),
    ]


@every_way
async def test_rate_limits_are_private(mock: Client, way: str) -> None:
    one, other = both(mock, way)
    for each in (one, other):
        await each.create(rate_limit={"requests_per_minute": 1})
    for _ in range(3):
        assert (await one.infer("?timeout=10m")).status == 200
    clocks = [(await each("GET", "/_esinfer/clock")).json["time"] for each in (one, other)]
    assert clocks == [pytest.approx(180), 0]


@every_way
async def test_region_policies_are_private(mock: Client, way: str) -> None:
    one, other = both(mock, way)
    policy = {"region_policy": {"allowed_geos": ["eu"]}}
    assert (await one("PUT", "/_inference/_region_policy", policy)).status == 200
    replies = [await each("GET", "/_inference/_region_policy") for each in (one, other, mock)]
    assert [reply.status for reply in replies] == [200, 404, 404]


@every_way
async def test_one_that_no_namespace_may_have_is_refused(mock: Client, way: str) -> None:
    for name in ("a*b", "x" * 129, "a~"):
        reply = await Named(mock, way, name)("GET", "/")
        reason = (
            f"Invalid namespace [{name}], expected [1] to [128] letters, digits, [-], [_] and [.]"
        )
        assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))


async def test_several_that_differ_are_refused(mock: Client) -> None:
    headers = WAYS["header"]("b")[1] | WAYS["basic"]("c")[1]
    reply = await mock("GET", "/_ns/a/", headers=headers)
    reason = "The request names several namespaces [a, b, c]"
    assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))
    same = WAYS["header"]("a")[1] | WAYS["api_key"]("a")[1]
    assert (await mock("GET", "/_ns/a/", headers=same)).status == 200


@pytest.mark.parametrize(
    "credentials",
    ["Basic " + encoded("elastic"), "Bearer ns-a", "Basic !", "ApiKey", "Basic /w=="],
)
async def test_other_credentials_name_none(mock: Client, credentials: str) -> None:
    headers = {"Authorization": credentials}
    assert (await mock("PUT", ENDPOINT, BODY, headers=headers)).status == 200
    assert (await mock("GET", ENDPOINT)).status == 200


async def test_errors_name_the_path_without_the_prefix(mock: Client) -> None:
    reply = await mock("GET", "/_ns/a/nothing?x=1")
    assert reply.json == {"error": "no handler found for uri [/nothing?x=1] and method [GET]"}
    reply = await mock("GET", "/_ns/a/_inference/?x=1")
    assert "request [/_inference/] contains unrecognized parameter: [x]" in reply.text


@pytest.mark.parametrize("path", ["/_ns/a", "/_ns/a/", "/_ns/a?pretty", "/_ns/a/?pretty=false"])
async def test_the_root_is_there_behind_the_prefix(mock: Client, path: str) -> None:
    assert (await mock("GET", path)).json["tagline"] == "You Know, for Search"


async def test_an_escaped_path_stays_as_it_is_behind_the_prefix(mock: Client) -> None:
    reply = await mock("GET", "/_ns/a/_inference/text_embedding/a%2Fb")
    assert reply.json["error"]["reason"] == "Inference endpoint not found [a/b]"


# -- looking after them -----------------------------------------------------


async def test_they_are_listed_with_what_they_hold(mock: Client) -> None:
    await Named(mock, "header", "a").create()
    expected = [
        {"name": "default", "endpoints": 0, "journal_entries": 0, "clock": "auto"},
        {"name": "a", "endpoints": 1, "journal_entries": 1, "clock": "auto"},
    ]
    assert (await mock("GET", "/_esinfer/namespaces")).json == {"namespaces": expected}


async def test_one_that_is_dropped_is_gone(mock: Client) -> None:
    one = Named(mock, "header", "a")
    await one.create()
    assert (await mock("DELETE", "/_esinfer/namespaces/a")).json == {"acknowledged": True}
    assert (await one("GET", ENDPOINT)).status == 404
    await mock("DELETE", "/_esinfer/namespaces/a")
    reply = await mock("DELETE", "/_esinfer/namespaces/a")
    expected = envelope("resource_not_found_exception", "Namespace not found [a]", 404)
    assert (reply.status, reply.json) == (404, expected)


async def test_all_but_the_default_are_dropped(mock: Client) -> None:
    for name in "abc":
        await Named(mock, "header", name).create()
    await mock("PUT", ENDPOINT, BODY)
    await mock("DELETE", "/_esinfer/namespaces")
    (left,) = (await mock("GET", "/_esinfer/namespaces")).json["namespaces"]
    assert (left["name"], left["endpoints"]) == ("default", 1)


async def test_the_default_cannot_be_dropped_but_it_can_be_named(mock: Client) -> None:
    await Named(mock, "header", "default").create()
    assert (await mock("GET", ENDPOINT)).status == 200
    reply = await mock("DELETE", "/_esinfer/namespaces/default")
    reason = "The namespace [default] cannot be dropped; POST /_esinfer/reset empties it"
    assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))


async def test_there_is_a_bound_on_how_many(start: StartServer) -> None:
    mock = await start("mock.namespaces=2", mode="mock")
    statuses = [(await mock("GET", f"/_ns/{name}/")).status for name in ("a", "b", "c", "a")]
    assert statuses == [200, 200, 429, 200]
    reason = (
        "There are [2] namespaces already, as many as [mock.namespaces] allows; drop one with"
        " DELETE /_esinfer/namespaces/<name>"
    )
    assert (await mock("GET", "/_ns/c/")).json == envelope("status_exception", reason, 429)
    await mock("DELETE", "/_esinfer/namespaces/a")
    assert (await mock("GET", "/_ns/c/")).status == 200


@pytest.mark.parametrize("name", ["default", "a"])
async def test_reset_gives_the_start_back(mock: Client, name: str) -> None:
    one, other = Named(mock, "header", name), Named(mock, "header", "other")
    policy = {"region_policy": {"allowed_geos": ["eu"]}}
    for each in (one, other):
        await each.create()
        await each("PUT", "/_inference/_region_policy", policy)
        await each("PUT", "/_esinfer/upstreams/default", {"state": "paused"})
        await each("POST", "/_esinfer/clock", {"mode": "manual", "advance": "1m"})
    assert (await one("POST", "/_esinfer/reset")).json == {"acknowledged": True}
    assert (await one("GET", "/_inference")).json == {"endpoints": []}
    assert (await one("GET", "/_esinfer/clock")).json == {"mode": "auto", "time": 0, "waiting": 0}
    upstreams = (await one("GET", "/_esinfer/upstreams")).json["upstreams"]
    assert [upstream["state"] for upstream in upstreams] == ["running"]
    entries = (await one("GET", "/_esinfer/journal")).json["entries"]
    assert [entry["request"]["path"] for entry in entries] == ["/_inference"]
    assert (await one("GET", "/_inference/_region_policy")).status == 404
    assert (await other("GET", ENDPOINT)).status == 200
    assert (await other("GET", "/_inference/_region_policy")).status == 200
    assert (await other("GET", "/_esinfer/clock")).json["time"] == 60


@pytest.mark.parametrize(
    "end", [("POST", "/_ns/a/_esinfer/reset"), ("DELETE", "/_esinfer/namespaces/a")]
)
@pytest.mark.parametrize("fault", ["stall", "latency"])
async def test_requests_in_flight_come_to_their_end(
    mock: Client, end: tuple[str, str], fault: str
) -> None:
    one = Named(mock, "prefix", "a")
    await one.create()
    settings = {
        "faults": [{"kind": fault, "delay": "1h"} if fault == "latency" else {"kind": fault}]
    }
    await one("PUT", "/_esinfer/upstreams/default", settings)
    await one("POST", "/_esinfer/clock", {"mode": "manual", "advance": "1s"})
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.infer()) for _ in range(3)]
        while (await one("GET", "/_esinfer/clock")).json[
            "waiting"
        ] < 5:  # timeouts, a fault, a turn
            assert not tasks[0].done()
        await mock(*end)
    assert {task.result().status for task in tasks} == {500}  # a connection that was closed


@pytest.mark.parametrize("way", ["prefix", "header"])
async def test_serve_has_none_and_says_so(client: Client, way: str) -> None:
    reply = await Named(client, way, "a")("GET", "/")
    reason = "esinfer serve has no namespaces and cannot be reset: start esinfer mock"
    refused = (400, envelope("status_exception", reason))
    assert (reply.status, reply.json) == refused
    for method, path in [
        ("POST", "/_esinfer/reset"),
        ("DELETE", "/_esinfer/namespaces"),
        ("DELETE", "/_esinfer/namespaces/a"),
    ]:
        reply = await client(method, path)
        assert (reply.status, reply.json) == refused


@pytest.mark.parametrize("way", ["basic", "api_key"])
async def test_serve_asks_no_credentials_for_one(client: Client, way: str) -> None:
    assert (await Named(client, way, "a")("GET", "/")).status == 200
    (only,) = (await client("GET", "/_esinfer/namespaces")).json["namespaces"]
    assert only["name"] == "default"


# -- clients ----------------------------------------------------------------


@pytest.mark.parametrize("way", ["prefix", "basic", "api_key"])
async def test_elasticsearch_py_is_told_without_a_change_to_the_code(
    mock: Client, way: str
) -> None:
    def client(name: str) -> AsyncElasticsearch:
        if way == "prefix":
            return AsyncElasticsearch(f"{mock.url}/_ns/{name}")
        if way == "basic":
            return AsyncElasticsearch(mock.url, basic_auth=(f"ns-{name}", "any"))
        return AsyncElasticsearch(mock.url, api_key=(f"ns-{name}", "any"))

    async with client("one") as one, client("other") as other:
        await one.inference.put(
            task_type="text_embedding", inference_id="id", inference_config=BODY
        )
        answer = await one.inference.text_embedding(inference_id="id", input="a")
        assert len(answer["text_embedding"]) == 1
        assert (await other.inference.get())["endpoints"] == []
        assert len((await one.inference.get())["endpoints"]) == 1
