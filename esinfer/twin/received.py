"""A request as an upstream receives it, with what faults ask of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import orjson

from esinfer.twin.answers import TwinRequest
from esinfer.twin.chat_request import text_of
from esinfer.twin.servers import Server

CHAT_TASKS: Final = frozenset({"completion", "chat_completion"})


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request; ``inference_id`` and ``task_type`` are known where it came in process."""

    request: TwinRequest
    url: str = field(repr=False)  # it may have a user and a password
    inference_id: str | None = None
    task_type: str | None = None

    def tasks(self, server: Server) -> frozenset[str]:
        """The task types that the request may belong to; over HTTP chat's route serves both."""
        if self.task_type is not None:
            return frozenset({self.task_type})
        task = server.task_of(self.request.method, self.request.path)
        if task == "chat_completion":
            return CHAT_TASKS
        return frozenset() if task is None else frozenset({task})

    def is_chat(self, server: Server) -> bool:
        return bool(self.tasks(server) & CHAT_TASKS)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The headers, their names in lower case."""
        return {name.lower(): value for name, value in self.request.headers.items()}

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

    @property
    def model(self) -> str | None:
        """The model that the body names, without the provider that may stand behind it."""
        named = self.document.get("model") if isinstance(self.document, dict) else None
        return named.partition(":")[0] if isinstance(named, str) else None

    @cached_property
    def texts(self) -> Sequence[str]:
        """The inputs that are answered one by one: texts, documents, or a chat's last message.

        Empty if there are any but texts among them.
        """
        document: Any = self.document
        match document:
            case {"messages": [*_, {"content": content}]}:
                said = text_of(content)
                return () if said is None else (said,)
            case {"inputs": list(texts)} | {"texts": list(texts)}:
                return texts if all(isinstance(text, str) for text in texts) else ()
            case {"inputs": str(text)}:
                return (text,)
            case _:
                return ()

    @property
    def query(self) -> str | None:
        """What the documents of a rerank are compared with."""
        query = self.document.get("query") if isinstance(self.document, dict) else None
        return query if isinstance(query, str) else None

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
