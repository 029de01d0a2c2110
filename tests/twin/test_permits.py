"""Permits: who takes how many of them, when, and that they come back."""

from __future__ import annotations

import pytest

from esinfer.twin.permits import Hold, Permits, within
from esinfer.twin.tei import Twin
from esinfer.twin.tei_task import Task
from esinfer.twin.tgi import Tgi
from tests.twin.asking import JSON, get, post, said

OVERLOADED = (429, {"error": "Model is overloaded", "error_type": "Overloaded"})


def test_all_are_taken_or_none() -> None:
    permits = Permits(3)
    assert permits.take(2)
    assert not permits.take(2)
    assert permits.take(1)
    permits.give_back(2)
    assert permits.take(2)


def test_a_hold_gives_back_what_it_took_when_it_ends() -> None:
    permits = Permits(3)
    with Hold() as hold:
        assert hold.take(permits, 2)
        assert hold.take(permits, 1)
        assert not hold.take(permits, 1)
    assert permits.take(3)


def test_a_thread_that_comes_after_the_end_takes_nothing() -> None:
    permits = Permits(1)
    with Hold() as hold:
        pass
    assert hold.take(permits, 1)
    assert permits.take(1)


def test_a_hold_that_is_given_outlasts_the_answer() -> None:
    permits = Permits(1)
    with Hold() as hold:
        with within(hold) as same:
            assert same.take(permits, 1)
        assert not permits.take(1)
    with within(None) as own:
        assert own.take(permits, 1)
    assert permits.take(1)


# What TEI counts

SENTENCES = {"source_sentence": "a", "sentences": ["b", "c"]}


@pytest.mark.parametrize(
    ("path", "body", "count"),
    [
        ("/embed", {"inputs": "a"}, 1),
        ("/embed", {"inputs": [101, 7592, 102]}, 1),
        ("/", {"inputs": ["a", [101]]}, 2),
        ("/embed_all", {"inputs": ["a", "b"]}, 2),
        ("/embed_sparse", {"inputs": ["a", "b"]}, 2),
        ("/elser", {"inputs": ["a", "b"]}, 2),
        ("/predict", {"inputs": ["a", "b"]}, 1),
        ("/predict", {"inputs": [["a"], ["b"]]}, 2),
        ("/rerank", {"query": "a", "texts": ["b", "c"]}, 2),
        ("/similarity", {"inputs": SENTENCES}, 3),
        ("/vertex", {"instances": [{"inputs": "a"}, {"inputs": ["b", "c"]}]}, 3),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}, 1),
    ],
)
def test_each_input_takes_one(path: str, body: dict[str, object], count: int) -> None:
    enough = Twin(permits=Permits(count))
    assert [post(enough, path, body).status for _ in range(2)] == [200, 200]
    few = post(Twin(permits=Permits(count - 1)), path, body)
    assert few.status == 429


def test_the_routes_about_tokens_take_none() -> None:
    server = Twin(permits=Permits(0))
    assert post(server, "/tokenize", {"inputs": "a"}).status == 200
    assert post(server, "/decode", {"ids": [101]}).status == 200


def test_an_overload_is_told_in_the_words_of_the_route() -> None:
    server = Twin(permits=Permits(0))
    assert said(post(server, "/embed", {"inputs": "a"})) == OVERLOADED
    assert said(post(server, "/v1/embeddings", {"input": "a"})) == (
        429,
        {"message": "Model is overloaded", "code": 429, "type": "Overloaded"},
    )


def test_permits_come_after_what_needs_no_model() -> None:
    server = Twin(permits=Permits(10), api_key="key")
    many = {"inputs": ["a"] * 33}
    key = {**JSON, "authorization": "Bearer key"}
    assert post(server, "/embed", many).status == 401
    assert get(server, "/nowhere").status == 404
    assert post(server, "/embed", b"{", key).status == 400
    assert post(server, "/embed", many, key).status == 422
    assert post(server, "/rerank", {"query": "a", "texts": []}, key).status == 400
    assert said(post(server, "/embed", {"inputs": ["a"] * 11}, key)) == OVERLOADED


def test_a_model_that_does_not_rank_is_told_before_permits_are_counted() -> None:
    server = Twin(permits=Permits(0), task=Task.EMBEDDING)
    assert post(server, "/rerank", {"query": "a", "texts": ["b"]}).status == 424


def test_tgi_has_permits_for_whole_requests() -> None:
    body = {"messages": [{"role": "user", "content": "a"}]}
    error = {"error": "Model is overloaded", "error_type": "overloaded"}
    assert said(post(Tgi(permits=Permits(0)), "/v1/chat/completions", body)) == (429, error)
    assert said(post(Tgi(permits=Permits(0)), "/", {"inputs": "a"})) == (429, error)
    one = Tgi(permits=Permits(1))
    assert [post(one, "/v1/chat/completions", body).status for _ in range(2)] == [200, 200]
