"""The encoder of BERT in numpy: from token ids to a vector for each token.

As in the paper (https://arxiv.org/abs/1810.04805) and in the weights of
all-MiniLM-L6-v2: embeddings, then layers of attention and of a feed-forward
network, each added to its input and normalised; GELU by the error function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
_Matrix: TypeAlias = tuple[Floats, Floats]

_EPSILON: Final = 1e-12
_FEW_ROWS: Final = 64
"""So many are multiplied faster with the weights, which lie that way in memory, on the left."""
_NOWHERE: Final = -1e9
"""What is added to the attention that a token must not pay."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """The weights of one layer; matrices take a row of numbers from the left."""

    attention: _Matrix
    attended: _Matrix
    attended_norm: _Matrix
    inner: _Matrix
    outer: _Matrix
    outer_norm: _Matrix


class Encoder:
    """A BERT encoder of any size; ``heads`` is the one thing that its weights do not tell.

    Computes in ``dtype``. Safe to share between threads.
    """

    __slots__ = ("_heads", "_layers", "_norm", "_positions", "_words")

    def __init__(
        self, tensors: Mapping[str, NDArray[np.float32]], *, heads: int, dtype: type = np.float32
    ) -> None:
        def read(name: str) -> Floats:
            return tensors[name].astype(dtype, copy=False)

        self._heads = heads
        self._words = tensors["embeddings.word_embeddings.weight"]
        first_type = read("embeddings.token_type_embeddings.weight")[0]
        self._positions = read("embeddings.position_embeddings.weight") + first_type
        self._norm = _norm_of(read, "embeddings.LayerNorm")
        count = 1 + max(int(name.split(".")[2]) for name in tensors if "encoder.layer." in name)
        self._layers = [_layer_of(read, f"encoder.layer.{index}") for index in range(count)]

    @property
    def width(self) -> int:
        """Length of a token's vector."""
        return len(self._words[0])

    @property
    def longest(self) -> int:
        """The most tokens that a text may have."""
        return len(self._positions)

    def encode(self, ids: NDArray[np.int64], mask: NDArray[np.bool_]) -> Floats:
        """The last layer's vectors: (texts, tokens) → (texts, tokens, width).

        ``mask`` is true where a token stands, false where a text is filled up.
        """
        positions = self._positions[: ids.shape[1]]
        hidden = _normalised(self._words[ids] + positions, self._norm)
        barred = np.where(mask, 0, _NOWHERE).astype(hidden.dtype)[:, None, None, :]
        for layer in self._layers:
            attended = _times(self._attend(_times(hidden, layer.attention), barred), layer.attended)
            hidden = _normalised(hidden + attended, layer.attended_norm)
            inner = _gelu(_times(hidden, layer.inner))
            hidden = _normalised(hidden + _times(inner, layer.outer), layer.outer_norm)
        return hidden

    def _attend(self, mixed: Floats, barred: Floats) -> Floats:
        """Queries, keys and values side by side → what each token takes from all."""
        texts, tokens, _ = mixed.shape
        parts = mixed.reshape(texts, tokens, 3, self._heads, -1).transpose(2, 0, 3, 1, 4)
        query, key, value = parts
        scores = query @ key.swapaxes(-1, -2) / sqrt(query.shape[-1]) + barred
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares = scores / scores.sum(axis=-1, keepdims=True)
        taken: Floats = (shares @ value).swapaxes(1, 2).reshape(texts, tokens, -1)
        return taken


def _layer_of(read: Callable[[str], Floats], name: str) -> _Layer:
    three = [
        _matrix_of(read, f"{name}.attention.self.{part}") for part in ("query", "key", "value")
    ]
    matrices, biases = zip(*three, strict=True)
    return _Layer(
        attention=(np.concatenate(matrices, axis=1), np.concatenate(biases)),
        attended=_matrix_of(read, f"{name}.attention.output.dense"),
        attended_norm=_norm_of(read, f"{name}.attention.output.LayerNorm"),
        inner=_matrix_of(read, f"{name}.intermediate.dense"),
        outer=_matrix_of(read, f"{name}.output.dense"),
        outer_norm=_norm_of(read, f"{name}.output.LayerNorm"),
    )


def _matrix_of(read: Callable[[str], Floats], name: str) -> _Matrix:
    return read(f"{name}.weight").T, read(f"{name}.bias")


def _norm_of(read: Callable[[str], Floats], name: str) -> _Matrix:
    return read(f"{name}.weight"), read(f"{name}.bias")


def _times(rows: Floats, matrix: _Matrix) -> Floats:
    weights, bias = matrix
    flat = rows.reshape(-1, rows.shape[-1])  # one large product, not one a text
    few = len(flat) <= _FEW_ROWS
    product: Floats = (weights.T @ flat.T).T if few else flat @ weights
    product += bias
    return product.reshape(*rows.shape[:-1], -1)


def _normalised(rows: Floats, norm: _Matrix) -> Floats:
    """Mean 0 and variance 1 in each row, then scaled and shifted."""
    scale, shift = norm
    centred = rows - rows.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    normal: Floats = centred / np.sqrt(variance + _EPSILON) * scale + shift
    return normal


def _gelu(values: Floats) -> Floats:
    product: Floats = values * 0.5 * (1.0 + _erf(values * sqrt(0.5)))
    return product


def _erf(values: Floats) -> Floats:
    """The error function to 1.5e-7: Abramowitz and Stegun, formula 7.1.26."""
    size = np.abs(values)
    t = 1.0 / (1.0 + 0.3275911 * size)
    series = t * 1.061405429 - 1.453152027
    for factor in (1.421413741, -0.284496736, 0.254829592):
        series = series * t + factor
    tail: Floats = np.copysign(1.0 - series * t * np.exp(-np.square(size)), values)
    return tail
