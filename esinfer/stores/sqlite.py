"""Endpoints in one SQLite file, which several processes may share.

Statements run beside the event loop, changes in one thread, one transaction
each, and reads in another, as they wait for no lock; an answered change has
been synced to the disk. Reads come from a cache that a connection of the loop's
own validates: ``PRAGMA data_version`` tells in some 3 µs, without touching the
disk, whether any connection of any process has committed since.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import ElasticsearchError, EndpointNotStored, StoreUnavailable
from esinfer.region_policy import RegionPolicy, StoredRegionPolicy
from esinfer.stores import sqlite_file
from esinfer.stores.cache import EndpointCache
from esinfer.stores.lane import Lane, opened
from esinfer.stores.rows import Rows
from esinfer.stores.sqlite_tables import Tables

T = TypeVar("T")
_LOGGER = logging.getLogger(__name__)

_EMPTYING_PATIENCE = 1.0
EMPTYING_DELAY = 10.0
"""Seconds until the log that others still read is emptied once more."""


@asynccontextmanager
async def open_sqlite(path: Path, rows: Rows) -> AsyncIterator[SqliteStore]:
    """The store in that file, which is created if it is not there; raises StoreError."""
    path = sqlite_file.resolved(path)
    connect = partial(sqlite_file.connect, path, rows)
    show = partial(sqlite_file.connect_to_read, path)
    async with opened(connect, "esinfer-store") as changes, opened(show, "esinfer-reads") as reads:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as watcher:
            async with _emptying(changes, path, rows):
                yield SqliteStore(changes, reads, watcher, rows)


@asynccontextmanager
async def _emptying(changes: Lane, path: Path, rows: Rows) -> AsyncIterator[None]:
    """See to it, if secrets have been sealed anew, that the old ones do not stay behind."""
    if not rows.renewals or await _is_emptied(changes, _EMPTYING_PATIENCE):
        yield
        return
    _LOGGER.warning(
        "api keys that are encrypted by now are still in %s as they were before, as other"
        " processes read it: this is tried again until they let it go",
        path,
    )
    task = asyncio.create_task(_empty(changes, path), name="esinfer store log")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _empty(changes: Lane, path: Path) -> None:
    while not await _is_emptied(changes, 0.0):  # noqa: ASYNC110 -- others do not tell
        await asyncio.sleep(EMPTYING_DELAY)
    _LOGGER.info("the api keys that had not been encrypted are no longer in %s", path)


async def _is_emptied(changes: Lane, patience: float) -> bool:
    try:
        return await changes.run(partial(sqlite_file.empty_log, changes.connection), patience)
    except sqlite3.Error as error:  # what it is, the next change will tell as well
        _LOGGER.debug("the log stays: %s", error)
        return False


class SqliteStore:
    """An EndpointStore and RegionPolicyStore."""

    def __init__(self, changes: Lane, reads: Lane, watcher: sqlite3.Connection, rows: Rows) -> None:
        self._changes = changes
        self._reads = reads
        self._tables = Tables(changes.connection, rows)
        self._shown = Tables(reads.connection, rows)
        self._watcher = watcher
        self._version: int | None = None
        self._cache = EndpointCache()

    async def get(self, inference_id: str) -> InferenceEndpoint | None:
        version = self._data_version()
        if version is None or version != self._version:
            self._cache.clear()
            self._version = version
        endpoint = self._cache.get(inference_id)
        if endpoint is None:
            generation = self._cache.generation
            endpoint = await self._run(self._reads, partial(self._shown.get, inference_id))
            if endpoint is not None:
                self._cache.keep(endpoint, generation)
        return endpoint

    def _data_version(self) -> int | None:
        """A number that changes with every commit; None if it cannot be told without waiting."""
        try:
            version: int = self._watcher.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error:  # what is wrong, reading will tell
            return None
        return version

    async def list(self) -> Sequence[InferenceEndpoint]:
        return await self._run(self._reads, self._shown.list)

    async def create(self, endpoint: InferenceEndpoint) -> None:
        failure = EndpointNotStored(inference_id=endpoint.inference_id)
        await self._run(self._changes, partial(self._tables.create, endpoint), failure)

    async def replace(self, endpoint: InferenceEndpoint, *, stored: InferenceEndpoint) -> bool:
        failure = EndpointNotStored(inference_id=endpoint.inference_id)
        return await self._run(
            self._changes, partial(self._tables.replace, endpoint, stored), failure
        )

    async def delete(self, inference_id: str) -> bool:
        return await self._run(self._changes, partial(self._tables.delete, inference_id))

    async def get_region_policy(self) -> StoredRegionPolicy | None:
        return await self._run(self._reads, self._shown.get_policy)

    async def put_region_policy(
        self, policy: RegionPolicy, now: datetime, by: str | None = None
    ) -> StoredRegionPolicy:
        return await self._run(self._changes, partial(self._tables.put_policy, policy, now, by))

    async def delete_region_policy(self) -> bool:
        return await self._run(self._changes, self._tables.delete_policy)

    async def _run(
        self, lane: Lane, step: Callable[[], T], failure: ElasticsearchError | None = None
    ) -> T:
        """The result of ``step``; ``failure``, or StoreUnavailable, if SQLite fails in it."""
        try:
            return await lane.run(step, sqlite_file.BUSY_TIMEOUT)
        except sqlite3.Error as error:  # its texts name tables, never values
            _LOGGER.error("the store failed: %s", error)  # noqa: TRY400 -- the line says it all
            raise failure or StoreUnavailable from error


async def read_sqlite(path: Path, rows: Rows) -> Sequence[InferenceEndpoint]:
    """The endpoints in that file, as it is and stays; raises StoreError."""
    return await asyncio.to_thread(_read, sqlite_file.resolved(path), rows)


def _read(path: Path, rows: Rows) -> Sequence[InferenceEndpoint]:
    with sqlite_file.reading(path, rows) as connection:
        return Tables(connection, rows).list()
