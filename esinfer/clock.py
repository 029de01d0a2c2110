"""The time of one namespace: real, or virtual and in no hurry to be waited for.

All waits that esinfer makes itself stand in one queue here: pacing, back-off,
request timeouts, the twin's delays. In ``real`` mode they end when the event
loop's time says so. In ``auto`` mode time stands still while any request is at
work; once all of them only wait, it jumps to the next deadline, one at a
time, those of one moment in the order of their registration. In ``manual``
mode it moves when it is told to.

What keeps a request at work is counted, never guessed: ``working`` counts it
in, a wait on the clock counts it out, and whatever ends that wait counts it in
again in the same step, before it runs. What waits for the world outside, a
live upstream or a slow client, is ``outside``: meanwhile time passes as usual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any

from esinfer.errors import IllegalArgument
from esinfer.waits import Timeout, Timer, Wait

LATEST = 365 * 86_400.0
"""Seconds; much later a float is too coarse to tell a token from none."""
_JUST_AFTER = 1e-9
"""Seconds from a deadline to what it calls, as with a real clock: what has grown whole by then is
not short of it by a rounding error."""
_FEW = 100


class Mode(StrEnum):
    """How time passes."""

    REAL = "real"
    AUTO = "auto"
    MANUAL = "manual"


def _wake(wait: asyncio.Future[None]) -> None:
    if not wait.done():
        wait.set_result(None)


class Clock:
    """A clock and who waits for it; seconds, beginning with 0. Belongs to one event loop."""

    def __init__(self, mode: Mode = Mode.REAL) -> None:
        self._mode = mode
        self._now = 0.0
        self._since: float | None = None  # the loop's time at _now, None while time stands still
        self._timers: list[tuple[float, int, Timer]] = []
        self._sequence = count()
        self._cancelled = 0
        self._working = 0
        self._outside = 0
        self._jumps = False
        self._alarm: asyncio.TimerHandle | None = None
        self._quiet: list[asyncio.Future[None]] = []

    # -- time

    def time(self) -> float:
        """Seconds that have passed on this clock."""
        if self._since is None:
            if self._mode is not Mode.REAL:
                return self._now
            self._since = asyncio.get_running_loop().time()
        return self._now + asyncio.get_running_loop().time() - self._since

    @property
    def mode(self) -> Mode:
        """How time passes; when that changes, waits under way go on in the new way."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._stand(self.time())
        self._mode = mode
        self._move()

    @property
    def waiting(self) -> int:
        """How many deadlines there are."""
        return len(self._timers) - self._cancelled

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass: what falls due meanwhile happens in order, each at its time.

        Whoever calls this must not be at work itself. IllegalArgument beyond ``LATEST``.
        """
        end = self.time() + seconds
        if end > LATEST:
            raise IllegalArgument(
                reason=f"The clock cannot go on to [{end:g}s], it ends at [365d];"
                " POST /_esinfer/reset sets it back"
            )
        await self._settle()
        while (timer := self._next()) is not None and timer.when() <= end:
            self._set(max(timer.when() + _JUST_AFTER, self.time()))
            self._ring()
            await self._settle()
        self._set(max(end, self.time()))
        self._move()

    def _set(self, now: float) -> None:
        flows = self._since is not None
        self._stand(now)
        if flows:
            self._since = asyncio.get_running_loop().time()

    def _stand(self, now: float) -> None:
        """Time stands still, at ``now``."""
        self._now = now
        self._since = None
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    # -- waits

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds; for none or less, let others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wait = self.create_future()
        timer = self.call_at(self.time() + seconds, partial(_wake, wait))
        try:
            await wait
        finally:
            timer.cancel()

    def timeout(self, seconds: float) -> Timeout:
        """As ``asyncio.timeout``."""
        return self.timeout_at(self.time() + seconds)

    def timeout_at(self, when: float) -> Timeout:
        """As ``asyncio.timeout_at``, in this clock's time."""
        return Timeout(self.call_at, when)

    def create_future(self) -> asyncio.Future[None]:
        """What the current task, which makes it, waits for next; it is not at work meanwhile."""
        return Wait(self.rest, self.work)

    def call_at(self, when: float, call: Callable[[], object]) -> Timer:
        """Call something at a time of this clock."""
        timer = Timer(when, call, self._count_cancelled)
        heappush(self._timers, (when, next(self._sequence), timer))
        self._move()
        return timer

    # -- who is at work

    def working(self) -> AbstractContextManager[None]:
        """The current task is at work, unless it waits for the clock."""
        return _Between(self.work, self.rest)

    def resting(self) -> AbstractContextManager[None]:
        """The current task, else at work, is not: it waits for what may come or not."""
        return _Between(self.rest, self.work)

    def outside(self) -> AbstractContextManager[None]:
        """The current task waits for the world outside: time passes as usual.

        What needs no waiting takes no time.
        """
        departure = _Departure(self)
        return _Between(departure.leave_soon, departure.come_back)

    @property
    def always_flows(self) -> bool:
        """Whether time passes as usual, whoever is where."""
        return self._mode is Mode.REAL

    def go_outside(self, number: int) -> None:
        """So many more are outside, or less."""
        self._outside += number
        if self._quiet or self._mode is not Mode.REAL:
            self._move()

    def share(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        """The current task waits for ``tasks``, which it has just made: they are at work for it."""
        left = len(tasks)

        def end(_task: asyncio.Task[Any]) -> None:
            nonlocal left
            left -= 1
            if left:  # the last one's work goes back to who waits for it
                self.rest()

        for task in tasks:
            task.add_done_callback(end)
        self._working += max(left - 1, 0)

    def work(self) -> None:
        """One more is at work."""
        self._working += 1

    def rest(self) -> None:
        """One less is at work."""
        self._working -= 1
        if self._working <= 0 and (self._quiet or self._mode is not Mode.REAL):
            self._move()

    async def _settle(self) -> None:
        """Wait until nobody is at work but those who are outside."""
        while self._working > self._outside:
            quiet: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._quiet.append(quiet)
            await quiet

    # -- how time moves

    def _move(self) -> None:
        """See to it that the next deadline comes, in the way of the mode."""
        if self._quiet and self._working <= self._outside:
            self._tell_quiet()
        if self._mode is Mode.REAL or (self._mode is Mode.AUTO and self._outside > 0):
            if self._since is None:
                self._since = asyncio.get_running_loop().time()
            self._arm()
            return
        if self._since is not None:
            self._stand(self.time())
        if self._mode is Mode.AUTO and self._working <= 0 and self.waiting and not self._jumps:
            self._jumps = True
            asyncio.get_running_loop().call_soon(self._jump)

    def _tell_quiet(self) -> None:
        for quiet in self._quiet:
            if not quiet.done():
                quiet.set_result(None)
        self._quiet.clear()

    def _jump(self) -> None:
        self._jumps = False
        while self._mode is Mode.AUTO and self._working <= 0 and not self._outside:
            timer = self._next()
            if timer is None:
                return
            self._now = max(self._now, timer.when() + _JUST_AFTER)
            self._ring()

    def _ring(self) -> None:
        """Let the next deadline be there."""
        heappop(self._timers)[2].ring()

    def _next(self) -> Timer | None:
        """The timer that is due next; cancelled ones are forgotten."""
        while self._timers:
            timer = self._timers[0][2]
            if not timer.is_over:
                return timer
            heappop(self._timers)
            self._cancelled -= 1
        return None

    def _arm(self) -> None:
        """Have the event loop call when the next timer is due; one call for all of them."""
        timer = self._next()
        if timer is None or self._since is None:
            return
        loop = asyncio.get_running_loop()
        when = self._since + timer.when() - self._now
        if self._alarm is not None:
            if self._alarm.when() <= when:
                return
            self._alarm.cancel()
        self._alarm = loop.call_at(when, self._alarmed)

    def _alarmed(self) -> None:
        self._alarm = None
        now, newest = self.time(), next(self._sequence)
        while self._next() is not None and self._timers[0] < (now, newest):
            self._ring()  # what that sets up has its turn later, as in asyncio
        self._move()

    def _count_cancelled(self) -> None:
        self._cancelled += 1
        if self._cancelled > _FEW and self._cancelled * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if not entry[2].is_over]
            heapify(self._timers)
            self._cancelled = 0


class _Between:
    """A context that is nothing but its two ends."""

    __slots__ = ("_enter", "_leave")

    def __init__(self, enter: Callable[[], None], leave: Callable[[], None]) -> None:
        self._enter = enter
        self._leave = leave

    def __enter__(self) -> None:
        self._enter()

    def __exit__(self, *_exception: object) -> None:
        self._leave()


class _Departure:
    """One task's way outside, which it goes only if it has to wait there."""

    __slots__ = ("_clock", "_handle", "_is_outside")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._is_outside = False
        self._handle: asyncio.Handle | None = None

    def leave_soon(self) -> None:
        if self._clock.always_flows:
            self._leave()
        else:
            self._handle = asyncio.get_running_loop().call_soon(self._leave)

    def _leave(self) -> None:
        self._is_outside = True
        self._clock.go_outside(1)

    def come_back(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        if self._is_outside:
            self._clock.go_outside(-1)
