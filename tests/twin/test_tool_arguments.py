import pytest

from esinfer.twin.tool_arguments import fill


def filled(schema: object, **root: object) -> object:
    """What stands for one required property of that schema."""
    properties = {"a": schema, "b": {"type": "string"}}
    parameters = {"type": "object", "properties": properties, "required": ["a"], **root}
    arguments = fill(parameters)
    assert list(arguments) == ["a"]
    return arguments["a"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "string"),
        ({"type": "integer"}, 1),
        ({"type": "number"}, 1.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": "array"}, []),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "object"}, {}),
        ({"type": "object", "properties": {"x": {"type": "integer"}}}, {}),
        (
            {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x", "y"]},
            {"x": 1, "y": None},
        ),
        ({"type": ["integer", "null"]}, 1),
        ({"type": "string", "enum": ["c", "f"]}, "c"),
        ({"type": "string", "default": "d", "enum": ["c"]}, "d"),
        ({"type": "string", "const": "k", "default": "d"}, "k"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"oneOf": [{"const": None}]}, None),
        ({"allOf": [{"$ref": "#/$defs/unit"}]}, "c"),
        ({"$ref": "#/$defs/unit"}, "c"),
        ({"$ref": "#/$defs/none"}, None),
        ({"$ref": "elsewhere.json"}, None),
        ({"type": "file"}, None),
        ({"type": 3}, None),
        ({"type": []}, None),
        ({}, None),
        (True, None),
        (None, None),
    ],
)
def test_a_value_is_filled_in(schema: object, expected: object) -> None:
    assert filled(schema, **{"$defs": {"unit": {"enum": ["c", "f"]}}}) == expected


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        [],
        "object",
        {},
        {"type": "object", "properties": {"x": {"type": "string"}}},
        {"properties": {"x": {}}, "required": "x"},
        {"properties": [], "required": ["x"]},
    ],
)
def test_where_nothing_is_required_there_are_no_arguments(parameters: object) -> None:
    assert fill(parameters) == {}


def test_arguments_stand_in_the_order_in_which_they_are_required() -> None:
    properties = {name: {"type": "integer"} for name in "abc"}
    assert list(fill({"properties": properties, "required": ["c", 1, "a"]})) == ["c", "a"]


def test_a_schema_that_refers_to_itself_comes_to_an_end() -> None:
    schema = {"properties": {"x": {"$ref": "#"}, "y": {"$ref": "#"}}, "required": ["x", "y"]}
    arguments = fill({**schema, "type": "object"})
    assert str(arguments).count("{") <= 65
    assert fill({"properties": {"x": {"$ref": "#/properties/x"}}, "required": ["x"]}) == {"x": None}
