"""The PostgreSQL store: the contract, and what a server over there adds to it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

import asyncpg
import pytest

from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import EndpointNotStored, StoreUnavailable
from esinfer.services.registry import ServiceRegistry
from esinfer.services.stored import EndpointCodec
from esinfer.stores import database, listening, migrations
from esinfer.stores.errors import StoreError
from esinfer.stores.opening import OpenStore, StoreSettings, open_store
from esinfer.stores.postgresql import PostgresqlStore
from esinfer.stores.rows import Record
from tests.stores import postgres
from tests.stores.contract import EUROPE, KEY, NOON, DurableContract, Opening, endpoint

PROGRAMS = postgres.programs()
needs_postgresql = pytest.mark.skipif(
    PROGRAMS is None and "ESINFER_NEEDS_POSTGRESQL" not in os.environ,
    reason=postgres.HOW_TO_GET_IT,
)


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    if PROGRAMS is None:
        pytest.fail(postgres.HOW_TO_GET_IT)
    with postgres.running(PROGRAMS) as running:
        yield running


def settings_of(url: str, key: str = "") -> StoreSettings:
    return StoreSettings(kind="postgresql", url=url, key=key)


def open_url(url: str, key: str = "") -> AbstractAsyncContextManager[OpenStore]:
    return open_store(settings_of(url, key), EndpointCodec(ServiceRegistry()), {})


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again what only the other side of a connection decides."""
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 -- there is nothing here to wait for
            await asyncio.sleep(0.01)


def adapter(store: OpenStore) -> PostgresqlStore:
    assert isinstance(store.endpoints, PostgresqlStore)
    return store.endpoints


async def listens(store: OpenStore) -> None:
    """Wait until a store hears of changes, and so answers from memory."""

    async def listening_now() -> bool:
        return adapter(store)._listener.listens

    await until(listening_now)


