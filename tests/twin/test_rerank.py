import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.embedders import static_embedder
from esinfer.twin.rerank import RerankRequest, load_rerank_request, logit
from esinfer.twin.serde import MalformedBody
from esinfer.twin.tei import Twin

JSON = {"content-type": "application/json"}
TWIN = Twin()
QUERY = "How fast is a quick fox?"
TEXTS = ["A dog sleeps.", "The quick fox is fast.", "Foxes are red.", "A dog sleeps."]


def post(body: bytes | Mapping[str, object], twin: Twin = TWIN) -> TwinAnswer:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return twin.answer(TwinRequest(method="POST", path="/rerank", headers=JSON, body=raw))


def ranks(body: Mapping[str, object], twin: Twin = TWIN) -> list[dict[str, Any]]:
    answer = post(body, twin)
    assert (answer.status, answer.content_type) == (200, "application/json")
    parsed: list[dict[str, Any]] = orjson.loads(answer.body)
    return parsed


def cosines(query: str, texts: list[str]) -> list[float]:
    embedder = static_embedder(384)
    rows = embedder.dense(
        [[*embedder.opening, *embedder.split(text), *embedder.closing] for text in (query, *texts)]
    ).astype(np.float64)
    found: list[float] = (rows[1:] @ rows[0]).tolist()
    return found


# Ranks


def test_the_text_that_is_nearest_to_the_query_leads_and_equals_are_turned_round() -> None:
    answer = post({"query": QUERY, "texts": TEXTS})
    assert answer.body == (
        b'[{"index":1,"score":0.9911767},{"index":2,"score":0.65952414},'
        b'{"index":3,"score":0.0959305},{"index":0,"score":0.0959305}]'
    )


def test_a_paraphrase_leads_though_it_shares_no_word_with_the_query() -> None:
    texts = ["The stock market fell.", "A physician examines a sick person.", "Birds sing."]
    found = ranks({"query": "the doctor sees his patient", "texts": texts})
    assert found[0]["index"] == 1


def test_texts_are_returned_between_index_and_score() -> None:
    answer = post({"query": QUERY, "texts": TEXTS[1:3], "return_text": True})
    assert answer.body == (
        b'[{"index":0,"text":"The quick fox is fast.","score":0.9911767},'
        b'{"index":1,"text":"Foxes are red.","score":0.65952414}]'
    )


def test_raw_scores_are_a_line_of_the_cosine() -> None:
    found = ranks({"query": QUERY, "texts": TEXTS, "raw_scores": True})
    expected = [logit(cosine) for cosine in cosines(QUERY, TEXTS)]
    assert [rank["score"] for rank in found] == pytest.approx(
        [expected[rank["index"]] for rank in found], abs=1e-6
    )


def test_the_same_text_has_the_highest_score() -> None:
    [rank] = ranks({"query": "a fox", "texts": ["a fox"], "raw_scores": True})
    assert rank == {"index": 0, "score": pytest.approx(5, abs=1e-6)}
    [rank] = ranks({"query": "a fox", "texts": ["A FOX!"]})
    assert rank == {"index": 0, "score": pytest.approx(0.9933, abs=1e-4)}


def test_scores_are_float32_in_their_shortest_form() -> None:
    for raw in (True, False):
        for rank in ranks({"query": QUERY, "texts": TEXTS, "raw_scores": raw}):
            assert str(np.float32(rank["score"])) == str(rank["score"])


@given(
    query=st.text(max_size=20),
    texts=st.lists(st.text("abc ", min_size=1, max_size=8), min_size=1, max_size=8),
    raw=st.booleans(),
)
def test_the_order_is_that_of_the_cosines(query: str, texts: list[str], *, raw: bool) -> None:
    found = ranks({"query": query, "texts": texts, "raw_scores": raw})
    near = cosines(query, texts)
    assert sorted(rank["index"] for rank in found) == list(range(len(texts)))
    for one, other in itertools.pairwise(found):
        if one["score"] == other["score"]:
            assert one["index"] > other["index"]
        assert near[one["index"]] > near[other["index"]] - 1e-6


def test_many_equals_are_all_turned_round() -> None:
    found = ranks({"query": "a", "texts": ["the same"] * 32})
    assert [rank["index"] for rank in found] == list(range(31, -1, -1))


def test_another_twin_gives_the_same_bytes() -> None:
    body = {"query": QUERY, "texts": TEXTS}
    assert post(body).body == post(body, Twin(clock=lambda: 0.0)).body


def test_unknown_fields_are_ignored() -> None:
    body = {"query": QUERY, "texts": TEXTS}
    assert post({**body, "top_n": 1, "x": None}).body == post(body).body


