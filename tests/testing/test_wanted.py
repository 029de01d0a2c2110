"""Which request is wanted, what differs, which one is nearest: plain values."""

from __future__ import annotations

import re
from typing import Any

import pytest

from esinfer.testing import Difference, Wanted, nearest
from esinfer.testing.wanted import compare
from tests.testing.conftest import MakeRequest


def differences(wanted: object, found: object) -> list[str]:
    return [str(difference) for difference in compare("body", wanted, found)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (..., {"anything": 1}),
        ({"a": 1}, {"a": 1.0, "b": 2}),
        ({"a": {"b": [1, ...]}}, {"a": {"b": [1, "x"], "c": None}}),
        ((1, 2), [1, 2]),
        ({"input": [re.compile("fl.ght")]}, {"input": ["cheap flight"]}),
        (None, None),
        ([], []),
    ],
)
def test_a_body_is_as_wanted_if_what_is_named_is_there(wanted: object, found: object) -> None:
    assert differences(wanted, found) == []


@pytest.mark.parametrize(
    ("wanted", "found", "shown"),
    [
        ({"a": 1}, {"a": True}, ["body.a: expected 1, but was true"]),
        ({"a": 1}, {"b": 1, "c": 2}, ["body.a: expected 1, but was nothing (there are: b, c)"]),
        ({"a": 1}, {}, ["body.a: expected 1, but was nothing (there are: none)"]),
        ({"a": 1}, None, ['body: expected {"a": 1}, but was null']),
        ([1], [1, 2], ["body[1]: expected nothing, but was 2"]),
        ([1, 2], [1], ["body[1]: expected 2, but was nothing"]),
        (["é"], [["x"]], ['body[0]: expected "é", but was ["x"]']),
        (re.compile("^b"), "ab", ['body: expected a text with /^b/, but was "ab"']),
        (re.compile("b"), 7, ["body: expected a text with /b/, but was 7"]),
        ({"a": re.compile("b")}, [], ['body: expected {"a": "a text with /b/"}, but was []']),
        ([..., 1], 2, ['body: expected ["...", 1], but was 2']),
        (
            {"x": {"y": [{"z": 1}]}},
            {"x": {"y": [{"z": 2}]}},
            ["body.x.y[0].z: expected 1, but was 2"],
        ),
        ("b", "a" * 200, [f'body: expected "b", but was "{"a" * 159}… (202 characters)']),
    ],
)
def test_what_differs_in_a_body_is_shown_by_its_place(
    wanted: object, found: object, shown: list[str]
) -> None:
    assert differences(wanted, found) == shown


@pytest.mark.parametrize(
    "criteria",
    [
        {},
        {"method": "post", "path": "/_inference/*/my-id"},
        {"status": 200, "inference_id": "my-id", "task_type": "text_embedding"},
        {"body": {"input": ["a"]}, "where": lambda request: request.sequence == 1},
    ],
)
def test_a_request_is_the_one_if_all_that_is_said_fits(
    make_request: MakeRequest, criteria: dict[str, Any]
) -> None:
    assert Wanted(**criteria).differences(make_request()) == []


def test_each_criterion_that_fails_is_a_difference(make_request: MakeRequest) -> None:
    wanted = Wanted(
        "PUT", "/_inference/*/x", body={}, status=404, inference_id="x", task_type="rerank"
    )
    assert [str(one) for one in wanted.differences(make_request())] == [
        'path: expected "/_inference/*/x", but was "/_inference/text_embedding/my-id"',
        'method: expected "PUT", but was "POST"',
        "status: expected 404, but was 200",
        'inference_id: expected "x", but was "my-id"',
        'task_type: expected "rerank", but was "text_embedding"',
    ]


def test_a_condition_is_asked_of_requests_that_fit_otherwise(make_request: MakeRequest) -> None:
    def is_long(request: Any) -> bool:
        return len(request.body["input"]) > 1

    wanted = Wanted(path="/_inference/*", where=is_long)
    assert wanted.differences(make_request()) == [
        Difference("where", "is_long to be true", "false")
    ]
    assert wanted.differences(make_request(body={"input": ["a", "b"]})) == []
    (path,) = wanted.differences(make_request(path="/_other", body=None))
    assert path.place == "path"


def test_the_nearest_of_no_requests_is_none() -> None:
    assert nearest(Wanted(), []) is None


@pytest.mark.parametrize(
    ("others", "near", "places"),
    [
        # a wrong text is nearer than a wrong path
        ([{"body": {"input": ["b"]}}, {"path": "/_inference/x/other"}], 0, ["body.input[0]"]),
        # one letter of an id is nearer than another route
        (
            [{"path": "/_cluster/health"}, {"path": "/_inference/text_embedding/my-ld"}],
            1,
            ["path"],
        ),
        # a similar text is nearer than one of which nothing is the same
        (
            [{"body": {"input": ["aaa aaa aab"]}}, {"body": {"input": ["xyz"]}}],
            0,
            ["body.input[0]"],
        ),
        # of equals the later one
        ([{"status": 400}, {"status": 400}], 1, ["status"]),
        # the right request with a wrong answer is nearer than a wrong one with the right answer
        ([{"status": 400}, {"method": "GET"}], 0, ["status"]),
    ],
)
def test_the_nearest_request_is_that_which_differs_least(
    make_request: MakeRequest, others: list[dict[str, Any]], near: int, places: list[str]
) -> None:
    requests = [make_request(**other) for other in others]
    text = "aaa aaa aaa" if "aaa" in str(others) else "a"
    wanted = Wanted("POST", "/_inference/text_embedding/my-id", body={"input": [text]}, status=200)
    found = nearest(wanted, requests)
    assert found is not None
    assert found[0] is requests[near]
    assert [difference.place for difference in found[1]] == places


def test_a_wanted_request_is_described_in_words() -> None:
    def is_good(_: object) -> bool:
        return True

    assert str(Wanted()) == "any method to any path"
    assert str(Wanted.parse("GET /_inference")) == "GET /_inference"
    everything = Wanted("POST", "/x", {"a": 1}, 200, "my-id", "rerank", is_good)
    assert str(everything) == (
        'POST /x with status 200 for inference id "my-id" of task type "rerank"'
        ' with body {"a": 1} where is_good'
    )


@pytest.mark.parametrize("text", ["GET", "/_inference", "GET _inference", ""])
def test_a_text_without_method_and_path_describes_no_request(text: str) -> None:
    with pytest.raises(ValueError, match="expected a method and a path, such as GET /_inference"):
        Wanted.parse(text)
