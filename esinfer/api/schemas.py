"""Request bodies: marshmallow schemas from JSON to request values, or 400.

Inference bodies are read as ObjectParser reads them, the bodies of PUT and
``_update`` as plain maps. Source: rest.md sections 2.1, 5.1 and 6.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn, cast

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, missing, post_load

from esinfer import java
from esinfer.api.body import Body
from esinfer.errors import (
    ActionRequestValidation,
    ClassCast,
    EmptyUpdate,
    FieldsNotUpdatable,
    IllegalArgument,
    UnknownTaskType,
    UnparsableSection,
    UnparsableTaskType,
)
from esinfer.json_schema import Json
from esinfer.lifecycle import Change, Configuration
from esinfer.object_parser import MapField, ObjectParser, StringsField, TextField
from esinfer.tasks import (
    INTERNAL_INPUT_TYPES,
    CompletionRequest,
    EmbeddingRequest,
    InputType,
    TaskType,
)


class InputTypeField(TextField):
    def read(self, value: str) -> InputType:
        try:
            input_type = InputType(value.strip().lower())
        except ValueError:
            name = value.strip().upper()
            raise IllegalArgument(
                reason=f"No enum constant org.elasticsearch.inference.InputType.{name}"
            ) from None
        if input_type in INTERNAL_INPUT_TYPES:
            raise IllegalArgument(reason=f"Unrecognized input_type [{input_type}]")
        return input_type

    def json_schema(self) -> Json:
        return {"enum": [str(each) for each in InputType if each not in INTERNAL_INPUT_TYPES]}


INPUT = {"required": True, "minItems": 1, "description": "A text, or several."}
"""Metadata of ``input``: Elasticsearch misses it only after it has read the body."""


class InferenceParser(ObjectParser):
    """The body of text_embedding, sparse_embedding and completion.

    ``timeout`` is taken and ignored: the query parameter counts.
    """

    parser_name = "cluster:internal/xpack/inference"
    examples: ClassVar = {
        "text_embedding": {"input": ["The quick brown fox", "jumps over the lazy dog"]},
        "completion": {"input": "Say hello"},
    }

    input = StringsField(metadata=INPUT)
    input_type = InputTypeField(metadata={"description": "What the input is for."})
    task_settings = MapField()
    timeout = TextField()


_INFERENCE = InferenceParser()


def load_embedding_request(body: Body, task_type: TaskType, *, from_url: bool) -> EmbeddingRequest:
    """The request of an embedding task."""
    return EmbeddingRequest(**_load_inference(body, task_type, from_url=from_url))


def load_completion_request(
    body: Body, task_type: TaskType, *, from_url: bool
) -> CompletionRequest:
    """The request of completion."""
    return CompletionRequest(**_load_inference(body, task_type, from_url=from_url))


def _load_inference(body: Body, task_type: TaskType, *, from_url: bool) -> dict[str, Any]:
    """``inputs`` and ``input_type``; only the first broken rule is reported.

    ``from_url`` tells that the path named the task type, which is when
    Elasticsearch checks that the task takes an ``input_type``.
    """
    loaded: dict[str, Any] = _INFERENCE.parse(body.value, body.text)
    inputs = loaded.get("input")
    if inputs is None:
        raise ActionRequestValidation(["Field [input] cannot be null"])
    if not inputs:
        raise ActionRequestValidation(["Field [input] cannot be an empty array"])
    input_type = loaded.get("input_type")
    if from_url and input_type is not None and task_type is not TaskType.TEXT_EMBEDDING:
        raise ActionRequestValidation(
            [f"Field [input_type] cannot be specified for task type [{task_type}]"]
        )
    return {"inputs": inputs, "input_type": input_type}


class CastField(fields.Field[Any]):
    """A value that Java casts unchecked: of another type it is a 500."""

    def __init__(self, kind: type, java_name: str) -> None:
        super().__init__(load_default=None, allow_none=True)
        self._kind = kind
        self._java_name = java_name

    def _deserialize(self, value: object, *_: object, **__: object) -> object:
        if not isinstance(value, self._kind):
            cause = ClassCast(found=java.class_name(value), expected=self._java_name)
            raise ValidationError([cause])
        return value

    def json_schema(self) -> Json:
        return {"type": [_JSON_TYPES[self._kind], "null"]}


_JSON_TYPES: Mapping[type, str] = {str: "string", dict: "object"}


class ConfigurationSchema(Schema):
    """The top level of a PUT. What is wrong comes up when the create asks for it."""

    class Meta:
        unknown = EXCLUDE

    task_type = CastField(str, "java.lang.String")
    service = CastField(str, "java.lang.String")
    service_settings = CastField(dict, "java.util.Map")
    task_settings = CastField(dict, "java.util.Map")
    chunking_settings = CastField(dict, "java.util.Map")


_CONFIGURATION = ConfigurationSchema()


def load_configuration(body: Mapping[str, object]) -> Configuration:
    """The body of a PUT."""
    try:
        return Configuration(body=body, members=_CONFIGURATION.load(body), problems={})
    except ValidationError as error:
        problems = {name: found for name, (found,) in error.messages_dict.items()}
        members = cast("Mapping[str, Any]", error.valid_data)
        return Configuration(body=body, members=members, problems=problems)


class ChangedTaskTypeField(fields.Field[TaskType | None]):
    def _deserialize(self, value: object, *_: object, **__: object) -> TaskType:
        if not isinstance(value, str):
            raise ValidationError([UnparsableTaskType(request=java.text({self.name: value}))])
        try:
            return TaskType.parse(value)
        except UnknownTaskType as unknown:
            raise ValidationError([unknown]) from unknown

    def json_schema(self) -> Json:
        return {"enum": [*map(str, TaskType), None]}


class ChangedSectionField(fields.Field[Mapping[str, object]]):
    def _deserialize(self, value: object, *_: object, **__: object) -> Mapping[str, object]:
        if not isinstance(value, dict):
            request = java.text({self.name: value})
            raise ValidationError([UnparsableSection(section=self.name, request=request)])
        return value

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super().deserialize(missing if value is None else value, *args, **kwargs)

    def json_schema(self) -> Json:
        return {"type": ["object", "null"]}


class ChangeSchema(Schema):
    """The body of an ``_update``; the first problem in the order of these fields is raised."""

    class Meta:
        unknown = RAISE

    task_type = ChangedTaskTypeField(load_default=None, allow_none=True)
    service_settings = ChangedSectionField(load_default=dict)
    task_settings = ChangedSectionField(load_default=dict)
    chunking_settings = ChangedSectionField(load_default=dict)

    @post_load
    def _make(self, loaded: dict[str, Any], **_: object) -> Change:
        return Change(**loaded)

    def handle_error(
        self, error: ValidationError, data: Mapping[str, object], **_: object
    ) -> NoReturn:
        for name in self.fields:
            if name in error.messages_dict:
                raise error.messages_dict[name][0]
        rest = {name: value for name, value in data.items() if name not in self.fields}
        raise FieldsNotUpdatable(fields=java.text(rest))


_CHANGE = ChangeSchema()


def load_change(body: Mapping[str, object]) -> Change:
    """The body of an ``_update``."""
    if not body:
        raise EmptyUpdate
    return cast("Change", _CHANGE.load(body))
