"""Endpoints in a PostgreSQL database, which replicas on several machines share.

Each change tells its inference id over NOTIFY in its own transaction; every
replica listens, and answers reads from memory until it hears of a change. That
there is no such endpoint is never remembered, so a new one is everywhere at
once; a changed or deleted one as soon as PostgreSQL has told it. While nobody
listens, as after a broken connection, each read asks the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

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
from esinfer.stores import migrations, policies
from esinfer.stores.cache import EndpointCache
from esinfer.stores.database import Database, connected, refused
from esinfer.stores.listening import CHANNEL, Listener
from esinfer.stores.rows import Row, Rows
from esinfer.stores.sealing import Sealed
from esinfer.threads import run_beside

if TYPE_CHECKING:
    from asyncpg import Record
    from asyncpg.pool import PoolConnectionProxy

_LOCK = "SELECT pg_advisory_xact_lock(4994354013249)"  # any number, but always the same
_SHARED_LOCK = "SELECT pg_advisory_xact_lock_shared(4994354013249)"
# Whose secret is gone is there, and unreadable.
_SELECT = """SELECT inference_id, configuration, coalesce(key_id, '') AS key_id,
        coalesce(content, '') AS content
    FROM esinfer_endpoint LEFT JOIN esinfer_secret USING (inference_id)"""
_SELECT_POLICY = (
    "SELECT policy, created_at, updated_at, created_by, updated_by FROM esinfer_region_policy"
)
_SELECT_ALL = f'{_SELECT} ORDER BY inference_id COLLATE "C"'
_DATABASE = "store.url: the database"
_NOTIFY = f"SELECT pg_notify('{CHANNEL}', $1)"


@asynccontextmanager
async def open_postgresql(url: str, rows: Rows) -> AsyncIterator[PostgresqlStore]:
    """The store in that database, whose tables are made if they are not there.

    Raises StoreError, and changes nothing, if it cannot be used as it is.
    """
    cache = EndpointCache()
    async with connected(url) as pool:
        with refused():
            async with pool.acquire() as connection, connection.transaction():
                await _prepare(connection, rows)
        async with Listener(url, cache).running() as listener:
            yield PostgresqlStore(Database(pool), rows, cache, listener)


async def read_postgresql(url: str, rows: Rows) -> Sequence[InferenceEndpoint]:
    """The endpoints in that database, as it is and stays; raises StoreError."""
    async with connected(url) as pool:
        with refused():
            async with (
                pool.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                migrations.check(await connection.fetchval(migrations.READ_VERSION), _DATABASE)
                await _check_keys(connection, rows)
                found = await connection.fetch(_SELECT_ALL)
    return await run_beside(partial(_endpoints, rows, found))


async def _prepare(connection: PoolConnectionProxy[Record], rows: Rows) -> None:
    await connection.execute(_LOCK)  # replicas that start together take turns
    await connection.execute(migrations.CREATE_TABLE)
    version: int = await connection.fetchval(migrations.READ_VERSION)
    for statement in migrations.statements(version, _DATABASE, type_of_bytes="BYTEA"):
        await connection.execute(statement)
    await _check_keys(connection, rows)
    old = await connection.fetch(
        "SELECT inference_id, key_id, content FROM esinfer_secret WHERE key_id != $1 FOR UPDATE",
        rows.keys.current,
    )
    for inference_id, key_id, content in old:
        sealed = rows.renewed(inference_id, Sealed(key_id=key_id, content=content))
        await connection.execute(
            "UPDATE esinfer_secret SET key_id = $1, content = $2 WHERE inference_id = $3",
            *(sealed.key_id, sealed.content, inference_id),
        )


async def _check_keys(connection: PoolConnectionProxy[Record], rows: Rows) -> None:
    rows.keys.check(await _key_ids(connection))


async def _key_ids(connection: PoolConnectionProxy[Record]) -> list[str]:
    return [row["key_id"] for row in await connection.fetch(migrations.READ_KEY_IDS)]


def _endpoints(rows: Rows, found: Sequence[Record]) -> list[InferenceEndpoint]:
    return [_endpoint(rows, row) for row in found]


def _endpoint(rows: Rows, row: Record) -> InferenceEndpoint:
    sealed = Sealed(key_id=row["key_id"], content=row["content"])
    return rows.to_endpoint(
        Row(inference_id=row["inference_id"], configuration=row["configuration"], sealed=sealed)
    )


def _is_possible(inference_id: str) -> bool:
    """Whether PostgreSQL can hold such a text, and be asked for it."""
    return "\0" not in inference_id


class PostgresqlStore:
    """An EndpointStore and RegionPolicyStore."""

    def __init__(
        self, database: Database, rows: Rows, cache: EndpointCache, listener: Listener
    ) -> None:
        self._database = database
        self._rows = rows
        self._cache = cache
        self._listener = listener

    async def get(self, inference_id: str) -> InferenceEndpoint | None:
        endpoint = self._cache.get(inference_id)
        if endpoint is not None:
            return endpoint
        if not _is_possible(inference_id):
            return None
        generation = self._cache.generation
        rows = await self._database.fetch(f"{_SELECT} WHERE inference_id = $1", inference_id)
        if not rows:
            return None
        endpoint = _endpoint(self._rows, rows[0])
        if self._listener.listens:
            self._cache.keep(endpoint, generation)
        return endpoint

    async def list(self) -> Sequence[InferenceEndpoint]:
        found = await self._database.fetch(_SELECT_ALL)
        return await run_beside(partial(_endpoints, self._rows, found))

    async def create(self, endpoint: InferenceEndpoint) -> None:
        row = self._rows.to_row(endpoint)
        async with self._changing(endpoint.inference_id) as connection:
            await self._refuse_unknown_seals(connection)
            created = await connection.fetchval(
                "INSERT INTO esinfer_endpoint VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1",
                *(row.inference_id, row.configuration),
            )
            if created is None:
                raise EndpointAlreadyExists(inference_id=endpoint.inference_id)
            await connection.execute(
                "INSERT INTO esinfer_secret VALUES ($1, $2, $3)",
                *(row.inference_id, row.sealed.key_id, row.sealed.content),
            )

    async def replace(self, endpoint: InferenceEndpoint, *, stored: InferenceEndpoint) -> bool:
        row = self._rows.to_row(endpoint)
        async with self._changing(endpoint.inference_id) as connection:
            await self._refuse_unknown_seals(connection)
            current = await connection.fetchrow(
                f"{_SELECT} WHERE inference_id = $1 FOR UPDATE OF esinfer_endpoint",
                row.inference_id,
            )
            if current is None:
                return False
            if _endpoint(self._rows, current) != stored:
                raise UpdateInProgress(inference_id=endpoint.inference_id)
            await connection.execute(
                "UPDATE esinfer_endpoint SET configuration = $1 WHERE inference_id = $2",
                *(row.configuration, row.inference_id),
            )
            await connection.execute(
                "UPDATE esinfer_secret SET key_id = $1, content = $2 WHERE inference_id = $3",
                *(row.sealed.key_id, row.sealed.content, row.inference_id),
            )
        return True

    async def _refuse_unknown_seals(self, connection: PoolConnectionProxy[Record]) -> None:
        """StoreSealed if another server has sealed something with a key that is not here."""
        await connection.execute(_SHARED_LOCK)  # one that starts may be about to
        if not self._rows.keys.open_all(await _key_ids(connection)):
            raise StoreSealed

    async def delete(self, inference_id: str) -> bool:
        if not _is_possible(inference_id):
            return False
        async with self._changing(inference_id, StoreUnavailable()) as connection:
            deleted = await connection.fetchval(
                "DELETE FROM esinfer_endpoint WHERE inference_id = $1 RETURNING 1", inference_id
            )
        return deleted is not None

    async def get_region_policy(self) -> StoredRegionPolicy | None:
        rows = await self._database.fetch(_SELECT_POLICY)
        return policies.from_row(_policy_row(rows[0])) if rows else None

    async def put_region_policy(
        self, policy: RegionPolicy, now: datetime, by: str | None = None
    ) -> StoredRegionPolicy:
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(_LOCK)  # there is no row to lock before the first PUT
            row = await connection.fetchrow(_SELECT_POLICY)
            stored = policies.after(_policy_row(row) if row else None, policy, now, by)
            await connection.execute(
                "INSERT INTO esinfer_region_policy VALUES (1, $1, $2, $3, $4, $5)"
                " ON CONFLICT (only_row) DO UPDATE SET policy = $1, created_at = $2,"
                " updated_at = $3, created_by = $4, updated_by = $5",
                *policies.to_row(stored),
            )
        return stored

    async def delete_region_policy(self) -> bool:
        async with self._database.connection() as connection:
            deleted = await connection.fetchval("DELETE FROM esinfer_region_policy RETURNING 1")
        return deleted is not None

    @asynccontextmanager
    async def _changing(
        self, inference_id: str, failure: ElasticsearchError | None = None
    ) -> AsyncIterator[PoolConnectionProxy[Record]]:
        """A transaction that changes one endpoint: all of it, and every replica is told."""
        failure = failure or EndpointNotStored(inference_id=inference_id)
        try:
            async with self._database.connection(failure) as connection, connection.transaction():
                yield connection
                await connection.execute(_NOTIFY, inference_id)
        finally:  # whatever has become of it
            self._cache.forget(inference_id)


def _policy_row(row: Record) -> policies.PolicyRow:
    put = row["policy"], row["created_at"], row["updated_at"]
    return (*put, row["created_by"], row["updated_by"])
