"""The ``sentence`` strategy: whole sentences, as many as fit. Source: chunking.md section 3."""

from __future__ import annotations

import numpy as np

from esinfer.chunking.segments import Words, sentence_boundaries
from esinfer.chunking.word import windows

Span = tuple[int, int]

_MOST_OVERLAP = 20
"""Words that a chunk repeats at most when the sentence before does not fit whole."""


def sentences(text: str, size: int, *, overlap: bool) -> list[Span]:
    """The chunks of a text, by code points; with ``overlap`` each repeats one sentence."""
    return _Packer(text, size, overlap=overlap).pack()


class _Packer:
    """Fills chunk after chunk; a run of sentences that fits is taken in one step."""

    def __init__(self, text: str, size: int, *, overlap: bool) -> None:
        self._text = text
        self._words = Words.of(text)
        self._size = size
        self._overlap = overlap
        self._chunks: list[Span] = []
        self._start = self._end = 0
        """The chunk that is being filled."""
        self._count = 0
        """Its words."""
        self._previous = (0, 0)
        """Start and words of the sentence before."""

    def pack(self) -> list[Span]:
        bounds = sentence_boundaries(self._text)
        starts, ends = bounds[:-1], bounds[1:]
        counts = self._words.count(starts, ends)
        total = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
        index = 0
        while index < len(ends):
            room = self._size - self._count
            after = int(np.searchsorted(total, total[index] + room, "right")) - 1
            if after > index:
                self._count += int(total[after] - total[index])
                last = after - 1
            else:
                last = index
                self._begin(int(counts[index]), int(ends[index]))
            self._previous = int(starts[last]), int(counts[last])
            self._end = int(ends[last])
            index = last + 1
        # What is left has words, or is all there is: a chunk only begins with a sentence of some.
        self._chunks.append((self._start, len(self._text)))
        return self._chunks

    def _begin(self, count: int, end: int) -> None:
        """Begin a chunk with a sentence that the last one has no room for."""
        words = count
        if self._count > 0:
            self._chunks.append((self._start, self._end))
            self._start, words = self._opening(count)
        self._count = words
        if words > self._size:
            self._split(end)

    def _opening(self, count: int) -> tuple[int, int]:
        """Where the new chunk begins, and its words with those of the sentence."""
        if not self._overlap:
            return self._end, count
        start, repeated = self._previous
        if repeated + count <= self._size:
            return start, repeated + count
        skipped = max(repeated - min(self._size // 2, _MOST_OVERLAP), 0)
        return self._words.skip(start, skipped), repeated - skipped + count

    def _split(self, end: int) -> None:
        """Cut what is too long for a chunk by words; the last part goes on as the new chunk."""
        piece = Words.of(self._text[self._start : end])
        parts = windows(piece, self._size, min(_MOST_OVERLAP, (self._size - 1) // 2))
        spans = zip(parts.starts[:-1].tolist(), parts.ends[:-1].tolist(), strict=True)
        self._chunks += [(self._start + first, self._start + last) for first, last in spans]
        self._start += int(parts.starts[-1])
        self._count = parts.last_count
