"""A chat completion as vLLM writes it: one object, or events.

Source: vLLM ``entrypoints/openai/chat_completion/protocol.py``, ``serving.py``;
upstream.md section 1d.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import orjson

from esinfer.twin.chat_forms import DONE, Completion, ToolCall, event
from esinfer.twin.words import pieces

_ASSISTANT: Final = {"role": "assistant"}


class Head(NamedTuple):
    """What every part of an answer carries; ``created`` is in seconds since 1970."""

    id: str
    model: str
    created: int

    def written(self, kind: str) -> dict[str, object]:
        """The first fields of an object of that kind."""
        return {
            "id": f"chatcmpl-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
        }


class Ended(NamedTuple):
    """A completion as vLLM ends it, and the ``stop`` sequence that has ended it."""

    completion: Completion
    stop_reason: str | None


def ended(completion: Completion, stop: Sequence[str]) -> Ended:
    """In vLLM the stop sequence is left out of the text, and the call of a tool is a reason."""
    if completion.tool is not None:
        return Ended(replace(completion, finish_reason="tool_calls"), None)
    text = "".join(completion.tokens)
    sequence = max((each for each in stop if text.endswith(each)), key=len, default=None)
    if completion.finish_reason != "stop_sequence" or sequence is None:
        return Ended(completion, None)
    tokens = pieces(text.removesuffix(sequence))
    return Ended(replace(completion, tokens=tokens, finish_reason="stop"), sequence)


def whole(end: Ended, head: Head) -> bytes:
    """The body of an answer that is not streamed."""
    choice = {
        "index": 0,
        "message": _message(end.completion, head),
        "logprobs": None,
        "finish_reason": end.completion.finish_reason,
        "stop_reason": end.stop_reason,
    }
    usage = _usage(end.completion)
    return orjson.dumps({**head.written("chat.completion"), "choices": [choice], "usage": usage})


def _message(completion: Completion, head: Head) -> Mapping[str, object]:
    text = "".join(completion.tokens)
    if completion.tool is None:
        return {**_ASSISTANT, "content": text, "tool_calls": []}
    calls = [
        {**_call(head, index), "function": {"name": name, "arguments": "".join(arguments)}}
        for index, (name, arguments) in enumerate(_calls(completion.tool, completion))
    ]
    return {**_ASSISTANT, "content": None, "tool_calls": calls}


def _calls(tool: str, completion: Completion) -> Sequence[ToolCall]:
    return [ToolCall(tool, completion.tokens), *completion.further]


def _call(head: Head, index: int) -> dict[str, object]:
    number = f"-{index}" if index else ""
    return {"id": f"chatcmpl-tool-{head.id}{number}", "type": "function"}


def _usage(completion: Completion) -> dict[str, int]:
    return {
        "prompt_tokens": completion.prompt_tokens,
        "total_tokens": completion.prompt_tokens + len(completion.tokens),
        "completion_tokens": len(completion.tokens),
    }


@dataclass(frozen=True, slots=True)
class VllmEvents:
    """The events of a streamed answer: the role, one a token, the reason, usage, the end."""

    end: Ended
    head: Head
    with_usage: bool

    def __iter__(self) -> Iterator[bytes]:
        yield self._chunk({**_ASSISTANT, "content": ""})
        for delta in self._deltas():
            yield self._chunk(delta)
        last = {
            "finish_reason": self.end.completion.finish_reason,
            "stop_reason": self.end.stop_reason,
        }
        yield self._chunk({} if self.end.completion.tool else {"content": ""}, last)
        if self.with_usage:
            head = self.head.written("chat.completion.chunk")
            yield event({**head, "choices": [], "usage": _usage(self.end.completion)})
        yield DONE

    def _deltas(self) -> Iterator[Mapping[str, object]]:
        """The first delta of a call says what is called, all others have arguments alone."""
        completion = self.end.completion
        if completion.tool is None:
            for token in completion.tokens:
                yield {"content": token}
            return
        for index, (name, arguments) in enumerate(_calls(completion.tool, completion)):
            call: Mapping[str, object] = _call(self.head, index)
            named: Mapping[str, object] = {"name": name}
            for fragment in arguments:
                function = {**named, "arguments": fragment}
                yield {"tool_calls": [{"index": index, **call, "function": function}]}
                call, named = {}, {}

    def _chunk(
        self, delta: Mapping[str, object], last: Mapping[str, object] | None = None
    ) -> bytes:
        reason = last or {"finish_reason": None}
        choice = {"index": 0, "delta": delta, "logprobs": None, **reason}
        return event({**self.head.written("chat.completion.chunk"), "choices": [choice]})
