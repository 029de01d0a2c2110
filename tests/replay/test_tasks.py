"""What ``serve`` answered while it recorded is what ``mock`` answers: every task, whole bodies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Client, Reply
from tests.replay.conftest import PATHS, Kit

TEXTS = ["a quick fox", "the dog is lazy", "birds sing", "a quick fox"]
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("text_embedding", "", {"input": TEXTS}),
    ("sparse_embedding", "", {"input": TEXTS}),
    ("rerank", "", {"query": "a lazy dog", "input": TEXTS}),
    ("rerank", "", {"query": "fox", "input": TEXTS, "return_documents": True, "top_n": 2}),
    ("completion", "", {"input": "Grüße"}),
    ("completion", "/_stream", {"input": "Grüße"}),
    ("chat_completion", "/_stream", {"messages": [{"role": "user", "content": "Grüße"}]}),
]


async def infer(client: Client, task: str, suffix: str, body: object) -> Reply:
    return await client("POST", f"/_inference/{task}/{task}{suffix}", body)


@pytest.mark.parametrize(("task", "suffix", "body"), REQUESTS)
async def test_a_recorded_request_is_answered_as_it_was(
    kit: Kit, task: str, suffix: str, body: dict[str, Any]
) -> None:
    server = await kit.record()
    created = await kit.create(server, task)
    recorded = await infer(server, task, suffix, body)
    assert (created.status, recorded.status) == (200, 200)

    mock = await kit.replay()

    assert (await kit.create(mock, task)).json == created.json
    for _ in range(2):
        replayed = await infer(mock, task, suffix, body)
        assert (replayed.status, replayed.raw) == (200, recorded.raw)


@pytest.mark.parametrize("task", PATHS)
async def test_creating_an_endpoint_replays_its_validation_call(kit: Kit, task: str) -> None:
    created = await kit.create(await kit.record(), task)
    assert created.status == 200
    assert (await kit.create(await kit.replay(), task)).raw == created.raw


@pytest.mark.parametrize("task", ["text_embedding", "sparse_embedding"])
@pytest.mark.parametrize("texts", [TEXTS[1:3], TEXTS[2::-1], [TEXTS[1]] * 3])
async def test_an_input_is_found_in_batches_of_any_size_and_order(
    kit: Kit, task: str, texts: list[str]
) -> None:
    server = await kit.record()
    await kit.create(server, task)
    recorded = (await infer(server, task, "", {"input": TEXTS})).json[task]
    mock = await kit.replay()
    await kit.create(mock, task)

    replayed = (await infer(mock, task, "", {"input": texts})).json[task]

    assert replayed == [recorded[TEXTS.index(text)] for text in texts]


async def test_a_text_is_ranked_in_batches_of_any_size_and_order(kit: Kit) -> None:
    server = await kit.record()
    await kit.create(server, "rerank")
    await infer(server, "rerank", "", {"query": "lazy dog", "input": TEXTS})
    fewer = {"query": "lazy dog", "input": TEXTS[2:0:-1], "return_documents": True}
    expected = await infer(server, "rerank", "", fewer)
    before = kit.file.read_bytes()
    mock = await kit.replay()
    await kit.create(mock, "rerank")

    assert (await infer(mock, "rerank", "", fewer)).raw == expected.raw
    top = await infer(mock, "rerank", "", fewer | {"top_n": 1})
    assert top.json["rerank"] == expected.json["rerank"][:1]
    assert kit.file.read_bytes() == before


async def test_another_query_has_other_scores_and_is_a_miss(kit: Kit) -> None:
    server = await kit.record()
    await kit.create(server, "rerank")
    await infer(server, "rerank", "", {"query": "lazy dog", "input": TEXTS})
    mock = await kit.replay()
    await kit.create(mock, "rerank")
    missed = await infer(mock, "rerank", "", {"query": "lazy cat", "input": TEXTS[:1]})
    assert missed.status == 501


async def test_chunked_inference_replays_with_other_chunks_beside(kit: Kit) -> None:
    server = await kit.record()
    await kit.create(server, "text_embedding")
    path = "/_esinfer/inference/text_embedding/text_embedding/chunked"
    recorded = await server("POST", path, {"input": ["one two. Three four.", "five"]})
    mock = await kit.replay()
    await kit.create(mock, "text_embedding")
    assert recorded.status == 200, recorded.text
    replayed = await mock("POST", path, {"input": ["one two. Three four.", "five"]})
    assert replayed.raw == recorded.raw


async def test_the_vector_of_a_text_stands_once_and_compact(kit: Kit) -> None:
    server = await kit.record()
    await kit.create(server, "text_embedding")
    await infer(server, "text_embedding", "", {"input": TEXTS})
    await infer(server, "text_embedding", "", {"input": TEXTS[::-1]})
    found = kit.answers("text_embedding")
    assert [request for request, _ in found] == [{"inputs": t} for t in sorted({*TEXTS})]
    for _, answers in found:
        (answer,) = answers
        assert [*answer["embedding"]] == ["float32"]
        assert len(answer["embedding"]["float32"]) == 44  # eight numbers of four bytes
