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
    """What a character at the end of a segment says of it."""

    UNSEEN = 0
    OTHER = 1
    """No word."""
    LETTER = 2
    """A word."""
    SYLLABLE = 3
    """A Hangul syllable: a word, unless combining characters follow it."""
    COMBINING = 4
    """The character before it decides."""
    CONNECTOR = 5
    """Such as the low line: a word if something stands before it."""
    APOSTROPHE = 6
    """A word behind a Hebrew letter."""
    HAN_MARK = 7
    """Of the Han script but no ideograph: a word beside Han or kana."""


_PLAIN: Final = (_Class.OTHER, _Class.LETTER, _Class.SYLLABLE)
_PROPERTIES: Final = (
    (_Class.COMBINING, r"(?!\p{Script=Han})[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]"),
    (_Class.HAN_MARK, r"(?!\p{Ideographic})\p{Script=Han}"),
    (_Class.SYLLABLE, r"[\uAC00-\uD7A3]"),
    (
        _Class.LETTER,
        r"[\p{WB=ALetter}\p{WB=Hebrew_Letter}\p{WB=Numeric}\p{WB=Katakana}"
        r"\p{Script=Hiragana}\p{Ideographic}\p{Line_Break=SA}]",
    ),
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


def word_flags(text: str, codes: Codes, ends: Offsets) -> Flags:
    """For each boundary whether the segment that ends there is a word.

    ``codes`` are those of ``text``; ``ends`` ascend and begin with 0, where
    nothing ends.
    """
    flags = np.zeros(len(ends), np.bool_)
    if len(ends) == 1:
        return flags
    classes = _classes(codes[ends[1:] - 1])
    flags[1:] = (classes == _Class.LETTER) | (classes == _Class.SYLLABLE)
    for index in np.flatnonzero(classes > max(_PLAIN)).tolist():
        flags[index + 1] = _is_word(text, int(ends[index]), int(ends[index + 1]))
    return flags


def _is_word(text: str, start: int, end: int) -> bool:
    """The same for one segment, character by character."""
    last = _last_base(text, start, end)
    found = _classify(text[last]) if last >= start else _Class.OTHER
    if last < end - 1:  # combining characters follow it
        return found is _Class.LETTER
    match found:
        case _Class.CONNECTOR:
            return _last_base(text, start, last) >= start
        case _Class.APOSTROPHE:
            return _ends_hebrew(text, start, last)
        case _Class.HAN_MARK:
            return _touches_cjk(text, last)
        case _:
            return found in (_Class.LETTER, _Class.SYLLABLE)


def _last_base(text: str, start: int, end: int) -> int:
    """Where the last character of a segment stands that is not combining; ``start - 1`` if none."""
    last = end - 1
    while last >= start and _classify(text[last]) is _Class.COMBINING:
        last -= 1
    return last


def _ends_hebrew(text: str, start: int, end: int) -> bool:
    last = _last_base(text, start, end)
    return last >= start and regex.match(r"\p{WB=Hebrew_Letter}", text[last]) is not None


_CJK: Final = regex.compile(r"[\p{Script=Han}\p{Script=Hiragana}\p{WB=Katakana}]")


def _touches_cjk(text: str, place: int) -> bool:
    beside = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
    return _CJK.search(beside) is not None
