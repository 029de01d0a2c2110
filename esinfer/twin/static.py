"""Vectors that know what words mean, added up from a table: no model runs.

The table (``models/``, made by ``distil``) holds for each token of
all-MiniLM-L6-v2 what that model makes of the token alone, turned to its 256
principal axes, in eight bits, with a scale that makes common tokens light. A
text is the sum of its tokens; each two neighbours add a little that depends on
their order. What the vocabulary lacks is hashed, so it has a direction of its
own but no meaning.

Everything is added up in integers, so neither the batch nor the machine
changes a bit. The one square root, the one division and the one factor are
IEEE operations, and the cast to float32 comes last.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache, lru_cache
from hashlib import shake_256
from math import fsum, isqrt, sqrt
from operator import mul
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from esinfer.twin.embedders import MAX_DIMENSIONS, Token
from esinfer.twin.hashing import HashingEmbedder
from esinfer.twin.stretching import stretch
from esinfer.twin.wordpiece import FIRST, MODELS, WordPiece

_Sums: TypeAlias = NDArray[np.int64]

NATIVE: Final = 256
"""The components of a row."""
PEAK: Final = 127
"""The largest component of every row, in eight bits with a sign."""
TABLE: Final = "static.npy"
SCALES: Final = "scales.npy"
UNIT: Final = 2**20
"""Near the length of the row of a rare word, in the table's units."""
_ORDER_SHIFT: Final = 21
"""Makes what two neighbours add a thirtieth of what they are."""
_BEFORE: Final = FIRST - 1
_FAINT: Final = 64
"""So many times shorter than a word is a token that is not part of the text."""
_FEW_TOKENS: Final = 64
"""So many rows, whose components are all below 2**21, have a sum whose square fits int64."""


class StaticEmbedder(WordPiece):
    """Vectors of ``dimensions`` components (1 to 4096), deterministic to the bit.

    Up to 256 they are the leading principal components, beyond that all of
    them, stretched. Safe to share between threads.
    """

    __slots__ = ("_inside", "_scales", "_table", "_vector", "dimensions")

    def __init__(self, dimensions: int) -> None:
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"dimensions must be between 1 and {MAX_DIMENSIONS}")
        super().__init__()
        self.dimensions = dimensions
        self._table, self._scales = _load_table()
        self._inside = range(FIRST, len(self))
        self._vector = lru_cache(512)(self._finish)  # tests embed the same texts again

    def dense(
        self,
        texts: Sequence[Sequence[Token]],
        *,
        dimensions: int | None = None,
        normalize: bool = True,
    ) -> NDArray[np.float32]:
        """One row for each text, given as tokens: cut to ``dimensions``, then normalised."""
        length = self.dimensions if dimensions is None else dimensions
        rows = np.empty((len(texts), length), np.float32)
        for index, tokens in enumerate(texts):
            rows[index] = self._vector(tuple(tokens), length, normalize)
        return rows

    def token_vectors(self, tokens: Sequence[Token]) -> NDArray[np.float32]:
        """One row for each token; their mean is the text's vector before it is normalised."""
        return (self._lengthen(self._contributions(tokens)) / UNIT).astype(np.float32)

    def _finish(
        self, tokens: tuple[Token, ...], length: int, normalize: bool
    ) -> NDArray[np.float32]:
        total = self._contributions(tokens).sum(axis=0)
        head = self._lengthen(total)[:length]
        if not normalize:
            return (head / (UNIT * max(1, len(tokens)))).astype(np.float32)
        norm = self._norm(total, head, few=len(tokens) <= _FEW_TOKENS)
        if not norm:  # a sum that cancels: likely with one or two dimensions only
            head = _noise(tokens, length)
            norm = sqrt(fsum(head * head))
        return (head / norm).astype(np.float32)

    def _norm(self, total: _Sums, head: NDArray[Any], *, few: bool) -> float:
        """The length of ``head``, which is the total, cut or stretched or both."""
        whole = len(head) == self.dimensions
        if whole or self.dimensions <= NATIVE:
            sums = total[: len(head)]
            return sqrt(int(sums @ sums) if few else _sum_of_squares(sums))
        return sqrt(fsum((head * head).tolist()))

    def _lengthen(self, sums: _Sums) -> NDArray[Any]:
        if self.dimensions <= sums.shape[-1]:
            return sums[..., : self.dimensions]
        return stretch(sums, self.dimensions)

    def _contributions(self, tokens: Sequence[Token]) -> _Sums:
        """What each token adds to the sum: its own row, and that of it and its left neighbour."""
        places = [self._place(token) for token in tokens]
        rows: _Sums = self._table.read(places) * self._scales[places][:, None]
        for index, place in enumerate(places):
            if not place:
                token = tokens[index]
                known = isinstance(token, int) and token < len(self)
                rows[index] = _hash(token, UNIT // _FAINT if known else UNIT)
        rows[1:, 1:] += rows[:-1, :-1] * rows[1:, 1:] >> _ORDER_SHIFT
        return rows

    def _place(self, token: Token) -> int:
        """The row of a token in the table; 0, which is empty, if it has none there."""
        return token - _BEFORE if isinstance(token, int) and token in self._inside else 0


class _Table:
    """The rows, each read when it is needed.

    Mapped into memory they would soon all count as this process's: the kernel
    brings in the neighbours of what is touched.
    """

    __slots__ = ("_file", "_start")

    def __init__(self, path: Path, rows: int) -> None:
        self._file = os.open(path, os.O_RDONLY)  # for as long as the process lives
        self._start = path.stat().st_size - rows * NATIVE

    def read(self, places: Sequence[int]) -> NDArray[np.int8]:
        """The rows of these numbers, shape (places, 256)."""
        rows = [os.pread(self._file, NATIVE, self._start + place * NATIVE) for place in places]
        return np.frombuffer(b"".join(rows), np.int8).reshape(-1, NATIVE)


@cache
def _load_table() -> tuple[_Table, _Sums]:
    """The rows and their scales; once for embedders of every length."""
    scales = np.load(MODELS / SCALES).astype(np.int64)
    return _Table(MODELS / TABLE, len(scales)), scales


@cache
def _features() -> HashingEmbedder:
    return HashingEmbedder(NATIVE)


@lru_cache(1024)
def _hash(token: Token, length: int) -> _Sums:
    """The row of a token that the table lacks: its letters, hashed."""
    sums = _features().sums(f"[{token}]" if isinstance(token, int) else token)
    row: _Sums = sums.astype(np.int64) * length // isqrt(_sum_of_squares(sums))
    row.setflags(write=False)
    return row


def _sum_of_squares(sums: NDArray[np.signedinteger[Any]]) -> int:
    values = sums.tolist()
    return sum(map(mul, values, values))


def _noise(tokens: Sequence[Token], length: int) -> NDArray[np.float64]:
    """Never zero; the same for the same tokens."""
    stream = shake_256("\0".join(map(str, tokens)).encode()).digest(2 * length)
    return (np.frombuffer(stream, "<i2").astype(np.int64) | 1).astype(np.float64)
