from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from esinfer import errors
from esinfer.clock import Clock
from esinfer.endpoints import RateLimitGroup
from esinfer.errors import QueueFull
from esinfer.metrics.board import Board
from esinfer.metrics.measured import (
    MeasuredLimits,
    MeasuredTransport,
    outcome_of_error,
    outcome_of_status,
)
from esinfer.metrics.meters import Meters
from esinfer.metrics.timing import TIMING, Timing
from esinfer.tasks import TaskType
from esinfer.upstream import UpstreamRequest, UpstreamResponse, UpstreamStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "2xx"), (302, "3xx"), (404, "4xx"), (429, "429"), (503, "5xx")]
)
def test_outcome_of_a_status(status: int, outcome: str) -> None:
    assert outcome_of_status(status) == outcome


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (lambda: errors.ConnectError(reason="r"), "connect_failed"),
        (lambda: errors.ConnectTimeout(reason="r"), "connect_timed_out"),
        (lambda: errors.ResponseTooLarge(limit=1), "response_too_large"),
        (lambda: errors.HttpClientFailed(inference_id="i"), "failed"),
        (asyncio.CancelledError, "cancelled"),
        (lambda: KeyError("k"), "defect"),
    ],
)
def test_outcome_of_an_error(make: Callable[[], BaseException], outcome: str) -> None:
    assert outcome_of_error(make()) == outcome


def numbers(meters: Meters) -> dict[str, dict[tuple[str, ...], float]]:
    """Counters and gauges, and of histograms how often something was measured."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for entry in meters.slot.read():
        family, labels = entry.key
        found.setdefault(family, {})[labels] = sum(entry.numbers[:-1] or entry.numbers)
    return found


async def test_waits_are_counted_while_they_last_and_after() -> None:
    meters = Meters(Board().slots[0])
    limits = MeasuredLimits(queue_capacity=1, clock=Clock(), meters=meters)
    group = RateLimitGroup(account="0123456789", requests_per_minute=1)
    label = ("01234567",)
    await limits.acquire(group, "id")
    waiting = asyncio.get_running_loop().create_task(limits.acquire(group, "id"))
    await asyncio.sleep(0)
    assert numbers(meters)["esinfer_rate_limit_waiting"] == {label: 1}
    with pytest.raises(QueueFull):
        await limits.acquire(group, "id")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    found = numbers(meters)
    assert found["esinfer_rate_limit_waiting"] == {label: 0}
    assert found["esinfer_rate_limit_wait_seconds"] == {label: 2}
    assert found["esinfer_rate_limit_refused"] == {label: 1}


def test_groups_beyond_a_hundred_share_a_label() -> None:
    meters = Meters(Board().slots[0])
    labels = [meters.group(f"{number:08}rest") for number in range(150)]
    assert labels[:2] == ["00000000", "00000001"]
    assert set(labels[100:]) == {"other"}
    assert meters.group("00000001rest") == "00000001"


class Broken:
    """A transport that only ever fails."""

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        raise errors.ConnectionClosed(reason=request.url)

    def stream(self, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamStream]:
        raise errors.TlsError(reason=request.url)


REQUEST = UpstreamRequest(
    url="u", headers={}, body=b"", task_type=TaskType.RERANK, inference_id="i", service="s"
)


@pytest.mark.parametrize("counts", [True, False])
async def test_attempts_that_fail_are_counted_and_timed(*, counts: bool) -> None:
    meters = Meters(Board().slots[0])
    transport = MeasuredTransport(Broken(), meters if counts else None)
    timing = Timing()
    token = TIMING.set(timing)
    with pytest.raises(errors.ConnectionClosed):
        await transport.send(REQUEST)
    with pytest.raises(errors.TlsError):
        async with transport.stream(REQUEST):
            raise AssertionError
    TIMING.reset(token)
    assert timing.upstream > 0
    found = numbers(meters).get("esinfer_upstream_attempts")
    both = {("s", "rerank", "connection_closed"): 1, ("s", "rerank", "tls_failed"): 1}
    assert found == (both if counts else None)


class Streaming(Broken):
    """A transport whose answer has one chunk, and then the error if there is one."""

    def __init__(self, error: BaseException | None, status: int = 200) -> None:
        self._error = error
        self._status = status

    @asynccontextmanager
    async def stream(self, request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
        assert request is REQUEST
        async with aclosing(self._chunks()) as chunks:
            yield UpstreamStream(status=self._status, chunks=chunks)

    async def _chunks(self) -> AsyncGenerator[bytes]:
        yield b"chunk"
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        (None, 200, "2xx"),
        (None, 503, "5xx"),
        (errors.ConnectionClosed(reason="r"), 200, "connection_closed"),
        (errors.ConnectionClosed(reason="r"), 503, "connection_closed"),
        (asyncio.CancelledError(), 200, "cancelled"),
    ],
)
async def test_a_stream_is_counted_at_its_end_for_what_came_of_it(
    error: BaseException | None, status: int, outcome: str
) -> None:
    meters = Meters(Board().slots[0])
    transport = MeasuredTransport(Streaming(error, status), meters)
    raised: BaseException | None = None
    async with transport.stream(REQUEST) as stream:
        assert "esinfer_upstream_attempts" not in numbers(meters)
        try:
            assert [chunk async for chunk in stream.chunks] == [b"chunk"]
        except BaseException as seen:  # noqa: BLE001 -- the caller must see the very error
            raised = seen
    assert raised is error
    found = numbers(meters)
    assert found["esinfer_upstream_attempts"] == {("s", "rerank", outcome): 1}
    assert found["esinfer_upstream_attempt_duration_seconds"] == {("s", "rerank"): 1}


@pytest.mark.parametrize("chunks", [0, 1])
async def test_a_stream_that_is_left_before_its_end_had_its_status(chunks: int) -> None:
    meters = Meters(Board().slots[0])
    transport = MeasuredTransport(Streaming(errors.ConnectionClosed(reason="r")), meters)
    async with transport.stream(REQUEST) as stream:
        for _ in range(chunks):
            await anext(stream.chunks)
    assert numbers(meters)["esinfer_upstream_attempts"] == {("s", "rerank", "2xx"): 1}
