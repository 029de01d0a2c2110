"""vLLM's chat, whole and streamed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from esinfer.twin.answers import TwinRequest
from esinfer.twin.servers import Kind
from esinfer.twin.vllm import Vllm
from tests.twin.asking import JSON, get, post, said

VLLM = Vllm(model_id="served", now=lambda: 7.9)
CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "parameters": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
        },
    },
}


def chunks(**fields: object) -> list[dict[str, Any]]:
    answer = post(VLLM, CHAT, {**ASK, "stream": True, **fields})
    assert (answer.status, answer.content_type) == (200, "text/event-stream; charset=utf-8")
    *events, last = list(answer.events or ())
    assert last == b"data: [DONE]\n\n"
    return [orjson.loads(event.removeprefix(b"data: ")) for event in events]


def test_a_whole_answer() -> None:
    status, answer = said(post(VLLM, CHAT, {**ASK, "model": "served"}))
    assert status == 200
    assert answer.pop("id").startswith("chatcmpl-")
    assert answer == {
        "object": "chat.completion",
        "created": 7,
        "model": "served",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": 'esinfer twin: you said "hi" (1 message)',
                    "tool_calls": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
                "stop_reason": None,
            }
        ],
        "usage": {"prompt_tokens": 1, "total_tokens": 8, "completion_tokens": 7},
    }


def test_the_stop_sequence_is_left_out_and_named() -> None:
    _, answer = said(post(VLLM, CHAT, {**ASK, "stop": ["said", "x"]}))
    [choice] = answer["choices"]
    assert choice["message"]["content"] == "esinfer twin: you "
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", "said")


def test_a_call_of_a_tool_is_the_reason() -> None:
    body = {**ASK, "tools": [TOOL], "tool_choice": "required"}
    _, answer = said(post(VLLM, CHAT, body))
    [choice] = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    [call] = choice["message"]["tool_calls"]
    assert call.pop("id").startswith("chatcmpl-tool-")
    assert call == {"type": "function", "function": {"name": "f", "arguments": '{"n":1}'}}


def test_a_stream_begins_with_the_role_and_ends_with_the_reason() -> None:
    found = chunks(max_tokens=2)
    assert [chunk["choices"][0]["delta"] for chunk in found] == [
        {"role": "assistant", "content": ""},
        {"content": "esinfer"},
        {"content": " twin:"},
        {"content": ""},
    ]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in found]
    assert reasons == [None, None, None, "length"]
    assert ["stop_reason" in chunk["choices"][0] for chunk in found] == [False, False, False, True]
    assert not any("usage" in chunk for chunk in found)
    assert len({chunk["id"] for chunk in found}) == 1
    assert list(found[0]) == ["id", "object", "created", "model", "choices"]


def test_usage_is_an_event_of_its_own() -> None:
    *_, last = chunks(max_tokens=2, stream_options={"include_usage": True})
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 1, "total_tokens": 3, "completion_tokens": 2}


def test_a_streamed_call_is_named_once() -> None:
    _, first, *others, last = [
        chunk["choices"][0] for chunk in chunks(tools=[TOOL], tool_choice="required")
    ]
    [call] = first["delta"]["tool_calls"]
    assert call.pop("id").startswith("chatcmpl-tool-")
    assert call == {"index": 0, "type": "function", "function": {"name": "f", "arguments": "{"}}
    rest = [other["delta"]["tool_calls"] for other in others]
    assert rest == [[{"index": 0, "function": {"arguments": part}}] for part in ('"n":', "1}")]
    assert (last["delta"], last["finish_reason"]) == ({}, "tool_calls")


def error(status: int, message: str, kind: str = "BadRequestError") -> tuple[int, object]:
    return status, {"error": {"message": message, "type": kind, "param": None, "code": status}}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "x"}, error(404, "The model `x` does not exist.", "NotFoundError")),
        ({"messages": []}, error(400, "You must provide at least one message.")),
        ({"temperature": -1}, error(400, "temperature must be non-negative, got -1.0.")),
        ({"top_p": 0}, error(400, "top_p must be in (0, 1], got 0.0.")),
        ({"max_tokens": 0}, error(400, "max_tokens must be at least 1, got 0.")),
        ({"presence_penalty": 3}, error(400, "presence_penalty must be in [-2, 2], got 3.0.")),
        ({"frequency_penalty": -3}, error(400, "frequency_penalty must be in [-2, 2], got -3.0.")),
        ({"messages": 7}, error(400, "invalid type: integer `7`, expected a sequence")),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            error(400, "Tool with name g not found"),
        ),
    ],
)
def test_an_error_is_an_object(fields: dict[str, Any], expected: object, *, stream: bool) -> None:
    assert said(post(VLLM, CHAT, {**ASK, "stream": stream, **fields})) == expected


def test_only_what_is_under_v1_asks_for_the_key() -> None:
    locked = Vllm(model_id="served", api_key="key", now=lambda: 7.9)
    assert said(post(locked, CHAT, ASK)) == (401, {"error": "Unauthorized"})
    assert said(get(locked, "/v1/models"))[0] == 401
    assert get(locked, "/health").status == 200
    headers = {**JSON, "Authorization": "Bearer key"}
    assert post(locked, CHAT, ASK, headers).status == 200
    assert said(get(locked, "/v1/models", headers)) == (
        200,
        {
            "object": "list",
            "data": [{"id": "served", "object": "model", "created": 7, "owned_by": "vllm"}],
        },
    )


def test_other_routes_and_methods() -> None:
    assert said(post(VLLM, "/embed", {})) == (404, {"detail": "Not Found"})
    answer = VLLM.answer(TwinRequest(method="GET", path=CHAT, headers={}))
    assert said(answer) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers == {"allow": "POST"}


def test_in_mock_every_body_is_taken_for_a_chat() -> None:
    assert VLLM.run(Kind.CHAT, JSON, orjson.dumps(ASK)) == post(VLLM, CHAT, ASK)
    answer = VLLM.run(Kind.EMBED, JSON, b'{"inputs":["a"]}')
    assert said(answer) == error(400, "missing field `messages`")
