"""The time of a test."""

from __future__ import annotations

from typing import Any

from esinfer.testing.control import call

_PATH = "/_esinfer/clock"


class VirtualClock:
    """A namespace's clock: ``auto`` at first, so that no wait takes any time."""

    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def mode(self) -> str:
        """``auto``, ``real`` or ``manual``; waits under way go on in the new mode."""
        return str(self._show()["mode"])

    @mode.setter
    def mode(self, mode: str) -> None:
        call(self._url, "POST", _PATH, {"mode": mode})

    @property
    def time(self) -> float:
        """Seconds that have passed on it."""
        return float(self._show()["time"])

    @property
    def waiting(self) -> int:
        """How many waits there are."""
        return int(self._show()["waiting"])

    def advance(self, duration: str | float) -> None:
        """Let so much time pass, ``"30s"`` or seconds; what falls due meanwhile happens."""
        text = duration if isinstance(duration, str) else f"{round(duration * 1e9)}nanos"
        call(self._url, "POST", _PATH, {"advance": text})

    def _show(self) -> dict[str, Any]:
        shown: dict[str, Any] = call(self._url, "GET", _PATH)
        return shown
