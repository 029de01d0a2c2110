"""The states of a dedicated endpoint: what it answers before any fault has its turn.

Source: upstream.md section 1f.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from esinfer.twin.delivery import Effect
from esinfer.twin.faults.answers import loading, paused
from esinfer.twin.received import Received

_HOLD: Final = "x-scale-up-timeout"
_LONGEST: Final = 3600.0
"""Seconds that a request is held at most."""


class State(StrEnum):
    """How an endpoint is, to whoever calls it."""

    RUNNING = "running"
    COLD = "cold"
    """Scaled to zero, or starting: 503 until it runs."""
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSettings:
    """A state; a cold upstream runs after so many seconds or requests, else never."""

    state: State = State.RUNNING
    ready_after: float | None = None
    ready_after_requests: int | None = None


class Condition:
    """The state of an upstream as time and requests change it; ``now`` in seconds."""

    __slots__ = ("_ready_at", "_requests_left", "state")

    def __init__(self, settings: StateSettings, now: float) -> None:
        self.state = settings.state
        self._ready_at = None if settings.ready_after is None else now + settings.ready_after
        self._requests_left = settings.ready_after_requests

    def look(self, now: float) -> State:
        """The state by now."""
        if self._ready_at is not None and now >= self._ready_at:
            self.state = State.RUNNING
        return self.state

    def receive(self, received: Received, now: float) -> tuple[Effect | None, float]:
        """What becomes of a request, None if it is for the server, and seconds to hold it before.

        A cold endpoint's proxy holds a request as long as its caller says, or
        until the endpoint runs. Only POST requests are counted: to look after
        the health of an endpoint does not bring it up.
        """
        state = self.look(now)
        if state is State.RUNNING:
            return None, 0.0
        if state is State.PAUSED:
            return paused, 0.0
        patience = _patience(received)
        if self._ready_at is not None and self._ready_at - now <= patience:
            return None, self._ready_at - now
        if self._requests_left is not None and received.request.method == "POST":
            self._requests_left -= 1
            if self._requests_left < 1:
                self.state = State.RUNNING  # for the next
        return loading, patience


def _patience(received: Received) -> float:
    """Seconds that the caller is willing to wait; what is no such number is none."""
    try:
        seconds = float(received.headers.get(_HOLD, "0"))
    except ValueError:
        return 0.0
    return min(seconds, _LONGEST) if seconds > 0 else 0.0
