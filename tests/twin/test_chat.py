import itertools
from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.tei import Twin

JSON = {"content-type": "application/json"}
TWIN = Twin(model_id="served", now=lambda: 1762000000.9)
HEAD = {"id": "", "created": 1762000000, "model": "served", "system_fingerprint": "3.3.6-native"}
ASK = {"role": "user", "content": "How far is it?"}
SAID = 'esinfer twin: you said "How far is it?" (1 message)'
SAID_TOKENS = [
    "esinfer", " twin:", " you", " said", ' "How', " far", " is", ' it?"', " (1", " message)",
]  # fmt: skip
USAGE = {"prompt_tokens": 4, "completion_tokens": 10, "total_tokens": 14}


def tool(name: str, **properties: object) -> dict[str, object]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


WEATHER = tool("get_weather", location={"type": "string"}, days={"type": "integer"})
TIME = tool("get_time")


def post(*messages: object, twin: Twin = TWIN, **fields: Any) -> TwinAnswer:
    body = orjson.dumps({"messages": messages or [ASK], **fields})
    path = "/v1/chat/completions"
    return twin.answer(TwinRequest(method="POST", path=path, headers=JSON, body=body))


def completion(*messages: object, **fields: Any) -> dict[str, Any]:
    answer = post(*messages, **fields)
    assert (answer.status, answer.content_type, answer.events) == (200, "application/json", None)
    parsed: dict[str, Any] = orjson.loads(answer.body)
    return parsed


def content(*messages: object, **fields: Any) -> tuple[str, str]:
    """What is said, and why it ends; streamed it is the same."""
    [choice] = completion(*messages, **fields)["choices"]
    chunks = stream(*messages, **fields)
    deltas = [chunk["choices"][0]["delta"]["content"] for chunk in chunks]
    said, reason = choice["message"]["content"], choice["finish_reason"]
    assert "".join(deltas) == said
    assert reasons(chunks) == [*[None] * (len(deltas) - 1), reason]
    return said, reason


def called(*messages: object, **fields: Any) -> str | None:
    """The name of the tool that is called; streamed it is the same."""
    message = completion(*messages, **fields)["choices"][0]["message"]
    delta = stream(*messages, **fields)[0]["choices"][0]["delta"]
    assert message.keys() == delta.keys()
    if "tool_calls" not in message:
        return None
    [call], [first] = message["tool_calls"], delta["tool_calls"]
    assert call["function"]["name"] == first["function"]["name"]
    return str(call["function"]["name"])


def stream(*messages: object, **fields: Any) -> list[dict[str, Any]]:
    answer = post(*messages, stream=True, **fields)
    assert (answer.status, answer.content_type, answer.body) == (200, "text/event-stream", b"")
    assert answer.events is not None
    return events(answer.events)


def events(parts: Iterable[bytes]) -> list[dict[str, Any]]:
    """The events, of which each is a part, without the last."""
    *chunks, done = parts
    assert done == b"data: [DONE]\n\n"
    assert all(part.startswith(b"data: {") and part.endswith(b"}\n\n") for part in chunks)
    return [orjson.loads(part[6:]) for part in chunks]


def reasons(chunks: list[dict[str, Any]]) -> list[str | None]:
    return [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]


# Whole answers


def test_a_completion() -> None:
    answer = post()
    assert answer.body == (
        b'{"object":"chat.completion","id":"","created":1762000000,"model":"served",'
        b'"system_fingerprint":"3.3.6-native","choices":[{"index":0,"message":'
        b'{"role":"assistant",'
        b'"content":"esinfer twin: you said \\"How far is it?\\" (1 message)"},'
        b'"logprobs":null,"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":4,"completion_tokens":10,"total_tokens":14}}'
    )


def test_success_tells_what_it_cost() -> None:
    ticks = itertools.count(0, 0.25)
    answer = post(ASK, {"role": "user", "content": "wörd"}, twin=Twin(clock=lambda: next(ticks)))
    assert answer.headers == {
        "x-compute-type": "gpu+optimized",
        "x-compute-time": "0.250000",
        "x-compute-characters": "18",
    }


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([ASK], SAID),
        (
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a\n\"b\""}],
            'esinfer twin: you said "a\n"b"" (2 messages)',
        ),
        (
            [{"role": "user", "content": [{"type": "text", "text": t} for t in ("a ", "b")]}],
            'esinfer twin: you said "a b" (1 message)',
        ),
        (
            [ASK, {"role": "assistant", "content": "12 km"}],
            'esinfer twin: assistant said "12 km" (2 messages)',
        ),
        (
            [
                ASK,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "0",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "0", "content": "12 km"},
            ],
            'esinfer twin: tool said "12 km" (3 messages)',
        ),
        (
            [{"role": "user", "content": ""}],
            'esinfer twin: you said "" (1 message)',
        ),
    ],
)  # fmt: skip
def test_the_answer_quotes_the_last_message_and_counts_all(
    messages: list[object], said: str
) -> None:
    assert content(*messages) == (said, "stop")


