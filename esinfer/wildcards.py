"""Patterns of urls and paths, in which ``*`` stands for any text.

They are matched piece by piece, each at its first place behind the one before:
no pattern takes longer than the url is long, which a regular expression with
as many ``.*`` does not promise.
"""

from __future__ import annotations

from typing import Final

ANY: Final = "*"


def fits(pattern: str, url: str) -> bool:
    """Whether the whole url is of the pattern."""
    first, *rest = pattern.split(ANY)
    if not rest:
        return url == first
    *between, last = rest
    if not url.startswith(first):
        return False
    at = len(first)
    for piece in between:
        found = url.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(url) - len(last) >= at and url.endswith(last)


def specificity(pattern: str) -> int:
    """How much a pattern says: the letters that it fixes, and whether these are all."""
    return 2 * len(pattern.replace(ANY, "")) + (ANY not in pattern)
