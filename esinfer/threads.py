"""Work that takes long, such as reading a large body, goes on beside the event loop.

The loop has only short steps to take, so that one request does not keep the
others waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

T = TypeVar("T")

LARGE: Final = 64 * 1024
"""From this many bytes on a thread is worth it."""


class Pool:
    """A few threads, as they take turns with the loop, and not its own, which look up hosts."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix=f"esinfer-{name}")
        self._running: set[Future[Any]] = set()

    async def run(self, step: Callable[[], T]) -> T:
        """The result of ``step``; it goes on when nobody waits for it any more."""
        future = self._executor.submit(step)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    @property
    def is_busy(self) -> bool:
        """Whether a step is under way, which keeps the process from ending."""
        return bool(self._running)


READING: Final = Pool("large")
CHUNKING: Final = Pool("chunks")
"""Apart, as chunking takes seconds where reading takes hundredths."""
ANSWERING: Final = Pool("twin")
"""Apart, as a model takes as long."""


async def run_sized(size: int, step: Callable[[], T]) -> T:
    """The result of ``step``, whose work grows with ``size``, counted in bytes of JSON."""
    return step() if size < LARGE else await run_beside(step)


async def run_beside(step: Callable[[], T]) -> T:
    """The result of ``step``, whose work may be any."""
    return await READING.run(step)


_LEFT: Final[set[Future[Any]]] = set()


def leave(step: Future[Any]) -> None:
    """Count among those under way a step of another thread that nobody waits for any more."""
    _LEFT.add(step)
    step.add_done_callback(_LEFT.discard)


def is_busy() -> bool:
    """Whether any step is under way."""
    return READING.is_busy or CHUNKING.is_busy or ANSWERING.is_busy or bool(_LEFT)
