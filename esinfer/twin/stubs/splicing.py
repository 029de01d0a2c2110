"""What is canned, put into the answer that the server itself gives.

Numbers come out as they went in; the order of ranks follows the scores, as TEI
orders them. An answer that has no place for an input stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from esinfer.twin.answers import TwinAnswer
from esinfer.twin.chat_forms import Said
from esinfer.twin.stubs.stub import Value

_LISTS: Final = ("embeddings", "data")
"""Where an answer that is an object keeps its vectors."""


def say(answer: TwinAnswer, said: Said) -> TwinAnswer:
    """The answer of a chat, with something else said."""
    return answer if answer.say is None else answer.say(said)


def splice(body: bytes, values: Mapping[int, Value], task_type: str | None) -> bytes:
    """The body of a good answer with other values for the inputs at these places."""
    document = orjson.loads(body)
    if task_type == "rerank":
        return orjson.dumps(_ranked(document, values))
    rows = document
    if isinstance(document, dict):
        rows = next(document[name] for name in _LISTS if name in document)
    for place, value in values.items():
        if isinstance(rows[place], dict) and "embedding" in rows[place]:
            rows[place]["embedding"] = value
        else:
            rows[place] = value
    return orjson.dumps(document)


def _ranked(ranks: list[dict[str, Any]], scores: Mapping[int, Value]) -> list[dict[str, Any]]:
    """Of equal scores the last text leads, as in TEI."""
    for rank in ranks:
        rank["score"] = scores.get(rank["index"], rank["score"])
    by_index = sorted(ranks, key=lambda rank: int(rank["index"]))
    return sorted(by_index, key=lambda rank: float(rank["score"]))[::-1]
