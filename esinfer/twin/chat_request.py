"""The body of a chat request: from bytes to a value, or the error that TGI answers.

Read are the fields that TGI 3.3 knows; ``logit_bias``, ``logprobs``, ``seed``,
``response_format``, ``guideline`` and ``tool_prompt`` have no effect here, and
any other field is ignored, ``max_completion_tokens`` among them.

Source: text-generation-inference 3.3 ``router/src/lib.rs``; upstream.md section 1d.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson

from esinfer.twin.serde import Deserializer


class Message(NamedTuple):
    """One turn; ``text`` is its content in one string, or its tool calls as JSON."""

    role: str
    text: str


class Tool(NamedTuple):
    """A function that may be called, and the JSON schema of its arguments."""

    name: str
    parameters: object


class Choice(StrEnum):
    """Whether a tool is to be called."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    NAMED = "named"


class ToolChoice(NamedTuple):
    """Whether a tool is to be called, and if it is ``NAMED``, which."""

    choice: Choice
    name: str = ""


_AUTO: Final = ToolChoice(Choice.AUTO)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A conversation, and how it is to be continued."""

    messages: Sequence[Message]
    model: str | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    n: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    tools: Sequence[Tool] = ()
    tool_choice: ToolChoice = _AUTO
    stream: bool = False
    include_usage: bool = False

    def model_or(self, served: str) -> str:
        """The model that the answer names: the one asked for, unless that is none or "tgi"."""
        return served if self.model in {None, "tgi"} else str(self.model)


def load_chat_request(body: bytes) -> ChatRequest:
    """Read a body; MalformedBody with TGI's words if it is none of a chat request."""
    fields: dict[str, Any] = Deserializer(body).struct("ChatRequest", _READERS, ("messages",))
    usage = fields.pop("stream_options", None) or {}
    given = {name: value for name, value in fields.items() if name not in _UNUSED}
    for name in ("stop", "tools"):
        given[name] = given.get(name) or ()
    return ChatRequest(**given, include_usage=usage.get("include_usage", False))


def _read_message(source: Deserializer) -> Message:
    fields: dict[str, Any] = source.struct("Message", _MESSAGE, ("role",))
    text = text_of(fields.get("content"))
    if text is None:
        text = _fit_tool_calls(fields.get("tool_calls"))
    if text is None:
        source.refuse("data did not match any variant of untagged enum MessageBody")
    return Message(fields["role"], text)


def text_of(content: object) -> str | None:
    """A text, or parts that are joined as TGI joins them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [_fit_part(part) for part in content]
    texts = [part for part in parts if part is not None]
    return "".join(texts) if len(texts) == len(parts) else None


def _fit_part(part: object) -> str | None:
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return f"![]({url})"
        case _:
            return None


def _fit_tool_calls(calls: object) -> str | None:
    if isinstance(calls, list) and all(map(_is_tool_call, calls)):
        return orjson.dumps(calls).decode()
    return None


def _is_tool_call(call: object) -> bool:
    match call:
        case {"id": str(), "type": str(), "function": {"name": str(), **function}}:
            return "arguments" in function or "parameters" in function
        case _:
            return False


def _read_tool(source: Deserializer) -> Tool:
    fields: dict[str, Any] = source.struct("Tool", _TOOL, ("type", "function"))
    return Tool(**fields["function"])


def _read_function(source: Deserializer) -> dict[str, object]:
    fields = source.struct("FunctionDefinition", _FUNCTION, ("name",))
    # "parameters" is another name for the field that TGI calls "arguments".
    if not fields.keys() & {"arguments", "parameters"}:
        source.refuse("missing field `arguments`")
    parameters = fields.get("arguments", fields.get("parameters"))
    return {"name": fields["name"], "parameters": parameters}


def _fit_tool_choice(value: object) -> ToolChoice | None:
    """TGI takes any other text for the name of a function."""
    match value:
        case None:
            return _AUTO
        case "auto" | "none" | "required":
            return ToolChoice(Choice(value))
        case str(name) | {"type": "function", "function": {"name": str(name)}}:
            return ToolChoice(Choice.NAMED, name)
        case _:
            return None


_Readers = Mapping[str, Callable[[Deserializer], object]]

_MESSAGE: Final[_Readers] = {
    "role": Deserializer.string,
    "name": lambda source: source.option(Deserializer.string),
    "content": Deserializer.content,
    "tool_calls": Deserializer.content,
}
_FUNCTION: Final[_Readers] = {
    "name": Deserializer.string,
    "description": lambda source: source.option(Deserializer.string),
    "parameters": Deserializer.content,
    "arguments": Deserializer.content,
}
_TOOL: Final[_Readers] = {"type": Deserializer.string, "function": _read_function}
_STREAM_OPTIONS: Final[_Readers] = {"include_usage": Deserializer.boolean}


def _optional(read: Callable[[Deserializer], object]) -> Callable[[Deserializer], object]:
    return lambda source: source.option(read)


def _list_of(read: Callable[[Deserializer], object]) -> Callable[[Deserializer], object]:
    return lambda source: source.sequence(read)


_READERS: Final[_Readers] = {
    "messages": _list_of(_read_message),
    "model": _optional(Deserializer.string),
    "max_tokens": _optional(Deserializer.u32),
    "stop": _optional(_list_of(Deserializer.string)),
    "n": _optional(Deserializer.u32),
    "temperature": _optional(Deserializer.f32),
    "top_p": _optional(Deserializer.f32),
    "top_logprobs": _optional(Deserializer.u32),
    "presence_penalty": _optional(Deserializer.f32),
    "frequency_penalty": _optional(Deserializer.f32),
    "tools": _optional(_list_of(_read_tool)),
    "tool_choice": lambda source: source.untagged("ToolTypeDeserializer", _fit_tool_choice),
    "stream": Deserializer.boolean,
    "stream_options": _optional(lambda source: source.struct("StreamOptions", _STREAM_OPTIONS, ())),
    "logit_bias": _optional(_list_of(Deserializer.f32)),
    "logprobs": _optional(Deserializer.boolean),
    "seed": _optional(Deserializer.u64),
    "guideline": _optional(Deserializer.string),
    "tool_prompt": _optional(Deserializer.string),
}
_UNUSED: Final = ("logit_bias", "logprobs", "seed", "guideline", "tool_prompt")
