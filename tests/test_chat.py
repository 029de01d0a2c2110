"""The chat request: what it sends, what it leaves out, which numbers it prints."""

from __future__ import annotations

import struct
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.chat import ChatRequest

USER = {"content": "hi", "role": "user"}
PLAIN = ChatRequest(messages=(USER,))


def wire(request: ChatRequest, model: str | None = None) -> str:
    """What is sent of a request besides its messages."""
    body = request.to_wire(model=model, max_tokens_name="max_tokens")
    assert body["messages"] == request.messages
    assert next(iter(body)) == "messages"
    return orjson.dumps({name: body[name] for name in body if name != "messages"}).decode()


def test_what_the_caller_left_out_is_not_sent() -> None:
    assert wire(PLAIN) == "{}"
    assert wire(replace(PLAIN, stop=(), tools=(), model="ignored")) == "{}"


def test_members_that_are_set_are_sent_in_one_order() -> None:
    request = ChatRequest(
        reasoning={"effort": "low"},
        top_p=0,
        tools=({"type": "function"},),
        tool_choice={"type": "function"},
        temperature=0.0,
        stop=("a", "b"),
        max_completion_tokens=0,
        messages=(USER, USER),
    )
    assert wire(request, "m") == (
        '{"model":"m","max_tokens":0,"stop":["a","b"],"temperature":0.0,'
        '"tool_choice":{"type":"function"},"tools":[{"type":"function"}],"top_p":0.0,'
        '"reasoning":{"effort":"low"}}'
    )


def test_provider_names_the_token_limit() -> None:
    body = replace(PLAIN, max_completion_tokens=7).to_wire(model=None, max_tokens_name="tokens")
    assert list(body.items()) == [("messages", (USER,)), ("tokens", 7)]


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.1, "0.1"),
        (0.7, "0.7"),
        (1, "1.0"),
        (1.2345678901234567, "1.2345679"),
        (16777217, "16777216.0"),
        (1e-50, "0.0"),
        (-0.5, "-0.5"),
        (float("inf"), '"Infinity"'),
        (float("nan"), '"NaN"'),
    ],
)
def test_temperature_and_top_p_are_float32(value: float, printed: str) -> None:
    assert wire(replace(PLAIN, temperature=value, top_p=value)) == (
        f'{{"temperature":{printed},"top_p":{printed}}}'
    )


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_printed_number_is_the_same_float32(value: float) -> None:
    sent = orjson.loads(wire(replace(PLAIN, top_p=value)))["top_p"]
    assert struct.pack("f", sent) == struct.pack("f", value)


@pytest.mark.parametrize(
    ("request_", "speaks"),
    [
        (PLAIN, False),
        (replace(PLAIN, reasoning={}), True),
        (replace(PLAIN, messages=(USER, USER | {"reasoning": "why"})), True),
        (replace(PLAIN, messages=(USER | {"reasoning_details": []}, USER)), True),
    ],
)
def test_request_knows_whether_it_speaks_of_reasoning(request_: ChatRequest, speaks: bool) -> None:
    assert request_.has_reasoning is speaks


def test_conversation_is_never_cut() -> None:
    assert PLAIN.cut_to(1) is PLAIN
    assert PLAIN.shortened(0.5) is PLAIN
