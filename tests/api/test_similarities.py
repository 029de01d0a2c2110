"""``/_esinfer/similarities``: what is pinned shows in vectors and ranks, over HTTP."""

from __future__ import annotations

import pytest

from tests.conftest import Client, StartServer, envelope

PATH = "/_esinfer/similarities"
PAIR = ["cheap flight", "low-cost airfare", 0.92]


async def create(mock: Client, task: str) -> None:
    settings = {"url": "https://example.com/x", "api_key": "hf_any"}
    body = {"service": "hugging_face", "service_settings": settings}
    reply = await mock("PUT", f"/_inference/{task}/{task}", body)
    assert reply.status == 200, reply.text


async def embed(mock: Client, *texts: str) -> list[list[float]]:
    reply = await mock("POST", "/_inference/text_embedding/text_embedding", {"input": texts})
    assert reply.status == 200, reply.text
    return [row["embedding"] for row in reply.json["text_embedding"]]


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_what_was_put_is_read_back_added_to_and_deleted(mock: Client) -> None:
    assert (await mock("GET", PATH)).json == {"similarities": []}
    reply = await mock("PUT", PATH, {"similarities": [PAIR]})
    assert (reply.status, reply.json) == (200, {"similarities": [PAIR]})
    more = ["cheap flight", "dear train", -0.5]
    reply = await mock("POST", PATH, {"similarities": [more]})
    assert reply.json == {"similarities": [PAIR, more]}
    assert (await mock("GET", PATH)).json == {"similarities": [PAIR, more]}
    assert (await mock("PUT", PATH, {"similarities": [more]})).json == {"similarities": [more]}
    assert (await mock("DELETE", PATH)).json == {"acknowledged": True}
    assert (await mock("GET", PATH)).json == {"similarities": []}


@pytest.mark.parametrize("model", ["static", "hash"])
@pytest.mark.parametrize("profile", ["tei-1.9", "tei-1.8", "toolkit", "serverless"])
async def test_embeddings_have_the_cosine(start: StartServer, profile: str, model: str) -> None:
    mock = await start(f"twin.profile={profile}", f"twin.model={model}", mode="mock")
    await create(mock, "text_embedding")
    own = await embed(mock, "a dog", "cheap flight")
    await mock("PUT", PATH, {"similarities": [PAIR]})
    one, dog, other = await embed(mock, "low-cost airfare", "a dog", "cheap flight")
    assert cosine(one, other) == pytest.approx(0.92, abs=1e-3)
    assert dog == own[0]
    assert other != own[1]
    await mock("DELETE", PATH)
    assert await embed(mock, "a dog", "cheap flight") == own


@pytest.mark.parametrize("profile", ["tei-1.9", "serverless"])
async def test_ranks_follow_the_pins(start: StartServer, profile: str) -> None:
    mock = await start(f"twin.profile={profile}", mode="mock")
    await create(mock, "rerank")
    pins = [["query", "cat", 0.9], ["query", "query text", -0.4], ["query", "dog", 0.3]]
    await mock("PUT", PATH, {"similarities": pins})
    body = {"query": "query", "input": ["query text", "dog", "cat"]}
    reply = await mock("POST", "/_inference/rerank/rerank", body)
    assert [rank["index"] for rank in reply.json["rerank"]] == [2, 1, 0]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "Required [similarities]"),
        ({"similar": []}, "[similarities] unknown field [similar] did you mean [similarities]?"),
        ({"similarities": {}}, "similarities doesn't support values of type: START_OBJECT"),
        ({"similarities": ["a"]}, "expected [text, text, cosine] but got [VALUE_STRING]"),
        ({"similarities": [["a", "b"]]}, "expected [text, text, cosine] but got [2] values"),
        ({"similarities": [["a", 1, 1]]}, "expected a text but got [VALUE_NUMBER]"),
        ({"similarities": [["a", "b", "1"]]}, "expected a cosine but got [VALUE_STRING]"),
        (b'{"similarities": [["a", "b", 1e999]]}', "expected a cosine but got [VALUE_NUMBER]"),
        (
            {"similarities": [["a", "b", 1.5]]},
            "the cosine of [a] and [b] must be from [-1] to [1], got [1.5]",
        ),
        ({"similarities": [["a", "\t ", 0.5]]}, "there is nothing to read in the text [\t ]"),
        (
            {"similarities": [["a", "b", 1], ["b", "c", 1], ["a", "c", -1]]},
            "the cosine of [a] and [c] cannot be [-1]: the others leave it from [1] to [1]",
        ),
    ],
)
async def test_what_is_wrong_is_told_and_changes_nothing(
    mock: Client, body: object, reason: str
) -> None:
    await mock("PUT", PATH, {"similarities": [PAIR]})
    for method in ("PUT", "POST"):
        reply = await mock(method, PATH, body)
        error = reply.json["error"]
        reasons = [error["reason"]]
        while "caused_by" in error:
            error = error["caused_by"]
            reasons.append(error["reason"])
        assert reply.status == 400
        assert any(reason in given for given in reasons), reasons
    assert (await mock("GET", PATH)).json == {"similarities": [PAIR]}


async def test_the_place_of_what_is_wrong_is_told(mock: Client) -> None:
    reply = await mock("PUT", PATH, b'{"similarities": [["a", "b", 0.5],\n  ["a", 7, 1]]}')
    assert (
        reply.json["error"]["reason"] == "[2:9] [similarities] failed to parse field [similarities]"
    )


async def test_what_is_added_must_hold_with_what_is_there(mock: Client) -> None:
    await mock("PUT", PATH, {"similarities": [["a", "b", 1]]})
    reply = await mock("POST", PATH, {"similarities": [["b", "a", 0.5]]})
    assert reply.json == envelope(
        "illegal_argument_exception",
        "the cosine of [b] and [a] is [1] already, it cannot be [0.5] too",
    )


@pytest.mark.parametrize("profile", ["tei-1.9", "toolkit"])
async def test_an_upstream_with_fewer_dimensions_is_told(start: StartServer, profile: str) -> None:
    mock = await start("twin.dimensions=2", f"twin.profile={profile}", mode="mock")
    await create(mock, "text_embedding")
    pins = [["a", "b", 0.5], ["b", "c", 0.5]]
    reply = await mock("PUT", PATH, {"similarities": pins})
    assert reply.json == envelope(
        "illegal_argument_exception",
        "[3] texts hang together by their similarities, which takes as many dimensions, and"
        " upstream [default] has [2]",
    )
    await mock("PUT", "/_esinfer/upstreams/default", {"dimensions": 3})
    assert (await mock("PUT", PATH, {"similarities": pins})).status == 200
    await mock("DELETE", "/_esinfer/upstreams/default")
    reply = await mock("POST", "/_inference/text_embedding/text_embedding", {"input": ["a"]})
    assert "which takes as many dimensions, not 2" in reply.json["error"]["reason"]


async def test_serve_has_none(client: Client) -> None:
    reply = await client("GET", PATH)
    assert "is for esinfer mock" in reply.json["error"]["reason"]
