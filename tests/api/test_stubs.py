"""``/_esinfer/stubs``: what is canned comes out, through all that an answer of the twin meets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.conftest import Client, Reply, StartServer, envelope

PATH = "/_esinfer/stubs"
URL = "https://example.com/x"
RATE = {"requests_per_minute": 1_000_000}


@pytest.fixture
async def mock(start: StartServer) -> Client:
    """Without validation calls, so that no stub is used up by one."""
    return await start("inference.skip_validate_and_start=true", "twin.dimensions=3", mode="mock")


async def create(mock: Client, task: str, inference_id: str = "id") -> None:
    settings = {"url": URL, "api_key": "hf_any", "rate_limit": RATE}
    body = {"service": "hugging_face", "service_settings": settings}
    reply = await mock("PUT", f"/_inference/{task}/{inference_id}", body)
    assert reply.status == 200, reply.text


async def stub(mock: Client, name: str, answer: object, /, **rest: object) -> None:
    reply = await mock("PUT", f"{PATH}/{name}", {"answer": answer, **rest})
    assert reply.status == 200, reply.text


async def embed(mock: Client, *texts: str, inference_id: str = "id") -> list[list[float]]:
    reply = await mock("POST", f"/_inference/text_embedding/{inference_id}", {"input": texts})
    assert reply.status == 200, reply.text
    return [row["embedding"] for row in reply.json["text_embedding"]]


async def hits(mock: Client, name: str) -> tuple[int, int]:
    shown = (await mock("GET", f"{PATH}/{name}")).json
    return shown["calls"], shown["hits"]


# -- what is told -------------------------------------------------------------


async def test_at_the_start_there_is_none(mock: Client) -> None:
    reply = await mock("GET", PATH)
    assert (reply.status, reply.json) == (200, {"stubs": []})


async def test_what_was_put_is_read_back_and_deleted(mock: Client) -> None:
    body = {
        "match": {"input": "a", "inference_id": "id", "task_type": "text_embedding"},
        "answer": [{"vector": [1, 2.5, 1e-7]}, {"fault": {"kind": "overloaded"}}],
        "times": 5,
        "then": "twin",
    }
    shown = {"name": "One.a", **body, "calls": 0, "hits": 0}
    reply = await mock("PUT", f"{PATH}/One.a", body)
    assert (reply.status, reply.json) == (200, shown)
    assert (await mock("GET", f"{PATH}/One.a")).json == shown
    assert (await mock("GET", PATH)).json == {"stubs": [shown]}
    assert (await mock("DELETE", f"{PATH}/One.a")).json == {"acknowledged": True}
    gone = envelope("resource_not_found_exception", "Stub not found [One.a]", 404)
    for method in ("GET", "DELETE"):
        assert (await mock(method, f"{PATH}/One.a")).json == gone


async def test_who_posts_is_given_a_name_that_is_free(mock: Client) -> None:
    await stub(mock, "stub-2", {"score": 1})
    names = [(await mock("POST", PATH, {"answer": {"score": 1}})).json["name"] for _ in range(2)]
    assert names == ["stub-1", "stub-3"]
    assert (await mock("DELETE", PATH)).json == {"acknowledged": True}
    assert (await mock("GET", PATH)).json == {"stubs": []}


async def test_there_is_a_bound(mock: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esinfer.twin.stubs.control.MOST_STUBS", 1)
    await stub(mock, "a", {"score": 1})
    await stub(mock, "a", {"score": 2})
    reply = await mock("PUT", f"{PATH}/b", {"answer": {"score": 1}})
    assert reply.json == envelope("illegal_argument_exception", "There are [1] stubs already")


async def test_serve_has_none(client: Client) -> None:
    reply = await client("GET", PATH)
    assert (reply.status, reply.json["error"]["reason"]) == (
        400,
        "[/_esinfer/stubs] is for esinfer mock: esinfer serve calls real upstreams,"
        " answers are theirs",
    )


ONE_OF = "[vector, weights, score, text, deltas, tool_calls, error, respond, fault]"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "Required [answer]"),
        ([], "[stub] Expected START_OBJECT but was: START_ARRAY"),
        ({"answr": {}}, "[stub] unknown field [answr] did you mean [answer]?"),
        ({"answer": []}, "[0] items, expected [1] to [1000]"),
        ({"answer": [7]}, "[answer] Expected START_OBJECT but was: VALUE_NUMBER"),
        ({"answer": {}}, f"an answer takes exactly one of {ONE_OF}, got none"),
        (
            {"answer": {"vector": [1], "score": 1}},
            f"an answer takes exactly one of {ONE_OF}, got [vector, score]",
        ),
        ({"answer": {"vektor": [1]}}, "[answer] unknown field [vektor] did you mean [vector]?"),
        ({"answer": {"vector": 1}}, "vector doesn't support values of type: VALUE_NUMBER"),
        ({"answer": {"vector": []}}, "a vector of [0] numbers, expected [1] to [65536]"),
        (
            {"answer": {"vector": [1, "2"]}},
            "[vector[1]] must be a number but was [VALUE_STRING]",
        ),
        ({"answer": {"vector": [True]}}, "[vector[0]] must be a number but was [VALUE_BOOLEAN]"),
        (b'{"answer": {"vector": [1e999]}}', "[vector[0]] must be a finite number but was [inf]"),
        ({"answer": {"vector": [10**400]}}, "[vector[0]] must be a finite number but was [1000"),
        (
            {"answer": {"weights": {"fox": None}}},
            "[weights.fox] must be a number but was [VALUE_NULL]",
        ),
        ({"answer": {"score": "1"}}, "score doesn't support values of type: VALUE_STRING"),
        ({"answer": {"deltas": []}}, "[deltas] must be texts, one at least"),
        ({"answer": {"deltas": [1]}}, "[deltas] must be texts, one at least"),
        ({"answer": {"tool_calls": [{}]}}, "Required [name]"),
        (
            {"answer": {"score": 1, "finish_reason": "stop"}},
            "[finish_reason] does not go with [score]",
        ),
        ({"answer": {"error": {"status": 429}}}, "Required [reason]"),
        (
            {"answer": {"error": {"reason": "a", "status": 200}}},
            "Invalid value [200], expected one from [400] to [599]",
        ),
        (
            {"answer": {"respond": {"headers": {"Connection": "close"}}}},
            "Header [Connection] cannot be set",
        ),
        (
            {"answer": {"fault": {"kind": "overloadd"}}},
            "unknown kind of fault [overloadd], did you mean [overloaded]?",
        ),
        (
            {"answer": {"fault": {"kind": "latency", "delay": "1s"}}},
            "[latency] is no answer: set it as an upstream's",
        ),
        (
            {"answer": {"fault": {"kind": "reset", "times": 2}}},
            "[times] belongs to the stub, not to its [fault]",
        ),
        (
            {"answer": [{"vector": [1]}, {"score": 1}]},
            "answers of one stub must be of one task, got [vector, score]",
        ),
        (
            {"answer": {"text": "a"}, "match": {"task_type": "rerank"}},
            "[text] is no answer of [rerank], but of [completion, chat_completion]",
        ),
        (
            {"answer": {"text": "a"}, "match": {"query": "q"}},
            "[match.query] goes with [rerank] alone",
        ),
        (
            {"answer": [{"score": 1}, {"score": 2}], "match": {"call": 2}},
            "[match.call] is one request, it takes a single [answer]",
        ),
        (
            {"answer": {"score": 1}, "match": {"inptu": "a"}},
            "[match] unknown field [inptu] did you mean [input]?",
        ),
        ({"answer": {"score": 1}, "match": {"regex": "a("}}, "[a(]: missing ) at position 2"),
        (
            {"answer": {"score": 1}, "match": {"task_type": "text_embeding"}},
            "unknown value [text_embeding], did you mean any of [text_embedding, ",
        ),
        (
            {"answer": {"score": 1}, "match": {"call": 0}},
            "Invalid value [0], expected one from [1]",
        ),
        (
            {"answer": {"score": 1}, "then": "stop"},
            "unknown value [stop], expected one of [repeat, twin]",
        ),
    ],
)
async def test_what_is_wrong_is_told_and_changes_nothing(
    mock: Client, body: object, reason: str
) -> None:
    await stub(mock, "one", {"score": 0.5})
    before = (await mock("GET", PATH)).json
    for method, path in (("PUT", f"{PATH}/one"), ("POST", PATH)):
        reply = await mock(method, path, body)
        error = reply.json["error"]
        reasons = [error["reason"]]
        while "caused_by" in error:
            error = error["caused_by"]
            reasons.append(error["reason"])
        assert reply.status == 400
        assert any(reason in given for given in reasons), reasons
    assert (await mock("GET", PATH)).json == before


async def test_a_name_must_be_one(mock: Client) -> None:
    reply = await mock("PUT", f"{PATH}/-a", {"answer": {"score": 1}})
    assert (reply.status, reply.json["error"]["reason"]) == (
        400,
        "Invalid stub name [-a], expected letters, digits, [-], [_] and [.],"
        " with a letter or digit at both ends",
    )


async def test_the_place_of_what_is_wrong_is_told(mock: Client) -> None:
    body = b'{"match": {"input": "a"},\n "answer": [{"vector": [1]}, {"vector": {}}]}'
    reply = await mock("PUT", f"{PATH}/a", body)
    assert reply.json["error"]["caused_by"] == {
        "type": "x_content_parse_exception",
        "reason": "[2:41] [answer] vector doesn't support values of type: START_OBJECT",
    }


# -- text_embedding -----------------------------------------------------------


async def test_of_a_batch_only_the_stubbed_input_is_canned(mock: Client) -> None:
    await create(mock, "text_embedding")
    own = await embed(mock, "a", "b", "c")
    await stub(mock, "b", {"vector": [0.25, -1, 1e-9]}, match={"input": "b"})
    assert await embed(mock, "a", "b", "c") == [own[0], [0.25, -1.0, 1e-9], own[2]]
    assert await hits(mock, "b") == (1, 1)


async def test_wrong_dimensions_are_what_was_asked_for(mock: Client) -> None:
    await create(mock, "text_embedding")
    await stub(mock, "b", {"vector": [1, 2]}, match={"contains": "b"})
    assert [len(row) for row in await embed(mock, "abc", "a")] == [2, 3]


@pytest.mark.parametrize("profile", ["tei-1.8", "toolkit", "serverless"])
async def test_the_form_is_that_of_the_profile(start: StartServer, profile: str) -> None:
    mock = await start(
        "inference.skip_validate_and_start=true", f"twin.profile={profile}", mode="mock"
    )
    await create(mock, "text_embedding")
    own = await embed(mock, "a", "b")
    await stub(mock, "b", {"vector": [1, 2]}, match={"regex": "^b$"})
    assert await embed(mock, "a", "b") == [own[0], [1.0, 2.0]]


async def test_the_stub_put_last_comes_first(mock: Client) -> None:
    await create(mock, "text_embedding")
    await stub(mock, "one", {"vector": [1]}, match={"input": "a"})
    await stub(mock, "all", {"vector": [2]})
    assert await embed(mock, "a", "b") == [[2.0], [2.0]]
    await stub(mock, "one", {"vector": [3]}, match={"input": "a"})
    assert await embed(mock, "a", "b") == [[3.0], [2.0]]


async def test_one_request_is_one_hit_and_gives_all_its_inputs_the_same(mock: Client) -> None:
    await create(mock, "text_embedding")
    await stub(mock, "all", [{"vector": [1]}, {"vector": [2]}])
    assert await embed(mock, "a", "b") == [[1.0], [1.0]]
    assert await embed(mock, "a", "b") == [[2.0], [2.0]]
    assert await embed(mock, "a") == [[2.0]], "the last is repeated"
    assert await hits(mock, "all") == (3, 3)


async def test_a_sequence_may_end_with_the_twin(mock: Client) -> None:
    await create(mock, "text_embedding")
    own = await embed(mock, "a")
    await stub(mock, "all", [{"vector": [1]}, {"vector": [2]}], then="twin")
    assert [await embed(mock, "a") for _ in range(3)] == [[[1.0]], [[2.0]], own]
    assert await hits(mock, "all") == (3, 2)


async def test_it_answers_so_many_times(mock: Client) -> None:
    await create(mock, "text_embedding")
    own = await embed(mock, "a")
    await stub(mock, "all", {"vector": [1]}, times=2)
    assert [await embed(mock, "a") for _ in range(3)] == [[[1.0]], [[1.0]], own]


async def test_the_nth_call_alone_and_another_stub_for_the_rest(mock: Client) -> None:
    await create(mock, "text_embedding")
    await stub(mock, "rest", {"vector": [0]})
    await stub(mock, "second", {"vector": [2]}, match={"call": 2})
    assert [await embed(mock, "a") for _ in range(3)] == [[[0.0]], [[2.0]], [[0.0]]]
    assert await hits(mock, "second") == (3, 1)


async def test_another_endpoint_is_not_meant(mock: Client) -> None:
    await create(mock, "text_embedding")
    await create(mock, "text_embedding", "other")
    own = await embed(mock, "a")
    await stub(mock, "a", {"vector": [1]}, match={"inference_id": "other"})
    assert await embed(mock, "a") == own
    assert await embed(mock, "a", inference_id="other") == [[1.0]]


async def test_chunks_are_inputs(mock: Client) -> None:
    settings = {"url": URL, "api_key": "hf_any"}
    chunking = {"strategy": "word", "max_chunk_size": 10, "overlap": 1}
    body = {
        "service": "hugging_face",
        "service_settings": settings,
        "chunking_settings": chunking,
    }
    assert (await mock("PUT", "/_inference/text_embedding/id", body)).status == 200
    await stub(mock, "b", {"vector": [7, 8, 9]}, match={"regex": r"eleven"})
    text = "one two three four five six seven eight nine ten eleven twelve"
    path = "/_esinfer/inference/text_embedding/id/chunked"
    reply = await mock("POST", path, {"input": [text]})
    ((first, second),) = reply.json["chunks"]
    assert (second["embeddings"], len(first["embeddings"])) == ([7.0, 8.0, 9.0], 3)


async def test_large_batches_are_answered_in_a_thread(mock: Client) -> None:
    await create(mock, "text_embedding")
    await stub(mock, "b", {"vector": [1]}, match={"input": "b"})
    assert (await embed(mock, "a" * 20_000, "b"))[1] == [1.0]


async def test_a_runaway_regex_is_told(mock: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esinfer.twin.stubs.parser._LONGEST_SEARCH", 0.01)
    await create(mock, "text_embedding")
    await stub(mock, "a", {"vector": [1]}, match={"regex": "(?:a|a|aa)+$"})
    reply = await mock("POST", "/_inference/text_embedding/id", {"input": "a" * 60 + "b"})
    assert reply.json == envelope(
        "illegal_argument_exception",
        "the regex [(?:a|a|aa)+$] of a stub takes more than [0.01s] on an input of [61] characters",
    )


# -- the other tasks ----------------------------------------------------------


@pytest.mark.parametrize("profile", ["tei-1.9", "elser"])
async def test_sparse_weights(start: StartServer, profile: str) -> None:
    mock = await start(f"twin.profile={profile}", mode="mock")
    await create(mock, "sparse_embedding")
    path = "/_inference/sparse_embedding/id"
    own = (await mock("POST", path, {"input": ["a fox", "a dog"]})).json["sparse_embedding"]
    await stub(mock, "dog", {"weights": {"wolf": 1.5}}, match={"contains": "dog"})
    reply = await mock("POST", path, {"input": ["a fox", "a dog"]})
    canned = {"is_truncated": False, "embedding": {"wolf": 1.5}}
    assert reply.json["sparse_embedding"] == [own[0], canned]


async def test_scores_of_a_rerank_change_its_order(mock: Client) -> None:
    await create(mock, "rerank")
    await stub(mock, "c", {"score": 0.995}, match={"input": "c", "query": "q"})
    await stub(mock, "all", {"score": -2}, match={"inference_id": "nobody"})
    path, documents = "/_inference/rerank/id", ["q", "a", "c"]
    reply = await mock("POST", path, {"query": "q", "input": documents})
    ranks = reply.json["rerank"]
    assert [rank["index"] for rank in ranks] == [2, 0, 1]
    assert ranks[0]["relevance_score"] == 0.995
    reply = await mock("POST", path, {"query": "another", "input": documents, "top_n": 1})
    assert reply.json["rerank"][0]["relevance_score"] != 0.995


COMPLETION, CHAT = "/_inference/completion/id", "/_inference/chat_completion/id"
PROFILES = ["tei-1.9", "tgi", "vllm", "serverless"]


def deltas(reply: Reply) -> list[Any]:
    """The data of a stream's events but for the last."""
    found = [line[6:] for line in reply.text.split("\n") if line.startswith("data: ")]
    assert found[-1] == "[DONE]"
    return [json.loads(data) for data in found[:-1]]


