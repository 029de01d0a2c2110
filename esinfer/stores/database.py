"""Connections to PostgreSQL, on which everything ends within a bound.

asyncpg waits for itself at several places: for a connection, for each answer,
for its own request to give up, for a connection to be given back. A database
that has fallen silent would make these add up; so one moment is set for all of
it, at which the connection is torn down and everything on it fails at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import asyncpg

from esinfer.errors import ElasticsearchError, StoreUnavailable
from esinfer.stores.errors import StoreError
from esinfer.stores.listening import BROKEN, FAILURES, story

if TYPE_CHECKING:
    from asyncpg import Pool, Record
    from asyncpg.pool import PoolConnectionProxy

_LOGGER = logging.getLogger(__name__)
_CONNECTIONS = 10
PATIENCE = 10.0
"""Seconds that a request waits for the database, whatever it asks."""
FAREWELL = 2.0
"""Seconds that the database has to close the connections when the server stops."""


class Database:
    """Runs statements of requests."""

    def __init__(self, pool: Pool[Record]) -> None:
        self._pool = pool

    async def fetch(self, query: str, *arguments: str) -> Sequence[Record]:
        """Rows; asked for a second time on a new connection if the first one was broken.

        StoreUnavailable if that fails as well, or time is up.
        """
        deadline = _now() + PATIENCE
        with _told(None):
            try:
                return await self._fetch(deadline, query, *arguments)
            except BROKEN as error:
                if _now() >= deadline:
                    raise
                _LOGGER.debug("asking again: %s", story(error))
            await self._pool.expire_connections()  # the others broke with it
            return await self._fetch(deadline, query, *arguments)

    async def _fetch(self, deadline: float, query: str, *arguments: str) -> Sequence[Record]:
        async with self._acquired(deadline) as connection:
            return await connection.fetch(query, *arguments)

    @asynccontextmanager
    async def connection(
        self, failure: ElasticsearchError | None = None
    ) -> AsyncIterator[PoolConnectionProxy[Record]]:
        """A connection; ``failure``, or StoreUnavailable, if it or a statement fails."""
        with _told(failure):
            async with self._acquired(_now() + PATIENCE) as connection:
                yield connection

    @asynccontextmanager
    async def _acquired(self, deadline: float) -> AsyncIterator[PoolConnectionProxy[Record]]:
        """A connection that is torn down at ``deadline``; one of FAILURES if it comes to that."""
        try:
            connection = await self._pool.acquire(timeout=deadline - _now())
            fuse = asyncio.get_running_loop().call_at(deadline, connection.terminate)
            try:
                yield connection
            except asyncio.CancelledError:
                connection.terminate()  # or it would wait until the database gives up, too
                raise
            finally:
                try:
                    await self._pool.release(connection)
                finally:
                    fuse.cancel()
        except FAILURES as error:
            if _now() >= deadline:
                raise TimeoutError(f"no answer within {PATIENCE:g} s") from error
            raise


def _now() -> float:
    return asyncio.get_running_loop().time()


@contextmanager
def _told(failure: ElasticsearchError | None) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        _LOGGER.error("the store failed: %s", story(error))  # noqa: TRY400 -- see story()
        raise failure or StoreUnavailable from error


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Pool[Record]]:
    """Connections to that database; raises StoreError if there are none to be had."""
    pool = asyncpg.create_pool(
        url,
        min_size=0,  # for one it would write a traceback when it cannot renew it
        max_size=_CONNECTIONS,
        timeout=PATIENCE,
        command_timeout=PATIENCE,
        server_settings={"application_name": "esinfer"},
    )
    await pool
    try:
        await _try(pool)
        yield pool
    finally:
        await _close(pool)


async def _try(pool: Pool[Record]) -> None:
    with refused():
        try:
            async with pool.acquire():
                pass
        except ValueError as error:  # it may quote what stands where a password should not
            raise StoreError("store.url: the database's address cannot be read") from error


@contextmanager
def refused() -> Iterator[None]:
    """StoreError for what fails before the store is open."""
    try:
        yield
    except FAILURES as error:
        raise StoreError(f"store.url: cannot use the database: {story(error)}") from error


async def _close(pool: Pool[Record]) -> None:
    try:
        async with asyncio.timeout(FAREWELL):
            await pool.close()
    except FAILURES as error:  # all connections have been torn down by then
        _LOGGER.warning("the database did not close the connections: %s", story(error))
