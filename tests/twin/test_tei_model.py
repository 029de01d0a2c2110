"""TEI's routes beside /embed, /embed_sparse and /rerank; its tasks; its releases."""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Mapping
from functools import partial

import numpy as np
import orjson
import pytest

from esinfer.twin import tei
from esinfer.twin.answers import TwinAnswer
from esinfer.twin.embedders import hashing_embedder
from esinfer.twin.profiles import make_server
from esinfer.twin.servers import Server
from esinfer.twin.tei import TEI_1_8
from esinfer.twin.tei_task import Task
from tests.twin.asking import get, post, said

Twin = partial(tei.Twin, embedder=hashing_embedder)
TWIN = Twin()
PAIR = {"source_sentence": "a red fox", "sentences": ["a red fox", "a red dog", "bread"]}
RANK = {"query": "a fox", "texts": ["a dog", "a fox"]}


def backend(reason: str) -> tuple[int, object]:
    return 424, {"error": f"Backend error: {reason}", "error_type": "Backend"}


def invalid(reason: str, status: int = 422) -> tuple[int, object]:
    error = f"Input validation error: {reason}"
    return status, {"error": error, "error_type": "Validation"}


def misshapen(answer: TwinAnswer) -> str:
    assert (answer.status, answer.content_type) == (422, "text/plain; charset=utf-8")
    start = "Failed to deserialize the JSON body into the target type: "
    text = answer.body.decode()
    assert text.startswith(start)
    return text.removeprefix(start)


# /embed_all


def test_embed_all_has_a_vector_for_each_token() -> None:
    answer = post(TWIN, "/embed_all", {"inputs": ["red fox", "fox"]})
    status, [two, one] = said(answer)
    assert status == 200
    assert {len(row) for row in [*two, *one]} == {384}
    assert len(two) == len(one) + 1
    assert [row for row in one if row in two] == one
    assert math.hypot(*two[1]) != pytest.approx(1, abs=1e-3)
    assert answer.headers["x-compute-tokens"] == "3"


def test_embed_all_does_not_know_what_only_embed_knows() -> None:
    body = {"inputs": "a", "dimensions": 0, "normalize": "no"}
    assert post(TWIN, "/embed_all", body).status == 200
    reason = misshapen(post(TWIN, "/embed_all", b"7"))
    assert reason == "invalid type: integer `7`, expected struct EmbedAllRequest at line 1 column 1"


# /predict


def test_a_single_text_has_one_list_of_labels_best_first() -> None:
    status, predictions = said(post(TWIN, "/predict", {"inputs": "how positive"}))
    assert status == 200
    assert [item["label"] for item in predictions] == ["positive", "negative"]
    scores = [item["score"] for item in predictions]
    assert scores[0] > scores[1]
    assert sum(scores) == pytest.approx(1)


def test_two_texts_are_one_pair_and_a_batch_has_a_list_each() -> None:
    _, pair = said(post(TWIN, "/predict", {"inputs": ["how", "positive"]}))
    assert [list(item) for item in pair] == [["score", "label"]] * 2
    _, batch = said(post(TWIN, "/predict", {"inputs": [["how positive"], ["how", "positive"]]}))
    assert len(batch) == 2
    assert batch[1] == pair


def test_raw_scores_are_logits() -> None:
    body = {"inputs": "positive", "raw_scores": True}
    _, [best, other] = said(post(TWIN, "/predict", body))
    assert best == {"score": 5.0, "label": "positive"}
    assert other["score"] < 0


def test_a_reranker_predicts_what_it_ranks_by() -> None:
    server = Twin(task=Task.RERANKER)
    _, [[first], [second]] = said(
        post(server, "/predict", {"inputs": [["a fox", "a dog"], ["a fox", "a fox"]]})
    )
    _, ranks = said(post(server, "/rerank", RANK))
    assert [second, first] == [{"score": rank["score"], "label": "LABEL_0"} for rank in ranks]
    assert said(post(server, "/predict", {"inputs": "a"}))[1][0]["label"] == "LABEL_0"


