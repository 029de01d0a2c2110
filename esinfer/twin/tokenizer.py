"""From an input to its terms, cut to what the model takes or refused as TEI refuses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from esinfer.twin.answers import invalid
from esinfer.twin.embedders import Embedder

Input: TypeAlias = str | list[int]
"""A text, or a text that has been cut into token ids already."""

_CHARACTERS_PER_TOKEN: Final = 250
_LEFT: Final = ("Left", "left")
DIRECTIONS: Final = (*_LEFT, "Right", "right")
"""The names of the side that too long an input loses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncation:
    """What a request says of too long an input; ``None`` leaves it to the server."""

    truncate: bool | None = None
    truncation_direction: str = "right"

    @property
    def keeps_end(self) -> bool:
        """Whether too long an input loses its start."""
        return self.truncation_direction in _LEFT


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """The limits of a model and the embedder that cuts its texts."""

    embedder: Embedder
    max_input_length: int
    auto_truncate: bool

    def check_characters(self, count: int, truncation: Truncation) -> None:
        """Refuse what is too long to be tokenized, unless it may be cut."""
        self._check(count, self._longest, "characters", truncation)

    def check_terms(self, count: int, truncation: Truncation) -> None:
        """Refuse more terms than the model takes, unless they may be cut."""
        self._check(count, self.max_input_length, "tokens", truncation)

    def split(self, item: Input) -> Sequence[str]:
        """All terms of an input whose characters have been checked."""
        if isinstance(item, str):
            return self.embedder.terms(item[: self._longest])
        # The twin cannot know what an id stands for, so an id is a term itself.
        return [str(term) for term in item]

    def cut(self, terms: Sequence[str], truncation: Truncation) -> Sequence[str]:
        """What the model takes of the terms."""
        limit = self.max_input_length
        return terms[-limit:] if truncation.keeps_end else terms[:limit]

    @property
    def _longest(self) -> int:
        return self.max_input_length * _CHARACTERS_PER_TOKEN

    def _check(self, count: int, limit: int, unit: str, truncation: Truncation) -> None:
        truncate = self.auto_truncate if truncation.truncate is None else truncation.truncate
        if count > limit and not truncate:
            raise invalid(f"`inputs` must have less than {limit} {unit}. Given: {count}")
