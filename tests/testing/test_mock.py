"""The kit against a running mock: ``server()`` and the fixture ``esinfer``."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import aiohttp
import pytest
from elasticsearch import ApiError, AsyncElasticsearch, Elasticsearch

from esinfer import testing
from esinfer.config import ConfigError
from esinfer.errors import ElasticsearchError
from esinfer.testing import Esinfer, Refused, Wanted
from esinfer.testing.control import call

TASKS = ["text_embedding", "sparse_embedding", "rerank", "completion", "chat_completion"]


@pytest.fixture(scope="module")
def shared() -> Iterator[Esinfer]:
    """A server beside that of the session."""
    with testing.server() as es:
        yield es


def embed(es: Esinfer, inference_id: str, text: str) -> list[float]:
    answer = call(es.url, "POST", f"/_inference/{inference_id}", {"input": text})
    vector: list[float] = answer["text_embedding"][0]["embedding"]
    return vector


def until(condition: Callable[[], bool]) -> None:
    """Look until something that is on its way is there."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end


# -- what there is ------------------------------------------------------------


@pytest.mark.parametrize("task_type", TASKS)
def test_an_endpoint_of_each_task_needs_an_id_and_a_task_type(
    esinfer: Esinfer, task_type: str
) -> None:
    made = esinfer.endpoint("my-id", task_type)
    assert (made["inference_id"], made["task_type"]) == ("my-id", task_type)
    assert call(esinfer.url, "GET", "/_inference/my-id") == {"endpoints": [made]}
    assert [request.method for request in esinfer.journal] == ["GET"]


def test_settings_of_an_endpoint_are_as_given(esinfer: Esinfer) -> None:
    made = esinfer.endpoint(
        "my-id",
        chunking_settings={"strategy": "word", "max_chunk_size": 20, "overlap": 1},
        rate_limit={"requests_per_minute": 7},
        url="https://me.example.com",
    )
    assert made == {
        "inference_id": "my-id",
        "task_type": "text_embedding",
        "service": "hugging_face",
        "service_settings": {
            "url": "https://me.example.com",
            "similarity": "cosine",
            "dimensions": 384,
            "rate_limit": {"requests_per_minute": 7},
        },
        "chunking_settings": {"strategy": "word", "max_chunk_size": 20, "overlap": 1},
    }
    ranks = esinfer.endpoint("ranks", "rerank", task_settings={"top_n": 1})
    assert ranks["task_settings"]["top_n"] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (("My Id",), 400, "Invalid inference_id; 'My Id' can contain"),
        (("x", "nonsense"), 400, "Unknown task_type [nonsense]"),
    ],
)
def test_an_endpoint_that_cannot_be_is_refused_in_elasticsearchs_words(
    esinfer: Esinfer, arguments: tuple[str, ...], status: int, reason: str
) -> None:
    with pytest.raises(Refused, match=re.escape(reason)) as refused:
        esinfer.endpoint(*arguments)
    assert refused.value.status == status
    assert isinstance(refused.value.__cause__, ElasticsearchError)


