"""OpenAI's chat format: bodies out, whole answers and chunks in, errors wherever they stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.api.responses import chat_error_body, error_body
from esinfer.chat import ChatRequest
from esinfer.errors import ChatDetail, ElasticsearchError, Retry
from esinfer.services.openai_chat import (
    ChatReader,
    CompletionReader,
    UpstreamError,
    chat_body,
    completion_body,
    error_of,
    normalize,
    openai_message,
    parse_chat,
    parse_completion,
)
from esinfer.sse import Event
from esinfer.tasks import CompletionRequest
from tests.conftest import envelope

ILLEGAL = "illegal_argument_exception"
MISFIT = "x_content_parse_exception"
PARTS = ("message", "delta")


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """Type and reason of the error that a call raises."""
    with pytest.raises(ElasticsearchError) as raised:
        call()
    assert raised.value.retry is Retry.AGAIN
    return raised.value.type, raised.value.reason


def no_support(name: str, token: str) -> tuple[str, str]:
    return MISFIT, f"[1:1] {name} doesn't support values of type: {token}"


TOKENS: list[tuple[object, str]] = [
    ("a", "VALUE_STRING"),
    (5, "VALUE_NUMBER"),
    (0.5, "VALUE_NUMBER"),
    (True, "VALUE_BOOLEAN"),
    ([], "START_ARRAY"),
    ({}, "START_OBJECT"),
]


def other_than(*tokens: str) -> list[tuple[object, str]]:
    """A value of each kind but these, with the kind's name."""
    return [(value, token) for value, token in TOKENS if token not in tokens]


# -- requests ---------------------------------------------------------------

USER = {"content": "hi", "role": "user"}
STREAMED = b'"n":1,"stream":true,"stream_options":{"include_usage":true}}'


@pytest.mark.parametrize(
    ("model", "stream", "body"),
    [
        (None, False, b'{"messages":[{"content":"a\\"\xc3\xa9","role":"user"}],'
         b'"n":1,"stream":false}'),
        ("m", False, b'{"messages":[{"content":"a\\"\xc3\xa9","role":"user"}],"model":"m",'
         b'"n":1,"stream":false}'),
        (None, True, b'{"messages":[{"content":"a\\"\xc3\xa9","role":"user"}],' + STREAMED),
        ("m", True, b'{"messages":[{"content":"a\\"\xc3\xa9","role":"user"}],"model":"m",'
         + STREAMED),
    ],
)  # fmt: skip
def test_completion_is_one_message_of_a_user(model: str | None, stream: bool, body: bytes) -> None:
    request = CompletionRequest(inputs=('a"é',))
    assert orjson.dumps(completion_body(request, model, stream=stream)) == body


EVERYTHING = ChatRequest(
    messages=(USER,),
    model="asked",
    max_completion_tokens=7,
    stop=("x",),
    temperature=0.1,
    tool_choice="auto",
    tools=({"type": "function"},),
    top_p=0.2,
    reasoning={"effort": "low"},
)


@pytest.mark.parametrize(
    ("request_", "model", "stream", "body"),
    [
        (ChatRequest(messages=(USER,)), None, False, b'"n":1,"stream":false}'),
        (ChatRequest(messages=(USER,)), "m", True, b'"model":"m",' + STREAMED),
        (ChatRequest(messages=(USER,), model="asked"), "m", True, b'"model":"asked",' + STREAMED),
        (ChatRequest(messages=(USER,), model="asked"), None, True, b'"model":"asked",' + STREAMED),
        (
            EVERYTHING,
            "m",
            True,
            b'"model":"asked","max_tokens":7,"stop":["x"],"temperature":0.1,'
            b'"tool_choice":"auto","tools":[{"type":"function"}],"top_p":0.2,'
            b'"reasoning":{"effort":"low"},' + STREAMED,
        ),
    ],
)
def test_chat_is_passed_on_in_the_order_of_the_contract(
    request_: ChatRequest, model: str | None, stream: bool, body: bytes
) -> None:
    built = chat_body(request_, model, stream=stream)
    assert orjson.dumps(built) == b'{"messages":[{"content":"hi","role":"user"}],' + body


