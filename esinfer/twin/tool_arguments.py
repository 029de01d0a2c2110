"""Arguments for a function call, made from the JSON schema of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

_Schema: TypeAlias = Mapping[str, Any]

_MOST_VALUES: Final = 64
"""So many values are filled in; what is left is null. Schemas may refer to themselves."""


def fill(schema: object) -> dict[str, object]:
    """An object with what ``schema`` requires, in the order in which it requires it.

    A value is the ``const``, the ``default`` or the first of the ``enum``;
    else ``"string"``, ``1``, ``1.5``, ``true``, ``null``, an array of one item
    or an object in turn, by its ``type`` (the first of several). ``$ref`` is
    followed inside the schema, of ``anyOf``, ``oneOf`` and ``allOf`` the first
    one is taken. What fits none of these is null.
    """
    root = schema if isinstance(schema, dict) else {}
    return _Filler(root).object(root)


class _Filler:
    __slots__ = ("_left", "_root")

    def __init__(self, root: _Schema) -> None:
        self._root = root
        self._left = _MOST_VALUES

    def object(self, schema: _Schema) -> dict[str, Any]:
        match schema:
            case {"properties": dict(properties), "required": list(required)}:
                names = [name for name in required if isinstance(name, str)]
                return {name: self.value(properties.get(name)) for name in names}
            case _:
                return {}

    def value(self, schema: Any) -> Any:
        if not self._left or not isinstance(schema, dict):
            return None
        self._left -= 1
        match schema:
            case {"const": value} | {"default": value} | {"enum": [value, *_]}:
                return value
            case {"$ref": str(pointer)}:
                return self.value(self._referred(pointer))
            case {"anyOf": [first, *_]} | {"oneOf": [first, *_]} | {"allOf": [first, *_]}:
                return self.value(first)
            case {"type": [str(name), *_]} | {"type": str(name)}:
                return _BY_TYPE.get(name, _null)(self, schema)
            case _:
                return None

    def array(self, schema: _Schema) -> list[Any]:
        return [self.value(schema["items"])] if "items" in schema else []

    def _referred(self, pointer: str) -> Any:
        found: Any = self._root
        for part in pointer.removeprefix("#/").split("/"):
            found = found.get(part) if isinstance(found, dict) else None
        return found


def _null(_filler: _Filler, _schema: _Schema) -> None:
    return None


_BY_TYPE: Final[Mapping[str, Callable[[_Filler, _Schema], object]]] = {
    "string": lambda _filler, _schema: "string",
    "integer": lambda _filler, _schema: 1,
    "number": lambda _filler, _schema: 1.5,
    "boolean": lambda _filler, _schema: True,
    "array": _Filler.array,
    "object": _Filler.object,
}
