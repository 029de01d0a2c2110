"""A chat completion as text-generation-inference 3.3 writes it: one object, or events.

Source: TGI ``router/src/lib.rs``, ``chat.rs``; upstream.md section 1d.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

VERSION: Final = "3.3.6"
"""The release of TGI that the twin follows."""

_ROLE: Final = "assistant"
_CALL: Final = {"id": "0", "type": "function"}
DONE: Final = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What every part of an answer carries; ``created`` is in seconds since 1970."""

    model: str
    created: int


class ToolCall(NamedTuple):
    """A call of a tool; ``arguments`` are JSON, in the fragments in which they are streamed."""

    name: str
    arguments: Sequence[str]


class Said(NamedTuple):
    """What someone else than the twin says: tokens, or calls of tools, at least one of either."""

    tokens: Sequence[str]
    calls: Sequence[ToolCall] = ()
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What is said, or with a ``tool``, the arguments it is called with; at least one token.

    Calls ``further`` to the first have their own arguments.
    """

    tokens: Sequence[str]
    finish_reason: str
    prompt_tokens: int
    tool: str | None = None
    further: Sequence[ToolCall] = ()

    @property
    def usage(self) -> dict[str, int]:
        """The count of tokens."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": len(self.tokens),
            "total_tokens": self.prompt_tokens + len(self.tokens),
        }


def spoken(said: Said, prompt_tokens: int) -> Completion:
    """What is said, as a completion."""
    if not said.calls:
        return Completion(
            tokens=said.tokens, finish_reason=said.finish_reason, prompt_tokens=prompt_tokens
        )
    first, *further = said.calls
    return Completion(
        tokens=first.arguments,
        finish_reason=said.finish_reason,
        prompt_tokens=prompt_tokens,
        tool=first.name,
        further=further,
    )


def whole(completion: Completion, label: Label) -> bytes:
    """The body of an answer that is not streamed."""
    choice = {
        "index": 0,
        "message": _message(completion),
        "logprobs": None,
        "finish_reason": completion.finish_reason,
    }
    head = _head("chat.completion", label)
    return orjson.dumps({**head, "choices": [choice], "usage": completion.usage})


def _message(completion: Completion) -> dict[str, object]:
    text = "".join(completion.tokens)
    if completion.tool is None:
        return {"role": _ROLE, "content": text}
    calls = [ToolCall(completion.tool, completion.tokens), *completion.further]
    return {"role": _ROLE, "tool_calls": [*map(_call, range(len(calls)), calls)]}


def _call(index: int, call: ToolCall) -> dict[str, object]:
    arguments = "".join(call.arguments)
    function = {"description": None, "name": call.name, "arguments": arguments}
    return {**_CALL, "id": str(index), "function": function}


@dataclass(frozen=True, slots=True)
class ChatEvents:
    """The events of a streamed answer: one a token, one of ``usage`` if wanted, and the end."""

    completion: Completion
    label: Label
    usage: Mapping[str, int] | None = None

    def __iter__(self) -> Iterator[bytes]:
        waiting: dict[str, object] | None = None
        for delta in self._deltas():
            if waiting is not None:
                yield self._choice(waiting, None)
            waiting = delta
        yield self._choice(waiting or {}, self.completion.finish_reason)
        if self.usage is not None:
            yield self._chunk([], self.usage)
        yield DONE

    def _deltas(self) -> Iterator[dict[str, object]]:
        """TGI repeats the role in every delta, but the name of a function only stands first."""
        completion = self.completion
        if completion.tool is None:
            for token in completion.tokens:
                yield {"role": _ROLE, "content": token}
            return
        calls = [ToolCall(completion.tool, completion.tokens), *completion.further]
        for index, call in enumerate(calls):
            name: str | None = call.name
            for fragment in call.arguments:
                function = {"name": name, "arguments": fragment}
                called = {"index": index, **_CALL, "id": str(index), "function": function}
                yield {"role": _ROLE, "tool_calls": [called]}
                name = None

    def _choice(self, delta: Mapping[str, object], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._chunk([choice], None)

    def _chunk(self, choices: Sequence[object], usage: Mapping[str, int] | None) -> bytes:
        head = _head("chat.completion.chunk", self.label)
        return event({**head, "choices": choices, "usage": usage})


def error_events(message: str, status: int) -> tuple[bytes, ...]:
    """The events of a stream that could not begin."""
    return event({"error": {"message": message, "http_status_code": status}}), DONE


def event(value: object) -> bytes:
    """A server-sent event with JSON in it."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _head(kind: str, label: Label) -> dict[str, object]:
    return {
        "object": kind,
        "id": "",
        "created": label.created,
        "model": label.model,
        "system_fingerprint": f"{VERSION}-native",
    }
