"""Chat completions in OpenAI's wire format, which Hugging Face's chat servers speak.

Shared by every provider whose upstream speaks it: request bodies, whole
answers, stream chunks. API: POST …/v1/chat/completions. Contract:
hugging_face.md sections 2, 3.3 and 4.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from esinfer.chat import ChatRequest
from esinfer.errors import (
    ChatDetail,
    ChatErrorEvent,
    ElasticsearchError,
    IllegalArgument,
    IllegalState,
    ParsingException,
    XContentParseError,
)
from esinfer.json_reader import NOTHING, Token, read_first_value, token_of
from esinfer.object_parser import NUMBER, OBJECT, STRING, IntegerField
from esinfer.sse import Event
from esinfer.tasks import CompletionRequest, CompletionResult

Json = Mapping[str, Any]

# -- requests ---------------------------------------------------------------


def completion_body(request: CompletionRequest, model: str | None, *, stream: bool) -> Json:
    """One user message."""
    messages = [{"content": text, "role": "user"} for text in request.inputs]
    body: dict[str, object] = {"messages": messages}
    if model is not None:
        body["model"] = model
    return body | _manner(stream=stream)


def chat_body(request: ChatRequest, model: str | None, *, stream: bool) -> Json:
    """The conversation as it came; ``max_completion_tokens`` under its older name."""
    body = request.to_wire(model=request.model or model, max_tokens_name="max_tokens")
    return body | _manner(stream=stream)


def _manner(*, stream: bool) -> dict[str, object]:
    """One answer; a streamed one is asked to count its tokens."""
    manner: dict[str, object] = {"n": 1, "stream": stream}
    return manner | {"stream_options": {"include_usage": True}} if stream else manner


# -- members of an answer ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object: how it is named, which tokens it may be."""

    name: str
    tokens: frozenset[Token]
    required: bool = False


_ARRAY = frozenset({Token.START_ARRAY})
_INTEGER = IntegerField()


def pick(source: object, members: Sequence[Member]) -> dict[str, Any]:
    """The members that are there and not null, in the given order, types checked.

    Numbers are integers of 32 bits, also where the source writes them as text.
    """
    if not isinstance(source, dict):
        raise _misfit(f"Expected {Token.START_OBJECT} but was: {_token_name(source)}")
    picked = {}
    for member in members:
        value = source.get(member.name)
        if value is None:
            if member.required:
                raise _missing(source, members)
            continue
        if token_of(value) not in member.tokens:
            raise _misfit(f"{member.name} doesn't support values of type: {token_of(value)}")
        picked[member.name] = _integer(member, value) if member.tokens is NUMBER else value
    return picked


def _integer(member: Member, value: float | str) -> int:
    try:
        return _INTEGER.read(value)
    except ElasticsearchError as cause:
        raise _misfit(f"failed to parse field [{member.name}]") from cause


def _token_name(value: object) -> str:
    return "null" if value is NOTHING else token_of(value)


def _missing(source: Json, members: Sequence[Member]) -> IllegalArgument:
    names = [m.name for m in members if m.required and source.get(m.name) is None]
    return IllegalArgument(reason=f"Required [{', '.join(names)}]")


def _misfit(problem: str) -> XContentParseError:
    # Where in a chunk it is wrong is of no use to a caller who never sees the chunk.
    return XContentParseError(line=1, column=1, problem=problem)


_ANSWER = (
    Member("id", STRING, required=True),
    Member("choices", _ARRAY, required=True),
    Member("model", STRING),
    Member("object", STRING),
    Member("usage", OBJECT),
)
_CHOICE = {
    part: (
        Member(part, OBJECT, required=True),
        Member("finish_reason", STRING),
        Member("index", NUMBER, required=True),
    )
    for part in ("message", "delta")
}
_MESSAGE = (
    Member("content", STRING),
    Member("refusal", STRING),
    Member("role", STRING),
    Member("tool_calls", _ARRAY),
    Member("reasoning", STRING),
    Member("reasoning_details", _ARRAY),
)
_TOOL_CALL = (
    Member("index", NUMBER),
    Member("id", STRING),
    Member("function", OBJECT),
    Member("type", STRING),
)
_FUNCTION = (Member("arguments", STRING), Member("name", STRING))
_USAGE = (
    Member("completion_tokens", NUMBER),
    Member("prompt_tokens", NUMBER),
    Member("total_tokens", NUMBER),
    Member("completion_tokens_details", OBJECT),
    Member("prompt_tokens_details", OBJECT),
)
_DETAILS = {
    "completion_tokens_details": (Member("reasoning_tokens", NUMBER),),
    "prompt_tokens_details": (
        Member("cached_tokens", NUMBER),
        Member("cache_write_tokens", NUMBER),
    ),
}