def test_predict_accounts_for_both_texts_of_a_pair() -> None:
    answer = post(TWIN, "/predict", {"inputs": ["a fox", "dog"]})
    assert answer.headers["x-compute-characters"] == "8"
    assert answer.headers["x-compute-tokens"] == "3"


EXPECTED = (
    "a string, a pair of strings [string, string] or a batch of mixed strings and pairs "
    "[[string], [string, string], ...]"
)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (7, "invalid type: integer `7`"),
        ({}, "invalid type: map"),
        (None, "invalid type: null"),
        ([], "invalid length 0"),
        (["a", "b", "c"], "invalid length 3"),
        ([["a"], ["a", "b", "c"]], "invalid length 2"),
        ([[]], "invalid length 1"),
    ],
)
def test_predict_refuses_other_inputs(inputs: object, reason: str) -> None:
    text = misshapen(post(TWIN, "/predict", {"inputs": inputs}))
    assert text.startswith(f"inputs: {reason}, expected {EXPECTED} at line 1 column ")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"inputs": [["a"]] * 33},
            (
                422,
                {
                    "error": "batch size 33 > maximum allowed batch size 32",
                    "error_type": "Validation",
                },
            ),
        ),
        (
            {"inputs": [["a"], ["", ""]]},
            (
                400,
                {
                    "error": "Input validation error: `inputs` cannot be empty",
                    "error_type": "Empty",
                },
            ),
        ),
        (
            {"inputs": ["a " * 300, "b " * 213], "truncate": False},
            invalid("`inputs` must have less than 512 tokens. Given: 513"),
        ),
    ],
)
def test_predict_refuses_as_tei_does(body: Mapping[str, object], expected: object) -> None:
    assert said(post(TWIN, "/predict", body)) == expected


# /similarity


def test_similarity_is_the_cosine_of_the_source_and_each_sentence() -> None:
    answer = post(TWIN, "/similarity", {"inputs": PAIR, "parameters": {"truncate": True}})
    status, [same, near, far] = said(answer)
    assert status == 200
    assert same == pytest.approx(1)
    assert 1 > near > far
    assert answer.headers["x-compute-tokens"] == "10"


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (
            {"source_sentence": "a", "sentences": []},
            (400, {"error": "`inputs.sentences` cannot be empty", "error_type": "Empty"}),
        ),
        (
            {"source_sentence": "a", "sentences": ["b"] * 32},
            (
                422,
                {
                    "error": "batch size 33 > maximum allowed batch size 32",
                    "error_type": "Validation",
                },
            ),
        ),
    ],
)
def test_similarity_refuses_as_tei_does(inputs: object, expected: object) -> None:
    assert said(post(TWIN, "/similarity", {"inputs": inputs})) == expected


def test_similarity_of_no_source_is_misshapen() -> None:
    reason = misshapen(post(TWIN, "/similarity", {"inputs": {"sentences": ["a"]}}))
    assert reason == "inputs: missing field `source_sentence` at line 1 column 29"


# /v1/embeddings


