"""Large bodies and answers: others are answered meanwhile (rest.md sections 2.1, 6.2 and 8)."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import orjson
import pytest

from esinfer import lifecycle
from esinfer.api import body, responses
from tests.conftest import Answer, Client, Reply, Upstream, envelope

TYPED = "/_inference/text_embedding/x"
HEALTH = "/_cluster/health"
NOT_FOUND = envelope("resource_not_found_exception", "Inference endpoint not found [x]", 404)
STRINGS = b",".join([b'"a"'] * 50_000)
SETTINGS = orjson.dumps({"service": "nope", "service_settings": {"a": "a" * 100_000}})


@dataclass(slots=True)
class Gate:
    """A step that waits in its middle until it is let go."""

    step: Callable[..., Any]
    began: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    was_let_go: bool = False

    def __call__(self, *args: object) -> object:
        self.began.set()
        self.was_let_go = self.let_go.wait(5)
        return self.step(*args)


async def ask_meanwhile(gate: Gate, client: Client, asked: asyncio.Task[Reply]) -> Reply:
    """Ask for something else until the step has begun, and while it waits."""
    while not gate.began.is_set() and not asked.done():
        await client("GET", HEALTH)
    for _ in range(3):
        assert (await client("GET", HEALTH)).status == 200
    assert not asked.done()
    gate.let_go.set()
    reply = await asked
    assert gate.was_let_go
    return reply


def gated(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> Gate:
    gate = Gate(getattr(module, name))
    monkeypatch.setattr(module, name, gate)
    return gate


@pytest.mark.parametrize(
    ("method", "path", "data", "headers"),
    [
        ("POST", TYPED, b'{"input":[%b]}' % STRINGS, {}),
        ("POST", TYPED, b'{"input":[%b],"x":1}' % STRINGS, {}),
        ("POST", TYPED, b'{"input":[%b,nope]}' % STRINGS, {}),
        ("POST", TYPED, b"input: [a,b" + b",c" * 5000 + b"]", {"Content-Type": "application/yaml"}),
        ("PUT", TYPED, SETTINGS, {}),
        ("PUT", f"{TYPED}/_update", b'{"x":[%b]}' % STRINGS, {}),
        ("PUT", "/_inference/_region_policy", b'{"region_policy":[%b]}' % STRINGS, {}),
    ],
    ids=["valid", "unknown field", "invalid", "yaml", "put", "update", "region policy"],
)
async def test_others_are_answered_while_a_large_body_is_read(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    data: bytes,
    headers: dict[str, str],
) -> None:
    gate = gated(monkeypatch, body, "parse")
    asked = asyncio.create_task(client(method, path, data, headers=headers))
    assert (await ask_meanwhile(gate, client, asked)).status in (400, 404)


async def test_others_are_answered_while_a_body_is_unpacked(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = gated(monkeypatch, body, "_unpack")
    packed = gzip.compress(b'{"input":"%b"}' % (b"a" * 10**6))
    headers = {"Content-Encoding": "gzip"}
    asked = asyncio.create_task(client("POST", TYPED, packed, headers=headers))
    assert (await ask_meanwhile(gate, client, asked)).json == NOT_FOUND


async def test_a_large_body_lets_others_run_while_it_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the reading itself is waited for, which never takes all the time there is."""
    reading = threading.Event()
    parse = body.parse

    def mark(*args: Any) -> body.Body:
        reading.set()
        try:
            return parse(*args)
        finally:
            reading.clear()

    monkeypatch.setattr(body, "parse", mark)
    data = b'{"input":[%b,nope]}' % b",".join([STRINGS, b"[[]]"] * 5)
    asked = asyncio.create_task(client("POST", TYPED, data))
    answered = 0
    while not asked.done():
        since = reading.is_set()
        assert (await client("GET", "/")).status == 200
        answered += since and reading.is_set()
    assert (await asked).status == 400
    assert answered > 0


@pytest.mark.parametrize("size", [10, 100_000])
async def test_a_large_body_is_refused_like_a_small_one(client: Client, size: int) -> None:
    def refusal(column: int, problem: str) -> dict[str, object]:
        reason = f"[1:{column}] [cluster:internal/xpack/inference] {problem}"
        return envelope("x_content_parse_exception", reason)

    text = b"a" * size
    reply = await client("POST", TYPED, b'{"input":"%b","x":1}' % text)
    assert (reply.status, reply.json) == (400, refusal(13 + size, "unknown field [x]"))
    reply = await client("POST", TYPED, b'{"input":"%b","timeout":[]}' % text)
    problem = "timeout doesn't support values of type: START_ARRAY"
    assert (reply.status, reply.json) == (400, refusal(23 + size, problem))
    reply = await client("POST", TYPED, b'{"input":"%b"}' % text)
    assert (reply.status, reply.json) == (404, NOT_FOUND)


@pytest.mark.parametrize("query", ["pretty", "filter_path=**.embedding", "format=yaml"])
async def test_others_are_answered_while_a_large_answer_is_shaped(
    embedder: Client, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    upstream.answers(Answer.json([[0.5] * 30_000]))
    gate = gated(monkeypatch, responses, "_reshape")
    asked = asyncio.create_task(embedder("POST", f"/_inference/id?{query}", {"input": "a"}))
    reply = await ask_meanwhile(gate, embedder, asked)
    assert (reply.status, reply.text.count("0.5")) == (200, 30_000)


async def test_a_large_answer_is_packed(embedder: Client, upstream: Upstream) -> None:
    """Beside the loop too: aiohttp warns if it is not, and warnings are errors."""
    upstream.answers(Answer.json([[0.5] * 400_000]))
    headers = {"Accept-Encoding": "gzip"}
    reply = await embedder("POST", "/_inference/id", {"input": "a"}, headers=headers)
    assert reply.headers["Content-Encoding"] == "gzip"
    assert reply.json == {"text_embedding": [{"embedding": [0.5] * 400_000}]}


@pytest.mark.parametrize("method", ["PUT", "update"])
async def test_others_are_answered_while_settings_are_read(
    embedder: Client, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    gate = gated(monkeypatch, lifecycle, "_refuse")
    settings = {"url": upstream.url, "api_key": "secret"}
    data: dict[str, object] = {"service": "hugging_face", "service_settings": settings}
    path = "/_inference/text_embedding/new"
    if method == "update":
        data = {"service_settings": {"api_key": "new"}}
        path = "/_inference/text_embedding/id/_update"
    asked = asyncio.create_task(embedder("PUT", path, data))
    assert (await ask_meanwhile(gate, embedder, asked)).status == 200
