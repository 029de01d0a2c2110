"""Which request is wanted, what of another one differs, and which one is nearest. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from types import EllipsisType
from typing import Any, Final, Self, TypedDict, cast

from esinfer.testing.requests import Request

ABSENT: Final = "nothing"
"""How a failed assertion shows what is not there."""
_MOST_SHOWN: Final = 160


class Criteria(TypedDict, total=False):
    """What a wanted request is to be beside its method and path; see ``Wanted``."""

    body: Any
    status: int
    inference_id: str
    task_type: str
    where: Callable[[Request], bool]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as wanted: where, what was wanted and found, as they are shown.

    ``distance`` is from 0, almost the same, to 1 for each value that is another one.
    """

    place: str
    wanted: str
    found: str
    distance: float = 1.0

    def __str__(self) -> str:
        return f"{self.place}: expected {self.wanted}, but was {self.found}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A description of requests; what is left out may be anything.

    In ``path`` a ``*`` is any text. Of an object in ``body`` the members that
    are named have to be there, others may be; an array has as many items. In
    it ``...`` is any value, and a compiled regular expression any text in
    which it is found. ``where`` decides last, about requests that are all that
    else is wanted.
    """

    method: str | None = None
    path: str | None = None
    body: Any = ...
    status: int | None = None
    inference_id: str | None = None
    task_type: str | None = None
    where: Callable[[Request], bool] | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """``POST /_inference/*`` as a wanted request."""
        method, space, path = text.partition(" ")
        if not space or not path.startswith("/"):
            raise ValueError(f"expected a method and a path, such as GET /_inference, got {text!r}")
        return cls(method, path)

    def differences(self, request: Request) -> list[Difference]:
        """What of a request is not as wanted; nothing if it is the one."""
        found = [*self._differences(request)]
        if not found and self.where is not None and not self.where(request):
            found.append(Difference("where", f"{_name(self.where)} to be true", "false"))
        return found

    def _differences(self, request: Request) -> Iterator[Difference]:
        if self.path is not None and not _pattern(self.path).fullmatch(request.path):
            yield _differing("path", self.path, request.path)
        plain = {
            "method": (self.method and self.method.upper(), request.method),
            "status": (self.status, request.status),
            "inference_id": (self.inference_id, request.inference_id),
            "task_type": (self.task_type, request.task_type),
        }
        for place, (wanted, found) in plain.items():
            if wanted is not None and wanted != found:
                yield _differing(place, wanted, found)
        yield from compare("body", self.body, request.body)

    def __str__(self) -> str:
        """As a failed assertion calls it."""
        said = [
            f"{name} {_shown(value)}"
            for name, value in [
                ("with status", self.status),
                ("for inference id", self.inference_id),
                ("of task type", self.task_type),
                ("with body", None if self.body is ... else self.body),
            ]
            if value is not None
        ]
        if self.where is not None:
            said.append(f"where {_name(self.where)}")
        return " ".join([self.method or "any method", self.path or "to any path", *said])


def nearest(wanted: Wanted, requests: Sequence[Request]) -> tuple[Request, list[Difference]] | None:
    """The request that differs least, the later one of equals, with what differs; None of none."""
    best: tuple[Request, list[Difference]] | None = None
    least = 0.0
    for request in requests:
        found = wanted.differences(request)
        distance = sum(one.distance * _WEIGHTS.get(one.place, 1.0) for one in found)
        if best is None or distance <= least:
            best, least = (request, found), distance
    return best


_WEIGHTS: Final = {"path": 3.0, "status": 0.5, "task_type": 0.5}
"""Another path makes another request; the answer of the right one may be wrong."""


def compare(place: str, wanted: object, found: object) -> Iterator[Difference]:
    """What of a JSON value is not as wanted."""
    if isinstance(wanted, EllipsisType):
        return
    if isinstance(wanted, re.Pattern):
        if not isinstance(found, str) or not wanted.search(found):
            yield Difference(place, _shown(wanted), _shown(found))
    elif isinstance(wanted, Mapping) and isinstance(found, Mapping):
        yield from _compare_members(place, wanted, found)
    elif isinstance(wanted, list | tuple) and isinstance(found, list):
        yield from _compare_items(place, wanted, found)
    elif not _is_same(wanted, found):
        yield _differing(place, wanted, found)


def _compare_members(
    place: str, wanted: Mapping[str, object], found: Mapping[str, object]
) -> Iterator[Difference]:
    for name, value in wanted.items():
        if name in found:
            yield from compare(f"{place}.{name}", value, found[name])
        else:
            others = ", ".join(found) or "none"
            found_instead = f"{ABSENT} (there are: {_cut(others)})"
            yield Difference(f"{place}.{name}", _shown(value), found_instead, _size(value))


def _compare_items(
    place: str, wanted: Sequence[object], found: Sequence[object]
) -> Iterator[Difference]:
    for index in range(max(len(wanted), len(found))):
        where = f"{place}[{index}]"
        if index >= len(found):
            yield Difference(where, _shown(wanted[index]), ABSENT, _size(wanted[index]))
        elif index >= len(wanted):
            yield Difference(where, ABSENT, _shown(found[index]))
        else:
            yield from compare(where, wanted[index], found[index])


def _is_same(wanted: object, found: object) -> bool:
    """As JSON values: true is not 1."""
    return wanted == found and isinstance(wanted, bool) == isinstance(found, bool)


def _differing(place: str, wanted: object, found: object) -> Difference:
    distance = _size(wanted)
    if isinstance(wanted, str) and isinstance(found, str):
        distance = 1.0 - _likeness(wanted, found)
    return Difference(place, _shown(wanted), _shown(found), distance)


def _size(value: object) -> float:
    """How much there is of a JSON value: what is missing with it."""
    if isinstance(value, Mapping):
        return 1.0 + sum(map(_size, value.values()))
    if isinstance(value, list | tuple):
        return 1.0 + sum(map(_size, value))
    return 1.0


def _likeness(one: str, other: str) -> float:
    """How much of two different texts is the same at beginning and end: 0 nothing, below 1.

    A coarse measure, but as quick for long texts and many requests as need be.
    """
    start = _common(one, other)
    end = _common(one[start:][::-1], other[start:][::-1])
    return (start + end) / (max(len(one), len(other)) + 1)


def _common(one: str, other: str) -> int:
    """How many characters are the same at the beginning."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, path.split("*"))), re.DOTALL)


def _name(function: Callable[..., object]) -> str:
    return cast("str", getattr(function, "__name__", repr(function)))


def _shown(value: object) -> str:
    """A value as JSON, as far as it is such, and not too much of it."""
    if isinstance(value, re.Pattern):
        return f"a text with /{value.pattern}/"
    return _cut(json.dumps(value, ensure_ascii=False, default=_shown_inside))


def _shown_inside(value: object) -> str:
    return "..." if value is ... else _shown(value) if isinstance(value, re.Pattern) else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}… ({len(text)} characters)"