@pytest.mark.parametrize("path", ["/embeddings", "/v1/embeddings"])
def test_openai_form(path: str) -> None:
    body = {"input": ["a fox", "dog"], "model": "any", "user": "me", "dimensions": 4}
    answer = post(TWIN, path, body)
    status, parsed = said(answer)
    rows = orjson.loads(post(TWIN, "/embed", {"inputs": ["a fox", "dog"], "dimensions": 4}).body)
    assert status == 200
    assert parsed == {
        "object": "list",
        "data": [
            {"object": "embedding", "embedding": rows[0], "index": 0},
            {"object": "embedding", "embedding": rows[1], "index": 1},
        ],
        "model": "sentence-transformers/all-MiniLM-L6-v2",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    assert answer.headers["x-compute-tokens"] == "3"


def test_base64_holds_the_same_numbers() -> None:
    _, plain = said(post(TWIN, "/v1/embeddings", {"input": "a fox"}))
    _, packed = said(post(TWIN, "/v1/embeddings", {"input": "a fox", "encoding_format": "base64"}))
    numbers = np.frombuffer(b64decode(packed["data"][0]["embedding"]), "<f4")
    assert numbers.tolist() == np.array(plain["data"][0]["embedding"], np.float32).tolist()


@pytest.mark.parametrize(
    ("server", "body", "status", "message", "type_"),
    [
        (
            TWIN,
            {"input": ["a"] * 33},
            422,
            "batch size 33 > maximum allowed batch size 32",
            "Validation",
        ),
        (TWIN, {"input": ""}, 400, "Input validation error: `inputs` cannot be empty", "Empty"),
        (
            Twin(task=Task.RERANKER),
            {"input": "a"},
            424,
            "Backend error: Model is not an embedding model",
            "Backend",
        ),
        (
            Twin(release=TEI_1_8),
            {"input": ["a"] * 33},
            413,
            "batch size 33 > maximum allowed batch size 32",
            "Validation",
        ),
    ],
)
def test_openai_errors_have_their_own_form(
    server: Server, body: Mapping[str, object], status: int, message: str, type_: str
) -> None:
    answer = post(server, "/v1/embeddings", body)
    assert said(answer) == (status, {"message": message, "code": status, "type": type_})


def test_openai_refuses_another_encoding() -> None:
    reason = misshapen(post(TWIN, "/v1/embeddings", {"input": "a", "encoding_format": "int8"}))
    assert "unknown variant `int8`, expected one of `float`, `base64`" in reason


# /vertex


def test_vertex_answers_each_instance_as_its_own_route() -> None:
    instances: list[dict[str, object]] = [{"inputs": "a fox"}, {**RANK, "extra": 1}]
    status, parsed = said(post(TWIN, "/vertex", {"instances": instances}))
    assert status == 200
    assert list(parsed) == ["predictions"]
    assert parsed["predictions"] == [
        orjson.loads(post(TWIN, "/embed", instances[0]).body),
        orjson.loads(post(TWIN, "/rerank", instances[1]).body),
    ]
    assert "x-compute-type" not in post(TWIN, "/vertex", {"instances": instances}).headers


@pytest.mark.parametrize(
    ("task", "instance", "route"),
    [
        (Task.CLASSIFIER, {"inputs": "a"}, "/predict"),
        (Task.RERANKER, {"inputs": "a"}, "/predict"),
        (Task.SPLADE, {"inputs": "a fox"}, "/embed_sparse"),
        (Task.SENTENCE_SIMILARITY, {"inputs": "a fox"}, "/embed"),
    ],
)
def test_vertex_takes_an_instance_for_what_the_model_does(
    task: Task, instance: Mapping[str, object], route: str
) -> None:
    server = Twin(task=task)
    _, parsed = said(post(server, "/vertex", {"instances": [instance]}))
    assert parsed == {"predictions": [orjson.loads(post(server, route, instance).body)]}


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        ({"input": "a"}, (422, {"error": "missing field `inputs`", "error_type": "Validation"})),
        (
            {"query": "a", "texts": []},
            (400, {"error": "`texts` cannot be empty", "error_type": "Empty"}),
        ),
    ],
)
def test_the_refusal_of_an_instance_is_that_of_all(instance: object, expected: object) -> None:
    instances = [{"inputs": "a"}, instance]
    assert said(post(TWIN, "/vertex", {"instances": instances})) == expected


# One task


@pytest.mark.parametrize("path", ["/", "/invocations"])
@pytest.mark.parametrize(
    ("task", "route", "body"),
    [
        (None, "/embed", {"inputs": "a fox"}),
        (Task.EMBEDDING, "/embed", {"inputs": "a fox"}),
        (Task.SENTENCE_SIMILARITY, "/similarity", {"inputs": PAIR}),
        (Task.SPLADE, "/embed_sparse", {"inputs": "a fox"}),
        (Task.RERANKER, "/rerank", RANK),
        (Task.CLASSIFIER, "/predict", {"inputs": "a fox"}),
    ],
)
def test_the_root_does_what_the_model_is_for(
    path: str, task: Task | None, route: str, body: Mapping[str, object]
) -> None:
    server = Twin(task=task, clock=lambda: 0.0)
    assert post(server, path, body).status == 200
    assert post(server, path, body) == post(server, route, body)


