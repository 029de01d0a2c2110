"""``POST /_esinfer/chunk`` and chunked inference (interface.md; chunking.md sections 1 and 4)."""

from __future__ import annotations

import asyncio
import io
import time
from typing import Any

import orjson
import pytest
from aiohttp import web

from esinfer.api import chunks
from esinfer.chunking import chunker, settings
from esinfer.chunking.chunker import chunk
from tests.api.test_bodies import malformed
from tests.api.test_large_bodies import ask_meanwhile, gated
from tests.conftest import Answer, Client, Upstream, create, envelope

CHUNK = "/_esinfer/chunk"
CHUNKED = "/_esinfer/inference/text_embedding/id/chunked"
RECURSIVE = {"strategy": "recursive", "max_chunk_size": 10, "separators": ["word1"]}
WORD = {"strategy": "word", "max_chunk_size": 10, "overlap": 1}
TEXT = " ".join(f"word{number}" for number in range(25)) + " \U0001f600."


def expected(text: str, given: dict[str, object]) -> list[dict[str, Any]]:
    return [part._asdict() for part in chunk(text, settings.load(given))]


# -- /_esinfer/chunk ----------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {},
        WORD,
        {"strategy": "sentence", "max_chunk_size": 20, "sentence_overlap": 0},
        RECURSIVE,
        {"strategy": "none"},
    ],
    ids=lambda given: str(given.get("strategy")),
)
async def test_each_input_has_its_list_of_chunks(client: Client, given: dict[str, object]) -> None:
    body = {"input": [TEXT, "", "one"], "chunking_settings": given}
    reply = await client("POST", CHUNK, body)
    assert reply.status == 200
    assert reply.json == {"chunks": [expected(text, given) for text in (TEXT, "", "one")]}


async def test_a_single_text_is_a_list_of_one(client: Client) -> None:
    reply = await client("POST", CHUNK, {"input": "\U0001f600 a"})
    assert reply.json == {
        "chunks": [[{"start_offset": 0, "end_offset": 4, "text": "\U0001f600 a"}]]
    }


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (
            {},
            "action_request_validation_exception",
            "Validation Failed: 1: Field [input] cannot be null;",
        ),
        (
            {"input": []},
            "action_request_validation_exception",
            "Validation Failed: 1: Field [input] cannot be an empty array;",
        ),
        (
            {"input": "a", "chunking_settings": {"strategy": "word", "max_chunk_size": 10}},
            "validation_exception",
            "Validation Failed: 1: [chunking_settings] does not contain the required setting"
            " [overlap];",
        ),
        (
            {"input": "a", "chunking_settings": None},
            "x_content_parse_exception",
            "[1:37] [esinfer/chunk] chunking_settings doesn't support values of type: VALUE_NULL",
        ),
        (
            {"input": "a", "chunking_settings": {"strategy": "words"}},
            "illegal_argument_exception",
            "Invalid chunkingStrategy words",
        ),
        (
            {"input": "a", "chunking_settings": {"max_chunk_size": 20}},
            "illegal_argument_exception",
            "Can't generate Chunker without ChunkingStrategy provided",
        ),
    ],
)
async def test_a_bad_body_is_400(
    client: Client, body: dict[str, object], kind: str, reason: str
) -> None:
    reply = await client("POST", CHUNK, body)
    assert (reply.status, reply.json) == (400, envelope(kind, reason))


@pytest.mark.parametrize("path", [CHUNK, CHUNKED])
async def test_an_unknown_field_is_400_with_its_place(client: Client, path: str) -> None:
    reply = await client("POST", path, b'{"inputs": "a"}')
    name = "esinfer/chunk" if path is CHUNK else "esinfer/chunked"
    reason = f"[1:2] [{name}] unknown field [inputs] did you mean [input]?"
    assert (reply.status, reply.json) == (400, envelope("x_content_parse_exception", reason))


