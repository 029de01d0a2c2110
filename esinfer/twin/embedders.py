"""The embedders the twin can use, each loaded with the first text it embeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

MAX_DIMENSIONS = 4096
"""The longest vector that Elasticsearch's ``dense_vector`` stores."""


def check_dimensions(dimensions: int) -> None:
    """ValueError unless a vector can be that long."""
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise ValueError(f"dimensions must be between 1 and {MAX_DIMENSIONS}")


class Embedder(Protocol):
    """Turns text into vectors, the same text into the same vector always.

    A *term* is the unit a text is cut into, counted and truncated by; every
    text, the empty one too, has at least one.
    """

    @property
    def dimensions(self) -> int:
        """Length of a full vector."""

    def terms(self, text: str) -> list[str]:
        """The terms of a text in order; never empty."""

    def dense(
        self,
        texts: Sequence[Sequence[str]],
        *,
        dimensions: int | None = None,
        normalize: bool = True,
    ) -> NDArray[float32]:
        """One row for each text, given as terms: cut to ``dimensions``, then normalised."""

    def token_vectors(self, terms: Sequence[str]) -> NDArray[float32]:
        """A row for each term of a text, and for the marks of its start and its end."""

    def weigh(self, terms: Sequence[str]) -> Mapping[str, float]:
        """Token → weight of a text given as terms: the sparse form, heaviest first."""


@cache
def hashing_embedder(dimensions: int) -> Embedder:
    """The lexical embedder of that length; one for the process, as its caches are worth sharing."""
    from esinfer.twin.hashing import HashingEmbedder  # noqa: PLC0415 (loads numpy)

    return HashingEmbedder(dimensions)
