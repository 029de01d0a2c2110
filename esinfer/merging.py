"""Several embeddings made into one, where an input has more chunks than results are given.

Source: chunking.md section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

from esinfer.tasks import SparseEmbedding

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[float32]


def average(vectors: Sequence[Vector]) -> Vector:
    """The mean, built up vector by vector in float32 as Java does, which rounds each time."""
    import numpy as np  # noqa: PLC0415 - the vectors have loaded it

    merged, *others = vectors
    for count, vector in enumerate(others, 1):
        merged = (merged * np.float32(count) + vector) / np.float32(count + 1)
    return merged


def heaviest(embeddings: Sequence[SparseEmbedding]) -> SparseEmbedding:
    """Each token with the highest of its weights, heaviest first."""
    return reduce(_merge, embeddings)


def _merge(older: SparseEmbedding, newer: SparseEmbedding) -> SparseEmbedding:
    """Both merged by descending weight; of equal weights the newer comes first."""
    import numpy as np  # noqa: PLC0415 - the embeddings have loaded it

    weights = np.concatenate([newer.weights, older.weights])
    tokens = [*newer.tokens, *older.tokens]
    first: dict[str, int] = {}
    for index in np.argsort(-weights, kind="stable").tolist():
        first.setdefault(tokens[index], index)
    return SparseEmbedding(
        tokens=list(first),
        weights=weights[list(first.values())],
        is_truncated=older.is_truncated or newer.is_truncated,
    )
