"""The lane of a SQLite connection: what becomes of one that nobody waits for any more."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from threading import Event

import pytest

from esinfer import threads
from esinfer.stores.lane import opened


async def test_an_opening_that_is_cancelled_is_not_waited_for_and_closed_when_it_is_done() -> None:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    loop = asyncio.get_running_loop()
    begun, go_on = asyncio.Event(), Event()

    def connect() -> sqlite3.Connection:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(20)
        return connection

    async with asyncio.timeout(10), AsyncExitStack() as stack:
        opening = asyncio.create_task(stack.enter_async_context(opened(connect, "test")))
        await begun.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert threads.is_busy()
        go_on.set()
        while threads.is_busy():  # noqa: ASYNC110 -- threads do not tell
            await asyncio.sleep(0)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
