"""Task types, and for each the request and the result.

A request is what the REST layer read; a result knows its own wire form.
Source: rest.md sections 1, 6.2 and 6.5, hugging_face.md section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

import orjson

from esinfer import java
from esinfer.errors import UnknownTaskType

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray


class TaskType(StrEnum):
    """The task types, in the order in which Elasticsearch lists them."""

    TEXT_EMBEDDING = "text_embedding"
    SPARSE_EMBEDDING = "sparse_embedding"
    RERANK = "rerank"
    COMPLETION = "completion"
    ANY = "any"
    CHAT_COMPLETION = "chat_completion"
    EMBEDDING = "embedding"

    @classmethod
    def parse(cls, text: str) -> TaskType:
        """Read a task type from a path or a body; case and outer blanks do not matter."""
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise UnknownTaskType(task_type=text) from None


class InputType(StrEnum):
    """What the input is for; the internal ones are esinfer's own, never a caller's."""

    INGEST = "ingest"
    SEARCH = "search"
    CLASSIFICATION = "classification"
    CLUSTERING = "clustering"
    UNSPECIFIED = "unspecified"
    INTERNAL_INGEST = "internal_ingest"
    INTERNAL_SEARCH = "internal_search"


INTERNAL_INPUT_TYPES = frozenset({InputType.INTERNAL_INGEST, InputType.INTERNAL_SEARCH})


class Request(Protocol):
    """What every task's request offers to the truncation loop."""

    def cut_to(self, limit: int) -> Self:
        """Cut every text to at most ``limit`` UTF-16 units."""

    def shortened(self, factor: float) -> Self:
        """Cut every text to ``factor`` of its length in UTF-16 units."""


class Result(Protocol):
    """What every task's result offers to the REST layer."""

    def to_json(self) -> bytes:
        """The success body, compact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest:
    """Texts to embed, densely or sparsely; ``truncated`` tells which were cut."""

    inputs: tuple[str, ...]
    input_type: InputType | None = None
    truncated: tuple[bool, ...] = ()

    def cut_to(self, limit: int) -> Self:
        return self._cut([limit] * len(self.inputs))

    def shortened(self, factor: float) -> Self:
        return self._cut([int(utf16_length(text) * factor) for text in self.inputs])

    def _cut(self, limits: Sequence[int]) -> Self:
        cut = tuple(cut_utf16(text, limit) for text, limit in zip(self.inputs, limits, strict=True))
        flags = tuple(old != new for old, new in zip(self.inputs, cut, strict=True))
        return replace(self, inputs=cut, truncated=flags)


def utf16_length(text: str) -> int:
    """Length as Java counts it: characters outside the BMP count twice."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def cut_utf16(text: str, limit: int) -> str:
    """Cut ``text`` to at most ``limit`` UTF-16 units, never inside a character.

    Java cuts between the halves of a surrogate pair and sends the lone half;
    no upstream can read that, so the whole character goes.
    """
    if len(text) * 2 <= limit or utf16_length(text) <= limit:
        return text
    if text.isascii():
        return text[:limit]
    return text.encode("utf-16-le")[: limit * 2].decode("utf-16-le", "ignore")


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseEmbeddings:
    """One float32 vector an input, in the upstream's order."""

    vectors: Sequence[NDArray[float32]]

    @property
    def dimensions(self) -> int | None:
        """Length of the first vector, None without one."""
        return len(self.vectors[0]) if len(self.vectors) else None

    def to_json(self) -> bytes:
        if not len(self.vectors):
            return b'{"text_embedding":[]}'
        rows = b'},{"embedding":'.join(java.float_arrays(self.vectors))
        return b'{"text_embedding":[{"embedding":' + rows + b"}]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseEmbedding:
    """Weights of tokens, in the upstream's order."""

    tokens: Sequence[str]
    weights: NDArray[float32]
    is_truncated: bool

    def to_json(self) -> bytes:
        flag = b"true" if self.is_truncated else b"false"
        return b'{"is_truncated":' + flag + b',"embedding":' + self.weights_to_json() + b"}"

    def weights_to_json(self) -> bytes:
        """The object of weights alone."""
        weights = java.float_array(self.weights)[1:-1].split(b",") if self.tokens else []
        pairs = b",".join(
            orjson.dumps(token) + b":" + weight
            for token, weight in zip(self.tokens, weights, strict=True)
        )
        return b"{" + pairs + b"}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseEmbeddings:
    """One sparse embedding an input, in the upstream's order."""

    embeddings: Sequence[SparseEmbedding]

    def to_json(self) -> bytes:
        return b'{"sparse_embedding":[' + b",".join(e.to_json() for e in self.embeddings) + b"]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """Prompts; never cut."""

    inputs: tuple[str, ...]
    input_type: InputType | None = None

    def cut_to(self, limit: int) -> Self:  # noqa: ARG002 - nothing is cut
        return self

    def shortened(self, factor: float) -> Self:  # noqa: ARG002 - as above
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionResult:
    """One text a choice of the upstream's."""

    results: tuple[str, ...]

    def to_json(self) -> bytes:
        return orjson.dumps({"completion": [{"result": text} for text in self.results]})