@pytest.mark.parametrize("profile", PROFILES)
async def test_a_completion_whole_and_streamed(start: StartServer, profile: str) -> None:
    mock = await start(f"twin.profile={profile}", mode="mock")
    await create(mock, "completion")
    await stub(mock, "joke", {"deltas": ["Knock", " knock", "!"]}, match={"contains": "joke"})
    asked = {"input": "tell me a joke"}
    reply = await mock("POST", COMPLETION, asked)
    assert reply.json == {"completion": [{"result": "Knock knock!"}]}
    events = deltas(await mock("POST", f"{COMPLETION}/_stream", asked))
    said = [part["delta"] for event in events for part in event["completion"]]
    assert [part for part in said if part] == ["Knock", " knock", "!"]
    reply = await mock("POST", COMPLETION, {"input": "and now?"})
    assert "esinfer twin" in reply.text


async def test_a_text_is_streamed_by_the_word_and_may_be_empty(mock: Client) -> None:
    await create(mock, "completion")
    await stub(mock, "a", {"text": "To be, or not."})
    events = deltas(await mock("POST", f"{COMPLETION}/_stream", {"input": "a"}))
    assert [event["completion"][0]["delta"] for event in events] == ["To", " be,", " or", " not."]
    await stub(mock, "a", {"text": ""})
    assert (await mock("POST", COMPLETION, {"input": "a"})).json == {"completion": [{"result": ""}]}


