"""Embeddings of neighbouring chunks made into one (chunking.md section 4)."""

from __future__ import annotations

import numpy as np

from esinfer.merging import average, heaviest
from esinfer.tasks import SparseEmbedding


def sparse(*, truncated: bool = False, **weights: float) -> SparseEmbedding:
    return SparseEmbedding(
        tokens=list(weights),
        weights=np.array(list(weights.values()), np.float32),
        is_truncated=truncated,
    )


def test_one_vector_stays_as_it_is() -> None:
    vector = np.array([0.1, -2], np.float32)
    assert average([vector]).tolist() == vector.tolist()


def test_vectors_are_averaged_with_equal_weight() -> None:
    rows = np.array([[1, 2], [3, 6], [5, 1]], np.float32)
    merged = average(list(rows))
    assert merged.dtype == np.float32
    assert merged.tolist() == [3, 3]


def test_the_average_rounds_to_float32_at_every_step() -> None:
    first, second, third = np.array([[0.1], [0.2], [0.4]], np.float32)
    half = (first * np.float32(1) + second) / np.float32(2)
    assert average([first, second, third]) == (half * np.float32(2) + third) / np.float32(3)


def test_a_token_keeps_its_highest_weight_and_the_heaviest_come_first() -> None:
    merged = heaviest([sparse(a=3, b=1), sparse(b=2, c=1.5), sparse(a=1)])
    assert merged.tokens == ["a", "b", "c"]
    assert merged.weights.tolist() == [3, 2, 1.5]


def test_of_equal_weights_the_newer_comes_first() -> None:
    assert heaviest([sparse(a=1, b=1), sparse(c=1)]).tokens == ["c", "a", "b"]


def test_one_truncated_part_makes_the_whole_truncated() -> None:
    assert heaviest([sparse(a=1, truncated=True), sparse(b=1)]).is_truncated
    assert not heaviest([sparse(a=1), sparse(b=1)]).is_truncated


def test_an_embedding_without_tokens_adds_nothing() -> None:
    assert heaviest([sparse(), sparse(a=1)]).tokens == ["a"]
