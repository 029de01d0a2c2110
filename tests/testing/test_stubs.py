"""Stubs and pinned similarity, as a test in Python says them."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from esinfer.testing import Esinfer, Refused
from esinfer.testing.control import call


def infer(es: Esinfer, inference_id: str, body: dict[str, object]) -> Any:
    (answer,) = call(es.url, "POST", f"/_inference/{inference_id}", body).values()
    return answer


def embed(es: Esinfer, text: str) -> list[float]:
    vector: list[float] = infer(es, "my-id", {"input": text})[0]["embedding"]
    return vector


@pytest.mark.parametrize(
    ("match", "fitting", "other"),
    [
        ("a quick fox", "a quick fox", "a quick fox!"),
        (re.compile("^a .* fox", re.IGNORECASE), "A quick fox", "the fox"),
        (re.compile("^a"), "a fox", "A fox"),
        ({"contains": "fox", "inference_id": "my-id"}, "foxes", "dogs"),
    ],
)
def test_what_matches_is_answered_as_told(
    esinfer: Esinfer, match: Any, fitting: str, other: str
) -> None:
    esinfer.endpoint("my-id")
    esinfer.stub(match, vector=[0.5, 0.25])
    assert embed(esinfer, fitting) == [0.5, 0.25]
    assert len(embed(esinfer, other)) == 384


def test_answers_come_one_after_the_other_and_then_the_twins(esinfer: Esinfer) -> None:
    esinfer.endpoint("chat", "completion")
    esinfer.stub(None, [{"text": "one"}, {"text": "two"}], then="twin", name="mine")
    texts = [infer(esinfer, "chat", {"input": "x"})[0]["result"] for _ in range(3)]
    assert texts[:2] == ["one", "two"]
    assert texts[2] not in texts[:2]
    (shown,) = call(esinfer.url, "GET", "/_esinfer/stubs")["stubs"]
    assert (shown["name"], shown["then"], shown["hits"]) == ("mine", "twin", 2)


def test_a_stub_of_so_many_times_is_used_up(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    esinfer.stub("a", vector=[1.0], times=1)
    assert [len(embed(esinfer, "a")) for _ in range(2)] == [1, 384]


def test_a_stub_that_cannot_be_is_refused(esinfer: Esinfer) -> None:
    with pytest.raises(Refused, match=r"(?s)\[400\].*inptu.*did you mean \[input\]"):
        esinfer.stub({"inptu": "a"}, vector=[1.0])


def test_two_texts_are_as_similar_as_told(esinfer: Esinfer) -> None:
    esinfer.endpoint("my-id")
    esinfer.endpoint("ranks", "rerank")
    esinfer.similar("cheap flight", "low-cost airfare", 0.92)
    esinfer.similar("cheap flight", "flight of stairs", 0.1)
    one, other = embed(esinfer, "cheap flight"), embed(esinfer, "low-cost airfare")
    cosine = sum(map(float.__mul__, one, other)) / (math.hypot(*one) * math.hypot(*other))
    assert cosine == pytest.approx(0.92, abs=1e-3)
    documents = ["flight of stairs", "low-cost airfare"]
    ranks = infer(esinfer, "ranks", {"query": "cheap flight", "input": documents})
    assert [rank["index"] for rank in ranks] == [1, 0]


def test_similarities_that_cannot_be_are_refused(esinfer: Esinfer) -> None:
    esinfer.similar("a", "b", 1)
    esinfer.similar("b", "c", 1)
    with pytest.raises(Refused, match=r"the cosine of \[a\] and \[c\] cannot be \[0\]"):
        esinfer.similar("a", "c", 0)


@pytest.mark.parametrize("flags", [re.DOTALL, re.DOTALL | re.VERBOSE, re.DOTALL | re.MULTILINE])
def test_a_regular_expression_keeps_its_flags(esinfer: Esinfer, flags: re.RegexFlag) -> None:
    esinfer.endpoint("my-id")
    esinfer.stub(re.compile("one.two", flags), vector=[1, 2])
    assert embed(esinfer, "one\ntwo") == [1, 2]


def test_answers_and_members_of_one_do_not_go_together(esinfer: Esinfer) -> None:
    with pytest.raises(TypeError, match="either answers or the members of one"):
        esinfer.stub("x", [{"vector": [1.0]}], vector=[1.0, 2.0])
