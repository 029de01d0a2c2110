"""``POST /_inference/…``, as far as no provider decides (rest.md section 6)."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from aiohttp import web

from tests.conftest import GOOD_EMBEDDING, Answer, Client, StartServer, Upstream, create, envelope

TYPED = "/_inference/text_embedding/id"
PARSER = "cluster:internal/xpack/inference"
NOT_FOUND = envelope("resource_not_found_exception", "Inference endpoint not found [x]", 404)
UNKNOWN_TYPE = envelope("status_exception", "Unknown task_type [nope]")
NO_INPUT = envelope(
    "action_request_validation_exception", "Validation Failed: 1: Field [input] cannot be null;"
)


def parse_error(place: str, problem: str, caused_by: object = None) -> dict[str, object]:
    reason = f"[{place}] [{PARSER}] {problem}"
    return envelope("x_content_parse_exception", reason, caused_by=caused_by)


def refused_by_service(input_type: str) -> dict[str, object]:
    """What hugging_face says to an input type that the REST layer took."""
    reason = (
        f"Validation Failed: 1: Invalid input_type [{input_type.lower()}]."
        " The input_type option is not supported by this service;"
    )
    return envelope("validation_exception", reason)


def cause(kind: str, reason: str) -> dict[str, object]:
    return {"type": kind, "reason": reason}


# -- the body -----------------------------------------------------------------

BAD_BODIES: list[tuple[str, dict[str, object]]] = [
    ("[]", parse_error("1:1", "Expected START_OBJECT but was: START_ARRAY")),
    (' "a"', parse_error("1:2", "Expected START_OBJECT but was: VALUE_STRING")),
    ("null", parse_error("1:1", "Expected START_OBJECT but was: VALUE_NULL")),
    ("{}", NO_INPUT),
    ('{"input_type":"ingest"}', NO_INPUT),
    (
        '{"input":[]}',
        envelope(
            "action_request_validation_exception",
            "Validation Failed: 1: Field [input] cannot be an empty array;",
        ),
    ),
    ('{"input":null}', parse_error("1:10", "input doesn't support values of type: VALUE_NULL")),
    ('{"input":1}', parse_error("1:10", "input doesn't support values of type: VALUE_NUMBER")),
    ('{"input":true}', parse_error("1:10", "input doesn't support values of type: VALUE_BOOLEAN")),
    ('{"input":{}}', parse_error("1:10", "input doesn't support values of type: START_OBJECT")),
    ('{"input":"a","query":"b"}', parse_error("1:14", "unknown field [query]")),
    ('{"input":"a","top_n":1}', parse_error("1:14", "unknown field [top_n]")),
    (
        '{"input":"a","return_documents":true}',
        parse_error("1:14", "unknown field [return_documents]"),
    ),
    (
        '{"inputt":"a"}',
        parse_error("1:2", "unknown field [inputt] did you mean any of [input, input_type]?"),
    ),
    ('{\n  "inpt": "a"}', parse_error("2:3", "unknown field [inpt] did you mean [input]?")),
    (
        '{"input":"a","input_type":"foo"}',
        parse_error(
            "1:27",
            "failed to parse field [input_type]",
            cause(
                "illegal_argument_exception",
                "No enum constant org.elasticsearch.inference.InputType.FOO",
            ),
        ),
    ),
    *(
        (
            f'{{"input":"a","input_type":"{name}"}}',
            parse_error(
                "1:27",
                "failed to parse field [input_type]",
                cause("illegal_argument_exception", f"Unrecognized input_type [{name}]"),
            ),
        )
        for name in ("internal_search", "internal_ingest")
    ),
    (
        '{"input":"a","input_type":1}',
        parse_error("1:27", "input_type doesn't support values of type: VALUE_NUMBER"),
    ),
    (
        '{"input":"a","task_settings":[]}',
        parse_error("1:30", "task_settings doesn't support values of type: START_ARRAY"),
    ),
    (
        '{"input":"a","timeout":5}',
        parse_error("1:24", "timeout doesn't support values of type: VALUE_NUMBER"),
    ),
    ('{"b":1,"a":2}', parse_error("1:2", "unknown field [b]")),
]


@pytest.mark.parametrize(("body", "expected"), BAD_BODIES, ids=[body for body, _ in BAD_BODIES])
async def test_bad_bodies_are_refused_before_anything_is_sent(
    embedder: Client, upstream: Upstream, body: str, expected: object
) -> None:
    reply = await embedder("POST", TYPED, body.encode())
    assert (reply.status, reply.json) == (400, expected)
    assert upstream.requests == []


async def test_null_in_the_input_is_refused(embedder: Client) -> None:
    reply = await embedder("POST", TYPED, {"input": ["a", None]})
    error = reply.json["error"]
    assert (reply.status, error["type"]) == (400, "x_content_parse_exception")
    assert error["reason"].endswith(f"[{PARSER}] failed to parse field [input]")
    assert "VALUE_NULL" in error["caused_by"]["reason"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("a", ["a"]),
        (["a"], ["a"]),
        (["a", "b", "a"], ["a", "b", "a"]),
        (["a", 1, True, False], ["a", "1", "true", "false"]),
        ("", [""]),
        ([""], [""]),
        ("ü😀\n", ["ü😀\n"]),
    ],
)
async def test_inputs_are_sent_as_texts(
    embedder: Client, upstream: Upstream, given: object, sent: list[str]
) -> None:
    upstream.answers(Answer.json([[0.5]] * len(sent)))
    reply = await embedder("POST", TYPED, {"input": given})
    expected = {"text_embedding": [{"embedding": [0.5]}] * len(sent)}
    assert (reply.status, reply.json) == (200, expected)
    assert upstream.bodies == [{"inputs": sent}]


async def test_numbers_in_the_input_keep_their_text(embedder: Client, upstream: Upstream) -> None:
    upstream.answers(Answer.json([[0.5]] * 3))
    await embedder("POST", TYPED, b'{"input":[1.50,1e3,-0]}')
    assert upstream.bodies[0]["inputs"][:2] == ["1.50", "1e3"]


@pytest.mark.parametrize(
    "input_type",
    ["ingest", "search", "classification", "clustering", "unspecified", "SEARCH", "Ingest"],
)
async def test_input_types_ignore_case(embedder: Client, input_type: str) -> None:
    reply = await embedder("POST", TYPED, {"input": "a", "input_type": input_type})
    if input_type == "unspecified":
        assert reply.status == 200
    else:
        assert (reply.status, reply.json) == (400, refused_by_service(input_type))


async def test_input_type_is_not_for_a_sparse_embedding_in_the_path(
    client: Client, upstream: Upstream
) -> None:
    await create(client, upstream, task_type="sparse_embedding")
    body = {"input": "a", "input_type": "ingest"}
    reply = await client("POST", "/_inference/sparse_embedding/id", body)
    reason = (
        "Validation Failed: 1: Field [input_type] cannot be specified for task type"
        " [sparse_embedding];"
    )
    expected = envelope("action_request_validation_exception", reason)
    assert (reply.status, reply.json) == (400, expected)


async def test_input_type_is_not_checked_without_a_task_type_in_the_path(
    client: Client, upstream: Upstream
) -> None:
    await create(client, upstream, task_type="sparse_embedding")
    reply = await client("POST", "/_inference/id", {"input": "a", "input_type": "ingest"})
    assert (reply.status, reply.json) == (400, refused_by_service("ingest"))


@pytest.mark.parametrize("timeout", ["1nanos", "0", "nonsense", ""])
async def test_a_timeout_in_the_body_is_ignored(embedder: Client, timeout: str) -> None:
    reply = await embedder("POST", TYPED, {"input": "a", "timeout": timeout})
    assert reply.status == 200


async def test_task_settings_of_a_request_are_taken(embedder: Client, upstream: Upstream) -> None:
    reply = await embedder("POST", TYPED, {"input": "a", "task_settings": {"x": 1}})
    assert (reply.status, upstream.bodies) == (200, [{"inputs": ["a"]}])


# -- the order of checks ------------------------------------------------------


async def test_with_a_task_type_in_the_path_a_bad_body_wins_over_404(client: Client) -> None:
    reply = await client("POST", "/_inference/text_embedding/x", {})
    assert (reply.status, reply.json) == (400, NO_INPUT)


@pytest.mark.parametrize("path", ["/_inference/x", "/_inference/any/x"])
async def test_without_a_task_type_404_wins_over_a_bad_body(client: Client, path: str) -> None:
    for body in (b"{}", b"{", b"[]"):
        reply = await client("POST", path, body)
        assert (reply.status, reply.json) == (404, NOT_FOUND)


async def test_a_bad_body_wins_over_the_wrong_task_type(embedder: Client) -> None:
    reply = await embedder("POST", "/_inference/sparse_embedding/id", {})
    assert (reply.status, reply.json) == (400, NO_INPUT)


async def test_the_wrong_task_type_is_400(embedder: Client) -> None:
    reply = await embedder("POST", "/_inference/sparse_embedding/id", {"input": "a"})
    reason = (
        "Incompatible task_type, the requested type [sparse_embedding] does not match"
        " the model type [text_embedding]"
    )
    assert (reply.status, reply.json) == (400, envelope("status_exception", reason))


async def test_an_unknown_id_is_404(client: Client) -> None:
    reply = await client("POST", "/_inference/text_embedding/x", {"input": "a"})
    assert (reply.status, reply.json) == (404, NOT_FOUND)


@pytest.mark.parametrize("inference_id", ["UPPER", "_x", "x-", ".elser-2-elasticsearch"])
async def test_an_id_that_cannot_be_is_404_as_well(client: Client, inference_id: str) -> None:
    reply = await client("POST", f"/_inference/{inference_id}", {"input": "a"})
    assert reply.status == 404


async def test_an_unknown_task_type_wins_over_everything_behind_it(client: Client) -> None:
    reply = await client("POST", "/_inference/nope/x?timeout=y&z=1")
    assert (reply.status, reply.json) == (400, UNKNOWN_TYPE)


async def test_a_bad_timeout_wins_over_a_missing_body(client: Client) -> None:
    reply = await client("POST", "/_inference/x?timeout=y&zzzzz=1")
    reason = (
        "failed to parse setting [timeout] with value [y] as a time value:"
        " unit is missing or unrecognized"
    )
    assert reply.json == envelope("illegal_argument_exception", reason)


async def test_a_missing_body_wins_over_unknown_parameters(client: Client) -> None:
    reply = await client("POST", "/_inference/x?zzzzz=1")
    assert reply.json == envelope("parse_exception", "request body is required")


async def test_unknown_parameters_win_over_404(client: Client) -> None:
    reply = await client("POST", "/_inference/x?zzzzz=1", {"input": "a"})
    reason = "request [/_inference/x] contains unrecognized parameter: [zzzzz]"
    assert reply.json == envelope("illegal_argument_exception", reason)


# -- streams ------------------------------------------------------------------


@pytest.mark.parametrize("path", [f"{TYPED}/_stream", "/_inference/id/_stream"])
async def test_a_stream_of_embeddings_is_refused_in_one_event(
    embedder: Client, upstream: Upstream, path: str
) -> None:
    reply = await embedder("POST", path, {"input": "a"})
    event, data, *rest = reply.text.split("\n")
    error = orjson.loads(data.removeprefix("data: "))
    assert (reply.status, event, rest) == (405, "event: error", ["", ""])
    assert error == envelope(
        "status_exception",
        "Streaming is not allowed for service [hugging_face] and task [text_embedding]."
        " Supported tasks: [completion,chat_completion]",
        405,
    )
    assert reply.headers["Content-Type"] == "text/event-stream"
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/_inference/x/_stream", b'{"input":"a"}', NOT_FOUND),
        ("/_inference/text_embedding/x/_stream", b"{}", NO_INPUT),
        ("/_inference/nope/x/_stream", b"{}", UNKNOWN_TYPE),
    ],
)
async def test_every_error_of_a_stream_is_an_event(
    client: Client, path: str, body: bytes, expected: dict[str, object]
) -> None:
    reply = await client("POST", path, body)
    assert reply.status == expected["status"]
    assert reply.raw == b"event: error\ndata: " + orjson.dumps(expected) + b"\n\n"


# -- time and freedom ---------------------------------------------------------


async def test_a_timeout_in_the_query_bounds_the_request(
    embedder: Client, upstream: Upstream
) -> None:
    never = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    upstream.handler = hang
    reply = await embedder("POST", f"{TYPED}?timeout=20ms", {"input": "a"})
    never.set()
    error = reply.json["error"]
    reason = "Request timed out after [20ms] for inference id [id]"
    assert (reply.status, error["type"], error["reason"]) == (429, "timeout_exception", reason)


async def test_a_request_in_flight_survives_the_deletion_of_its_endpoint(
    embedder: Client, upstream: Upstream
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def wait(_request: web.Request) -> web.StreamResponse:
        asked.set()
        await answer.wait()
        return web.json_response(GOOD_EMBEDDING)

    upstream.handler = wait
    inference = asyncio.create_task(embedder("POST", TYPED, {"input": "a"}))
    await asked.wait()
    deleted = await embedder("DELETE", "/_inference/id")
    answer.set()
    assert (deleted.status, (await inference).status) == (200, 200)
    assert (await embedder("POST", TYPED, {"input": "a"})).status == 404


async def test_the_product_use_case_is_not_looked_at(embedder: Client) -> None:
    headers = {"X-elastic-product-use-case": "anything"}
    reply = await embedder("POST", TYPED, {"input": "a"}, headers=headers)
    assert reply.status == 200


async def test_the_twin_answers_in_mock_mode(start: StartServer) -> None:
    client = await start(mode="mock")
    settings = {"url": "http://nowhere.invalid", "api_key": "secret"}
    put = await client("PUT", TYPED, {"service": "hugging_face", "service_settings": settings})
    assert put.status == 200, put.text
    reply = await client("POST", TYPED, {"input": ["a", "b"]})
    vectors = [item["embedding"] for item in reply.json["text_embedding"]]
    assert [len(vector) for vector in vectors] == [put.json["service_settings"]["dimensions"]] * 2
