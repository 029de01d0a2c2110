"""Changes to a stream of events. An answer that is none stays as it is.

Every change is made while the events are; the same however often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import orjson

from esinfer.twin.answers import TwinAnswer
from esinfer.twin.chat_forms import error_events
from esinfer.twin.delivery import Call, Delivery, Effect, Ending
from esinfer.twin.dialects import Dialect
from esinfer.twin.faults.answers import vllm_error

_DONE: Final = b"data: [DONE]\n\n"
_LATE: Final = b'data: {"late":true}\n\n'
_KEEP_ALIVE: Final = b": keep-alive\n\n"

Change = Callable[[Iterable[bytes]], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Changed:
    """Events as a change leaves them."""

    events: Iterable[bytes]
    change: Change

    def __iter__(self) -> Iterator[bytes]:
        return self.change(self.events)


def _changed(answer: TwinAnswer, change: Change, ending: Ending = Ending.WHOLE) -> Delivery:
    """The delivery of an answer with its events changed; of one without any as it is."""
    if answer.events is None:
        return Delivery(answer=answer, changed=False)
    changed = replace(answer, events=Changed(answer.events, change))
    return Delivery(answer=changed, ending=ending)


def _changing(change: Change) -> Effect:
    return lambda call: _changed(call.answer(), change)


def _without_done(events: Iterable[bytes]) -> Iterator[bytes]:
    return (event for event in events if event != _DONE)


def _with_late(events: Iterable[bytes]) -> Iterator[bytes]:
    yield from events
    yield _LATE


def _with_comments(events: Iterable[bytes]) -> Iterator[bytes]:
    for event in events:
        yield _KEEP_ALIVE
        yield event


def _with_crlf(events: Iterable[bytes]) -> Iterator[bytes]:
    return (event.replace(b"\n", b"\r\n") for event in events)


missing_done: Effect = _changing(_without_done)
"""The stream ends without its last event."""
after_done: Effect = _changing(_with_late)
"""An event follows the last."""
comments: Effect = _changing(_with_comments)
"""A comment stands before every event, as servers send to keep a connection alive."""
crlf: Effect = _changing(_with_crlf)
"""Lines end with carriage return and newline."""


def stream_error(
    *,
    after: int = 1,
    form: str | None = None,
    message: str = "Request failed during generation",
    code: int = 422,
) -> Effect:
    """After so many events comes an error, in the form of TGI or vLLM, and the end."""

    def effect(call: Call) -> Delivery:
        chosen = form or ("vllm" if call.dialect is Dialect.VLLM else "tgi")
        error, _ = error_events(message, code)
        if chosen == "vllm":
            error = b"data: " + orjson.dumps({"error": vllm_error(message, code)}) + b"\n\n"

        def change(events: Iterable[bytes]) -> Iterator[bytes]:
            yield from islice(events, after)
            yield error
            yield _DONE

        return _changed(call.answer(), change)

    return effect


def cut_stream(*, after: int = 1, ending: str = "closed") -> Effect:
    """After so many events comes half of one, and the end: clean, closed or reset."""

    def change(events: Iterable[bytes]) -> Iterator[bytes]:
        remaining = iter(events)
        yield from islice(remaining, after)
        half = next(remaining, b"")
        yield half[: len(half) // 2]

    return lambda call: _changed(call.answer(), change, Ending(ending))
