"""Other forms of an answer: pretty-printed, filtered, YAML.

Each takes the compact JSON that a handler made. Numbers keep their text, so
that a float is printed once and never again. Source: rest.md section 8.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator, Sequence
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


Pattern = Sequence[str]


def filter_paths(value: Any, filter_path: str) -> Any:
    r"""Keep what the patterns name, drop what those with a leading ``-`` name.

    ``*`` stands for any part of a name, ``**`` for any number of levels, ``\.``
    for a dot in a name.
    Nothing left is an empty object.
    """
    patterns = [part.strip() for part in filter_path.split(",") if part.strip()]
    includes = [_levels(p) for p in patterns if not p.startswith("-")]
    excludes = [_levels(p[1:]) for p in patterns if p.startswith("-")]
    if excludes:
        value = _exclude(value, excludes)
    if includes:
        value = _include(value, includes)
    return {} if value is _DROPPED else value


def _levels(pattern: str) -> Pattern:
    return [level.replace("\\.", ".") for level in re.split(r"(?<!\\)\.", pattern)]


def _include(value: Any, patterns: Sequence[Pattern]) -> Any:
    if isinstance(value, dict):
        kept = {key: _include_member(key, item, patterns) for key, item in value.items()}
        kept = {key: item for key, item in kept.items() if item is not _DROPPED}
        return kept or _DROPPED
    if isinstance(value, list):
        items = [item for item in (_include(i, patterns) for i in value) if item is not _DROPPED]
        return items or _DROPPED
    return _DROPPED


def _include_member(key: str, item: Any, patterns: Sequence[Pattern]) -> Any:
    deeper = _advance(key, patterns)
    return item if () in deeper else _include(item, deeper)


def _exclude(value: Any, patterns: Sequence[Pattern]) -> Any:
    if isinstance(value, dict):
        kept = {key: _exclude_member(key, item, patterns) for key, item in value.items()}
        kept = {key: item for key, item in kept.items() if item is not _DROPPED}
        return kept if kept or not value else _DROPPED
    if isinstance(value, list):
        items = [item for item in (_exclude(i, patterns) for i in value) if item is not _DROPPED]
        return items if items or not value else _DROPPED
    return value


def _exclude_member(key: str, item: Any, patterns: Sequence[Pattern]) -> Any:
    deeper = _advance(key, patterns)
    return _DROPPED if () in deeper else _exclude(item, deeper)


def _advance(key: str, patterns: Sequence[Pattern]) -> list[Pattern]:
    """The patterns one level deeper; an empty one has matched."""
    deeper: list[Pattern] = []
    for pattern in patterns:
        if not pattern:
            continue
        head, *tail = pattern
        if head == "**":
            deeper.append(pattern)
            deeper.extend(_advance(key, [tail]) if tail else [()])
        elif fnmatch.fnmatchcase(key, head.replace("[", "[[]").replace("?", "[?]")):
            deeper.append(tuple(tail))
    return deeper
