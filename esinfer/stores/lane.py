"""A SQLite connection and the thread that has it to itself."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from esinfer import threads
from esinfer.stores.sqlite_file import wait_until

T = TypeVar("T")


class Lane:
    """Runs one step after the other on ``connection``, which is for its thread alone."""

    def __init__(self, thread: ThreadPoolExecutor, connection: sqlite3.Connection) -> None:
        self._thread = thread
        self.connection = connection

    async def run(self, step: Callable[[], T], patience: float) -> T:
        """The result of ``step``, which gives up waiting for others ``patience`` s from now.

        What it waited for its turn counts, so that a lock that somebody holds
        keeps each caller waiting that long and not one after the other.
        """
        timed = partial(self._step, step, time.monotonic() + patience)
        return await asyncio.get_running_loop().run_in_executor(self._thread, timed)

    def _step(self, step: Callable[[], T], deadline: float) -> T:
        wait_until(self.connection, deadline)
        return step()


@asynccontextmanager
async def opened(connect: Callable[[], sqlite3.Connection], name: str) -> AsyncIterator[Lane]:
    """A lane on what ``connect`` opens, closed with the block."""
    thread = ThreadPoolExecutor(1, name)
    opening = thread.submit(connect)
    try:
        connection = await asyncio.wrap_future(opening)
    except BaseException:  # if cancelled, it may be waiting for other processes still
        threads.leave(thread.submit(_close, opening))
        thread.shutdown(wait=False)
        raise
    with thread:
        try:
            yield Lane(thread, connection)
        finally:
            await asyncio.get_running_loop().run_in_executor(thread, connection.close)


def _close(opening: Future[sqlite3.Connection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
