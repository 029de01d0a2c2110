"""Suggestions for names that are nearly right, as Elasticsearch makes them.

Source: rest.md section 7.5.
"""

from __future__ import annotations

from collections.abc import Iterable

_LEAST_SIMILARITY = 0.5


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """``did you mean [x]?``, ``did you mean any of [x, y]?`` or nothing."""
    comparable = (known for known in set(candidates) if _may_be_near(len(name), len(known)))
    scored = sorted((-similarity(name, known), known) for known in comparable)
    near = [known for score, known in scored if -score > _LEAST_SIMILARITY]
    if not near:
        return ""
    if len(near) == 1:
        return f"did you mean [{near[0]}]?"
    return f"did you mean any of [{', '.join(near)}]?"


def _may_be_near(one: int, other: int) -> bool:
    """Whether the lengths alone allow it: the distance is their difference or more.

    It also bounds the work: a name far longer than those known is not looked into.
    """
    return one == other or min(one, other) > _LEAST_SIMILARITY * max(one, other)


def similarity(one: str, other: str) -> float:
    """1 - edit distance / longer length: 1.0 is the same, 0.0 nothing in common."""
    longest = max(len(one), len(other))
    return 1 - edit_distance(one, other) / longest if longest else 1.0


def edit_distance(one: str, other: str) -> int:
    """Levenshtein's distance."""
    previous = list(range(len(other) + 1))
    for row, left in enumerate(one, 1):
        current = [row]
        for column, right in enumerate(other, 1):
            substituted = previous[column - 1] + (left != right)
            current.append(min(previous[column] + 1, current[-1] + 1, substituted))
        previous = current
    return previous[-1]
