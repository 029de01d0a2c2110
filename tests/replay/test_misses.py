"""What is said of a request that was not recorded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Client
from tests.replay.conftest import Kit

CHAT = {"messages": [{"role": "user", "content": "Greet the whole world"}], "temperature": 0.5}


async def reason(client: Client, path: str, body: object) -> str:
    """The reason of the miss, from the place on where the nearest is named."""
    reply = await client("POST", f"/_inference/{path}", body)
    assert (reply.status, reply.json["error"]["type"]) == (501, "status_exception")
    text: str = reply.json["error"]["reason"]
    return text.partition("]: ")[2]


@pytest.fixture
async def mock(kit: Kit) -> Client:
    server = await kit.record()
    for task in ("text_embedding", "rerank", "completion"):
        await kit.create(server, task)
    texts = ["the lazy dog sleeps", "a quick brown fox", "x" * 1000]
    await server("POST", "/_inference/text_embedding/text_embedding", {"input": texts})
    await server("POST", "/_inference/rerank/rerank", {"input": texts, "query": "animals"})
    await server("POST", "/_inference/completion/completion", {"input": "Greet the world"})
    mock = await kit.replay("elasticsearch.version=9.6.0")
    for task in ("text_embedding", "rerank", "completion"):
        await kit.create(mock, task)
    return mock


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (
            "text_embedding/text_embedding",
            {"input": "the lazy dogs sleep"},
            '[inputs]: "the lazy dogs sleep" was asked, "the lazy dog sleeps" is recorded',
        ),
        (
            "text_embedding/text_embedding",
            {"input": ["a quick brown fox", "a quick red fox", "a dog"]},
            '[inputs]: "a quick red fox" was asked, "a quick brown fox" is recorded'
            " (and 1 more of the batch)",
        ),
        (
            "text_embedding/text_embedding",
            {"input": "x" * 900 + "y" * 900},
            f'[inputs]: "...{"x" * 30}{"y" * 83}... was asked, "...{"x" * 113}... is recorded',
        ),
        (
            "rerank/rerank",
            {"input": "a quick brown fox", "query": "animal"},
            '[query]: "animal" was asked, "animals" is recorded',
        ),
        (
            "completion/completion",
            {"input": "Greet the worlds"},
            '[messages[0].content]: "Greet the worlds" was asked, "Greet the world" is recorded',
        ),
    ],
)
async def test_a_miss_names_the_nearest_and_what_differs(
    mock: Client, path: str, body: dict[str, Any], expected: str
) -> None:
    expected = f"the nearest recorded request differs in {expected}"
    assert await reason(mock, path, body) == expected


async def test_another_url_is_what_differs(mock: Client, kit: Kit) -> None:
    url = f"{kit.url}/other"
    created = await kit.create(mock, "sparse_embedding", url=url)
    caused_by: str = created.json["error"]["caused_by"]["reason"]
    assert f'[url]: "{url}/elser"' not in caused_by
    assert f'[url]: "{url}" was asked' in caused_by
    assert '[task_type]: "sparse_embedding" was asked, "' in caused_by


async def test_a_stream_of_what_was_recorded_whole_is_a_miss(mock: Client) -> None:
    reply = await mock(
        "POST", "/_inference/completion/completion/_stream", {"input": "Greet the world"}
    )
    assert reply.status == 501
    assert "[stream]: true was asked, false is recorded" in reply.text.replace('\\"', '"')
    assert (
        "[stream_options.include_usage]: true was asked, nothing is recorded"
        in reply.text.replace('\\"', '"')
    )


async def test_many_differences_are_counted(kit: Kit) -> None:
    server = await kit.record()
    await kit.create(server, "chat_completion")
    mock = await kit.replay()
    await kit.create(mock, "chat_completion")
    body = CHAT | {"top_p": 0.5, "stop": ["a", "b"], "max_completion_tokens": 3}

    said = await mock("POST", "/_inference/chat_completion/chat_completion/_stream", body)

    assert said.status == 501
    assert "[max_tokens]: 3 was asked, nothing is recorded" in said.text
    assert "; and 2 more" in said.text
