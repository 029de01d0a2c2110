"""The body of chat_completion: from JSON to a request value, or 400.

Members are loaded in the order in which they are declared, which is the order
in which Elasticsearch sends them on. Source: rest.md sections 6.1 and 7.5,
hugging_face.md section 2; the fields are those of the API specification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, ClassVar, TypeVar, cast

from esinfer import java
from esinfer.api.body import Body
from esinfer.chat import ChatRequest
from esinfer.errors import ActionRequestValidation, StatusException
from esinfer.json_reader import Token, token_of
from esinfer.json_schema import Json, Named, any_of, array, const, record
from esinfer.nested_parser import (
    OBJECT_OR_STRING,
    ConstructingParser,
    DeepField,
    ObjectField,
    ObjectsField,
    StoppedReading,
    UnplacedParseError,
    parse_object,
)
from esinfer.object_parser import (
    BOOLEAN,
    NUMBER,
    STRING,
    BooleanField,
    FloatField,
    LongField,
    MapField,
    ObjectParser,
    StringsField,
    TextField,
)

T = TypeVar("T")

# -- content ----------------------------------------------------------------

_CONTENT_TYPES = ("text", "image_url", "file")
_DETAILS = ("auto", "low", "high")
_JAVA_NAMES: Mapping[type, str] = {str: "String", dict: "Map"}


class ContentField(DeepField[object]):
    """A text, or an array of texts, images and files."""

    tokens = STRING | BOOLEAN | NUMBER | {Token.VALUE_NULL, Token.START_ARRAY}

    def read(self, value: object) -> object:
        if isinstance(value, str):
            return value
        if not isinstance(value, list):
            raise UnplacedParseError(
                problem="Expected an array start token or a value string token"
                f" but found token [{token_of(value)}]"
            )
        return [_part(item, index) for index, item in enumerate(value)]

    def json_schema(self) -> Json:
        return any_of({"type": "string"}, array(_CONTENT_PART))


_TEXT: Json = {"type": "string"}
_IMAGE = record({"url": _TEXT}, {"detail": {"enum": [*_DETAILS, None]}})
_CONTENT_PART = Named(
    "ContentPart",
    any_of(
        record({"type": const("text"), "text": _TEXT}),
        record({"type": const("image_url"), "image_url": _IMAGE}),
        record({"type": const("file"), "file": record({"file_data": _TEXT, "filename": _TEXT})}),
    ),
)


def _part(item: object, index: int) -> dict[str, object]:
    is_object = isinstance(item, dict)
    try:
        return _read_part(dict(item) if isinstance(item, dict) else {})
    except StatusException as cause:
        raise StoppedReading(cause, (index,), at_end=is_object) from cause


def _read_part(members: dict[str, object]) -> dict[str, object]:
    kind = _known(_take(members, "type", str, "content"), "content", _CONTENT_TYPES)
    part: dict[str, object]
    match kind:
        case "text":
            part = {"text": _take(members, "text", str, "content")}
        case "image_url":
            part = {"image_url": _image(dict(_take(members, "image_url", dict, "content")))}
        case _:
            part = {"file": _file(dict(_take(members, "file", dict, "content")))}
    _refuse_rest(members, "content")
    return part | {"type": kind}


def _image(members: dict[str, object]) -> dict[str, object]:
    image: dict[str, object] = {"url": _take(members, "url", str, "url")}
    detail = _take_optional(members, "detail", str, "url")
    if detail is not None:
        image["detail"] = _known(detail, "url", _DETAILS)
    _refuse_rest(members, "image_url")
    return image


def _file(members: dict[str, object]) -> dict[str, object]:
    file: dict[str, object] = {
        name: _take(members, name, str, "file") for name in ("file_data", "filename")
    }
    if "file_id" in members:
        raise StatusException(reason="Field [file_id] is not supported for content of type [file]")
    _refuse_rest(members, "file")
    return file


def _take(members: dict[str, object], name: str, kind: type[T], owner: str) -> T:
    value = _take_optional(members, name, kind, owner)
    if value is None:
        raise StatusException(
            reason=f"Field [{name}] in object [{owner}] is required but was not found"
        )
    return value


def _take_optional(members: dict[str, object], name: str, kind: type[T], owner: str) -> T | None:
    value = members.pop(name, None)
    if value is None or isinstance(value, kind):
        return value
    found = java.class_name(value).rpartition(".")[2]
    raise StatusException(
        reason=f"Field [{name}] in object [{owner}] is not of the expected type."
        f" Expected [{_JAVA_NAMES[kind]}] but was [{found}]"
    )


def _refuse_rest(members: Mapping[str, object], owner: str) -> None:
    if members:
        raise StatusException(reason=f"[{owner}] contains unknown fields [{', '.join(members)}]")


def _known(name: str, owner: str, names: Sequence[str]) -> str:
    """The name in lower case, if it is one of those known."""
    known = name.strip().lower()
    if known not in names:
        raise _unrecognized(name, owner, names)
    return known


def _unrecognized(name: str, owner: str, names: Sequence[str]) -> StatusException:
    known = ", ".join(names)
    return StatusException(
        reason=f"Unrecognized type [{name}] in object [{owner}], must be one of [{known}]"
    )


# -- reasoning --------------------------------------------------------------

_EFFORTS = ("xhigh", "high", "medium", "low", "minimal", "none")
_SUMMARIES = ("auto", "concise", "detailed")
_DETAIL_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "reasoning.encrypted": ("data",),
    "reasoning.summary": ("summary",),
    "reasoning.text": ("text", "signature"),
}


class ReasoningParser(ConstructingParser):
    parser_name = "Reasoning"
    needs_one_of = ("effort", "enabled")

    class Meta(ObjectParser.Meta):
        # As an attribute of the class, ``exclude`` would be marshmallow's own.
        include: ClassVar = {"exclude": BooleanField(), "enabled": BooleanField()}

    effort = TextField(metadata={"enum": _EFFORTS})
    summary = TextField(metadata={"enum": _SUMMARIES})

    def build(self, members: dict[str, Any]) -> dict[str, Any]:
        for name, names in (("effort", _EFFORTS), ("summary", _SUMMARIES)):
            if name in members:
                members[name] = _known(members[name], name, names)
        if members.get("enabled") is False and "effort" not in members:
            raise StatusException(reason="When [enabled] is false, [effort] must be specified.")
        return members


class ReasoningDetailParser(ConstructingParser):
    parser_name = "ReasoningDetail"

    type = TextField(required=True, metadata={"enum": tuple(_DETAIL_MEMBERS)})
    format = TextField()
    id = TextField()
    index = LongField(metadata={"minimum": 0})
    data = TextField()
    summary = TextField()
    text = TextField()
    signature = TextField()

    def build(self, members: dict[str, Any]) -> dict[str, Any]:
        kind = members["type"]
        if kind not in _DETAIL_MEMBERS:
            raise _unrecognized(kind, "reasoning_detail_type", tuple(_DETAIL_MEMBERS))
        if members.get("index", 0) < 0:
            raise StatusException(
                reason=f"Field [index] must be non-negative, but was [{members['index']}]"
            )
        self._check_members(kind, members)
        return members

    def _check_members(self, kind: str, members: Mapping[str, Any]) -> None:
        expected = _DETAIL_MEMBERS[kind]
        of_type = f"for reasoning details of type [{kind}]"
        if not set(expected) & set(members):
            names = ", ".join(expected)
            raise StatusException(
                reason=f"Required field [{names}] is missing {of_type}"
                if len(expected) == 1
                else f"At least one of [{names}] must be provided {of_type}"
            )
        for name in ("data", "summary", "text", "signature"):
            if name in members and name not in expected:
                raise StatusException(
                    reason=f"Field [{name}] is not expected {of_type}, but found [{members[name]}]"
                )


# -- tools ------------------------------------------------------------------


class ToolCallFunctionParser(ObjectParser):
    parser_name = "tool_call_function_field"

    arguments = TextField(required=True)
    name = TextField(required=True)


class ToolCallParser(ObjectParser):
    parser_name = "ToolCall"

    id = TextField(required=True)
    function = ObjectField(ToolCallFunctionParser(), required=True)
    type = TextField(required=True)


class SchemaField(MapField):
    """A JSON schema, in numbers that can be sent on."""

    def read(self, value: dict[str, object]) -> dict[str, object]:
        return cast("dict[str, object]", _sendable(value))


def _sendable(value: object) -> object:
    if isinstance(value, dict):
        return {name: _sendable(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_sendable(item) for item in value]
    if isinstance(value, float):
        return float(value) if isfinite(value) else java.double(value)  # as Jackson writes it
    too_long = type(value) is int and not -(2**63) <= value < 2**64
    return float(str(value)) if too_long else value


class ToolFunctionParser(ObjectParser):
    """Elasticsearch sends an absent description or schema as null."""

    parser_name = "tool_function_field"

    description = TextField(load_default=None)
    name = TextField(required=True)
    parameters = SchemaField(load_default=None)
    strict = BooleanField()


class ToolParser(ObjectParser):
    parser_name = "Tool"

    type = TextField(required=True)
    function = ObjectField(ToolFunctionParser(), required=True)


class ToolChoiceFunctionParser(ObjectParser):
    parser_name = "tool_choice_function_field"

    name = TextField(required=True)


class ToolChoiceParser(ObjectParser):
    parser_name = "ToolChoiceObject"

    type = TextField(required=True)
    function = ObjectField(ToolChoiceFunctionParser(), required=True)


class ToolChoiceField(DeepField[object]):
    """``auto`` and its like, or the tool to call."""

    tokens = OBJECT_OR_STRING
    parser = ToolChoiceParser()

    def read(self, value: str | dict[str, object]) -> object:
        return value if isinstance(value, str) else parse_object(self.parser, value)

    def json_schema(self) -> Json:
        return any_of({"type": "string"}, self.parser)


# -- the request ------------------------------------------------------------


class MessageParser(ObjectParser):
    parser_name = "Message"

    content = ContentField(metadata={"description": "What is said."})
    role = TextField(
        required=True, metadata={"description": "`user`, `assistant`, `system` or `tool`."}
    )
    tool_call_id = TextField()
    tool_calls = ObjectsField(ToolCallParser())
    reasoning = TextField()
    reasoning_details = ObjectsField(ReasoningDetailParser())


class ChatParser(ObjectParser):
    parser_name = "UnifiedCompletionRequest"
    examples: ClassVar = {
        "chat_completion": {"messages": [{"role": "user", "content": "Hello"}]},
        "chat_completion_with_a_tool": {
            "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
            "tools": [{"type": "function", "function": {"name": "weather"}}],
            "tool_choice": "auto",
            "max_completion_tokens": 100,
        },
    }

    messages = ObjectsField(
        MessageParser(),
        required=True,
        metadata={"minItems": 1, "description": "The conversation so far."},
    )
    model = TextField()
    max_completion_tokens = LongField()
    stop = StringsField()
    temperature = FloatField()
    tool_choice = ToolChoiceField()
    tools = ObjectsField(ToolParser())
    top_p = FloatField()
    reasoning = ObjectField(ReasoningParser())


_CHAT = ChatParser()


def load_chat_request(body: Body) -> ChatRequest:
    """The request of chat_completion; only the first broken rule is reported."""
    request = ChatRequest(**_CHAT.parse(body.value, body.text))
    if not request.messages:
        raise ActionRequestValidation(["Field [messages] cannot be an empty array"])
    return request
