"""Other forms of an answer: pretty-printed, filtered, YAML.

Each takes the compact JSON that a handler made. Numbers keep their text, so
that a float is printed once and never again. Source: rest.md section 8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

_DROPPED = object()


class Number(str):
    """A JSON number as its text."""

    __slots__ = ()


def read(compact: bytes) -> Any:
    """The document, with numbers as ``Number``."""
    return json.loads(compact, parse_int=Number, parse_float=Number)


def write(value: Any) -> bytes:
    """The document, compact."""
    return "".join(_compact(value)).encode()


def _compact(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        separator = "{"
        for key, item in value.items():
            yield f"{separator}{_quote(key)}:"
            yield from _compact(item)
            separator = ","
        yield "}" if value else "{}"
    elif isinstance(value, list):
        separator = "["
        for item in value:
            yield separator
            yield from _compact(item)
            separator = ","
        yield "]" if value else "[]"
    else:
        yield _scalar(value)


def pretty(value: Any) -> bytes:
    """Two blanks an indent, a blank on both sides of the colon, a newline at the end."""
    return ("".join(_pretty(value, "\n")) + "\n").encode()


def _pretty(value: Any, newline: str) -> Iterator[str]:
    inner = newline + "  "
    if isinstance(value, dict):
        separator = "{"
        for key, item in value.items():
            yield f"{separator}{inner}{_quote(key)} : "
            yield from _pretty(item, inner)
            separator = ","
        yield f"{newline}}}" if value else "{ }"
    elif isinstance(value, list):
        separator = "["
        for item in value:
            yield f"{separator}{inner}"
            yield from _pretty(item, inner)
            separator = ","
        yield f"{newline}]" if value else "[ ]"
    else:
        yield _scalar(value)


def _quote(text: str) -> str:
    return orjson.dumps(text).decode()


def _scalar(value: object) -> str:
    if isinstance(value, Number):
        return str(value)
    return orjson.dumps(value).decode()


def to_yaml(value: Any) -> bytes:
    """A YAML document, strings in double quotes as Jackson writes them."""
    import yaml  # noqa: PLC0415 - rarely wanted, and not at start-up

    def events(item: Any) -> Iterator[yaml.Event]:
        if isinstance(item, dict):
            yield yaml.MappingStartEvent(None, None, implicit=True, flow_style=not item)
            for key, child in item.items():
                yield yaml.ScalarEvent(None, None, (True, True), key)
                yield from events(child)
            yield yaml.MappingEndEvent()
        elif isinstance(item, list):
            yield yaml.SequenceStartEvent(None, None, implicit=True, flow_style=not item)
            for child in item:
                yield from events(child)
            yield yaml.SequenceEndEvent()
        elif isinstance(item, str) and not isinstance(item, Number):
            yield yaml.ScalarEvent(None, None, (False, True), item, style='"')
        else:
            yield yaml.ScalarEvent(None, None, (True, False), _scalar(item))

    document = [
        yaml.StreamStartEvent(),
        yaml.DocumentStartEvent(explicit=True),
        *events(value),
        yaml.DocumentEndEvent(explicit=False),
        yaml.StreamEndEvent(),
    ]
    return str(yaml.emit(document, width=2**20, allow_unicode=True)).encode()


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One level of a pattern; ``below`` is the next, None behind the last.

    Compared by identity: two patterns never share a level.
    """

    name: str
    below: Level | None

    def advance(self, key: str) -> Iterator[Level | None]:
        """Where the pattern stands inside the member ``key``; None where it has matched."""
        if self.name == _ANY_DEPTH:
            yield self
            if self.below is None:
                yield None
            else:
                yield from self.below.advance(key)
        elif matches(key, self.name):
            yield self.below


_ANY_DEPTH = "**"

Places = frozenset[Level | None]
"""Where the patterns stand in a document; never more places than the patterns have levels."""


def filter_paths(value: Any, filter_path: str) -> Any:
    r"""Keep what the patterns name, drop what those with a leading ``-`` name.

    ``*`` stands for any part of a name, ``**`` for any number of levels, ``\.``
    for a dot in a name.
    Nothing left is an empty object.
    """
    patterns = [part.strip() for part in filter_path.split(",") if part.strip()]
    includes = frozenset(_levels(p) for p in patterns if not p.startswith("-"))
    excludes = frozenset(_levels(p[1:]) for p in patterns if p.startswith("-"))
    if excludes:
        value = _exclude(value, excludes)
    if includes:
        value = _include(value, includes)
    return {} if value is _DROPPED else value


def _levels(pattern: str) -> Level | None:
    """The first level; several ``**`` in a row are one."""
    first: Level | None = None
    for level in reversed(re.split(r"(?<!\\)\.", pattern)):
        if level != _ANY_DEPTH or first is None or first.name != _ANY_DEPTH:
            first = Level(level.replace("\\.", "."), first)
    return first


def matches(name: str, glob: str) -> bool:
    """Whether a name has the form of ``glob``, in which ``*`` stands for any text.

    Each part between two stars is taken where it first occurs, and never elsewhere.
    """
    first, *parts = glob.split("*")
    if not parts:
        return name == glob
    last = parts.pop()
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in filter(None, parts):
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _include(value: Any, places: Places) -> Any:
    if not places:
        return _DROPPED
    if isinstance(value, dict):
        kept = {key: _include_member(key, item, places) for key, item in value.items()}
        kept = {key: item for key, item in kept.items() if item is not _DROPPED}
        return kept or _DROPPED
    if isinstance(value, list):
        items = [item for item in (_include(i, places) for i in value) if item is not _DROPPED]
        return items or _DROPPED
    return _DROPPED


def _include_member(key: str, item: Any, places: Places) -> Any:
    deeper = _advance(key, places)
    return item if None in deeper else _include(item, deeper)


def _exclude(value: Any, places: Places) -> Any:
    if not places:
        return value
    if isinstance(value, dict):
        kept = {key: _exclude_member(key, item, places) for key, item in value.items()}
        kept = {key: item for key, item in kept.items() if item is not _DROPPED}
        return kept if kept or not value else _DROPPED
    if isinstance(value, list):
        items = [item for item in (_exclude(i, places) for i in value) if item is not _DROPPED]
        return items if items or not value else _DROPPED
    return value


def _exclude_member(key: str, item: Any, places: Places) -> Any:
    deeper = _advance(key, places)
    return _DROPPED if None in deeper else _exclude(item, deeper)


def _advance(key: str, places: Places) -> Places:
    """The places one level deeper, each of them once."""
    return frozenset(deeper for level in places if level for deeper in level.advance(key))
