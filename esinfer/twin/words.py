"""Words: what the twin takes for the tokens of a text."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final
from unicodedata import normalize as normal_form

_CJK: Final = (
    "\u3005\u3007\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
# Marks that belong to the letter before them, which \w leaves out: Hebrew and
# Arabic, the Indic blocks without their full stops, Thai, Lao, Tibetan,
# Myanmar, Khmer.
_MARKS: Final = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0900-\u0963"
    "\u0966-\u0df3\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u0f71-\u0f84"
    "\u0f86\u0f87\u0f8d-\u0fbc\u102b-\u103e\u17b4-\u17d3"
)
# Longer words are cut into pieces, which bounds what one term can cost.
_ASCII_WORD: Final = re.compile(r"[a-z0-9]{1,32}")
_WORD: Final = re.compile(rf"[{_CJK}]|(?:[^\W_{_CJK}]|[{_MARKS}]){{1,32}}")
_SPACE: Final = re.compile(r"\s")


def words(text: str) -> list[str]:
    """The words of a text, folded: NFKC, no case; Chinese and Japanese by the character."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return _WORD.findall(normal_form("NFKC", normal_form("NFKC", text).casefold()))


def places(text: str) -> list[tuple[int, int]]:
    """Where in the text as it stands its words are: each from a place to before another."""
    return [match.span() for match in _WORD.finditer(text)]


def pieces(text: str) -> list[str]:
    """The text as it stands, cut so that each piece holds one word; joined they are the text.

    Space goes with the word behind it, punctuation with the word before it. A
    text without words is one piece, an empty text none.
    """
    between = pairwise(places(text))
    starts = [_cut(text, before[1], behind[0]) for before, behind in between]
    return [text[start:end] for start, end in pairwise([0, *starts, len(text)]) if start < end]


def _cut(text: str, start: int, end: int) -> int:
    space = _SPACE.search(text, start, end)
    return space.start() if space else end
