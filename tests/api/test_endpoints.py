"""The life of inference endpoints over HTTP (rest.md sections 2 to 5 and 10)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from tests.conftest import (
    GOOD_EMBEDDING,
    Answer,
    Client,
    Reply,
    StartServer,
    Upstream,
    create,
    envelope,
)

TYPED = "/_inference/text_embedding/id"
UPDATE = f"{TYPED}/_update"
SENTENCES = {"strategy": "sentence", "max_chunk_size": 250, "sentence_overlap": 1}
NOT_FOUND = envelope("resource_not_found_exception", "Inference endpoint not found [x]", 404)


def status_error(reason: str, status: int = 400) -> dict[str, object]:
    return envelope("status_exception", reason, status)


def class_cast(found: str, expected: str) -> dict[str, object]:
    reason = (
        f"class {found} cannot be cast to class {expected} ({found} and {expected}"
        " are in module java.base of loader 'bootstrap')"
    )
    return envelope("class_cast_exception", reason, 500)


def bad_id(inference_id: str) -> dict[str, object]:
    reason = (
        f"Validation Failed: 1: Invalid inference_id; '{inference_id}' can contain lowercase"
        " alphanumeric (a-z and 0-9), hyphens or underscores; must start and end with"
        " alphanumeric;"
    )
    return envelope("action_request_validation_exception", reason)


def conflict(url: str, body: str) -> dict[str, object]:
    return status_error(
        f"Cannot resolve conflicting task_type parameter in the request URL [{url}]"
        f" and the request body [{body}]"
    )


UNKNOWN_TYPE = status_error("Unknown task_type [nope]")
MISSING_TYPE = status_error("model is missing required setting [task_type]")
MISSING_SERVICE = status_error("Inference endpoint configuration is missing the [service] setting")
MISSING_SETTINGS = status_error("Missing required field [service_settings]")


def configuration(upstream: Upstream, **more: object) -> dict[str, Any]:
    """A body that creates an endpoint at the upstream."""
    settings = {"url": upstream.url, "api_key": "secret"}
    return {"service": "hugging_face", "service_settings": settings, **more}


def endpoint(upstream: Upstream, **service_settings: object) -> dict[str, Any]:
    """What the endpoint ``id`` looks like."""
    settings = {
        "url": upstream.url,
        "similarity": "cosine",
        "dimensions": 2,
        "rate_limit": {"requests_per_minute": 3000},
    }
    return {
        "inference_id": "id",
        "task_type": "text_embedding",
        "service": "hugging_face",
        "service_settings": settings | service_settings,
        "chunking_settings": SENTENCES,
    }


# -- create -------------------------------------------------------------------


async def test_create_echoes_the_endpoint_with_its_defaults(
    client: Client, upstream: Upstream
) -> None:
    reply = await client("PUT", TYPED, configuration(upstream))
    assert (reply.status, reply.text) == (
        200,
        '{"inference_id":"id","task_type":"text_embedding","service":"hugging_face",'
        f'"service_settings":{{"url":"{upstream.url}","similarity":"cosine","dimensions":2,'
        '"rate_limit":{"requests_per_minute":3000}},'
        '"chunking_settings":{"strategy":"sentence","max_chunk_size":250,"sentence_overlap":1}}',
    )


async def test_create_echoes_what_was_said(client: Client, upstream: Upstream) -> None:
    body = configuration(upstream, chunking_settings={"strategy": "none"}, task_settings={})
    body["service_settings"] |= {
        "rate_limit": {"requests_per_minute": 7},
        "max_input_tokens": 99,
        "similarity": "L2_NORM",
        "dimensions": 2,
    }
    reply = await client("PUT", TYPED, body)
    expected = endpoint(upstream, similarity="l2_norm", rate_limit={"requests_per_minute": 7})
    expected["service_settings"]["max_input_tokens"] = 99
    expected["chunking_settings"] = {"strategy": "none"}
    assert (reply.status, reply.json) == (200, expected)
    assert list(reply.json["service_settings"]) == [
        "url",
        "similarity",
        "dimensions",
        "max_input_tokens",
        "rate_limit",
    ]


async def test_get_gives_the_bytes_that_create_gave(client: Client, upstream: Upstream) -> None:
    created = await create(client, upstream)
    for path in ("/_inference/id", TYPED, "/_inference/any/id", "/_inference"):
        reply = await client("GET", path)
        assert (reply.status, reply.raw) == (200, b'{"endpoints":[' + created.raw + b"]}")


async def test_no_answer_shows_the_key(client: Client, upstream: Upstream) -> None:
    created = await create(client, upstream, api_key="hf_very_secret")
    listed = await client("GET", "/_inference")
    updated = await client("PUT", UPDATE, {"service_settings": {"api_key": "hf_more_secret"}})
    for reply in (created, listed, updated):
        assert reply.status == 200
        assert "secret" not in reply.text


@pytest.mark.parametrize("inference_id", ["a", "0", "a.b", "a-b_c.d", "9-z", "a" * 300])
async def test_good_ids_are_taken(client: Client, upstream: Upstream, inference_id: str) -> None:
    reply = await create(client, upstream, inference_id)
    assert reply.json["inference_id"] == inference_id


@pytest.mark.parametrize(
    ("segment", "inference_id"),
    [
        ("A", "A"),
        ("aB", "aB"),
        ("_all", "_all"),
        ("*", "*"),
        (".a", ".a"),
        ("-a", "-a"),
        ("_a", "_a"),
        ("a.", "a."),
        ("a-", "a-"),
        ("a_", "a_"),
        ("a%20b", "a b"),
        ("a%0A", "a\n"),
        ("a%2Fb", "a/b"),
        ("%C3%BC", "ü"),
        ("%D9%A1", "١"),
        ("a%7Bb", "a{b"),
        (".elser-2-elasticsearch", ".elser-2-elasticsearch"),
    ],
)
@pytest.mark.parametrize("suffix", ["", "/_update"])
async def test_bad_ids_are_refused_on_create_and_update(
    client: Client, segment: str, inference_id: str, suffix: str
) -> None:
    reply = await client("PUT", f"/_inference/text_embedding/{segment}{suffix}", {"service": "x"})
    assert (reply.status, reply.json) == (400, bad_id(inference_id))


@pytest.mark.parametrize(
    ("path", "body_type", "task_type"),
    [
        ("text_embedding/id", None, "text_embedding"),
        ("id", "text_embedding", "text_embedding"),
        ("any/id", "text_embedding", "text_embedding"),
        ("text_embedding/id", "text_embedding", "text_embedding"),
        ("text_embedding/id", " Text_Embedding", "text_embedding"),
        ("SPARSE_EMBEDDING/id", None, "sparse_embedding"),
    ],
)
async def test_the_task_type_comes_from_path_or_body(
    client: Client, upstream: Upstream, path: str, body_type: str | None, task_type: str
) -> None:
    upstream.answers(Answer.json([{"a": 0.5}] if task_type[0] == "s" else GOOD_EMBEDDING))
    body = configuration(upstream, **({"task_type": body_type} if body_type else {}))
    reply = await client("PUT", f"/_inference/{path}", body)
    assert (reply.status, reply.json["task_type"]) == (200, task_type)


SETTINGS = {"url": "http://u", "api_key": "k"}
FULL = {"service": "hugging_face", "service_settings": SETTINGS}

REFUSED: list[tuple[str, object, int, dict[str, object]]] = [
    ("nope/id", FULL, 400, UNKNOWN_TYPE),
    ("id", {}, 400, MISSING_TYPE),
    ("id", [], 400, MISSING_TYPE),
    ("id", "text", 400, MISSING_TYPE),
    ("id", 7, 400, MISSING_TYPE),
    ("id", {"service": "hugging_face"}, 400, MISSING_TYPE),
    ("id", {"task_type": None}, 400, MISSING_TYPE),
    ("id", {"service": 1}, 400, MISSING_TYPE),
    ("any/id", FULL, 400, MISSING_TYPE),
    (
        "id",
        {"task_type": "any"},
        400,
        status_error("task_type [any] is not valid type for inference"),
    ),
    ("id", {"task_type": "nope"}, 400, UNKNOWN_TYPE),
    ("text_embedding/id", {"task_type": "nope"}, 400, UNKNOWN_TYPE),
    ("text_embedding/id", {"task_type": "rerank"}, 400, conflict("text_embedding", "rerank")),
    ("id", {"task_type": 1}, 500, class_cast("java.lang.Integer", "java.lang.String")),
    ("id", {"task_type": []}, 500, class_cast("java.util.ArrayList", "java.lang.String")),
    ("text_embedding/id", {}, 400, MISSING_SERVICE),
    ("text_embedding/id", {"service": None}, 400, MISSING_SERVICE),
    (
        "text_embedding/id",
        {"service": 2**40},
        500,
        class_cast("java.lang.Long", "java.lang.String"),
    ),
    (
        "text_embedding/id",
        {"service": True},
        500,
        class_cast("java.lang.Boolean", "java.lang.String"),
    ),
    ("text_embedding/id", {"service": "nope"}, 400, status_error("Unknown service [nope]")),
    ("text_embedding/id", {"service": "hugging_face"}, 400, MISSING_SETTINGS),
    (
        "text_embedding/id",
        {"service": "hugging_face", "service_settings": None},
        400,
        MISSING_SETTINGS,
    ),
    (
        "embedding/id",
        FULL,
        400,
        status_error("The [hugging_face] service does not support task type [embedding]"),
    ),
    ("embedding/id", {"service": "hugging_face"}, 400, MISSING_SETTINGS),
    (
        "text_embedding/id",
        {"service": "hugging_face_elser", "service_settings": SETTINGS},
        400,
        status_error(
            "The [hugging_face_elser] service does not support task type [text_embedding]"
        ),
    ),
    *(
        (
            "text_embedding/id",
            {"service": "hugging_face", "service_settings": value},
            500,
            class_cast(found, "java.util.Map"),
        )
        for value, found in (
            ("x", "java.lang.String"),
            (1.5, "java.lang.Double"),
            ([], "java.util.ArrayList"),
        )
    ),
    (
        "text_embedding/id",
        FULL | {"extra": "value"},
        400,
        status_error(
            "Configuration contains settings [{extra=value}] unknown to the [hugging_face] service"
        ),
    ),
    (
        "text_embedding/id",
        FULL | {"a": None, "b": [1, {"c": True}], "d": 1e7, "api_key": "hf_secret"},
        400,
        status_error(
            "Configuration contains settings [{a=null, b=[1, {c=true}], d=1.0E7, api_key=***}]"
            " unknown to the [hugging_face] service"
        ),
    ),
    (
        "text_embedding/id",
        FULL | {"task_settings": {"top_n": 3}},
        400,
        status_error(
            "Configuration contains settings [{top_n=3}] unknown to the [hugging_face] service"
        ),
    ),
    (
        "text_embedding/id",
        {"service": "hugging_face", "service_settings": {"api_key": "k"}, "extra": 1},
        400,
        envelope(
            "illegal_argument_exception",
            "[service_settings] does not contain the required setting [url]",
        ),
    ),
    (
        "text_embedding/id",
        {"service": "hugging_face", "service_settings": {"url": "u"}, "extra": 1},
        400,
        envelope(
            "validation_exception",
            "Validation Failed: 1: [secret_settings] does not contain the required setting"
            " [api_key];",
        ),
    ),
]


@pytest.mark.parametrize(
    ("path", "body", "status", "expected"),
    REFUSED,
    ids=[f"{path} {body}"[:60] for path, body, _, _ in REFUSED],
)
async def test_bad_configurations_are_refused(
    client: Client, path: str, body: object, status: int, expected: object
) -> None:
    reply = await client("PUT", f"/_inference/{path}", body)
    assert (reply.status, reply.json) == (status, expected)
    assert (await client("GET", "/_inference")).json == {"endpoints": []}


async def test_create_reports_what_fails_first(client: Client) -> None:
    """Each request mends the error of the one before it."""
    timeout = "failed to parse setting [timeout] with value [y] as a time value: unit is missing"
    steps: list[tuple[str, bytes | None, str]] = [
        ("nope/A?timeout=y&zzzzz", None, "Unknown task_type [nope]"),
        ("any/A?timeout=y&zzzzz", None, timeout),
        ("any/A?zzzzz", None, "request body is required"),
        ("any/A?zzzzz", b"{", "request [/_inference/any/A] contains unrecognized"),
        ("any/A", b"{", "Validation Failed: 1: Invalid inference_id; 'A'"),
        ("any/a", b"{", "[1:2] Unexpected end of file"),
        ("any/a", b'{"service":1}', "model is missing required setting [task_type]"),
        ("sparse_embedding/a", b'{"service":1}', "class java.lang.Integer cannot be cast"),
        ("sparse_embedding/a", b'{"service":"x"}', "Unknown service [x]"),
        ("sparse_embedding/a", b'{"service":"hugging_face"}', "Missing required field"),
    ]
    for path, body, reason in steps:
        reply = await client("PUT", f"/_inference/{path}", body)
        assert reply.json["error"]["reason"].startswith(reason)


async def test_a_failed_validation_call_is_400_with_its_cause(
    client: Client, upstream: Upstream
) -> None:
    upstream.answers(Answer.json({"error": "no such key"}, 401))
    reply = await client("PUT", TYPED, configuration(upstream))
    error = reply.json["error"]
    assert (reply.status, error["type"], error["reason"]) == (
        400,
        "status_exception",
        "Could not complete inference endpoint creation as validation call to service threw"
        " an exception.",
    )
    assert error["root_cause"] == [error["caused_by"]]
    assert error["caused_by"]["reason"].startswith(
        "Received an authentication error status code for request from inference entity id [id]"
        " status [401]."
    )
    assert (await client("GET", "/_inference")).json == {"endpoints": []}


async def test_the_validation_call_sends_one_text(client: Client, upstream: Upstream) -> None:
    await client("PUT", TYPED, configuration(upstream))
    assert upstream.bodies == [{"inputs": ["how big"]}]


async def test_validation_can_be_switched_off(start: StartServer, upstream: Upstream) -> None:
    client = await start("inference.skip_validate_and_start=true")
    reply = await client("PUT", TYPED, configuration(upstream))
    settings = {"url": upstream.url, "rate_limit": {"requests_per_minute": 3000}}
    expected = endpoint(upstream) | {"service_settings": settings}
    assert (reply.status, reply.json, upstream.requests) == (200, expected, [])


async def test_a_taken_id_is_noticed_after_the_validation_call(
    embedder: Client, upstream: Upstream
) -> None:
    reply = await embedder("PUT", TYPED, configuration(upstream))
    expected = envelope(
        "resource_already_exists_exception", "Inference endpoint [id] already exists"
    )
    assert (reply.status, reply.json) == (400, expected)
    assert len(upstream.requests) == 1


async def test_ids_are_unique_across_task_types(embedder: Client, upstream: Upstream) -> None:
    upstream.answers(Answer.json([{"a": 0.5}]))
    reply = await embedder("PUT", "/_inference/sparse_embedding/id", configuration(upstream))
    assert reply.json["error"]["type"] == "resource_already_exists_exception"
    assert (await embedder("GET", TYPED)).status == 200


async def test_of_many_concurrent_creates_one_wins(client: Client, upstream: Upstream) -> None:
    replies = await asyncio.gather(
        *(client("PUT", TYPED, configuration(upstream)) for _ in range(20))
    )
    won = [reply for reply in replies if reply.status == 200]
    lost = [reply.json for reply in replies if reply.status != 200]
    expected = envelope(
        "resource_already_exists_exception", "Inference endpoint [id] already exists"
    )
    assert len(won) == 1
    assert lost == [expected] * 19
    assert len(upstream.requests) == 20


@pytest.mark.parametrize("value", [b"1e999", b"-1e999", b'"1_0"', b'"x"', b'"\\u0663"'])
async def test_numbers_that_are_none_in_settings_are_refused(client: Client, value: bytes) -> None:
    settings = b'{"url":"u","api_key":"k","dimensions":%b}' % value
    data = b'{"service":"hugging_face","service_settings":%b}' % settings
    reply = await client("PUT", TYPED, data)
    error = reply.json["error"]
    assert (reply.status, error["type"]) == (400, "x_content_parse_exception")
    assert error["reason"].endswith("[service_settings] failed to parse field [dimensions]")


# -- read ---------------------------------------------------------------------


async def test_endpoints_are_sorted_by_id(client: Client, upstream: Upstream) -> None:
    for inference_id in ("b", "a.b", "a0", "a", "a_b", "a-b", "9"):
        await create(client, upstream, inference_id)
    reply = await client("GET", "/_inference/_all")
    ids = [found["inference_id"] for found in reply.json["endpoints"]]
    assert ids == ["9", "a", "a-b", "a.b", "a0", "a_b", "b"]


@pytest.mark.parametrize("everything", ["_all", "*", "%2A"])
async def test_lists_can_be_of_one_task_type(
    client: Client, upstream: Upstream, everything: str
) -> None:
    await create(client, upstream, "dense")
    await create(client, upstream, "sparse", "sparse_embedding")
    ids = {}
    for task_type in ("text_embedding", "sparse_embedding", "rerank", "any"):
        reply = await client("GET", f"/_inference/{task_type}/{everything}")
        assert reply.status == 200
        ids[task_type] = [found["inference_id"] for found in reply.json["endpoints"]]
    assert ids == {
        "text_embedding": ["dense"],
        "sparse_embedding": ["sparse"],
        "rerank": [],
        "any": ["dense", "sparse"],
    }


@pytest.mark.parametrize("inference_id", ["i*", "id*", "id,id", "_ALL", "**"])
async def test_other_wildcards_are_ids(embedder: Client, inference_id: str) -> None:
    reply = await embedder("GET", f"/_inference/{inference_id}")
    reason = f"Inference endpoint not found [{inference_id}]"
    assert (reply.status, reply.json) == (
        404,
        envelope("resource_not_found_exception", reason, 404),
    )


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("query", ["", "?pretty=false"])
async def test_read_and_delete_check_in_one_order(
    embedder: Client, method: str, query: str
) -> None:
    mismatch = status_error(
        "Requested task type [sparse_embedding] does not match the inference endpoint's"
        " task type [text_embedding]"
    )
    unknown_type = await embedder(method, f"/_inference/nope/x{query}")
    unknown_id = await embedder(method, f"/_inference/sparse_embedding/x{query}")
    wrong_type = await embedder(method, f"/_inference/sparse_embedding/id{query}")
    assert (unknown_type.status, unknown_type.json) == (400, UNKNOWN_TYPE)
    assert (unknown_id.status, unknown_id.json) == (404, NOT_FOUND)
    assert (wrong_type.status, wrong_type.json) == (400, mismatch)
    assert (await embedder("GET", TYPED)).status == 200


# -- delete -------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/_inference/id", TYPED, "/_inference/any/id"])
@pytest.mark.parametrize("query", ["", "?force", "?force=true", "?force=false&dry_run=false"])
async def test_delete_removes_the_endpoint(embedder: Client, path: str, query: str) -> None:
    reply = await embedder("DELETE", path + query)
    assert (reply.status, reply.raw) == (200, b'{"acknowledged":true,"pipelines":[],"indexes":[]}')
    assert (await embedder("GET", "/_inference/id")).status == 404
    assert (await embedder("DELETE", path + query)).status == 404


@pytest.mark.parametrize("query", ["?dry_run", "?dry_run=true", "?dry_run=true&force=true"])
async def test_a_dry_run_deletes_nothing(embedder: Client, query: str) -> None:
    reply = await embedder("DELETE", TYPED + query)
    expected = b'{"acknowledged":false,"pipelines":[],"indexes":[],"error_message":""}'
    assert (reply.status, reply.raw) == (200, expected)
    assert (await embedder("GET", TYPED)).status == 200


@pytest.mark.parametrize("query", ["?dry_run", "?force"])
async def test_an_unknown_id_cannot_be_deleted(client: Client, query: str) -> None:
    reply = await client("DELETE", f"/_inference/x{query}")
    assert (reply.status, reply.json) == (404, NOT_FOUND)


async def test_a_deleted_id_can_be_used_again(embedder: Client, upstream: Upstream) -> None:
    await embedder("DELETE", TYPED)
    reply = await create(embedder, upstream, "id", "sparse_embedding")
    assert reply.json["task_type"] == "sparse_embedding"


@pytest.mark.parametrize("path", ["_all", "*", "text_embedding/_all"])
async def test_all_cannot_be_deleted_at_once(embedder: Client, path: str) -> None:
    reply = await embedder("DELETE", f"/_inference/{path}")
    assert reply.status == 404
    assert (await embedder("GET", TYPED)).status == 200


# -- update -------------------------------------------------------------------


REFUSED_UPDATES: list[tuple[str, object, int, dict[str, object]]] = [
    ("nope/id", {}, 400, UNKNOWN_TYPE),
    ("text_embedding/id", {}, 400, status_error("Request body is empty")),
    ("text_embedding/id", [], 400, status_error("Request body is empty")),
    (
        "text_embedding/id",
        {"task_type": 42, "service": "x"},
        400,
        status_error("Failed to parse [task_type] in update request [{task_type=42}]"),
    ),
    ("text_embedding/id", {"task_type": "nope", "service_settings": 1}, 400, UNKNOWN_TYPE),
    *(
        (
            "text_embedding/id",
            {section: "not_a_map", "service": "x"},
            400,
            status_error(f"Unable to parse [{section}] in the request [{{{section}=not_a_map}}]"),
        )
        for section in ("service_settings", "task_settings", "chunking_settings")
    ),
    (
        "sparse_embedding/x",
        {"service": "x", "task_type": "text_embedding", "service_settings": {"api_key": "k"}},
        400,
        status_error(
            "Request contained fields which cannot be updated, remove these fields and try"
            " again [{service=x}]"
        ),
    ),
    (
        "text_embedding/id",
        {"a": 1, "b": {"c": None}},
        400,
        status_error(
            "Request contained fields which cannot be updated, remove these fields and try"
            " again [{a=1, b={c=null}}]"
        ),
    ),
    (
        "sparse_embedding/x",
        {"task_type": "text_embedding"},
        400,
        conflict("sparse_embedding", "text_embedding"),
    ),
    ("id", {"service_settings": {"api_key": "k"}}, 400, MISSING_TYPE),
    (
        "text_embedding/x",
        {"service_settings": {"api_key": "k"}},
        404,
        envelope(
            "resource_not_found_exception",
            "The inference endpoint [x] does not exist and cannot be updated",
            404,
        ),
    ),
    (
        "sparse_embedding/id",
        {"service_settings": {"url": "u"}},
        400,
        status_error("Task type must match the task type of the existing endpoint"),
    ),
    (
        "text_embedding/id",
        {"service_settings": {"url": "http://elsewhere"}},
        400,
        envelope("x_content_parse_exception", "[1:2] [service_settings] unknown field [url]"),
    ),
    (
        "text_embedding/id",
        {"task_settings": {"top_n": 1}},
        400,
        status_error(
            "Configuration contains settings [{top_n=1}] unknown to the [hugging_face] service"
        ),
    ),
]


@pytest.mark.parametrize(
    "case", REFUSED_UPDATES, ids=[f"{path} {body}"[:60] for path, body, _, _ in REFUSED_UPDATES]
)
async def test_bad_updates_are_refused(
    embedder: Client, upstream: Upstream, case: tuple[str, object, int, dict[str, object]]
) -> None:
    path, body, status, expected = case
    before = (await embedder("GET", TYPED)).raw
    reply = await embedder("PUT", f"/_inference/{path}/_update", body)
    assert (reply.status, reply.json) == (status, expected)
    assert upstream.requests == []
    assert (await embedder("GET", TYPED)).raw == before


async def test_an_update_is_merged_validated_and_stored(
    embedder: Client, upstream: Upstream
) -> None:
    settings = {"rate_limit": {"requests_per_minute": 7}, "max_input_tokens": 12}
    reply = await embedder("PUT", UPDATE, {"service_settings": settings})
    expected = endpoint(upstream, **settings)
    assert (reply.status, reply.json) == (200, expected)
    assert upstream.bodies == [{"inputs": ["how big"]}]
    assert (await embedder("GET", TYPED)).json == {"endpoints": [expected]}


async def test_an_update_keeps_what_it_does_not_name(client: Client, upstream: Upstream) -> None:
    await create(client, upstream, similarity="dot_product", max_input_tokens=12)
    body = {"service_settings": {"rate_limit": {"requests_per_minute": 7}}}
    reply = await client("PUT", UPDATE, body)
    expected = endpoint(
        upstream,
        similarity="dot_product",
        max_input_tokens=12,
        rate_limit={"requests_per_minute": 7},
    )
    assert (reply.status, reply.json) == (200, expected)
    assert upstream.requests[0]["headers"]["Authorization"] == "Bearer secret"


async def test_an_updated_key_is_used_from_the_validation_call_on(
    embedder: Client, upstream: Upstream
) -> None:
    reply = await embedder("PUT", UPDATE, {"service_settings": {"api_key": "new"}})
    await embedder("POST", TYPED, {"input": "a"})
    assert (reply.status, reply.json) == (200, endpoint(upstream))
    keys = [request["headers"]["Authorization"] for request in upstream.requests]
    assert keys == ["Bearer new"] * 2


async def test_chunking_settings_are_replaced_as_a_whole(
    client: Client, upstream: Upstream
) -> None:
    body = configuration(
        upstream,
        chunking_settings={"strategy": "sentence", "max_chunk_size": 100, "sentence_overlap": 0},
    )
    await client("PUT", TYPED, body)
    words = {"strategy": "word", "max_chunk_size": 50, "overlap": 5}
    reply = await client("PUT", UPDATE, {"chunking_settings": words})
    expected = endpoint(upstream) | {"chunking_settings": words}
    assert (reply.status, reply.json) == (200, expected)


@pytest.mark.parametrize(
    "body",
    [
        {"service_settings": {"api_key": "secret"}},
        {"service_settings": {"rate_limit": {"requests_per_minute": 3000}}},
        {"service_settings": {}},
        {"service_settings": {}, "task_settings": {}, "chunking_settings": {}},
        {"task_type": "text_embedding"},
        {"chunking_settings": SENTENCES},
    ],
)
async def test_an_update_that_changes_nothing_asks_nobody(
    embedder: Client, upstream: Upstream, body: object
) -> None:
    reply = await embedder("PUT", UPDATE, body)
    assert (reply.status, reply.json) == (200, endpoint(upstream))
    assert upstream.requests == []


async def test_the_short_form_takes_the_task_type_from_the_body(
    embedder: Client, upstream: Upstream
) -> None:
    body = {"task_type": "text_embedding", "service_settings": {"max_input_tokens": 5}}
    reply = await embedder("PUT", "/_inference/id/_update", body)
    assert (reply.status, reply.json) == (
        200,
        endpoint(upstream, max_input_tokens=5),
    )


async def test_a_failed_validation_call_leaves_the_endpoint_as_it_was(
    embedder: Client, upstream: Upstream
) -> None:
    upstream.answers(Answer.json({"error": "no such key"}, 401))
    reply = await embedder("PUT", UPDATE, {"service_settings": {"api_key": "new"}})
    assert (reply.status, reply.json["error"]["reason"]) == (
        400,
        "Could not complete inference endpoint creation as validation call to service threw"
        " an exception.",
    )
    upstream.answers()
    await embedder("POST", TYPED, {"input": "a"})
    assert upstream.requests[0]["headers"]["Authorization"] == "Bearer secret"


async def hold(upstream: Upstream) -> tuple[asyncio.Event, asyncio.Event]:
    """Let the upstream's next answer wait: an event for its arrival, one to let it go."""
    asked, answer = asyncio.Event(), asyncio.Event()

    async def wait(_request: web.Request) -> web.StreamResponse:
        asked.set()
        await answer.wait()
        return web.json_response(GOOD_EMBEDDING)

    upstream.handler = wait
    return asked, answer


async def test_during_an_update_no_other_change_is_made(
    embedder: Client, upstream: Upstream
) -> None:
    asked, answer = await hold(upstream)
    body = {"service_settings": {"api_key": "new"}}
    first = asyncio.create_task(embedder("PUT", UPDATE, body))
    await asked.wait()
    second = await embedder("PUT", UPDATE, body)
    deleted = await embedder("DELETE", TYPED)
    answer.set()
    assert second.status == 409
    assert deleted.json == status_error(
        "Model is currently being updated, you may delete the model once the update completes",
        409,
    )
    assert (await first).status == 200
    assert (await embedder("DELETE", TYPED)).status == 200


async def test_a_failed_update_does_not_lock_the_endpoint(
    embedder: Client, upstream: Upstream
) -> None:
    upstream.answers(Answer.json({}, 401))
    replies: list[Reply] = [
        await embedder("PUT", UPDATE, {"service_settings": {"api_key": "new"}}) for _ in range(2)
    ]
    assert [reply.status for reply in replies] == [400, 400]
