"""``/_esinfer/openapi.json``: valid, complete, and true of what is asked and answered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from esinfer.api.openapi import Definitions, make_document
from esinfer.api.operation import Operation, operation_of
from esinfer.api.parameters import COMMON, Parameters
from esinfer.api.routes import ROUTES
from esinfer.app import make_app
from esinfer.config import load
from esinfer.json_schema import Named
from tests.api.openapi import JSON, Judge, read_document
from tests.conftest import Answer, Client, Reply, StartServer, Upstream, create
from tests.test_samples import answer

SAMPLES = Path(__file__).parents[1] / "samples"
CASES = [json.loads(path.read_text("utf-8")) for path in sorted(SAMPLES.glob("*/*/*/case.json"))]
PLACES = {
    "task_type": "text_embedding",
    "inference_id": "an-id",
    "name": "default",
    "sequence": "1",
}


@pytest.fixture(scope="module")
def judge() -> Judge:
    document = make_document(ROUTES, make_app(load(None, {}, []), "mock"))
    return Judge(json.loads(json.dumps(document)))


# -- the document -----------------------------------------------------------


async def test_document_is_valid_openapi(judge: Judge) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(judge.document).iter_errors()] == []


@pytest.mark.parametrize(("method", "path", "handler"), ROUTES)
def test_every_route_is_documented(method: str, path: str, handler: Any) -> None:
    assert isinstance(operation_of(handler), Operation), f"{method} {path}: see api/operation.py"


async def test_document_has_exactly_the_routes(judge: Judge) -> None:
    documented = {(method, path) for method, path, _ in judge.operations}
    assert documented == {(m, re.sub(r":[^}]*\}", "}", path)) for m, path, _ in ROUTES}


@pytest.mark.parametrize("mode", ["serve", "mock"])
async def test_document_is_served(judge: Judge, start: StartServer, mode: str) -> None:
    assert await read_document(await start(mode=mode)) == judge


async def test_operation_ids_are_unique_words(judge: Judge) -> None:
    ids = [operation["operationId"] for *_, operation in judge.operations]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+(-[a-z0-9_]+)+", each) for each in ids)
    assert "put-inference-task_type-inference_id" in ids


async def test_every_operation_has_a_tag_that_is_described(judge: Judge) -> None:
    tags = {tag["name"]: tag["description"] for tag in judge.document["tags"]}
    used = {tag for *_, operation in judge.operations for tag in operation["tags"]}
    assert used == set(tags)
    assert all(tags.values())


def references(value: Any) -> set[str]:
    if isinstance(value, list):
        return {found for item in value for found in references(item)}
    if not isinstance(value, dict):
        return set()
    own = {value["$ref"]} if "$ref" in value else set()
    return own.union(*(references(member) for member in value.values()))


async def test_every_component_is_referred_to(judge: Judge) -> None:
    components = judge.document["components"]
    defined = {f"#/components/{kind}/{name}" for kind, each in components.items() for name in each}
    assert defined == references(judge.document)


async def test_examples_fit_their_schemas(judge: Judge) -> None:
    wrong, count = [], 0
    for *_, operation in judge.operations:
        content = [operation.get("requestBody", {}), *operation["responses"].values()]
        for media in (each for said in content for each in said.get("content", {}).values()):
            for name, example in media.get("examples", {}).items():
                found = judge.complaints(media["schema"], example["value"])
                wrong += [f"{operation['operationId']} {name} {problem}" for problem in found]
                count += 1
    assert wrong == []
    assert count > 30


async def test_secrets_are_for_writing_only(judge: Judge) -> None:
    schemas = judge.document["components"]["schemas"]
    keys = [
        each["properties"]["api_key"]
        for each in schemas.values()
        if "api_key" in str(each) and "api_key" in each.get("properties", {})
    ]
    assert keys
    assert all(key.get("writeOnly") for key in keys)


async def test_examples_work_as_pasted(mock: Client, judge: Judge) -> None:
    for task_type in TASKS:
        created = await mock("PUT", f"/_inference/{task_type}/{task_type}", endpoint(task_type))
        assert created.status == 200
    sent = 0
    for method, path, operation in judge.operations:
        content = operation.get("requestBody", {}).get("content", {JSON: {}})
        for name, example in content[JSON].get("examples", {}).items():
            places = places_for(operation["operationId"], name, example["value"])
            if places is not None:
                reply = await mock(method, path.format_map(places), example["value"])
                assert reply.status == 200, (path, name, reply.text)
                await mock("DELETE", "/_esinfer/upstreams")  # an example may have let it fail
                sent += 1
    assert sent > 15


def places_for(operation_id: str, name: str, body: Any) -> dict[str, str] | None:
    """Where to send an example; None where its task does not go with the operation."""
    if operation_id.startswith("put-"):
        task_type = body.get("task_type", "text_embedding")
        typed = "typed" if "task_type" in operation_id else "plain"
        new = f"{name.replace('_', '-')}-{typed}"
        is_update = operation_id.endswith("update")
        if is_update and typed == "plain":
            return None  # the body would have to name the task type
        return {
            "task_type": task_type,
            "inference_id": "text_embedding" if is_update else new,
            "name": "mine" if "url" in body else "default",
        }
    task_type = max((each for each in TASKS if name.startswith(each)), default="text_embedding")
    streams = task_type in ("completion", "chat_completion")
    if streams != operation_id.endswith("stream") and task_type != "completion":
        return None
    return {"task_type": task_type, "inference_id": task_type}


def test_two_schemas_of_one_name_are_refused() -> None:
    definitions = Definitions(make_app(load(None, {}, []), "serve"))
    definitions.resolve({"items": Named("A", {"type": "string"})})
    definitions.resolve({"items": Named("A", {"type": "string"})})
    with pytest.raises(ValueError, match="two schemas are named A"):
        definitions.resolve(Named("A", {"type": "integer"}))


async def test_document_is_made_once(mock: Client) -> None:
    first = await mock("GET", "/_esinfer/openapi.json")
    second = await mock("GET", "/_esinfer/openapi.json")
    assert first.raw == second.raw


async def test_document_takes_no_body(mock: Client) -> None:
    reply = await mock("GET", "/_esinfer/openapi.json", {})
    assert (reply.status, reply.json["error"]["type"]) == (400, "illegal_argument_exception")


async def test_parameters_are_those_that_handlers_read(
    mock: Client, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a handler has asked for when it refuses all other parameters."""
    read: set[str] = set()
    refuse = Parameters.reject_unknown

    def note(self: Parameters) -> None:
        read.update(self._read)
        refuse(self)

    monkeypatch.setattr(Parameters, "reject_unknown", note)
    body = {"region_policy": {"allowed_geos": ["eu"]}}
    for method, path, operation in judge.operations:
        read.clear()
        reply = await mock(
            method, path.format_map(PLACES), body if "requestBody" in operation else None
        )
        if reply.status == 501:
            continue
        named = {each["name"] for each in operation["parameters"]}
        assert read - set(COMMON) == named, f"{method} {path}"


