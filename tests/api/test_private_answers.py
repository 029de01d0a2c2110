"""Stubs and similarities are a namespace's own, and a seed is there again after a reset."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Client, StartServer

ENDPOINT = {
    "service": "hugging_face",
    "service_settings": {"api_key": "any", "url": "https://example.com"},
}


async def embed(client: Client, prefix: str, text: str) -> list[float]:
    path = f"{prefix}/_inference/text_embedding/x"
    await client("PUT", path, ENDPOINT)
    reply = await client("POST", path, {"input": text})
    vector: list[float] = reply.json["text_embedding"][0]["embedding"]
    return vector


async def test_a_stub_answers_in_its_namespace_alone(mock: Client) -> None:
    stub = {"match": {"input": "fox"}, "answer": {"vector": [1, 2]}}
    assert (await mock("PUT", "/_ns/one/_esinfer/stubs/s", stub)).status == 200
    assert await embed(mock, "/_ns/one", "fox") == [1, 2]
    assert len(await embed(mock, "/_ns/two", "fox")) == 384
    assert (await mock("GET", "/_ns/two/_esinfer/stubs")).json == {"stubs": []}


async def test_a_reset_forgets_stubs_and_similarities(mock: Client) -> None:
    stub = {"match": {"input": "fox"}, "answer": {"vector": [1, 2]}}
    await mock("PUT", "/_ns/one/_esinfer/stubs/s", stub)
    await mock("PUT", "/_ns/one/_esinfer/similarities", {"similarities": [["a", "b", 0.5]]})
    await mock("POST", "/_ns/one/_esinfer/reset")
    assert (await mock("GET", "/_ns/one/_esinfer/stubs")).json == {"stubs": []}
    assert (await mock("GET", "/_ns/one/_esinfer/similarities")).json == {"similarities": []}


@pytest.mark.parametrize("path", ["/_esinfer/stubs", "/_esinfer/similarities"])
async def test_serve_has_none(client: Client, path: str) -> None:
    reply = await client("GET", path)
    assert reply.status == 400
    assert reply.json["error"]["reason"] == (
        f"[{path}] is for esinfer mock: esinfer serve calls real upstreams, answers are theirs"
    )


async def test_a_seed_is_sown_again_by_a_reset(start: StartServer, tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(
        '{"stubs": [{"match": {"input": "fox"}, "answer": {"vector": [3, 4]}, "times": 1}]}'
    )
    mock = await start(f"store.seed={seed}", mode="mock")
    assert await embed(mock, "", "fox") == [3, 4]
    assert len(await embed(mock, "", "fox")) == 384
    await mock("POST", "/_esinfer/reset")
    assert await embed(mock, "", "fox") == [3, 4]
