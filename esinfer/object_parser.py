"""marshmallow schemas that fail the way Elasticsearch's ObjectParser fails.

ObjectParser reads keys in order and stops at the first problem, which it
reports with line and column. marshmallow collects them all; the schema here
picks the one that stands first in the document and asks for its place only
then, so that a valid body pays nothing.

Source: rest.md sections 6.2 and 7.5, hugging_face.md section 1.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar, cast

from marshmallow import RAISE, Schema, ValidationError, fields, missing

from esinfer import java
from esinfer.errors import (
    ElasticsearchError,
    IllegalArgument,
    IllegalState,
    NumberFormat,
    XContentParseError,
)
from esinfer.json_reader import (
    NOTHING,
    Token,
    WireFloat,
    locate,
    locate_end,
    token_of,
)
from esinfer.json_schema import REFERENCE, Json, number, object_schema
from esinfer.similar import did_you_mean

Text = Callable[[], bytes]
"""Gives the JSON text in which places are counted."""

Path = tuple[str | int, ...]
"""Steps into a JSON value: names of members, indexes of elements."""

T = TypeVar("T")

STRING = frozenset({Token.VALUE_STRING})
NUMBER = frozenset({Token.VALUE_NUMBER, Token.VALUE_STRING})
BOOLEAN = frozenset({Token.VALUE_BOOLEAN, Token.VALUE_STRING})
OBJECT = frozenset({Token.START_OBJECT})
STRING_ARRAY = frozenset({Token.START_ARRAY, Token.VALUE_STRING})


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field, before its place is known.

    The place is that of the value, or of the key; ``steps`` lead further into
    the value, to where reading stopped, ``at_end`` to the end of what is there.
    """

    text: str
    cause: ElasticsearchError | Nested | None = None
    at_key: bool = False
    steps: Path = ()
    at_end: bool = False


@dataclass(frozen=True, slots=True)
class Nested:
    """The problem of a parser inside a field; ``steps`` lead to it from the field's value."""

    parser: str
    steps: Path
    problem: Problem


def invalid(problem: Problem) -> ValidationError:
    """Hand a problem to marshmallow."""
    return ValidationError([problem])


class ObjectParser(Schema):
    """A schema with a parser's name; load bodies with ``parse``."""

    parser_name: ClassVar[str]

    examples: ClassVar[Mapping[str, object]] = {}
    """Bodies that it takes, by name, for whoever reads the documentation."""

    class Meta:
        unknown = RAISE

    def json_schema(self) -> Json:
        """What is accepted, as far as JSON Schema can say it."""
        return object_schema(self)

    def parse(self, value: object, text: Text) -> Any:
        """Load ``value``; the first problem in document order is raised."""
        if not isinstance(value, dict):
            raise _no_object(self.parser_name, value, text)
        members = self._load_plainly(value)
        if members is not None:
            return members
        try:
            return self.load(value)
        except ValidationError as error:
            problems = cast("Mapping[str, Sequence[object]]", error.messages)
        raise self._first(problems, value, text)

    def _load_plainly(self, value: Mapping[str, object]) -> dict[str, Any] | None:
        """What ``load`` gives where nothing is wrong and no option of marshmallow's is used.

        None for everything else. It spares a request some fifteen microseconds.
        """
        known = self._plain_fields
        try:
            if known is None or not self._required <= value.keys():
                return None
            return {
                name: known[name].deserialize(member, name, value) for name, member in value.items()
            }
        except (KeyError, ValidationError):
            return None

    @cached_property
    def _plain_fields(self) -> Mapping[str, WireField[Any]] | None:
        """The fields, if each does no more than to read the member of its name."""
        is_strict = self.unknown == RAISE and not any(self._hooks.values())
        is_plain = is_strict and all(map(_is_plain, self.fields.items()))
        return cast("Mapping[str, WireField[Any]]", self.fields) if is_plain else None

    @cached_property
    def _required(self) -> frozenset[str]:
        return frozenset(name for name, field in self.fields.items() if field.required)

    def missing(self, names: Sequence[str]) -> ElasticsearchError:
        """The error for required fields that are absent."""
        return IllegalArgument(reason=f"Required [{', '.join(names)}]")

    def find_problem(
        self, problems: Mapping[str, Sequence[object]], value: Mapping[str, object]
    ) -> tuple[str, Problem] | None:
        """The key that fails first in the document, and what is wrong with it."""
        for key in value:
            if key in problems:
                (first, *_) = problems[key]
                return key, first if isinstance(first, Problem) else self._unknown(key)
        return None

    def _first(
        self, problems: Mapping[str, Sequence[object]], value: Mapping[str, object], text: Text
    ) -> ElasticsearchError:
        found = self.find_problem(problems, value)
        if found is None:
            return self.missing(list(problems))
        key, problem = found
        return _place(self.parser_name, (key,), problem, text())

    def _unknown(self, key: str) -> Problem:
        hint = did_you_mean(key, self.fields)
        return Problem(f"unknown field [{key}]{hint and ' ' + hint}", at_key=True)