# -- requests ---------------------------------------------------------------

ACCEPTED = [case for case in CASES if case["expect"]["status"] == 200]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["name"])
async def test_accepted_sample_fits_its_request_schema(judge: Judge, case: Any) -> None:
    method, _, path = case["operation"].partition(" ")
    assert judge.of_request(method, f"/{path}", case["request"]) == []


REFUSED = [
    ("PUT", "/_inference/text_embedding/x", {"service": "hugging_face"}),
    ("PUT", "/_inference/text_embedding/x", {"service": "other", "service_settings": {}}),
    ("PUT", "/_inference/x/_update", {}),
    ("PUT", "/_inference/x/_update", {"service": "hugging_face"}),
    ("PUT", "/_inference/x/_update", {"chunking_settings": {"strategy": "sentences"}}),
    ("POST", "/_inference/x", {}),
    ("POST", "/_inference/x", {"input": []}),
    ("POST", "/_inference/x", {"input": None}),
    ("POST", "/_inference/x", {"input": "a", "inputs": "b"}),
    ("POST", "/_inference/x", {"input": "a", "input_type": "internal_search"}),
    ("POST", "/_inference/x", {"input": "a", "query": "b", "top_n": 0}),
    ("POST", "/_inference/x", {"input": "a", "query": "b", "top_n": "x"}),
    ("POST", "/_inference/x", {"input": {"type": "pdf", "value": "a"}, "query": "b"}),
    ("POST", "/_inference/x", {"messages": []}),
    ("POST", "/_inference/x", {"messages": [{"content": "a"}]}),
    ("POST", "/_inference/x", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
    ("POST", "/_esinfer/chunk", {"input": "a", "chunking_settings": {"strategy": "word"}}),
    ("PUT", "/_esinfer/upstreams/default", {"faults": [{"kind": "loadin"}]}),
    ("PUT", "/_esinfer/upstreams/default", {"faults": [{"kind": "paused", "at": "mid_body"}]}),
    ("PUT", "/_esinfer/upstreams/default", {"ready_after": "soon"}),
    ("PUT", "/_esinfer/upstreams/default", {"dimensions": 5000}),
    ("PUT", "/_inference/_region_policy", {"region_policy": {"allowed_geos": []}}),
    ("PUT", "/_inference/_region_policy", {"region_policy": 1}),
]


@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
async def test_server_and_schema_refuse_the_same(
    mock: Client, judge: Judge, method: str, path: str, body: object
) -> None:
    settings = {"api_key": "hf_any", "url": "https://example.com/rerank"}
    kind = (
        "rerank"
        if "query" in str(body)
        else "chat_completion"
        if "messages" in str(body)
        else ("text_embedding")
    )
    if path == "/_inference/x":
        made = {"service": "hugging_face", "service_settings": settings}
        assert (await mock("PUT", f"/_inference/{kind}/x", made)).status in (200, 400)
    reply = await mock(method, path, body)
    assert reply.status in (400, 404, 500), reply.text
    assert judge.of_request(method, path, body) != []


# -- answers ----------------------------------------------------------------


class Walker:
    """Asks the server, and the document whether request and answer are as it says."""

    def __init__(self, client: Client, judge: Judge) -> None:
        self.client = client
        self.judge = judge

    async def __call__(
        self, method: str, path: str, body: object = None, status: int = 200
    ) -> Reply:
        reply = await self.client(method, path, body)
        assert reply.status == status, reply.text
        if status == 200 and body is not None:
            assert self.judge.of_request(method, path, body) == []
        assert self.judge.of_reply(method, path, reply) == [], reply.text
        return reply


TASKS: dict[str, tuple[str, object]] = {
    "text_embedding": ("", {"input": ["a fox", "a dog"]}),
    "sparse_embedding": ("/elser", {"input": "a fox"}),
    "rerank": ("/rerank", {"query": "a", "input": ["a", "b"], "return_documents": True}),
    "completion": ("/v1/chat/completions", {"input": "Say hello"}),
    "chat_completion": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "Hello"}]},
    ),
}


