"""Changes to the body of a good answer. What is no 200, or no such body, stays as it is.

A stream of events is left alone but by ``huge``; ``events`` has its changes.
"""

from __future__ import annotations

import gzip as gzip_format
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, cast

import orjson

from esinfer.twin.answers import TwinAnswer
from esinfer.twin.delivery import Call, Delivery, Effect

_LISTS: Final = ("embeddings", "data", "choices")
"""Where an answer that is an object keeps its results."""


def _changing(change: Callable[[bytes], bytes]) -> Effect:
    """An effect on the bytes of a good answer's body."""

    def effect(call: Call) -> Delivery:
        answer = call.answer()
        if answer.status != 200 or answer.events is not None or not answer.body:
            return Delivery(answer=answer)
        return Delivery(answer=replace(answer, body=change(answer.body)))

    return effect


def malformed(*, keep: float = 0.5) -> Effect:
    """The body stops, well within HTTP, after its ``keep`` share: no JSON any more."""
    return _changing(lambda body: body[: min(int(len(body) * keep), len(body) - 1)])


def _break_utf8(body: bytes) -> bytes:
    at = body.find(b'"') + 1
    return body[:at] + b"\xff" + body[at:]


invalid_utf8: Effect = _changing(_break_utf8)
"""A byte that no UTF-8 has, in the first text of the body or before everything."""


def _edit_results(body: bytes, edit: Callable[[list[object]], list[object]]) -> bytes:
    """The body with its list of results edited."""
    document = orjson.loads(body)
    if isinstance(document, list):
        return orjson.dumps(edit(document))
    for name in _LISTS:
        if isinstance(document.get(name), list):
            return orjson.dumps({**document, name: edit(document[name])})
    return body


def _resized(items: list[object], size: int) -> list[object]:
    """The list cut to a size, or its last item repeated up to it."""
    return (items + items[-1:] * (size - len(items)))[:size]


def wrong_count(*, count: int | None = None) -> Effect:
    """``count`` results, or one fewer than there should be."""

    def edit(results: list[object]) -> list[object]:
        return _resized(results, max(len(results) - 1, 0) if count is None else count)

    return _changing(lambda body: _edit_results(body, edit))


def wrong_dimensions(*, dimensions: int | None = None) -> Effect:
    """Vectors of ``dimensions`` numbers, or of one fewer than there should be."""

    def resize(vector: list[object]) -> list[object]:
        return _resized(vector, max(len(vector) - 1, 0) if dimensions is None else dimensions)

    def edit(result: object) -> object:
        if isinstance(result, dict) and isinstance(result.get("embedding"), list):
            return {**result, "embedding": resize(result["embedding"])}
        is_vector = isinstance(result, list) and bool(result) and _is_number(result[0])
        return resize(cast("list[object]", result)) if is_vector else result

    return _changing(lambda body: _edit_results(body, lambda results: [*map(edit, results)]))


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


_MARK: Final = "\x00NaN\x00"


def _put_nan(body: bytes) -> bytes:
    """The body with ``NaN``, which JSON has no word for, in place of its first number."""
    document, _ = _mark_first(orjson.loads(body))
    return orjson.dumps(document).replace(orjson.dumps(_MARK), b"NaN", 1)


def _mark_first(value: object) -> tuple[object, bool]:
    """The value with its first fraction marked, and whether it had any."""
    if isinstance(value, float):
        return _MARK, True
    if not isinstance(value, list | dict):
        return value, False
    for key, item in enumerate(value) if isinstance(value, list) else value.items():
        marked, found = _mark_first(item)
        if found:
            changed = value.copy()
            changed[key] = marked
            return changed, True
    return value, False


not_a_number: Effect = _changing(_put_nan)


def gzip(call: Call) -> Delivery:
    """The answer compressed, whether that was asked for or not."""
    answer = call.answer()
    if answer.events is not None or not answer.body:
        return Delivery(answer=answer)
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