# -- completion -------------------------------------------------------------


def completion(body: object) -> str:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_completion(data).to_json().decode()


def said(*texts: object) -> dict[str, object]:
    return {"choices": [{"message": {"content": text}} for text in texts]}


@pytest.mark.parametrize(
    ("body", "wire"),
    [
        (said("hi"), '{"completion":[{"result":"hi"}]}'),
        (said("a", "b"), '{"completion":[{"result":"a"},{"result":"b"}]}'),
        (said(""), '{"completion":[{"result":""}]}'),
        (said('"\\\n\u2028é😀'), '{"completion":[{"result":"\\"\\\\\\n\u2028é😀"}]}'),
        (said(), '{"completion":[]}'),
        (
            {"id": 1, "usage": None, "choices": [{"index": "x", "message": {"content": "a"}}]},
            '{"completion":[{"result":"a"}]}',
        ),
        (b'{"choices":[{"message":{"content":"a"}}]} x', '{"completion":[{"result":"a"}]}'),
    ],
)
def test_every_choice_of_a_completion_is_a_result(body: object, wire: str) -> None:
    assert completion(body) == wire


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, (ILLEGAL, "Required [choices]")),
        ({"choices": None}, (ILLEGAL, "Required [choices]")),
        ({"choices": [{}]}, (ILLEGAL, "Required [message]")),
        ({"choices": [{"message": None}]}, (ILLEGAL, "Required [message]")),
        ({"choices": [{"message": {}}]}, (ILLEGAL, "Required [content]")),
        ({"choices": [{"text": "a"}]}, (ILLEGAL, "Required [message]")),
        (said("a", None), no_support("content", "VALUE_NULL")),
        (said(["a"]), no_support("content", "START_ARRAY")),
        ({"choices": {}}, no_support("choices", "START_OBJECT")),
        ({"choices": ["a"]}, (MISFIT, "[1:1] Expected START_OBJECT but was: VALUE_STRING")),
        ({"choices": [{"message": "a"}]}, no_support("message", "VALUE_STRING")),
        ([], (MISFIT, "[1:1] Expected START_OBJECT but was: START_ARRAY")),
        (None, (MISFIT, "[1:1] Expected START_OBJECT but was: VALUE_NULL")),
        (b" ", (MISFIT, "[1:1] Expected START_OBJECT but was: null")),
        (b'{"choices":', ("x_content_e_o_f_exception", "[1:12] Unexpected end of file")),
    ],
)
def test_completion_that_lacks_or_mistakes_something_is_refused(
    body: object, error: tuple[str, str]
) -> None:
    assert refusal(lambda: completion(body)) == error


@pytest.mark.parametrize(("value", "token"), other_than("VALUE_STRING"))
def test_text_of_a_completion_is_a_string(value: object, token: str) -> None:
    assert refusal(lambda: completion(said(value))) == no_support("content", token)


# -- chat answers -----------------------------------------------------------


def answer(part: str, message: object, **members: object) -> dict[str, Any]:
    """An answer of one choice."""
    return {"id": "1", "choices": [{part: message, "index": 0} | members]}


def normalized(part: str, document: object) -> str:
    return orjson.dumps(normalize(document, part)).decode()


SHUFFLED_MESSAGE = {
    "role": "assistant",
    "annotations": [],
    "reasoning_details": [{"type": "x", "text": "t", "n": 1.5}],
    "reasoning": "why",
    "reasoning_content": "why too",
    "tool_calls": [
        {
            "type": "function",
            "function": {"name": "f", "arguments": "{}", "strict": True},
            "id": "call",
            "index": 3,
            "extra": 1,
        }
    ],
    "refusal": "no",
    "content": "hi",
    "audio": None,
}
SHUFFLED = {
    "usage": {
        "total_tokens": 44,
        "prompt_tokens_details": {"cache_write_tokens": 2, "audio_tokens": 5, "cached_tokens": 1},
        "completion_tokens_details": {"accepted_prediction_tokens": 0, "reasoning_tokens": 3},
        "prompt_tokens": 16,
        "completion_tokens": 28,
        "queue_time": 0.5,
    },
    "system_fingerprint": "fp",
    "service_tier": None,
    "object": "chat.completion",
    "model": "m",
    "created": 123456789,
    "id": "12345",
}


