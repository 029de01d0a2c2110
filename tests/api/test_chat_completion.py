"""chat_completion without ``_stream``, and what creating such an endpoint does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.api.streams import (
    CONVERSATION,
    PATIENCE,
    HandUpstream,
    Peer,
    answers,
    hand_upstream,
    sends,
)
from tests.conftest import PROBES, Answer, Client, StartServer, Upstream, create

PATH = "/_inference/chat_completion/id"
ONLY_STREAMS = {
    "error": {
        "code": "bad_request",
        "message": "The [chat_completion] task type only supports streaming,"
        " please try again with the _stream API",
        "type": "status_exception",
    }
}
ANSWER = {
    "object": "chat.completion",
    "id": "1",
    "created": 1_700_000_000,
    "model": "m",
    "system_fingerprint": "f",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "far", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
PASSED_ON = (
    b'{"id":"1","choices":[{"message":{"content":"far","role":"assistant"},'
    b'"finish_reason":"stop","index":0}],"model":"m","object":"chat.completion",'
    b'"usage":{"completion_tokens":2,"prompt_tokens":1,"total_tokens":3}}'
)


@pytest.fixture
async def hand() -> AsyncIterator[HandUpstream]:
    async with hand_upstream() as made:
        yield made


@pytest.fixture
async def newer(start: StartServer, upstream: Upstream) -> Client:
    """A server of a version that answers chats whole, with an endpoint ``id``."""
    client = await start("elasticsearch.version=9.6.0")
    await create(client, upstream, task_type="chat_completion")
    return client


# -- 9.5 --------------------------------------------------------------------


@pytest.mark.parametrize("path", [PATH, "/_inference/id"])
async def test_chat_only_streams(client: Client, upstream: Upstream, path: str) -> None:
    await create(client, upstream, task_type="chat_completion")
    reply = await client("POST", path, CONVERSATION)
    assert (reply.status, reply.json) == (400, ONLY_STREAMS)
    assert reply.headers["Content-Type"] == "application/json"
    assert upstream.requests == []


@pytest.mark.parametrize("version", ["8.19.0", "9.5.9", "9.5.0-SNAPSHOT"])
async def test_chat_only_streams_in_every_version_before_9_6(
    start: StartServer, upstream: Upstream, version: str
) -> None:
    client = await start(f"elasticsearch.version={version}")
    await create(client, upstream, task_type="chat_completion")
    assert (await client("POST", PATH, CONVERSATION)).json == ONLY_STREAMS


# -- from 9.6 on ------------------------------------------------------------


async def test_a_newer_server_answers_with_the_whole_chat(
    newer: Client, upstream: Upstream
) -> None:
    upstream.answers(Answer.json(ANSWER))
    reply = await newer("POST", PATH, CONVERSATION | {"max_completion_tokens": 9})
    assert (reply.status, reply.raw) == (200, PASSED_ON)
    assert reply.headers["Content-Type"] == "application/json"
    (sent,) = upstream.bodies
    assert sent == CONVERSATION | {"max_tokens": 9, "n": 1, "stream": False}


async def test_a_whole_chat_is_printed_and_filtered_like_any_answer(
    newer: Client, upstream: Upstream
) -> None:
    upstream.answers(Answer.json(ANSWER))
    reply = await newer("POST", f"{PATH}?filter_path=choices.message.content&pretty", CONVERSATION)
    assert reply.text.startswith('{\n  "choices" : [\n')
    assert reply.json == {"choices": [{"message": {"content": "far"}}]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([{"id": "a"}, {"id": "b"}], [{"index": 0, "id": "a"}, {"index": 1, "id": "b"}]),
        ([{"id": "a", "index": 4}], [{"index": 4, "id": "a"}]),
        ([{"id": "a", "index": 4}, {"id": "b"}], None),
    ],
    ids=["numbered by place", "kept", "refused when mixed"],
)
async def test_tool_calls_of_a_whole_chat_may_lack_their_indices(
    newer: Client, upstream: Upstream, given: object, expected: object
) -> None:
    choice = {"index": 0, "message": {"tool_calls": given}, "finish_reason": "tool_calls"}
    upstream.answers(Answer.json(ANSWER | {"choices": [choice]}))
    reply = await newer("POST", PATH, CONVERSATION)
    if expected is None:
        assert reply.status >= 400
        assert reply.json["error"].keys() == {"code", "message", "type"}
    else:
        assert reply.json["choices"][0]["message"] == {"tool_calls": expected}


UNREAD = "UnifiedChatCompletionErrorResponse"
NOT_FOUND = Answer(404, b'{"error":"gone"}')
UNPROCESSABLE = Answer(422, b'{"error":{"message":"m","http_status_code":422}}')


@pytest.mark.parametrize(
    ("answer", "status", "described"),
    [
        (NOT_FOUND, 404, {"type": "hugging_face_error"}),
        (UNPROCESSABLE, 422, {"code": "422", "type": "hugging_face_error"}),
        (Answer(500, b"<html>"), 400, {"code": "bad_request", "type": UNREAD}),
        (Answer(429), 429, {"code": "too_many_requests", "type": UNREAD}),
    ],
    ids=["404", "422", "500", "429"],
)
async def test_errors_of_the_upstream_have_chats_form(
    newer: Client, upstream: Upstream, answer: Answer, status: int, described: dict[str, str]
) -> None:
    upstream.answers(answer)
    reply = await newer("POST", PATH, CONVERSATION)
    said = reply.json["error"]
    message = said.pop("message")
    assert (reply.status, said) == (status, described)
    assert reply.headers["Content-Type"] == "application/json"
    assert f"from inference entity id [id] status [{answer.status}]" in message


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b"{}", b'{"id":"1","choices":[{"index":0,"message":1}]}']
)
async def test_an_answer_that_is_no_chat_has_chats_form(
    newer: Client, upstream: Upstream, body: bytes
) -> None:
    upstream.answers(Answer(200, body))
    reply = await newer("POST", PATH, CONVERSATION)
    assert reply.status >= 400
    assert reply.json["error"].keys() == {"code", "message", "type"}
    assert "esinfer failed" not in reply.text


async def test_mock_answers_the_whole_chat(start: StartServer) -> None:
    client = await start("elasticsearch.version=9.6.0", mode="mock")
    settings = {"url": "http://h.example", "api_key": "secret"}
    put = {"service": "hugging_face", "service_settings": settings}
    assert (await client("PUT", PATH, put)).status == 200
    document = (await client("POST", PATH, CONVERSATION)).json
    assert list(document) == ["id", "choices", "model", "object", "usage"]
    (choice,) = document["choices"]
    assert choice["message"]["content"] == 'esinfer twin: you said "How far is it?" (1 message)'
    assert document["object"] == "chat.completion"


async def test_mock_answers_the_other_tasks(mock: Client) -> None:
    settings = {"url": "http://h.example", "api_key": "secret"}
    put = {"service": "hugging_face", "service_settings": settings}
    for task_type in ("rerank", "completion"):
        assert (await mock("PUT", f"/_inference/{task_type}/{task_type}", put)).status == 200
    texts = ["the colour of grass", "a cat sat on the mat"]
    reply = await mock("POST", "/_inference/rerank/rerank", {"query": "a cat", "input": texts})
    first, second = reply.json["rerank"]
    assert (first["index"], second["index"]) == (1, 0)
    assert first["relevance_score"] > second["relevance_score"]
    reply = await mock("POST", "/_inference/completion/completion", {"input": "hm"})
    result = 'esinfer twin: you said "hm" (1 message)'
    assert reply.json == {"completion": [{"result": result}]}


# -- the validation call ----------------------------------------------------


async def put(client: Client, url: str) -> tuple[int, dict[str, object]]:
    settings = {"url": url, "api_key": "secret"}
    body = {"service": "hugging_face", "service_settings": settings}
    async with asyncio.timeout(PATIENCE):
        reply = await client("PUT", PATH, body)
    return reply.status, reply.json


async def test_creating_a_chat_begins_one_stream_and_closes_it(
    client: Client, hand: HandUpstream
) -> None:
    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.gone()

    hand.script = script
    status, _ = await put(client, hand.url)
    await hand.idle()
    assert status == 200
    assert [peer.body for peer in hand.peers] == [
        {
            "messages": [{"content": "how big", "role": "user"}],
            "n": 1,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


async def test_what_the_stream_of_a_validation_call_says_does_not_matter(
    client: Client, hand: HandUpstream
) -> None:
    hand.script = sends(b"data: {never\n\n")
    assert (await put(client, hand.url))[0] == 200


async def test_a_chat_whose_validation_call_fails_is_not_created(
    client: Client, hand: HandUpstream
) -> None:
    hand.script = answers("401 Unauthorized", b'{"error":"no key"}')
    status, body = await put(client, hand.url)
    cause = {
        "type": "status_exception",
        "reason": "Received an authentication error status code for request from inference entity"
        " id [id] status [401]. Error message: [no key]",
    }
    reason = (
        "Could not complete inference endpoint creation as validation call to service"
        " threw an exception."
    )
    assert status == 400
    assert body["error"] == {
        "root_cause": [cause],
        "type": "status_exception",
        "reason": reason,
        "caused_by": cause,
    }
    assert (await client("GET", PATH)).status == 404


async def test_completion_is_validated_without_a_stream(client: Client, upstream: Upstream) -> None:
    upstream.answers(Answer.json(PROBES["completion"]))
    settings = {"url": upstream.url, "api_key": "secret"}
    body = {"service": "hugging_face", "service_settings": settings}
    assert (await client("PUT", "/_inference/completion/id", body)).status == 200
    assert [sent["stream"] for sent in upstream.bodies] == [False]