@pytest.mark.parametrize("path", [CHUNK, CHUNKED])
@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        (rb"\ud83d", 11, "Unpaired surrogate in a JSON string"),
        (rb"\ude00\ud83d", 11, "Unpaired surrogate in a JSON string"),
        (b"\xff", 14, "Invalid UTF-8 start byte 0xff"),
        (b"\xed\xa0\x80", 15, "Invalid UTF-8 middle byte 0xa0"),
    ],
)
async def test_text_that_is_no_unicode_is_400(
    client: Client, path: str, text: bytes, column: int, problem: str
) -> None:
    reply = await client("POST", path, b'{"input": "a%b"}' % text)
    assert (reply.status, reply.json) == (400, malformed(1, column, problem))


async def test_a_separator_that_is_no_regex_fails_when_it_is_needed(client: Client) -> None:
    given = {"strategy": "recursive", "max_chunk_size": 10, "separators": ["("]}
    short = await client("POST", CHUNK, {"input": "a", "chunking_settings": given})
    assert short.status == 200
    long = await client("POST", CHUNK, {"input": TEXT, "chunking_settings": given})
    assert long.status == 400
    assert long.json["error"]["type"] == "pattern_syntax_exception"


async def test_a_separator_that_runs_away_is_stopped(client: Client) -> None:
    regex = "(a+)+b"
    given = {"strategy": "recursive", "max_chunk_size": 10, "separators": [regex]}
    text = TEXT + "a" * 5000
    reply = await client("POST", CHUNK, {"input": text, "chunking_settings": given})
    reason = f"Chunk separator regex [{regex}] has exceeded the character read limit"
    assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))


async def test_others_are_answered_while_a_long_text_is_chunked(client: Client) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 200_000
    start = time.perf_counter()
    chunk(text, settings.DEFAULT)
    inline = time.perf_counter() - start
    sent = orjson.dumps({"input": text})
    # Noise may hold up the loop as well, but not every time.
    longest = [await longest_wait(client, sent, len(text)) for _ in range(3)]
    assert min(longest) < inline / 2


async def longest_wait(client: Client, body: bytes, end: int) -> float:
    """Ask for ``GET /`` until the chunks are there; the seconds of the slowest answer."""
    headers = {"Content-Type": "application/json"}
    waits = []
    async with asyncio.timeout(60):
        posting = client.session.post(
            f"{client.url}{CHUNK}", data=io.BytesIO(body), headers=headers
        )
        asked = asyncio.ensure_future(posting)
        while not asked.done():
            start = time.perf_counter()
            assert (await client("GET", "/")).status == 200
            waits.append(time.perf_counter() - start)
        async with await asked as response:
            assert (await response.json())["chunks"][0][-1]["end_offset"] == end
    return max(waits)


@pytest.mark.parametrize(
    "body",
    [
        {"input": "a " * 5000},
        {"input": [""] * 20},
        {"input": TEXT, "chunking_settings": RECURSIVE},
    ],
    ids=["a long text", "many texts", "a regex"],
)
async def test_chunking_that_may_take_long_goes_on_beside_the_loop(
    client: Client, monkeypatch: pytest.MonkeyPatch, body: dict[str, object]
) -> None:
    gate = gated(monkeypatch, chunker, "chunk")
    asked = asyncio.ensure_future(client("POST", CHUNK, body))
    assert (await ask_meanwhile(gate, client, asked)).status == 200


