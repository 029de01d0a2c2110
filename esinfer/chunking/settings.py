"""Chunking settings: from the ``chunking_settings`` of a request to a value, and back.

Each strategy is one schema, the only statement of its keys and limits. All
that is wrong with a strategy's settings reaches the caller through
``StrategySchema.handle_error``, in Elasticsearch's order.
Source: chunking.md section 1; the separator groups: section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, NoReturn

from marshmallow import (
    EXCLUDE,
    ValidationError,
    fields,
    post_load,
    validate,
    validates_schema,
)

from esinfer.errors import IllegalArgument, NullPointer, ValidationFailed
from esinfer.java import double, hash_map_order, text
from esinfer.json_schema import Json, Named, any_of, const
from esinfer.map_fields import Integer, MapSchema, PositiveInteger, Setting, wrong_type

# -- values -----------------------------------------------------------------


class _Settings:
    __slots__ = ()
    strategy: ClassVar[str]

    def to_wire(self) -> dict[str, object]:
        """The settings as Elasticsearch echoes them, defaults filled in."""
        return dict(_SCHEMAS[self.strategy].dump(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class WordSettings(_Settings):
    """Chunks of ``max_chunk_size`` words; each repeats the last ``overlap`` words before it."""

    strategy = "word"
    max_chunk_size: int
    overlap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceSettings(_Settings):
    """Chunks of whole sentences, ``max_chunk_size`` words at most; ``sentence_overlap`` 0 or 1."""

    strategy = "sentence"
    max_chunk_size: int
    sentence_overlap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecursiveSettings(_Settings):
    """Chunks cut at one separator after the other until ``max_chunk_size`` words hold.

    ``separators`` are Java regexes, not compiled yet: a bad one fails when a
    text is chunked.
    """

    strategy = "recursive"
    max_chunk_size: int
    separators: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneSettings(_Settings):
    """No chunking: the whole input is one chunk."""

    strategy = "none"


ChunkingSettings = WordSettings | SentenceSettings | RecursiveSettings | NoneSettings

DEFAULT = SentenceSettings(max_chunk_size=250, sentence_overlap=1)
"""The settings of an endpoint whose request has none."""


class SeparatorGroup(Enum):
    """Separators under a name; the echo shows the separators, never the name.

    Each markdown separator opens with a real line feed; every other line feed
    is the regex escape, backslash and n.
    """

    MARKDOWN = (
        *("\n" + "#" * level + " " for level in range(1, 7)),
        "\n" + r"^(?!\s*$).*\n-{1,}\n",
        "\n" + r"^(?!\s*$).*\n={1,}\n",
    )
    PLAINTEXT = (r"(?<!\n)\n\n(?!\n)", r"(?<!\n)\n(?!\n)")


# -- fields -----------------------------------------------------------------

_INVALID = "[chunking_settings] Invalid value"
_MOST_SEPARATORS = 50
_TRIMMED = "".join(map(chr, range(0x21)))
"""What Java's ``String.trim`` takes off."""


class GroupName(Setting):
    """The name of a separator group, in any case and with blanks round it."""

    java_type = "String"

    def _deserialize(self, value: Any, *args: object, **kwargs: object) -> SeparatorGroup:
        name: str = super()._deserialize(value, *args, **kwargs)
        if not name:
            problem = f"{_INVALID} empty string. [{self.name}] must be a non-empty string"
            raise ValidationError(problem)
        group = SeparatorGroup.__members__.get(name.strip(_TRIMMED).upper())
        if group is None:
            choice = f"must be one of [{', '.join(SeparatorGroup.__members__).lower()}]"
            raise ValidationError(f"{_INVALID} [{name}] received. [{self.name}] {choice}")
        return group

    def json_schema(self) -> Json:
        return {"enum": [*map(str.lower, SeparatorGroup.__members__), None]}


class Strings(Setting):
    """A list of strings; each member that is none is a problem of its own."""

    java_type = "List"

    def _deserialize(self, value: Any, *args: object, **kwargs: object) -> tuple[str, ...]:
        members: list[Any] = super()._deserialize(value, *args, **kwargs)
        if None in members:
            raise NullPointer(reason='Cannot invoke "Object.getClass()" because "o" is null')
        strangers = [member for member in members if not isinstance(member, str)]
        if strangers:
            raise ValidationError([wrong_type(self.name, item, "String") for item in strangers])
        return tuple(members)

    def json_schema(self) -> Json:
        bounds = {"minItems": 1, "maxItems": _MOST_SEPARATORS}
        return {**super().json_schema(), "items": {"type": "string"}, **bounds}

    def _serialize(self, value: Any, *_args: object, **_kwargs: object) -> list[str]:
        return list(value)


# -- schemas ----------------------------------------------------------------


class StrategyName(fields.Raw):
    """The name by which the schema was chosen."""

    def json_schema(self) -> Json:
        parent = self.parent
        return const(parent.settings.strategy) if isinstance(parent, StrategySchema) else {}


