"""Makes the table of ``static`` out of all-MiniLM-L6-v2: ``python -m esinfer.twin.distil``.

Every token of the vocabulary goes through the model alone, between [CLS] and
[SEP]; what it yields, the mean of the three, is centred, turned to its
principal axes, made as light as the token is common and rounded to eight bits.

Source of the idea: model2vec, https://github.com/MinishLab/model2vec. The same
wheel gives the same files to the byte: the order is fixed, all is float64 and
the signs of the axes are defined. Rounding alone could tell two machines
apart, where a number stands so near to the middle between two integers that
the last bits of a float64 decide. ``main`` prints how near the nearest stands:
5e-8, where float64 has some nine digits more to lose. Kernels for AVX-512 and
for SSE4.2 alone give the same files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: one order of the sums

import numpy as np
from numpy.typing import NDArray

from esinfer.twin.bert import Encoder
from esinfer.twin.minilm import HEADS, WEIGHTS
from esinfer.twin.safetensors import read_tensors
from esinfer.twin.static import NATIVE, PEAK, SCALES, TABLE, UNIT
from esinfer.twin.wheel import find_model
from esinfer.twin.wordpiece import CLS, FIRST, MODELS, SEP, WordPiece

_BATCH: Final = 1024
_Rows = NDArray[np.float64]


class Table(NamedTuple):
    """The table: a row and a scale for every token from ``FIRST`` on, after an empty row."""

    rows: NDArray[np.int8]
    scales: NDArray[np.uint16]
    margin: float
    """How far the number that was rounded most narrowly stood from the middle."""


def single_tokens(encoder: Encoder, ids: NDArray[np.int64]) -> _Rows:
    """What the model makes of each token alone, shape (tokens, width)."""
    means = []
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        framed = np.stack([np.full_like(batch, CLS), batch, np.full_like(batch, SEP)], axis=1)
        hidden = encoder.encode(framed, np.ones_like(framed, np.bool_))
        means.append(hidden.mean(axis=1, dtype=np.float64))
    return np.concatenate(means)


def principal(rows: _Rows, axes: int) -> _Rows:
    """The rows about their mean along their ``axes`` principal axes, the widest first."""
    centred = rows - rows.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    widest = vectors[:, ::-1][:, :axes]
    largest = np.abs(widest).argmax(axis=0)
    signs = np.sign(widest[largest, np.arange(axes)])  # eigh leaves them to chance
    turned: _Rows = centred @ (widest * signs)
    return turned


def quantise(rows: _Rows, worths: _Rows) -> Table:
    """Eight bits a number: each row's largest is ``PEAK``, its scale has the rest."""
    peaks = np.abs(rows).max(axis=1)
    unit = UNIT / np.median(np.linalg.norm(rows, axis=1))
    exact = rows * (PEAK / peaks)[:, None]
    scales = worths * peaks * (unit / PEAK)
    margin = min(_margin(exact), _margin(scales))
    return Table(
        np.vstack([np.zeros_like(exact[:1]), np.rint(exact)]).astype(np.int8),
        np.concatenate([[0], np.maximum(1, np.rint(scales))]).astype(np.uint16),
        margin,
    )


def _margin(numbers: _Rows) -> float:
    return float(np.abs(numbers - np.floor(numbers) - 0.5).min())


def distil(folder: Path) -> Table:
    """The table of the model in a folder."""
    pieces = WordPiece()
    encoder = Encoder(read_tensors(folder / WEIGHTS), heads=HEADS, dtype=np.float64)
    ids = np.arange(FIRST, len(pieces))
    worths = np.array([pieces.worth(index) for index in ids.tolist()])
    return quantise(principal(single_tokens(encoder, ids), NATIVE), worths)


def main(arguments: Sequence[str]) -> int:
    """Write the table, or with ``--check`` compare it with the one that is there."""
    table = distil(find_model())
    _say(f"nearest number to a rounding tie: {table.margin:.1e}")
    if "--check" in arguments:
        return _compare(table)
    np.save(MODELS / TABLE, table.rows)
    np.save(MODELS / SCALES, table.scales)
    return 0


def _compare(table: Table) -> int:
    shipped = (np.load(MODELS / TABLE), np.load(MODELS / SCALES))
    differing = [int((old != new).sum()) for old, new in zip(shipped, table[:2], strict=True)]
    _say(f"numbers that differ from the shipped table: {differing[0]}, scales: {differing[1]}")
    return 1 if any(differing) else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
