"""What the journal says of a request, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request to the upstream that a client's request caused, and what came of it.

    ``inference`` counts the inferences of the request from 0 (chunked ones
    have several). ``status`` and ``answer`` are None without an answer, then
    ``error`` has its ``type`` and ``reason``; also if the answer was not good.
    ``retry_delay`` is None if no further attempt followed, else the seconds
    until it did, with inputs ``shortened`` or the same. Times are seconds of
    the namespace's clock, bodies JSON values where they are JSON.
    """

    inference: int
    time: float
    duration: float | None
    url: str
    headers: Mapping[str, str]
    body: Any
    status: int | None
    answer: Any
    error: Mapping[str, str] | None
    retry_delay: float | None
    shortened: bool

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """An attempt as ``/_esinfer/journal`` shows it."""
        request, answer, retry = wire["request"], wire["answer"] or {}, wire.get("retry", {})
        return cls(
            inference=wire["inference"],
            time=wire["time"],
            duration=wire["duration"],
            url=request["url"],
            headers=request["headers"],
            body=request["body"],
            status=answer.get("status"),
            answer=answer.get("body"),
            error=wire.get("error"),
            retry_delay=retry.get("delay"),
            shortened=retry.get("shortened", False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request of a client, its answer and what it caused.

    ``path`` is without the namespace's prefix, ``query`` without its question
    mark. ``status`` and ``answer`` are None as long as there is no answer, and
    ``duration`` as long as it lasts. ``waited`` are the seconds in queues of
    rate limits. Keys are masked.
    """

    sequence: int
    time: float
    duration: float | None
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    inference_id: str | None
    task_type: str | None
    body: Any
    status: int | None
    answer: Any
    answer_headers: Mapping[str, str]
    waited: float
    attempts: tuple[Attempt, ...]

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """An entry as ``/_esinfer/journal`` shows it."""
        request, answer = wire["request"], wire["answer"] or {}
        return cls(
            sequence=wire["sequence"],
            time=wire["time"],
            duration=wire["duration"],
            method=request["method"],
            path=request["path"],
            query=request["query"],
            headers=request["headers"],
            inference_id=wire.get("inference_id"),
            task_type=wire.get("task_type"),
            body=request["body"],
            status=answer.get("status"),
            answer=answer.get("body"),
            answer_headers=answer.get("headers", {}),
            waited=wire["waited"],
            attempts=tuple(map(Attempt.from_wire, wire["attempts"])),
        )

    def __str__(self) -> str:
        """The request in a line."""
        target = f"{self.path}?{self.query}" if self.query else self.path
        status = "no answer yet" if self.status is None else self.status
        return f"#{self.sequence} {self.method} {target} -> {status}"