@pytest.mark.parametrize("part", PARTS)
def test_answer_has_the_members_that_elasticsearch_passes_on_in_its_order(part: str) -> None:
    choice = {"logprobs": None, "index": 0, "finish_reason": "stop", part: SHUFFLED_MESSAGE}
    wire = (
        '{"id":"12345","choices":[{"message":{"content":"hi","refusal":"no","role":"assistant",'
        '"tool_calls":[{"index":3,"id":"call","function":{"arguments":"{}","name":"f"},'
        '"type":"function"}],"reasoning":"why",'
        '"reasoning_details":[{"type":"x","text":"t","n":1.5}]},'
        '"finish_reason":"stop","index":0}],"model":"m","object":"chat.completion",'
        '"usage":{"completion_tokens":28,"prompt_tokens":16,"total_tokens":44,'
        '"completion_tokens_details":{"reasoning_tokens":3},'
        '"prompt_tokens_details":{"cached_tokens":1,"cache_write_tokens":2}}}'
    )
    document = {"choices": [choice | {"stop_reason": 1}], **SHUFFLED}
    assert normalized(part, document) == wire.replace("message", part)


@pytest.mark.parametrize("part", PARTS)
def test_null_members_are_left_out(part: str) -> None:
    nothing = dict.fromkeys(SHUFFLED_MESSAGE)
    document = answer(part, nothing, finish_reason=None)
    none: dict[str, object] = {}
    usage = {"total_tokens": None, "completion_tokens_details": None, "prompt_tokens_details": none}
    document |= {"model": None, "object": None, "usage": None}
    wire = f'{{"id":"1","choices":[{{"{part}":{{}},"index":0}}],"model":"","object":""'
    assert normalized(part, document) == wire + "}"
    assert normalized(part, document | {"usage": usage}) == (
        wire + ',"usage":{"prompt_tokens_details":{}}}'
    )


@pytest.mark.parametrize("part", PARTS)
def test_answer_may_have_no_choice_and_many(part: str) -> None:
    counted = {"id": "", "choices": [], "usage": {"total_tokens": 1}}
    assert normalized(part, counted) == (
        '{"id":"","choices":[],"model":"","object":"","usage":{"total_tokens":1}}'
    )
    two = [{part: {"content": text}, "index": n} for n, text in enumerate("ab")]
    wire = (
        '{"id":"1","choices":[{"message":{"content":"a"},"index":0},'
        '{"message":{"content":"b"},"index":1}],"model":"","object":""}'
    )
    assert normalized(part, {"id": "1", "choices": two}) == wire.replace("message", part)


@pytest.mark.parametrize(
    ("value", "index"), [(0, 0), (1.0, 1), (1.9, 1), ("2", 2), (2**31 - 1, 2**31 - 1), (-1, -1)]
)
def test_integers_are_read_as_elasticsearch_reads_them(value: object, index: int) -> None:
    document = answer("delta", {}, index=value) | {"usage": {"total_tokens": value}}
    assert normalized("delta", document) == (
        f'{{"id":"1","choices":[{{"delta":{{}},"index":{index}}}],"model":"","object":"",'
        f'"usage":{{"total_tokens":{index}}}}}'
    )


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (2**31, "Value [2147483648] is out of range for an integer"),
        ("x", 'For input string: "x"'),
    ],
)
def test_integer_that_is_none_is_refused(value: object, cause: str) -> None:
    with pytest.raises(ElasticsearchError) as raised:
        normalize(answer("delta", {}, index=value), "delta")
    assert raised.value.reason == "[1:1] failed to parse field [index]"
    assert isinstance(raised.value.__cause__, ElasticsearchError)
    assert raised.value.__cause__.reason == cause


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({}, "id, choices"),
        ({"choices": []}, "id"),
        ({"id": None, "choices": []}, "id"),
        ({"id": "1"}, "choices"),
        ({"id": "1", "choices": [{}]}, "{part}, index"),
        ({"id": "1", "choices": [{"index": 0}]}, "{part}"),
        ({"id": "1", "choices": [{"index": 0, "text": "a"}]}, "{part}"),
    ],
)
def test_required_members(part: str, document: object, names: str) -> None:
    found = refusal(lambda: normalize(document, part))
    assert found == (ILLEGAL, f"Required [{names.format(part=part)}]")