CALLS: list[Mapping[str, object]] = [
    {"name": "weather", "arguments": {"city": "Oslo"}},
    {"name": "time"},
    {"name": "raw", "arguments": "{not json"},
]


@pytest.mark.parametrize("profile", PROFILES)
async def test_calls_of_tools_are_streamed(start: StartServer, profile: str) -> None:
    mock = await start(f"twin.profile={profile}", mode="mock")
    await create(mock, "chat_completion")
    await stub(mock, "tools", {"tool_calls": CALLS, "finish_reason": "tool_calls"})
    messages = [{"role": "user", "content": "hello"}]
    events = deltas(await mock("POST", f"{CHAT}/_stream", {"messages": messages}))
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for event in events:
        for choice in event.get("choices", ()):
            for call in choice["delta"].get("tool_calls", ()):
                function, index = call["function"], call["index"]
                names[index] = names.get(index, "") + (function.get("name") or "")
                arguments[index] = arguments.get(index, "") + function["arguments"]
    assert names == {0: "weather", 1: "time", 2: "raw"}
    assert arguments == {0: '{"city":"Oslo"}', 1: "{}", 2: "{not json"}
    reasons = [choice.get("finish_reason") for event in events for choice in event["choices"]]
    assert "tool_calls" in reasons


@pytest.mark.parametrize("profile", PROFILES)
async def test_calls_of_tools_come_whole(start: StartServer, profile: str) -> None:
    mock = await start(f"twin.profile={profile}", "elasticsearch.version=9.6.0", mode="mock")
    await create(mock, "chat_completion")
    await stub(mock, "tools", {"tool_calls": CALLS})
    reply = await mock("POST", CHAT, {"messages": [{"role": "user", "content": "hello"}]})
    calls = reply.json["choices"][0]["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["weather", "time", "raw"]
    assert len({call["id"] for call in calls}) == 3


async def test_a_chat_is_known_by_its_last_message(mock: Client) -> None:
    await create(mock, "chat_completion")
    await stub(mock, "a", {"text": "canned"}, match={"input": "second"})
    parts = [{"type": "text", "text": "second"}]
    for content, expected in (("second", True), (parts, True), ("first", False)):
        messages = [{"role": "user", "content": "first"}, {"role": "user", "content": content}]
        reply = await mock("POST", f"{CHAT}/_stream", {"messages": messages})
        assert ("canned" in reply.text) is expected


# -- errors -------------------------------------------------------------------


async def test_a_failure_and_then_success_is_a_retry(mock: Client) -> None:
    await create(mock, "text_embedding")
    await stub(
        mock, "a", [{"fault": {"kind": "overloaded"}}, {"vector": [1]}], match={"input": "a"}
    )
    assert await embed(mock, "a") == [[1.0]]
    log = (await mock("GET", "/_esinfer/upstreams/default/log")).json["exchanges"]
    assert [(each["stubs"], each["answer"]["status"]) for each in log] == [
        (["a"], 429),
        (["a"], 200),
    ]


async def test_any_answer_of_an_upstream(mock: Client) -> None:
    await create(mock, "text_embedding")
    respond = {"status": 402, "body": {"error": "pay"}, "headers": {"X-A": "b"}}
    await stub(mock, "a", {"respond": respond}, match={"input": "a"})
    reply = await mock("POST", "/_inference/text_embedding/id", {"input": ["b", "a"]})
    assert reply.json == envelope(
        "status_exception",
        "Received an unsuccessful status code for request from inference entity id [id]"
        " status [402]. Error message: [pay]",
        402,
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_of_elasticsearchs_is_neither_wrapped_nor_tried_again(
    mock: Client, stream: bool
) -> None:
    await create(mock, "completion")
    error = {"type": "circuit_breaking_exception", "reason": "too large", "status": 429}
    await stub(mock, "a", {"error": error})
    path = f"{COMPLETION}/_stream" if stream else COMPLETION
    reply = await mock("POST", path, {"input": "a"})
    assert reply.status == 429
    data = reply.text.partition("data: ")[2] if stream else reply.text
    assert json.loads(data) == envelope("circuit_breaking_exception", "too large", 429)
    assert await hits(mock, "a") == (1, 1)
    (exchange,) = (await mock("GET", "/_esinfer/upstreams/default/log")).json["exchanges"]
    assert (exchange["answer"], exchange["ending"]) == (None, "refused")


async def test_an_error_is_a_status_exception_unless_told(mock: Client) -> None:
    await create(mock, "text_embedding")
    await stub(mock, "a", {"error": {"reason": "so"}})
    reply = await mock("POST", "/_inference/text_embedding/id", {"input": "a"})
    assert reply.json == envelope("status_exception", "so", 500)


async def test_a_fault_of_the_upstream_comes_before_stubs(mock: Client) -> None:
    await create(mock, "text_embedding")
    await stub(mock, "a", {"vector": [1, 2, 3]})
    faults = [{"kind": "overloaded", "times": 1}, {"kind": "wrong_dimensions", "dimensions": 2}]
    await mock("PUT", "/_esinfer/upstreams/default", {"faults": faults})
    assert await embed(mock, "a") == [[1.0, 2.0]], "the fault that changes a good answer"
    assert await hits(mock, "a") == (1, 1)


async def test_what_the_server_refuses_stays_refused(mock: Client) -> None:
    await create(mock, "text_embedding")
    await stub(mock, "a", {"vector": [1]})
    await mock("PUT", "/_esinfer/upstreams/default", {"api_key": "another"})
    reply = await mock("POST", "/_inference/text_embedding/id", {"input": "a"})
    assert reply.status == 401


async def test_a_stub_answers_validation_calls_too(start: StartServer) -> None:
    mock = await start(mode="mock")
    await stub(mock, "size", {"vector": [1, 2, 3, 4, 5]})
    body = {"service": "hugging_face", "service_settings": {"url": URL, "api_key": "hf_any"}}
    reply = await mock("PUT", "/_inference/text_embedding/id", body)
    assert reply.json["service_settings"]["dimensions"] == 5