@pytest.mark.parametrize("direction", ["right", "left"])
def test_each_side_of_too_long_a_pair_is_cut_as_by_embed(direction: str) -> None:
    one = " ".join(["fox", "dog", "cat", "bird"] * 150)
    kept = " ".join(one.split()[:510] if direction == "right" else one.split()[-510:])
    body = {"query": one, "texts": [kept, "word"], "truncation_direction": direction}
    [first, _] = ranks({**body, "raw_scores": True})
    assert first == {"index": 0, "score": pytest.approx(5, abs=1e-6)}


def test_success_tells_what_it_cost() -> None:
    ticks = itertools.count(0, 0.25)
    twin = Twin(clock=lambda: next(ticks), max_input_length=8)
    answer = post({"query": "two wörds", "texts": ["one", "", "a b c d"]}, twin)
    assert answer.headers == {
        "x-compute-type": "gpu+optimized",
        "x-compute-time": "500",
        "x-compute-characters": str(3 * 9 + 3 + 0 + 7),
        "x-compute-tokens": str((3 + 2 + 1) + (3 + 2) + 8),
        "x-total-time": "500",
        "x-tokenization-time": "83",
        "x-queue-time": "0",
        "x-inference-time": "83",
    }


# Refusals


def validation(error: str) -> tuple[int, object]:
    return 422, {"error": error, "error_type": "Validation"}


NO_TEXTS = (400, {"error": "`texts` cannot be empty", "error_type": "Empty"})
EMPTY = (400, {"error": "Input validation error: `inputs` cannot be empty", "error_type": "Empty"})
BATCH = validation("batch size 33 > maximum allowed batch size 32")


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"query": "a", "texts": []}, NO_TEXTS),
        ({"query": "a", "texts": ["a"] * 33}, BATCH),
        ({"query": "", "texts": [""] * 33}, BATCH),
        ({"query": "", "texts": ["a", ""]}, EMPTY),
        (
            {"query": "one two", "texts": ["word", "word " * 508], "truncate": False},
            validation(
                "Input validation error: `inputs` must have less than 512 tokens. Given: 513"
            ),
        ),
        (
            {"query": "w" * 64_000, "texts": ["w" * 64_001], "truncate": False},
            validation(
                "Input validation error: `inputs` must have less than 128000 characters. "
                "Given: 128001"
            ),
        ),
    ],
)
def test_an_invalid_request(body: dict[str, object], outcome: tuple[int, object]) -> None:
    answer = post(body)
    assert (answer.content_type, answer.headers) == ("application/json", {})
    assert (answer.status, orjson.loads(answer.body)) == outcome


def test_one_side_may_be_empty() -> None:
    assert len(ranks({"query": "", "texts": ["a"]})) == 1
    assert len(ranks({"query": "a", "texts": [""]})) == 1


def test_a_pair_of_the_limit_is_taken_whole() -> None:
    assert len(ranks({"query": "a", "texts": ["word " * 508], "truncate": False})) == 1


# The body


def test_all_fields_are_read() -> None:
    body = (
        b'{"texts": ["a", "b"], "query": "q", "truncate": null, "truncation_direction": "Left",'
        b' "raw_scores": true, "return_text": true, "top_n": 3}'
    )
    assert load_rerank_request(body) == RerankRequest(
        query="q",
        texts=["a", "b"],
        truncation_direction="Left",
        raw_scores=True,
        return_text=True,
    )


SYNTAX = "Failed to parse the request body as JSON: "
SHAPE = "Failed to deserialize the JSON body into the target type: "


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"{", 400, SYNTAX + "EOF while parsing an object at line 1 column 1"),
        (
            b'{"texts": ["a" "b"]}',
            400,
            SYNTAX + "texts: expected `,` or `]` at line 1 column 16",
        ),
        (b"1", 422, SHAPE + "invalid type: integer `1`, expected struct RerankRequest "
         "at line 1 column 1"),
        (b'{"texts": ["a"]}', 422, SHAPE + "missing field `query` at line 1 column 16"),
        (b'{"query": "a"}', 422, SHAPE + "missing field `texts` at line 1 column 14"),
        (
            b'{"query": "a", "texts": "b"}',
            422,
            SHAPE + 'texts: invalid type: string "b", expected a sequence at line 1 column 27',
        ),
        (
            b'{"query": "a", "texts": ["b", 1]}',
            422,
            SHAPE + "texts[1]: invalid type: integer `1`, expected a string at line 1 column 31",
        ),
        (
            b'{"query": null, "texts": []}',
            422,
            SHAPE + "query: invalid type: null, expected a string at line 1 column 14",
        ),
        (
            b'{"query": "a", "texts": [], "raw_scores": null}',
            422,
            SHAPE + "raw_scores: invalid type: null, expected a boolean at line 1 column 46",
        ),
    ],
)  # fmt: skip
def test_a_malformed_body(body: bytes, status: int, text: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        load_rerank_request(body)
    assert (caught.value.status, str(caught.value)) == (status, text)
    answer = post(body)
    assert (answer.status, answer.body) == (status, text.encode())
    assert answer.content_type == "text/plain; charset=utf-8"