@pytest.mark.parametrize("name", ["_dump_chunks", "_dump_results"])
async def test_long_answers_are_written_beside_the_loop(
    mock: Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    body = {
        "service": "hugging_face",
        "service_settings": {"url": "https://example.com", "api_key": "any"},
    }
    assert (await mock("PUT", "/_inference/text_embedding/id", body)).status == 200
    gate = gated(monkeypatch, chunks, name)
    path = CHUNK if name == "_dump_chunks" else CHUNKED
    asked = asyncio.ensure_future(mock("POST", path, {"input": ["a" * 5000] * 20}))
    assert (await ask_meanwhile(gate, mock, asked)).status == 200


# -- chunked inference ----------------------------------------------------------


def vectors(*numbers: float) -> Answer:
    return Answer.json([[number, 0.5] for number in numbers])


def embedded(text: str, *rows: Any, given: dict[str, object] = WORD) -> list[dict[str, Any]]:
    pairs = zip(expected(text, given), rows, strict=True)
    return [part | {"embeddings": row} for part, row in pairs]


@pytest.fixture
async def chunking(client: Client, upstream: Upstream) -> Client:
    """The server with an endpoint that cuts by words, ten a chunk."""
    body = {
        "service": "hugging_face",
        "service_settings": {"url": upstream.url, "api_key": "secret"},
        "chunking_settings": WORD,
    }
    reply = await client("PUT", "/_inference/text_embedding/id", body)
    assert reply.json["chunking_settings"] == WORD
    upstream.answers()
    return client


async def test_the_chunks_of_all_inputs_are_embedded(chunking: Client, upstream: Upstream) -> None:
    upstream.answers(vectors(1, 2, 3, 4))
    reply = await chunking("POST", CHUNKED, {"input": [TEXT, "short"]})
    assert reply.status == 200
    assert reply.json == {
        "chunks": [
            embedded(TEXT, [1, 0.5], [2, 0.5], [3, 0.5]),
            embedded("short", [4, 0.5]),
        ]
    }
    texts = [part["text"] for text in (TEXT, "short") for part in expected(text, WORD)]
    assert upstream.bodies == [{"inputs": texts}]


async def test_the_request_may_bring_its_own_settings(chunking: Client, upstream: Upstream) -> None:
    upstream.answers(vectors(1))
    body = {"input": TEXT, "chunking_settings": {"strategy": "none"}}
    reply = await chunking("POST", CHUNKED, body)
    assert reply.json == {"chunks": [embedded(TEXT, [1, 0.5], given={"strategy": "none"})]}


async def test_an_endpoint_without_settings_cuts_by_250_words(
    embedder: Client, upstream: Upstream
) -> None:
    text = "word " * 300
    upstream.answers(vectors(1, 2))
    reply = await embedder("POST", CHUNKED, {"input": text})
    assert reply.json == {"chunks": [embedded(text, [1, 0.5], [2, 0.5], given={})]}


async def test_a_changed_endpoint_cuts_as_it_says_now(chunking: Client, upstream: Upstream) -> None:
    change = {"chunking_settings": {"strategy": "none"}}
    updated = await chunking("PUT", "/_inference/text_embedding/id/_update", change)
    assert updated.json["chunking_settings"] == {"strategy": "none"}
    upstream.answers(vectors(1))
    reply = await chunking("POST", CHUNKED, {"input": TEXT})
    assert reply.json == {"chunks": [embedded(TEXT, [1, 0.5], given={"strategy": "none"})]}


def by_position(upstream: Upstream, failing: str | None = None) -> None:
    """Let the upstream embed each text as the number of its first word."""

    async def answer(_request: web.Request) -> web.Response:
        texts = orjson.loads(upstream.requests[-1]["body"])["inputs"]
        if failing is not None and any(failing in text.split() for text in texts):
            return web.json_response({"error": "no"}, status=400)
        return web.json_response([[int(text.split()[0][4:])] for text in texts])

    upstream.handler = answer


async def test_chunks_go_out_in_batches_of_20_and_come_back_in_order(
    chunking: Client, upstream: Upstream
) -> None:
    by_position(upstream)
    long = " ".join(f"word{number}" for number in range(400))
    reply = await chunking("POST", CHUNKED, {"input": [long, TEXT]})
    chunks = expected(long, WORD)
    assert sorted(len(body["inputs"]) for body in upstream.bodies) == [8, 20, 20]
    firsts = [[int(part["text"].split()[0][4:])] for part in chunks]
    assert reply.json["chunks"][0] == embedded(long, *firsts)
    assert [part["embeddings"] for part in reply.json["chunks"][1]] == [[0], [9], [18]]


async def test_a_failed_batch_takes_its_inputs_and_leaves_the_others(
    chunking: Client, upstream: Upstream
) -> None:
    by_position(upstream, failing="word399")
    # 18 chunks, 45, 3, 18: the 63rd is in the fourth batch, with the third input and most of the
    # fourth; the last input has its chunks in the fifth.
    good = " ".join(f"word{number}" for number in range(163))
    bad = " ".join(f"word{number}" for number in range(400))
    reply = await chunking("POST", CHUNKED, {"input": [good, bad, TEXT, good, good]})
    first, second, third, fourth, fifth = reply.json["chunks"]
    assert [part["embeddings"] for part in first] == [[9 * number] for number in range(18)]
    reason = (
        "Received an unsuccessful status code for request from inference entity id [id]"
        " status [400]. Error message: [no]"
    )
    failed = {"error": envelope("status_exception", reason)["error"]}
    assert [second, third, fourth] == [failed] * 3
    assert fifth == first


async def test_fewer_embeddings_than_chunks_are_an_error(
    chunking: Client, upstream: Upstream
) -> None:
    upstream.answers(vectors(1, 2))
    reply = await chunking("POST", CHUNKED, {"input": TEXT})
    reason = "Error the number of embedding responses [2] does not equal the number of requests [3]"
    assert reply.status == 200
    assert reply.json == {"chunks": [{"error": envelope("status_exception", reason)["error"]}]}


async def test_more_than_512_chunks_are_merged(chunking: Client, upstream: Upstream) -> None:
    by_position(upstream)
    text = " ".join(f"word{number}" for number in range(9 * 600 + 1))
    chunks = expected(text, WORD)
    reply = await chunking("POST", CHUNKED, {"input": text})
    (merged,) = reply.json["chunks"]
    assert (len(chunks), len(merged)) == (600, 512)
    slots: dict[int, list[int]] = {}
    for index in range(600):
        slots.setdefault(index * 512 // 600, []).append(index)
    for part, indexes in zip(merged, slots.values(), strict=True):
        start, end = chunks[indexes[0]]["start_offset"], chunks[indexes[-1]]["end_offset"]
        assert (part["start_offset"], part["end_offset"]) == (start, end)
        assert part["text"] == text[start:end]
        mean = sum(9 * index for index in indexes) / len(indexes)
        assert part["embeddings"] == [pytest.approx(mean, rel=1e-6)]


async def test_sparse_embeddings_are_objects(client: Client, upstream: Upstream) -> None:
    await create(client, upstream, "id", "sparse_embedding")
    upstream.answers(Answer.json([{"a": 0.5}, {"b": 2, "c": 1}]))
    path = "/_esinfer/inference/sparse_embedding/id/chunked"
    reply = await client("POST", path, {"input": ["one", "two"]})
    assert reply.json == {
        "chunks": [
            embedded("one", {"a": 0.5}, given={}),
            embedded("two", {"b": 2, "c": 1}, given={}),
        ]
    }


async def test_sparse_inputs_are_cut_by_250_words_and_sent_by_20(
    client: Client, upstream: Upstream
) -> None:
    await create(client, upstream, "id", "sparse_embedding")

    async def answer(_request: web.Request) -> web.Response:
        texts = orjson.loads(upstream.requests[-1]["body"])["inputs"]
        return web.json_response([{"a": 0.5} for _ in texts])

    upstream.handler = answer
    text = "word " * 300
    path = "/_esinfer/inference/sparse_embedding/id/chunked"
    reply = await client("POST", path, {"input": [text] * 11})
    assert reply.json == {"chunks": [embedded(text, {"a": 0.5}, {"a": 0.5}, given={})] * 11}
    assert sorted(len(body["inputs"]) for body in upstream.bodies) == [2, 20]


async def test_more_than_512_sparse_chunks_are_merged(client: Client, upstream: Upstream) -> None:
    await create(client, upstream, "id", "sparse_embedding")

    async def answer(_request: web.Request) -> web.Response:
        texts = orjson.loads(upstream.requests[-1]["body"])["inputs"]
        return web.json_response([{text.split()[0]: 1.5, "all": 1} for text in texts])

    upstream.handler = answer
    text = " ".join(f"word{number}" for number in range(9 * 600 + 1))
    path = "/_esinfer/inference/sparse_embedding/id/chunked"
    reply = await client("POST", path, {"input": text, "chunking_settings": WORD})
    (merged,) = reply.json["chunks"]
    assert len(merged) == 512
    # The first result holds the chunks 0 and 1, whose first words are 0 and 9.
    assert merged[0]["embeddings"] == {"word9": 1.5, "word0": 1.5, "all": 1}


@pytest.mark.parametrize("path", [CHUNKED, CHUNKED.replace("text_embedding", "any")])
async def test_the_input_type_is_checked_as_in_a_plain_inference(
    embedder: Client, upstream: Upstream, path: str
) -> None:
    body = {"input": "a", "input_type": "search"}
    plain = await embedder("POST", "/_inference/text_embedding/id", body)
    chunked = await embedder("POST", path, body)
    assert chunked.status == 400
    assert (chunked.status, chunked.json) == (plain.status, plain.json)
    assert upstream.requests == []


async def test_any_stands_for_the_task_type_of_the_endpoint(
    chunking: Client, upstream: Upstream
) -> None:
    upstream.answers(vectors(1))
    reply = await chunking("POST", CHUNKED.replace("text_embedding", "any"), {"input": "a"})
    assert reply.json == {"chunks": [embedded("a", [1, 0.5])]}


@pytest.mark.parametrize("path", [CHUNK, CHUNKED])
async def test_an_unknown_parameter_is_400(client: Client, path: str) -> None:
    reply = await client("POST", f"{path}?timeot=1s", {"input": "a"})
    hint = "" if path is CHUNK else " -> did you mean [timeout]?"
    reason = f"request [{path}] contains unrecognized parameter: [timeot]{hint}"
    assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))


