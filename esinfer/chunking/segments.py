"""Word and sentence boundaries of a text, as Elasticsearch's ICU4J 77.1 finds them.

icu4py brings ICU4C, which differs from ICU4J in two places of no consequence
to a reader but of some to the chunks; both are mended here. All offsets are
code points. Source: chunking.md sections 2 and 7.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
import regex
from icu4py.breakers import SentenceBreaker, WordBreaker

from esinfer.chunking.word_status import word_flags

if TYPE_CHECKING:
    from esinfer.chunking.word_status import Codes, Offsets

_ROOT: Final = ""
"""The root locale."""
_BLOCK: Final = 8192
"""So many segments are taken in one go: the interpreter's lock is held meanwhile.

ICU holds it as well for a run that it looks up in a dictionary: 0.4 s for five million
Han characters without any break.
"""


def sentence_boundaries(text: str) -> Offsets:
    """Where sentences begin and end, from 0 to the text's length."""
    return _boundaries(SentenceBreaker(text, _ROOT))


def _boundaries(segments: Iterable[str]) -> Offsets:
    lengths = map(len, segments)
    blocks = [np.zeros(1, np.int32)]
    while (block := np.fromiter(islice(lengths, _BLOCK), np.int32)).size:
        blocks.append(block)
    ends = np.concatenate(blocks)
    return np.cumsum(ends, dtype=np.int32, out=ends)


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """The word boundaries of a text, and how many words end up to each.

    ``ends`` ascends from 0 to the text's length; ``counts[i]`` is the number
    of words among the segments that end at or before ``ends[i]``.
    """

    ends: Offsets
    counts: Offsets

    @classmethod
    def of(cls, text: str) -> Words:
        """Segment a text. UnicodeEncodeError if it has lone surrogates."""
        codes = code_points(text)
        ends = _boundaries(WordBreaker(text, _ROOT))
        if not text.isascii():
            ends = _join_sound_marks(text, _split_thai(text, ends))
        return cls(ends, np.cumsum(word_flags(codes, ends), dtype=np.int32))

    @property
    def word_ends(self) -> Offsets:
        """Where words end."""
        return self.ends[1:][np.diff(self.counts) > 0]

    def count(self, starts: Offsets, ends: Offsets) -> Offsets:
        """For each pair of a start and an end the words between them, as Elasticsearch counts.

        It counts from the last boundary before ``start``, and with it the
        segments that end there and at ``start``: up to two words too many.
        """
        first = self._before(starts)
        last = np.searchsorted(self.ends, ends, "right") - 1
        # Nothing ends at the first boundary, so it may stand for the one before it.
        return self.counts[last] - self.counts[np.maximum(first - 1, 0)]

    def skip(self, start: int, words: int) -> int:
        """The boundary behind the ``words``-th word end from the last boundary before ``start``.

        For no words it is that boundary itself, behind the last word the end of the text.
        """
        first = int(self._before(np.array([start], np.int32))[0])
        if words == 0:
            return int(self.ends[first])
        wanted = self.counts[max(first - 1, 0)] + words
        found = int(np.searchsorted(self.counts, wanted, "left"))
        return int(self.ends[min(found + 1, len(self.ends) - 1)])

    def _before(self, starts: Offsets) -> Offsets:
        """The indices of the last boundaries before ``starts``, 0 where there is none."""
        return np.maximum(np.searchsorted(self.ends, starts, "left") - 1, 0).astype(np.int32)


def code_points(text: str) -> Codes:
    """The text as numbers."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


# -- where ICU4J differs ------------------------------------------------------

_THAI: Final = r"[\u0e01-\u0e3a\u0e40-\u0e4e]"
_SHORT_RUN: Final = regex.compile(rf"(?<!{_THAI}){_THAI}{{4}}(?!{_THAI})")
_THAI_WORD: Final = "\u0e04\u0e23\u0e31\u0e1a"


def _split_thai(text: str, ends: Offsets) -> Offsets:
    """Cut runs of four Thai characters that are two words; ICU4C leaves them whole."""
    wrong: list[int] = []
    right: list[int] = []
    for match in _SHORT_RUN.finditer(text):
        start = match.start()
        wrong += range(start + 1, start + 4)
        right += [start + cut for cut in _cuts_of_run(match[0])]
    if not wrong:
        return ends
    kept = ends[~np.isin(ends, wrong)]
    return np.union1d(kept, np.array(right, np.int32)).astype(np.int32)


@lru_cache(maxsize=1024)
def _cuts_of_run(run: str) -> tuple[int, ...]:
    """The boundaries inside a run: those that it has before one more word."""
    found = _boundaries(WordBreaker(run + _THAI_WORD, _ROOT))
    return tuple(cut for cut in found.tolist() if 0 < cut < len(run))


_SOUND_MARK: Final = regex.compile(
    r"(?<![\p{Script=Hiragana}\p{Script=Katakana}\u30fc\uff70])[\u30fc\uff70](?=\p{Script=Han})"
)


def _join_sound_marks(text: str, ends: Offsets) -> Offsets:
    """A prolonged sound mark that follows no kana is one segment with the Han behind it."""
    places = [match.end() for match in _SOUND_MARK.finditer(text)]
    return ends[~np.isin(ends, places)] if places else ends