@pytest.mark.parametrize(
    ("limit", "said", "reason"),
    [
        (1, "esinfer", "length"),
        (5, 'esinfer twin: you said "How', "length"),
        (10, SAID, "length"),
        (11, SAID, "stop"),
        (None, SAID, "stop"),
    ],
)
def test_max_tokens(limit: int | None, said: str, reason: str) -> None:
    assert content(max_tokens=limit) == (said, reason)


def test_usage_counts_what_was_said() -> None:
    assert completion(max_tokens=3)["usage"] == {
        "prompt_tokens": 4,
        "completion_tokens": 3,
        "total_tokens": 7,
    }


@pytest.mark.parametrize(
    ("stop", "said", "reason"),
    [
        (["far"], 'esinfer twin: you said "How far', "stop_sequence"),
        (["it", "w f"], 'esinfer twin: you said "How f', "stop_sequence"),
        (["(1 message)"], SAID, "stop_sequence"),
        (["never", ""], SAID, "stop"),
        ([], SAID, "stop"),
        (None, SAID, "stop"),
    ],
)
def test_stop_sequences_end_the_answer_and_are_its_end(
    stop: list[str] | None, said: str, reason: str
) -> None:
    assert content(stop=stop) == (said, reason)


def test_the_limit_is_told_if_both_are_met() -> None:
    assert content(stop=["said"], max_tokens=4) == ("esinfer twin: you said", "length")
    assert content(stop=["said"], max_tokens=5) == ("esinfer twin: you said", "stop_sequence")


@pytest.mark.parametrize(
    ("model", "named"), [("tgi", "served"), (None, "served"), ("dummy", "dummy")]
)
def test_the_model_is_echoed(model: str | None, named: str) -> None:
    assert completion(model=model)["model"] == named
    assert stream(model=model)[0]["model"] == named


# Streams


def test_a_stream() -> None:
    answer = post(stream=True, max_tokens=2, stream_options={"include_usage": True})
    head = (
        b'data: {"object":"chat.completion.chunk","id":"","created":1762000000,"model":"served",'
        b'"system_fingerprint":"3.3.6-native","choices":['
    )
    assert answer.events is not None
    assert list(answer.events) == [
        head + b'{"index":0,"delta":{"role":"assistant","content":"esinfer"},'
        b'"logprobs":null,"finish_reason":null}],"usage":null}\n\n',
        head + b'{"index":0,"delta":{"role":"assistant","content":" twin:"},'
        b'"logprobs":null,"finish_reason":"length"}],"usage":null}\n\n',
        head + b'],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}\n\n',
        b"data: [DONE]\n\n",
    ]
    assert answer.headers == {
        "x-compute-type": "gpu+optimized",
        "x-compute-characters": "14",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
    }


def test_each_token_is_an_event() -> None:
    chunks = stream()
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": token} for token in SAID_TOKENS
    ]
    assert reasons(chunks) == [*[None] * 9, "stop"]
    assert all(chunk["usage"] is None for chunk in chunks)


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}])
def test_usage_is_streamed_only_if_wanted(options: object) -> None:
    assert len(stream(stream_options=options)) == 10
    assert stream(stream_options={"include_usage": True})[10:] == [
        {"object": "chat.completion.chunk", **HEAD, "choices": [], "usage": USAGE}
    ]


def test_a_stream_may_be_read_again_and_is_the_same_from_another_twin() -> None:
    fields: dict[str, Any] = {"tools": [WEATHER], "tool_choice": "required", "stream": True}
    one, other = post(**fields), post(twin=Twin(model_id="served", now=TWIN.now), **fields)
    assert one == other
    assert list(one.chunks) == list(one.chunks) == list(other.chunks)


# Tools


def test_a_tool_call() -> None:
    assert completion(tools=[WEATHER], tool_choice="required") == {
        "object": "chat.completion",
        **HEAD,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "0",
                            "type": "function",
                            "function": {
                                "description": None,
                                "name": "get_weather",
                                "arguments": '{"location":"string","days":1}',
                            },
                        }
                    ],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9},
    }


def test_a_streamed_tool_call() -> None:
    chunks = stream(tools=[WEATHER], tool_choice="required", stream_options={"include_usage": True})
    fragments = ["{", '"location":"', 'string","', 'days":', "1}"]
    assert [chunk["choices"] for chunk in chunks[:-1]] == [
        [
            {
                "index": 0,
                "delta": {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "index": 0,
                            "id": "0",
                            "type": "function",
                            "function": {
                                "name": None if index else "get_weather",
                                "arguments": fragment,
                            },
                        }
                    ],
                },
                "logprobs": None,
                "finish_reason": "stop" if fragment == "1}" else None,
            }
        ]
        for index, fragment in enumerate(fragments)
    ]
    assert chunks[-1]["usage"]["completion_tokens"] == 5


