"""all-MiniLM-L6-v2 itself, in numpy: tokens, encoder, mean of the tokens' vectors.

https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2. Its numbers are
those of PyTorch to about 1e-6, and so near to each other in another batch or
on another machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from esinfer.twin.bert import Encoder, Floats
from esinfer.twin.embedders import MAX_DIMENSIONS, Token
from esinfer.twin.safetensors import read_tensors
from esinfer.twin.stretching import stretch
from esinfer.twin.wordpiece import UNKNOWN, WordPiece

HEADS: Final = 12
WEIGHTS: Final = "model.safetensors"

_MOST_TOKENS: Final = 2048
"""In one pass, filled up ones too; what a pass needs of memory grows with them."""


class MiniLmEmbedder(WordPiece):
    """Vectors of ``dimensions`` components out of the model's 384: cut or stretched.

    Reads no more than the model's 512 tokens of a text. Safe to share between threads.
    """

    __slots__ = ("_encoder", "dimensions")

    def __init__(self, folder: Path, dimensions: int) -> None:
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"dimensions must be between 1 and {MAX_DIMENSIONS}")
        super().__init__()
        self.dimensions = dimensions
        self._encoder = _encoder(folder)

    def dense(
        self,
        texts: Sequence[Sequence[Token]],
        *,
        dimensions: int | None = None,
        normalize: bool = True,
    ) -> NDArray[np.float32]:
        """One row for each text, given as tokens: cut to ``dimensions``, then normalised."""
        length = self.dimensions if dimensions is None else dimensions
        ids = [self._ids(tokens) for tokens in texts]
        pooled = np.empty((len(texts), self._encoder.width))
        for batch in _batches(ids):
            pooled[batch] = self._pool([ids[index] for index in batch])
        rows = self._lengthen(pooled)[:, :length]
        if normalize:
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows.astype(np.float32)

    def token_vectors(self, tokens: Sequence[Token]) -> NDArray[np.float32]:
        """One row for each token; their mean is the text's vector before it is normalised."""
        ids = np.array([self._ids(tokens)])
        [hidden] = self._encoder.encode(ids, np.ones_like(ids, np.bool_))
        return self._lengthen(hidden).astype(np.float32)

    def _pool(self, texts: Sequence[Sequence[int]]) -> Floats:
        lengths = np.array([len(ids) for ids in texts])
        mask = np.arange(lengths.max()) < lengths[:, None]
        filled = np.zeros(mask.shape, np.int64)
        filled[mask] = np.concatenate(texts)
        hidden = self._encoder.encode(filled, mask)
        mean: Floats = (hidden * mask[:, :, None]).sum(axis=1) / lengths[:, None]
        return mean

    def _ids(self, tokens: Sequence[Token]) -> list[int]:
        read = tokens[: self._encoder.longest]
        return [self._known(token) for token in read]

    def _known(self, token: Token) -> int:
        return token if isinstance(token, int) and token < len(self) else UNKNOWN

    def _lengthen(self, vectors: NDArray[Any]) -> NDArray[Any]:
        if self.dimensions <= vectors.shape[-1]:
            return vectors[..., : self.dimensions]
        return stretch(vectors, self.dimensions)


@cache
def _encoder(folder: Path) -> Encoder:
    """The model; once for vectors of every length."""
    return Encoder(read_tensors(folder / WEIGHTS), heads=HEADS)


def _batches(texts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The places of the texts, those of like length together."""
    batch: list[int] = []
    for index in sorted(range(len(texts)), key=lambda index: len(texts[index])):
        if batch and (len(batch) + 1) * len(texts[index]) > _MOST_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