def test_a_choice_holds_the_part_that_was_asked_for() -> None:
    for part, other in (PARTS, PARTS[::-1]):
        assert refusal(lambda: normalize(answer(other, {}), part)) == (  # noqa: B023 - called here
            ILLEGAL,
            f"Required [{part}]",
        )


Place = Callable[[object], dict[str, Any]]


def call_with(**members: object) -> dict[str, Any]:
    return answer("delta", {"tool_calls": [{"index": 0} | members]})


def used(**members: object) -> dict[str, Any]:
    return answer("delta", {}) | {"usage": members}


STRINGS: dict[str, Place] = {
    "id": lambda value: answer("delta", {}) | {"id": value},
    "model": lambda value: answer("delta", {}) | {"model": value},
    "object": lambda value: answer("delta", {}) | {"object": value},
    "finish_reason": lambda value: answer("delta", {}, finish_reason=value),
    "content": lambda value: answer("delta", {"content": value}),
    "refusal": lambda value: answer("delta", {"refusal": value}),
    "role": lambda value: answer("delta", {"role": value}),
    "reasoning": lambda value: answer("delta", {"reasoning": value}),
    "type": lambda value: call_with(type=value),
    "name": lambda value: call_with(function={"name": value}),
    "arguments": lambda value: call_with(function={"arguments": value}),
}
NUMBERS: dict[str, Place] = {
    "index": lambda value: answer("delta", {}, index=value),
    "completion_tokens": lambda value: used(completion_tokens=value),
    "prompt_tokens": lambda value: used(prompt_tokens=value),
    "total_tokens": lambda value: used(total_tokens=value),
    "reasoning_tokens": lambda value: used(completion_tokens_details={"reasoning_tokens": value}),
    "cached_tokens": lambda value: used(prompt_tokens_details={"cached_tokens": value}),
    "cache_write_tokens": lambda value: used(prompt_tokens_details={"cache_write_tokens": value}),
}
OBJECTS: dict[str, Place] = {
    "delta": lambda value: answer("delta", value),
    "usage": lambda value: answer("delta", {}) | {"usage": value},
    "function": lambda value: call_with(function=value),
    "completion_tokens_details": lambda value: used(completion_tokens_details=value),
    "prompt_tokens_details": lambda value: used(prompt_tokens_details=value),
}
ARRAYS: dict[str, Place] = {
    "choices": lambda value: {"id": "1", "choices": value},
    "tool_calls": lambda value: answer("delta", {"tool_calls": value}),
    "reasoning_details": lambda value: answer("delta", {"reasoning_details": value}),
}
MISFITS = [
    (name, place(value), token)
    for places, tokens in (
        (STRINGS, ("VALUE_STRING",)),
        (NUMBERS, ("VALUE_NUMBER", "VALUE_STRING")),
        (OBJECTS, ("START_OBJECT",)),
        (ARRAYS, ("START_ARRAY",)),
    )
    for name, place in places.items()
    for value, token in other_than(*tokens)
]


@pytest.mark.parametrize(
    ("name", "document", "token"), MISFITS, ids=[f"{name} {token}" for name, _, token in MISFITS]
)
def test_member_of_another_type_is_refused(name: str, document: object, token: str) -> None:
    assert refusal(lambda: normalize(document, "delta")) == no_support(name, token)


@pytest.mark.parametrize(
    ("document", "token"),
    [
        *((value, token) for value, token in other_than("START_OBJECT")),
        (None, "VALUE_NULL"),
        ({"id": "1", "choices": ["a"]}, "VALUE_STRING"),
        ({"id": "1", "choices": [None]}, "VALUE_NULL"),
    ],
)
def test_object_must_stand_where_one_is_expected(document: object, token: str) -> None:
    found = refusal(lambda: normalize(document, "delta"))
    assert found == (MISFIT, f"[1:1] Expected START_OBJECT but was: {token}")


