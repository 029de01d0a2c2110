import orjson
import pytest

from esinfer.twin.chat_request import (
    ChatRequest,
    Choice,
    Message,
    Tool,
    ToolChoice,
    load_chat_request,
)
from esinfer.twin.serde import MalformedBody

SYNTAX = "Failed to parse the request body as JSON: "
SHAPE = "Failed to deserialize the JSON body into the target type: "
MISFIT = "data did not match any variant of untagged enum "


def load(**fields: object) -> ChatRequest:
    return load_chat_request(orjson.dumps({"messages": [], **fields}))


def test_all_fields_are_read() -> None:
    body = b"""{
        "model": "m", "messages": [{"role": "user", "content": "a", "name": "n"}],
        "max_tokens": 5, "stop": ["x"], "n": 1, "temperature": 0, "top_p": 0.5, "top_logprobs": 2,
        "presence_penalty": -1, "frequency_penalty": 1.5, "stream": true,
        "stream_options": {"include_usage": true}, "tool_choice": "required",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": 1}}}],
        "logit_bias": [1, 2.5], "logprobs": false, "seed": 18446744073709551615,
        "guideline": null, "tool_prompt": "p", "response_format": {"type": "text"}
    } """
    assert load_chat_request(body) == ChatRequest(
        messages=[Message("user", "a")],
        model="m",
        max_tokens=5,
        stop=["x"],
        n=1,
        temperature=0,
        top_p=0.5,
        top_logprobs=2,
        presence_penalty=-1,
        frequency_penalty=1.5,
        tools=[Tool("f", {"a": 1})],
        tool_choice=ToolChoice(Choice.REQUIRED),
        stream=True,
        include_usage=True,
    )


def test_null_is_as_good_as_nothing() -> None:
    nothing = dict.fromkeys(
        ("model", "max_tokens", "stop", "n", "temperature", "top_p", "top_logprobs", "seed",
         "presence_penalty", "frequency_penalty", "tools", "tool_choice", "stream_options",
         "logit_bias", "logprobs", "guideline", "tool_prompt")
    )  # fmt: skip
    assert load(**nothing) == load() == ChatRequest(messages=[])


def test_unknown_fields_are_ignored() -> None:
    assert load(max_completion_tokens="5", user={}, stream_options={}) == load()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "user", "content": ""}, Message("user", "")),
        ({"role": "user", "content": []}, Message("user", "")),
        (
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "one "},
                    {"type": "image_url", "image_url": {"url": "http://x/y.png"}},
                    {"type": "text", "text": " two"},
                ],
            },
            Message("user", "one ![](http://x/y.png) two"),
        ),
        ({"role": "tool", "tool_call_id": "0", "content": "12"}, Message("tool", "12")),
        (
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            Message(
                "assistant",
                '[{"id":"0","type":"function","function":{"name":"f","arguments":"{}"}}]',
            ),
        ),
        ({"role": "assistant", "tool_calls": []}, Message("assistant", "[]")),
        ({"role": "assistant", "content": "a", "tool_calls": 1}, Message("assistant", "a")),
    ],
)
def test_messages(message: dict[str, object], expected: Message) -> None:
    assert load(messages=[message]).messages == [expected]


@pytest.mark.parametrize(
    "body",
    [
        b'"content":null', b'"content":1', b'"text":"a"', b'"content":["a"]',
        b'"content":[{"type":"text"}]', b'"content":[{"type":"audio","text":"a"}]',
        b'"content":[{"type":"image_url","image_url":"u"}]', b'"tool_calls":null',
        b'"tool_calls":[1]', b'"tool_calls":[{"id":"0","type":"function","function":{}}]',
        b'"tool_calls":[{"id":"0","type":"function","function":{"name":"f"}}]',
        b'"tool_calls":[{"id":0,"type":"function","function":{"name":"f","arguments":""}}]',
    ],
)  # fmt: skip
def test_a_message_of_neither_content_nor_tool_calls(body: bytes) -> None:
    start = b'{"messages":[{"role":"user",%b}' % body
    with pytest.raises(MalformedBody) as caught:
        load_chat_request(start + b"]}")
    assert caught.value.status == 422
    place = f"at line 1 column {len(start)}"
    assert str(caught.value) == f"{SHAPE}messages[0]: {MISFIT}MessageBody {place}"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice(Choice.AUTO)),
        ("none", ToolChoice(Choice.NONE)),
        ("required", ToolChoice(Choice.REQUIRED)),
        ("f", ToolChoice(Choice.NAMED, "f")),
        ("named", ToolChoice(Choice.NAMED, "named")),
        ({"type": "function", "function": {"name": "auto"}}, ToolChoice(Choice.NAMED, "auto")),
    ],
)
def test_tool_choices(choice: object, expected: ToolChoice) -> None:
    assert load(tool_choice=choice).tool_choice == expected


