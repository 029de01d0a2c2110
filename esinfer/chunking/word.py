"""The ``word`` strategy: windows of so many words. Source: chunking.md section 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from esinfer.chunking.segments import Words

if TYPE_CHECKING:
    from esinfer.chunking.word_status import Offsets


class Windows(NamedTuple):
    """Spans by code points, and how many words the last holds."""

    starts: Offsets
    ends: Offsets
    last_count: int


def windows(words: Words, size: int, overlap: int) -> Windows:
    """Windows of ``size`` words, each beginning ``size - overlap`` words after the one before.

    What stands between words opens the next window. What follows the last
    word of a last full window is in none; a text without words is one window.
    """
    ends = np.concatenate([np.zeros(1, np.int32), words.word_ends])
    count = len(ends) - 1
    step = size - overlap
    full = 0 if count < size else (count - size) // step + 1
    firsts = np.arange(full, dtype=np.int32) * step
    starts, stops, last_count = ends[firsts], ends[firsts + size], size
    if full == 0 or count > firsts[-1] + size:
        starts = np.append(starts, ends[full * step])
        stops = np.append(stops, words.ends[-1])
        last_count = count - full * step
    return Windows(starts, stops, last_count)
