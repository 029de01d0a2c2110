"""The servers that the twin can imitate, by name, and the models that they know."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
import pytest

from esinfer.mock_sections import TWIN_PROFILES
from esinfer.twin.embedders import hashing_embedder
from esinfer.twin.profiles import PROFILES, make_server
from esinfer.twin.servers import DEFAULT_PROFILE, Kind, MakeServer, Server
from esinfer.twin.toolkit import TASKS
from tests.twin.asking import JSON, get, post, said


def test_the_configuration_knows_the_same_profiles() -> None:
    assert list(PROFILES) == list(TWIN_PROFILES)
    assert TWIN_PROFILES[0] == DEFAULT_PROFILE


def test_the_tasks_of_the_toolkit_are_those_it_has() -> None:
    assert list(PROFILES["toolkit"].tasks) == list(TASKS)


@pytest.mark.parametrize("name", PROFILES)
def test_making_a_server_loads_no_embedder(name: str) -> None:
    def embedder(dimensions: int) -> Any:
        raise AssertionError(dimensions)

    made: MakeServer = partial(make_server, embedder=embedder)
    server = made(
        name, model=None, dimensions=None, api_key=None, task=None, max_concurrent_requests=None
    )
    assert server.payload_limit >= 2_000_000


@pytest.mark.parametrize(
    ("name", "task"), [(name, task) for name in PROFILES for task in PROFILES[name].tasks]
)
def test_every_task_of_a_profile_can_be_had(name: str, task: str) -> None:
    server = make_server(name, task=task)
    bodies: list[dict[str, object]] = [
        {"inputs": ["a", "b"]},
        {"inputs": {"source_sentence": "a", "sentences": ["b"]}},
        {"query": "a", "texts": ["b"]},
    ]
    assert [post(server, "/", body).status for body in bodies].count(200) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["tei"],
            "profile must be one of tei-1.9, tei-1.8, toolkit, serverless, tgi, elser, vllm, "
            "got tei",
        ),
        (
            ["toolkit", "reranker"],
            "task of profile toolkit must be one of sentence-embeddings, sentence-similarity, "
            "sentence-ranking, feature-extraction, got reranker",
        ),
        (["tgi", "chat"], "task of profile tgi must be left out, got chat"),
    ],
)
def test_what_is_not_there_is_a_value_error(arguments: list[str], message: str) -> None:
    name, task = [*arguments, None][:2]
    with pytest.raises(ValueError, match="must be") as caught:
        make_server(str(name), task=task)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("dimensions", [0, -1, 4097])
def test_dimensions_are_bounded(name: str, dimensions: int) -> None:
    with pytest.raises(ValueError, match="dimensions must be between 1 and 4096"):
        make_server(name, dimensions=dimensions)


# Models


@pytest.mark.parametrize(
    ("name", "dimensions", "tokens"),
    [
        ("sentence-transformers/all-MiniLM-L6-v2", 384, 256),
        ("sentence-transformers/all-MiniLM-L12-v2", 384, 128),
        ("sentence-transformers/all-mpnet-base-v2", 768, 384),
        ("intfloat/e5-base-v2", 768, 512),
        ("intfloat/e5-small-v2", 384, 512),
        ("intfloat/multilingual-e5-base", 768, 512),
        ("intfloat/multilingual-e5-small", 384, 512),
        ("nobody/knows", 384, 512),
    ],
)
def test_a_known_model_sets_dimensions_and_tokens(name: str, dimensions: int, tokens: int) -> None:
    server = make_server("tei-1.8", model=name, embedder=hashing_embedder)
    _, about = said(get(server, "/info"))
    assert about["model_id"] == about["served_model_name"] == name
    assert about["max_input_length"] == tokens
    assert about["model_type"] == {"embedding": {"pooling": "mean"}}
    answer = post(server, "/embed", {"inputs": "a " * tokens})
    assert [len(row) for row in orjson.loads(answer.body)] == [dimensions]
    status, body = said(post(server, "/embed", {"inputs": "a " * (tokens + 1)}))
    assert status == 413
    assert body["error"].endswith(f"must have less than {tokens} tokens. Given: {tokens + 1}")


@pytest.mark.parametrize("profile", ["tei-1.9", "toolkit", "serverless"])
def test_dimensions_that_are_given_win_over_the_models(profile: str) -> None:
    server = make_server(profile, model="intfloat/e5-base-v2", dimensions=9)
    body = orjson.loads(server.run(Kind.EMBED, JSON, b'{"inputs":["a"]}').body)
    rows = body["embeddings"] if isinstance(body, dict) else body
    assert [len(row) for row in rows] == [9]


@pytest.mark.parametrize("profile", ["tei-1.9", "tei-1.8", "serverless", "tgi", "vllm"])
def test_a_key_is_asked_for_where_the_original_has_one(profile: str) -> None:
    server: Server = make_server(profile, api_key="key")
    assert post(server, "/v1/chat/completions", {}).status == 401


# What Elasticsearch's tasks meet in mock, where the url says nothing of a route

EMBED = b'{"inputs":["a fox"]}'
RANK = b'{"query":"a","texts":["a"]}'
CHAT = b'{"messages":[{"role":"user","content":"a"}]}'


@pytest.mark.parametrize(
    ("profile", "statuses"),
    [
        ("tei-1.9", [200, 200, 200, 200]),
        ("tei-1.8", [200, 200, 200, 200]),
        ("toolkit", [200, 200, 400, 400]),
        ("serverless", [200, 200, 200, 200]),
        ("tgi", [422, 422, 422, 200]),
        ("elser", [200, 200, 400, 400]),
        ("vllm", [400, 400, 400, 200]),
    ],
)
def test_a_task_that_a_server_has_not_is_answered_as_its_body_is(
    profile: str, statuses: list[int]
) -> None:
    server = make_server(profile)
    asked = [(Kind.EMBED, EMBED), (Kind.ELSER, EMBED), (Kind.RERANK, RANK), (Kind.CHAT, CHAT)]
    assert [server.run(kind, JSON, body).status for kind, body in asked] == statuses
