"""What fields say of what they accept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from marshmallow import Schema, fields

import esinfer.cli  # noqa: F401 - all fields there are
from esinfer.json_schema import NoJsonSchema, field_schema, object_schema, plain
from esinfer.map_fields import Boolean, Integer, MapSchema, PositiveInteger
from esinfer.object_parser import (
    BooleanField,
    FloatField,
    IntegerField,
    LongField,
    ObjectParser,
    StringsField,
    TextField,
)
from esinfer.twin.fields import CountField, DurationField, RatioField, SizeField


def field_classes(base: type[fields.Field[Any]]) -> Iterator[type[fields.Field[Any]]]:
    for each in base.__subclasses__():
        if each.__module__.startswith("esinfer."):
            yield each
        yield from field_classes(each)


@pytest.mark.parametrize("field", sorted(set(field_classes(fields.Field)), key=str))
def test_every_field_class_says_what_it_accepts(field: type[fields.Field[Any]]) -> None:
    assert hasattr(field, "json_schema")


class Parser(ObjectParser):
    """A ``parser``
    of things.

    And more.
    """

    parser_name = "parser"

    text = TextField(required=True, metadata={"description": "words", "label": "Text"})
    asked = TextField(metadata={"required": True, "sensitive": True})
    low = IntegerField(data_key="min")


def test_object_has_its_members_their_names_and_what_is_required() -> None:
    number = object_schema(Parser())["properties"]["min"]
    assert object_schema(Parser()) == {
        "type": "object",
        "description": "A `parser` of things.",
        "properties": {
            "text": {"type": "string", "description": "words"},
            "asked": {"type": "string", "writeOnly": True},
            "min": number,
        },
        "required": ["text", "asked"],
        "additionalProperties": False,
    }


def test_field_without_words_is_refused() -> None:
    schema = Schema.from_dict({"place": fields.String()})()
    with pytest.raises(NoJsonSchema, match=r"String \[place\] has no json_schema"):
        object_schema(schema)


def test_first_paragraph_of_a_docstring_is_one_line() -> None:
    assert plain("\n  One ``two``\n  three.\n\n  Four.") == "One `two` three."


WIRE: list[tuple[fields.Field[Any], list[object]]] = [
    (TextField(), ["", "a", 1, None, [], {}, True]),
    (BooleanField(), [True, "true", "false", "yes", 1, None]),
    (IntegerField(), [1, -1.5, "2", " 2.5e1 ", "x", "1_0", 2**31, -(2**31), True, None, []]),
    (LongField(), [2**31, 2**63, -(2**63), "1"]),
    (FloatField(), [1, 1.5, "1.5f", "NaN", "x", True, None]),
    (StringsField(), ["a", ["a", 1, True], [None], [["a"]], [], 1, {}, None]),
    (CountField(1, 5), [0, 1, 5, 6, "3", "x"]),
    (RatioField(1), [0, 0.5, 1, 1.5, -1, "0.5", "-1"]),
    (DurationField(), ["1s", "1.5 MS", "0", "2h5", "5", "-1s", 5]),
    (SizeField(), ["1kb", "1.5 MB", "1tb", "5", 5]),
]


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in WIRE for value in values]
)
def test_schema_accepts_what_the_field_accepts(field: fields.Field[Any], value: object) -> None:
    parser = type("_Parser", (ObjectParser,), {"parser_name": "p", "value": field})()
    schema = field_schema(parser.fields["value"])
    assert Draft202012Validator(schema).is_valid(value) is (not parser.validate({"value": value}))


class Settings(MapSchema):
    scope = "settings"
    flag = Boolean()
    count = Integer(required=True)
    size = PositiveInteger(minimum=10)


@pytest.mark.parametrize(
    "value",
    [
        {"count": 1},
        {"count": None},
        {},
        {"count": 2**31},
        {"count": "1"},
        {"count": 1, "flag": None, "size": None},
        {"count": 1, "flag": "true"},
        {"count": 1, "size": 9},
        {"count": 1, "size": 10},
        {"count": 1, "other": 1},
    ],
)
def test_schema_accepts_what_the_settings_accept(value: dict[str, object]) -> None:
    schema = Settings().json_schema()
    assert Draft202012Validator(schema).is_valid(value) is (not Settings().validate(value))
