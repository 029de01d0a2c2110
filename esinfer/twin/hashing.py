"""Vectors made by hashing: lexical, not semantic; no model, no download.

A text is cut into words. Each word, each pair of neighbours and each run of 3
to 5 letters of a word is a feature; blake2b spreads a feature over four signed
buckets. Texts that share words, or parts of words, are near each other.

Everything is added up in integers, so neither the order of the sums nor the
batch nor the machine changes a bit. The one square root and the one division
are IEEE operations, and the cast to float32 comes last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b, shake_256
from itertools import pairwise
from math import isqrt, sqrt
from operator import itemgetter, mul
from struct import Struct
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from esinfer.twin.embedders import MAX_DIMENSIONS, NoVocabulary, Piece, Token
from esinfer.twin.words import places, words

_Item = TypeVar("_Item", str, tuple[str, str])
_Integers: TypeAlias = NDArray[np.signedinteger[Any]]
_Spread: TypeAlias = tuple[bytes, bytes]

_STOP_TEXT: Final = (
    "a about after all also an and any are as at be been but by can could did do does for from had "
    "has have he her him his how i if in into is it its just me more most my no not of on or our "
    "out over s she so some such t than that the their them then there these they this to up us "
    "was we were what when where which who will with would you your"
)
_STOP_WORDS: Final = frozenset(_STOP_TEXT.split())

_WORD_WEIGHT: Final = 256
_RUNS_WEIGHT: Final = 224  # the root of the sum of squares of all letter runs of one word
_PAIR_WEIGHT: Final = 128
_RUN_LENGTHS: Final = (3, 4, 5)
_STOP: Final = 1
_CONTENT: Final = 8  # what a word counts beside a stop word
_ONCE: Final = 16  # the damped frequency of a term that stands once
_UNIT: Final = _CONTENT * _ONCE
_SCALE: Final = _WORD_WEIGHT * _UNIT

VOCABULARY: Final = 30522
"""How many numbers of words there are: as many as tokens in BERT's vocabulary."""

_BUCKETS: Final = 4
_FOUR_HASHES: Final = Struct("<4i")  # the same numbers on every machine
_FOUR_BUCKETS: Final = Struct("=4h")
_FOUR_WEIGHTS: Final = Struct("=4i")

_WHOLE: Final = "\0"  # opens the term that stands for a text without words; in no word
_CACHE_BYTES: Final = 16 * 2**20
_FEW_TERMS: Final = 1024
"""So many terms fit int32 sums and int64 squares, whatever buckets they fall into: the weights
of a term and its pair are below 1.4e6 together; 1024 times that is below 2**31, and the square
of it below 2**63."""


