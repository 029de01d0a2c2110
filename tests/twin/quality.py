"""How well vectors know what texts mean: our own rated pairs and queries, ``samples/quality``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from esinfer.twin.embedders import Embedder

Embed: TypeAlias = Callable[[Sequence[str]], NDArray[np.float64]]

_FOLDER = Path(__file__).parents[1] / "samples" / "quality"


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_FOLDER / name).read_text(encoding="utf-8"))
    return content


PAIRS: list[tuple[int, str, str]] = load("pairs.json")["pairs"]
SEARCH = load("search.json")
DOCUMENTS: list[str] = SEARCH["documents"]
QUERIES: list[tuple[int, str]] = SEARCH["queries"]


def embedding(embedder: Embedder) -> Embed:
    """Unit vectors in float64 of whole texts."""

    def embed(texts: Sequence[str]) -> NDArray[np.float64]:
        opening, closing = embedder.opening, embedder.closing
        tokens = [[*opening, *embedder.split(text), *closing] for text in texts]
        return embedder.dense(tokens).astype(np.float64)

    return embed


def spearman(embed: Embed) -> float:
    """The correlation of the ranks of ratings and cosines, equals sharing the mean of theirs."""
    ratings, left, right = zip(*PAIRS, strict=True)
    cosines = (embed(left) * embed(right)).sum(axis=1)
    return float(np.corrcoef(_ranks(ratings), _ranks(cosines.tolist()))[0, 1])


def accuracy(embed: Embed) -> float:
    """The share of queries whose nearest document is the one that answers them."""
    answers, queries = zip(*QUERIES, strict=True)
    nearest = (embed(queries) @ embed(DOCUMENTS).T).argmax(axis=1)
    return float((nearest == np.array(answers)).mean())


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    ordered = np.sort(values)
    first = np.searchsorted(ordered, values, side="left")
    last = np.searchsorted(ordered, values, side="right")
    return (first + last) / 2