def endpoint(task_type: str) -> dict[str, object]:
    url = f"https://example.com{TASKS[task_type][0]}"
    return {"service": "hugging_face", "service_settings": {"api_key": "hf_any", "url": url}}


@pytest.mark.parametrize("task_type", TASKS)
async def test_life_of_an_endpoint_is_as_documented(
    start: StartServer, judge: Judge, task_type: str
) -> None:
    walk = Walker(await start("elasticsearch.version=9.6.0", mode="mock"), judge)
    path, (_, body) = f"/_inference/{task_type}/x", TASKS[task_type]
    update = {"service_settings": {"rate_limit": {"requests_per_minute": 120}, "api_key": "b"}}
    await walk("PUT", path, endpoint(task_type))
    await walk("PUT", path, endpoint(task_type), 400)
    await walk("PUT", f"{path}/_update", update)
    await walk("PUT", "/_inference/x/_update", update | {"task_type": task_type})
    for shown in ("/_inference", "/_inference/_all", "/_inference/x", path):
        await walk("GET", shown)
    await walk("POST", path, body)
    await walk("POST", "/_inference/x", body)
    await walk("POST", path, {"inputs": "a typo"}, 400)
    streams = task_type in ("completion", "chat_completion")
    await walk("POST", f"{path}/_stream", body, 200 if streams else 405)
    await walk("DELETE", f"{path}?dry_run")
    await walk("DELETE", path)
    await walk("POST", path, body, 404)
    await walk("GET", path, status=404)