@needs_postgresql
class TestPostgresql(DurableContract):
    @pytest.fixture(autouse=True)
    async def _empty_database(self, server: postgres.Server) -> None:
        self.url = server.url()
        await self.tamper("DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    @pytest.fixture
    def opening(self) -> Opening:
        def open_it(key: str = "") -> AbstractAsyncContextManager[OpenStore]:
            return open_url(self.url, key)

        return open_it

    def settings(self, key: str = "") -> StoreSettings:
        return settings_of(self.url, key)

    async def raw(self) -> bytes:
        async with connected(self.url) as connection:
            rows = await connection.fetch("SELECT * FROM esinfer_endpoint")
            secrets = await connection.fetch("SELECT content FROM esinfer_secret")
        return repr(rows).encode() + b"".join(row[0] for row in secrets)

    async def tamper(self, statement: str) -> None:
        async with connected(self.url) as connection:
            await connection.execute(statement)

    async def test_a_change_looks_at_no_secret_of_the_others(self, opening: Opening) -> None:
        async with opening():
            numbers = "FROM generate_series(1, 5000) n"
            await self.tamper(f"INSERT INTO esinfer_endpoint SELECT n, '' {numbers}")
            await self.tamper(f"INSERT INTO esinfer_secret SELECT n, '', '' {numbers}")
        async with connected(self.url) as connection:
            plan = await connection.fetch(f"EXPLAIN {migrations.READ_KEY_IDS}")
        steps = "\n".join(row[0] for row in plan)
        assert "esinfer_secret_key_id" in steps
        assert "Seq Scan" not in steps

    async def cut_connections(self) -> None:
        """Break every connection to the database, as a restart of it does."""
        async with connected(self.url) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid != pg_backend_pid()"
            )

    async def test_replicas_hear_of_changes(self, pair: tuple[OpenStore, OpenStore]) -> None:
        one, other = pair
        await asyncio.gather(listens(one), listens(other))
        await one.endpoints.create(endpoint())
        assert await other.endpoints.get("id") is not None
        for dimensions in range(1, 10):
            stored = await one.endpoints.get("id")
            assert stored is not None
            changed = endpoint(dimensions=dimensions)
            await one.endpoints.replace(changed, stored=stored)
            assert await one.endpoints.get("id") == changed

            async def heard(changed: object = changed) -> bool:
                return await other.endpoints.get("id") == changed

            await until(heard)
        await one.endpoints.delete("id")

        async def gone() -> bool:
            return await other.endpoints.get("id") is None

        await until(gone)

    async def test_what_was_read_is_answered_from_memory(self, opening: Opening) -> None:
        async with opening() as store:
            await listens(store)

            async def remembered() -> bool:
                """The news of its own creation may come late, and have it forgotten again."""
                await store.endpoints.create(endpoint("other"))
                await store.endpoints.get("other")
                await self.tamper("DELETE FROM esinfer_endpoint")  # tells nobody
                return await store.endpoints.get("other") == endpoint("other")

            await until(remembered)

    async def test_while_nobody_listens_each_read_asks_the_database(
        self, opening: Opening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(listening, "RECONNECT_DELAY", 1000.0)
        async with opening() as store:
            await listens(store)
            await store.endpoints.create(endpoint())
            await self.cut_connections()

            async def deaf() -> bool:
                return not adapter(store)._listener.listens

            await until(deaf)
            assert await store.endpoints.get("id") == endpoint()
            await self.tamper("DELETE FROM esinfer_endpoint")
            assert await store.endpoints.get("id") is None
        assert "not listening for changes" in caplog.text

    async def test_it_listens_again_after_a_broken_connection(
        self, opening: Opening, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listening, "RECONNECT_DELAY", 0.0)
        async with opening() as store:
            await listens(store)
            first = adapter(store)._cache.generation
            await self.cut_connections()

            async def anew() -> bool:
                now = adapter(store)
                return now._listener.listens and now._cache.generation >= first + 2

            await until(anew)
            await store.endpoints.create(endpoint())
            assert await store.endpoints.get("id") == endpoint()

    async def test_a_silent_connection_is_asked_whether_it_lives(
        self, opening: Opening, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listening, "HEARTBEAT", 0.01)
        async with opening() as store:
            await listens(store)

            async def asked() -> bool:
                async with connected(self.url) as connection:
                    found = await connection.fetch(
                        "SELECT 1 FROM pg_stat_activity"
                        " WHERE datname = current_database() AND query = 'SELECT 1'"
                    )
                return bool(found)

            await until(asked)
            assert adapter(store)._listener.listens

    async def test_a_database_that_fails_is_told(
        self, opening: Opening, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            await self.tamper("ALTER TABLE esinfer_endpoint RENAME TO elsewhere")
            with pytest.raises(StoreUnavailable, match=r"is not available$"):
                await store.endpoints.list()
            with pytest.raises(EndpointNotStored, match=r"^Failed to store .* \[new\]$"):
                await store.endpoints.create(endpoint("new"))
            with pytest.raises(StoreUnavailable):
                await store.endpoints.delete("id")
        assert 'UndefinedTableError: relation "esinfer_endpoint" does not exist' in caplog.text

    async def test_an_id_that_postgresql_cannot_hold_is_not_there(
        self, opening: Opening, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with opening() as store:
            for name in ("a\0b", "a" * 3500):
                assert await store.endpoints.get(name) is None
                assert not await store.endpoints.delete(name)
        assert "the store failed" not in caplog.text

    async def test_a_statement_that_fails_breaks_no_connection(
        self, opening: Opening, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def expire(_: object) -> None:
            pytest.fail("nothing has broken")

        monkeypatch.setattr(asyncpg.Pool, "expire_connections", expire)
        async with opening() as store:
            await self.tamper("ALTER TABLE esinfer_endpoint RENAME TO elsewhere")
            with pytest.raises(StoreUnavailable):
                await store.endpoints.list()

    async def test_a_list_is_decoded_beside_the_event_loop(
        self, opening: Opening, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            loops, load = threading.get_ident(), EndpointCodec.load
            threads: list[int] = []

            def watched(codec: EndpointCodec, record: Record) -> InferenceEndpoint:
                threads.append(threading.get_ident())
                return load(codec, record)

            monkeypatch.setattr(EndpointCodec, "load", watched)
            assert await store.endpoints.list() == [endpoint()]
        assert len(threads) == 1
        assert loops not in threads

    async def test_a_database_that_falls_silent_keeps_nobody_waiting_longer_than_the_bound(
        self,
        opening: Opening,
        server: postgres.Server,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            monkeypatch.setattr(database, "PATIENCE", 0.3)
            endpoints, policy = store.endpoints, store.region_policy
            began = monotonic()
            with server.frozen():
                steps: list[Coroutine[Any, Any, Any]] = [
                    *(endpoints.get(f"none{number}") for number in range(20)),
                    endpoints.list(),
                    endpoints.delete("id"),
                    policy.get_region_policy(),
                    policy.put_region_policy(EUROPE, NOON),
                ]
                async with asyncio.timeout(10):
                    found = await asyncio.gather(*steps, return_exceptions=True)
            assert monotonic() - began < 3
            assert {type(each) for each in found} == {StoreUnavailable}
            assert "the store failed: TimeoutError: no answer within 0.3 s" in caplog.text

            async def answers() -> bool:
                try:
                    return await endpoints.get("id") == endpoint()
                except StoreUnavailable:
                    return False

            await until(answers)

    async def test_who_waits_no_longer_for_a_silent_database_is_let_go(
        self, opening: Opening, server: postgres.Server
    ) -> None:
        async with opening() as store:
            began = monotonic()
            with server.frozen(), pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await store.region_policy.get_region_policy()
            assert monotonic() - began < 3

    async def test_a_silent_database_does_not_keep_a_server_from_stopping(
        self,
        opening: Opening,
        server: postgres.Server,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(database, "FAREWELL", 0.1)
        async with AsyncExitStack() as stack:
            await listens(await stack.enter_async_context(opening()))
            with server.frozen():
                async with asyncio.timeout(10):
                    await stack.aclose()
        said = [each.getMessage() for each in caplog.records if "did not close" in each.msg]
        assert said == ["the database did not close the connections: TimeoutError"]


@needs_postgresql
async def test_a_database_that_is_not_there_is_one_line(server: postgres.Server) -> None:
    with pytest.raises(StoreError, match=r"cannot use the database: .*\"nowhere\" does not exist"):
        async with open_url(server.url("nowhere")):
            pass


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://u:s3cret@127.0.0.1:1/d", "cannot use the database: .*[Cc]onnect"),
        ("postgresql://u:s3cret/x@127.0.0.1:1/d", "address cannot be read"),
        ("mysql://u:s3cret@h/d", "must be the database's address"),
        ("", "must be the database's address"),
    ],
)
async def test_an_address_that_leads_nowhere_is_one_line_without_the_password(
    url: str, problem: str
) -> None:
    with pytest.raises(StoreError, match=f"^store.url[: ].*{problem}") as caught:
        async with open_url(url):
            pass
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("esinfer.stores.postgresql")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(StoreError, match=r"pip install 'esinfer\[postgresql\]'"):
        async with open_url("postgresql://h/d", KEY):
            pass
