"""The ``recursive`` strategy: cut at one separator after the other until the pieces fit.

Source: chunking.md section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from esinfer.chunking.java_regex import Budget, Separator, separator
from esinfer.chunking.segments import Words
from esinfer.chunking.sentence import Span, sentences


def pieces(text: str, size: int, separators: Sequence[str]) -> list[Span]:
    """The chunks of a text, by code points.

    IllegalArgument for a separator that is no Java regex, cannot be
    translated, or runs away.
    """
    cutter = _Cutter(text, size, separators)
    cutter.cut_all()
    return cutter.chunks


class _Cutter:
    """Cuts pieces of one text; what separators leave too long is cut by sentences."""

    def __init__(self, text: str, size: int, separators: Sequence[str]) -> None:
        self._text = text
        self._size = size
        self._separators = separators
        self._words = Words.of(text)
        self._budget = Budget(len(text))
        self.chunks: list[Span] = []

    def cut_all(self) -> None:
        whole = np.array([0, len(self._text)], np.int32)
        if self._words.count(whole[:1], whole[1:])[0] <= self._size:
            self.chunks.append((0, len(self._text)))
        else:
            self._cut(0, len(self._text), 0)

    def _cut(self, start: int, end: int, level: int) -> None:
        """Cut a piece that is too long at the separator of this level."""
        if level == len(self._separators):
            piece = self._text[start:end]
            parts = sentences(piece, self._size, overlap=False)
            self.chunks += [(start + first, start + last) for first, last in parts]
            return
        found = self._compiled(level).starts(self._text, start, end, self._budget)
        cuts = np.array([start, *(cut for cut in found if start < cut < end), end], np.int32)
        total = np.zeros(len(cuts), np.int64)
        np.cumsum(self._words.count(cuts[:-1], cuts[1:]), out=total[1:])
        index = 0
        while index < len(cuts) - 1:
            after = int(np.searchsorted(total, total[index] + self._size, "right")) - 1
            last = max(after, index + 1)
            span = int(cuts[index]), int(cuts[last])
            if after > index:
                self.chunks.append(span)
            else:
                self._cut(*span, level + 1)
            index = last

    def _compiled(self, level: int) -> Separator:
        """A separator is compiled when a piece needs it, as in Elasticsearch."""
        return separator(self._separators[level])
