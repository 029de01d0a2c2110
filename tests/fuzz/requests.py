"""Requests made from the OpenAPI document, and whether the answers are as it says.

schemathesis makes the requests, good ones and bad ones; the judge of
``tests.api.openapi`` reads the answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from tests.api.openapi import Judge
from tests.conftest import Reply
from tests.fuzz.server import PATIENCE, Server

Case: TypeAlias = "schemathesis.Case[Any]"

ENDPOINTS = {
    "text_embedding": "",
    "sparse_embedding": "/elser",
    "rerank": "/rerank",
    "completion": "/v1/chat/completions",
    "chat_completion": "/v1/chat/completions",
}
"""What is there before each operation: an endpoint a task type, of its name; its upstream."""

NAMED = {
    "class_cast_exception",  # a value of another type than Elasticsearch casts it to unchecked
    "null_pointer_exception",
    "status_exception",
}
"""Types of those errors with status 500 that rest.md names."""

STOPPING = ("/_esinfer/clock", "/_esinfer/namespaces", "/_esinfer/reset")
"""What may stop the time or forget all that is there: nothing for a mix."""

_PLACES: list[dict[str, str]] = [
    *({"task_type": each, "inference_id": each} for each in ENDPOINTS),
    *({"inference_id": each} for each in ("new", "chat_completion", "rerank")),
    *({"name": each, "sequence": "1"} for each in ("default", "mine")),
    {},
]
"""Where paths are made to lead: seldom would they lead to something that is there."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One of the document, with the requests that can be made of it."""

    method: str
    path: str
    takes_body: bool
    made: Any

    def requests(self, mode: GenerationMode) -> st.SearchStrategy[Case]:
        cases: st.SearchStrategy[Case] = self.made.as_strategy(generation_mode=mode)
        return st.tuples(cases, st.sampled_from(_PLACES)).map(_lead)


def _lead(made: tuple[Case, dict[str, str]]) -> Case:
    case, place = made
    for name in case.path_parameters.keys() & place:
        case.path_parameters[name] = place[name]
    return case


class Fuzzer:
    """Sends made-up requests to a server whose document it has read."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session = requests.Session()
        self._judge = Judge(self._ask("GET", "/_esinfer/openapi.json").json())

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def operations(self) -> Iterator[Operation]:
        """All that the document has."""
        document = _unfiltered(self._judge.document)
        for found in schemathesis.openapi.from_dict(document).get_all_operations():
            assert isinstance(found, Ok), found
            made = found.ok()
            yield Operation(made.method.upper(), made.path, bool(made.body), made)

    def prepare(self) -> None:
        """Nothing but the endpoints is there, and the time does not stand."""
        self._ask("POST", "/_esinfer/reset")
        for task_type, path in ENDPOINTS.items():
            service_settings = {"api_key": "hf_any", "url": f"https://example.com{path}"}
            body = {"service": "hugging_face", "service_settings": service_settings}
            self._ask("PUT", f"/_inference/{task_type}/{task_type}", body)

    def fuzz(self, operation: Operation, mode: GenerationMode, count: int, number: int) -> None:
        """Send so many requests of an operation; AssertionError for the first bad answer."""
        self.prepare()
        _repeat(operation.requests(mode), self._send_and_judge, count, number)

    def mix(self, count: int, number: int) -> None:
        """Send requests of all operations in any order, and let them change what others find."""
        self.prepare()
        chosen = [
            operation.requests(mode)
            for operation in self.operations()
            if not operation.path.startswith(STOPPING)
            for mode in (GenerationMode.POSITIVE, *GenerationMode)  # good ones change more
        ]
        _repeat(st.one_of(chosen), self._send, count, number)

    def _send_and_judge(self, case: Case) -> None:
        reply = self._send(case)
        assert reply.status < 500 or reply.status == 501 or _type(reply) in NAMED, reply.text
        if _kind(reply) == "application/json":
            path = case.path.replace("{", "").replace("}", "")
            complaints = self._judge.of_reply(case.method.upper(), path, reply)
            assert not complaints, (complaints, reply.text)

    def _send(self, case: Case) -> Reply:
        """The answer, once it is known that it is whole, legible and not the fruit of a defect."""
        sent = case.as_transport_kwargs(self._server.url)
        if "compatible-with" in (case.media_type or ""):
            sent["headers"]["Accept"] = case.media_type  # one of the two alone is refused
        response = self._session.request(**sent, timeout=PATIENCE, allow_redirects=False)
        reply = Reply(response.status_code, response.headers, response.content)
        self._server.check_log()
        assert reply.headers["X-elastic-product"] == "Elasticsearch", reply.headers
        if _kind(reply) == "application/yaml":
            yaml.safe_load(reply.raw)
        return reply

    def _ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        response = self._session.request(
            method, self._server.url + path, json=body, timeout=PATIENCE
        )
        assert response.status_code == 200, response.text
        return response


def _repeat(
    strategy: st.SearchStrategy[Case], send: Callable[[Case], object], count: int, number: int
) -> None:
    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # shrinking would find another state
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(strategy)
    def each(case: Case) -> None:
        try:
            send(case)
        except Exception as error:
            error.add_note(case.as_curl_command())
            raise

    each()


def _unfiltered(document: dict[str, Any]) -> dict[str, Any]:
    """The document without ``filter_path``, with which no answer need have its schema's form."""
    copied: dict[str, Any] = json.loads(json.dumps(document))
    del copied["components"]["parameters"]["filter_path"]
    for item in copied["paths"].values():
        common = item["parameters"]
        item["parameters"] = [each for each in common if "filter_path" not in each["$ref"]]
    return copied


def _kind(reply: Reply) -> str:
    kind: str = reply.headers.get("Content-Type", "")
    return kind.partition(";")[0]


def _type(reply: Reply) -> object:
    error = yaml.safe_load(reply.raw)["error"]
    return error["type"] if isinstance(error, dict) else error