def _is_plain(named: tuple[str, fields.Field[Any]]) -> bool:
    name, field = named
    return (
        isinstance(field, WireField)
        and field.data_key in (None, name)
        and field.attribute in (None, name)
        and field.load_default is missing
        and not (field.validators or field.pre_load or field.post_load)
    )


def _no_object(parser: str, value: object, text: Text) -> XContentParseError:
    expected = f"Expected {Token.START_OBJECT} but was:"
    if value is NOTHING:  # there is no token, and Java prints that
        return XContentParseError(line=1, column=1, problem=f"[{parser}] {expected} null")
    return _place(parser, (), Problem(f"{expected} {token_of(value)}"), text())


def _place(parser: str, path: Path, problem: Problem, data: bytes) -> XContentParseError:
    at = (*path, *problem.steps)
    if problem.at_end:
        place = locate_end(data, at)
    else:
        key, place = locate(data, at)
        place = key if problem.at_key else place
    error = XContentParseError(
        line=place.line, column=place.column, problem=f"[{parser}] {problem.text}"
    )
    cause = problem.cause
    if isinstance(cause, Nested):
        error.__cause__ = _place(cause.parser, (*path, *cause.steps), cause.problem, data)
    else:
        error.__cause__ = cause
    return error


_JSON_TYPES = {
    Token.START_ARRAY: "array",
    Token.START_OBJECT: "object",
    Token.VALUE_BOOLEAN: "boolean",
    Token.VALUE_NULL: "null",
    Token.VALUE_NUMBER: "number",
    Token.VALUE_STRING: "string",
}


