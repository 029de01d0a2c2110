"""What the event loop waits for, and that it waits for nothing else."""

from __future__ import annotations

import asyncio
import sys
from threading import Event
from typing import Any

import orjson
import pytest
from pytest_aiohttp import AiohttpClient

from esinfer.tasks import TaskType
from esinfer.twin.app import make_twin_app
from esinfer.twin.effort import is_quick
from esinfer.twin.embedders import Embedder, static_embedder
from esinfer.twin.profiles import make_server
from esinfer.twin.tei import Twin
from esinfer.twin.transport import TwinTransport
from esinfer.twin.upstreams import single
from esinfer.upstream import UpstreamRequest

static_embedder(384).split("numpy is loaded")


@pytest.fixture
def static(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not run a model."""
    monkeypatch.delitem(sys.modules, "esinfer.twin.minilm", raising=False)


def body(count: int, text: str = "a") -> bytes:
    return orjson.dumps({"inputs": [text] * count})


@pytest.mark.usefixtures("static")
@pytest.mark.parametrize(
    ("data", "dimensions", "by_token", "quick"),
    [
        (b"", 4096, True, True),
        (body(1), 384, False, True),
        (body(32), 384, False, True),
        (body(3000), 384, False, False),
        (body(1), 4096, False, True),
        (body(32), 4096, False, False),
        (body(1, "word " * 4000), 8, False, False),
        (body(1, "a short text"), 384, True, True),
        (body(1, "word " * 100), 384, True, False),
    ],
    ids=str,
)
def test_what_is_quick(data: bytes, dimensions: int, by_token: bool, quick: bool) -> None:
    assert is_quick(data, dimensions, by_token=by_token) is quick


def test_nothing_is_quick_before_numpy_is_loaded_or_with_a_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "esinfer.twin.minilm", sys)
    assert not is_quick(body(1), 8)
    monkeypatch.delitem(sys.modules, "esinfer.twin.minilm")
    assert is_quick(body(1), 8)
    monkeypatch.delitem(sys.modules, "numpy")
    assert not is_quick(body(1), 8)


@pytest.mark.usefixtures("static")
def test_the_path_tells_of_vectors_of_tokens_and_of_chats() -> None:
    tei = Twin()
    text = body(1, "word " * 100)
    assert tei.is_quick("/embed", text)
    assert not tei.is_quick("/embed_all", text)
    assert not tei.is_quick("/embed", body(3000))
    assert make_server("toolkit").is_quick("/", text)
    assert not make_server("toolkit", task="feature-extraction").is_quick("/", text)
    models = "/hf-inference/models"
    router = make_server("serverless")
    assert router.is_quick(f"{models}/intfloat/e5-small-v2", body(32))
    assert not router.is_quick(f"{models}/intfloat/e5-base-v2", body(32))
    assert router.is_quick(f"{models}/any/v1/chat/completions", body(3000))
    for profile in ("tgi", "vllm"):
        assert make_server(profile).is_quick("/v1/chat/completions", body(3000))


class Gate:
    """An embedder that is loaded when the test says so."""

    def __init__(self) -> None:
        self.asked, self.open = Event(), Event()

    def __call__(self, dimensions: int) -> Embedder:
        self.asked.set()
        assert self.open.wait(10)
        return static_embedder(dimensions)


async def reached(event: Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def test_others_are_answered_while_many_texts_are_embedded(
    aiohttp_client: AiohttpClient,
) -> None:
    gate = Gate()
    client = await aiohttp_client(make_twin_app(Twin(dimensions=4096, embedder=gate)))
    headers = {"content-type": "application/json"}
    asked = asyncio.create_task(client.post("/embed", data=body(32), headers=headers))
    await reached(gate.asked)
    assert (await client.get("/health")).status == 200
    gate.open.set()
    rows: Any = await (await asked).json()
    assert [len(row) for row in rows] == [4096] * 32


async def test_in_process_other_tasks_have_their_turn_meanwhile() -> None:
    gate = Gate()
    transport = TwinTransport(single(Twin(dimensions=4096, embedder=gate)))
    request = UpstreamRequest(
        url="https://nowhere.invalid/",
        headers={"Content-Type": "application/json"},
        body=body(32),
        task_type=TaskType.TEXT_EMBEDDING,
        inference_id="id",
    )
    asked = asyncio.create_task(transport.send(request))
    await reached(gate.asked)
    gate.open.set()
    assert (await asked).status == 200


async def test_a_client_that_leaves_gives_its_permits_back(aiohttp_client: AiohttpClient) -> None:
    gate = Gate()
    twin = Twin(embedder=gate)
    client = await aiohttp_client(make_twin_app(twin))
    headers = {"content-type": "application/json"}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.post("/embed_all", data=body(32, "a" * 400), headers=headers)
    gate.open.set()
    assert (await client.get("/health")).status == 200
    assert twin.permits.take(twin.permits.most)
