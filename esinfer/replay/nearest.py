"""Why nothing fits: the recorded request that comes nearest, and what differs.

Requests are compared leaf by leaf: a leaf that one lacks counts one, a text
as much as it differs. Another task or url weighs more than another text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from heapq import nsmallest
from typing import Any, Final

import orjson

from esinfer.replay.asked import Key

_SHOWN: Final = 120
"""Characters of a value that a message shows."""
_COMPARED: Final = 400
"""Characters of a text that are compared."""
_CANDIDATES: Final = 10_000
_FINALISTS: Final = 20
_MOST_DIFFERENCES: Final = 4
_SUMMED: Final = 8
"""Leaves of a request that a message shows."""
_WEIGHTS: Final[Mapping[str, float]] = {"task_type": 8.0, "url": 2.0}
_NOTHING: Final = object()

Leaves = dict[str, object]


def describe_miss(missing: Sequence[Key], recorded: Collection[Key]) -> str:
    """What is missing and how the nearest request that was recorded differs from it."""
    asked = _leaves(missing[0])
    more = f" (and {len(missing) - 1} more of the batch)" if len(missing) > 1 else ""
    if not recorded:
        return f"nothing is recorded there; asked for was {_summary(asked)}{more}"
    nearest = _nearest(asked, recorded)
    differing = list(_differences(asked, nearest))
    shown = "; ".join(_say(*difference) for difference in differing[:_MOST_DIFFERENCES])
    rest = len(differing) - _MOST_DIFFERENCES
    others = f"; and {rest} more" if rest > 0 else ""
    return f"the nearest recorded request differs in {shown}{others}{more}"


def _leaves(key: Key) -> Leaves:
    leaves: Leaves = {"task_type": key.task_type, "url": key.url}
    leaves.update(_flatten("", orjson.loads(key.request)))
    return leaves


def _flatten(path: str, value: Any) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for name, member in value.items():
            yield from _flatten(f"{path}.{name}" if path else name, member)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _flatten(f"{path}[{index}]", item)
    else:
        yield path, value


def _nearest(asked: Leaves, recorded: Collection[Key]) -> Leaves:
    """By a quick look at many, and a closer one at the best of them."""
    same = [key for key in recorded if key.task_type == asked["task_type"]]
    candidates = [_leaves(key) for key in sorted(same or recorded)[:_CANDIDATES]]
    quick = nsmallest(
        _FINALISTS, candidates, key=lambda other: _distance(asked, other, "quick_ratio")
    )
    return min(quick, key=lambda other: _distance(asked, other, "ratio"))


def _distance(asked: Leaves, other: Leaves, measure: str) -> float:
    return sum(
        _WEIGHTS.get(path, 1.0) * _difference(one, two, measure)
        for path, one, two in _differences(asked, other)
    )


def _difference(one: object, two: object, measure: str) -> float:
    if not isinstance(one, str) or not isinstance(two, str):
        return 1.0
    matcher = SequenceMatcher(None, one[:_COMPARED], two[:_COMPARED], autojunk=False)
    ratio: float = getattr(matcher, measure)()
    return 1.0 - 0.9 * ratio  # never nothing: they are not the same


def _differences(asked: Leaves, other: Leaves) -> Iterator[tuple[str, object, object]]:
    for path in asked | other:
        one, two = asked.get(path, _NOTHING), other.get(path, _NOTHING)
        if one != two:
            yield path, one, two


def _say(path: str, asked: object, recorded: object) -> str:
    if recorded is _NOTHING:
        return f"[{path}]: {_show(asked)} was asked, nothing is recorded"
    if asked is _NOTHING:
        return f"[{path}]: nothing was asked, {_show(recorded)} is recorded"
    if isinstance(asked, str) and isinstance(recorded, str):
        asked, recorded = _where_they_part(asked, recorded)
    return f"[{path}]: {_show(asked)} was asked, {_show(recorded)} is recorded"


def _where_they_part(one: str, two: str) -> tuple[str, str]:
    """Two texts without most of a long beginning that both have."""
    pairs = enumerate(zip(one, two, strict=False))
    common = next((at for at, (left, right) in pairs if left != right), min(len(one), len(two)))
    if common < _SHOWN // 2:
        return one, two
    start = common - _SHOWN // 4
    return f"...{one[start:]}", f"...{two[start:]}"


def _summary(asked: Leaves) -> str:
    shown = [f"[{path}] {_show(value)}" for path, value in asked.items()]
    return ", ".join(shown if len(shown) <= _SUMMED else [*shown[:_SUMMED], "..."])


def _show(value: object) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