class HashingEmbedder:
    """Lexical vectors of ``dimensions`` components (1 to 4096), deterministic to the bit.

    Safe to share between threads. Remembers the words and pairs it has seen, in about 24 MiB.
    """

    __slots__ = ("_pair", "_row", "_vector", "dimensions")

    opening: Final = ()
    closing: Final = ()

    def __init__(self, dimensions: int = 384) -> None:
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"dimensions must be between 1 and {MAX_DIMENSIONS}")
        self.dimensions = dimensions
        rows = max(1024, min(16384, _CACHE_BYTES // (4 * dimensions)))
        self._row = lru_cache(rows)(self._sum_of_word)
        self._pair = lru_cache(16384)(self._spread_pair)
        self._vector = lru_cache(rows // 8)(self._finish)  # tests embed the same texts again

    def split(self, text: str) -> list[str]:
        """The words of a text; if it has none, one term that stands for the text as a whole."""
        return words(text) or [_WHOLE + blake2b(_bytes(text), digest_size=16).hexdigest()]

    def locate(self, text: str) -> list[Piece]:
        """The words with a number each, as they stand in the text; a text without is one."""
        found = [
            Piece(self.index(word), start, stop)
            for start, stop in places(text)
            for word in words(text[start:stop])[:1]
        ]
        return found or [Piece(self.index(*self.split(text)), 0, len(text))]

    def index(self, token: str) -> int:
        """The number of a word: a hash, so two words may share one."""
        return int.from_bytes(blake2b(_bytes(token), digest_size=8).digest(), "little") % VOCABULARY

    def name(self, index: int) -> NoReturn:
        """NoVocabulary: a hash cannot be turned back."""
        raise NoVocabulary(f"token {index} is a hash, from which no text can be told")

    def decode(self, ids: Sequence[int], *, skip_special: bool) -> NoReturn:  # noqa: ARG002
        """NoVocabulary: a hash cannot be turned back."""
        self.name(ids[0])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (texts, dimensions)."""
        return self.dense([self.split(text) for text in texts])

    def sums(self, word: str) -> _Integers:
        """What a word alone adds to the buckets, not to be written to."""
        return self._row(word)

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
            # What a number stands for is not known here, so it is a word itself.
            rows[index] = self._vector(tuple(map(str, tokens)), length, normalize)
        return rows

    def token_vectors(self, tokens: Sequence[Token]) -> NDArray[np.float32]:
        """One row for each token: the word by itself, not normalised."""
        return self.dense([[token] for token in tokens], normalize=False)

    def _finish(
        self,
        terms: tuple[str, ...],
        length: int,
        normalize: bool,
    ) -> NDArray[np.float32]:
        total, norm = self._direction(terms, length)
        return (total / (norm if normalize else _SCALE)).astype(np.float32)

    def weigh(self, tokens: Sequence[Token]) -> dict[str, float]:
        """Token → weight of a text given as tokens; every weight is exact in float32."""
        counts = Counter(term for term in map(str, tokens) if not term.startswith(_WHOLE))
        weights = {term: _damped(n) * _standing(term) / _UNIT for term, n in counts.items()}
        return dict(sorted(weights.items(), key=itemgetter(1), reverse=True))

    def _direction(self, terms: Sequence[str], length: int) -> tuple[_Integers, float]:
        """The sums of the first ``length`` buckets, never all zero, and their norm."""
        total = self._sum(terms)[:length]
        squares = _sum_of_squares(total)
        if not squares:  # signs that cancel: likely with one or two buckets only
            total = _noise(terms, length)
            squares = _sum_of_squares(total)
        return total, sqrt(squares)

    def _sum(self, terms: Sequence[str]) -> _Integers:
        few = len(terms) <= _FEW_TERMS
        total: _Integers = np.zeros(self.dimensions, np.int32 if few else np.int64)
        for term, count in _counts(terms).items():
            row = self._row(term)
            if count == 1:
                total += row
            else:
                total += np.multiply(row // _ONCE, _damped(count), dtype=total.dtype)
        if len(terms) > 1:
            self._add_pairs(total, _counts(list(pairwise(terms))))
        return total

    def _add_pairs(self, total: _Integers, pairs: Mapping[tuple[str, str], int]) -> None:
        spread = zip(*map(self._pair, pairs, pairs.values()), strict=True)
        buckets, weights = map(b"".join, spread)
        np.add.at(total, np.frombuffer(buckets, np.int16), np.frombuffer(weights, np.int32))

    def _sum_of_word(self, word: str) -> _Integers:
        """What a word that stands once adds: itself and its letter runs."""
        runs = _letter_runs(word)
        digests = [_digest(f"word {word}"), *[_digest(f"run {run}") for run in runs]]
        hashes = np.frombuffer(b"".join(digests), "<i4").reshape(-1, _BUCKETS)
        each = isqrt(_RUNS_WEIGHT**2 // len(runs))
        weights = np.array([_WORD_WEIGHT, *[each] * len(runs)]) * (_standing(word) * _ONCE)
        total = np.zeros(self.dimensions, np.int32)
        np.add.at(total, hashes % self.dimensions, np.where(hashes < 0, 1, -1) * weights[:, None])
        total.setflags(write=False)
        return total

    def _spread_pair(self, pair: tuple[str, str], count: int) -> _Spread:
        left, right = pair
        weight = _PAIR_WEIGHT * _standing(left) * _standing(right) // _CONTENT
        return self._spread(f"pair {left} {right}", weight * _damped(count))

    def _spread(self, feature: str, weight: int) -> _Spread:
        """The four buckets of a feature and, in each, its weight with a sign."""
        hashes = _FOUR_HASHES.unpack(_digest(feature))
        return (
            _FOUR_BUCKETS.pack(*[number % self.dimensions for number in hashes]),
            _FOUR_WEIGHTS.pack(*[weight if number < 0 else -weight for number in hashes]),
        )


def _letter_runs(word: str) -> list[str]:
    padded = f"<{word}>"
    return [
        padded[start : start + length]
        for length in _RUN_LENGTHS
        for start in range(len(padded) - length + 1)
    ]


def _counts(items: Sequence[_Item]) -> Mapping[_Item, int]:
    """What ``Counter`` says, faster where nothing stands twice."""
    counts = dict.fromkeys(items, 1)
    return counts if len(counts) == len(items) else Counter(items)


def _standing(term: str) -> int:
    return _STOP if term in _STOP_WORDS else _CONTENT


def _damped(count: int) -> int:
    """The frequency of a term as its root, in units of ``_ONCE``."""
    return isqrt(count * _ONCE * _ONCE)


def _digest(feature: str) -> bytes:
    """Four numbers of 32 bits: each a bucket and a sign."""
    return blake2b(_bytes(feature), digest_size=4 * _BUCKETS).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _sum_of_squares(total: _Integers) -> int:
    if total.dtype == np.int32:
        wide = total.astype(np.int64)
        return int(wide @ wide)
    values = total.tolist()
    return sum(map(mul, values, values))


def _noise(terms: Sequence[str], length: int) -> _Integers:
    """Odd, so never zero; the same for the same terms."""
    stream = shake_256(_bytes("\0".join(terms))).digest(2 * length)
    return np.frombuffer(stream, "<i2").astype(np.int32) | 1
