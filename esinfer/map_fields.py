"""marshmallow fields for settings that Elasticsearch reads from a plain map.

No coercion, Java's words for what is wrong, all problems reported together.
The schema names the section in ``scope``, such as ``chunking_settings``.
Source: chunking.md section 1, hugging_face.md section 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, missing

from esinfer.java import class_name, double, text
from esinfer.json_schema import Json, object_schema

_SIMPLE_NAMES = {
    "java.lang.Integer": "Integer",
    "java.lang.Boolean": "Boolean",
    "java.lang.String": "String",
    "java.util.ArrayList": "List",
}


def wrong_type(name: str | None, value: object, java_type: str) -> str:
    """The words for a value of another type than the setting's."""
    return (
        f"field [{name}] is not of the expected type."
        f" The value [{text(value)}] cannot be converted to a [{java_type}]"
    )


class MapSchema(Schema):
    """The keys of one section."""

    scope: ClassVar[str]

    def json_schema(self) -> Json:
        """What is accepted, as far as JSON Schema can say it."""
        return object_schema(self)


_JSON_SCHEMAS: Mapping[str, Json] = {
    "Boolean": {"type": "boolean"},
    "Integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "List": {"type": "array"},
    "String": {"type": "string"},
}


class Setting(fields.Field[Any]):
    """A value of exactly one Java type, without coercion; null counts as absent."""

    java_type: ClassVar[str]

    @property
    def invalid_value(self) -> str:
        """How a problem with the value begins."""
        return f"[{self.scope}] Invalid value"

    @property
    def scope(self) -> str:
        """The section that the setting stands in."""
        parent = self.parent
        if not isinstance(parent, MapSchema):
            raise TypeError(f"{self.name} stands in no MapSchema")
        return parent.scope

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if value is None:
            value = missing
        if value is missing and self.required:
            problem = f"[{self.scope}] does not contain the required setting [{self.name}]"
            raise ValidationError(problem)
        return super().deserialize(value, *args, **kwargs)

    def _deserialize(self, value: Any, *_args: object, **_kwargs: object) -> Any:
        if _SIMPLE_NAMES.get(class_name(value)) != self.java_type:
            raise ValidationError(wrong_type(self.name, value, self.java_type))
        return value

    def json_schema(self) -> Json:
        """What is accepted: the Java type, and null where the setting may be absent."""
        described = _JSON_SCHEMAS[self.java_type]
        return described if self.required else {**described, "type": [described["type"], "null"]}


class Boolean(Setting):
    """True or false, and no text that says so."""

    java_type = "Boolean"


class Integer(Setting):
    """A 32-bit integer: no boolean, no ``250.0``, no Java long."""

    java_type = "Integer"


class PositiveInteger(Integer):
    """An integer from ``minimum`` on; zero and less are worded differently."""

    def __init__(self, *, minimum: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.minimum = minimum

    def _deserialize(self, value: Any, *args: object, **kwargs: object) -> int:
        number: int = super()._deserialize(value, *args, **kwargs)
        if number <= 0:
            raise ValidationError(
                f"{self.invalid_value} [{number}]. [{self.name}] must be a positive integer"
            )
        if number < self.minimum:
            bound = f"must be greater than or equal to [{double(self.minimum)}]"
            raise ValidationError(f"{self.invalid_value} [{double(number)}]. [{self.name}] {bound}")
        return number

    def json_schema(self) -> Json:
        return {**super().json_schema(), "minimum": self.minimum}
