"""Which segments between word boundaries are words.

ICU tells by the rule status of a boundary, which icu4py does not give. What
decides is the last character of a segment, after the combining ones at its
end. Source: chunking.md section 2, read off the rules of ICU4J 77.1.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import regex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes: TypeAlias = NDArray[np.unsignedinteger]
    """A text as code points."""
    Offsets: TypeAlias = NDArray[np.int32]
    """Places in a text, in code points."""
    Flags: TypeAlias = NDArray[np.bool_]


class _Class(IntEnum):
    """What a character at the end of a segment says of it; from LETTER to SYLLABLE: a word."""

    UNSEEN = 0
    OTHER = 1
    """No word."""
    LETTER = 2
    HEBREW = 3
    """A letter, behind which an apostrophe makes a word."""
    CJK = 4
    """A Han ideograph or kana, beside which a Han mark makes a word."""
    SYLLABLE = 5
    """Of Hangul: a word, unless combining characters follow it."""
    COMBINING = 6
    """The character before it decides."""
    CONNECTOR = 7
    """Such as the low line: a word if something stands before it."""
    APOSTROPHE = 8
    HAN_MARK = 9
    """Of the Han script but no ideograph."""


_PROPERTIES: Final = (
    (_Class.COMBINING, r"(?!\p{Script=Han})[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]"),
    (_Class.HAN_MARK, r"(?!\p{Ideographic})\p{Script=Han}"),
    (_Class.SYLLABLE, r"[\uAC00-\uD7A3]"),
    (_Class.CJK, r"[\p{Script=Han}\p{Script=Hiragana}\p{WB=Katakana}]"),
    (_Class.HEBREW, r"\p{WB=Hebrew_Letter}"),
    (_Class.LETTER, r"[\p{WB=ALetter}\p{WB=Numeric}\p{Ideographic}\p{Line_Break=SA}]"),
    (_Class.CONNECTOR, r"\p{WB=ExtendNumLet}"),
    (_Class.APOSTROPHE, "'"),
)
"""The classes by Unicode property; the first that fits."""


@cache
def _table() -> NDArray[np.uint8]:
    """The class of every code point; those not met yet are UNSEEN."""
    return np.zeros(0x110000, np.uint8)


@cache
def _classify(character: str) -> _Class:
    for found, pattern in _PROPERTIES:
        if regex.fullmatch(pattern, character):
            return found
    return _Class.OTHER


def _classes(codes: Codes) -> NDArray[np.uint8]:
    """The class of each of these code points."""
    table = _table()
    found = table[codes]
    unseen = codes[found == _Class.UNSEEN]
    if unseen.size:
        for code in np.unique(unseen).tolist():
            table[code] = _classify(chr(code))
        found = table[codes]
    return found


def word_flags(codes: Codes, ends: Offsets) -> Flags:
    """For each boundary whether the segment that ends there is a word.

    ``codes`` are those of the text; ``ends`` ascend and begin with 0, where
    nothing ends.
    """
    flags = np.zeros(len(ends), np.bool_)
    if len(ends) == 1:
        return flags
    classes = _classes(codes[ends[1:] - 1])
    flags[1:] = (classes >= _Class.LETTER) & (classes <= _Class.SYLLABLE)
    unclear = np.flatnonzero(classes > _Class.SYLLABLE)
    if unclear.size:
        flags[unclear + 1] = _words_by_context(codes, ends[unclear], ends[unclear + 1])
    return flags


def _words_by_context(codes: Codes, starts: Offsets, ends: Offsets) -> Flags:
    """Which segments are words, of those whose last character alone does not tell."""
    last = _last_bases(codes, starts, ends)
    found = _classes_at(codes, last, starts)
    is_word: Flags = (found >= _Class.LETTER) & (found <= _Class.CJK)
    alone = last == ends - 1  # no combining characters follow it
    before = _classes_at(codes, _last_bases(codes, starts, last), starts)
    is_word |= alone & (found == _Class.CONNECTOR) & (before != _Class.UNSEEN)
    is_word |= alone & (found == _Class.APOSTROPHE) & (before == _Class.HEBREW)
    is_word |= alone & (found == _Class.HAN_MARK) & _beside_cjk(codes, last)
    return is_word


def _classes_at(codes: Codes, places: Offsets, starts: Offsets) -> NDArray[np.uint8]:
    """The classes at these places; UNSEEN for a place before its start."""
    return np.where(places >= starts, _classes(codes[np.maximum(places, 0)]), _Class.UNSEEN)


_STEPS: Final = 8
"""So many combining characters are stepped over in all segments at once: more are rare."""


def _last_bases(codes: Codes, starts: Offsets, ends: Offsets) -> Offsets:
    """Where the last character that is not combining stands; before the start if there is none."""
    places = ends - 1
    behind = np.arange(len(places))
    for _ in range(_STEPS):
        behind = behind[_classes_at(codes, places[behind], starts[behind]) == _Class.COMBINING]
        if not behind.size:
            return places
        places[behind] -= 1
    for index in behind.tolist():
        places[index] = _last_base(codes, int(starts[index]), int(places[index]))
    return places


def _last_base(codes: Codes, start: int, place: int) -> int:
    """The same for one segment, character by character."""
    while place >= start and _classify(chr(codes[place])) is _Class.COMBINING:
        place -= 1
    return place


def _beside_cjk(codes: Codes, places: Offsets) -> Flags:
    """Whether a Han or kana character stands right before or behind."""
    first, last = 0, len(codes) - 1
    before = _classes(codes[np.maximum(places - 1, first)])
    behind = _classes(codes[np.minimum(places + 1, last)])
    kinds = [_Class.CJK, _Class.HAN_MARK]
    has_before: Flags = np.isin(before, kinds) & (places > first)
    has_behind: Flags = np.isin(behind, kinds) & (places < last)
    return has_before | has_behind
