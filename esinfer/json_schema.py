"""JSON Schemas of what marshmallow schemas accept: the draft of OpenAPI 3.1, 2020-12.

A field says in its method ``json_schema`` what it accepts; its ``metadata``
may add keywords. Inside a JSON schema a marshmallow schema or a ``Named``
stands for the reference to it, so that nobody here needs to know where the
definitions of a document are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from marshmallow import RAISE, Schema, fields

Json = Mapping[str, Any]

REFERENCE = "$ref"

_KEYWORDS = ("description", "enum", "minItems", "minLength", "minimum", "pattern")
"""What ``metadata`` of a field may add; ``required`` and ``sensitive`` are read too."""


class Named(NamedTuple):  # a dataclass would cost start-up more
    """A JSON schema with a name of its own."""

    name: str
    schema: Json


class NoJsonSchema(TypeError):
    """A field of a class that does not say what it accepts."""


def object_schema(schema: Schema) -> dict[str, Any]:
    """The object that a marshmallow schema loads; NoJsonSchema for a field without words."""
    members = {
        field.data_key or name: field
        for name, field in schema.fields.items()
        if not field.dump_only
    }
    described: dict[str, Any] = {
        "type": "object",
        "properties": {name: field_schema(field) for name, field in members.items()},
    }
    about = type(schema).__doc__
    if about:
        described["description"] = plain(about)
    required = [name for name, field in members.items() if _is_required(field)]
    if required:
        described["required"] = required
    if schema.unknown == RAISE:
        described["additionalProperties"] = False
    return described


def _is_required(field: fields.Field[Any]) -> bool:
    return field.required or bool(field.metadata.get("required"))


def field_schema(field: fields.Field[Any]) -> dict[str, Any]:
    """What a field accepts, with what its ``metadata`` adds."""
    describe = getattr(field, "json_schema", None)
    if describe is None:
        raise NoJsonSchema(f"{type(field).__name__} [{field.name}] has no json_schema")
    added = {name: field.metadata[name] for name in _KEYWORDS if name in field.metadata}
    if field.metadata.get("sensitive"):
        added["writeOnly"] = True
    return {**describe(), **added}


def plain(docstring: str) -> str:
    """A docstring's first paragraph as CommonMark, on one line."""
    first = docstring.strip().split("\n\n")[0]
    return " ".join(first.split()).replace("``", "`")


def number(bounds: Json, pattern: str) -> dict[str, Any]:
    """A number, or a text that Java reads as one."""
    return {
        "anyOf": [{"type": "number", **bounds}, {"type": "string", "pattern": f"^(?:{pattern})$"}]
    }


def record(required: Mapping[str, object], optional: Json | None = None) -> dict[str, Any]:
    """An object with exactly these members."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def array(items: object, **keywords: Any) -> dict[str, Any]:
    """An array whose elements are all of one schema."""
    return {"type": "array", "items": items, **keywords}


def any_of(*schemas: object) -> dict[str, Any]:
    """What fits at least one of the schemas."""
    return {"anyOf": list(schemas)}


def const(value: object) -> dict[str, Any]:
    """A single value."""
    return {"const": value}
