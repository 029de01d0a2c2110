"""Settings that are read from a plain map: exact types, Java's words, every problem at once."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import Schema, ValidationError

from esinfer.map_fields import Boolean, Integer, MapSchema, PositiveInteger, wrong_type


class Section(MapSchema):
    scope = "some_settings"

    flag = Boolean()
    count = Integer()
    size = PositiveInteger(minimum=20)
    top = PositiveInteger(required=True)


def problems(**settings: object) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as raised:
        Section().load(settings)
    found: dict[str, list[str]] = raised.value.messages_dict
    return found


def test_values_of_the_right_type_are_loaded_as_they_are() -> None:
    settings = {"flag": False, "count": -(2**31), "size": 20, "top": 1}
    assert Section().load(settings) == settings


def test_null_is_absent() -> None:
    assert Section().load({"flag": None, "count": None, "size": None, "top": 1}) == {"top": 1}
    assert (
        problems(top=None)
        == problems()
        == {"top": ["[some_settings] does not contain the required setting [top]"]}
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("true", "true"),
        ("5", "5"),
        (1.0, "1.0"),
        (1e7, "1.0E7"),
        (2**31, "2147483648"),
        (2**70, "1180591620717411303424"),
        ([1, None], "[1, null]"),
        ({"a": {"b": "c"}}, "{a={b=c}}"),
    ],
)
def test_value_of_another_type_is_refused_as_java_prints_it(value: object, shown: str) -> None:
    for name, java_type in (("flag", "Boolean"), ("count", "Integer"), ("size", "Integer")):
        assert problems(top=1, **{name: value}) == {name: [wrong_type(name, value, java_type)]}
        assert wrong_type(name, value, java_type) == (
            f"field [{name}] is not of the expected type."
            f" The value [{shown}] cannot be converted to a [{java_type}]"
        )


@pytest.mark.parametrize(("name", "value"), [("count", True), ("flag", 1), ("flag", 0)])
def test_a_boolean_is_no_integer_and_no_integer_a_boolean(name: str, value: object) -> None:
    assert list(problems(top=1, **{name: value})) == [name]


@pytest.mark.parametrize("value", [0, -1, -(2**31)])
def test_positive_integer_is_above_zero(value: int) -> None:
    text = f"[some_settings] Invalid value [{value}]. [{{}}] must be a positive integer"
    assert problems(size=value, top=value) == {
        "size": [text.format("size")],
        "top": [text.format("top")],
    }


@pytest.mark.parametrize("value", [1, 19])
def test_minimum_is_printed_as_java_prints_a_double(value: int) -> None:
    assert problems(size=value, top=1) == {
        "size": [
            f"[some_settings] Invalid value [{value}.0]."
            " [size] must be greater than or equal to [20.0]"
        ]
    }


def test_problems_of_all_settings_are_found() -> None:
    assert set(problems(flag="x", count="x", size=0)) == {"flag", "count", "size", "top"}


def test_setting_needs_the_name_of_its_section() -> None:
    schema: Any = Schema.from_dict({"top": PositiveInteger()})()
    with pytest.raises(TypeError, match="top stands in no MapSchema"):
        schema.load({"top": 0})
