"""The body of chat_completion: what is refused, with which words and places, and what is read.

In the tables ①, ② and so on stand for places: they are taken out of the body,
and in the errors become the line and column at which they stood.
"""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest

from esinfer.api.chat_schemas import load_chat_request
from esinfer.chat import ChatRequest
from tests.api.parse_errors import Link, body, illegal, parse, refusal, refused, status, unplaced

TOP = "UnifiedCompletionRequest"


def load(text: str) -> ChatRequest:
    return load_chat_request(body(text))


def failed(mark: str, parser: str, field: str) -> Link:
    return parse(mark, parser, f"failed to parse field [{field}]")


def mismatch(mark: str, parser: str, field: str, token: str) -> Link:
    return parse(mark, parser, f"{field} doesn't support values of type: {token}")


def unbuilt(parser: str) -> Link:
    return unplaced(f"Failed to build [{parser}] after last required field arrived")


def of_message(members: str) -> str:
    return '{"messages":[' + members + "]}"


def of_content(content: str) -> str:
    return of_message('{"content":' + content + ',"role":"user"}')


def with_member(member: str) -> str:
    return '{"messages":[{"role":"user"}],' + member + "}"


REFUSED: list[tuple[str, list[Link]]] = [
    # the top level
    ("①[]", [parse("①", TOP, "Expected START_OBJECT but was: START_ARRAY")]),
    ("{}", [illegal("Required [messages]")]),
    ('{"model":"m"}', [illegal("Required [messages]")]),
    (
        with_member('①"modell":②"m"'),
        [parse("①", TOP, "unknown field [modell] did you mean [model]?")],
    ),
    ('{①"n":1}', [parse("①", TOP, "unknown field [n]")]),
    ('{\n ①"stream":true}', [parse("①", TOP, "unknown field [stream]")]),
    (with_member('①"max_tokens":1'), [parse("①", TOP, "unknown field [max_tokens]")]),
    (with_member('①"session_id":"s"'), [parse("①", TOP, "unknown field [session_id]")]),
    *(
        (with_member(f'"{field}":①null'), [mismatch("①", TOP, field, "VALUE_NULL")])
        for field in (
            "model",
            "max_completion_tokens",
            "stop",
            "temperature",
            "tool_choice",
            "tools",
            "top_p",
            "reasoning",
        )
    ),
    (with_member('"model":①1'), [mismatch("①", TOP, "model", "VALUE_NUMBER")]),
    (with_member('"stop":①1'), [mismatch("①", TOP, "stop", "VALUE_NUMBER")]),
    (
        with_member('"max_completion_tokens":①"x"'),
        [
            failed("①", TOP, "max_completion_tokens"),
            ("number_format_exception", 'For input string: "x"'),
        ],
    ),
    (
        with_member('"temperature":①"warm"'),
        [failed("①", TOP, "temperature"), ("number_format_exception", 'For input string: "warm"')],
    ),
    (
        with_member('"top_p":①"1_0"'),
        [failed("①", TOP, "top_p"), ("number_format_exception", 'For input string: "1_0"')],
    ),
    (with_member('"top_p":①[]'), [mismatch("①", TOP, "top_p", "START_ARRAY")]),
    ('{"model":①1,"x":2}', [mismatch("①", TOP, "model", "VALUE_NUMBER")]),
    ('{①"x":2,"model":1}', [parse("①", TOP, "unknown field [x]")]),
    # messages
    ('{"messages":①null}', [mismatch("①", TOP, "messages", "VALUE_NULL")]),
    ('{"messages":①"hi"}', [mismatch("①", TOP, "messages", "VALUE_STRING")]),
    (
        '{"messages":[]}',
        [
            (
                "action_request_validation_exception",
                "Validation Failed: 1: Field [messages] cannot be an empty array;",
            )
        ],
    ),
    (
        of_message('{"content":"a"①}'),
        [failed("①", TOP, "messages"), illegal("Required [role]")],
    ),
    ('{"messages":{①}}', [failed("①", TOP, "messages"), illegal("Required [role]")]),
    (
        of_message('{"role":"user"},{"content":"a"①}'),
        [failed("①", TOP, "messages"), illegal("Required [role]")],
    ),
    (
        of_message('{"role":"user",①"name":②{"x":[]}}'),
        [failed("②", TOP, "messages"), parse("①", "Message", "unknown field [name]")],
    ),
    (
        of_message('\n{"role":"user",\n ①"rol":②"a"}'),
        [
            failed("②", TOP, "messages"),
            parse("①", "Message", "unknown field [rol] did you mean [role]?"),
        ],
    ),
    (
        of_message('{"role":①null}'),
        [failed("①", TOP, "messages"), mismatch("①", "Message", "role", "VALUE_NULL")],
    ),
    (
        of_message('{"role":"tool","tool_call_id":①1}'),
        [failed("①", TOP, "messages"), mismatch("①", "Message", "tool_call_id", "VALUE_NUMBER")],
    ),
    (
        '{"messages":[1①]}',
        [
            failed("①", TOP, "messages"),
            parse("①", "Message", "Expected START_OBJECT but was: END_ARRAY"),
        ],
    ),
    (
        '{"messages":[1,①"a",{"role":"user"}]}',
        [
            failed("①", TOP, "messages"),
            parse("①", "Message", "Expected START_OBJECT but was: VALUE_STRING"),
        ],
    ),
    (
        '{"messages":[{"role":"user"},①[]]}',
        [
            failed("①", TOP, "messages"),
            ("illegal_state_exception", "expected value but got [START_ARRAY]"),
        ],
    ),
    # content
    (
        of_content("①{}"),
        [failed("①", TOP, "messages"), mismatch("①", "Message", "content", "START_OBJECT")],
    ),
    *(
        (
            of_content("①" + value),
            [
                failed("①", TOP, "messages"),
                failed("①", "Message", "content"),
                unplaced(
                    "Expected an array start token or a value string token"
                    f" but found token [{token}]"
                ),
            ],
        )
        for value, token in (
            ("null", "VALUE_NULL"),
            ("1", "VALUE_NUMBER"),
            ("false", "VALUE_BOOLEAN"),
        )
    ),
    *(
        (
            of_content(f"[{value}]"),
            [
                failed("①", TOP, "messages"),
                failed("①", "Message", "content"),
                status(reason),
            ],
        )
        for value, reason in (
            ("{①}", "Field [type] in object [content] is required but was not found"),
            ('①"a"', "Field [type] in object [content] is required but was not found"),
            ("①[1]", "Field [type] in object [content] is required but was not found"),
            (
                '{"type":"text","text":"a"},①1',
                "Field [type] in object [content] is required but was not found",
            ),
            ('{"type":null①}', "Field [type] in object [content] is required but was not found"),
            (
                '{"type":1①}',
                "Field [type] in object [content] is not of the expected type."
                " Expected [String] but was [Integer]",
            ),
            (
                '{"type":"audio"①}',
                "Unrecognized type [audio] in object [content],"
                " must be one of [text, image_url, file]",
            ),
            ('{"type":"text"①}', "Field [text] in object [content] is required but was not found"),
            (
                '{"type":"text","text":[]①}',
                "Field [text] in object [content] is not of the expected type."
                " Expected [String] but was [ArrayList]",
            ),
            (
                '{"type":"text","text":"a","cache_control":{}①}',
                "[content] contains unknown fields [cache_control]",
            ),
            (
                '{"type":"image_url"①}',
                "Field [image_url] in object [content] is required but was not found",
            ),
            (
                '{"type":"image_url","image_url":"u"①}',
                "Field [image_url] in object [content] is not of the expected type."
                " Expected [Map] but was [String]",
            ),
            (
                '{"type":"image_url","image_url":{}①}',
                "Field [url] in object [url] is required but was not found",
            ),
            (
                '{"type":"image_url","image_url":{"url":"u","detail":1.5}①}',
                "Field [detail] in object [url] is not of the expected type."
                " Expected [String] but was [Double]",
            ),
            (
                '{"type":"image_url","image_url":{"url":"u","detail":"full"}①}',
                "Unrecognized type [full] in object [url], must be one of [auto, low, high]",
            ),
            (
                '{"type":"image_url","image_url":{"url":"u","x":1}①}',
                "[image_url] contains unknown fields [x]",
            ),
            (
                '{"type":"file","file":true①}',
                "Field [file] in object [content] is not of the expected type."
                " Expected [Map] but was [Boolean]",
            ),
            (
                '{"type":"file","file":{"filename":"n"}①}',
                "Field [file_data] in object [file] is required but was not found",
            ),
            (
                '{"type":"file","file":{"file_data":"d"}①}',
                "Field [filename] in object [file] is required but was not found",
            ),
            (
                '{"type":"file","file":{"file_data":"d","filename":"n","file_id":"i"}①}',
                "Field [file_id] is not supported for content of type [file]",
            ),
            (
                '{"type":"file","file":{"file_data":"d","filename":"n","x":null}①}',
                "[file] contains unknown fields [x]",
            ),
        )
    ),
    # tool calls
    (
        of_message('{"role":"assistant","tool_calls":[{①}]}'),
        [
            failed("①", TOP, "messages"),
            failed("①", "Message", "tool_calls"),
            illegal("Required [id, function, type]"),
        ],
    ),
    (
        of_message('{"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f"①}}]}'),
        [
            failed("①", TOP, "messages"),
            failed("①", "Message", "tool_calls"),
            failed("①", "ToolCall", "function"),
            illegal("Required [arguments]"),
        ],
    ),
    (
        of_message('{"role":"a","tool_calls":[{"function":{①"argument":②"{}"}}]}'),
        [
            failed("②", TOP, "messages"),
            failed("②", "Message", "tool_calls"),
            failed("②", "ToolCall", "function"),
            parse(
                "①",
                "tool_call_function_field",
                "unknown field [argument] did you mean [arguments]?",
            ),
        ],
    ),
    (
        of_message('{"role":"a","tool_calls":①"f"}'),
        [failed("①", TOP, "messages"), mismatch("①", "Message", "tool_calls", "VALUE_STRING")],
    ),
    # tools and the choice of one
    (
        with_member('"tools":[{"type":"function"①}]'),
        [failed("①", TOP, "tools"), illegal("Required [function]")],
    ),
    (
        with_member('"tools":[{"function":①"f"}]'),
        [failed("①", TOP, "tools"), mismatch("①", "Tool", "function", "VALUE_STRING")],
    ),
    (
        with_member('"tools":[{"type":"function","function":{"strict":true①}}]'),
        [
            failed("①", TOP, "tools"),
            failed("①", "Tool", "function"),
            illegal("Required [name]"),
        ],
    ),
    (
        with_member('"tools":{"function":{"name":"f","strict":①"yes"}}'),
        [
            failed("①", TOP, "tools"),
            failed("①", "Tool", "function"),
            failed("①", "tool_function_field", "strict"),
            illegal("Failed to parse value [yes] as only [true] or [false] are allowed."),
        ],
    ),
    (
        with_member('"tools":{"function":{"name":"f","parameters":①[]}}'),
        [
            failed("①", TOP, "tools"),
            failed("①", "Tool", "function"),
            mismatch("①", "tool_function_field", "parameters", "START_ARRAY"),
        ],
    ),
    (with_member('"tool_choice":①1'), [mismatch("①", TOP, "tool_choice", "VALUE_NUMBER")]),
    (
        with_member('"tool_choice":{①}'),
        [failed("①", TOP, "tool_choice"), illegal("Required [type, function]")],
    ),
    (
        with_member('"tool_choice":{"type":"function","function":{①}}'),
        [
            failed("①", TOP, "tool_choice"),
            failed("①", "ToolChoiceObject", "function"),
            illegal("Required [name]"),
        ],
    ),
    (
        with_member('"tool_choice":{"function":{"name":①null}}'),
        [
            failed("①", TOP, "tool_choice"),
            failed("①", "ToolChoiceObject", "function"),
            mismatch("①", "tool_choice_function_field", "name", "VALUE_NULL"),
        ],
    ),
    # reasoning
    (
        with_member('"reasoning":{①}'),
        [
            failed("①", TOP, "reasoning"),
            illegal("Required one of fields [effort, enabled], but none were specified."),
        ],
    ),
    (
        with_member('"reasoning":{①"max_tokens":②5}'),
        [failed("②", TOP, "reasoning"), parse("①", "Reasoning", "unknown field [max_tokens]")],
    ),
    (
        with_member('"reasoning":{"effort":"much"①}'),
        [
            failed("①", TOP, "reasoning"),
            unbuilt("Reasoning"),
            status(
                "Unrecognized type [much] in object [effort],"
                " must be one of [xhigh, high, medium, low, minimal, none]"
            ),
        ],
    ),
    (
        with_member('"reasoning":{"enabled":true,"summary":"long"①}'),
        [
            failed("①", TOP, "reasoning"),
            unbuilt("Reasoning"),
            status(
                "Unrecognized type [long] in object [summary],"
                " must be one of [auto, concise, detailed]"
            ),
        ],
    ),
    (
        with_member('"reasoning":{"enabled":false①}'),
        [
            failed("①", TOP, "reasoning"),
            unbuilt("Reasoning"),
            status("When [enabled] is false, [effort] must be specified."),
        ],
    ),
    (
        with_member('"reasoning":{"enabled":true,"effort":"x","summary":"auto","exclude":①true}'),
        [
            failed("①", TOP, "reasoning"),
            failed("①", "Reasoning", "exclude"),
            unbuilt("Reasoning"),
            status(
                "Unrecognized type [x] in object [effort],"
                " must be one of [xhigh, high, medium, low, minimal, none]"
            ),
        ],
    ),
    (
        of_message('{"role":"a","reasoning_details":[{①}]}'),
        [
            failed("①", TOP, "messages"),
            failed("①", "Message", "reasoning_details"),
            illegal("Required [type]"),
        ],
    ),
    *(
        (
            of_message('{"role":"a","reasoning_details":[' + detail + "]}"),
            [
                failed("①", TOP, "messages"),
                failed("①", "Message", "reasoning_details"),
                unbuilt("ReasoningDetail"),
                status(reason),
            ],
        )
        for detail, reason in (
            (
                '{"type":"text"①}',
                "Unrecognized type [text] in object [reasoning_detail_type],"
                " must be one of [reasoning.encrypted, reasoning.summary, reasoning.text]",
            ),
            (
                '{"type":"reasoning.encrypted","index":-1①}',
                "Field [index] must be non-negative, but was [-1]",
            ),
            (
                '{"type":"reasoning.encrypted"①}',
                "Required field [data] is missing for reasoning details of type"
                " [reasoning.encrypted]",
            ),
            (
                '{"type":"reasoning.summary"①}',
                "Required field [summary] is missing for reasoning details of type"
                " [reasoning.summary]",
            ),
            (
                '{"type":"reasoning.text"①}',
                "At least one of [text, signature] must be provided for reasoning details"
                " of type [reasoning.text]",
            ),
            (
                '{"type":"reasoning.text","data":"d","text":"t"①}',
                "Field [data] is not expected for reasoning details of type [reasoning.text],"
                " but found [d]",
            ),
        )
    ),
]


