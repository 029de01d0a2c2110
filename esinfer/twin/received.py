"""A request as an upstream receives it, with what faults ask of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import orjson

from esinfer.twin.answers import TwinRequest

CHAT_TASKS: Final = frozenset({"completion", "chat_completion"})

_TASKS: Final[Mapping[str, frozenset[str]]] = {
    "/": frozenset({"text_embedding"}),
    "/embed": frozenset({"text_embedding"}),
    "/elser": frozenset({"sparse_embedding"}),
    "/embed_sparse": frozenset({"sparse_embedding"}),
    "/rerank": frozenset({"rerank"}),
}
"""The task types that a path serves; one that ends like chat serves both of chat's."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request; ``inference_id`` and ``task_type`` are known where it came in process."""

    request: TwinRequest
    url: str
    inference_id: str | None = None
    task_type: str | None = None

    @cached_property
    def tasks(self) -> frozenset[str]:
        """The task types that the request may belong to."""
        if self.task_type is not None:
            return frozenset({self.task_type})
        path = self.request.path
        return CHAT_TASKS if path.endswith("/chat/completions") else _TASKS.get(path, frozenset())

    @property
    def is_chat(self) -> bool:
        return bool(self.tasks & CHAT_TASKS)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in lower case."""
        return {name.lower(): value for name, value in self.request.headers.items()}

    @property
    def bearer(self) -> str:
        """The key that the request shows, empty if none."""
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""

    @cached_property
    def document(self) -> object:
        """The JSON value of the body, None if it is none."""
        try:
            return orjson.loads(self.request.body)
        except orjson.JSONDecodeError:
            return None

    @property
    def streams(self) -> bool:
        """Whether a stream of events is asked for."""
        return isinstance(self.document, dict) and self.document.get("stream") is True

    def has_text(self, text: str) -> bool:
        """Whether a string of the body holds ``text``; of a body that is no JSON, its bytes."""
        if self.document is None:
            return text.encode() in self.request.body
        return any(text in found for found in _strings(self.document))


def _strings(document: object) -> Iterator[str]:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
