"""The permits of a server: so many inputs at once, and who asks for more is overloaded.

An exchange holds its permits until it ends: while an answer is delayed or
stalls, the server is as busy as one that computes for so long.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from types import TracebackType
from typing import Self


class Permits:
    """So many as there are, and who has them. Safe to share between threads."""

    __slots__ = ("_lock", "_taken", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken = 0
        self._lock = Lock()

    def take(self, count: int) -> bool:
        """Take all of them, or none if there are not enough."""
        with self._lock:
            if self._taken + count > self.most:
                return False
            self._taken += count
            return True

    def give_back(self, count: int) -> None:
        """Let others have them."""
        with self._lock:
            self._taken -= count


class Hold:
    """The permits of one exchange, given back at the end of the context. Safe as above."""

    __slots__ = ("_is_over", "_lock", "_taken")

    def __init__(self) -> None:
        self._taken: list[tuple[Permits, int]] = []
        self._is_over = False
        self._lock = Lock()

    def take(self, permits: Permits, count: int) -> bool:
        """Whether there were enough. A thread that comes too late needs none any more."""
        with self._lock:
            if self._is_over:
                return True
            if not permits.take(count):
                return False
            self._taken.append((permits, count))
            return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._is_over = True
            for permits, count in self._taken:
                permits.give_back(count)
            self._taken.clear()


def within(hold: Hold | None) -> AbstractContextManager[Hold]:
    """The hold of an exchange; without one, one that lasts for the context."""
    return Hold() if hold is None else nullcontext(hold)
