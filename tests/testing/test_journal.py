"""Assertions about requests, and what they say when they fail: whole messages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from esinfer.testing import Request, RequestJournal, Wanted
from tests.testing.conftest import MakeRequest

Message = Callable[[Callable[[], object]], str]


def journal_of(*requests: Request) -> RequestJournal:
    kept = list(requests)
    return RequestJournal(lambda: list(kept), kept.clear)


@pytest.fixture
def journal(make_request: MakeRequest) -> RequestJournal:
    """Three requests, of which the last is a GET."""
    return journal_of(
        make_request(),
        make_request(body={"input": ["b"]}, status=429),
        make_request(
            method="GET", path="/_inference", query="pretty", body=None, inference_id=None
        ),
    )


def message(assertion: Callable[[], object]) -> str:
    with pytest.raises(AssertionError) as failure:
        assertion()
    return str(failure.value)


def test_a_journal_is_a_sequence_of_requests(journal: RequestJournal) -> None:
    assert len(journal) == 3
    assert [request.sequence for request in journal] == [1, 2, 3]
    assert journal[-1].method == "GET"
    assert [request.sequence for request in journal[:2]] == [1, 2]
    assert repr(journal) == "<journal of 3 requests>"
    assert journal.find("GET") == [journal[2]]
    journal.clear()
    assert not journal
    assert list(journal) == []


def test_what_was_asked_is_returned(journal: RequestJournal) -> None:
    assert journal.assert_request("POST", "/_inference/*") is journal[1]
    assert journal.assert_request("POST", times=2).status == 429
    assert journal.assert_request(body={"input": ["a"]}, times=1).sequence == 1
    journal.assert_none("DELETE")
    journal.assert_none(status=500)
    assert journal.assert_order("POST /_inference/*", "GET /_inference") == [journal[0], journal[2]]
    assert journal.assert_order(Wanted(status=200), Wanted(status=429)) == journal[:2]
    assert journal.assert_order() == []


def test_a_missing_request_shows_the_nearest_and_what_differs(journal: RequestJournal) -> None:
    def wrong() -> None:
        journal.assert_request(
            "POST", "/_inference/text_embedding/my-id", body={"input": ["c"]}, status=200, times=1
        )

    assert message(wrong) == (
        "Expected a request POST /_inference/text_embedding/my-id with status 200"
        ' with body {"input": ["c"]}, 1 time; none of 3 requests is such\n'
        "The nearest is #1 POST /_inference/text_embedding/my-id -> 200\n"
        '  body.input[0]: expected "c", but was "a"\n'
        "All requests:\n"
        "  #1 POST /_inference/text_embedding/my-id -> 200\n"
        "  #2 POST /_inference/text_embedding/my-id -> 429\n"
        "  #3 GET /_inference?pretty -> 200"
    )


def test_a_request_is_missing_where_there_is_none_at_all() -> None:
    empty = journal_of()
    assert message(lambda: empty.assert_request("GET", "/x")) == (
        "Expected a request GET /x; none of 0 requests is such"
    )
    assert message(lambda: empty.assert_order("GET /x")) == (
        "Expected requests in this order, of which > is missing among 0 requests:\n> 1. GET /x"
    )


def test_a_request_that_came_too_often_or_too_seldom_is_counted(journal: RequestJournal) -> None:
    assert message(lambda: journal.assert_request("POST", times=3)) == (
        "Expected a request POST to any path, 3 times; there were 2:\n"
        "  #1 POST /_inference/text_embedding/my-id -> 200\n"
        "  #2 POST /_inference/text_embedding/my-id -> 429"
    )
    assert message(lambda: journal.assert_request("GET", times=2)) == (
        "Expected a request GET to any path, 2 times; there was 1:\n"
        "  #3 GET /_inference?pretty -> 200"
    )


def test_a_request_that_should_not_be_is_shown(journal: RequestJournal) -> None:
    assert message(lambda: journal.assert_none("GET")) == (
        "Expected no request GET to any path; there was 1:\n  #3 GET /_inference?pretty -> 200"
    )


def test_no_times_at_all_is_another_assertion(journal: RequestJournal) -> None:
    with pytest.raises(ValueError, match="assert_none says that there is none"):
        journal.assert_request("GET", times=0)


def test_a_request_that_came_too_early_is_shown(journal: RequestJournal) -> None:
    assert message(lambda: journal.assert_order("GET /_inference", "POST /_inference/*")) == (
        "Expected requests in this order, of which > is missing among 3 requests:\n"
        "  1. GET /_inference, which is #3 GET /_inference?pretty -> 200\n"
        "> 2. POST /_inference/*\n"
        "It came too early: #2 POST /_inference/text_embedding/my-id -> 429\n"
        "All requests:\n"
        "  #1 POST /_inference/text_embedding/my-id -> 200\n"
        "  #2 POST /_inference/text_embedding/my-id -> 429\n"
        "  #3 GET /_inference?pretty -> 200"
    )


def test_what_was_nearest_to_a_missing_step_came_after_the_step_before(
    journal: RequestJournal,
) -> None:
    first, second = Wanted(body={"input": ["a"]}), Wanted("POST", body={"input": ["a", "b"]})
    assert message(lambda: journal.assert_order(first, second)).splitlines()[3:7] == [
        "The nearest is #2 POST /_inference/text_embedding/my-id -> 429",
        '  body.input[0]: expected "a", but was "b"',
        '  body.input[1]: expected "b", but was nothing',
        "All requests:",
    ]


def test_of_many_requests_the_last_are_listed(make_request: MakeRequest) -> None:
    many = journal_of(*(make_request(status=None) for _ in range(12)))
    lines = message(lambda: many.assert_request("GET")).splitlines()
    assert lines[3] == "The last 10 requests:"
    assert lines[4] == "  #3 POST /_inference/text_embedding/my-id -> no answer yet"
    assert len(lines) == 14
    assert message(lambda: many.assert_none("POST")).startswith(
        "Expected no request POST to any path; there were 12:\n  #3 "
    )