@pytest.mark.parametrize(("marked", "links"), REFUSED, ids=[marked for marked, _ in REFUSED])
def test_bad_bodies_are_refused_where_the_reader_stands(marked: str, links: list[Link]) -> None:
    assert refusal(load_chat_request, marked) == refused(marked, links)


MESSAGE = {"role": "user"}
READ: list[tuple[str, dict[str, Any]]] = [
    (with_member('"model":"m"'), {"messages": [MESSAGE], "model": "given"}),
    ('{"messages":{"role":"user"}}', {"messages": [MESSAGE]}),
    ('{"messages":[null,{"role":"user"}]}', {"messages": [MESSAGE]}),
    (
        of_message('{"role":"user","content":"hi"}'),
        {"messages": [{"content": "hi", "role": "user"}]},
    ),
    (
        of_message(
            '{"tool_calls":[{"type":"function","function":{"name":"f","arguments":"{}"},"id":"1"}],'
            '"tool_call_id":"2","role":"assistant","content":""}'
        ),
        {
            "messages": [
                {
                    "content": "",
                    "role": "assistant",
                    "tool_call_id": "2",
                    "tool_calls": [
                        {
                            "id": "1",
                            "function": {"arguments": "{}", "name": "f"},
                            "type": "function",
                        }
                    ],
                }
            ]
        },
    ),
    (of_content("[]"), {"messages": [{"content": [], "role": "user"}]}),
    (
        of_content('[{"type":" TEXT ","text":"a"},{"text":"","type":"text"}]'),
        {
            "messages": [
                {
                    "content": [{"text": "a", "type": "text"}, {"text": "", "type": "text"}],
                    "role": "user",
                }
            ]
        },
    ),
    (
        of_content(
            '[{"type":"image_url","image_url":{"detail":"HIGH","url":"u"}},'
            '{"type":"image_url","image_url":{"detail":null,"url":"v"}}]'
        ),
        {
            "messages": [
                {
                    "content": [
                        {"image_url": {"url": "u", "detail": "high"}, "type": "image_url"},
                        {"image_url": {"url": "v"}, "type": "image_url"},
                    ],
                    "role": "user",
                }
            ]
        },
    ),
    (
        of_content('[{"file":{"filename":"n","file_data":"d"},"type":"file"}]'),
        {
            "messages": [
                {
                    "content": [{"file": {"file_data": "d", "filename": "n"}, "type": "file"}],
                    "role": "user",
                }
            ]
        },
    ),
    (
        with_member('"max_completion_tokens":"17","stop":"a"'),
        {"messages": [MESSAGE], "max_tokens": 17, "stop": ["a"]},
    ),
    (
        with_member('"stop":["a",1],"temperature":0.1,"top_p":"0.95"'),
        {"messages": [MESSAGE], "stop": ["a", "1"], "temperature": 0.1, "top_p": 0.95},
    ),
    (with_member('"stop":[],"tools":[]'), {"messages": [MESSAGE]}),
    (
        with_member('"tool_choice":"auto"'),
        {"messages": [MESSAGE], "tool_choice": "auto"},
    ),
    (
        with_member('"tool_choice":{"function":{"name":"f"},"type":"function"}'),
        {"messages": [MESSAGE], "tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    (
        with_member('"tools":[{"function":{"name":"f"},"type":"function"}]'),
        {
            "messages": [MESSAGE],
            "tools": [
                {
                    "type": "function",
                    "function": {"description": None, "name": "f", "parameters": None},
                }
            ],
        },
    ),
    (
        with_member(
            '"tools":[{"type":"function","function":{"strict":"true","name":"f","parameters":'
            '{"b":[1.50,-2,null,{"a":"x"}],"c":123456789012345678901234567890},'
            '"description":"d"}}]'
        ),
        {
            "messages": [MESSAGE],
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "description": "d",
                        "name": "f",
                        "parameters": {
                            "b": [1.5, -2, None, {"a": "x"}],
                            "c": 123456789012345678901234567890.0,
                        },
                        "strict": True,
                    },
                }
            ],
        },
    ),
    (
        with_member('"reasoning":{"enabled":true,"exclude":false,"summary":"Auto","effort":"LOW"}'),
        {
            "messages": [MESSAGE],
            "reasoning": {"effort": "low", "summary": "auto", "exclude": False, "enabled": True},
        },
    ),
    (
        of_message(
            '{"role":"a","reasoning":"so","reasoning_details":[{"text":"t","type":"reasoning.text",'
            '"signature":"s"},{"data":"d","index":0,"id":"i","format":"f",'
            '"type":"reasoning.encrypted"},{"summary":"s","type":"reasoning.summary"}]}'
        ),
        {
            "messages": [
                {
                    "role": "a",
                    "reasoning": "so",
                    "reasoning_details": [
                        {"type": "reasoning.text", "text": "t", "signature": "s"},
                        {
                            "type": "reasoning.encrypted",
                            "format": "f",
                            "id": "i",
                            "index": 0,
                            "data": "d",
                        },
                        {"type": "reasoning.summary", "summary": "s"},
                    ],
                }
            ]
        },
    ),
]


