"""The router of the Inference Providers."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pytest

from esinfer.twin.answers import TwinRequest
from esinfer.twin.profiles import make_server
from esinfer.twin.serverless import Serverless
from esinfer.twin.servers import Kind
from tests.twin.asking import JSON, get, post, said

ROUTER = Serverless(now=lambda: 7.0)
MODELS = "/hf-inference/models"
MINILM = f"{MODELS}/sentence-transformers/all-MiniLM-L6-v2"
EXTRACTION = f"{MINILM}/pipeline/feature-extraction"
PAIR = {"inputs": {"source_sentence": "a fox", "sentences": ["a fox", "bread"]}}
ASK = {"model": "org/chat:novita", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("inputs", ["a fox", ["a fox"]])
def test_a_text_and_a_list_of_texts_have_a_list_of_vectors(inputs: object) -> None:
    status, rows = said(post(ROUTER, EXTRACTION, {"inputs": inputs, "truncate": True}))
    tei = post(make_server("tei-1.9"), "/embed", {"inputs": "a fox"})
    assert (status, rows) == (200, orjson.loads(tei.body))


@pytest.mark.parametrize(
    ("model", "dimensions"),
    [
        ("intfloat/e5-base-v2", 768),
        ("sentence-transformers/all-mpnet-base-v2", 768),
        ("intfloat/multilingual-e5-small", 384),
        ("gpt2", 384),
    ],
)
def test_each_model_has_its_own_dimensions_unless_they_are_given(
    model: str, dimensions: int
) -> None:
    path = f"{MODELS}/{model}/pipeline/feature-extraction"
    _, [row] = said(post(ROUTER, path, {"inputs": "a"}))
    assert len(row) == dimensions
    _, [row] = said(post(Serverless(dimensions=5), path, {"inputs": "a"}))
    assert len(row) == 5


@pytest.mark.parametrize("path", [MINILM, f"{MINILM}/pipeline/sentence-similarity"])
def test_a_model_that_declares_it_compares_sentences_unless_told(path: str) -> None:
    status, [same, other] = said(post(ROUTER, path, PAIR))
    assert status == 200
    assert same == pytest.approx(1)
    assert other < same


def test_what_elasticsearch_sends_without_the_pipeline_is_refused() -> None:
    error = (
        "SentenceSimilarityPipeline.__call__() missing 1 required positional argument: 'sentences'"
    )
    assert said(post(ROUTER, MINILM, {"inputs": ["a fox"]})) == (400, {"error": error})


def test_a_model_that_declares_no_similarity_gives_vectors() -> None:
    _, [row] = said(post(ROUTER, f"{MODELS}/BAAI/bge-small-en-v1.5", {"inputs": ["a fox"]}))
    assert len(row) == 384


@pytest.mark.parametrize(
    "path",
    [f"{MODELS}/BAAI/bge-reranker-base", f"{MODELS}/org/any/pipeline/text-ranking"],
)
def test_a_reranker_ranks(path: str) -> None:
    status, ranks = said(post(ROUTER, path, {"query": "a fox", "texts": ["bread", "a fox"]}))
    assert status == 200
    assert [rank["index"] for rank in ranks] == [1, 0]


def test_a_classifier_classifies() -> None:
    path = f"{MODELS}/org/any/pipeline/text-classification"
    _, labels = said(post(ROUTER, path, {"inputs": "positive"}))
    assert labels[0]["label"] == "positive"


def test_a_pipeline_that_the_twin_has_not_is_refused() -> None:
    answer = post(ROUTER, f"{MODELS}/org/any/pipeline/fill-mask", {"inputs": "a"})
    assert said(answer) == (400, {"error": "Task fill-mask is not supported for model org/any"})


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/v1/chat/completions", ASK, "org/chat"),
        (
            "/v1/chat/completions",
            {"messages": ASK["messages"]},
            "sentence-transformers/all-MiniLM-L6-v2",
        ),
        (f"{MODELS}/org/other/v1/chat/completions", ASK, "org/chat"),
        (f"{MODELS}/org/other/v1/chat/completions", {"messages": ASK["messages"]}, "org/other"),
    ],
)
def test_chat_names_its_model_without_the_provider(
    path: str, body: Mapping[str, object], model: str
) -> None:
    status, answer = said(post(ROUTER, path, body))
    assert status == 200
    assert answer["model"] == model
    assert answer["choices"][0]["message"]["content"].endswith('"hi" (1 message)')


LOCKED = Serverless(api_key="hf_key")


@pytest.mark.parametrize("path", [EXTRACTION, "/v1/chat/completions", "/nothing"])
@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({}, "Invalid username or password."),
        ({"Authorization": "Bearer hf_other"}, "Invalid credentials in Authorization header"),
        ({"Authorization": "hf_key"}, "Invalid credentials in Authorization header"),
    ],
)
def test_a_wrong_key_is_401(path: str, headers: Mapping[str, str], error: str) -> None:
    assert said(post(LOCKED, path, {}, {**JSON, **headers})) == (401, {"error": error})
    answer = LOCKED.run(Kind.EMBED, {**JSON, **headers}, b"{}")
    assert said(answer) == (401, {"error": error})


def test_the_right_key_is_let_in() -> None:
    headers = {**JSON, "Authorization": "Bearer hf_key"}
    assert post(LOCKED, EXTRACTION, {"inputs": "a"}, headers).status == 200


def test_other_paths_and_methods() -> None:
    assert said(get(ROUTER, "/health")) == (404, {"error": "Not Found"})
    answer = ROUTER.answer(TwinRequest(method="GET", path=EXTRACTION, headers={}))
    assert said(answer) == (405, {"error": "Method Not Allowed"})


def test_in_mock_it_serves_the_configured_model() -> None:
    router = Serverless(model_id="intfloat/e5-base-v2", now=lambda: 7.0)
    for kind in (Kind.EMBED, Kind.EMBED_SPARSE, Kind.ELSER):
        _, [row] = said(router.run(kind, JSON, b'{"inputs":["a"]}'))
        assert len(row) == 768
    _, ranks = said(router.run(Kind.RERANK, JSON, b'{"query":"a","texts":["a"]}'))
    assert ranks[0]["index"] == 0
    _, chat = said(router.run(Kind.CHAT, JSON, orjson.dumps({"messages": ASK["messages"]})))
    assert chat["model"] == "intfloat/e5-base-v2"


def test_in_mock_a_path_of_the_router_says_which_model_and_what_for() -> None:
    router = Serverless(now=lambda: 7.0)
    body = b'{"inputs":["a"]}'
    path = f"{MODELS}/intfloat/e5-base-v2"
    _, [row] = said(router.run(Kind.EMBED, JSON, body, path=f"{path}/pipeline/feature-extraction"))
    assert len(row) == 768
    refused = router.run(Kind.EMBED, JSON, body, path=path)
    assert refused == post(router, path, {"inputs": ["a"]})
    assert refused.status == 400
    chat = orjson.dumps({"messages": ASK["messages"]})
    _, said_by = said(router.run(Kind.CHAT, JSON, chat, path=f"{MODELS}/org/x/v1/chat/completions"))
    assert said_by["model"] == "org/x"
