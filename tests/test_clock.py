"""Time that is in no hurry: waits end in order, and none takes any."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator, Awaitable

import pytest

from esinfer.clock import Clock, Mode
from esinfer.limits import Turns

Log = list[tuple[str, float]]


@pytest.fixture(autouse=True)
async def quick() -> AsyncIterator[None]:
    """What should take no time takes none, and hangs nowhere."""
    started = time.monotonic()
    async with asyncio.timeout(5):
        yield
    assert time.monotonic() - started < 2


@pytest.fixture
async def clock() -> Clock:
    return Clock(Mode.AUTO)


async def at_work(clock: Clock, task: Awaitable[object]) -> None:
    with clock.working():
        await task


def seen(clock: Clock, log: Log) -> list[tuple[str, float]]:
    assert clock.waiting == 0
    return [(name, round(when, 6)) for name, when in log]


async def sleeper(clock: Clock, log: Log, name: str, *seconds: float) -> None:
    with clock.working():
        for each in seconds:
            await clock.sleep(each)
            log.append((name, clock.time()))


async def test_time_stands_still_while_nobody_waits(clock: Clock) -> None:
    before = clock.time()
    await asyncio.sleep(0.001)
    assert (before, clock.time()) == (0.0, 0.0)


async def test_waits_end_in_the_order_of_their_deadlines_and_take_no_time(clock: Clock) -> None:
    log: Log = []
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper(clock, log, "a", 3000, 10))
        group.create_task(sleeper(clock, log, "b", 1000, 1000, 1005))
    assert seen(clock, log) == [
        ("b", 1000),
        ("b", 2000),
        ("a", 3000),
        ("b", 3005),
        ("a", 3010),
    ]


async def test_of_one_moment_those_come_first_who_came_first(clock: Clock) -> None:
    log: Log = []
    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(sleeper(clock, log, name, 5))
    assert seen(clock, log) == [("a", 5), ("b", 5), ("c", 5), ("d", 5)]


async def test_one_who_is_at_work_keeps_time_from_passing(clock: Clock) -> None:
    log: Log = []
    with clock.working():
        task = asyncio.get_running_loop().create_task(sleeper(clock, log, "a", 30))
        for _ in range(20):
            await asyncio.sleep(0)
        assert log == []
        with clock.resting():
            await task
    assert seen(clock, log) == [("a", 30)]


async def test_work_in_a_thread_is_work(clock: Clock) -> None:
    log: Log = []

    async def thread() -> None:
        with clock.working():
            await asyncio.to_thread(time.sleep, 0.01)
            log.append(("thread", clock.time()))

    async with asyncio.TaskGroup() as group:
        group.create_task(thread())
        group.create_task(sleeper(clock, log, "a", 30))
    assert seen(clock, log) == [("thread", 0), ("a", 30)]


async def test_timeout_ends_a_longer_wait(clock: Clock) -> None:
    with clock.working():
        with pytest.raises(TimeoutError):
            async with clock.timeout(30) as bound:
                await clock.sleep(300)
        assert bound.expired()
        assert clock.time() == pytest.approx(30)
        async with clock.timeout(30) as bound:
            await clock.sleep(29)
        assert not bound.expired()
    assert clock.waiting == 0


async def test_timeout_leaves_a_cancellation_that_is_not_its_own(clock: Clock) -> None:
    async def wait() -> None:
        async with clock.timeout(30):
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(at_work(clock, wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.waiting == 0


async def test_one_who_waits_for_others_is_at_work_as_long_as_they_are(clock: Clock) -> None:
    log: Log = []

    async def part(seconds: float) -> None:
        await clock.sleep(seconds)

    async def parent() -> None:
        with clock.working():
            async with asyncio.TaskGroup() as group:
                clock.share([group.create_task(part(seconds)) for seconds in (10, 20, 5)])
            log.append(("parent", clock.time()))

    async with asyncio.TaskGroup() as group:
        group.create_task(parent())
        group.create_task(sleeper(clock, log, "a", 15, 10))
    assert seen(clock, log) == [("a", 15), ("parent", 20), ("a", 25)]


async def test_parts_that_are_cancelled_give_their_work_back(clock: Clock) -> None:
    async def part(seconds: float) -> None:
        await clock.sleep(seconds)
        if seconds == 5:
            raise KeyError("a part fails")

    with clock.working():
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                clock.share([group.create_task(part(seconds)) for seconds in (10, 5, 30)])
        assert clock.time() == pytest.approx(5)
        await clock.sleep(1)
        assert clock.time() == pytest.approx(6)


async def test_turns_come_in_order_and_waiting_for_one_is_no_work(clock: Clock) -> None:
    turns = Turns(clock)
    log: Log = []

    async def one(name: str) -> None:
        async with turns:
            await clock.sleep(10)
            log.append((name, clock.time()))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(at_work(clock, one(name))) for name in "abcd"]
        await asyncio.sleep(0)
        tasks[1].cancel()
    assert seen(clock, log) == [("a", 10), ("c", 20), ("d", 30)]


async def test_a_turn_that_was_handed_to_one_who_is_cancelled_goes_on(clock: Clock) -> None:
    turns = Turns(clock)
    log: Log = []

    async def one(name: str) -> None:
        async with turns:
            log.append((name, clock.time()))

    first = turns
    await first.__aenter__()
    async with asyncio.TaskGroup() as group:
        second = group.create_task(at_work(clock, one("b")))
        group.create_task(at_work(clock, one("c")))
        await asyncio.sleep(0)
        await first.__aexit__(None, None, None)
        second.cancel()
    assert seen(clock, log) == [("c", 0)]
    async with asyncio.timeout(1), turns:
        pass


# -- modes ------------------------------------------------------------------


async def test_by_hand_time_passes_when_it_is_told_to() -> None:
    clock = Clock(Mode.MANUAL)
    log: Log = []
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper(clock, log, "a", 10, 10))
        group.create_task(sleeper(clock, log, "b", 15))
        await asyncio.sleep(0)
        await clock.advance(9)
        assert (log, clock.time()) == ([], 9)
        await clock.advance(8)
        assert [name for name, _ in log] == ["a", "b"]
        assert clock.time() == 17
        await clock.advance(100)
    assert seen(clock, log) == [("a", 10), ("b", 15), ("a", 20)]
    assert clock.time() == 117


async def test_real_time_can_be_moved_on_too() -> None:
    clock = Clock()
    log: Log = []
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper(clock, log, "a", 3600, 3600))
        await asyncio.sleep(0)
        await clock.advance(3600)
        assert len(log) == 1
        await clock.advance(3601)
    assert clock.time() == pytest.approx(7201, abs=1)


@pytest.mark.parametrize("before", [Mode.REAL, Mode.MANUAL])
async def test_waits_under_way_go_on_in_the_new_mode(before: Mode) -> None:
    clock = Clock(before)
    log: Log = []
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper(clock, log, "a", 1000))
        await asyncio.sleep(0)
        clock.mode = Mode.AUTO
    assert clock.time() == pytest.approx(1000, abs=1)


async def test_waits_of_virtual_time_go_on_in_real_time() -> None:
    clock = Clock(Mode.MANUAL)
    log: Log = []
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper(clock, log, "a", 10.01))
        await asyncio.sleep(0)
        await clock.advance(10)
        clock.mode = Mode.REAL
    assert clock.time() >= 10.01


async def test_outside_time_passes_as_usual(clock: Clock) -> None:
    async def wait() -> None:
        async with clock.timeout(0.01):
            with clock.outside():
                await asyncio.Event().wait()

    with clock.working():
        with pytest.raises(TimeoutError):
            await wait()
        passed = clock.time()
        assert 0.01 <= passed < 1
        await clock.sleep(30)
        assert clock.time() == pytest.approx(passed + 30)


async def test_what_is_outside_without_a_wait_takes_no_time(clock: Clock) -> None:
    with clock.working(), clock.outside():
        pass
    await asyncio.sleep(0.001)
    assert clock.time() == 0


async def test_one_outside_hurries_nobody(clock: Clock) -> None:
    """While a live call is under way the waits of others take the time they take."""
    log: Log = []
    over = asyncio.Event()

    async def live() -> None:
        with clock.working(), clock.outside():
            await over.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(live())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waits = group.create_task(sleeper(clock, log, "a", 3600))
        await asyncio.sleep(0.005)
        assert not waits.done()
        over.set()
    assert [name for name, _ in log] == ["a"]


async def test_advancing_does_not_wait_for_one_outside() -> None:
    clock = Clock(Mode.MANUAL)
    with clock.working(), clock.outside():
        await asyncio.sleep(0)
        await clock.advance(5)
    assert clock.time() == 5


async def test_timers_that_nobody_wants_any_more_are_forgotten(clock: Clock) -> None:
    clock = Clock(Mode.MANUAL)
    timers = [clock.call_at(when, lambda: None) for when in range(1, 1001)]
    for timer in timers[:900]:
        timer.cancel()
        timer.cancel()
    assert clock.waiting == 100
    assert len(clock._timers) < 250
    await clock.advance(2000)
    timers[-1].cancel()
    assert clock.waiting == 0


async def test_a_timeout_belongs_to_a_task(clock: Clock) -> None:
    def outside_of_tasks() -> None:
        with pytest.raises(RuntimeError):
            clock.timeout(1).__aenter__().send(None)
        done.set()

    done = asyncio.Event()
    asyncio.get_running_loop().call_soon(outside_of_tasks)
    await done.wait()


async def test_what_was_done_in_time_is_forgotten_without_a_search_for_garbage() -> None:
    clock = Clock()

    async def work() -> None:
        async with clock.timeout(60):
            await asyncio.sleep(0)

    gc.disable()
    try:
        task = asyncio.create_task(work())
        await task
        forgotten = weakref.ref(task)
        del task
        await asyncio.sleep(0)
        assert forgotten() is None
    finally:
        gc.enable()