NOT_EMBEDDING = backend("Model is not an embedding model")
NOT_SPLADE = backend("Model is not an embedding model with SPLADE pooling")
NOT_CLASSIFIER = backend("Model is not a classifier model")
NOT_RERANKER = backend("model is not a re-ranker model")


@pytest.mark.parametrize(
    ("task", "path", "body", "expected"),
    [
        (Task.RERANKER, "/embed", {"inputs": "a"}, NOT_EMBEDDING),
        (Task.CLASSIFIER, "/embed_all", {"inputs": "a"}, NOT_EMBEDDING),
        (Task.CLASSIFIER, "/similarity", {"inputs": PAIR}, NOT_EMBEDDING),
        (Task.EMBEDDING, "/embed_sparse", {"inputs": "a"}, NOT_SPLADE),
        (Task.RERANKER, "/embed_sparse", {"inputs": "a"}, NOT_SPLADE),
        (Task.EMBEDDING, "/predict", {"inputs": "a"}, NOT_CLASSIFIER),
        (Task.SPLADE, "/predict", {"inputs": "a"}, NOT_CLASSIFIER),
        (Task.EMBEDDING, "/rerank", RANK, NOT_RERANKER),
        (Task.CLASSIFIER, "/rerank", RANK, NOT_RERANKER),
        (
            Task.EMBEDDING,
            "/rerank",
            {"query": "a", "texts": []},
            (400, {"error": "`texts` cannot be empty", "error_type": "Empty"}),
        ),
        (
            Task.SPLADE,
            "/embed_all",
            {"inputs": "a"},
            backend("`embed_all` is not available for SPLADE models"),
        ),
        (
            Task.SPLADE,
            "/embed",
            {"inputs": "a"},
            backend("`normalize` is not available for SPLADE models"),
        ),
    ],
)
def test_what_the_model_cannot_do_is_a_backend_error(
    task: Task, path: str, body: Mapping[str, object], expected: object
) -> None:
    assert said(post(Twin(task=task), path, body)) == expected


def test_the_batch_is_counted_before_the_model_is_looked_at() -> None:
    status, _ = said(post(Twin(task=Task.RERANKER), "/embed", {"inputs": ["a"] * 33}))
    assert status == 422


def test_a_splade_model_has_a_number_for_each_token_of_its_vocabulary() -> None:
    server = Twin(task=Task.SPLADE)
    _, [row] = said(post(server, "/embed", {"inputs": "a fox", "normalize": False}))
    _, [pairs] = said(post(server, "/embed_sparse", {"inputs": "a fox"}))
    assert len(row) == 30522
    assert {index: value for index, value in enumerate(row) if value} == {
        pair["index"]: pair["value"] for pair in pairs
    }


@pytest.mark.parametrize("path", ["/elser", "/v1/chat/completions"])
def test_a_server_of_one_task_has_no_routes_of_others(path: str) -> None:
    assert post(Twin(task=Task.EMBEDDING), path, {"inputs": "a"}) == TwinAnswer(status=404)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (None, {"embedding": {"pooling": "cls"}}),
        (Task.SENTENCE_SIMILARITY, {"embedding": {"pooling": "cls"}}),
        (Task.SPLADE, {"embedding": {"pooling": "splade"}}),
        (Task.RERANKER, {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}}),
        (
            Task.CLASSIFIER,
            {
                "classifier": {
                    "id2label": {"0": "negative", "1": "positive"},
                    "label2id": {"negative": 0, "positive": 1},
                }
            },
        ),
    ],
)
def test_info_tells_the_kind_of_model(task: Task | None, expected: object) -> None:
    _, about = said(get(Twin(task=task, pooling="cls"), "/info"))
    assert about["model_type"] == expected


# 1.8


def test_before_1_9_an_invalid_input_is_413_and_nothing_is_cut_unasked() -> None:
    old = Twin(release=TEI_1_8)
    long = {"inputs": "a " * 513}
    assert said(post(old, "/embed", long)) == invalid(
        "`inputs` must have less than 512 tokens. Given: 513", 413
    )
    assert post(old, "/embed", {**long, "truncate": True}).status == 200
    assert post(TWIN, "/embed", long).status == 200
    assert said(post(old, "/embed", {"inputs": ["a"] * 33}))[0] == 413
    assert said(post(old, "/embed", {"inputs": ""}))[0] == 400
    _, about = said(get(old, "/info"))
    assert (about["version"], about["auto_truncate"]) == ("1.8.3", False)


