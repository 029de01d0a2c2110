"""Vectors as JSON, written part by part, so that other threads have their turn between two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from numpy.typing import NDArray

SINGLE: Final = "<f4"
DOUBLE: Final = "<f8"
"""Python has no other numbers: written by it, one of 32 bits has the digits of one of 64."""
_PART: Final = 64 * 1024
"""Components that are written at once, in about two milliseconds."""


def write_rows(
    rows: NDArray[Any], kind: str = SINGLE, *, before: bytes = b"[", after: bytes = b"]"
) -> bytes:
    """A list of lists of numbers, each with the digits that a number of this ``kind`` needs."""
    return join(_parts(rows, kind), before=before, after=after)


def join(items: Iterable[bytes], *, before: bytes = b"[", after: bytes = b"]") -> bytes:
    """A list of what is JSON already, put together at one go: it may be hundreds of megabytes."""
    pieces = [before]
    for item in items:
        pieces += (item, b",")
    if len(pieces) > 1:
        pieces.pop()
    return b"".join([*pieces, after])


def _parts(rows: NDArray[Any], kind: str) -> Iterator[bytes]:
    step = max(1, _PART // max(1, rows.shape[-1]))
    for start in range(0, len(rows), step):
        part = rows[start : start + step].astype(kind, order="C", copy=False)
        yield orjson.dumps(part, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
