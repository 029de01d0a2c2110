"""Whether the event loop may wait for an answer, judged before the body is read.

What takes longer than a few milliseconds is made in a thread. The length of a
body says little: 3,000 texts of one letter fit 15 KB.
"""

from __future__ import annotations

import sys
from typing import Final

_LONG: Final = 16 * 1024
"""Bytes that take a few milliseconds to be read as TEI reads them, and to be cut to tokens."""
_MANY: Final = 16 * 1024
"""Components of vectors of whole texts that take a few milliseconds to make."""
_MANY_WRITTEN: Final = 64 * 1024
"""Components of vectors of tokens that take a few milliseconds to write."""
_LEAST: Final = 384
"""A text takes as long as so many components, however few it has."""


def is_short(body: bytes) -> bool:
    """Whether reading a body is quick, if that is all there is to do."""
    return len(body) <= _LONG


def is_quick(body: bytes, dimensions: int, *, by_token: bool = False) -> bool:
    """Whether the texts in a body are quickly made vectors of so many ``dimensions``.

    With ``by_token`` each token has a vector. No text is quickly embedded where
    the embedder is still to be loaded, or where the process has the one that
    runs a model.
    """
    if not body:
        return True
    if not is_short(body) or "numpy" not in sys.modules or "esinfer.twin.minilm" in sys.modules:
        return False
    if by_token:
        return len(body) // 2 * dimensions <= _MANY_WRITTEN  # no token without a space or so
    return (body.count(b",") + 1) * max(dimensions, _LEAST) <= _MANY
