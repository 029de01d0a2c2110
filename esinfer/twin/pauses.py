"""The waits that the twin makes on purpose: through an injected sleep, and over when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Sleep = Callable[[float], Awaitable[None]]


class Interrupted(Exception):
    """The twin stops; nobody waits any longer."""


class Pauses:
    """Waits of one twin."""

    __slots__ = ("_is_over", "_sleep", "_tasks")

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_over = False

    async def pause(self, seconds: float) -> None:
        """Wait so many seconds, none if there is no more than nothing to wait for.

        Raises Interrupted when the twin stops meanwhile, or has stopped.
        """
        if seconds <= 0:
            return
        task = asyncio.current_task()
        if self._has_ended() or task is None:
            raise Interrupted
        self._tasks.add(task)
        try:
            await self._sleep(seconds)
        except asyncio.CancelledError:
            # As in asyncio.timeout: whoever else cancelled the task has still to be obeyed.
            if self._has_ended() and task.uncancel() == 0:
                raise Interrupted from None
            raise
        finally:
            self._tasks.discard(task)

    @property
    def waiting(self) -> int:
        """How many wait by now."""
        return len(self._tasks)

    def _has_ended(self) -> bool:
        return self._is_over

    def end(self) -> None:
        """Wake everybody up, and let nobody wait any more."""
        self._is_over = True
        for task in tuple(self._tasks):
            task.cancel()
