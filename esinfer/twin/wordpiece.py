"""The tokens of all-MiniLM-L6-v2: BERT's lower-case WordPiece, and what a token is worth.

The vocabulary is BERT's (``models/vocab.txt``, a token a line): special and
unused entries, then single characters, then words and parts of words, the
commonest first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from math import isqrt
from operator import itemgetter
from pathlib import Path
from typing import Final
from unicodedata import category
from unicodedata import normalize as normal_form

from tokenizers import (
    AddedToken,
    Encoding,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)

from esinfer.twin.embedders import Piece, Token

MODELS: Final = Path(__file__).with_name("models")
"""The folder of the files that the models need."""
UNKNOWN: Final = 100
CLS: Final = 101
SEP: Final = 102
FIRST: Final = 999
"""The first entry that is part of a text: special and unused ones stand before it."""
FIRST_WORD: Final = 1996
"""The first entry of more than one character: "the"."""

_SHORT: Final = 512
"""Longer texts, in characters, are not remembered."""
_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_RARITY: Final = 1e-3
_HARMONIC: Final = 10.9
"""The sum of 1/rank over the vocabulary: by Zipf's law, what turns 1/rank into a share."""
_ARTICLE_RANKS: Final = {"a": 6, "i": 20}
_LETTER_RANK: Final = 60
_MARK_WORTH: Final = 1 / 64
_GRAIN: Final = 128
_ONCE: Final = 16  # the damped frequency of a token that stands once


class WordPiece:
    """Cuts texts into tokens and joins tokens to texts. Safe to share between threads."""

    __slots__ = ("_tokenizer",)

    opening: Final = (CLS,)
    closing: Final = (SEP,)

    def __init__(self) -> None:
        self._tokenizer = _tokenizer()

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    def split(self, text: str) -> Sequence[Token]:
        """The tokens of a text; in the place of [UNK] what stands there, folded."""
        return _split_again(text) if len(text) <= _SHORT else _split(text)

    def locate(self, text: str) -> list[Piece]:
        """The tokens of a text with their places."""
        found = _encode(text)
        return [Piece(index, *place) for index, place in zip(found.ids, found.offsets, strict=True)]

    def index(self, token: str) -> int:
        """The number of a token; that of [UNK] if the vocabulary lacks it."""
        index = self._tokenizer.token_to_id(token)
        return UNKNOWN if index is None else index

    def name(self, index: int) -> str:
        """The token of that number; [UNK] if there is none."""
        return self._tokenizer.id_to_token(index) or "[UNK]"

    def decode(self, ids: Sequence[int], *, skip_special: bool) -> str:
        """The text that numbers stand for, in lower case; unknown numbers are left out."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=skip_special)
        return text

    def worth(self, token: Token) -> float:
        """How much a token says, from 0 to 1: the less, the commoner it is.

        "Smooth inverse frequency", a / (a + p), with p by Zipf's law from the
        place in the vocabulary (Arora and others, 2017). Special tokens are
        worth nothing, punctuation next to nothing.
        """
        return 1.0 if isinstance(token, str) else _worth(token, self.name(token))

    def weigh(self, tokens: Sequence[Token]) -> dict[str, float]:
        """Token → weight, exact in float32: its worth times the root of how often it stands."""
        weights: dict[str, float] = {}
        for token, count in Counter(tokens).items():
            name, worth = self._content(token)
            if worth:
                weights[name] = max(1, round(worth * _GRAIN)) * _damped(count) / (_GRAIN * _ONCE)
        return dict(sorted(weights.items(), key=itemgetter(1), reverse=True))

    def _content(self, token: Token) -> tuple[str, float]:
        """A token's name and what it is worth as content; punctuation is worth nothing."""
        if isinstance(token, str):
            return token, 1.0
        name = self.name(token)
        return name, 0.0 if _is_mark(name) else _worth(token, name)


@cache
def _tokenizer() -> Tokenizer:
    # Read by the package itself: a dictionary of Python's would take 5 MB on the way.
    tokenizer = Tokenizer(models.WordPiece.from_file(str(MODELS / "vocab.txt")))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=True)
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in _SPECIAL]
    )
    return tokenizer


def _encode(text: str) -> Encoding:
    if not text.isascii():  # Rust's strings have no lone surrogates
        text = text.encode("utf-8", "replace").decode()
    return _tokenizer().encode(text, add_special_tokens=False)


def _split(text: str) -> tuple[Token, ...]:
    found = _encode(text)
    tokens: list[Token] = [*found.ids]
    if UNKNOWN in tokens:
        for place, (start, stop) in enumerate(found.offsets):
            if tokens[place] == UNKNOWN:
                tokens[place] = _folded(text[start:stop])
    return tuple(tokens)


_split_again = lru_cache(512)(_split)  # tests embed the same texts again


def _folded(text: str) -> str:
    return normal_form("NFKC", normal_form("NFKC", text).casefold())


def _worth(index: int, name: str) -> float:
    if index < FIRST:
        return 0.0
    if index >= FIRST_WORD:
        return _smooth(index - FIRST_WORD + 1)
    if _is_mark(name):
        return _MARK_WORTH
    return _smooth(_ARTICLE_RANKS.get(name, _LETTER_RANK)) if name.isascii() else 1.0


def _is_mark(name: str) -> bool:
    return all(category(character)[0] in "PS" for character in name)


def _smooth(rank: int) -> float:
    return _RARITY / (_RARITY + 1 / (rank * _HARMONIC))


def _damped(count: int) -> int:
    """The frequency of a token as its root, in units of ``_ONCE``."""
    return isqrt(count * _ONCE * _ONCE)
