"""Inferences before a hostile upstream, and whether esinfer stays upright between the two."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest import mock

import aiohttp
import orjson
from aiohttp import web
from hypothesis import HealthCheck, given, seed, settings

from esinfer.api.protocol import make_runner
from esinfer.app import make_app
from esinfer.config import load
from esinfer.upstream import HttpSettings, make_session
from tests.api.openapi import Judge
from tests.conftest import QUICK, Reply
from tests.fuzz.answers import API_KEY, answers
from tests.fuzz.hostile import Answer, Hostile, whole
from tests.fuzz.server import OPTIONS, PATIENCE, Log, Server, serve

TIMEOUT: Final = 0.1
"""Seconds that an inference may take."""

REQUESTS: Final[dict[str, dict[str, object]]] = {
    "text_embedding": {"input": ["a fox", "a dog"]},
    "sparse_embedding": {"input": ["a fox", "a dog"]},
    "rerank": {"query": "fox", "input": ["a fox", "a dog"]},
    "completion": {"input": "a fox"},
    "chat_completion": {"messages": [{"role": "user", "content": "a fox"}]},
}
WAYS: Final = [
    *((task_type, False) for task_type in REQUESTS),
    ("completion", True),
    ("chat_completion", True),
]
"""Task types, and whether with ``_stream``."""

_SETTINGS: Final = (
    *QUICK,
    "store.kind=memory",
    "elasticsearch.version=9.6.0",  # chat answers in one piece too
    "inference.max_response_size=1mb",
    "inference.skip_validate_and_start=true",
    "journal.enabled=true",
    "journal.entries=5",
)
NAMED: Final = (
    "Failed to send Hugging Face ",
    "Http client failed to send request from inference entity id ",
)
"""How the reasons of errors with status 500 begin, in hugging_face.md section 5."""
_GOOD: Final = b"[[0.5,0.25]]"
_GOOD_ANSWER: Final = {"text_embedding": [{"embedding": [0.5, 0.25]}]}


@dataclass(frozen=True, slots=True)
class Behind:
    """A server, its upstream, and its connections to it."""

    server: Server
    upstream: Hostile
    connector: aiohttp.BaseConnector
    judge: Judge

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        """The whole answer; http.client's exceptions for one that is none."""
        connection = http.client.HTTPConnection(*self.server.address, timeout=PATIENCE)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def check_rest(self) -> None:
        """AssertionError if something is left but connections that may be used again."""
        self.server.check_rest()
        until = time.monotonic() + PATIENCE
        while (left := self._count())[0] or left[1] != left[2]:
            assert time.monotonic() < until, f"connections in use, to the upstream, kept: {left}"

    def _count(self) -> tuple[int, int, int]:
        async def count() -> tuple[int, int, int]:
            kept = [each for pool in self.connector._conns.values() for each, _ in pool]
            usable = sum(each.is_connected() for each in kept)
            return len(self.connector._acquired), len(self.upstream.open), usable

        return self.server.call(count)


@contextmanager
def serve_behind() -> Iterator[Behind]:
    """``esinfer serve`` with an endpoint a task type, and one whose answers are good."""
    sessions: list[aiohttp.ClientSession] = []

    def make_seen_session(settings: HttpSettings) -> aiohttp.ClientSession:
        sessions.append(make_session(settings))
        return sessions[-1]

    def make() -> web.AppRunner:
        return make_runner(make_app(load(None, {}, _SETTINGS)), **OPTIONS)

    upstream = Hostile({"/good": whole(_GOOD)})
    log = Log(operators="esinfer.inference", secret=API_KEY)
    with mock.patch("esinfer.app.make_session", make_seen_session), serve(make, log=log) as server:
        server.call(upstream.start)
        connector = sessions[0].connector
        assert connector is not None
        behind = Behind(server, upstream, connector, _read_document(server))
        _create(behind, "text_embedding", "good")
        for task_type in REQUESTS:
            _create(behind, task_type, task_type)
        try:
            yield behind
        finally:
            server.call(upstream.stop)


