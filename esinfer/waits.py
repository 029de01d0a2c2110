"""The single waits of a clock: a call that is due, a task that waits, a task that is cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self


def _nothing() -> None:
    """What a timer calls that is over."""


class Timer:
    """A call that is due at a time of its clock.

    Once it is over it lets go of the call: what that holds, such as a whole
    request, would live until garbage is collected.
    """

    __slots__ = ("_call", "_cancelled", "_when", "is_over")

    def __init__(
        self, when: float, call: Callable[[], object], cancelled: Callable[[], None]
    ) -> None:
        self._when = when
        self._call = call
        self._cancelled = cancelled
        self.is_over = False

    def when(self) -> float:
        """The clock's time at which it is due."""
        return self._when

    def cancel(self) -> None:
        """Let it not happen; once it has, this changes nothing."""
        if not self.is_over:
            self.is_over = True
            self._call = _nothing
            self._cancelled()

    def ring(self) -> None:
        """Its time has come."""
        self.is_over = True
        call, self._call = self._call, _nothing
        call()


class Wait(asyncio.Future[None]):
    """What a task waits for that is not at work meanwhile; made by the task that waits.

    ``rest`` and ``work`` are told: who ends the wait has it counted in at once.
    """

    def __init__(self, rest: Callable[[], None], work: Callable[[], None]) -> None:
        super().__init__()
        self._work = work
        rest()

    def set_result(self, result: None) -> None:
        super().set_result(result)
        self._work()

    def cancel(self, msg: object = None) -> bool:
        cancelled = super().cancel(msg)
        if cancelled:
            self._work()
        return cancelled


class Timeout:
    """Cancels the task inside at its time; leaving then raises TimeoutError."""

    def __init__(
        self, call_at: Callable[[float, Callable[[], object]], Timer], when: float
    ) -> None:
        self._call_at = call_at
        self._when = when
        self._expired = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a timeout is for tasks")
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = self._call_at(self._when, self._expire)
        return self

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()

    def expired(self) -> bool:
        """Whether it is this timeout that has ended what was inside."""
        return self._expired

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if not self._expired:
            return
        # Who else cancelled the task has still to be obeyed.
        if self._task.uncancel() <= self._cancelling and exc_type is asyncio.CancelledError:
            raise TimeoutError from exc
