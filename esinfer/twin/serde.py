"""Rust's types as serde_json 1.0 reads them from JSON: what does not fit, and where.

The twin lets orjson read a body first, and reads here what orjson or the
request's shape refuses.

Known difference: a struct given as an array and an enum given as an object are
always errors.
Source: upstream.md section 1a; serde_json ``de.rs``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, NoReturn, TypeVar

import orjson

from esinfer.twin.serde_json import MAX_U64, NUMBER_HEADS, JsonReader, MalformedBody

__all__ = ["Deserializer", "MalformedBody"]

_Value = TypeVar("_Value")

_MAX_U32: Final = 2**32 - 1


class _Unplaced(Exception):
    """A value that does not fit, found when its place was lost: the struct around it gives one."""

    def __init__(self, reason: str, path: list[str | int]) -> None:
        super().__init__(reason)
        self.path = path


class Deserializer(JsonReader):
    """Reads one body from its start. Each method reads one value or raises MalformedBody."""

    __slots__ = ()

    def struct(
        self,
        name: str,
        fields: Mapping[str, Callable[[Deserializer], object]],
        required: Collection[str],
    ) -> dict[str, object]:
        """An object as field → value, each by its own reader; other fields are skipped."""
        if self._peek() != b"{":
            self._refuse_type(f"struct {name}")
        values: dict[str, object] = {}
        try:
            self._read_fields(fields, values)
        except _Unplaced as error:
            if self._peek() == b"}":
                self._at += 1
            self._path = error.path
            self.refuse(str(error))
        for field in required:
            if field not in values:
                self.refuse(f"missing field `{field}`")
        return values

    def untagged(self, name: str, fit: Callable[[object], _Value | None]) -> _Value:
        """An untagged enum: any value, and then what ``fit`` makes of it."""
        fitting = fit(self.content())
        if fitting is None:
            reason = f"data did not match any variant of untagged enum {name}"
            raise _Unplaced(reason, list(self._path))
        return fitting

    def option(self, read: Callable[[Deserializer], _Value]) -> _Value | None:
        """``null``, or what ``read`` reads."""
        if self._peek() != b"n":
            return read(self)
        self._literal(b"n")
        return None

    def boolean(self) -> bool:
        """``true`` or ``false``."""
        head = self._peek()
        if head not in {b"t", b"f"}:
            self._refuse_type("a boolean")
        return self._literal(head) is True

    def string(self) -> str:
        """A string."""
        if self._peek() != b'"':
            self._refuse_type("a string")
        return self._string()

    def size(self) -> int:
        """A usize: a whole number, not negative."""
        return self._unsigned("usize", MAX_U64)

    def u64(self) -> int:
        """A whole number, not negative."""
        return self._unsigned("u64", MAX_U64)

    def u32(self) -> int:
        """A whole number below 2**32, not negative."""
        return self._unsigned("u32", _MAX_U32)

    def f32(self) -> float:
        """A number; its rounding to float32 is left to who needs it."""
        if self._peek() not in NUMBER_HEADS:
            self._refuse_type("f32")
        return float(self._number())

    def sequence(self, read: Callable[[Deserializer], _Value]) -> list[_Value]:
        """A list, each item by ``read``."""
        if self._peek() != b"[":
            self._refuse_type("a sequence")
        return self._items(read)

    def refuse_type(self, value: object, expected: str) -> NoReturn:
        """The value read to here is JSON of another type than ``expected``."""
        found = "map" if isinstance(value, dict) else _unexpected(value)
        self.refuse(f"invalid type: {found}, expected {expected}")

    def variant(self, names: Collection[str]) -> str:
        """An enum of nothing but names."""
        if self._peek() != b'"':
            self._fail_behind(self._eof_or("expected value"))
        name = self._string()
        if name not in names:
            known = ", ".join(f"`{each}`" for each in names)
            self.refuse(f"unknown variant `{name}`, expected one of {known}")
        return name

    def _read_fields(
        self, fields: Mapping[str, Callable[[Deserializer], object]], values: dict[str, object]
    ) -> None:
        for key in self._keys():
            if key in values:
                raise _Unplaced(f"duplicate field `{key}`", [])
            self._colon()
            self._path.append(key)
            if key in fields:
                values[key] = fields[key](self)
            else:
                self.content()
            self._path.pop()

    def _unsigned(self, name: str, maximum: int) -> int:
        if self._peek() not in NUMBER_HEADS:
            self._refuse_type(name)
        number = self._number()
        if isinstance(number, float):
            self.refuse(f"invalid type: {_unexpected(number)}, expected {name}")
        if not 0 <= number <= maximum:
            self.refuse(f"invalid value: {_unexpected(number)}, expected {name}")
        return number

    def _refuse_type(self, expected: str) -> NoReturn:
        head = self._peek()
        found = {b"[": "sequence", b"{": "map"}.get(head) or _unexpected(self.content())
        self.refuse(f"invalid type: {found}, expected {expected}")


def _unexpected(value: object) -> str:
    """A value as serde names it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, str):
        return f"string {orjson.dumps(value).decode()}"
    return f"{'integer' if isinstance(value, int) else 'floating point'} `{value}`"
