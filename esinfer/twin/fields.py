"""Fields of the control plane's bodies: read as Elasticsearch reads, refused in its form.

The words of a refusal are our own where Elasticsearch has no such field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, ClassVar

from esinfer.errors import IllegalArgument
from esinfer.json_reader import Token
from esinfer.json_schema import Json, number
from esinfer.object_parser import (
    OBJECT,
    STRING,
    BooleanField,
    FloatField,
    IntegerField,
    TextField,
    WireField,
)
from esinfer.similar import did_you_mean
from esinfer.units import SIZE_PATTERN, TIME_PATTERN, parse_size, parse_time

__all__ = [
    "AnyField",
    "BooleanField",
    "ChoiceField",
    "CountField",
    "DurationField",
    "HeadersField",
    "RatioField",
    "SizeField",
    "TextField",
]

ONE_HOUR = 3600.0
FRAMING = ("connection", "content-length", "transfer-encoding")
"""Headers that HTTP sets; the fault ``truncate`` lies about them."""


class ChoiceField(WireField[str]):
    """One of some names; a near miss is told the right one."""

    tokens = STRING

    def __init__(self, choices: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = tuple(choices)

    def read(self, value: str) -> str:
        if value in self.choices:
            return value
        hint = did_you_mean(value, self.choices)
        expected = hint or f"expected one of [{', '.join(self.choices)}]"
        raise IllegalArgument(reason=f"unknown value [{value}], {expected}")

    def json_schema(self) -> Json:
        return {"enum": [*map(str, self.choices)]}


class CountField(IntegerField):
    """A whole number within bounds; an end of the range is in it."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.low = low
        self.high = high

    def read(self, value: float | str) -> int:
        count = super().read(value)
        if not self.low <= count <= self.high:
            reason = f"Invalid value [{count}], expected one from [{self.low}] to [{self.high}]"
            raise IllegalArgument(reason=reason)
        return count

    @property
    def bounds(self) -> tuple[int, int]:
        return self.low, self.high


class RatioField(FloatField):
    """A number from 0 to ``high``."""

    def __init__(self, high: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.high = high

    def read(self, value: float | str) -> float:
        ratio = super().read(value)
        if not 0 <= ratio <= self.high or math.isnan(ratio):
            reason = f"Invalid value [{ratio}], expected one from [0] to [{self.high:g}]"
            raise IllegalArgument(reason=reason)
        return ratio

    def json_schema(self) -> Json:
        return number({"minimum": 0, "maximum": self.high}, r"\d+(?:\.\d*)?")


class DurationField(WireField[float]):
    """A time value such as ``200ms``, in seconds; an hour at most."""

    tokens = STRING

    def read(self, value: str) -> float:
        try:
            seconds = parse_time(value)
        except ValueError as error:
            raise IllegalArgument(reason=f"Invalid time value [{value}]: {error}") from error
        if seconds > ONE_HOUR:
            raise IllegalArgument(reason=f"Invalid time value [{value}], expected [1h] at most")
        return seconds

    def json_schema(self) -> Json:
        return {"type": "string", "pattern": TIME_PATTERN}


class SizeField(WireField[int]):
    """A byte size such as ``64mb``, in bytes."""

    tokens = STRING
    most: ClassVar[str] = "256mb"

    def read(self, value: str) -> int:
        try:
            size = parse_size(value)
        except ValueError as error:
            raise IllegalArgument(reason=f"Invalid size [{value}]: {error}") from error
        if size > parse_size(self.most):
            raise IllegalArgument(reason=f"Invalid size [{value}], expected [{self.most}] at most")
        return size

    def json_schema(self) -> Json:
        return {"type": "string", "pattern": SIZE_PATTERN}


class AnyField(WireField[object]):
    """Any JSON value."""

    tokens = frozenset(Token)

    def read(self, value: object) -> object:
        return plain(value)

    def json_schema(self) -> Json:
        return {}


class HeadersField(WireField[dict[str, str]]):
    """Names of headers and their texts; ``reserved`` names are refused."""

    tokens = OBJECT

    def __init__(self, reserved: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reserved = frozenset(reserved)

    def read(self, value: dict[str, object]) -> dict[str, str]:
        for name, text in value.items():
            if name.lower() in self.reserved:
                raise IllegalArgument(reason=f"Header [{name}] cannot be set")
            if not _is_token(name) or not isinstance(text, str) or not _is_line(text):
                raise IllegalArgument(reason=f"Header [{name}] must have a text of one line")
        return {name: str(text) for name, text in value.items()}

    def json_schema(self) -> Json:
        return {**super().json_schema(), "additionalProperties": {"type": "string"}}


_SEPARATORS = frozenset(' \t"(),/:;<=>?@[\\]{}')


def _is_token(name: str) -> bool:
    return bool(name) and name.isascii() and name.isprintable() and not _SEPARATORS & set(name)


def _is_line(text: str) -> bool:
    return all(" " <= letter != "\x7f" or letter == "\t" for letter in text)


def plain(value: object) -> Any:
    """A JSON value without the reader's own kinds of numbers."""
    return json.loads(json.dumps(value))
