"""From an input to its tokens, cut to what the model takes or refused as TEI refuses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from esinfer.twin.answers import Failure, failure, invalid
from esinfer.twin.embedders import Embedder, NoVocabulary, Token

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


class Split(NamedTuple):
    """An input as tokens: its own and, round those of a text, special ones."""

    opening: Sequence[int]
    own: Sequence[Token]
    closing: Sequence[int]

    @property
    def size(self) -> int:
        """How many tokens there are, special ones too."""
        return len(self.opening) + len(self.own) + len(self.closing)

    def cut(self, limit: int, *, keeps_end: bool) -> Sequence[Token]:
        """At most ``limit`` tokens, all of the special ones among them."""
        if self.size <= limit:
            return [*self.opening, *self.own, *self.closing]
        room = max(0, limit - len(self.opening) - len(self.closing))
        kept = self.own[len(self.own) - room :] if keeps_end else self.own[:room]
        return [*self.opening, *kept, *self.closing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """The limits of a model and the embedder that cuts its texts, which ``load`` gives.

    It is loaded with the first text that is to be cut: what is refused before
    does not pay.
    """

    load: Callable[[], Embedder]
    max_input_length: int
    auto_truncate: bool
    prompts: Mapping[str, str] = field(default_factory=dict)

    @property
    def embedder(self) -> Embedder:
        """The embedder, loaded."""
        return self.load()

    def check_characters(self, count: int, truncation: Truncation) -> None:
        """Refuse what is too long to be tokenized, unless it may be cut."""
        self._check(count, self._longest, "characters", truncation)

    def check_tokens(self, count: int, truncation: Truncation) -> None:
        """Refuse more tokens than the model takes, unless they may be cut."""
        self._check(count, self.max_input_length, "tokens", truncation)

    def prompted(self, item: Input, name: str | None) -> Input:
        """The input behind the prompt of that name; token ids are a text again there."""
        if name is None:
            return item
        prompt = self.prompts.get(name)
        if prompt is None:
            raise _no_prompt(name, self.prompts)
        if isinstance(item, str):
            return prompt + item
        try:
            return prompt + self.embedder.decode(item, skip_special=True)
        except NoVocabulary as error:
            raise failure(422, f"tokenizer error {error}", "Tokenizer") from error

    def split(self, item: Input) -> Split:
        """All tokens of an input whose characters have been checked."""
        if not isinstance(item, str):
            return Split((), item, ())  # ids are what the model is to read, as they are
        own = self.embedder.split(item[: self._longest])
        return Split(self.embedder.opening, own, self.embedder.closing)

    def cut(self, split: Split, truncation: Truncation) -> Sequence[Token]:
        """What the model takes of the tokens."""
        return split.cut(self.max_input_length, keeps_end=truncation.keeps_end)

    @property
    def _longest(self) -> int:
        return self.max_input_length * _CHARACTERS_PER_TOKEN

    def _check(self, count: int, limit: int, unit: str, truncation: Truncation) -> None:
        truncate = self.auto_truncate if truncation.truncate is None else truncation.truncate
        if count > limit and not truncate:
            raise invalid(f"`inputs` must have less than {limit} {unit}. Given: {count}")


def _no_prompt(name: str, prompts: Mapping[str, str]) -> Failure:
    """TEI's answer to the name of a prompt that the model has not."""
    said = f"`default-prompt-name` is set to `{name}` but"
    if not prompts:
        return invalid(f"{said} no prompts were found in the Sentence Transformers configuration")
    known = ", ".join(f'"{each}"' for each in prompts)
    return invalid(
        f"{said} it was not found in the Sentence Transformers prompts. "
        f"Available prompts: [{known}]"
    )
