"""Hears from PostgreSQL which endpoints have changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import asyncpg

from esinfer.stores.cache import EndpointCache

if TYPE_CHECKING:
    from asyncpg import Connection, Record
    from asyncpg.pool import PoolConnectionProxy

_LOGGER = logging.getLogger(__name__)

CHANNEL: Final = "esinfer_endpoint"
BROKEN: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # a shutdown, or an administrator
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that broke a moment ago
    OSError,  # a TimeoutError is one
)
"""What says that a connection, and others with it, are of no more use."""
FAILURES: Final = (asyncpg.PostgresError, *BROKEN)
"""What a connection or a statement fails with."""
HEARTBEAT = 5.0
"""Seconds within which a connection that is silently dead is noticed."""
RECONNECT_DELAY = 1.0


def story(error: BaseException) -> str:
    """What happened, on one line; not PostgreSQL's details, which quote values."""
    text = str(error.args[0]) if error.args and isinstance(error.args[0], str) else str(error)
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


class Listener:
    """Listens on a connection of its own, and makes another one when it breaks.

    Drops from ``cache`` what has changed, and all of it when it cannot know.
    """

    def __init__(self, url: str, cache: EndpointCache) -> None:
        self._url = url
        self._cache = cache
        self.listens = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Listener]:
        """Listen while the block runs."""
        task = asyncio.create_task(self._listen_on(), name="esinfer store listener")
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _listen_on(self) -> None:
        while True:
            try:
                await self._listen()
            except FAILURES as error:
                _LOGGER.warning(
                    "not listening for changes, each read asks the database: %s", story(error)
                )
            await asyncio.sleep(RECONNECT_DELAY)

    async def _listen(self) -> None:
        """Listen until the connection breaks, which is raised."""
        connection = await asyncpg.connect(self._url, timeout=HEARTBEAT)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await connection.add_listener(CHANNEL, self._changed)
            self._begin()
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT):
                        await lost.wait()
                await connection.fetchval("SELECT 1", timeout=HEARTBEAT)
        finally:
            self._end()
            connection.terminate()

    def _begin(self) -> None:
        self.listens = True
        self._cache.clear()  # no read that began before is kept

    def _end(self) -> None:
        self.listens = False
        self._cache.clear()

    def _changed(
        self,
        _connection: Connection[Record] | PoolConnectionProxy[Record],
        _process: int,
        _channel: str,
        inference_id: object,
    ) -> None:
        self._cache.forget(str(inference_id))
