from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.embedders import hashing_embedder
from esinfer.twin.tei import Twin

JSON = {"content-type": "application/json"}
TWIN = Twin(max_client_batch_size=2)
HASH = Twin(embedder=hashing_embedder)
SHAPE = "Failed to deserialize the JSON body into the target type: "


def post(path: str, body: bytes | Mapping[str, object], twin: Twin = TWIN) -> TwinAnswer:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return twin.answer(TwinRequest(method="POST", path=path, headers=JSON, body=raw))


def answer(path: str, body: Mapping[str, object], twin: Twin = TWIN) -> Any:
    got = post(path, body, twin)
    assert (got.status, got.content_type, got.headers) == (200, "application/json", {})
    return orjson.loads(got.body)


def refusal(error: str, error_type: str) -> dict[str, str]:
    return {"error": error, "error_type": error_type}


def special(index: int, text: str) -> dict[str, object]:
    return {"id": index, "text": text, "special": True, "start": None, "stop": None}


def own(index: int, text: str, start: int, stop: int) -> dict[str, object]:
    return {"id": index, "text": text, "special": False, "start": start, "stop": stop}


CLS, SEP = special(101, "[CLS]"), special(102, "[SEP]")
BATCH = refusal("batch size 3 > maximum allowed batch size 2", "Validation")


# /tokenize


def test_tokens_stand_between_special_ones_with_their_places_in_bytes() -> None:
    assert answer("/tokenize", {"inputs": "Héllo wörld ☃!"}) == [
        [
            CLS,
            own(7592, "Héllo", 0, 6),
            own(2088, "wörld", 7, 13),
            own(100, "☃", 14, 17),
            own(999, "!", 17, 18),
            SEP,
        ]
    ]


def test_order_of_the_fields() -> None:
    body = post("/tokenize", {"inputs": "fox", "add_special_tokens": False}).body
    assert body == b'[[{"id":4419,"text":"fox","special":false,"start":0,"stop":3}]]'


def test_special_tokens_may_be_left_out() -> None:
    body = {"inputs": ["embeddings", "fox"], "add_special_tokens": False, "x": 1}
    pieces = [own(7861, "em", 0, 2), own(8270, "bed", 2, 5), own(4667, "ding", 5, 9),
              own(2015, "s", 9, 10)]  # fmt: skip
    assert answer("/tokenize", body) == [pieces, [own(4419, "fox", 0, 3)]]


def test_a_text_is_not_cut_to_what_the_model_takes() -> None:
    [tokens] = answer("/tokenize", {"inputs": "word " * 1000})
    assert len(tokens) == 1002


def test_the_count_is_that_of_the_embed_route() -> None:
    text = "Unbelievable ☃: naïve embeddings!"
    [tokens] = answer("/tokenize", {"inputs": text})
    assert post("/embed", {"inputs": text}).headers["x-compute-tokens"] == str(len(tokens))


def test_the_hashing_twin_has_words_with_the_numbers_of_its_sparse_form() -> None:
    [tokens] = answer("/tokenize", {"inputs": "Über: the fox"}, HASH)
    assert [(token["text"], token["start"], token["stop"]) for token in tokens] == [
        ("Über", 0, 5),
        ("the", 7, 10),
        ("fox", 11, 14),
    ]
    [weights] = orjson.loads(post("/embed_sparse", {"inputs": "Über: the fox"}, HASH).body)
    assert {token["id"] for token in tokens} == {weight["index"] for weight in weights}