def _read_document(server: Server) -> Judge:
    connection = http.client.HTTPConnection(*server.address, timeout=PATIENCE)
    connection.request("GET", "/_esinfer/openapi.json")
    document = orjson.loads(connection.getresponse().read())
    connection.close()
    return Judge(document)


def _create(behind: Behind, task_type: str, name: str) -> None:
    service_settings = {
        "api_key": API_KEY,
        "url": f"{behind.upstream.url}/{name}",
        "rate_limit": {"requests_per_minute": 10**9},
    }
    body = {"service": "hugging_face", "service_settings": service_settings}
    reply = behind.ask("PUT", f"/_inference/{task_type}/{name}", body)
    assert reply.status == 200, reply.text


def fuzz(behind: Behind, task_type: str, count: int, number: int, *, streams: bool) -> None:
    """Let the upstream answer so often; AssertionError with the shortest answer that does harm."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(answers(task_type, streams=streams))
    def each(answer: Answer) -> None:
        infer(behind, task_type, answer, streams=streams)

    each()


def infer(behind: Behind, task_type: str, answer: Answer, *, streams: bool) -> Reply:
    """One inference that the upstream answers so, and what must be true of it and after it."""
    behind.upstream.answers[f"/{task_type}"] = answer
    path = f"/_inference/{task_type}/{task_type}" + ("/_stream" if streams else "")
    began = time.monotonic()
    reply = behind.ask("POST", f"{path}?timeout={TIMEOUT * 1000:.0f}ms", REQUESTS[task_type])
    took = time.monotonic() - began
    assert took < PATIENCE / 2, took
    behind.server.check_log()
    assert API_KEY.encode() not in reply.raw, reply.raw
    assert API_KEY not in str(reply.headers), reply.headers
    is_chat = task_type == "chat_completion"
    if reply.headers["Content-Type"] == "text/event-stream":
        assert streams
        judge_events(reply, is_chat=is_chat)
    else:
        _judge_body(behind, path, reply, is_chat=is_chat)
    journal = behind.ask("GET", "/_esinfer/journal?size=1")
    assert (journal.status, API_KEY.encode() in journal.raw) == (200, False), journal.raw
    behind.check_rest()
    again = behind.ask("POST", "/_inference/text_embedding/good", REQUESTS["text_embedding"])
    assert (again.status, orjson.loads(again.raw)) == (200, _GOOD_ANSWER), again.raw
    return reply


def _judge_body(behind: Behind, path: str, reply: Reply, *, is_chat: bool) -> None:
    if reply.status == 304:
        assert not reply.raw
        return
    body = _read(reply.raw)
    _judge_status(reply, body, is_chat=is_chat)
    complaints = behind.judge.of_reply("POST", path, reply)
    assert not complaints, (complaints, reply.raw)


def _judge_status(reply: Reply, body: Any, *, is_chat: bool) -> None:
    if reply.status != 200:
        reason = body["error"]["message" if is_chat else "reason"]
        assert reply.status < 500 or (reply.status == 500 and reason.startswith(NAMED)), reply


_EVENT: Final = re.compile(rb"event: (message|error)\ndata: ([^\n\r]*)\n\n")


def judge_events(reply: Reply, *, is_chat: bool) -> None:
    """AssertionError unless there are events of JSON, and the last is an end or an error."""
    events = _EVENT.findall(reply.raw)
    assert b"".join(b"event: %b\ndata: %b\n\n" % each for each in events) == reply.raw, reply.raw
    assert events or reply.status == 304, reply
    *before, (kind, data) = events or [(b"error", b'{"error":{"reason":"","message":""}}')]
    assert all(kind == b"message" for kind, _ in before), reply.raw
    assert reply.status == 200 or not before, reply
    for _, chunk in before:
        assert isinstance(_read(chunk), dict), reply.raw
    if kind == b"message":
        assert (reply.status, data) == (200, b"[DONE]"), reply
    else:
        _judge_status(reply, _read(data), is_chat=is_chat)
        assert "error" in _read(data)


def _read(data: bytes) -> Any:
    """The one JSON value, in UTF-8 and as the standard has it."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return json.loads(data.decode(), parse_constant=refuse)