def normalize(document: object, part: str) -> dict[str, Any]:
    """A chat answer or chunk with the members that Elasticsearch passes on, in its order.

    ``part`` is what a choice holds: ``message`` of a whole answer, ``delta``
    of a chunk.
    """
    answer = pick(document, _ANSWER)
    answer["choices"] = [_choice(choice, part) for choice in answer["choices"]]
    usage = answer.pop("usage", None)
    ordered = {
        "id": answer["id"],
        "choices": answer["choices"],
        "model": answer.get("model", ""),
        "object": answer.get("object", ""),
    }
    return ordered if usage is None else ordered | {"usage": _usage(usage)}


def _choice(choice: object, part: str) -> dict[str, Any]:
    picked = pick(choice, _CHOICE[part])
    message = pick(picked[part], _MESSAGE)
    if "tool_calls" in message:
        calls = message["tool_calls"]
        indices = [isinstance(call, dict) and call.get("index") is not None for call in calls]
        # Whole answers may leave the indices out: then the position is the index.
        if not all(indices) and (part == "delta" or any(indices)):
            raise IllegalArgument(reason="Required [index]")
        message["tool_calls"] = [_tool_call(call, n) for n, call in enumerate(calls)]
    picked[part] = message
    return picked


def _tool_call(call: object, position: int) -> dict[str, Any]:
    picked = {"index": position} | pick(call, _TOOL_CALL)
    if "function" in picked:
        picked["function"] = pick(picked["function"], _FUNCTION)
    return picked


def _usage(usage: object) -> dict[str, Any]:
    picked = pick(usage, _USAGE)
    for name, members in _DETAILS.items():
        if name in picked:
            picked[name] = pick(picked[name], members)
    return picked


_CHOICES = (Member("choices", _ARRAY, required=True),)
_COMPLETED = (Member("message", OBJECT, required=True),)
_CONTENT = (Member("content", STRING, required=True),)
_CHANGE = (Member("delta", OBJECT, required=True),)

# -- whole answers ----------------------------------------------------------


def parse_completion(body: bytes) -> CompletionResult:
    """Every choice becomes a result."""
    choices = pick(read_first_value(body), _CHOICES)["choices"]
    return CompletionResult(results=tuple(map(_content, choices)))


def _content(choice: object) -> str:
    message = pick(choice, _COMPLETED)["message"]
    if "content" in message and message["content"] is None:
        raise _misfit(f"content doesn't support values of type: {Token.VALUE_NULL}")
    content: str = pick(message, _CONTENT)["content"]
    return content


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatResult:
    """A whole chat answer."""

    answer: Json

    def to_json(self) -> bytes:
        return dump(self.answer)


def dump(answer: object) -> bytes:
    """Compact JSON of whatever was read as JSON."""
    try:
        return orjson.dumps(answer, default=float)  # numbers that remember their text
    except TypeError:  # an integer beyond 64 bits or deep nesting, in what is passed on unread
        return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def parse_chat(body: bytes) -> ChatResult:
    """A whole chat answer, its members in Elasticsearch's order."""
    return ChatResult(answer=normalize(read_first_value(body), "message"))


# -- streams ----------------------------------------------------------------


