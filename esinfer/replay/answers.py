"""What is kept of an answer, and its form in a recording.

``Part`` is the good answer to one text of a batch. Everything else is an
``Answer`` to a whole request: completions, streams, errors, odd bodies, and no
answer at all. ``ByText`` stands in a request's sequence where its parts answer.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from esinfer.errors import (
    ConnectError,
    ConnectionClosed,
    ConnectTimeout,
    ElasticsearchError,
    HttpClientFailed,
    InvalidHost,
    IoError,
    ResponseTooLarge,
    TlsError,
)
from esinfer.replay import vectors
from esinfer.replay.problems import Misfit
from esinfer.upstream import UpstreamRequest

_FAILURES: Final[Mapping[str, type[ElasticsearchError]]] = {
    kind.__name__: kind
    for kind in (
        ConnectError,
        ConnectTimeout,
        ConnectionClosed,
        HttpClientFailed,
        InvalidHost,
        IoError,
        ResponseTooLarge,
        TlsError,
    )
}
"""What a transport raises, by the name that it has in a recording."""


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer, or none to its end: the transport's error.

    ``reason`` is one of ``upstream``'s fixed texts, empty where it would quote the request.
    """

    kind: str
    reason: str

    @classmethod
    def of(cls, error: ElasticsearchError) -> Failure | None:
        """The failure behind an error; None if it is none of a transport's."""
        kind = type(error).__name__
        reason = error.reason if isinstance(error, IoError) else ""
        return cls(kind, reason) if kind in _FAILURES else None

    def error(self, request: UpstreamRequest) -> ElasticsearchError:
        """The error anew; one that names the request names this one."""
        kind = _FAILURES[self.kind]
        error = kind(
            reason=self.reason, url=request.url, inference_id=request.inference_id, limit=0
        )
        if issubclass(kind, IoError):
            error.reason = self.reason
        return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a whole request; ``status`` is None if none came.

    The chunks of one that ``streamed`` are its events, line ends and all;
    another has one chunk. ``left`` tells that whoever asked went away before
    the end of a stream.
    """

    status: int | None = None
    chunks: tuple[bytes, ...] = ()
    streamed: bool = False
    left: bool = False
    failure: Failure | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one text, as a recording has it: its embedding, weights or score."""

    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ByText:
    """Here the answer was good: each text has its own."""


Recorded = Answer | Part | ByText

_EVENT: Final = re.compile(rb".*?(?:\r\n|\n|\r(?!\n)){2,}|.+", re.DOTALL)


def cut_events(body: bytes) -> tuple[bytes, ...]:
    """A stream after each blank line; joined they are the stream again."""
    return tuple(_EVENT.findall(body))


# -- in a recording ---------------------------------------------------------


def to_wire(recorded: Recorded) -> dict[str, Any]:
    """The JSON object of an answer."""
    if isinstance(recorded, Part):
        return dict(recorded.value)
    if isinstance(recorded, ByText):
        return {"by_text": True}
    wire: dict[str, Any] = {}
    if recorded.status is not None:
        wire["status"] = recorded.status
        wire |= _content_to_wire(recorded)
    if recorded.left:
        wire["left"] = True
    if recorded.failure is not None:
        wire |= {"failure": recorded.failure.kind, "reason": recorded.failure.reason}
    return wire


def _content_to_wire(answer: Answer) -> dict[str, Any]:
    if answer.streamed:
        return {"events": [_event_to_wire(event) for event in answer.chunks]}
    body = answer.body
    try:
        document = orjson.loads(body)
        if orjson.dumps(document) == body:
            return {"json": document}
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        pass  # kept as text
    event = _event_to_wire(body)
    return event if isinstance(event, dict) else {"text": event}


def _event_to_wire(event: bytes) -> str | dict[str, str]:
    try:
        return event.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(event).decode("ascii")}


def from_wire(wire: Mapping[str, Any]) -> Recorded:
    """The answer that ``to_wire`` wrote; Misfit says what is wrong with another."""
    if wire == {"by_text": True}:
        return ByText()
    for name, (check, others) in _PARTS.items():
        if name in wire:
            _know(wire, {name, *others})
            check(wire[name])
            return Part(wire)
    _know(wire, _ANSWER)
    return _answer_from_wire(wire)


_CONTENTS: Final = ("json", "text", "base64", "events")
_ANSWER: Final = frozenset({"status", "left", "failure", "reason", *_CONTENTS})


def _know(wire: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in wire.keys() - set(names):
        raise Misfit(f"an answer has no member [{name}]")


def _answer_from_wire(wire: Mapping[str, Any]) -> Answer:
    status, failure = wire.get("status"), wire.get("failure")
    if failure is not None and failure not in _FAILURES:
        raise Misfit(f"[failure] must be one of {', '.join(_FAILURES)}")
    if status is None and failure is None:
        raise Misfit("an answer must have [status] or [failure]")
    if status is not None and type(status) is not int:
        raise Misfit("[status] must be a whole number")
    contents = [name for name in _CONTENTS if name in wire]
    if len(contents) != (status is not None):
        raise Misfit(f"an answer with [status] must have one of {', '.join(_CONTENTS)}")
    return Answer(
        status=status,
        chunks=tuple(_chunks(contents[0], wire[contents[0]])) if contents else (),
        streamed="events" in wire,
        left=wire.get("left") is True,
        failure=None if failure is None else Failure(failure, str(wire.get("reason", ""))),
    )


def _chunks(name: str, content: Any) -> Iterator[bytes]:
    if name == "json":
        yield orjson.dumps(content)
    elif name == "events":
        if not isinstance(content, list):
            raise Misfit("[events] must be a list")
        yield from map(_event_from_wire, content)
    else:
        yield _event_from_wire({"base64": content} if name == "base64" else content)


def _event_from_wire(event: Any) -> bytes:
    if isinstance(event, str):
        return event.encode()
    try:
        return base64.b64decode(event["base64"], validate=True)
    except (binascii.Error, KeyError, TypeError, ValueError) as error:
        raise Misfit("a body must be a text, or base64 where it is none") from error


def _check_weights(weights: Any) -> None:
    if not isinstance(weights, dict) or not all(map(_is_number, weights.values())):
        raise Misfit("[weights] must be an object of numbers")


def _check_score(score: Any) -> None:
    if not _is_number(score):
        raise Misfit("[score] must be a number")


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


_PARTS: Final[Mapping[str, tuple[Any, tuple[str, ...]]]] = {
    "embedding": (vectors.check, ("wrapped",)),
    "weights": (_check_weights, ()),
    "score": (_check_score, ("order",)),
}
"""What a part is known by, the check of it, and what else it may have."""