# -- tool calls -------------------------------------------------------------


def calls_of(part: str, *calls: object) -> object:
    (choice,) = normalize(answer(part, {"tool_calls": list(calls)}), part)["choices"]
    return choice[part]["tool_calls"]


@pytest.mark.parametrize("part", PARTS)
def test_given_indices_of_tool_calls_are_kept(part: str) -> None:
    calls = [{"index": 5, "id": "a"}, {"index": 2, "id": "b"}]
    assert calls_of(part, *calls) == calls
    assert calls_of(part) == []


@pytest.mark.parametrize("call", [{"id": "a"}, {"id": "a", "index": None}])
def test_whole_answer_numbers_tool_calls_without_an_index(call: object) -> None:
    assert calls_of("message", call, call) == [{"index": 0, "id": "a"}, {"index": 1, "id": "a"}]


@pytest.mark.parametrize(
    ("part", "calls"),
    [
        ("message", [{"index": 0}, {}]),
        ("message", [{}, {"index": 0}]),
        ("message", [{"index": 0}, {"index": None}]),
        ("delta", [{}]),
        ("delta", [{"index": None}]),
        ("delta", [{"index": 0}, {"id": "a"}]),
    ],
)
def test_missing_index_of_a_tool_call_is_refused(part: str, calls: list[object]) -> None:
    assert refusal(lambda: calls_of(part, *calls)) == (ILLEGAL, "Required [index]")


def test_tool_call_that_is_no_object_is_refused() -> None:
    for calls in (["a"], [None]):
        kind, reason = refusal(lambda: calls_of("message", *calls))  # noqa: B023 - called here
        assert (kind, reason[:34]) == (MISFIT, "[1:1] Expected START_OBJECT but wa")


# -- whole chat answers -----------------------------------------------------


def test_whole_answer_is_printed_with_every_number_that_json_has() -> None:
    details = '{"a":0.5,"b":18446744073709551616,"c":1e3,"é":"é"}'
    body = (
        f'{{"id":"1","choices":[{{"index":0.0,"message":{{"reasoning_details":[{details}]}}}}],'
        '"usage":{"total_tokens":1.0}} and more'
    )
    assert parse_chat(body.encode()).to_json().decode() == (
        '{"id":"1","choices":[{"message":{"reasoning_details":'
        '[{"a":0.5,"b":18446744073709551616,"c":1000.0,"é":"é"}]},"index":0}],'
        '"model":"","object":"","usage":{"total_tokens":1}}'
    )


def test_whole_answer_reads_messages() -> None:
    body = orjson.dumps(answer("message", {"content": "hi"}, finish_reason="stop"))
    assert parse_chat(body).to_json() == (
        b'{"id":"1","choices":[{"message":{"content":"hi"},"finish_reason":"stop","index":0}],'
        b'"model":"","object":""}'
    )


def test_whole_answer_that_is_none_is_refused() -> None:
    assert refusal(lambda: parse_chat(b"<html>"))[0] == MISFIT
    assert refusal(lambda: parse_chat(b"\n")) == (
        MISFIT,
        "[1:1] Expected START_OBJECT but was: null",
    )


# -- completion streams -----------------------------------------------------


def deltas(*texts: object) -> bytes:
    return orjson.dumps({"choices": [{"delta": {"content": text}} for text in texts]})


