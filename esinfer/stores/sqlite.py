"""Endpoints in one SQLite file, which several processes may share.

All statements run in a thread of the store's own, one transaction a change;
an answered change has been synced to the disk. Reads come from a cache that a
second connection validates: ``PRAGMA data_version`` tells in some 3 µs, without
touching the disk, whether any connection of any process has committed since.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import (
    ElasticsearchError,
    EndpointAlreadyExists,
    EndpointNotStored,
    StoreSealed,
    StoreUnavailable,
    UpdateInProgress,
)
from esinfer.region_policy import RegionPolicy, StoredRegionPolicy
from esinfer.stores import policies
from esinfer.stores.cache import EndpointCache
from esinfer.stores.rows import Row, Rows
from esinfer.stores.sealing import Sealed
from esinfer.stores.sqlite_file import connect, transaction

T = TypeVar("T")
_LOGGER = logging.getLogger(__name__)

# Whose secret is gone is there, and unreadable; what was put there by hand may be text.
_SELECT = """SELECT inference_id, configuration, coalesce(key_id, ''),
        CAST(coalesce(content, '') AS BLOB)
    FROM esinfer_endpoint LEFT JOIN esinfer_secret USING (inference_id)"""
_SELECT_POLICY = (
    "SELECT policy, created_at, updated_at, created_by, updated_by FROM esinfer_region_policy"
)


@asynccontextmanager
async def open_sqlite(path: Path, rows: Rows) -> AsyncIterator[SqliteStore]:
    """The store in that file, which is created if it is not there; raises StoreError."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "esinfer-store") as thread:
        connection = await loop.run_in_executor(thread, connect, path, rows)
        try:
            with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as watcher:
                yield SqliteStore(thread, connection, watcher, rows)
        finally:
            await loop.run_in_executor(thread, connection.close)


class SqliteStore:
    """An EndpointStore and RegionPolicyStore; ``connection`` is for ``thread`` alone."""

    def __init__(
        self,
        thread: ThreadPoolExecutor,
        connection: sqlite3.Connection,
        watcher: sqlite3.Connection,
        rows: Rows,
    ) -> None:
        self._thread = thread
        self._tables = _Tables(connection, rows)
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
            endpoint = await self._run(partial(self._tables.get, inference_id))
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
        return await self._run(self._tables.list)

    async def create(self, endpoint: InferenceEndpoint) -> None:
        failure = EndpointNotStored(inference_id=endpoint.inference_id)
        await self._run(partial(self._tables.create, endpoint), failure)

    async def replace(self, endpoint: InferenceEndpoint, *, stored: InferenceEndpoint) -> bool:
        failure = EndpointNotStored(inference_id=endpoint.inference_id)
        return await self._run(partial(self._tables.replace, endpoint, stored), failure)

    async def delete(self, inference_id: str) -> bool:
        return await self._run(partial(self._tables.delete, inference_id))

    async def get_region_policy(self) -> StoredRegionPolicy | None:
        return await self._run(self._tables.get_policy)

    async def put_region_policy(
        self, policy: RegionPolicy, now: datetime, by: str | None = None
    ) -> StoredRegionPolicy:
        return await self._run(partial(self._tables.put_policy, policy, now, by))

    async def delete_region_policy(self) -> bool:
        return await self._run(self._tables.delete_policy)

    async def _run(self, step: Callable[[], T], failure: ElasticsearchError | None = None) -> T:
        """The result of ``step``; ``failure``, or StoreUnavailable, if SQLite fails in it."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, step)
        except sqlite3.Error as error:  # its texts name tables, never values
            _LOGGER.error("the store failed: %s", error)  # noqa: TRY400 -- the line says it all
            raise failure or StoreUnavailable from error


class _Tables:
    """The statements. For one thread."""

    def __init__(self, connection: sqlite3.Connection, rows: Rows) -> None:
        self._connection = connection
        self._rows = rows

    def _endpoint(
        self, inference_id: str, configuration: str, key_id: str, content: bytes
    ) -> InferenceEndpoint:
        sealed = Sealed(key_id=key_id, content=content)
        return self._rows.to_endpoint(
            Row(inference_id=inference_id, configuration=configuration, sealed=sealed)
        )

    def get(self, inference_id: str) -> InferenceEndpoint | None:
        found = self._connection.execute(f"{_SELECT} WHERE inference_id = ?", (inference_id,))
        row = found.fetchone()
        return None if row is None else self._endpoint(*row)

    def list(self) -> list[InferenceEndpoint]:
        rows = self._connection.execute(f"{_SELECT} ORDER BY inference_id")
        return [self._endpoint(*row) for row in rows]

    def create(self, endpoint: InferenceEndpoint) -> None:
        row = self._rows.to_row(endpoint)
        with transaction(self._connection):
            self._refuse_unknown_seals()
            created = self._connection.execute(
                "INSERT INTO esinfer_endpoint VALUES (?, ?) ON CONFLICT DO NOTHING",
                (row.inference_id, row.configuration),
            )
            if not created.rowcount:
                raise EndpointAlreadyExists(inference_id=endpoint.inference_id)
            self._connection.execute(
                "INSERT INTO esinfer_secret VALUES (?, ?, ?)",
                (row.inference_id, row.sealed.key_id, row.sealed.content),
            )

    def replace(self, endpoint: InferenceEndpoint, stored: InferenceEndpoint) -> bool:
        row = self._rows.to_row(endpoint)
        with transaction(self._connection):
            self._refuse_unknown_seals()
            current = self.get(endpoint.inference_id)
            if current is None:
                return False
            if current != stored:
                raise UpdateInProgress(inference_id=endpoint.inference_id)
            self._connection.execute(
                "UPDATE esinfer_endpoint SET configuration = ? WHERE inference_id = ?",
                (row.configuration, row.inference_id),
            )
            self._connection.execute(
                "UPDATE esinfer_secret SET key_id = ?, content = ? WHERE inference_id = ?",
                (row.sealed.key_id, row.sealed.content, row.inference_id),
            )
        return True

    def _refuse_unknown_seals(self) -> None:
        """StoreSealed if another server has sealed something with a key that is not here."""
        known = self._rows.keys.known
        marks = ", ".join("?" * len(known))
        found = self._connection.execute(
            f"SELECT 1 FROM esinfer_secret WHERE key_id NOT IN ({marks}) LIMIT 1",  # noqa: S608 -- marks
            known,
        )
        if found.fetchone():
            raise StoreSealed

    def delete(self, inference_id: str) -> bool:
        with transaction(self._connection):  # the secret goes with it
            deleted = self._connection.execute(
                "DELETE FROM esinfer_endpoint WHERE inference_id = ?", (inference_id,)
            )
        return deleted.rowcount > 0

    def get_policy(self) -> StoredRegionPolicy | None:
        row = self._policy_row()
        return None if row is None else policies.from_row(row)

    def _policy_row(self) -> policies.PolicyRow | None:
        row: policies.PolicyRow | None = self._connection.execute(_SELECT_POLICY).fetchone()
        return row

    def put_policy(self, policy: RegionPolicy, now: datetime, by: str | None) -> StoredRegionPolicy:
        with transaction(self._connection):
            stored = policies.after(self._policy_row(), policy, now, by)
            self._connection.execute(
                "REPLACE INTO esinfer_region_policy VALUES (1, ?, ?, ?, ?, ?)",
                policies.to_row(stored),
            )
        return stored

    def delete_policy(self) -> bool:
        with transaction(self._connection):
            deleted = self._connection.execute("DELETE FROM esinfer_region_policy")
        return deleted.rowcount > 0
