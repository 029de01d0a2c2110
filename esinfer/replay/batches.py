"""The answer to a batch, taken apart text by text, and put together for another batch.

It is taken apart only if putting it together gives the same document again:
the same numbers, in the same order, and nothing left out. What is odd in any
way stays whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from esinfer.replay import vectors
from esinfer.replay.answers import Part
from esinfer.replay.asked import Asked
from esinfer.tasks import TaskType

Parts = Sequence[Part]


def split(asked: Asked, body: bytes) -> list[Part] | None:
    """A part for each text that was asked for; None if the answer is to be kept as it is."""
    if not asked.parts or asked.mask.body(body) != body:
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    for parts in _SPLITTERS[asked.task_type](document):
        if len(parts) == len(asked.parts) and _is_same(join(asked, parts), document, body):
            return parts
    return None


def _is_same(joined: bytes, document: object, body: bytes) -> bool:
    """Whether all was kept; a name that stands twice is seen by its quotes."""
    return orjson.loads(joined) == document and joined.count(b'"') == body.count(b'"')


def join(asked: Asked, parts: Parts) -> bytes:
    """The body of an answer to the texts that are asked for, a part for each."""
    return vectors.dump(_JOINERS[asked.task_type](asked, parts))


# -- text_embedding: [[…], …], also under "embeddings" ------------------------


def _split_dense(document: Any) -> Iterator[list[Part]]:
    wrapped = isinstance(document, dict)
    rows = document.get("embeddings") if wrapped else document
    if isinstance(rows, list) and all(map(_is_row, rows)):
        form = {"wrapped": True} if wrapped else {}
        yield [Part({"embedding": vectors.pack(row)} | form) for row in rows]


def _is_row(row: object) -> bool:
    return isinstance(row, list) and all(map(_is_number, row))


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _join_dense(_asked: Asked, parts: Parts) -> object:
    rows = [vectors.unpack(part.value["embedding"]) for part in parts]
    return {"embeddings": rows} if "wrapped" in parts[0].value else rows


# -- sparse_embedding: [{token: weight, …}, …] --------------------------------


def _split_sparse(document: Any) -> Iterator[list[Part]]:
    if isinstance(document, list) and all(
        isinstance(item, dict) and all(map(_is_number, item.values())) for item in document
    ):
        yield [Part({"weights": item}) for item in document]


def _join_sparse(_asked: Asked, parts: Parts) -> object:
    return [part.value["weights"] for part in parts]


# -- rerank: [{"index", "score", "text"?}, …] ---------------------------------


def _split_rerank(document: Any) -> Iterator[list[Part]]:
    """By score, as text-embeddings-inference sorts; else by index, as some handlers do."""
    try:
        scores = {item["index"]: item["score"] for item in document}
        ordered = [scores[index] for index in range(len(document))]
    except (TypeError, KeyError):
        return
    if all(map(_is_number, ordered)):
        yield [Part({"score": score}) for score in ordered]
        yield [Part({"score": score, "order": "index"}) for score in ordered]


def _join_rerank(asked: Asked, parts: Parts) -> object:
    scores = [part.value["score"] for part in parts]
    order = list(range(len(scores)))
    if not any("order" in part.value for part in parts):
        order = sorted(order, key=scores.__getitem__)[::-1]  # the last of equals leads
    ranks: list[dict[str, object]] = []
    for index in order:
        text = {"text": asked.texts[index]} if asked.returns_text else {}
        ranks.append({"index": index, **text, "score": scores[index]})
    return ranks


_SPLITTERS: Final[Mapping[TaskType, Callable[[Any], Iterator[list[Part]]]]] = {
    TaskType.TEXT_EMBEDDING: _split_dense,
    TaskType.SPARSE_EMBEDDING: _split_sparse,
    TaskType.RERANK: _split_rerank,
}
_JOINERS: Final[Mapping[TaskType, Callable[[Asked, Parts], object]]] = {
    TaskType.TEXT_EMBEDDING: _join_dense,
    TaskType.SPARSE_EMBEDDING: _join_sparse,
    TaskType.RERANK: _join_rerank,
}