def test_the_hashing_twin_takes_a_text_without_words_for_one() -> None:
    [[token]] = answer("/tokenize", {"inputs": "?!"}, HASH)
    assert (token["text"], token["start"], token["stop"]) == ("?!", 0, 2)


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"inputs": []}, 400, refusal("`inputs` cannot be empty", "Empty")),
        (
            {"inputs": ["a", ""]},
            400,
            refusal("Input validation error: `inputs` cannot be empty", "Empty"),
        ),
        ({"inputs": ["a", "b", "c"]}, 422, BATCH),
        (
            {"inputs": "a", "prompt_name": "query"},
            422,
            refusal(
                "Input validation error: `default-prompt-name` is set to `query` but no prompts "
                "were found in the Sentence Transformers configuration",
                "Validation",
            ),
        ),
    ],
)
def test_texts_that_are_refused(body: dict[str, object], status: int, expected: object) -> None:
    got = post("/tokenize", body)
    assert (got.status, orjson.loads(got.body)) == (status, expected)


# /decode


def test_numbers_are_turned_into_text() -> None:
    assert answer("/decode", {"ids": [101, 7592, 2088, 102]}) == ["hello world"]
    body = {"ids": [[101, 7861, 8270, 4667, 2015, 102], [4419]], "skip_special_tokens": False}
    assert answer("/decode", body) == ["[CLS] embeddings [SEP]", "fox"]


def test_what_was_tokenized_is_decoded_in_lower_case() -> None:
    [tokens] = answer("/tokenize", {"inputs": "A Quick Fox, jumping"})
    assert answer("/decode", {"ids": [t["id"] for t in tokens]}) == ["a quick fox, jumping"]


EMPTY = refusal("Input validation error: `input_ids` cannot be empty", "Empty")


@pytest.mark.parametrize(
    ("ids", "status", "expected"),
    [([], 400, EMPTY), ([[]], 400, EMPTY), ([[1], []], 400, EMPTY), ([[1]] * 3, 422, BATCH)],
)
def test_numbers_that_are_refused(ids: object, status: int, expected: object) -> None:
    got = post("/decode", {"ids": ids})
    assert (got.status, orjson.loads(got.body)) == (status, expected)


def test_the_hashing_twin_cannot_turn_a_hash_back() -> None:
    got = post("/decode", {"ids": [5, 6]}, HASH)
    error = "tokenizer error token 5 is a hash, from which no text can be told"
    assert (got.status, orjson.loads(got.body)) == (422, refusal(error, "Tokenizer"))
    assert post("/decode", {"ids": []}, HASH).status == 400


# Bodies


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/tokenize", b"{}", "missing field `inputs` at line 1 column 2"),
        (
            "/tokenize",
            b'{"inputs": [1]}',
            "inputs: data did not match any variant of untagged enum TokenizeInput "
            "at line 1 column 15",
        ),
        (
            "/tokenize",
            b'{"inputs": "a", "add_special_tokens": null}',
            "add_special_tokens: invalid type: null, expected a boolean at line 1 column 42",
        ),
        ("/tokenize", b"1", "invalid type: integer `1`, expected struct TokenizeRequest "
                            "at line 1 column 1"),
        ("/decode", b"{}", "missing field `ids` at line 1 column 2"),
        (
            "/decode",
            b'{"ids": [1, [2]]}',
            "ids: data did not match any variant of untagged enum InputIds at line 1 column 17",
        ),
        (
            "/decode",
            b'{"ids": ["a"]}',
            "ids: data did not match any variant of untagged enum InputIds at line 1 column 14",
        ),
        ("/decode", b"1", "invalid type: integer `1`, expected struct DecodeRequest "
                          "at line 1 column 1"),
    ],
)  # fmt: skip
def test_a_malformed_body(path: str, body: bytes, reason: str) -> None:
    got = post(path, body)
    assert (got.status, got.content_type) == (422, "text/plain; charset=utf-8")
    assert got.body.decode() == SHAPE + reason


@pytest.mark.parametrize("path", ["/tokenize", "/decode"])
def test_both_are_behind_the_key_and_for_post(path: str) -> None:
    assert post(path, b"{}", Twin(api_key="key")) == TwinAnswer(status=401)
    got = TWIN.answer(TwinRequest(method="GET", path=path, headers={}))
    assert got == TwinAnswer(status=405, headers={"allow": "POST"})