def read_completion(data: bytes, name: str = "message") -> list[bytes]:
    return list(CompletionReader().read(Event(name, data)))


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        (deltas("hi"), [b'{"completion":[{"delta":"hi"}]}']),
        (deltas("a", "b"), [b'{"completion":[{"delta":"a"},{"delta":"b"}]}']),
        (deltas("a", "", "b"), [b'{"completion":[{"delta":"a"},{"delta":"b"}]}']),
        (deltas("é\n😀"), ['{"completion":[{"delta":"é\\n😀"}]}'.encode()]),
        (deltas(" "), [b'{"completion":[{"delta":" "}]}']),
        (deltas(""), []),
        (deltas(), []),
        (b'{"choices":[{"delta":{"role":"assistant"}}]}', []),
        (b'{"choices":[{"delta":{}}],"error":null}', []),
        (b'{"choices":[],"usage":{"total_tokens":1}}', []),
        (deltas("hi") + b" x", [b'{"completion":[{"delta":"hi"}]}']),
    ],
)
def test_texts_of_an_event_are_passed_on_together(data: bytes, sent: list[bytes]) -> None:
    assert read_completion(data) == sent


NO_CHOICES = (
    "illegal_state_exception",
    "Failed to find required field [choices] in OpenAI chat completions response",
)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"{}", NO_CHOICES),
        (b"[]", NO_CHOICES),
        (b"5", NO_CHOICES),
        (b"", NO_CHOICES),
        (b'{"error":{"message":"x"}}', NO_CHOICES),
        (b'{"choices":null}', (ILLEGAL, "Required [choices]")),
        (b'{"choices":{}}', no_support("choices", "START_OBJECT")),
        (b'{"choices":[5]}', (MISFIT, "[1:1] Expected START_OBJECT but was: VALUE_NUMBER")),
        (b'{"choices":[{}]}', (ILLEGAL, "Required [delta]")),
        (b'{"choices":[{"delta":[]}]}', no_support("delta", "START_ARRAY")),
    ],
)
def test_completion_chunk_that_lacks_or_mistakes_something_ends_the_stream(
    data: bytes, error: tuple[str, str]
) -> None:
    assert refusal(lambda: read_completion(data)) == error


def test_missing_choices_are_a_server_error() -> None:
    with pytest.raises(ElasticsearchError) as raised:
        read_completion(b'{"error":"busy"}', "error")
    assert error_body(raised.value) == envelope(*NO_CHOICES, 500)


@pytest.mark.parametrize(("value", "token"), [(None, "VALUE_NULL"), *other_than("VALUE_STRING")])
def test_text_of_a_completion_chunk_is_a_string(value: object, token: str) -> None:
    with pytest.raises(ElasticsearchError) as raised:
        read_completion(deltas("a", value))
    error = {
        "type": "parsing_exception",
        "reason": "Failed to parse object: expecting token of type [VALUE_STRING]"
        f" but found [{token}]",
        "line": 1,
        "col": 1,
    }
    assert error_body(raised.value) == {"error": {"root_cause": [error], **error}, "status": 400}


# -- chunks that are no JSON ------------------------------------------------


def problem(text: str, source: str, column: int, line: int = 1) -> str:
    return f'{text}\n at [Source: (String)"{source}"; line: {line}, column: {column}]'


NO_NAME = "Unexpected character ('{c}' (code {n})): was expecting double-quote to start field name"
MALFORMED = [
    (
        b"{ invalid json }",
        "[1:3] ",
        problem(NO_NAME.format(c="i", n=105), "{ invalid json }", 3),
    ),
    (
        b"{\n bad}",
        "[2:2] ",
        problem(NO_NAME.format(c="b", n=98), "{\n bad}", 2, line=2),
    ),
    (
        b"{bad" + b"x" * 496,
        "[1:2] ",
        problem(NO_NAME.format(c="b", n=98), "{bad" + "x" * 496, 2),
    ),
    (
        b"{bad" + b"x" * 500,
        "[1:2] ",
        problem(NO_NAME.format(c="b", n=98), "{bad" + "x" * 496, 2).replace(
            '";', '"[truncated 4 chars];'
        ),
    ),
    (
        b'{"a":"\xff"}',
        "[1:8] ",
        problem("Invalid UTF-8 start byte 0xff", '{"a":"\ufffd"}', 8),
    ),
]


