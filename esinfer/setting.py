"""What a setting is: how it is read, what it may be, what it means.

``config`` declares each setting with one of these functions; what they return
is a dataclass field's default, with the ``Setting`` in its metadata.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from esinfer.units import parse_size, parse_time

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Generic[T]):
    """What a field of a section declares beside its type and default.

    ``read`` takes the value as TOML holds it and ``convert`` makes that out of
    the text of an environment variable or of ``--set``; whatever either raises
    means that the value is not ``expected``. The value of a ``secret`` is never
    shown.
    """

    comment: str
    expected: str
    read: Callable[[object], T]
    convert: Callable[[str], object] = str
    secret: bool = False


READ_ERRORS = (ValueError, TypeError, LookupError, OverflowError)


def _declare(default: object, setting: Setting[T]) -> T:
    """A dataclass field; ``default`` as TOML holds it."""
    return field(
        default=setting.read(default), repr=not setting.secret, metadata={"setting": setting}
    )


def _exactly(kind: type[T], value: object) -> T:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError
    return value


def _within(low: float, value: float, high: float) -> None:
    if not low <= value <= high:  # also refuses nan
        raise ValueError


def text(default: str, comment: str, *, expected: str, pattern: str = r"[^\x00-\x1f\x7f]+") -> str:
    """A text that fits ``pattern``."""

    def read(value: object) -> str:
        read_text = _exactly(str, value)
        if re.fullmatch(pattern, read_text) is None:
            raise ValueError
        return read_text

    return _declare(default, Setting(comment=comment, expected=expected, read=read))


def secret(default: str, comment: str) -> str:
    """A text that is never shown."""

    def read(value: object) -> str:
        return _exactly(str, value)

    expected = "a string in quotes"
    return _declare(default, Setting(comment=comment, expected=expected, read=read, secret=True))


def path(comment: str, *, expected: str) -> str:
    """The name of a file, by default none."""

    def read(value: object) -> str:
        name = _exactly(str, value)
        if "\0" in name:
            raise ValueError
        return name

    return _declare("", Setting(comment=comment, expected=expected, read=read))


def texts(comment: str, *, expected: str, check: Callable[[str], object]) -> tuple[str, ...]:
    """A list of texts, by default empty; in a variable or option with commas between them.

    ``check`` raises ValueError for a text that does not fit.
    """

    def read(value: object) -> tuple[str, ...]:
        items = tuple(_exactly(str, item) for item in _exactly(list, value))
        for item in items:
            check(item)
        return items

    def convert(text: str) -> list[str]:
        return [item.strip() for item in text.split(",") if item.strip()]

    return _declare([], Setting(comment=comment, expected=expected, read=read, convert=convert))


def choice(default: str, comment: str, *choices: str) -> str:
    """One of some words."""

    def read(value: object) -> str:
        return choices[choices.index(_exactly(str, value))]

    expected = "one of " + ", ".join(f'"{choice}"' for choice in choices)
    return _declare(default, Setting(comment=comment, expected=expected, read=read))


def flag(*, default: bool, comment: str) -> bool:
    """True or false."""

    def read(value: object) -> bool:
        return _exactly(bool, value)

    def convert(text: str) -> bool:
        return {"true": True, "false": False}[text.lower()]

    expected = "true or false"
    return _declare(
        default, Setting(comment=comment, expected=expected, read=read, convert=convert)
    )


def integer(default: int, comment: str, *, low: int, high: int = 2**31 - 1) -> int:
    """A whole number within bounds."""

    def read(value: object) -> int:
        number = _exactly(int, value)
        _within(low, number, high)
        return number

    expected = f"a whole number from {low} to {high}"
    return _declare(default, Setting(comment=comment, expected=expected, read=read, convert=int))


def fraction(default: float, comment: str, *, low: float, high: float) -> float:
    """A number within bounds."""

    def read(value: object) -> float:
        number = _exactly(float, value)
        _within(low, number, high)
        return number

    expected = f"a number from {low} to {high}"
    return _declare(default, Setting(comment=comment, expected=expected, read=read, convert=float))


def duration(default: str, comment: str) -> float:
    """Seconds, written as Elasticsearch writes durations."""

    def read(value: object) -> float:
        return parse_time(_exactly(str, value))

    expected = f'a duration such as "{default}"'
    return _declare(default, Setting(comment=comment, expected=expected, read=read))


def size(default: str, comment: str, *, low: str, high: str) -> int:
    """Bytes, written as Elasticsearch writes sizes."""

    def read(value: object) -> int:
        size = parse_size(_exactly(str, value))
        _within(parse_size(low), size, parse_size(high))
        return size

    expected = f'a byte size such as "{default}", from "{low}" to "{high}"'
    return _declare(default, Setting(comment=comment, expected=expected, read=read))