def test_a_tool_without_parameters_is_called_with_an_empty_object() -> None:
    chunks = stream(tools=[TIME], tool_choice="get_time")
    calls = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in chunks]
    assert [call["function"]["arguments"] for call in calls] == ["{", "}"]


USE_TIME = {"role": "user", "content": "Use get_time, please."}
NAMED = {"type": "function", "function": {"name": "get_time"}}


@pytest.mark.parametrize(
    ("message", "choice", "name"),
    [
        (ASK, "auto", None),
        (ASK, None, None),
        (ASK, "none", None),
        (ASK, "required", "get_weather"),
        (ASK, "get_time", "get_time"),
        (ASK, NAMED, "get_time"),
        (USE_TIME, "auto", "get_time"),
        (USE_TIME, None, "get_time"),
        (USE_TIME, "none", None),
        (USE_TIME, "required", "get_time"),
        (USE_TIME, "get_weather", "get_weather"),
        ({"role": "user", "content": "get_time or get_weather?"}, "auto", "get_weather"),
        ({"role": "user", "content": "get_times forget_time GET_TIME"}, "auto", None),
        ({"role": "assistant", "content": "get_time"}, "auto", None),
    ],
)
def test_which_tool_is_called(message: object, choice: object, name: str | None) -> None:
    assert called(message, tools=[WEATHER, TIME], tool_choice=choice) == name


def test_the_result_of_a_tool_is_answered_with_text() -> None:
    result = {"role": "tool", "tool_call_id": "0", "content": "get_time says 9:30"}
    assert called(USE_TIME, result, tools=[TIME]) is None


@pytest.mark.parametrize("tools", [None, []])
def test_without_tools_there_is_nothing_to_choose(tools: object) -> None:
    assert called(USE_TIME, tools=tools, tool_choice="get_time") is None


def test_limits_do_not_shorten_a_tool_call() -> None:
    fields = {"tools": [WEATHER], "tool_choice": "required"}
    assert completion(**fields, max_tokens=1, stop=["string"]) == completion(**fields)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_that_is_not_there_is_a_plain_422(*, stream: bool) -> None:
    answer = post(tools=[TIME], tool_choice="nothing", stream=stream, n=2)
    assert answer == TwinAnswer(
        status=422,
        content_type="application/json",
        body=b'{"error":"Tool error: Tool with name nothing not found","error_type":"tool_error"}',
    )


# Validation


INVALID = [
    ({"n": 2}, "`n` != 1 is not allowed for this endpoint"),
    ({"n": 0}, "`n` != 1 is not allowed for this endpoint"),
    ({"temperature": -0.1}, "`temperature` must be strictly positive"),
    ({"presence_penalty": -2}, "`repetition_penalty` must be strictly positive"),
    ({"frequency_penalty": 2.1}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
    ({"frequency_penalty": -2.1}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
    ({"top_p": 0}, "`top_p` must be > 0.0 and < 1.0"),
    ({"top_p": 1}, "`top_p` must be > 0.0 and < 1.0"),
    ({"max_tokens": 0}, "`max_new_tokens` must be strictly positive"),
    ({"stop": list("abcde")}, "`stop` supports up to 4 stop sequences. Given: 5"),
    ({"top_logprobs": 6}, "`top_n_tokens` must be >= 0 and <= 5. Given: 6"),
    ({"messages": []}, "`inputs` cannot be empty"),
    ({"messages": [], "max_tokens": 0, "top_p": 1}, "`top_p` must be > 0.0 and < 1.0"),
]


@pytest.mark.parametrize(("fields", "reason"), INVALID)
def test_an_invalid_request_is_422(fields: dict[str, Any], reason: str) -> None:
    answer = post(**fields)
    assert (answer.status, answer.content_type, answer.headers) == (422, "application/json", {})
    assert orjson.loads(answer.body) == {
        "error": f"Input validation error: {reason}",
        "error_type": "validation",
    }


@pytest.mark.parametrize(("fields", "reason"), INVALID)
def test_an_invalid_request_for_a_stream_is_200_and_an_event(
    fields: dict[str, Any], reason: str
) -> None:
    error = {"message": f"Input validation error: {reason}", "http_status_code": 422}
    assert stream(**fields, stream_options={"include_usage": True}) == [{"error": error}]


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1},
        {"temperature": 0},
        {"presence_penalty": -1.9},
        {"frequency_penalty": 2},
        {"top_p": 0.99},
        {"stop": list("#$%&")},
        {"top_logprobs": 5},
        {"response_format": {"type": "json_object"}},
    ],
)
def test_what_is_allowed_changes_nothing(fields: dict[str, Any]) -> None:
    assert completion(**fields) == completion()


def test_a_malformed_body_is_text_as_in_axum() -> None:
    request = TwinRequest(method="POST", path="/v1/chat/completions", headers=JSON, body=b"{}")
    assert TWIN.answer(request) == TwinAnswer(
        status=422,
        content_type="text/plain; charset=utf-8",
        body=b"Failed to deserialize the JSON body into the target type: "
        b"missing field `messages` at line 1 column 2",
    )
