"""The OpenAPI document, made from the table of routes.

Loaded when somebody asks for it. Everything comes from where it is true: paths
from the routes, operations from what their handlers are ``documented`` with,
bodies from the schemas that read them. Format:
https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from marshmallow import Schema

import esinfer
from esinfer.api import answers
from esinfer.api.operation import BOOLEAN, Handler, Operation, Parameter, Source, operation_of
from esinfer.api.responses import EVENT_STREAM, PRODUCT
from esinfer.json_schema import REFERENCE, Json, Named, object_schema, plain

Route = tuple[str, str, Handler]

_SCHEMAS = "#/components/schemas/"
_JSON = "application/json"
_FORMS = (_JSON, "application/vnd.elasticsearch+json; compatible-with=9", "application/yaml")
"""Media types of bodies and answers; the others are the same with other words."""

_ALWAYS = (400, 406, 413)
"""Statuses of every operation: what is wrong with the request, its media types or its size."""

_COMMON = (
    Parameter(name="pretty", description="Indent the answer.", schema=BOOLEAN),
    Parameter(name="human", description="Accepted, without effect.", schema=BOOLEAN),
    Parameter(
        name="format",
        description="The form of the answer; wins over `Accept`.",
        schema={"enum": ["json", "yaml"]},
    ),
    Parameter(
        name="filter_path",
        description="Members to keep or, with a leading `-`, to drop, such as `a.b,-c.*`. "
        "What is left need not have the members that the schema requires.",
    ),
    Parameter(
        name="error_trace",
        description="Add `stack_trace` to errors.",
        schema=BOOLEAN,
    ),
)

_PATH: Mapping[str, Json] = {
    "inference_id": {
        "description": "The inference endpoint: lower-case letters, digits, `-`, `_` and `.`.",
        "schema": {"type": "string", "minLength": 1, "examples": ["my-embeddings"]},
    },
    "task_type": {
        "description": "The task type, in any case; `any` stands for whichever it is.",
        "schema": {"enum": [*answers.TASK_TYPE.schema["enum"], "any"]},
    },
}
"""What is known of the parts of paths; a ``Parameter`` of the operation says more."""


def make_document(routes: Sequence[Route], app: web.Application) -> dict[str, Any]:
    """The document of an app's routes; KeyError for a route that nobody described."""
    definitions = Definitions(app)
    operations = Operations(definitions)
    paths: dict[str, dict[str, Any]] = {}
    for method, pattern, handler in routes:
        path = _template(pattern)
        shared = {"parameters": [{REFERENCE: _parameter(each.name)} for each in _COMMON]}
        paths.setdefault(path, shared)[method.lower()] = operations.describe(method, path, handler)
    return {
        "openapi": "3.1.1",
        "info": _INFO,
        "servers": [{"url": "/", "description": "The server that this document comes from"}],
        "tags": _tags(handler for *_, handler in routes),
        "paths": paths,
        "components": {
            "schemas": dict(sorted(definitions.schemas.items())),
            "parameters": {each.name: _query_parameter(each) for each in _COMMON},
            "headers": {PRODUCT[0]: {"required": True, "schema": {"const": PRODUCT[1]}}},
            "responses": dict(sorted(operations.responses.items())),
        },
    }


_INFO: Json = {
    "title": "esinfer",
    "summary": "Elasticsearch's inference API, and esinfer's own.",
    "description": "What stands under `/_esinfer` is esinfer's own; all else is Elasticsearch's, "
    "answered as Elasticsearch answers it. Request and answer may have any of the media types "
    "that Elasticsearch reads and writes in JSON or YAML.",
    "version": esinfer.__version__,
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}


def _template(pattern: str) -> str:
    return re.sub(r"\{(\w+):[^}]*\}", r"{\1}", pattern)


def _parameter(name: str) -> str:
    return f"#/components/parameters/{name}"


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "allowEmptyValue": "" in parameter.schema.get("enum", ()),
        "schema": dict(parameter.schema),
    }


def _tag(handler: Handler) -> str:
    return handler.__module__.rpartition(".")[2]


def _tags(handlers: Iterable[Handler]) -> list[Json]:
    """A tag a module of handlers, in the order of the routes."""
    modules = dict.fromkeys((_tag(handler), handler.__module__) for handler in handlers)
    return [
        {"name": name, "description": plain(sys.modules[module].__doc__ or "")}
        for name, module in modules
    ]