async def test_hugging_face_elser_takes_inputs_whole(client: Client, upstream: Upstream) -> None:
    body = {
        "service": "hugging_face_elser",
        "service_settings": {"url": upstream.url, "api_key": "secret"},
    }
    upstream.answers(Answer.json([{"a": 0.5}]))
    await client("PUT", "/_inference/sparse_embedding/id", body)
    text = "word " * 300
    upstream.answers(Answer.json([{"a": 0.5}] * 30))
    path = "/_esinfer/inference/sparse_embedding/id/chunked"
    reply = await client("POST", path, {"input": [text] * 30})
    whole = embedded(text, {"a": 0.5}, given={"strategy": "none"})
    assert reply.json == {"chunks": [whole] * 30}
    assert upstream.bodies == [{"inputs": [text] * 30}]


async def test_an_unknown_endpoint_is_404(client: Client) -> None:
    reply = await client("POST", CHUNKED, {"input": "a"})
    reason = "Inference endpoint not found [id]"
    expected_body = envelope("resource_not_found_exception", reason, 404)
    assert (reply.status, reply.json) == (404, expected_body)


async def test_another_task_type_is_refused(embedder: Client) -> None:
    path = "/_esinfer/inference/sparse_embedding/id/chunked"
    reply = await embedder("POST", path, {"input": "a"})
    reason = (
        "Incompatible task_type, the requested type [sparse_embedding] does not match the model"
        " type [text_embedding]"
    )
    assert (reply.status, reply.json) == (400, envelope("status_exception", reason))


