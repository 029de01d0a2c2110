"""A chat completion as text-generation-inference 3.3 writes it: one object, or events.

Source: TGI ``router/src/lib.rs``, ``chat.rs``; upstream.md section 1d.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What is said, or with a ``tool``, the arguments it is called with; at least one token."""

    tokens: Sequence[str]
    finish_reason: str
    prompt_tokens: int
    tool: str | None = None

    @property
    def usage(self) -> dict[str, int]:
        """The count of tokens."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": len(self.tokens),
            "total_tokens": self.prompt_tokens + len(self.tokens),
        }


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
    function = {"description": None, "name": completion.tool, "arguments": text}
    return {"role": _ROLE, "tool_calls": [{**_CALL, "function": function}]}


@dataclass(frozen=True, slots=True)
class ChatEvents:
    """The events of a streamed answer: one a token, one of ``usage`` if wanted, and the end."""

    completion: Completion
    label: Label
    usage: Mapping[str, int] | None = None

    def __iter__(self) -> Iterator[bytes]:
        last = len(self.completion.tokens) - 1
        for index, token in enumerate(self.completion.tokens):
            choice = {
                "index": 0,
                "delta": self._delta(token, first=index == 0),
                "logprobs": None,
                "finish_reason": self.completion.finish_reason if index == last else None,
            }
            yield self._chunk([choice], None)
        if self.usage is not None:
            yield self._chunk([], self.usage)
        yield DONE

    def _delta(self, token: str, *, first: bool) -> dict[str, object]:
        """TGI repeats the role in every delta, but the name of a function only stands first."""
        if self.completion.tool is None:
            return {"role": _ROLE, "content": token}
        function = {"name": self.completion.tool if first else None, "arguments": token}
        return {"role": _ROLE, "tool_calls": [{"index": 0, **_CALL, "function": function}]}

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
