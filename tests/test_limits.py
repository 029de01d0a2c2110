"""The pace of a rate limit group, and the queue before it. No test waits: time is moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from esinfer.api.responses import error_body
from esinfer.endpoints import RateLimitGroup
from esinfer.errors import QueueFull
from esinfer.limits import PacedQueue, RateLimits
from tests.clock import Clock
from tests.conftest import envelope

ONE_A_SECOND = RateLimitGroup(account="0123456789abcdef", requests_per_minute=60)
START = 1000.0


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Passed:
    """Who came through, and when."""

    def __init__(self, limits: RateLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self.names: list[str] = []
        self.times: list[float] = []

    async def _acquire(self, group: RateLimitGroup, name: str) -> None:
        await self._limits.acquire(group, name)
        self.names.append(name)
        self.times.append(self._clock.now - START)

    def ask(self, name: str, group: RateLimitGroup = ONE_A_SECOND) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._acquire(group, name))
        self._tasks.append(task)
        return task

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def passed(clock: Clock) -> AsyncIterator[Passed]:
    record = Passed(RateLimits(queue_capacity=0), clock)
    yield record
    await record.stop()


async def test_idle_group_costs_no_time_and_no_timer(clock: Clock) -> None:
    limits = RateLimits(queue_capacity=1)
    async with asyncio.timeout(0):  # expires at the first wait
        await limits.acquire(ONE_A_SECOND, "id")
    assert clock.now == START


async def test_requests_are_paced_and_never_burst(clock: Clock, passed: Passed) -> None:
    for name in "abcd":
        passed.ask(name)
    await clock.settle()
    assert passed.names == ["a"]
    await clock.advance(10)
    assert passed.times == pytest.approx([0, 1, 2, 3])


async def test_a_long_pause_saves_up_one_token_and_no_more(clock: Clock, passed: Passed) -> None:
    passed.ask("a")
    await clock.advance(3600)
    for name in "bcd":
        passed.ask(name)
    await clock.advance(10)
    assert passed.times == pytest.approx([0, 3600, 3601, 3602])


async def test_default_rate_is_one_in_twenty_milliseconds(clock: Clock, passed: Passed) -> None:
    group = RateLimitGroup(account="x", requests_per_minute=3000)
    for index in range(50):
        passed.ask(str(index), group)
    await clock.advance(2)
    assert passed.times == pytest.approx([0.02 * index for index in range(50)], abs=1e-6)


async def test_slowest_rate_is_one_a_minute(clock: Clock, passed: Passed) -> None:
    group = RateLimitGroup(account="x", requests_per_minute=1)
    passed.ask("a", group)
    passed.ask("b", group)
    await clock.advance(59.9)
    assert passed.names == ["a"]
    await clock.advance(0.2)
    assert passed.times == pytest.approx([0, 60])


async def test_huge_rate_holds_nobody_up(clock: Clock, passed: Passed) -> None:
    group = RateLimitGroup(account="x", requests_per_minute=10**9)
    for index in range(10):
        passed.ask(str(index), group)
    await clock.advance(0.001)
    assert len(passed.names) == 10


async def test_order_is_first_come_first_served(clock: Clock, passed: Passed) -> None:
    names = [str(index) for index in range(20)]
    for name in names[:10]:
        passed.ask(name)
    await clock.advance(4.5)
    for name in names[10:]:
        passed.ask(name)
    await clock.advance(30)
    assert passed.names == names


async def test_one_that_comes_when_the_token_does_waits_behind_the_others(
    clock: Clock, passed: Passed
) -> None:
    passed.ask("a")
    passed.ask("b")
    await clock.settle()
    clock.now += 1  # the token is there, its timer has not gone off
    passed.ask("c")
    await clock.advance(5)
    assert passed.names == ["a", "b", "c"]


# -- groups -----------------------------------------------------------------


async def test_groups_do_not_slow_each_other_down(clock: Clock, passed: Passed) -> None:
    passed.ask("a")
    passed.ask("b", RateLimitGroup(account="other", requests_per_minute=60))
    passed.ask("c", RateLimitGroup(account=ONE_A_SECOND.account, requests_per_minute=61))
    await clock.settle()
    assert passed.names == ["a", "b", "c"]


async def test_equal_groups_share_one_pace(clock: Clock, passed: Passed) -> None:
    passed.ask("a")
    passed.ask("b", RateLimitGroup(account=ONE_A_SECOND.account, requests_per_minute=60))
    await clock.advance(5)
    assert passed.times == pytest.approx([0, 1])


async def test_only_idle_groups_are_forgotten(clock: Clock) -> None:
    limits = RateLimits(queue_capacity=0, most_idle=2)
    busy, idle, new = (
        RateLimitGroup(account=name, requests_per_minute=per_minute)
        for name, per_minute in (("busy", 1), ("idle", 6000), ("new", 6000))
    )
    await limits.acquire(busy, "id")
    await limits.acquire(idle, "id")
    await clock.advance(1)
    await limits.acquire(new, "id")
    assert set(limits._queues) == {busy, new}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await limits.acquire(busy, "id")


# -- the queue --------------------------------------------------------------


async def test_full_queue_refuses_at_once(clock: Clock) -> None:
    limits = RateLimits(queue_capacity=2)
    passed = Passed(limits, clock)
    passed.ask("a")
    await clock.settle()
    passed.ask("b")
    passed.ask("c")
    await clock.settle()
    with pytest.raises(QueueFull) as raised:
        await limits.acquire(ONE_A_SECOND, "d")
    assert error_body(raised.value) == envelope(
        "es_rejected_execution_exception",
        "Failed to execute task for inference id [d] because the request service [01234567]"
        " queue is full",
        429,
    )
    await clock.advance(1.5)
    passed.ask("e")
    await clock.advance(5)
    assert passed.names == ["a", "b", "c", "e"]


async def test_capacity_zero_is_no_bound(clock: Clock, passed: Passed) -> None:
    for index in range(5000):
        passed.ask(str(index))
    await clock.settle()
    assert passed.names == ["0"]


async def test_full_queue_of_one_group_is_no_concern_of_another(clock: Clock) -> None:
    limits = RateLimits(queue_capacity=1)
    passed = Passed(limits, clock)
    for name in "ab":
        passed.ask(name)
        await clock.settle()
    await limits.acquire(RateLimitGroup(account="other", requests_per_minute=60), "c")
    with pytest.raises(QueueFull):
        await limits.acquire(ONE_A_SECOND, "d")
    await passed.stop()


@pytest.mark.parametrize("gone", ["b", "c", "d"])
async def test_one_that_gives_up_frees_its_place_and_takes_no_token(
    clock: Clock, gone: str
) -> None:
    limits = RateLimits(queue_capacity=3)
    passed = Passed(limits, clock)
    tasks = {name: passed.ask(name) for name in "a"}
    await clock.settle()
    tasks |= {name: passed.ask(name) for name in "bcd"}
    await clock.settle()
    tasks[gone].cancel()
    await clock.settle()
    passed.ask("e")
    await clock.advance(10)
    assert passed.names == [name for name in "abcde" if name != gone]
    assert passed.times == pytest.approx([0, 1, 2, 3])


async def test_queue_is_idle_once_its_token_is_back(clock: Clock) -> None:
    queue = PacedQueue(ONE_A_SECOND, 0)
    seen = [queue.idle]
    await queue.acquire("a")
    seen.append(queue.idle)
    await clock.advance(1)
    seen.append(queue.idle)
    assert seen == [True, False, True]
    assert queue.waiting == 0


async def test_one_that_gives_up_as_its_turn_comes_leaves_the_token_to_the_next(
    clock: Clock, passed: Passed
) -> None:
    passed.ask("a")
    second = passed.ask("b")
    passed.ask("c")
    await clock.settle()
    second.cancel()
    clock.now += 1
    await clock.advance(5)
    assert passed.names == ["a", "c"]
    assert passed.times == pytest.approx([0, 1], abs=1e-6)


async def test_a_fast_rate_is_reached_though_timers_are_late(clock: Clock, passed: Passed) -> None:
    group = RateLimitGroup(account="x", requests_per_minute=60_000)
    for index in range(1000):
        passed.ask(str(index), group)
    for _ in range(250):  # half a second in which the loop wakes each two milliseconds only
        await clock.settle()
        clock.now += 0.002
        await clock.advance(0)
    assert 475 <= len(passed.names) <= 505


async def test_a_fast_rate_saves_up_no_more_than_timers_are_late(
    clock: Clock, passed: Passed
) -> None:
    group = RateLimitGroup(account="x", requests_per_minute=60_000)
    await clock.advance(3600)
    for index in range(10):
        passed.ask(str(index), group)
    await clock.settle()
    assert len(passed.names) == 3