def test_the_schema_of_a_tool_has_two_names() -> None:
    one = {"type": "function", "function": {"name": "f", "description": None, "parameters": 1}}
    two = {"type": "function", "function": {"name": "f", "description": "d", "arguments": 1}}
    assert load(tools=[one, two]).tools == [Tool("f", 1)] * 2


@pytest.mark.parametrize(
    ("asked", "expected"), [(None, "served"), ("tgi", "served"), ("", ""), ("other", "other")]
)
def test_the_model_that_is_named(asked: str | None, expected: str) -> None:
    assert load(model=asked).model_or("served") == expected


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"", 400, SYNTAX + "EOF while parsing a value at line 1 column 0"),
        (
            b'{"messages": [}',
            400,
            SYNTAX + "messages[0]: expected value at line 1 column 15",
        ),
        (b"{}", 422, SHAPE + "missing field `messages` at line 1 column 2"),
        (
            b"[]",
            422,
            SHAPE + "invalid type: sequence, expected struct ChatRequest at line 1 column 0",
        ),
        (
            b'{"messages": "hi"}',
            422,
            SHAPE + 'messages: invalid type: string "hi", expected a sequence at line 1 column 17',
        ),
        (
            b'{"messages": ["hi"]}',
            422,
            SHAPE + 'messages[0]: invalid type: string "hi", expected struct Message '
            "at line 1 column 18",
        ),
        (
            b'{"messages": [{"content": "hi"}]}',
            422,
            SHAPE + "messages[0]: missing field `role` at line 1 column 31",
        ),
        (
            b'{"stop": "x"}',
            422,
            SHAPE + 'stop: invalid type: string "x", expected a sequence at line 1 column 12',
        ),
        (
            b'{"max_tokens": 4294967296}',
            422,
            SHAPE + "max_tokens: invalid value: integer `4294967296`, expected u32 "
            "at line 1 column 25",
        ),
        (
            b'{"max_tokens": -1}',
            422,
            SHAPE + "max_tokens: invalid value: integer `-1`, expected u32 at line 1 column 17",
        ),
        (
            b'{"seed": 1.5}',
            422,
            SHAPE + "seed: invalid type: floating point `1.5`, expected u64 at line 1 column 12",
        ),
        (
            b'{"top_p": "1"}',
            422,
            SHAPE + 'top_p: invalid type: string "1", expected f32 at line 1 column 13',
        ),
        (
            b'{"stream": null}',
            422,
            SHAPE + "stream: invalid type: null, expected a boolean at line 1 column 15",
        ),
        (
            b'{"tools": [{"type": "function"}]}',
            422,
            SHAPE + "tools[0]: missing field `function` at line 1 column 31",
        ),
        (
            b'{"tools": [{"type": "function", "function": {"name": "f"}}]}',
            422,
            SHAPE + "tools[0].function: missing field `arguments` at line 1 column 57",
        ),
        (
            b'{"messages": [], "tool_choice": {"type": "function"}}',
            422,
            SHAPE + f"tool_choice: {MISFIT}ToolTypeDeserializer at line 1 column 53",
        ),
    ],
)
def test_a_malformed_body(body: bytes, status: int, text: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        load_chat_request(body)
    assert (caught.value.status, str(caught.value)) == (status, text)
