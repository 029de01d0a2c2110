"""The OpenAPI document as a judge of bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from tests.conftest import Client, Reply

METHODS = ("get", "put", "post", "delete", "head")
JSON = "application/json"

Operation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judge:
    """Says what in a body does not fit the document; an empty list is a good one."""

    document: dict[str, Any]

    @property
    def operations(self) -> Iterator[tuple[str, str, Operation]]:
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method.upper(), path, item[method]

    def operation(self, method: str, path: str) -> Operation:
        """That of a request; of several templates the one with the fewest parts to fill in."""
        bare = path.partition("?")[0]
        fitting = [
            (template.count("{"), template.endswith("}"), operation)
            for own, template, operation in self.operations
            if own == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), bare)
        ]
        return min(fitting, key=lambda found: found[:2])[2]

    def complaints(self, schema: object, value: object) -> list[str]:
        whole = {"allOf": [schema], "components": self.document["components"]}
        errors = Draft202012Validator(whole).iter_errors(value)
        return [f"{error.json_path}: {error.message}" for error in errors]

    def of_request(self, method: str, path: str, body: object) -> list[str]:
        content = self.operation(method, path)["requestBody"]["content"]
        return self.complaints(content[JSON]["schema"], body)

    def of_reply(self, method: str, path: str, reply: Reply) -> list[str]:
        said = response_of(self.operation(method, path), reply.status)
        if "$ref" in said:
            said = self.document["components"]["responses"][said["$ref"].rpartition("/")[2]]
        headers = said["headers"].keys() - reply.headers.keys()
        if headers:
            return [f"headers missing: {headers}"]
        if "content" not in said:
            return ["a body"] if reply.raw else []
        kind = reply.headers["Content-Type"].partition(";")[0]
        value = reply.json if kind == JSON else reply.text
        return self.complaints(said["content"][kind]["schema"], value)


def response_of(operation: Operation, status: int) -> Mapping[str, Any]:
    """The response of a status, or of its class."""
    responses: Mapping[str, Mapping[str, Any]] = operation["responses"]
    found = responses.get(str(status)) or responses.get(f"{status // 100}XX")
    assert found is not None, f"{operation['operationId']} does not name {status}"
    return found


async def read_document(client: Client) -> Judge:
    reply = await client("GET", "/_esinfer/openapi.json")
    assert reply.status == 200
    return Judge(reply.json)