class CompletionReader:
    """Turns the events of a completion stream into ``{"completion": [{"delta": …}]}``."""

    def read(self, event: Event) -> Iterator[bytes]:
        """What to pass on for an event; nothing for one without text."""
        document = _read_chunk(event.data)
        if not isinstance(document, dict) or "choices" not in document:
            raise IllegalState(
                reason="Failed to find required field [choices] in OpenAI chat completions response"
            )
        choices = pick(document, _CHOICES)["choices"]
        texts = [text for text in map(_delta, choices) if text]
        if texts:
            yield orjson.dumps({"completion": [{"delta": text} for text in texts]})


def _delta(choice: object) -> str | None:
    delta = pick(choice, _CHANGE)["delta"]
    content = delta.get("content", "")
    if not isinstance(content, str):
        raise ParsingException(
            reason="Failed to parse object: expecting token of type [VALUE_STRING]"
            f" but found [{token_of(content)}]",
            line=1,
            column=1,
        )
    return content


class ChatReader:
    """Turns the events of a chat stream into chunks in Elasticsearch's member order."""

    def __init__(self, inference_id: str) -> None:
        self._received = (
            f"Received an error response for request from inference entity id [{inference_id}]"
        )

    def read(self, event: Event) -> Iterator[bytes]:
        """The chunk to pass on; an error event, or an error in a chunk's place, is raised."""
        if event.name == "error":
            raise self._error(event.data)
        try:
            chunk = normalize(_read_chunk(event.data), "delta")
        except ElasticsearchError as failure:
            if error_of(event.data) is None:
                raise
            raise self._error(event.data) from failure
        yield dump(chunk)

    def _error(self, data: bytes) -> ChatErrorEvent:
        error = error_of(data)
        if error is None:
            detail = ChatDetail(code="stream_error", type=UNKNOWN_ERROR)
            return ChatErrorEvent(reason=self._received, chat=detail)
        return ChatErrorEvent(reason=with_message(self._received, error.message), chat=error.detail)


UNKNOWN_ERROR = "UnifiedChatCompletionErrorResponse"
"""The type of an error whose body says nothing that can be read."""

_SHOWN_OF_SOURCE = 500
_REDACTED = "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)"


def _read_chunk(data: bytes) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _read_carefully(data)


def _read_carefully(data: bytes) -> object:
    """As Elasticsearch reads, whose errors quote the text of a chunk."""
    try:
        return read_first_value(data)
    except XContentParseError as error:
        text = data.decode("utf-8", "replace")
        cut = len(text) - _SHOWN_OF_SOURCE
        quoted = f'(String)"{text[:_SHOWN_OF_SOURCE]}"'
        if cut > 0:
            quoted += f"[truncated {cut} chars]"
        for failure in (error, error.__cause__):
            if isinstance(failure, ElasticsearchError):
                failure.reason = failure.reason.replace(_REDACTED, quoted)
        raise


# -- errors -----------------------------------------------------------------


def read_object(body: bytes) -> Json:
    """The object that a body begins with; an empty one if it begins with none."""
    try:
        document = read_first_value(body)
    except ElasticsearchError:
        return {}
    return document if isinstance(document, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamError:
    """What a chat server says went wrong."""

    message: str
    detail: ChatDetail


def error_of(body: bytes) -> UpstreamError | None:
    """``{"error": text}`` or ``{"error": {"message", "http_status_code"}}``; None for others."""
    document = read_object(body)
    if "error" not in document:
        return None
    error = document["error"]
    if isinstance(error, str):
        error = {"message": error}
    try:
        return _known_error({} if error is None else error)
    except ElasticsearchError:  # members of other types
        return None


_ERROR = (Member("message", STRING), Member("http_status_code", NUMBER))


def _known_error(error: object) -> UpstreamError:
    known = pick(error, _ERROR)
    code = known.get("http_status_code")
    return UpstreamError(
        message=known.get("message", "unknown"),
        detail=ChatDetail(code=None if code is None else str(code), type="hugging_face_error"),
    )


def with_message(reason: str, message: str | None) -> str:
    """A reason, and what the upstream said if it said anything."""
    return f"{reason}. Error message: [{message}]" if message else reason


def openai_message(body: bytes) -> str | None:
    """OpenAI's own form alone: ``{"error": {"message": text}}``."""
    error = read_object(body).get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else None
