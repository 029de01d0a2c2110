"""elasticsearch-py 9.5 against a live server: every inference method for the tasks that work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import elasticsearch
import pytest
from elasticsearch import AsyncElasticsearch, BadRequestError, Elasticsearch, NotFoundError

from tests.conftest import Client

SETTINGS: dict[str, Any] = {
    "service": "hugging_face",
    "service_settings": {"url": "http://hf/x", "api_key": "k"},
}
SPARSE = "sparse_embedding"
DENSE = "text_embedding"


@pytest.fixture
async def es(mock: Client) -> AsyncIterator[AsyncElasticsearch]:
    async with AsyncElasticsearch(mock.url) as client:
        yield client


async def test_info_and_ping_answer(es: AsyncElasticsearch) -> None:
    assert (await es.info())["version"]["number"] == "9.5.0"
    assert await es.ping()


async def test_put_get_infer_update_delete_of_text_embedding(es: AsyncElasticsearch) -> None:
    created = await es.inference.put(
        task_type=DENSE, inference_id="a", inference_config=SETTINGS, timeout="10s"
    )
    assert created["service_settings"]["dimensions"] == 384

    got = await es.inference.get(task_type=DENSE, inference_id="a")
    assert got["endpoints"] == [created.body]

    answer = await es.inference.text_embedding(inference_id="a", input=["one", "two"])
    assert [len(item["embedding"]) for item in answer["text_embedding"]] == [384, 384]

    updated = await es.inference.update(
        task_type=DENSE,
        inference_id="a",
        inference_config={"service_settings": {"rate_limit": {"requests_per_minute": 99}}},
    )
    assert updated["service_settings"]["rate_limit"] == {"requests_per_minute": 99}

    deleted = await es.inference.delete(inference_id="a")
    assert deleted.body == {"acknowledged": True, "pipelines": [], "indexes": []}


async def test_put_hugging_face_creates_an_endpoint(es: AsyncElasticsearch) -> None:
    created = await es.inference.put_hugging_face(
        task_type=DENSE,
        huggingface_inference_id="b",
        service="hugging_face",
        service_settings=SETTINGS["service_settings"],
        chunking_settings={"strategy": "word", "max_chunk_size": 100, "overlap": 20},
    )
    assert created["chunking_settings"] == {
        "strategy": "word",
        "max_chunk_size": 100,
        "overlap": 20,
    }


async def test_inference_and_sparse_embedding_give_the_same(es: AsyncElasticsearch) -> None:
    await es.inference.put(task_type=SPARSE, inference_id="s", inference_config=SETTINGS)
    general = await es.inference.inference(inference_id="s", input="quick fox")
    special = await es.inference.sparse_embedding(inference_id="s", input="quick fox")
    assert general.body == special.body
    assert set(general["sparse_embedding"][0]["embedding"]) == {"quick", "fox"}


async def test_get_lists_all_and_by_task_type(es: AsyncElasticsearch) -> None:
    await es.inference.put(task_type=DENSE, inference_id="dense", inference_config=SETTINGS)
    await es.inference.put(task_type=SPARSE, inference_id="sparse", inference_config=SETTINGS)
    everything = await es.inference.get()
    assert [e["inference_id"] for e in everything["endpoints"]] == ["dense", "sparse"]
    only = await es.inference.get(task_type=SPARSE)
    assert [e["inference_id"] for e in only["endpoints"]] == ["sparse"]


async def test_delete_dry_run_deletes_nothing(es: AsyncElasticsearch) -> None:
    await es.inference.put(task_type=DENSE, inference_id="d", inference_config=SETTINGS)
    dry = await es.inference.delete(inference_id="d", dry_run=True, force=False)
    assert dry.body == {
        "acknowledged": False,
        "pipelines": [],
        "indexes": [],
        "error_message": "",
    }
    assert len((await es.inference.get(inference_id="d"))["endpoints"]) == 1


async def test_errors_arrive_as_the_clients_exceptions(es: AsyncElasticsearch) -> None:
    with pytest.raises(NotFoundError) as missing:
        await es.inference.get(inference_id="nope")
    assert str(missing.value) == (
        "NotFoundError(404, 'resource_not_found_exception', 'Inference endpoint not found [nope]')"
    )
    with pytest.raises(BadRequestError, match=r"Unknown service \[nope\]"):
        await es.inference.put(
            task_type=DENSE, inference_id="x", inference_config={**SETTINGS, "service": "nope"}
        )


async def test_ids_are_percent_decoded(es: AsyncElasticsearch) -> None:
    with pytest.raises(NotFoundError, match="a/ü"):
        await es.inference.get(inference_id="a/ü")


async def test_compressed_requests_and_answers_work(mock: Client) -> None:
    async with AsyncElasticsearch(mock.url, http_compress=True) as es:
        await es.inference.put(task_type=DENSE, inference_id="z", inference_config=SETTINGS)
        answer = await es.inference.text_embedding(inference_id="z", input="text " * 500)
    assert len(answer["text_embedding"]) == 1


async def test_every_common_parameter_is_taken(es: AsyncElasticsearch) -> None:
    await es.inference.put(task_type=DENSE, inference_id="p", inference_config=SETTINGS)
    answer = await es.inference.text_embedding(
        inference_id="p",
        input="text",
        timeout="5s",
        error_trace=True,
        human=True,
        pretty=True,
        filter_path=["text_embedding.embedding", "-nothing"],
    )
    assert len(answer["text_embedding"][0]["embedding"]) == 384


async def test_the_sync_client_does_the_main_job(mock: Client) -> None:
    def main_job() -> Any:
        with Elasticsearch(mock.url) as es:
            es.inference.put(task_type=DENSE, inference_id="s", inference_config=SETTINGS)
            embedded = es.inference.text_embedding(inference_id="s", input="text")
            es.inference.delete(task_type=DENSE, inference_id="s")
            return embedded.body

    body = await asyncio.to_thread(main_job)
    assert len(body["text_embedding"][0]["embedding"]) == 384


async def test_no_call_warns(es: AsyncElasticsearch) -> None:
    """Warnings are errors here: a Warning header would have raised above."""
    assert issubclass(elasticsearch.ElasticsearchWarning, Warning)
    await es.inference.get()
