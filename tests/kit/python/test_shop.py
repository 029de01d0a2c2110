"""What the fixture ``esinfer`` can do, each once. There is no conftest and no configuration."""

from __future__ import annotations

import math
import re
import time

import pytest
from elasticsearch import BadRequestError, Elasticsearch
from shop import CHAT, EMBEDDINGS, RERANKER, Shop

from esinfer.testing import Esinfer, Refused, Wanted


def test_the_shop_asks_for_vectors_once(esinfer: Esinfer) -> None:
    esinfer.endpoint("shop-embeddings")
    Shop(Elasticsearch(esinfer.url)).embed(["cheap flights"])
    esinfer.journal.assert_request("POST", "/_inference/*", body={"input": ["cheap flights"]})


def test_endpoints_of_every_task(esinfer: Esinfer) -> None:
    esinfer.endpoint("sparse", "sparse_embedding")
    esinfer.endpoint("text", "completion", rate_limit={"requests_per_minute": 60})
    esinfer.endpoint(RERANKER, "rerank", task_settings={"top_n": 1})
    ids = [endpoint["inference_id"] for endpoint in esinfer.es.inference.get()["endpoints"]]
    assert ids == [RERANKER, "sparse", "text"]
    with pytest.raises(Refused, match="Unknown task_type"):
        esinfer.endpoint("x", "nonsense")


def test_a_failed_assertion_shows_what_differs(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS)
    Shop(esinfer.es).embed(["cheap flight"])
    with pytest.raises(AssertionError) as failure:
        esinfer.journal.assert_request("POST", body={"input": ["cheap flights"]})
    assert 'body.input[0]: expected "cheap flights", but was "cheap flight"' in str(failure.value)


def test_the_journal_knows_order_patterns_and_what_was_not_asked(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS)
    esinfer.es.inference.get()
    Shop(esinfer.es).embed(["one", "two"])
    esinfer.journal.assert_order(
        "GET /_inference*", Wanted("POST", body={"input": [re.compile("^o"), ...]}, status=200)
    )
    esinfer.journal.assert_none("DELETE")
    assert [request.method for request in esinfer.journal] == ["GET", "POST"]


def test_an_overloaded_model_is_asked_again(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS)
    esinfer.faults.add("overloaded", times=2)
    assert len(Shop(esinfer.es).embed(["text"])) == 1
    request = esinfer.journal.assert_request(inference_id=EMBEDDINGS, times=1)
    assert [attempt.status for attempt in request.attempts] == [429, 429, 200]


def test_a_broken_model_leaves_the_shop_without_vectors(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS)
    esinfer.faults.add("unauthorized")
    assert Shop(esinfer.es).embed(["text"]) == []
    esinfer.faults.clear()
    assert len(Shop(esinfer.es).embed(["text"])) == 1


def test_only_one_upstream_is_broken(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS, url="https://one.example.com")
    esinfer.endpoint("other", url="https://two.example.com")
    esinfer.upstream("paused", url="https://one.example.com", state="paused")
    with pytest.raises(BadRequestError):
        esinfer.es.inference.text_embedding(inference_id=EMBEDDINGS, input="a")
    esinfer.es.inference.text_embedding(inference_id="other", input="a")


def test_a_slow_model_takes_no_time(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS)
    esinfer.faults.add("latency", delay="25s")
    started = time.monotonic()
    Shop(esinfer.es).embed(["text"])
    assert time.monotonic() - started < 5
    assert esinfer.clock.time >= 25


def test_time_passes_as_told(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS)
    esinfer.upstream(state="cold", ready_after="10m")
    assert Shop(esinfer.es).embed(["text"]) == []
    esinfer.clock.advance("10m")
    assert len(Shop(esinfer.es).embed(["text"])) == 1
    assert esinfer.clock.mode == "auto"


def test_a_rate_limit_is_waited_for(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS, rate_limit={"requests_per_minute": 1})
    Shop(esinfer.es).embed(["text"])
    assert esinfer.journal[-1].status == 429 or esinfer.journal[-1].waited > 0


def test_vectors_and_scores_are_as_told(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS)
    esinfer.endpoint(RERANKER, "rerank")
    esinfer.stub("north", vector=[0.0, 1.0])
    esinfer.stub({"contains": "fox"}, score=0.99)
    assert Shop(esinfer.es).embed(["north"]) == [[0.0, 1.0]]
    assert Shop(esinfer.es).best("a dog", ["a wolf", "a fox", "a house"]) == "a fox"


def test_a_chat_says_what_it_is_told_piece_by_piece(esinfer: Esinfer) -> None:
    esinfer.endpoint(CHAT, "chat_completion")
    esinfer.stub(re.compile("(?i)weather"), [{"deltas": ["It ", "rains."]}, {"text": "Still."}])
    shop = Shop(esinfer.es)
    assert [shop.advise("The weather?") for _ in range(2)] == ["It rains.", "Still."]


def test_texts_are_as_similar_as_told(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS)
    esinfer.similar("cheap flight", "low-cost airfare", 0.92)
    one, other = Shop(esinfer.es).embed(["cheap flight", "low-cost airfare"])
    cosine = sum(map(float.__mul__, one, other)) / (math.hypot(*one) * math.hypot(*other))
    assert cosine == pytest.approx(0.92, abs=1e-3)


def test_long_texts_come_in_chunks(esinfer: Esinfer) -> None:
    words = {"strategy": "word", "max_chunk_size": 10, "overlap": 2}
    esinfer.endpoint(EMBEDDINGS, chunking_settings=words)
    path = f"/_esinfer/inference/text_embedding/{EMBEDDINGS}/chunked"
    answer = esinfer.es.perform_request(
        "POST",
        path,
        headers={"content-type": "application/json", "accept": "application/json"},
        body={"input": ["one two three four five six seven eight nine ten eleven twelve"]},
    )
    (chunks,) = answer["chunks"]
    assert [chunk["text"].split()[0] for chunk in chunks] == ["one", "nine"]
    assert len(esinfer.journal.assert_request("POST", path).attempts) == 1


def test_a_reset_leaves_nothing(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS)
    esinfer.reset()
    assert esinfer.es.inference.get()["endpoints"] == []


@pytest.mark.parametrize("_time", range(3))
def test_tests_know_nothing_of_each_other(esinfer: Esinfer, _time: int) -> None:
    esinfer.journal.assert_none()
    esinfer.endpoint(EMBEDDINGS)  # which would be refused if it were there already


def test_a_client_finds_its_namespace_by_key_user_header_or_path(esinfer: Esinfer) -> None:
    esinfer.endpoint(EMBEDDINGS)
    clients = [
        Elasticsearch(esinfer.url),
        Elasticsearch(esinfer.server_url, api_key=esinfer.api_key),
        Elasticsearch(esinfer.server_url, basic_auth=(f"ns-{esinfer.name}", "any")),
        Elasticsearch(esinfer.server_url, headers={"X-Esinfer-Namespace": esinfer.name}),
    ]
    for client in clients:
        with client:
            assert len(Shop(client).embed(["text"])) == 1
    esinfer.journal.assert_request("POST", times=4)


def test_a_test_can_have_two_shops(esinfer: Esinfer) -> None:
    other = esinfer.namespace("other-shop")
    other.endpoint(EMBEDDINGS)
    assert len(Shop(other.es).embed(["text"])) == 1
    esinfer.journal.assert_none()
