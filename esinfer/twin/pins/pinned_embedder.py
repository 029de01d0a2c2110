"""An embedder before which some texts have vectors of their own.

An embedder is given tokens, not texts; so the tokens of a pinned text know
which text they are of. They are equal to the bare ones in everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from esinfer.twin.answers import backend_failure
from esinfer.twin.embedders import Embedder, Piece, Token
from esinfer.twin.pins.pins import Group
from esinfer.twin.pins.solver import Floats, turn

_MOST_TOKENS: Final = 254
"""Tokens of a pinned text that its own direction comes from: what all models take."""
_FAINT: Final = 2.0**-12
"""Length of what makes texts of the same tokens independent of each other."""


class MarkedId(int):
    """A token of a pinned text."""

    text: str


class MarkedWord(str):
    """The same, where tokens are words."""

    __slots__ = ("text",)
    text: str


def _mark(token: Token, text: str) -> Token:
    marked = MarkedId(token) if isinstance(token, int) else MarkedWord(token)
    marked.text = text
    return marked


@dataclass(frozen=True, slots=True)
class PinnedEmbedder:
    """``embedder``, but for the vectors of the texts that stand in ``groups``."""

    embedder: Embedder
    groups: Mapping[str, Group]

    @property
    def dimensions(self) -> int:
        """Length of a full vector."""
        return self.embedder.dimensions

    @property
    def opening(self) -> Sequence[int]:
        """The special tokens before a text."""
        return self.embedder.opening

    @property
    def closing(self) -> Sequence[int]:
        """The special tokens behind a text."""
        return self.embedder.closing

    def split(self, text: str) -> Sequence[Token]:
        """The tokens of a text; those of a pinned one are marked."""
        tokens = self.embedder.split(text)
        return [_mark(token, text) for token in tokens] if text in self.groups else tokens

    def locate(self, text: str) -> Sequence[Piece]:
        """What ``split`` finds, with numbers and places."""
        return self.embedder.locate(text)

    def index(self, token: str) -> int:
        """The number of a token."""
        return self.embedder.index(token)

    def name(self, index: int) -> str:
        """The token of that number."""
        return self.embedder.name(index)

    def decode(self, ids: Sequence[int], *, skip_special: bool) -> str:
        """The text that numbers stand for."""
        return self.embedder.decode(ids, skip_special=skip_special)

    def dense(
        self,
        texts: Sequence[Sequence[Token]],
        *,
        dimensions: int | None = None,
        normalize: bool = True,
    ) -> NDArray[np.float32]:
        """One row for each text; Failure if pinned texts need more ``dimensions``."""
        rows = self.embedder.dense(texts, dimensions=dimensions, normalize=normalize)
        for place, tokens in enumerate(texts):
            text = self._text(tokens)
            if text is not None:
                length = 1.0 if normalize else np.linalg.norm(rows[place])
                found = self.groups[text]
                row = found.texts.index(text)
                vectors = _vectors(self.embedder, found, rows.shape[1])  # type: ignore[arg-type] # hashed by identity
                rows[place] = vectors[row] * length
        return rows

    def _text(self, tokens: Sequence[Token]) -> str | None:
        """The pinned text that these are the tokens of, and no others."""
        last = len(tokens) - len(self.closing)
        own = {getattr(token, "text", None) for token in tokens[len(self.opening) : last]}
        text = own.pop() if len(own) == 1 else None
        return text if text in self.groups else None

    def token_vectors(self, tokens: Sequence[Token]) -> NDArray[np.float32]:
        """One row for each token, as if nothing was pinned."""
        return self.embedder.token_vectors(tokens)

    def weigh(self, tokens: Sequence[Token]) -> Mapping[str, float]:
        """The sparse form, as if nothing was pinned."""
        return self.embedder.weigh(tokens)


@lru_cache(maxsize=256)
def _vectors(embedder: Embedder, found: Group, length: int) -> NDArray[np.float32]:
    """The vectors of a group's texts as rows of ``length``."""
    if length < len(found.texts):
        raise backend_failure(
            f"{len(found.texts)} texts hang together by pinned similarities, which takes as many"
            f" dimensions, not {length}"
        )
    tokens = [
        [*embedder.opening, *embedder.split(text)[:_MOST_TOKENS], *embedder.closing]
        for text in found.texts
    ]
    own = embedder.dense(tokens, dimensions=length).astype(np.float64)
    apart = np.stack([_noise(text, length) for text in found.texts])
    vectors = turn(own + _FAINT * apart, found.cosines)
    vectors.setflags(write=False)
    return vectors


def _noise(text: str, length: int) -> Floats:
    """A direction that is the text's own."""
    stream = shake_256(text.encode("utf-8", "surrogatepass")).digest(2 * length)
    numbers = np.frombuffer(stream, "<i2").astype(np.float64)
    noise: Floats = numbers / np.sqrt(numbers @ numbers)
    return noise