async def test_a_task_that_embeds_nothing_is_refused(client: Client, upstream: Upstream) -> None:
    await create(client, upstream, "id", "rerank")
    reply = await client("POST", "/_esinfer/inference/rerank/id/chunked", {"input": "a"})
    reason = "Chunked inference is not supported for task type [rerank]"
    assert (reply.status, reply.json) == (400, envelope("status_exception", reason))


async def test_a_timeout_is_the_error_of_each_input(chunking: Client, upstream: Upstream) -> None:
    async def hang(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    upstream.handler = hang
    reply = await chunking("POST", f"{CHUNKED}?timeout=50ms", {"input": ["a", "b"]})
    assert reply.status == 200
    assert [found["error"]["type"] for found in reply.json["chunks"]] == ["timeout_exception"] * 2


async def test_the_mock_shows_the_chunks_of_an_endpoint(mock: Client) -> None:
    body = {
        "service": "hugging_face",
        "service_settings": {"url": "https://example.com", "api_key": "any"},
        "chunking_settings": WORD,
    }
    await mock("PUT", "/_inference/text_embedding/id", body)
    reply = await mock("POST", CHUNKED, {"input": TEXT})
    (found,) = reply.json["chunks"]
    places = [(part["start_offset"], part["end_offset"], part["text"]) for part in found]
    assert places == chunk(TEXT, settings.load(WORD))
    assert {len(part["embeddings"]) for part in found} == {384}
