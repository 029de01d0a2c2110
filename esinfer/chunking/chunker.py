"""Chunks a text as its settings say. Source: chunking.md sections 2 and 3."""

from __future__ import annotations

from typing import NamedTuple, assert_never

import numpy as np

from esinfer.chunking.recursive import pieces
from esinfer.chunking.segments import Words
from esinfer.chunking.sentence import Span, sentences
from esinfer.chunking.settings import (
    ChunkingSettings,
    NoneSettings,
    RecursiveSettings,
    SentenceSettings,
    WordSettings,
)
from esinfer.chunking.word import windows


class Chunk(NamedTuple):
    """A part of a text; offsets are UTF-16 code units, as Java counts, the end exclusive."""

    start_offset: int
    end_offset: int
    text: str


def chunk(text: str, settings: ChunkingSettings) -> list[Chunk]:
    """The chunks of a text, at least one.

    IllegalArgument for a separator of ``recursive`` that cannot be used.
    ``text`` must be valid Unicode, without lone surrogates.
    """
    found = spans(text, settings)
    offsets = iter(_utf16_offsets(text, np.array(found, np.int64).ravel()))
    return [Chunk(next(offsets), next(offsets), text[start:end]) for start, end in found]


def spans(text: str, settings: ChunkingSettings) -> list[Span]:
    """The same as pairs of offsets in code points."""
    match settings:
        case NoneSettings():
            return [(0, len(text))]
        case WordSettings():
            parts = windows(Words.of(text), settings.max_chunk_size, settings.overlap)
            return list(zip(parts.starts.tolist(), parts.ends.tolist(), strict=True))
        case SentenceSettings():
            overlap = settings.sentence_overlap > 0
            return sentences(text, settings.max_chunk_size, overlap=overlap)
        case RecursiveSettings():
            return pieces(text, settings.max_chunk_size, settings.separators)
        case _:
            assert_never(settings)


_HIGHEST_SINGLE = 0xFFFF
"""Characters above it are two UTF-16 code units."""


def _utf16_offsets(text: str, offsets: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[int]:
    """Offsets in code points as offsets in UTF-16 code units."""
    if text.isascii():
        return offsets.tolist()
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    wide = np.flatnonzero(codes > _HIGHEST_SINGLE)
    shifted: list[int] = (offsets + np.searchsorted(wide, offsets)).tolist()
    return shifted