async def test_rerank_endpoint_with_task_settings_is_as_documented(
    mock: Client, judge: Judge
) -> None:
    walk = Walker(mock, judge)
    settings = {"task_settings": {"top_n": 1, "return_documents": True}}
    await walk("PUT", "/_inference/rerank/x", endpoint("rerank") | settings)


@pytest.mark.parametrize("task_type", ["text_embedding", "sparse_embedding"])
async def test_chunked_inference_is_as_documented(
    mock: Client, judge: Judge, task_type: str
) -> None:
    walk = Walker(mock, judge)
    path = f"/_esinfer/inference/{task_type}/x/chunked"
    await walk("PUT", f"/_inference/{task_type}/x", endpoint(task_type))
    await walk("POST", path, {"input": ["a fox", "a dog"]})
    await walk("PUT", "/_esinfer/upstreams/default", {"faults": {"kind": "unauthorized"}})
    reply = await walk("POST", path, {"input": "a fox", "chunking_settings": {"strategy": "none"}})
    assert "error" in reply.json["chunks"][0]
    await walk("POST", path, {"input": []}, 400)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"strategy": "none", "anything": 1},
        {"strategy": "word", "max_chunk_size": 10, "overlap": 1},
        {"strategy": "sentence", "max_chunk_size": 20},
        {"strategy": "sentence", "max_chunk_size": 20, "sentence_overlap": None},
        {"strategy": "recursive", "max_chunk_size": 10, "separator_group": "markdown"},
        {"strategy": "recursive", "max_chunk_size": 10, "separators": ["\n"]},
    ],
)
async def test_chunks_are_as_documented(mock: Client, judge: Judge, settings: object) -> None:
    walk = Walker(mock, judge)
    await walk(
        "POST", "/_esinfer/chunk", {"input": ["One. Two.", 3], "chunking_settings": settings}
    )


async def test_upstreams_are_as_documented(mock: Client, judge: Judge) -> None:
    walk = Walker(mock, judge)
    upstream = {
        "url": "https://example.com*",
        "state": "cold",
        "ready_after_requests": 1,
        "max_concurrent_requests": 100,
        "faults": [
            {"kind": "latency", "min": "1ms", "max": "2ms", "distribution": "uniform"},
            {"kind": "respond", "status": 418, "headers": {"x": "y"}, "body": None, "times": 1},
            {"kind": "crlf", "match": {"task_type": "completion", "every": 2}},
        ],
    }
    await walk("PUT", "/_inference/text_embedding/x", endpoint("text_embedding"))
    await walk("PUT", "/_esinfer/upstreams/mine", upstream)
    await mock("POST", "/_inference/text_embedding/x", {"input": "a"})
    for path in ("", "/mine", "/mine/log", "/default/log"):
        await walk("GET", f"/_esinfer/upstreams{path}")
    await walk("DELETE", "/_esinfer/upstreams/mine/log")
    await walk("DELETE", "/_esinfer/upstreams/mine")
    await walk("GET", "/_esinfer/upstreams/mine", status=404)
    await walk("DELETE", "/_esinfer/upstreams")


