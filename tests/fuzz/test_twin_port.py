"""At the twin's own port: the short form, the same at every run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz import wire
from tests.fuzz.server import Server
from tests.fuzz.twins import PROFILES, judge_twin, sent_to_twins, serve_twin
from tests.fuzz.wire import Sent


@pytest.fixture(scope="module", params=PROFILES)
def twin(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve_twin(request.param) as server:
        yield server
        server.check_rest()


@pytest.mark.parametrize("name", sent_to_twins())
def test_whatever_is_sent_does_no_harm(twin: Server, name: str) -> None:
    wire.fuzz(twin, sent_to_twins()[name], count=40, number=1, judge=judge_twin)


def test_failure_of_a_twin_is_seen() -> None:
    answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
    with pytest.raises(AssertionError):
        judge_twin(answer, Sent((), 1))
