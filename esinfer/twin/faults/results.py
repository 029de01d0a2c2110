"""Where a server's answers keep their results, and the vectors in them, to change them there.

A body that is no JSON, or has none of these, comes back as it was.
Source: upstream.md sections 1a to 1d.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from math import nan
from struct import iter_unpack, pack
from typing import Final, TypeVar, cast

import orjson

_LISTS: Final = ("embeddings", "data", "choices", "similarities", "scores", "predictions")
"""Where an answer that is an object keeps its results."""
_VECTOR: Final = "embedding"
"""Where OpenAI's form keeps a vector, as numbers or packed."""

_Item = TypeVar("_Item")
Resize = Callable[[list[float]], list[float]]


def resized(items: list[_Item], size: int) -> list[_Item]:
    """The list cut to a size, or its last item repeated up to it."""
    return (items + items[-1:] * (size - len(items)))[:size]


def edit_results(body: bytes, edit: Callable[[list[object]], list[object]]) -> bytes:
    """The body with its list of results edited."""
    document = _read(body)
    if isinstance(document, list):
        edited: object = edit(document)
    elif isinstance(document, dict):
        edited = _with_results(document, edit)
    else:
        return body
    return body if edited == document else orjson.dumps(edited)


def _read(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _with_results(
    document: dict[str, object], edit: Callable[[list[object]], list[object]]
) -> dict[str, object]:
    for name in _LISTS:
        found = document.get(name)
        if not isinstance(found, list):
            continue
        if name != "embeddings" or not _is_vector(found):
            return {**document, name: edit(found)}
        results = edit([found])  # the toolkit's answer to a single text: its vector alone
        return {**document, name: results[0] if len(results) == 1 else results}
    return document


def edit_vectors(result: object, edit: Resize) -> object:
    """A result with every vector in it edited, however deep they lie."""
    if _is_vector(result):
        return edit(cast("list[float]", result))
    if isinstance(result, list):
        return [edit_vectors(item, edit) for item in result]
    if isinstance(result, dict) and isinstance(result.get(_VECTOR), list):
        return {**result, _VECTOR: edit_vectors(result[_VECTOR], edit)}
    if isinstance(result, dict) and isinstance(result.get(_VECTOR), str):
        return {**result, _VECTOR: _packed(edit(_unpacked(result[_VECTOR])))}
    return result


def _is_vector(value: object) -> bool:
    return isinstance(value, list) and bool(value) and _is_number(value[0])


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _unpacked(text: str) -> list[float]:
    return [number for (number,) in iter_unpack("<f", b64decode(text))]


def _packed(vector: list[float]) -> str:
    return b64encode(pack(f"<{len(vector)}f", *vector)).decode()


_MARK: Final = "\x00NaN\x00"


def put_nan(body: bytes) -> bytes:
    """The body with ``NaN``, which JSON has no word for, in place of its first fraction.

    In a packed vector it is the number that packs so.
    """
    marked, found = _mark_first(_read(body))
    return orjson.dumps(marked).replace(orjson.dumps(_MARK), b"NaN", 1) if found else body


def _mark_first(value: object) -> tuple[object, bool]:
    """The value with its first fraction marked, and whether it had any."""
    if isinstance(value, float):
        return _MARK, True
    if not isinstance(value, list | dict):
        return value, False
    for key, item in enumerate(value) if isinstance(value, list) else value.items():
        is_packed = key == _VECTOR and isinstance(item, str)
        marked, found = (_with_nan(item), True) if is_packed else _mark_first(item)
        if found:
            changed = value.copy()
            changed[key] = marked
            return changed, True
    return value, False


def _with_nan(text: str) -> str:
    return _packed([nan, *_unpacked(text)[1:]])
