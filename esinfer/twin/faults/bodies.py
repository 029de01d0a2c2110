"""Changes to the body of a good answer. What is no 200, or no such body, stays as it is,
and a delivery says so.

A stream of events is left alone but by ``huge``; ``events`` has its changes.
"""

from __future__ import annotations

import gzip as gzip_format
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from esinfer.twin.answers import TwinAnswer
from esinfer.twin.delivery import Call, Delivery, Effect
from esinfer.twin.faults.results import edit_results, edit_vectors, put_nan, resized


def _changing(change: Callable[[bytes], bytes]) -> Effect:
    """An effect on the bytes of a good answer's body."""

    def effect(call: Call) -> Delivery:
        answer = call.answer()
        if answer.status != 200 or answer.events is not None or not answer.body:
            return Delivery(answer=answer, changed=False)
        body = change(answer.body)
        return Delivery(answer=replace(answer, body=body), changed=body != answer.body)

    return effect


def malformed(*, keep: float = 0.5) -> Effect:
    """The body stops, well within HTTP, after its ``keep`` share: no JSON any more."""
    return _changing(lambda body: body[: min(int(len(body) * keep), len(body) - 1)])


def _break_utf8(body: bytes) -> bytes:
    at = body.find(b'"') + 1
    return body[:at] + b"\xff" + body[at:]


invalid_utf8: Effect = _changing(_break_utf8)
"""A byte that no UTF-8 has, in the first text of the body or before everything."""


def wrong_count(*, count: int | None = None) -> Effect:
    """``count`` results, or one fewer than there should be."""

    def edit(results: list[object]) -> list[object]:
        return resized(results, max(len(results) - 1, 0) if count is None else count)

    return _changing(lambda body: edit_results(body, edit))


def wrong_dimensions(*, dimensions: int | None = None) -> Effect:
    """Vectors of ``dimensions`` numbers, or of one fewer than there should be."""

    def resize(vector: list[float]) -> list[float]:
        return resized(vector, max(len(vector) - 1, 0) if dimensions is None else dimensions)

    def edit(results: list[object]) -> list[object]:
        return [edit_vectors(result, resize) for result in results]

    return _changing(lambda body: edit_results(body, edit))


not_a_number: Effect = _changing(put_nan)
"""``NaN``, which JSON has no word for, in place of the first fraction of the body."""


def gzip(call: Call) -> Delivery:
    """The answer compressed, whether that was asked for or not."""
    answer = call.answer()
    if answer.events is not None or not answer.body:
        return Delivery(answer=answer, changed=False)
    headers = {**answer.headers, "content-encoding": "gzip"}
    packed = gzip_format.compress(answer.body, mtime=0)
    return Delivery(answer=replace(answer, body=packed, headers=headers))


_BLOCK: Final = b" " * 64 * 1024


@dataclass(frozen=True, slots=True)
class _Padded:
    """An answer's parts behind so much space that it is ``size`` bytes long, or a stream more.

    In a stream the space is a comment.
    """

    answer: TwinAnswer
    size: int

    def __iter__(self) -> Iterator[bytes]:
        is_stream = self.answer.events is not None
        missing = self.size - len(self.answer.body)
        if is_stream:
            yield b": "
        while missing > 0:
            yield _BLOCK[:missing]
            missing -= len(_BLOCK)
        if is_stream:
            yield b"\n\n"
        yield from self.answer.chunks


def huge(*, size: int = 64 * 1024 * 1024) -> Effect:
    """The answer behind so much space that it is ``size`` bytes long, in chunks."""

    def effect(call: Call) -> Delivery:
        answer = call.answer()
        return Delivery(answer=replace(answer, body=b"", events=_Padded(answer, size)))

    return effect