class StrategySchema(MapSchema):
    """The keys of one strategy, in the order of the echo and of the checks.

    A field whose metadata has ``checked_after`` is not checked if the field
    named there is wrong.
    """

    scope = "chunking_settings"
    label: ClassVar[str]
    settings: ClassVar[type[ChunkingSettings]]
    strategy = StrategyName(required=True)

    @post_load
    def build(self, values: dict[str, Any], **_options: object) -> ChunkingSettings:
        del values["strategy"]
        return self.settings(**values)

    def handle_error(
        self, error: ValidationError, data: Mapping[str, object], **_options: object
    ) -> NoReturn:
        """Make one list of all problems: the unknown keys, then field by field."""
        raise ValidationFailed([*self._unknown(data), *self._wrong(error.messages_dict)])

    def _unknown(self, data: Mapping[str, object]) -> Iterator[str]:
        unknown = [key for key in hash_map_order(data) if key not in self.fields]
        if unknown:
            tail = f"chunking settings can not have the following settings: {text(unknown)}"
            yield f"{self.label} {tail}"

    def _wrong(self, problems: Mapping[str, list[str]]) -> Iterator[str]:
        for name, field in self.fields.items():
            if field.metadata.get("checked_after") not in problems:
                yield from problems.get(name, [])


class WordSchema(StrategySchema):
    label = "Word based"
    settings = WordSettings
    max_chunk_size = PositiveInteger(required=True, minimum=10)
    overlap = PositiveInteger(required=True, metadata={"checked_after": "max_chunk_size"})

    @validates_schema(skip_on_field_errors=False)
    def limit_overlap(self, values: Mapping[str, int], **_options: object) -> None:
        if not values.keys() >= {"max_chunk_size", "overlap"}:
            return
        overlap, maximum = values["overlap"], values["max_chunk_size"] // 2
        if overlap > maximum:
            bound = f"must be less than or equal to [{double(maximum)}]"
            raise ValidationError(f"{_INVALID} [{double(overlap)}]. [overlap] {bound}", "overlap")


class SentenceSchema(StrategySchema):
    label = "Sentence based"
    settings = SentenceSettings
    max_chunk_size = PositiveInteger(required=True, minimum=20)
    sentence_overlap = Integer(
        load_default=1,
        validate=validate.OneOf((0, 1), error="sentence_overlap[{input}] must be either 0 or 1"),
    )


class RecursiveSchema(StrategySchema):
    label = "Recursive"
    settings = RecursiveSettings
    max_chunk_size = PositiveInteger(required=True, minimum=10)
    separator_group = GroupName(load_only=True)
    separators = Strings()

    @validates_schema(skip_on_field_errors=False)
    def limit_separators(self, values: Mapping[str, Any], **_options: object) -> None:
        if "separators" not in values:
            return
        count = len(values["separators"])
        if "separator_group" in values:
            problem = "Recursive chunking settings can not have both separators and separator_set"
        elif count == 0:
            problem = "Recursive chunking settings can not have an empty list of separators"
        elif count > _MOST_SEPARATORS:
            problem = f"separators list size [{count}] must not exceed [{_MOST_SEPARATORS}]"
        else:
            return
        raise ValidationError(problem, "separators")

    @post_load
    def build(self, values: dict[str, Any], **_options: object) -> ChunkingSettings:
        group = values.pop("separator_group", SeparatorGroup.PLAINTEXT)
        settings: ChunkingSettings = super().build({"separators": group.value, **values})
        return settings

    def json_schema(self) -> Json:
        both = {"separators": {"type": "array"}, "separator_group": {"type": "string"}}
        clash = {"properties": both, "required": list(both)}
        return {**super().json_schema(), "not": clash}


class NoneSchema(StrategySchema):
    settings = NoneSettings

    class Meta:
        """Elasticsearch looks at no other key."""

        unknown = EXCLUDE


_SCHEMAS: Mapping[str, StrategySchema] = {
    schema.settings.strategy: schema
    for schema in (WordSchema(), SentenceSchema(), RecursiveSchema(), NoneSchema())
}


JSON_SCHEMA = Named(
    "ChunkingSettings",
    any_of(
        {"type": "object", "maxProperties": 0},
        *(
            Named(f"{name.capitalize()}Chunking", schema.json_schema())
            for name, schema in _SCHEMAS.items()
        ),
    ),
)
"""What ``load`` takes; an overlap's bound depends on the size and cannot be said."""

# -- loading ----------------------------------------------------------------


def load(value: Mapping[str, object]) -> ChunkingSettings:
    """Read ``chunking_settings``; an empty object gives ``DEFAULT``.

    Raises IllegalArgument for a missing or unknown strategy, NullPointer for
    null as strategy or separator, ValidationFailed for all other problems.
    """
    if not value:
        return DEFAULT
    if "strategy" not in value:
        raise IllegalArgument(reason="Can't generate Chunker without ChunkingStrategy provided")
    settings: ChunkingSettings = _schema(value["strategy"]).load(value)
    return settings


def _schema(strategy: object) -> StrategySchema:
    if strategy is None:
        raise NullPointer(
            reason='Cannot invoke "Object.toString()" because the return value of'
            ' "java.util.Map.get(Object)" is null'
        )
    schema = _SCHEMAS.get(text(strategy))
    if schema is None:
        raise IllegalArgument(reason=f"Invalid chunkingStrategy {text(strategy)}")
    return schema