def test_a_client_of_elasticsearch_is_there(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    answer = esinfer.es.inference.inference(inference_id="my-id", input=["a", "b"])
    assert len(answer["text_embedding"]) == 2
    assert esinfer.es is esinfer.es


def test_a_missing_client_is_told(esinfer: Esinfer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "elasticsearch", None)
    with pytest.raises(ImportError, match=r"not installed \(pip install elasticsearch\)"):
        _ = esinfer.es


def test_code_that_takes_no_path_gets_an_api_key(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    with closing(Elasticsearch(esinfer.server_url, api_key=esinfer.api_key)) as client:
        assert [one["inference_id"] for one in client.inference.get()["endpoints"]] == ["my-id"]
    assert esinfer.journal.assert_request("GET", "/_inference", times=1).status == 200


async def test_async_tests_use_it_too(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    async with AsyncElasticsearch(esinfer.url) as client:
        await client.inference.inference(inference_id="my-id", input="a")
    esinfer.faults.add("overloaded")
    esinfer.clock.advance(1)
    esinfer.journal.assert_request("POST", "/_inference/my-id", body={"input": "a"}, times=1)


# -- journal --------------------------------------------------------------------


def test_a_request_tells_what_was_asked_answered_and_tried(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    esinfer.faults.add("overloaded", times=1)
    vector = embed(esinfer, "my-id", "text")
    request = esinfer.journal.assert_request(inference_id="my-id", task_type="text_embedding")
    assert (request.sequence, request.method, request.path, request.query) == (
        1,
        "POST",
        "/_inference/my-id",
        "",
    )
    assert request.body == {"input": "text"}
    assert (request.status, request.answer["text_embedding"][0]["embedding"]) == (200, vector)
    assert request.answer_headers["x-elastic-product"] == "Elasticsearch"
    assert request.headers["content-type"] == "application/json"
    assert request.duration is not None
    first, second = request.attempts
    assert (first.status, first.body) == (429, {"inputs": ["text"]})
    assert first.answer == {"error": "Model is overloaded", "error_type": "Overloaded"}
    assert first.error is not None
    assert first.error["type"] == "status_exception"
    assert first.retry_delay is not None
    assert not first.shortened
    assert second.time == pytest.approx(first.time + first.retry_delay, abs=1e-3)
    assert (second.status, second.error, second.retry_delay) == (200, None, None)
    assert second.headers["authorization"] == "Bearer ***"


def test_a_failed_assertion_shows_what_the_code_asked_instead(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    embed(esinfer, "my-id", "low-cost airfare")
    with pytest.raises(AssertionError) as failure:
        esinfer.journal.assert_request("POST", "/_inference/my-id", body={"input": "low-cost"})
    assert str(failure.value) == (
        'Expected a request POST /_inference/my-id with body {"input": "low-cost"};'
        " none of 1 request is such\n"
        "The nearest is #1 POST /_inference/my-id -> 200\n"
        '  body.input: expected "low-cost", but was "low-cost airfare"\n'
        "All requests:\n"
        "  #1 POST /_inference/my-id -> 200"
    )


def test_the_journal_can_be_cleared_and_ordered(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    embed(esinfer, "my-id", "a")
    call(esinfer.url, "GET", "/_inference")
    esinfer.journal.assert_order("POST /_inference/*", Wanted("GET", status=200))
    esinfer.journal.clear()
    esinfer.journal.assert_none()


def test_without_a_journal_there_is_none_to_look_at() -> None:
    with (
        testing.server("journal.enabled=false") as es,
        pytest.raises(RuntimeError, match="was told to have none"),
    ):
        es.journal.assert_none()


# -- faults, upstreams, clock -----------------------------------------------------


def test_faults_hit_as_often_as_told_and_are_shown(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    assert len(esinfer.faults) == 0
    esinfer.faults.add("overloaded", times=2)
    esinfer.faults.add("latency", delay="50ms", match={"text": "slow"})
    assert list(esinfer.faults) == [
        {"kind": "overloaded", "times": 2, "hits": 0},
        {"kind": "latency", "delay": "50ms", "match": {"text": "slow"}, "hits": 0},
    ]
    embed(esinfer, "my-id", "slow")
    statuses = [attempt.status for attempt in esinfer.journal[-1].attempts]
    assert statuses == [429, 429, 200]
    (left,) = esinfer.faults
    assert left["hits"] == 3
    esinfer.faults.clear()
    assert list(esinfer.faults) == []


def test_faults_are_of_one_upstream(esinfer: Esinfer) -> None:
    esinfer.endpoint("good")
    esinfer.endpoint("bad", url="https://bad.example.com/embed")
    esinfer.faults.add("error", status=400, url="https://bad.example.com/*")
    esinfer.faults.add("latency", delay="1ms", url="https://bad.example.com/*")
    assert len(esinfer.faults) == 2
    embed(esinfer, "good", "a")
    with pytest.raises(Refused) as refused:
        embed(esinfer, "bad", "a")
    assert refused.value.status == 400
    esinfer.upstream("third", url="https://third.example.com")
    esinfer.faults.add("overloaded", upstream="third")
    assert len(esinfer.faults) == 3


def test_adding_a_fault_leaves_everything_else_as_it_is(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    esinfer.upstream(api_key="hf_another", faults=[{"kind": "overloaded", "times": 1}])
    esinfer.faults.add("latency", delay="1ms")
    with pytest.raises(Refused) as refused:
        embed(esinfer, "my-id", "a")
    assert refused.value.status == 401
    first, second = esinfer.journal[-1].attempts
    assert (first.status, second.status) == (429, 401)


def test_a_fault_that_cannot_be_is_refused(esinfer: Esinfer) -> None:
    with pytest.raises(Refused, match=r"\[400\] x_content_parse_exception: .*") as unknown:
        esinfer.faults.add("overlooded")
    assert "did you mean [overloaded]?" in str(unknown.value)
    with pytest.raises(Refused, match=r"Upstream not found \[other\]"):
        esinfer.faults.add("overloaded", upstream="other")
    for _ in range(100):
        esinfer.faults.add("overloaded")
    with pytest.raises(Refused, match=r"There may be \[100\] faults at most"):
        esinfer.faults.add("overloaded")


def test_waits_take_no_time_but_are_told(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    esinfer.faults.add("latency", delay="20s")
    assert esinfer.clock.mode == "auto"
    embed(esinfer, "my-id", "a")
    pace = 60 / 3000  # the usual rate limit, after the call that validates the endpoint
    assert esinfer.clock.time == pytest.approx(20 + pace, abs=1e-6)
    esinfer.clock.advance("1m")
    esinfer.clock.advance(0.5)
    assert esinfer.clock.time == pytest.approx(80.5 + pace, abs=1e-6)


def test_time_moves_by_hand_while_code_under_test_waits(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    esinfer.faults.add("latency", delay="20s")
    esinfer.clock.mode = "manual"
    answers: list[list[float]] = []
    waiting = threading.Thread(target=lambda: answers.append(embed(esinfer, "my-id", "a")))
    waiting.start()
    until(lambda: esinfer.clock.waiting > 0)
    assert not answers
    esinfer.clock.advance("21s")
    waiting.join(10)
    assert len(answers) == 1
    with pytest.raises(Refused, match=r"\[mode\] is \[fast\]"):
        esinfer.clock.mode = "fast"


# -- namespaces and servers ---------------------------------------------------------


@pytest.mark.parametrize("_number", range(2))
def test_every_test_begins_with_nothing(esinfer: Esinfer, _number: int) -> None:
    assert len(esinfer.journal) == 0
    assert call(esinfer.url, "GET", "/_inference") == {"endpoints": []}
    esinfer.endpoint("my-id")
    assert re.search(r"/_ns/\d+-test-every-test-begins-with-nothing-[01]$", esinfer.url)
    assert repr(esinfer) == f"<esinfer at {esinfer.url}>"


def test_a_reset_leaves_nothing(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    esinfer.faults.add("overloaded")
    esinfer.clock.advance(1)
    esinfer.reset()
    assert (len(esinfer.journal), len(esinfer.faults), esinfer.clock.time) == (0, 0, 0)
    assert call(esinfer.url, "GET", "/_inference") == {"endpoints": []}


def test_a_namespace_is_dropped_with_the_one_it_was_opened_by(shared: Esinfer) -> None:
    def names() -> list[str]:
        shown = call(shared.url, "GET", "/_esinfer/namespaces")["namespaces"]
        return [one["name"] for one in shown]

    with shared.namespace("a") as outer:
        inner = outer.namespace("b")
        assert outer.namespace("b") is inner
        inner.endpoint("my-id")
        assert names() == ["default", "a", "b"]
        call(shared.url, "DELETE", "/_esinfer/namespaces/b")  # as code under test may
    assert names() == ["default"]
    with pytest.raises(Refused, match=r"Invalid namespace \[a b\]"):
        shared.namespace("a b")
    assert shared.url == shared.server_url


def test_a_server_answers_on_a_port_of_its_own_until_the_block_is_left() -> None:
    threads = threading.active_count()
    with testing.server("elasticsearch.version=8.19.0") as es:
        with urllib.request.urlopen(es.url) as answer:  # noqa: S310 - http to our own server
            assert json.load(answer)["version"]["number"] == "8.19.0"
        assert es.endpoint("my-id")["inference_id"] == "my-id"
    assert threading.active_count() == threads
    with pytest.raises(ConnectionRefusedError):
        call(es.url, "GET", "/")
    with pytest.raises(RuntimeError, match="the server of this test has stopped"):
        _ = es.journal[0]


def test_settings_that_cannot_be_keep_a_server_from_starting() -> None:
    with pytest.raises(ConfigError, match="nonsense"), testing.server("nonsense.x=1"):
        pass


async def test_a_server_stops_while_a_request_waits_for_a_clock_that_stands_still() -> None:
    async def ask(url: str) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/_inference/my-id", json={"input": "a"}) as answer,
        ):
            return answer.status

    with testing.server() as es:
        es.endpoint("my-id")
        es.faults.add("latency", delay="20s")
        es.clock.mode = "manual"
        asked = asyncio.create_task(ask(es.url))
        await asyncio.to_thread(until, lambda: es.clock.waiting > 0)
    assert await asked == 500  # its upstream was interrupted


def test_an_error_of_the_router_is_refused_too(esinfer: Esinfer) -> None:
    with pytest.raises(Refused, match=r"\[405\] error: Incorrect HTTP method"):
        call(esinfer.url, "PATCH", "/_inference")


def test_an_error_of_the_client_is_its_own(esinfer: Esinfer) -> None:
    with pytest.raises(ApiError) as error:
        esinfer.es.inference.inference(inference_id="none", input="a")
    assert error.value.status_code == 404
    answer: Any = esinfer.journal[-1].answer
    assert answer["error"]["reason"] == error.value.body["error"]["reason"]
