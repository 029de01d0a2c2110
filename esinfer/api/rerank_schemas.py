"""The body of rerank: from JSON to a request value, or 400.

Images get as far as the request, and the service refuses them that cannot
rank them. Source: rest.md sections 6.3 and 7.5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from esinfer.api.body import Body
from esinfer.errors import ActionRequestValidation, IllegalArgument
from esinfer.json_reader import Token, token_of
from esinfer.json_schema import REFERENCE, Json, any_of, array
from esinfer.nested_parser import (
    OBJECT_OR_STRING,
    ConstructingParser,
    DeepField,
    StoppedReading,
    UnplacedParseError,
    parse_object,
)
from esinfer.object_parser import (
    BooleanField,
    IntegerField,
    MapField,
    ObjectParser,
    Path,
    TextField,
)
from esinfer.rerank import RerankRequest


class DataType(StrEnum):
    """What the value of a content object is, in Elasticsearch's order."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    PDF = "pdf"


class DataFormat(StrEnum):
    """How the value of a content object is written."""

    TEXT = "text"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A text, or a data URI of something else."""

    data_type: DataType
    value: str


_DATA_URI = re.compile(r"data:[^/,]+/[^,]+;base64,")
_LONGEST_URI_PREFIX = 256

E = TypeVar("E", DataType, DataFormat)


def _member(names: type[E], what: str, name: str) -> E:
    try:
        return names(name.strip().lower())
    except ValueError:
        known = ", ".join(names)
        raise IllegalArgument(
            reason=f"Unrecognized {what} [{name}], must be one of [{known}]"
        ) from None


class DataTypeField(TextField):
    def read(self, value: str) -> DataType:
        return _member(DataType, "type", value)

    def json_schema(self) -> Json:
        return {"enum": [*map(str, DataType)]}


class DataFormatField(TextField):
    def read(self, value: str) -> DataFormat:
        return _member(DataFormat, "format", value)

    def json_schema(self) -> Json:
        return {"enum": [*map(str, DataFormat)]}


class ContentParser(ConstructingParser):
    parser_name = "InferenceString"

    type = DataTypeField(required=True)
    format = DataFormatField()
    value = TextField(required=True)

    def build(self, members: dict[str, Any]) -> Content:
        data_type: DataType = members["type"]
        expected = DataFormat.TEXT if data_type is DataType.TEXT else DataFormat.BASE64
        found: DataFormat = members.get("format", expected)
        if found is not expected:
            raise IllegalArgument(
                reason=f"Data type [{data_type}] does not support data format [{found}],"
                f" supported formats are [{expected}]"
            )
        if found is DataFormat.BASE64 and not _starts_as_data_uri(members["value"]):
            raise IllegalArgument(
                reason="base64 inputs must be specified as data URIs with the format"
                " [data:{MIME-type};base64,...]"
            )
        return Content(data_type=data_type, value=members["value"])


def _starts_as_data_uri(value: str) -> bool:
    return _DATA_URI.match(value, 0, _LONGEST_URI_PREFIX) is not None


_CONTENT = ContentParser()


_QUERY_TYPES = (DataType.TEXT,)
_INPUT_TYPES = (DataType.TEXT, DataType.IMAGE)


def _read_content(
    value: object, field: str | None, types: Sequence[DataType], steps: Path = ()
) -> Content:
    """The content to which ``steps`` lead: a text, or an object of one of the types."""
    if isinstance(value, str):
        return Content(data_type=DataType.TEXT, value=value)
    if not isinstance(value, dict):
        unsupported = UnplacedParseError(problem=f"Unsupported token [{token_of(value)}]")
        raise StoppedReading(unsupported, steps)
    content: Content = parse_object(_CONTENT, value, steps)
    if content.data_type not in types:
        unsupported = UnplacedParseError(
            problem=f"Field [{field}] contains unsupported [type] value [{content.data_type}]."
            f" Supported values are [{', '.join(types)}]"
        )
        raise StoppedReading(unsupported, steps, at_end=True)
    return content


def _content_schema(types: Sequence[DataType], **text: object) -> Json:
    """A text, or an object of one of the types."""
    content = {REFERENCE: _CONTENT, "properties": {"type": {"enum": [*map(str, types)]}}}
    return any_of({"type": "string", **text}, content)


class QueryField(DeepField[Content]):
    tokens = OBJECT_OR_STRING

    def read(self, value: str | dict[str, object]) -> Content:
        return _read_content(value, self.name, _QUERY_TYPES)

    def json_schema(self) -> Json:
        return _content_schema(_QUERY_TYPES, minLength=1)


class InputField(DeepField[tuple[Content, ...]]):
    """One content or an array of them."""

    tokens = OBJECT_OR_STRING | {Token.START_ARRAY}

    def read(self, value: str | dict[str, object] | list[object]) -> tuple[Content, ...]:
        if not isinstance(value, list):
            return (_read_content(value, self.name, _INPUT_TYPES),)
        return tuple(
            _read_content(item, self.name, _INPUT_TYPES, (index,))
            for index, item in enumerate(value)
        )

    def json_schema(self) -> Json:
        one = _content_schema(_INPUT_TYPES)
        return any_of(one, array(one, minItems=1))


class RerankParser(ObjectParser):
    """``task_settings`` are taken and ignored: the endpoint's own count."""

    parser_name = "RerankRequest"
    examples: ClassVar = {
        "rerank": {
            "query": "a lazy dog",
            "input": ["a quick fox", "the dog is lazy today", "birds sing"],
            "top_n": 2,
            "return_documents": True,
        }
    }

    input = InputField(required=True, metadata={"description": "The documents to put in order."})
    query = QueryField(required=True, metadata={"description": "What the documents answer."})
    top_n = IntegerField(metadata={"minimum": 1, "description": "How many documents to return."})
    return_documents = BooleanField(metadata={"description": "Whether to return the texts too."})
    task_settings = MapField()


_RERANK = RerankParser()


def load_rerank_request(body: Body) -> RerankRequest:
    """The request of rerank; every broken rule is reported."""
    loaded: dict[str, Any] = _RERANK.parse(body.value, body.text)
    problems = list(_problems(loaded))
    if problems:
        raise ActionRequestValidation(problems)
    inputs: tuple[Content, ...] = loaded["input"]
    return RerankRequest(
        inputs=tuple(content.value for content in inputs),
        query=loaded["query"].value,
        top_n=loaded.get("top_n"),
        return_documents=loaded.get("return_documents"),
        has_images=any(content.data_type is DataType.IMAGE for content in inputs),
    )


def _problems(loaded: Mapping[str, Any]) -> Iterator[str]:
    if not loaded["input"]:
        yield "Field [input] cannot be an empty array"
    if not loaded["query"].value:
        yield "Field [query] cannot be empty"
    if loaded.get("top_n", 1) < 1:
        yield "Field [top_n] must be greater than or equal to 1"