class WireField(fields.Field[T], Generic[T]):
    """A field that takes certain tokens and may refuse the value in Java's words."""

    tokens: ClassVar[frozenset[Token]]

    def deserialize(
        self,
        value: object,
        attr: str | None = None,
        data: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        if value is None:  # marshmallow would answer for the field; ObjectParser names the token
            return self._deserialize(value, attr, data, **kwargs)
        return super().deserialize(value, attr, data, **kwargs)

    def _deserialize(
        self,
        value: object,
        attr: str | None,
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's signature
        **kwargs: Any,  # noqa: ARG002 - marshmallow's signature
    ) -> T:
        token = token_of(value)
        if token not in self.tokens:
            raise invalid(Problem(f"{attr} doesn't support values of type: {token}"))
        try:
            return self.read(value)
        except ElasticsearchError as cause:
            raise invalid(Problem(f"failed to parse field [{attr}]", cause)) from cause

    def read(self, value: Any) -> T:
        """Turn a value of the declared tokens into the field's; raise to refuse it."""
        raise NotImplementedError

    def json_schema(self) -> Json:
        """What is accepted; here every value that starts with one of the tokens."""
        types = sorted(_JSON_TYPES[token] for token in self.tokens if token in _JSON_TYPES)
        return {"type": types if len(types) > 1 else types[0]}


class TextField(WireField[str]):
    tokens = STRING

    def read(self, value: str) -> str:
        return value


class MapField(WireField[dict[str, object]]):
    tokens = OBJECT

    def read(self, value: dict[str, object]) -> dict[str, object]:
        return value


class BooleanField(WireField[bool]):
    tokens = BOOLEAN

    def read(self, value: bool | str) -> bool:
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise IllegalArgument(
            reason=f"Failed to parse value [{value}] as only [true] or [false] are allowed."
        )

    def json_schema(self) -> Json:
        return {"enum": [True, False, "true", "false"]}


class IntegerField(WireField[int]):
    """An int or long; like Java's it takes numbers in strings and drops fractions."""

    tokens = NUMBER
    bits: ClassVar[int] = 32
    java_name: ClassVar[str] = "an integer"

    def read(self, value: float | str) -> int:
        try:
            whole = value if type(value) is int else _whole(value)
        except ValueError:
            raise NumberFormat(text=value) from None
        except OverflowError:
            whole = 1 << self.bits  # beyond any double, so beyond the range too
        if not -(2 ** (self.bits - 1)) <= whole < 2 ** (self.bits - 1):
            text = value.text if isinstance(value, WireFloat) else value
            raise IllegalArgument(reason=f"Value [{text}] is out of range for {self.java_name}")
        return whole

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the greatest number that are accepted."""
        return -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1

    def json_schema(self) -> Json:
        low, high = self.bounds
        return number({"minimum": low, "maximum": high}, _DECIMAL.pattern)


_DECIMAL = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


def _whole(value: float | str) -> int:
    """A number's whole part; of texts only what Java reads, which ``1_0`` is not."""
    if isinstance(value, str):
        if not _DECIMAL.fullmatch(value):
            raise ValueError(value)
        with suppress(ValueError):
            return int(value)
    return int(float(value))


class LongField(IntegerField):
    bits = 64
    java_name = "a long"


_FLOAT = re.compile(
    r"\s*([+-]?(?:NaN|Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))[fFdD]?\s*", re.ASCII
)


class FloatField(WireField[float]):
    """A float; like Java's it takes numbers in strings."""

    tokens = NUMBER

    def read(self, value: float | str) -> float:
        if not isinstance(value, str):
            return _float(value)
        found = _FLOAT.fullmatch(value)
        if found is None:
            raise NumberFormat(text=value)
        return float(found[1])

    def json_schema(self) -> Json:
        return number({}, _FLOAT.pattern)


def _float(value: float) -> float:
    return float(str(value)) if isinstance(value, int) else float(value)  # 10**400 is infinite


class StringsField(WireField[tuple[str, ...]]):
    """A string or an array of scalars, each taken as its text."""

    tokens = STRING_ARRAY

    def read(self, value: str | list[object]) -> tuple[str, ...]:
        if isinstance(value, str):
            return (value,)
        if all(type(item) is str for item in value):
            return tuple(cast("list[str]", value))
        return tuple(_texts(value))

    def json_schema(self) -> Json:
        return {**super().json_schema(), "items": {"type": ["string", "number", "boolean"]}}


def _texts(items: Iterable[object]) -> Iterable[str]:
    for item in items:
        token = token_of(item)
        if token is Token.START_ARRAY:
            raise IllegalState(reason=f"expected value but got [{token}]")
        if token in (Token.VALUE_NULL, Token.START_OBJECT):
            raise IllegalState(reason=f"Can't get text on a {token}")
        yield item.text if isinstance(item, WireFloat) else java.text(item)


class NestedField(WireField[T]):
    """An object read by a parser of its own; its problem becomes the cause."""

    tokens = OBJECT

    def __init__(self, parser: ObjectParser, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parser = parser

    def _deserialize(
        self,
        value: object,
        attr: str | None,
        data: Mapping[str, Any] | None,
        **kwargs: Any,
    ) -> T:
        try:
            return super()._deserialize(value, attr, data, **kwargs)
        except ValidationError as error:
            if not isinstance(error.messages, dict):
                raise
            found = self.parser.find_problem(error.messages, cast("dict[str, object]", value))
            raise invalid(self._wrap(attr, found, error.messages)) from error

    def _wrap(
        self,
        attr: str | None,
        found: tuple[str, Problem] | None,
        messages: Mapping[str, object],
    ) -> Problem:
        text = f"failed to parse field [{attr}]"
        if found is None:
            return Problem(text, self.parser.missing(list(messages)))
        key, problem = found
        return Problem(text, Nested(self.parser.parser_name, (key,), problem))

    def read(self, value: dict[str, object]) -> T:
        return cast("T", self.parser.load(value))

    def json_schema(self) -> Json:
        return {REFERENCE: self.parser}
