"""Before an upstream that answers anything: the short form, the same at every run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from email.message import Message

import pytest

from tests.conftest import Reply
from tests.fuzz import inferences
from tests.fuzz.answers import API_KEY
from tests.fuzz.hostile import Answer, Ending, whole
from tests.fuzz.inferences import WAYS, Behind, infer, judge_events, serve_behind


@pytest.fixture(scope="module")
def behind() -> Iterator[Behind]:
    with serve_behind() as served:
        yield served
        served.check_rest()


@pytest.mark.parametrize(("task_type", "streams"), WAYS)
def test_odd_answers_do_no_harm(behind: Behind, task_type: str, streams: bool) -> None:
    inferences.fuzz(behind, task_type, count=40, number=1, streams=streams)


# -- what the fuzzer would see ------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (whole(b"[[1]]"), 200),
        (whole(b"[[1]]" * 2), 200),
        (whole(b"[7]"), 400),
        (whole(b"[["), 500),
        (Answer((b"HTTP/1.1 503 A\r\nContent-Length: 0\r\n\r\n",)), 400),
        (Answer((b"HTTP/1.1 401 A\r\nContent-Length: 0\r\n\r\n",), Ending.KEEP), 401),
        (Answer((b"HTTP/1.1 200 A\r\nContent-Le",), Ending.KEEP), 429),
        (Answer((b"HTTP/1.1 200 A\r\nContent-Le",), Ending.RESET), 500),
        (Answer((b"",)), 500),
        (Answer((b"no HTTP",), early=True), 500),
    ],
)
def test_upstream_does_as_it_is_told(behind: Behind, answer: Answer, status: int) -> None:
    assert infer(behind, "text_embedding", answer, streams=False).status == status


@pytest.mark.parametrize(
    "events",
    [
        b"",
        b"event: message\ndata: {}\n\n",
        b"event: message\ndata: [DONE]\n\nevent: message\ndata: [DONE]\n\n",
        b'event: message\ndata: {"a":NaN}\n\nevent: message\ndata: [DONE]\n\n',
        b"event: message\ndata: [DONE]\n",
        b"event: error\ndata: {}\n\n",
    ],
)
def test_bad_stream_is_seen(events: bytes) -> None:
    with pytest.raises((AssertionError, ValueError, KeyError)):
        judge_events(Reply(200, Message(), events), is_chat=False)


def test_key_in_the_log_is_seen(behind: Behind) -> None:
    logging.getLogger("esinfer.inference").warning("the key is %s", API_KEY)
    with pytest.raises(AssertionError, match=API_KEY):
        behind.server.check_log()


def test_connection_to_the_upstream_that_stays_is_seen(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays = asyncio.Transport()
    behind.upstream.open.add(stays)
    monkeypatch.setattr(inferences, "PATIENCE", 0.1)
    with pytest.raises(AssertionError, match="connections in use"):
        behind.check_rest()
    behind.upstream.open.remove(stays)
