"""How streams end that are none, are cut, or never begin."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from tests.conftest import Answer, Client, Reply, StartServer, Upstream, create

CHAT = {"messages": [{"role": "user", "content": "hello"}]}
BODIES = {"chat_completion": CHAT, "completion": {"input": "hello"}}
RECEIVED = "Received an error response for request from inference entity id [id]"


async def stream(client: Client, task_type: str, query: str = "") -> Reply:
    return await client("POST", f"/_inference/{task_type}/id/_stream{query}", BODIES[task_type])


def last_event(reply: Reply) -> tuple[str, object]:
    event, data = reply.text.removesuffix("\n\n").split("\n\n")[-1].split("\n")
    text = data.removeprefix("data: ")
    return event.removeprefix("event: "), text if text == "[DONE]" else json.loads(text)


async def test_an_error_object_in_place_of_a_chat_stream_is_told(
    client: Client, upstream: Upstream
) -> None:
    await create(client, upstream, task_type="chat_completion")
    upstream.answers(Answer.json({"error": {"message": "no", "http_status_code": 422}}))
    reply = await stream(client, "chat_completion")
    assert reply.status == 200
    assert last_event(reply) == (
        "error",
        {
            "error": {
                "code": "422",
                "message": f"{RECEIVED}. Error message: [no]",
                "type": "hugging_face_error",
            }
        },
    )


@pytest.mark.parametrize("task_type", ["chat_completion", "completion"])
@pytest.mark.parametrize("body", [b"<html>", b'{"id":"1","choices":[{}]}', b"nonsense\n\n"])
async def test_a_body_that_is_no_event_stream_is_an_error(
    client: Client, upstream: Upstream, task_type: str, body: bytes
) -> None:
    await create(client, upstream, task_type=task_type)
    upstream.answers(Answer(body=body))
    reply = await stream(client, task_type)
    assert last_event(reply)[0] == "error"


async def test_a_stream_that_ends_within_an_event_was_cut(
    client: Client, upstream: Upstream
) -> None:
    await create(client, upstream, task_type="completion")
    whole = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    upstream.answers(Answer(body=whole + b'data: {"cho'))
    reply = await stream(client, "completion")
    assert reply.text.startswith('event: message\ndata: {"completion":[{"delta":"a"}]}\n\n')
    event, data = last_event(reply)
    assert event == "error"
    assert "The stream ended within an event" in json.dumps(data)


async def test_a_stream_that_never_begins_times_out(client: Client, upstream: Upstream) -> None:
    await create(client, upstream, task_type="chat_completion")
    let_go = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await let_go.wait()
        return response

    upstream.handler = silent
    reply = await stream(client, "chat_completion", "?timeout=50ms")
    let_go.set()
    assert reply.status == 429
    assert last_event(reply) == (
        "error",
        {
            "error": {
                "code": "too_many_requests",
                "message": "Request timed out after [50ms] for inference id [id]",
                "type": "timeout_exception",
            }
        },
    )


async def test_no_part_of_the_key_is_in_a_quoted_chunk(
    start: StartServer, upstream: Upstream
) -> None:
    client = await start()
    key = "hf_secretsecret"
    await create(client, upstream, task_type="chat_completion", api_key=key)
    upstream.answers(Answer(body=b"data: { " + b"x" * 490 + key.encode() + b"\n\n"))
    reply = await stream(client, "chat_completion")
    assert last_event(reply)[0] == "error"
    assert "secret" not in reply.text


async def test_a_deep_tool_schema_goes_upstream(client: Client, upstream: Upstream) -> None:
    await create(client, upstream, task_type="chat_completion")
    upstream.answers(Answer(body=b"data: [DONE]\n\n"))
    deep: object = {}
    for _ in range(300):
        deep = {"a": deep}
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}
    body = json.dumps({**CHAT, "tools": [tool]}).encode()
    reply = await client("POST", "/_inference/chat_completion/id/_stream", body)
    assert reply.text == "event: message\ndata: [DONE]\n\n"
    sent = json.loads(upstream.requests[0]["body"])
    assert sent["tools"][0]["function"]["parameters"] == deep


async def test_a_missing_body_of_a_chat_is_an_error_of_chats(
    client: Client, upstream: Upstream
) -> None:
    await create(client, upstream, task_type="chat_completion")
    reply = await client("POST", "/_inference/chat_completion/id/_stream")
    assert last_event(reply) == (
        "error",
        {
            "error": {
                "code": "bad_request",
                "message": "request body is required",
                "type": "parse_exception",
            }
        },
    )


@pytest.mark.parametrize("error", [[], 0, False, ["x"], True])
async def test_an_error_of_another_type_says_nothing(
    client: Client, upstream: Upstream, error: object
) -> None:
    await create(client, upstream, task_type="chat_completion")
    upstream.answers(Answer.json({"error": error}, 404))
    reply = await stream(client, "chat_completion")
    assert last_event(reply) == (
        "error",
        {
            "error": {
                "code": "not_found",
                "message": f"Resource not found at [{upstream.url}] for request from inference"
                " entity id [id] status [404]",
                "type": "UnifiedChatCompletionErrorResponse",
            }
        },
    )


async def test_ranks_are_in_javas_order_of_floats(client: Client, upstream: Upstream) -> None:
    await create(client, upstream, task_type="rerank")
    scores = [-0.0, 0, 1, "NaN"]
    upstream.answers(Answer.json([{"index": n, "score": s} for n, s in enumerate(scores)]))
    reply = await client("POST", "/_inference/rerank/id", {"query": "q", "input": ["a"] * 4})
    assert [rank["index"] for rank in reply.json["rerank"]] == [3, 2, 1, 0]
