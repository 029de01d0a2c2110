"""What happens to an answer on its way: cut, stalled, reset, in small parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from esinfer.twin.answers import TwinAnswer
from esinfer.twin.delivery import Call, Delivery, Effect, Ending
from esinfer.twin.faults.events import Changed

BEFORE_HEADERS = "before_headers"
AFTER_HEADERS = "after_headers"
MID_BODY = "mid_body"
POINTS = (BEFORE_HEADERS, AFTER_HEADERS, MID_BODY)


def _broken_off(answer: TwinAnswer, at: str, ending: Ending, hold: float = 0.0) -> Delivery:
    """The answer up to some point; a stream's middle is that of its second event."""
    if at != MID_BODY:
        part = replace(answer, body=b"", events=None if answer.events is None else ())
    elif answer.events is None:
        part = replace(answer, body=answer.body[: len(answer.body) // 2])
    else:
        part = replace(answer, events=Changed(answer.events, _one_and_a_half))
    return Delivery(
        answer=part,
        ending=ending,
        begins=at != BEFORE_HEADERS,
        length=_claimed(answer),
        hold=hold,
    )


def _claimed(answer: TwinAnswer) -> int | None:
    """The Content-Length of the whole; more than nothing, or there would be nothing to miss."""
    return None if answer.events is not None else max(len(answer.body), 1)


def _one_and_a_half(events: Iterable[bytes]) -> Iterator[bytes]:
    remaining = iter(events)
    yield from islice(remaining, 1)
    half = next(remaining, b"")
    yield half[: len(half) // 2]


def reset(*, at: str = BEFORE_HEADERS) -> Effect:
    """The connection is reset."""
    return lambda call: _broken_off(call.answer(), at, Ending.RESET)


def close(*, at: str = BEFORE_HEADERS) -> Effect:
    """The connection is closed in good order, but too early."""
    return lambda call: _broken_off(call.answer(), at, Ending.CLOSED)


def stall(*, at: str = BEFORE_HEADERS, duration: float = 300.0) -> Effect:
    """Nothing more comes for ``duration`` seconds; then the connection is closed."""
    return lambda call: _broken_off(call.answer(), at, Ending.STALLED, duration)


def truncate(*, framing: str = "length") -> Effect:
    """Half of the body, though Content-Length says more or the last chunk is missing."""

    def effect(call: Call) -> Delivery:
        cut = _broken_off(call.answer(), MID_BODY, Ending.CLOSED)
        if framing == "length" or cut.answer.events is not None:
            return cut
        chunk = cut.answer.body
        chunked = replace(cut.answer, body=b"", events=(chunk,) if chunk else ())
        return replace(cut, answer=chunked, length=None)

    return effect


def drip(*, size: int = 16, pause: float = 0.01) -> Effect:
    """The answer in parts of ``size`` bytes, with ``pause`` seconds between two."""

    def change(chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield from (chunk[at : at + size] for at in range(0, len(chunk), size))

    def effect(call: Call) -> Delivery:
        answer = call.answer()
        parts = Changed(answer.chunks, change)
        return Delivery(answer=replace(answer, body=b"", events=parts), pause=pause)

    return effect