def test_chat_beside_an_old_tei_is_refused_as_tgi_refuses() -> None:
    answer = post(Twin(release=TEI_1_8), "/v1/chat/completions", {"messages": []})
    assert said(answer) == (
        422,
        {"error": "Input validation error: `inputs` cannot be empty", "error_type": "validation"},
    )


# Prompts

E5 = make_server("tei-1.9", model="intfloat/e5-small-v2")


@pytest.mark.parametrize("path", ["/embed", "/embed_all", "/embed_sparse"])
def test_a_prompt_stands_before_each_text(path: str) -> None:
    plain = post(E5, path, {"inputs": ["query: a fox", "query: bread"]})
    named = post(E5, path, {"inputs": ["a fox", "bread"], "prompt_name": "query"})
    assert (named.status, named.body) == (200, plain.body)
    assert named.headers["x-compute-tokens"] == plain.headers["x-compute-tokens"]
    assert named.headers["x-compute-characters"] == "10"
    assert post(E5, path, {"inputs": ["a fox", "bread"]}).body != plain.body


def test_token_ids_are_a_text_behind_a_prompt() -> None:
    _, [tokens] = said(post(E5, "/tokenize", {"inputs": "a fox"}))
    ids = [token["id"] for token in tokens]
    named = post(E5, "/embed", {"inputs": [ids], "prompt_name": "passage"})
    assert named.body == post(E5, "/embed", {"inputs": "passage: a fox"}).body
    hashed = make_server("tei-1.9", model="intfloat/e5-small-v2", embedder=hashing_embedder)
    status, body = said(post(hashed, "/embed", {"inputs": [[7]], "prompt_name": "passage"}))
    assert (status, body["error_type"]) == (422, "Tokenizer")


def test_tokenize_shows_the_prompt() -> None:
    _, [tokens] = said(post(E5, "/tokenize", {"inputs": "a fox", "prompt_name": "query"}))
    _, [plain] = said(post(E5, "/tokenize", {"inputs": "query: a fox"}))
    assert tokens == plain


def test_a_prompt_that_the_model_has_not_is_refused() -> None:
    reason = (
        "`default-prompt-name` is set to `x` but it was not found in the Sentence Transformers "
        'prompts. Available prompts: ["query", "passage"]'
    )
    assert said(post(E5, "/embed", {"inputs": "a", "prompt_name": "x"})) == invalid(reason)
    assert said(post(E5, "/tokenize", {"inputs": "a", "prompt_name": "x"})) == invalid(reason)


# What is open to all


@pytest.mark.parametrize("path", ["/", "/health", "/ping"])
def test_health_is_open_to_all(path: str) -> None:
    assert get(Twin(api_key="key"), path) == TwinAnswer(status=200)


def test_metrics_docs_and_description_are_open_to_all() -> None:
    locked = Twin(api_key="key")
    metrics = get(locked, "/metrics")
    assert metrics.body == b"# TYPE te_queue_size gauge\nte_queue_size 0\n"
    assert b'href="/api-doc/openapi.json"' in get(locked, "/docs").body
    status, document = said(get(locked, "/api-doc/openapi.json"))
    assert status == 200
    assert document["info"]["version"] == "1.9.3"
    assert list(document["paths"]["/"]) == ["get", "head", "post"]
    for path, methods in document["paths"].items():
        assert all(methods[name]["responses"] for name in methods), path


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/invocations", "/embed", "/embed_all", "/embed_sparse", "/predict", "/rerank"),
        *("/similarity", "/embeddings", "/v1/embeddings", "/vertex", "/elser"),
        "/v1/chat/completions",
    ],
)
def test_every_post_route_asks_for_the_key_and_for_json(path: str) -> None:
    assert post(Twin(api_key="key"), path, b"") == TwinAnswer(status=401)
    answer = post(TWIN, path, b"", headers={})
    assert answer.status == 415
    assert answer.body == b"Expected request with `Content-Type: application/json`"
