"""What a request asks an upstream for: a key for the whole, and one for each input text.

Embeddings and scores belong to a text, whatever stands beside it in the
batch: with a key of its own it is found in batches of any size and order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import orjson

from esinfer.replay.masking import Mask
from esinfer.tasks import TaskType
from esinfer.upstream import UpstreamRequest

TEXTS: Final[Mapping[TaskType, str]] = {
    TaskType.TEXT_EMBEDDING: "inputs",
    TaskType.SPARSE_EMBEDDING: "inputs",
    TaskType.RERANK: "texts",
}
"""The field that holds the texts of a batch; other tasks are asked for as a whole."""

RETURN_TEXT: Final = "return_text"
_OF_BATCH: Final = frozenset({RETURN_TEXT, "top_n"})
"""Fields that change what is shown of a batch's answer, and no score."""


class Key(NamedTuple):
    """By what an answer is found: no secrets; ``request`` is JSON with sorted names."""

    url: str
    task_type: str
    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, read. ``parts`` has the key of each of ``texts``; none where it is no batch."""

    task_type: TaskType
    whole: Key
    parts: tuple[Key, ...] = ()
    texts: tuple[str, ...] = ()
    returns_text: bool = False
    mask: Mask


def read_request(request: UpstreamRequest) -> Asked:
    """The keys of a request; a body that is no JSON object is asked for as it is."""
    mask = Mask(request)
    url = mask.url(request.url)
    task_type = request.task_type
    original, masked = _load(request.body), _load(mask.body(request.body))
    asked = Asked(task_type=task_type, whole=Key(url, task_type, canonical(masked)), mask=mask)
    name = TEXTS.get(task_type)
    if name is None or not isinstance(masked, dict) or not _are_texts(masked.get(name)):
        return asked
    rest = {field: value for field, value in masked.items() if field not in {name, *_OF_BATCH}}
    return Asked(
        task_type=task_type,
        whole=asked.whole,
        parts=tuple(Key(url, task_type, canonical(rest | {name: text})) for text in masked[name]),
        texts=tuple(original[name]),
        returns_text=masked.get(RETURN_TEXT) is True,
        mask=mask,
    )


def narrow(request: UpstreamRequest, texts: Sequence[str]) -> UpstreamRequest:
    """The same request for a batch of other texts."""
    body = orjson.loads(request.body) | {TEXTS[request.task_type]: list(texts)}
    return replace(request, body=orjson.dumps(body))


def canonical(document: object) -> str:
    """JSON in which equal documents are equal texts."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()


def _load(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)