@pytest.mark.parametrize(("data", "place", "text"), MALFORMED, ids=lambda value: str(value)[:20])
def test_malformed_chunk_is_quoted(data: bytes, place: str, text: str) -> None:
    assert read_chat_error(data) == {
        "error": {"code": "bad_request", "message": place + text, "type": MISFIT}
    }
    with pytest.raises(ElasticsearchError) as raised:
        read_completion(data)
    cause = {"type": "json_parse_exception", "reason": text}
    assert error_body(raised.value) == envelope(MISFIT, place + text, caused_by=cause)


def test_chunk_that_breaks_off_says_where() -> None:
    assert read_chat_error(b'{"id":"1","choices":[') == {
        "error": {
            "code": "bad_request",
            "message": "[1:22] Unexpected end of file",
            "type": "x_content_e_o_f_exception",
        }
    }


# -- chat streams -----------------------------------------------------------


def read_chat(data: bytes, name: str = "message") -> list[bytes]:
    return list(ChatReader("id").read(Event(name, data)))


def read_chat_error(data: bytes, name: str = "message") -> dict[str, Any]:
    with pytest.raises(ElasticsearchError) as raised:
        read_chat(data, name)
    return chat_error_body(raised.value)


def received(message: str | None, code: str | None = None) -> dict[str, Any]:
    """The body for an error that came in the stream."""
    text = "Received an error response for request from inference entity id [id]"
    if message is None:
        unknown = {"code": "stream_error", "message": text}
        return {"error": unknown | {"type": "UnifiedChatCompletionErrorResponse"}}
    error = {"code": code} if code else {}
    error |= {"message": f"{text}. Error message: [{message}]", "type": "hugging_face_error"}
    return {"error": error}


@pytest.mark.parametrize("name", ["message", "chunk", ""])
def test_chunk_is_one_event_in_the_order_of_elasticsearch(name: str) -> None:
    chunk = b'{"created":1,"object":"o","choices":[{"index":0,"delta":{"content":"hi"}}],"id":"1"}'
    assert read_chat(chunk, name) == [
        b'{"id":"1","choices":[{"delta":{"content":"hi"},"index":0}],"model":"","object":"o"}'
    ]
    assert read_chat(chunk + b" x", name) == read_chat(chunk, name)


def test_usage_alone_is_a_chunk() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    chunk = {"id": "1", "choices": [], "model": "m", "object": "o", "usage": usage}
    assert read_chat(orjson.dumps(chunk)) == [
        b'{"id":"1","choices":[],"model":"m","object":"o",'
        b'"usage":{"completion_tokens":2,"prompt_tokens":1,"total_tokens":3}}'
    ]


@pytest.mark.parametrize(
    ("data", "message", "kind"),
    [
        (b"{}", "Required [id, choices]", ILLEGAL),
        (b'{"detail":"x"}', "Required [id, choices]", ILLEGAL),
        (b'{"id":"1","choices":[{"index":0}]}', "Required [delta]", ILLEGAL),
        (b'{"id":"1","choices":[{"delta":{"tool_calls":[{"id":"a"}]},"index":0}]}',
         "Required [index]", ILLEGAL),
        (b'{"id":1,"choices":[]}', no_support("id", "VALUE_NUMBER")[1], MISFIT),
        (b"", "[1:1] Expected START_OBJECT but was: null", MISFIT),
        (b"[]", "[1:1] Expected START_OBJECT but was: START_ARRAY", MISFIT),
    ],
)  # fmt: skip
def test_chunk_that_lacks_or_mistakes_something_ends_the_stream(
    data: bytes, message: str, kind: str
) -> None:
    error = {"code": "bad_request", "message": message, "type": kind}
    assert read_chat_error(data) == {"error": error}


ERRORS: list[tuple[bytes, str, str | None]] = [
    (b'{"error":{"message":"M","http_status_code":422}}', "M", "422"),
    (b'{"error":{"message":"M"}}', "M", None),
    (b'{"error":{"http_status_code":422}}', "unknown", "422"),
    (b'{"error":{}}', "unknown", None),
    (b'{"error":null}', "unknown", None),
    (b'{"error":"busy","error_type":"overloaded"}', "busy", None),
    (
        b'{"error":{"object":"error","message":"too long","type":"BadRequestError",'
        b'"param":null,"code":400}}',
        "too long",
        None,
    ),
]


