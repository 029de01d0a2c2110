"""The Inference Toolkit's container, beyond what test_recordings.py plays back."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.embedders import hashing_embedder
from esinfer.twin.profiles import make_server
from esinfer.twin.servers import Kind, Server
from tests.twin.asking import JSON, get, post, said

EMBEDDINGS = make_server("toolkit", embedder=hashing_embedder)
SIMILARITY = make_server("toolkit", task="sentence-similarity", embedder=hashing_embedder)
RANKING = make_server("toolkit", task="sentence-ranking", embedder=hashing_embedder)
EXTRACTION = make_server("toolkit", task="feature-extraction", embedder=hashing_embedder)
TEI = make_server("tei-1.9", embedder=hashing_embedder)


def refused(reason: str) -> tuple[int, object]:
    return 400, {"error": reason}


# The container


def test_a_key_is_neither_asked_for_nor_looked_at() -> None:
    server = make_server("toolkit", api_key="key")
    assert post(server, "/", {"inputs": ["a"]}).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/predict", 405, b"Method Not Allowed"),
        ("PUT", "/", 405, b"Method Not Allowed"),
        ("GET", "/embed", 404, b"Not Found"),
    ],
)
def test_other_routes_and_methods(method: str, path: str, status: int, body: bytes) -> None:
    answer = EMBEDDINGS.answer(TwinRequest(method=method, path=path, headers={}))
    assert (answer.status, answer.body) == (status, body)
    assert answer.content_type == "text/plain; charset=utf-8"


def test_head_of_health() -> None:
    answer = EMBEDDINGS.answer(TwinRequest(method="HEAD", path="/health", headers={}))
    assert (answer.status, answer.body) == (200, b"Ok")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"7", "argument of type 'int' is not iterable"),
        (b"null", "argument of type 'NoneType' is not iterable"),
        (b'["a"]', "Body needs to provide a inputs key, received: b'[\"a\"]'"),
        (b'"a"', "Body needs to provide a inputs key, received: b'\"a\"'"),
        (b"", "Input is a zero-length, empty document: line 1 column 1 (char 0)"),
    ],
)
def test_a_body_without_inputs_is_refused(body: bytes, reason: str) -> None:
    assert said(post(EMBEDDINGS, "/", body)) == refused(reason)


@pytest.mark.parametrize("kind", list(Kind))
def test_in_mock_every_body_meets_the_one_route(kind: Kind) -> None:
    rank = b'{"query":"q","texts":["a"]}'
    reason = f"Body needs to provide a inputs key, received: {rank!r}"
    assert said(EMBEDDINGS.run(kind, JSON, rank)) == refused(reason)
    assert EMBEDDINGS.run(kind, JSON, b'{"inputs":["a"]}').status == 200


def test_plain_text_is_one_input() -> None:
    plain = post(EMBEDDINGS, "/", b"a fox", {"content-type": "text/plain"})
    assert said(plain) == said(post(EMBEDDINGS, "/", {"inputs": "a fox"}))


def test_text_that_is_not_utf_8_is_refused() -> None:
    status, body = said(post(EMBEDDINGS, "/", b"\xff", {"content-type": "text/plain"}))
    assert status == 400
    assert body["error"].startswith("'utf-8' codec can't decode byte 0xff")


@pytest.mark.parametrize(
    "value", ["application/json;charset=UTF-8", "APPLICATION/JSON", "text/html"]
)
def test_content_type_is_compared_as_it_stands(value: str) -> None:
    status, body = said(post(EMBEDDINGS, "/", {"inputs": "a"}, {"content-type": value}))
    assert status == 400
    assert body["error"].startswith(f'\n                Content type "{value}" not supported.\n')


def test_content_type_is_quoted_in_latin_1() -> None:
    """As its server reads headers; aiohttp reads them as UTF-8 and marks what is none."""
    sent = "text/é\udcff"  # of the bytes c3 a9 ff
    status, body = said(post(EMBEDDINGS, "/", {"inputs": "a"}, {"content-type": sent}))
    assert status == 400
    assert body["error"].startswith('\n                Content type "text/Ã©ÿ" not supported.\n')


def test_number_of_too_many_digits_in_the_query_is_refused() -> None:
    answer = post(EMBEDDINGS, "/", {"inputs": "a"}, query="top_k=" + "7" * 5000)
    reason = "Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits"
    assert said(answer) == refused(
        f"{reason}; use sys.set_int_max_str_digits() to increase the limit"
    )


def test_the_accepted_media_type_is_that_of_the_answer() -> None:
    accept = "application/json; charset=UTF-8"
    answer = post(EMBEDDINGS, "/", {"inputs": "a"}, {**JSON, "Accept": accept})
    assert answer.content_type == accept


def test_what_is_accepted_is_looked_at_last() -> None:
    answer = post(EMBEDDINGS, "/", {"inputs": 7}, {**JSON, "accept": "text/html"})
    assert said(answer) == refused("'int' object is not subscriptable")


# sentence-embeddings


def test_vectors_are_those_of_tei_with_all_their_digits() -> None:
    texts = {"inputs": ["a fox", "a dog"]}
    _, body = said(post(EMBEDDINGS, "/", texts))
    rows = orjson.loads(post(TEI, "/embed", texts).body)
    assert np.array_equal(np.float32(body["embeddings"]), np.float32(rows))
    assert body["embeddings"][0] == np.array(rows[0], np.float32).tolist()


def test_more_inputs_than_tei_takes_and_longer_ones() -> None:
    status, body = said(post(EMBEDDINGS, "/", {"inputs": ["a " * 1000, "a " * 256] * 50}))
    assert status == 200
    assert len(body["embeddings"]) == 100
    assert body["embeddings"][0] == body["embeddings"][1]  # cut at 256 tokens


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (
            {"source_sentence": "a"},
            "SentenceEmbeddingPipeline.__call__() got an unexpected keyword argument "
            "'source_sentence'",
        ),
        (
            {},
            "SentenceEmbeddingPipeline.__call__() missing 1 required positional argument: "
            "'sentences'",
        ),
        (True, "'bool' object is not subscriptable"),
        (["a", 1.5], "'float' object is not subscriptable"),
    ],
)
def test_sentence_embeddings_refuses(inputs: object, reason: str) -> None:
    assert said(post(EMBEDDINGS, "/", {"inputs": inputs})) == refused(reason)


def test_inputs_may_be_the_arguments() -> None:
    named = said(post(EMBEDDINGS, "/", {"inputs": {"sentences": ["a"]}}))
    assert named == said(post(EMBEDDINGS, "/", {"inputs": ["a"]}))


# sentence-similarity


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (
            {},
            "SentenceSimilarityPipeline.__call__() missing 2 required positional arguments: "
            "'source_sentence' and 'sentences'",
        ),
        (
            {"source_sentence": "a", "sentences": ["b"], "x": 1},
            "SentenceSimilarityPipeline.__call__() got an unexpected keyword argument 'x'",
        ),
        (
            {"source_sentence": "a", "sentences": []},
            "mat1 and mat2 shapes cannot be multiplied (1x384 and 0x1)",
        ),
    ],
)
def test_sentence_similarity_refuses(inputs: object, reason: str) -> None:
    assert said(post(SIMILARITY, "/", {"inputs": inputs})) == refused(reason)


def test_similarities_are_those_of_tei() -> None:
    body = {"inputs": {"source_sentence": "a fox", "sentences": ["a dog", "a fox"]}}
    _, own = said(post(SIMILARITY, "/", body))
    tei = orjson.loads(post(TEI, "/similarity", body).body)
    assert np.array_equal(np.float32(own["similarities"]), np.float32(tei))


# sentence-ranking

RANK = {"query": "a fox", "texts": ["a dog", "a fox"]}


def test_ranking_a_query_is_best_first() -> None:
    status, ranks = said(post(RANKING, "/", {"inputs": RANK}))
    assert status == 200
    assert [list(rank) for rank in ranks] == [["score", "index"]] * 2
    assert [rank["index"] for rank in ranks] == [1, 0]
    tei = orjson.loads(post(TEI, "/rerank", RANK).body)
    assert [rank["score"] for rank in ranks] == pytest.approx([rank["score"] for rank in tei])


def test_ranking_returns_documents_on_request() -> None:
    _, ranks = said(post(RANKING, "/", {"inputs": {**RANK, "return_documents": True}}))
    assert [rank["text"] for rank in ranks] == ["a fox", "a dog"]


def test_equal_scores_keep_their_order() -> None:
    _, ranks = said(post(RANKING, "/", {"inputs": {"query": "a", "texts": ["b", "b", "a"]}}))
    assert [rank["index"] for rank in ranks] == [2, 0, 1]


def test_a_pair_has_a_score_and_pairs_have_one_each() -> None:
    _, ranks = said(post(RANKING, "/", {"inputs": RANK}))
    _, one = said(post(RANKING, "/", {"inputs": ["a fox", "a fox"]}))
    _, two = said(post(RANKING, "/", {"inputs": [["a fox", "a fox"], ["a fox", "a dog"]]}))
    assert one == {"scores": ranks[0]["score"]}
    assert two == {"scores": [rank["score"] for rank in ranks]}


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (
            {"texts": ["a"]},
            "Provided query=None but a non-empty string should be provided instead.",
        ),
        (
            {"query": "a", "texts": "b"},
            "Provided texts='b', but a list of non-empty strings should be provided instead.",
        ),
        (
            {**RANK, "top_n": 1},
            "SentenceRankingPipeline.__call__() got an unexpected keyword argument 'top_n'",
        ),
    ],
)
def test_sentence_ranking_refuses(inputs: object, reason: str) -> None:
    assert said(post(RANKING, "/", {"inputs": inputs})) == refused(reason)


# feature-extraction


def test_feature_extraction_does_not_truncate_unless_told() -> None:
    server = make_server("toolkit", task="feature-extraction")
    long = "a " * 600
    reason = (
        "The size of tensor a (602) must match the size of tensor b (512) "
        "at non-singleton dimension 1"
    )
    assert said(post(server, "/", {"inputs": long})) == refused(reason)
    _, [rows] = said(post(server, "/", {"inputs": long}, query="truncation=true"))
    assert len(rows) == 256
    body = {"inputs": long, "parameters": {"truncation": False}}
    assert said(post(server, "/", body, query="truncation=true")) == refused(reason)


def test_feature_extraction_refuses_parameters_it_does_not_know() -> None:
    reason = (
        "FeatureExtractionPipeline._sanitize_parameters() got an unexpected keyword argument 'n'"
    )
    assert said(post(EXTRACTION, "/", {"inputs": "a"}, query="n=7")) == refused(reason)


@pytest.mark.parametrize("parameters", [5, 0, "x", [1], False])
def test_parameters_that_are_no_object_are_refused(parameters: object) -> None:
    status, answer = said(post(EXTRACTION, "/", {"inputs": "a", "parameters": parameters}))
    kind = type(parameters).__name__
    assert status == 400
    assert answer["error"].endswith(f" argument after ** must be a mapping, not {kind}")
    body = {"inputs": ["a"], "parameters": parameters}
    assert post(EMBEDDINGS, "/", body).status == 200  # they are not looked at
    assert post(EXTRACTION, "/", {"inputs": "a", "parameters": None}).status == 200


NO_TEXT = "text input must be of type `str` (single example)"


@pytest.mark.parametrize("server", [EXTRACTION, RANKING])
@pytest.mark.parametrize("inputs", [7, None, [1]])
def test_what_is_no_text_is_refused(server: Server, inputs: object) -> None:
    status, body = said(post(server, "/", {"inputs": inputs}))
    assert status == 400
    assert body["error"].startswith(NO_TEXT)


# ELSER


def test_elser_is_the_container_with_a_handler_of_its_own() -> None:
    server = make_server("elser", embedder=hashing_embedder)
    status, body = said(post(server, "/", {"inputs": ["a fox", "dog dog"]}))
    assert (status, body) == (200, [{"fox": 1.0, "a": 0.125}, {"dog": 1.375}])
    assert said(post(server, "/predict", {"inputs": "dog"})) == (200, [{"dog": 1.0}])
    assert said(server.run(Kind.ELSER, JSON, b'{"inputs":["dog"]}')) == (200, [{"dog": 1.0}])
    assert get(server, "/health").body == b"Ok"
    assert said(post(server, "/", {"inputs": [7]})) == refused("'int' object is not subscriptable")
    bad: TwinAnswer = post(server, "/", {"query": "q", "texts": []})
    assert said(bad)[0] == 400