class Definitions:
    """The schemas of a document: each once, all else refers to it."""

    def __init__(self, app: web.Application) -> None:
        self.schemas: dict[str, Any] = {}
        self._app = app

    def resolve(self, value: Any) -> Any:
        """The value with references in place of schemas, which are defined."""
        if isinstance(value, Schema | Named):
            return {REFERENCE: self._define(value)}
        if isinstance(value, Mapping):
            return {name: self._member(name, member) for name, member in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve(item) for item in value]
        if callable(value):
            return self.resolve(value(self._app))
        return value

    def examples(self, source: Source) -> Mapping[str, object]:
        """The examples that a schema bears."""
        schema = source(self._app) if callable(source) else source
        found: Mapping[str, object] = getattr(schema, "examples", {})
        return found

    def _member(self, name: str, member: Any) -> Any:
        if name == REFERENCE and not isinstance(member, str):
            return self._define(member)
        return self.resolve(member)

    def _define(self, schema: Schema | Named) -> str:
        if isinstance(schema, Named):
            name, described = schema.name, schema.schema
        else:
            name = re.sub("(Parser|Schema)$", "", type(schema).__name__).lstrip("_")
            describe: Callable[[], Json] | None = getattr(schema, "json_schema", None)
            described = object_schema(schema) if describe is None else describe()
        defined = self.resolve(described)
        if self.schemas.setdefault(name, defined) != defined:
            raise ValueError(f"two schemas are named {name}")
        return _SCHEMAS + name


class Operations:
    """Describes operations; the error responses that they share are kept in ``responses``."""

    def __init__(self, definitions: Definitions) -> None:
        self.responses: dict[str, Any] = {}
        self._definitions = definitions

    def describe(self, method: str, path: str, handler: Handler) -> dict[str, Any]:
        operation = operation_of(handler)
        described: dict[str, Any] = {
            "operationId": _operation_id(method, path),
            "summary": operation.summary,
            "tags": [_tag(handler)],
            "parameters": list(_parameters(operation, path)),
        }
        if operation.description:
            described["description"] = operation.description
        if operation.bodies:
            described["requestBody"] = self._body(operation)
        described["responses"] = dict(self._responses(method, operation))
        return described

    def _body(self, operation: Operation) -> dict[str, Any]:
        schemas = [self._definitions.resolve(body) for body in operation.bodies]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        content: dict[str, Any] = {form: {"schema": schema} for form in _FORMS}
        examples = dict(self._examples(operation))
        if examples:
            content[_JSON]["examples"] = examples
        return {"required": True, "content": content}

    def _examples(self, operation: Operation) -> Iterator[tuple[str, Json]]:
        own = map(self._definitions.examples, operation.bodies)
        for examples in (operation.body_examples, *own):
            for name, value in examples.items():
                yield re.sub(r"\W+", "_", name), {"summary": name, "value": value}

    def _responses(self, method: str, operation: Operation) -> Iterator[tuple[str, Json]]:
        if HTTPStatus.NOT_IMPLEMENTED not in operation.errors:
            yield "200", self._success(method, operation)
        for status in sorted({*map(str, _ALWAYS), *map(str, operation.errors)}):
            yield status, self._error(method, status, operation)

    def _success(self, method: str, operation: Operation) -> Json:
        described: dict[str, Any] = {"description": "Done.", "headers": _HEADERS}
        if operation.text_forms:
            texts = {form: {"schema": {"type": "string"}} for form in operation.text_forms}
            return {**described, "content": texts}
        if method == "HEAD" or (operation.answer is None and not operation.is_event_stream):
            return described
        examples = {name: {"value": value} for name, value in operation.answer_examples.items()}
        if operation.is_event_stream:
            content: dict[str, Any] = {EVENT_STREAM: {"schema": {"type": "string"}}}
            content[EVENT_STREAM] |= {"examples": examples}
            return {**described, "content": content}
        schema = self._definitions.resolve(operation.answer)
        content = {form: {"schema": schema} for form in _FORMS}
        if examples:
            content[_JSON]["examples"] = examples
        return {**described, "content": content}

    def _error(self, method: str, status: str, operation: Operation) -> Json:
        passes_on = "4XX" in operation.errors
        if method == "HEAD" or (status == "413" and not passes_on):
            return {"description": _phrase(status), "headers": _HEADERS}
        error = operation.error or answers.ERROR
        kind = "Events" if operation.is_event_stream else ""
        name = f"{error.name}{kind}{status}"
        if name not in self.responses:
            schema = self._definitions.resolve(error)
            content: dict[str, Any] = {form: {"schema": schema} for form in _FORMS}
            if operation.is_event_stream:
                content[EVENT_STREAM] = {"schema": {"type": "string"}}
            self.responses[name] = {
                "description": _phrase(status),
                "headers": _HEADERS,
                "content": content,
            }
        return {REFERENCE: f"#/components/responses/{name}"}


_HEADERS: Json = {PRODUCT[0]: {REFERENCE: f"#/components/headers/{PRODUCT[0]}"}}


def _phrase(status: str) -> str:
    return "The upstream's own status" if "X" in status else HTTPStatus(int(status)).phrase


def _operation_id(method: str, path: str) -> str:
    """``put-inference-task_type-inference_id``: as stable as the route itself."""
    words = re.findall(r"[a-z][a-z0-9_]*", path)
    return "-".join([method.lower(), *(words or ["root"])])


def _parameters(operation: Operation, path: str) -> Iterator[Json]:
    said = {each.name: each for each in operation.parameters}
    for name in re.findall(r"\{(\w+)\}", path):
        described = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        described |= _PATH.get(name, {})
        if name in said:
            own = said.pop(name)
            described |= {"description": own.description, "schema": dict(own.schema)}
        yield described
    yield from map(_query_parameter, said.values())