async def test_region_policy_is_as_documented(mock: Client, judge: Judge) -> None:
    walk = Walker(mock, judge)
    path, us = "/_inference/_region_policy", {"csp": "aws", "region": "us-east-1"}
    await walk("GET", path, status=404)
    await walk("PUT", path, {"region_policy": {"allowed_geos": ["eu"]}})
    await walk("PUT", path, {"region_policy": {"allowed_regions": [us], "fallback_region": us}})
    await walk("GET", path)
    await walk("DELETE", path)
    await walk("PUT", path, {"region_policy": {"allowed_geos": [], "allowed_regions": []}}, 400)


async def test_every_get_without_parts_to_fill_in_is_as_documented(
    mock: Client, judge: Judge
) -> None:
    walk = Walker(mock, judge)
    for method, path, operation in judge.operations:
        if method in ("GET", "HEAD") and "{" not in path:
            status = int(min(operation["responses"]))
            if path == "/_inference/_region_policy":
                status = 404
            await walk(method, path, status=501 if "501" in operation["responses"] else status)
    await walk("GET", "/_inference/_services/rerank")


async def test_serve_without_a_twin_is_as_documented(client: Client, judge: Judge) -> None:
    await Walker(client, judge)("GET", "/_esinfer/upstreams", status=400)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_answer_of_a_sample_is_as_documented(
    client: Client, judge: Judge, upstream: Upstream, case: Any
) -> None:
    case = json.loads(json.dumps(case).replace("http://UPSTREAM/x", upstream.url))
    settings = case["endpoint"]["service_settings"]
    if not settings.get("from_request"):
        task_settings = case["endpoint"].get("task_settings")
        await create(client, upstream, "id", case["task_type"], task_settings, **settings)
    upstream.answers(*map(answer, case["upstream"]))
    method, _, path = case["operation"].partition(" ")
    reply = await client(method, f"/{path}", case["request"])
    assert judge.of_reply(method, f"/{path}", reply) == []


async def test_status_of_the_upstream_is_documented(
    embedder: Client, judge: Judge, upstream: Upstream
) -> None:
    upstream.answers(Answer.json({"error": "teapot"}, 402))
    await Walker(embedder, judge)("POST", "/_inference/id", {"input": "a"}, 402)


@pytest.mark.parametrize(
    ("task_type", "request_body", "body"),
    [
        ("text_embedding", {"input": ["a"]}, b"[[1e400]]"),
        ("sparse_embedding", {"input": ["a"]}, b'[{"a":-1e39}]'),
        ("rerank", {"input": ["a"], "query": "b"}, b'[{"index":0,"score":"NaN"}]'),
    ],
)
async def test_floats_that_are_no_numbers_are_documented(
    client: Client,
    upstream: Upstream,
    judge: Judge,
    task_type: str,
    request_body: object,
    body: bytes,
) -> None:
    await create(client, upstream, task_type=task_type)
    upstream.answers(Answer(body=body))
    reply = await client("POST", f"/_inference/{task_type}/id", request_body)
    assert (reply.status, judge.of_reply("POST", f"/_inference/{task_type}/id", reply)) == (200, [])


async def test_chat_error_without_a_code_is_documented(
    start: StartServer, upstream: Upstream, judge: Judge
) -> None:
    client = await start("elasticsearch.version=9.6.0")
    await create(client, upstream, task_type="chat_completion")
    upstream.answers(Answer.json({"error": "no"}, status=421))
    messages = {"messages": [{"role": "user", "content": "a"}]}
    reply = await client("POST", "/_inference/chat_completion/id", messages)
    assert "code" not in reply.json["error"]
    assert judge.of_reply("POST", "/_inference/chat_completion/id", reply) == []


async def test_request_in_a_wrong_media_type_is_documented(mock: Client, judge: Judge) -> None:
    headers = {"Content-Type": "text/plain"}
    reply = await mock("POST", "/_inference/x", b"{}", headers=headers)
    assert reply.status == 406
    assert judge.of_reply("POST", "/_inference/x", reply) == []
    assert JSON in reply.headers["Content-Type"]
