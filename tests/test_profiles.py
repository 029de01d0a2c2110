"""What Elasticsearch makes of the servers that the twin imitates, in process and over HTTP."""

from __future__ import annotations

from itertools import cycle, islice
from string import ascii_lowercase
from typing import Any

import aiohttp
import pytest

from esinfer.app import make_app, make_twin
from esinfer.config import ConfigError, load
from tests.conftest import Client, Reply, StartServer, run_app

URL = "https://nowhere.invalid"


async def ask(
    client: Client, task_type: str, body: dict[str, Any], url: str = URL, **settings: object
) -> Reply:
    """Create an endpoint, which calls the upstream once, and if that works, infer."""
    reply = await client(
        "PUT",
        f"/_inference/{task_type}/id",
        {"service": "hugging_face", "service_settings": {"url": url, "api_key": "k", **settings}},
    )
    return (
        await client("POST", f"/_inference/{task_type}/id", body) if reply.status == 200 else reply
    )


@pytest.mark.parametrize("profile", ["tei-1.9", "tei-1.8", "toolkit", "serverless"])
async def test_vectors_of_a_profile_are_understood(start: StartServer, profile: str) -> None:
    client = await start(
        f"twin.profile={profile}", "twin.model_id=intfloat/e5-base-v2", mode="mock"
    )
    reply = await ask(client, "text_embedding", {"input": ["a", "b"]})
    assert reply.status == 200
    assert [len(row["embedding"]) for row in reply.json["text_embedding"]] == [768, 768]


@pytest.mark.parametrize("way", ["mock", "serve"])
async def test_the_url_names_the_model_of_the_router(start: StartServer, way: str) -> None:
    """In process as over HTTP; without the pipeline the model compares sentences."""
    router = "/hf-inference/models/intfloat/e5-base-v2"
    twin = make_twin(load(None, {}, ["twin.profile=serverless"]))
    async with run_app(twin, ours=False) as served:
        client = await start("twin.profile=serverless", mode="mock" if way == "mock" else "serve")
        host = URL if way == "mock" else served
        url = f"{host}{router}/pipeline/feature-extraction"
        reply = await ask(client, "text_embedding", {"input": "a"}, url)
        assert [len(row["embedding"]) for row in reply.json["text_embedding"]] == [768]
        await client("DELETE", "/_inference/id")
        refused = await ask(client, "text_embedding", {"input": "a"}, f"{host}{router}")
    assert refused.status == 400
    assert "missing 1 required positional argument: 'sentences'" in refused.text


async def test_weights_of_elser_are_understood(start: StartServer) -> None:
    client = await start("twin.profile=elser", mode="mock")
    reply = await ask(client, "sparse_embedding", {"input": ["a fox"]})
    [item] = reply.json["sparse_embedding"]
    assert item["embedding"].keys() == {"a", "fox"}
    assert item["embedding"]["fox"] > item["embedding"]["a"]


@pytest.mark.parametrize("profile", ["tgi", "vllm", "serverless"])
async def test_chats_are_understood(start: StartServer, profile: str) -> None:
    client = await start(f"twin.profile={profile}", mode="mock")
    reply = await ask(client, "completion", {"input": "hi"})
    assert reply.json == {"completion": [{"result": 'esinfer twin: you said "hi" (1 message)'}]}


STATUS = "status code for request from inference entity id [id] status"


@pytest.mark.parametrize(
    ("profile", "task", "reason"),
    [
        (
            "toolkit",
            "rerank",
            f"Received an unsuccessful {STATUS} [400]. Error message: [Body needs to provide a "
            """inputs key, received: b'{"texts":["how big"],"query":"test query"}']""",
        ),
        ("toolkit", "completion", f"Received a bad request {STATUS} [400]"),
        ("tgi", "text_embedding", f"Received an unsuccessful {STATUS} [422]"),
        (
            "tei-1.9",
            "rerank",
            f"Received an unsuccessful {STATUS} [424]. Error message: "
            "[Backend error: model is not a re-ranker model]",
        ),
    ],
)
async def test_what_a_server_cannot_do_is_its_error(
    start: StartServer, profile: str, task: str, reason: str
) -> None:
    own = ["twin.task=embedding"] if profile == "tei-1.9" else []
    client = await start(f"twin.profile={profile}", *own, mode="mock")
    reply = await ask(client, task, {})
    assert reply.json["error"]["caused_by"] == {"type": "status_exception", "reason": reason}


@pytest.mark.parametrize(("profile", "halved"), [("tei-1.9", False), ("tei-1.8", True)])
async def test_too_long_a_text_is_cut_by_a_new_tei_and_refused_by_an_old_one(
    client: Client, profile: str, *, halved: bool
) -> None:
    """Before 1.9 the answer is 413: Elasticsearch halves the text and asks again."""
    text = "".join(f"{letter} " for letter in islice(cycle(ascii_lowercase), 300))
    twin = make_twin(load(None, {}, [f"twin.profile={profile}"]))
    async with run_app(twin, ours=False) as url:
        whole = await ask(client, "text_embedding", {"input": text}, url)
        half = await client(
            "POST", "/_inference/text_embedding/id", {"input": text[: len(text) // 2]}
        )
    assert (whole.status, half.status) == (200, 200)
    assert (whole.json == half.json) is halved


async def test_sparse_vectors_of_tei_are_not_understood(client: Client) -> None:
    async with run_app(make_twin(load(None, {}, [])), ours=False) as url:
        reply = await ask(client, "sparse_embedding", {"input": ["a"]}, f"{url}/embed_sparse")
    assert reply.status == 400
    assert "expecting token of type [START_OBJECT] but found [START_ARRAY]" in reply.text


async def test_what_stands_behind_the_question_mark_reaches_the_toolkit() -> None:
    config = load(None, {}, ["twin.profile=toolkit", "twin.task=feature-extraction"])
    async with run_app(make_twin(config), ours=False) as url, aiohttp.ClientSession() as session:
        body = {"inputs": "a " * 300}
        async with session.post(f"{url}/?truncation=true", json=body) as response:
            assert response.status == 200
            [rows] = await response.json()
    assert len(rows) == 256


def test_a_task_that_the_profile_has_not_is_a_wrong_configuration() -> None:
    config = load(None, {}, ["twin.profile=tgi", "twin.task=reranker"])
    for make in (make_twin, lambda config: make_app(config, "mock")):
        with pytest.raises(ConfigError, match="twin: task of profile tgi must be left out"):
            make(config)
    make_app(config)  # serve has no twin
