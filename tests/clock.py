"""Time that a test moves by hand: the running loop's own clock, replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from heapq import heappop, heappush
from typing import Any

import pytest

_JUST_AFTER = 1e-9


class Clock:
    """Stands still until ``advance``; then every timer goes off at its own time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.now = 1000.0
        self._alarms: list[float] = []
        self._schedule = loop.call_at
        monkeypatch.setattr(loop, "time", lambda: self.now)
        monkeypatch.setattr(loop, "call_at", self._call_at)

    def _call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        heappush(self._alarms, when)
        return self._schedule(when, callback, *args, context=context)

    async def settle(self) -> None:
        """Let everything run that needs no time."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, timer by timer."""
        end = self.now + seconds
        await self.settle()
        while self._alarms and self._alarms[0] <= end:
            self.now = max(self.now, heappop(self._alarms)) + _JUST_AFTER
            await self.settle()
        self.now = max(self.now, end)
        await self.settle()