@pytest.mark.parametrize("name", ["error", "message"])
@pytest.mark.parametrize(("data", "message", "code"), ERRORS)
def test_error_is_known_as_an_event_and_in_a_chunk_s_place(
    name: str, data: bytes, message: str, code: str | None
) -> None:
    assert read_chat_error(data, name) == received(message, code)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"busy",
        b"[]",
        b"{}",
        b'{"message":"M"}',
        b'{"object":"error","message":"M","code":400}',
        b'{"error":5}',
        b'{"error":{"message":["M"]}}',
        b'{"id":"1","choices":[]}',
    ],
)
def test_error_event_that_says_nothing_known_is_a_stream_error(data: bytes) -> None:
    assert read_chat_error(data, "error") == received(None)


def test_error_beside_a_good_chunk_is_an_unknown_member() -> None:
    assert read_chat(b'{"id":"1","choices":[],"error":{"message":"M"}}') == [
        b'{"id":"1","choices":[],"model":"","object":""}'
    ]


def test_error_in_a_chunk_s_place_keeps_why_it_is_no_chunk() -> None:
    with pytest.raises(ElasticsearchError) as raised:
        read_chat(b'{"error":"busy"}')
    assert isinstance(raised.value.__cause__, ElasticsearchError)
    assert raised.value.__cause__.reason == "Required [id, choices]"


@given(st.binary(max_size=40) | st.text('[]{},:"aid1-.e truefalsnlchoesrx\\').map(str.encode))
def test_any_event_is_passed_on_or_an_error_of_ours(data: bytes) -> None:
    for reader in (ChatReader("id"), CompletionReader()):
        for name in ("message", "error"):
            try:
                sent = list(reader.read(Event(name, data)))
            except ElasticsearchError:
                continue
            assert all(b"\n" not in line and orjson.loads(line) for line in sent)


# -- errors of a refusal ----------------------------------------------------


@pytest.mark.parametrize(("body", "message", "code"), ERRORS)
def test_error_of_hugging_face(body: bytes, message: str, code: str | None) -> None:
    detail = ChatDetail(code=code, type="hugging_face_error")
    assert error_of(body) == UpstreamError(message=message, detail=detail)


@pytest.mark.parametrize(
    ("code", "shown"), [(404, "404"), ("404", "404"), (404.0, "404"), (None, None)]
)
def test_status_code_of_an_error_is_shown_as_text(code: object, shown: str | None) -> None:
    error = error_of(orjson.dumps({"error": {"message": "M", "http_status_code": code}}))
    assert error is not None
    assert error.detail.code == shown


UNKNOWN_BODIES = [
    b"",
    b"what? this isn't a json",
    b"null",
    b'"error"',
    b'["error"]',
    b"{}",
    b'{"detail":"Not Found"}',
    b'{"message":"M"}',
    b'{"object":"error","message":"M","type":"NotFoundError","param":null,"code":404}',
    b'{"error":5}',
    b'{"error":true}',
    b'{"error":["M"]}',
    b'{"error":{"message":5}}',
    b'{"error":{"message":{"text":"M"}}}',
    b'{"error":{"http_status_code":true}}',
    b'{"error":{"http_status_code":"many"}}',
    b'{"error":{"http_status_code":{}}}',
    b'{"error":"M"',
    b'{"error":"\xff"}',
]


@pytest.mark.parametrize("body", UNKNOWN_BODIES)
def test_other_bodies_are_no_known_error(body: bytes) -> None:
    assert error_of(body) is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"M"}}', "M"),
        (b'{"error":{"message":"\xc3\xa9 \\"x\\"","type":"t","param":null,"code":1}}', 'é "x"'),
        (b'{"error":{"message":""}}', ""),
        (b'{"error":{"message":null}}', None),
        (b'{"error":{}}', None),
        (b'{"error":null}', None),
        (b'{"error":"M"}', None),
        *((body, None) for body in UNKNOWN_BODIES),
    ],
)
def test_message_in_openai_s_form_alone(body: bytes, message: str | None) -> None:
    assert openai_message(body) == message
