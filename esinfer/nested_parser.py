"""Objects beneath a field, read the way Elasticsearch's ConstructingObjectParser reads them.

Every level names its own problem, and the one beneath it as the cause. The
place of the innermost is its own; the levels above it tell where the reader
stood by then, such as the end of an object that lacks a member.

Source: rest.md sections 6.3 and 7.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeVar, cast

from marshmallow import ValidationError, post_load

from esinfer.errors import ElasticsearchError, IllegalArgument, IllegalState, XContentParseError
from esinfer.json_reader import Token, token_of
from esinfer.json_schema import REFERENCE, Json, any_of, array
from esinfer.object_parser import (
    OBJECT,
    Nested,
    ObjectParser,
    Path,
    Problem,
    WireField,
    invalid,
)

T = TypeVar("T")

OBJECT_OR_STRING = OBJECT | {Token.VALUE_STRING}
OBJECT_ARRAY = OBJECT | {Token.START_ARRAY}


class UnplacedParseError(XContentParseError):
    """A parse error that Elasticsearch raises without a place."""

    template = "{problem}"


class StoppedReading(Exception):
    """Reading a field stopped beneath it: why, and on which token.

    ``steps`` lead from the field's value to the token; ``at_end`` says that it
    is the end of the object or array there.
    """

    def __init__(
        self, cause: ElasticsearchError | Nested, steps: Path = (), *, at_end: bool = False
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.steps = steps
        self.at_end = at_end


class DeepField(WireField[T]):
    """A field whose ``read`` may stop beneath its value, and says where."""

    def _deserialize(
        self,
        value: object,
        attr: str | None,
        data: Mapping[str, Any] | None,
        **kwargs: Any,
    ) -> T:
        try:
            return super()._deserialize(value, attr, data, **kwargs)
        except StoppedReading as stop:
            text = f"failed to parse field [{attr}]"
            problem = Problem(text, stop.cause, steps=stop.steps, at_end=stop.at_end)
            raise invalid(problem) from stop


def parse_object(parser: ObjectParser, value: dict[str, object], steps: Path = ()) -> Any:
    """Load the object to which ``steps`` lead; StoppedReading if its parser refuses it."""
    try:
        return parser.load(value)
    except ElasticsearchError as cause:
        raise StoppedReading(cause, steps, at_end=True) from cause
    except ValidationError as error:
        problems = cast("dict[str, list[object]]", error.messages)
        found = parser.find_problem(problems, value)
        if found is None:
            missing = parser.missing(list(problems))
            raise StoppedReading(missing, steps, at_end=True) from error
        raise _stopped(parser, (*steps, found[0]), found[1]) from error


def _stopped(parser: ObjectParser, steps: Path, problem: Problem) -> StoppedReading:
    nested = Nested(parser.parser_name, steps, problem)
    return StoppedReading(nested, (*steps, *problem.steps), at_end=problem.at_end)


class ObjectField(DeepField[dict[str, Any]]):
    """An object read by a parser of its own."""

    tokens = OBJECT

    def __init__(self, parser: ObjectParser, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parser = parser

    def read(self, value: dict[str, object]) -> dict[str, Any]:
        return cast("dict[str, Any]", parse_object(self.parser, value))

    def json_schema(self) -> Json:
        return {REFERENCE: self.parser}


class ObjectsField(DeepField[tuple[dict[str, Any], ...]]):
    """An array of objects, each read by the same parser; a single object will do."""

    tokens = OBJECT_ARRAY

    def __init__(self, parser: ObjectParser, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parser = parser

    def read(self, value: dict[str, object] | list[object]) -> tuple[dict[str, Any], ...]:
        if isinstance(value, dict):
            return (parse_object(self.parser, value),)
        return tuple(self._items(value))

    def json_schema(self) -> Json:
        return any_of(array(self.parser), self.parser)

    def _items(self, items: list[object]) -> Iterator[dict[str, Any]]:
        remaining = iter(enumerate(items))
        for index, item in remaining:
            if isinstance(item, list):
                reason = f"expected value but got [{Token.START_ARRAY}]"
                raise StoppedReading(IllegalState(reason=reason), (index,))
            at, found = index, item
            if not isinstance(item, dict):  # ObjectParser then looks at the token after it
                at, found = next(remaining, (-1, None))
            if not isinstance(found, dict):
                raise self._no_object(at, found)
            yield parse_object(self.parser, found, (at,))

    def _no_object(self, at: int, found: object) -> StoppedReading:
        token = token_of(found) if at >= 0 else Token.END_ARRAY
        problem = Problem(f"Expected {Token.START_OBJECT} but was: {token}", at_end=at < 0)
        return _stopped(self.parser, (at,) if at >= 0 else (), problem)


class ConstructingParser(ObjectParser):
    """A parser that makes something of the members; what refuses them is wrapped once more.

    Elasticsearch builds as soon as the last declared member has arrived, or
    else at the end of the object, and the place of the error tells which.
    """

    needs_one_of: ClassVar[tuple[str, ...]] = ()
    """Names of which at least one must be there."""

    def build(self, members: dict[str, Any]) -> Any:
        """Make the value; raise an ElasticsearchError to refuse the members."""
        raise NotImplementedError

    def json_schema(self) -> Json:
        described = super().json_schema()
        if not self.needs_one_of:
            return described
        return {**described, **any_of(*({"required": [name]} for name in self.needs_one_of))}

    @post_load(pass_original=True)
    def _construct(
        self, members: dict[str, Any], original: Mapping[str, object], **_: object
    ) -> Any:
        if self.needs_one_of and not set(self.needs_one_of) & set(members):
            names = ", ".join(self.needs_one_of)
            raise IllegalArgument(
                reason=f"Required one of fields [{names}], but none were specified."
            )
        try:
            return self.build(members)
        except ElasticsearchError as cause:
            failure = UnplacedParseError(
                problem=f"Failed to build [{self.parser_name}] after last required field arrived"
            )
            if len(original) < len(self.fields):
                raise failure from cause
            failure.__cause__ = cause
            last = next(reversed(list(original)))
            problem = Problem(f"failed to parse field [{last}]", failure)
            raise ValidationError({last: [problem]}) from cause