@pytest.mark.parametrize(("text", "wire"), READ, ids=[text for text, _ in READ])
def test_requests_go_upstream_in_the_order_of_the_contract(text: str, wire: object) -> None:
    request = load(text)
    model = "given" if request.model else None
    sent = request.to_wire(model=model, max_tokens_name="max_tokens")
    assert orjson.dumps(sent) == orjson.dumps(wire)


def test_all_members_have_their_order_on_the_wire() -> None:
    request = load(
        with_member(
            '"top_p":1,"tools":{"type":"t","function":{"name":"f"}},"tool_choice":"auto",'
            '"temperature":0,"stop":"s","max_completion_tokens":3,"model":"m",'
            '"reasoning":{"enabled":true}'
        )
    )
    assert list(request.to_wire(model="other", max_tokens_name="max_completion_tokens")) == [
        "messages",
        "model",
        "max_completion_tokens",
        "stop",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
        "reasoning",
    ]


def test_the_model_is_kept_for_the_service_to_decide() -> None:
    assert load(with_member('"model":"m"')).model == "m"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("0.1", b"0.1"),
        ("1", b"1.0"),
        ("-0.0", b"-0.0"),
        ("0.30000001192092896", b"0.3"),
        ("0.123456789", b"0.12345679"),
        ("16777217", b"16777216.0"),
        ("3.4028235e38", b"3.4028235e+38"),
        ("1e-45", b"1e-45"),
        ("1e39", b'"Infinity"'),
        ("-1e400", b'"-Infinity"'),
        ("1" + "0" * 400, b'"Infinity"'),
        ('"0.7f"', b"0.7"),
        ('" 1.e1 "', b"10.0"),
        ('"NaN"', b'"NaN"'),
    ],
)
def test_temperature_is_sent_as_the_shortest_float(given: str, sent: bytes) -> None:
    wire = load(with_member(f'"temperature":{given}')).to_wire(model=None, max_tokens_name="x")
    assert orjson.dumps(wire["temperature"]) == sent


def test_a_request_made_by_hand_is_sent_in_the_same_form() -> None:
    request = ChatRequest(messages=(MESSAGE,), temperature=math.pi)
    assert request.to_wire(model=None, max_tokens_name="max_tokens") == {
        "messages": (MESSAGE,),
        "temperature": 3.1415927,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (of_message('{"role":"user"}'), False),
        (with_member('"reasoning":{"enabled":true}'), True),
        (of_message('{"role":"a","reasoning":""}'), True),
        (of_message('{"role":"a","reasoning_details":[]}'), True),
    ],
)
def test_a_request_tells_whether_it_speaks_of_reasoning(text: str, expected: bool) -> None:
    assert load(text).has_reasoning is expected


def test_a_conversation_is_never_cut() -> None:
    request = ChatRequest(messages=({"role": "user", "content": "a" * 100},))
    assert request.cut_to(1) is request
    assert request.shortened(0.5) is request
