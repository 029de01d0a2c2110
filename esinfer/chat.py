"""The request of chat_completion, and the form in which it goes upstream.

Messages, tools and the choice of a tool are JSON values: what Elasticsearch
accepts of OpenAI's chat API it also sends, with the members in its own order.
Source: hugging_face.md section 2.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from esinfer import java

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A conversation to go on with, and how; what the caller left out is None or empty."""

    messages: tuple[Json, ...]
    model: str | None = None
    max_completion_tokens: int | None = None
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    tool_choice: str | Json | None = None
    tools: tuple[Json, ...] = ()
    top_p: float | None = None
    reasoning: Json | None = None

    @property
    def has_reasoning(self) -> bool:
        """Whether the request or a message speaks of reasoning, which few services take."""
        return self.reasoning is not None or any(
            "reasoning" in message or "reasoning_details" in message for message in self.messages
        )

    def cut_to(self, limit: int) -> Self:  # noqa: ARG002 - the protocol's signature
        """Itself: a conversation is never cut."""
        return self

    def shortened(self, factor: float) -> Self:  # noqa: ARG002 - the protocol's signature
        """Itself: a conversation is never cut."""
        return self

    def to_wire(self, *, model: str | None, max_tokens_name: str) -> dict[str, object]:
        """The members that are set, in the order of the contract.

        ``model`` is the one to ask for, which the service may have chosen;
        ``max_tokens_name`` what the provider calls ``max_completion_tokens``.
        """
        members = {
            "messages": self.messages,
            "model": model,
            max_tokens_name: self.max_completion_tokens,
            "stop": self.stop or None,
            "temperature": _as_float32(self.temperature),
            "tool_choice": self.tool_choice,
            "tools": self.tools or None,
            "top_p": _as_float32(self.top_p),
            "reasoning": self.reasoning,
        }
        return {name: value for name, value in members.items() if value is not None}


def _as_float32(value: float | None) -> float | str | None:
    """The shortest number that is the same float32; Java's word for one that is not finite."""
    if value is None:
        return None
    packed = struct.pack("f", value)
    (single,) = struct.unpack("f", packed)
    if not math.isfinite(single):
        return java.double(single)
    texts = (f"{single:.{digits}g}" for digits in range(1, 10))
    return next(float(text) for text in texts if struct.pack("f", float(text)) == packed)
