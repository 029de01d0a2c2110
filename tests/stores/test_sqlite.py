"""The SQLite store: the contract, and what a file adds to it."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, closing
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from esinfer.errors import (
    EndpointNotStored,
    EndpointSealed,
    EndpointUnreadable,
    RegionPolicyUnreadable,
    StoreUnavailable,
)
from esinfer.region_policy import StoredRegionPolicy
from esinfer.services.registry import ServiceRegistry
from esinfer.services.stored import EndpointCodec
from esinfer.stores import sqlite, sqlite_file
from esinfer.stores.errors import StoreError
from esinfer.stores.opening import OpenStore, StoreSettings, open_store
from esinfer.stores.rows import Rows
from esinfer.stores.sealing import Keys
from esinfer.stores.sqlite import SqliteStore
from esinfer.stores.sqlite_tables import Tables
from tests.stores.contract import API_KEY, EUROPE, KEY, NOON, DurableContract, Opening, endpoint

VERSION_1 = Path(__file__).parent / "version_1.sql"
VERSION_2 = Path(__file__).parent / "version_2.sql"

CHANGE = """
import asyncio, sys
from tests.stores.contract import endpoint
from tests.stores.test_sqlite import open_file

async def main():
    async with open_file(sys.argv[1]) as store:
        for line in sys.stdin:
            await store.endpoints.replace(
                endpoint(dimensions=int(line)), stored=endpoint(dimensions=int(line) - 1)
            )
            print("stored", flush=True)

asyncio.run(main())
"""


def settings_of(path: Path | str, key: str = "") -> StoreSettings:
    return StoreSettings(kind="sqlite", path=str(path), key=key)


def open_file(path: Path | str, key: str = "") -> AbstractAsyncContextManager[OpenStore]:
    return open_store(settings_of(path, key), EndpointCodec(ServiceRegistry()), {})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def instructions(connection: sqlite3.Connection, step: Callable[[], object]) -> int:
    """How many of SQLite's virtual machine a step takes."""
    seen = count()
    connection.set_progress_handler(lambda: next(seen) < 0, 1)
    step()
    connection.set_progress_handler(None, 1)
    return next(seen)


class TestSqlite(DurableContract):
    @pytest.fixture(autouse=True)
    def _path(self, tmp_path: Path) -> None:
        self.path = tmp_path / "made" / "for it" / "endpoints.db"

    @pytest.fixture
    def opening(self) -> Opening:
        def open_it(key: str = "") -> AbstractAsyncContextManager[OpenStore]:
            return open_file(self.path, key)

        return open_it

    def settings(self, key: str = "") -> StoreSettings:
        return settings_of(self.path, key)

    async def raw(self) -> bytes:
        return b"".join(each.read_bytes() for each in self.path.parent.iterdir())

    async def tamper(self, statement: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement)

    async def test_files_are_the_owners_alone(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            modes = {each.name: mode(each) for each in self.path.parent.iterdir()}
        names = ("endpoints.db", "endpoints.db-shm", "endpoints.db-wal")
        assert modes == dict.fromkeys(names, 0o600)
        assert [mode(each) for each in self.path.parents[:2]] == [0o700, 0o700]

    async def test_a_file_that_others_can_read_is_closed_to_them(self, opening: Opening) -> None:
        async with opening():
            pass
        self.path.chmod(0o644)
        async with opening():
            assert mode(self.path) == 0o600

    async def test_a_file_that_is_refused_keeps_its_mode(self, opening: Opening) -> None:
        async with opening():
            pass
        await self.tamper("INSERT INTO esinfer_migration VALUES (99)")
        self.path.chmod(0o644)
        with pytest.raises(StoreError, match="newer esinfer"):
            async with opening():
                pass
        assert mode(self.path) == 0o644

    async def test_a_file_that_cannot_be_closed_to_others_is_refused(
        self, opening: Opening, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
        self.path.chmod(0o660)

        def not_mine(path: Path, _: int) -> None:
            raise PermissionError(1, "Operation not permitted", str(path))

        monkeypatch.setattr(Path, "chmod", not_mine)
        problem = r"^store.path: cannot keep others from reading .*endpoints.db: Operation not perm"
        with pytest.raises(StoreError, match=problem):
            async with opening(KEY):
                pass
        assert API_KEY.encode() in await self.raw()

    async def test_behind_a_link_the_files_are_the_owners_alone_too(self, tmp_path: Path) -> None:
        link = tmp_path / "link.db"
        link.symlink_to(self.path)
        async with open_file(link) as store:
            await store.endpoints.create(endpoint())
            for each in self.path.parent.iterdir():
                each.chmod(0o644)
            async with open_file(link) as other:
                assert await other.endpoints.list() == [endpoint()]
                modes = {each.name: mode(each) for each in self.path.parent.iterdir()}
        names = ("endpoints.db", "endpoints.db-shm", "endpoints.db-wal")
        assert modes == dict.fromkeys(names, 0o600)
        assert {each.name for each in self.path.parents[2].iterdir()} == {"link.db", "made"}

    async def test_a_link_that_leads_to_itself_is_told(self, tmp_path: Path) -> None:
        link = tmp_path / "link.db"
        link.symlink_to(link)
        with pytest.raises(StoreError, match=r"^store.path: cannot use .*: it leads nowhere$"):
            async with open_file(link):
                pass

    async def test_old_secrets_that_others_still_read_are_told_and_go_when_they_let_go(
        self, opening: Opening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(sqlite, "_EMPTYING_PATIENCE", 0.0)
        monkeypatch.setattr(sqlite, "EMPTYING_DELAY", 0.0)
        caplog.set_level("INFO")
        async with opening() as store:
            await store.endpoints.create(endpoint())
        with closing(sqlite3.connect(self.path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM esinfer_secret").fetchall()
            async with opening(KEY) as store:
                assert "api keys that are encrypted by now are still in" in caplog.text
                assert "that had not been encrypted" not in caplog.text
                assert await store.endpoints.get("id") == endpoint()
                assert API_KEY.encode() in await self.raw()
                reader.execute("COMMIT")
                async with asyncio.timeout(20):
                    while API_KEY.encode() in await self.raw():  # noqa: ASYNC110 -- a file
                        await asyncio.sleep(0.01)
                    while "that had not been encrypted" not in caplog.text:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)

    async def test_a_server_stops_while_others_still_read_old_secrets(
        self, opening: Opening, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite, "_EMPTYING_PATIENCE", 0.0)
        async with opening() as store:
            await store.endpoints.create(endpoint())
        with closing(sqlite3.connect(self.path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM esinfer_secret").fetchall()
            async with asyncio.timeout(10), opening(KEY) as store:
                assert await store.endpoints.get("id") == endpoint()

    async def test_what_was_put_there_by_hand_may_be_text(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            await self.tamper("UPDATE esinfer_secret SET content = CAST(content AS TEXT)")
            assert await store.endpoints.get("id") == endpoint()
        async with opening(KEY) as store:
            assert await store.endpoints.get("id") == endpoint()

    async def test_a_key_id_that_is_no_utf_8_is_that_of_another_key(self, opening: Opening) -> None:
        async with opening(KEY) as store:
            await store.endpoints.create(endpoint())
            await self.tamper("UPDATE esinfer_secret SET key_id = CAST(x'ff' AS TEXT)")
            with pytest.raises(EndpointSealed):
                await store.endpoints.get("id")
        with pytest.raises(StoreError, match="are encrypted with another key"):
            async with opening(KEY):
                pass
        with pytest.raises(StoreError, match="are encrypted with another key"):
            await self.read(KEY)

    async def test_a_configuration_that_is_no_utf_8_is_exported_by_nobody(
        self, opening: Opening
    ) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            damaged = "replace(configuration, 'http', CAST(x'e8747470' AS TEXT))"
            await self.tamper(f"UPDATE esinfer_endpoint SET configuration = {damaged}")  # noqa: S608 -- ours
            with pytest.raises(EndpointUnreadable):
                await self.read()

    @pytest.mark.parametrize(
        "damage",
        [
            """policy = CAST('{"allowed_geos": ["' || x'e5' || '"]}' AS TEXT)""",
            "created_at = CAST(x'ff' AS TEXT)",
            "updated_at = CAST(x'ff' AS TEXT)",
            "created_by = CAST(x'ff' AS TEXT)",
            "updated_by = CAST(x'ff' AS TEXT)",
        ],
    )
    async def test_a_policy_that_is_no_utf_8_is_told_and_can_be_replaced(
        self, opening: Opening, damage: str
    ) -> None:
        async with opening() as store:
            policies = store.region_policy
            await policies.put_region_policy(EUROPE, NOON)
            await self.tamper(f"UPDATE esinfer_region_policy SET {damage}")  # noqa: S608 -- ours
            with pytest.raises(RegionPolicyUnreadable):
                await policies.get_region_policy()
            stored = await policies.put_region_policy(EUROPE, NOON)
            assert await policies.get_region_policy() == stored

    async def test_a_change_by_another_process_is_seen_at_once(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint(dimensions=1))
            command = (sys.executable, "-W", "error", "-c", CHANGE, str(self.path))
            with subprocess.Popen(  # noqa: S603, ASYNC220 -- our own interpreter; it is waited for
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ) as child:
                assert child.stdin is not None
                assert child.stdout is not None
                for dimensions in range(2, 40):
                    assert await store.endpoints.get("id") == endpoint(dimensions=dimensions - 1)
                    child.stdin.write(f"{dimensions}\n")
                    child.stdin.flush()
                    assert child.stdout.readline() == "stored\n"
                    assert await store.endpoints.get("id") == endpoint(dimensions=dimensions)
                child.stdin.close()

    async def test_a_change_and_a_delete_are_seen_by_who_has_read_before(
        self, pair: tuple[OpenStore, OpenStore]
    ) -> None:
        one, other = pair
        await one.endpoints.create(endpoint())
        assert await other.endpoints.get("id") == endpoint()
        await one.endpoints.replace(endpoint(dimensions=3), stored=endpoint())
        assert await other.endpoints.get("id") == endpoint(dimensions=3)
        await other.endpoints.delete("id")
        assert await one.endpoints.get("id") is None

    async def test_a_read_that_a_change_overtakes_is_not_remembered(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint(dimensions=0))
            for dimensions in range(1, 50):
                old, new = endpoint(dimensions=dimensions - 1), endpoint(dimensions=dimensions)
                reads = [store.endpoints.get("id") for _ in range(3)]
                await asyncio.gather(*reads, store.endpoints.replace(new, stored=old))
                assert await store.endpoints.get("id") == new

    async def test_what_was_read_is_answered_from_memory(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            assert await store.endpoints.get("id") is await store.endpoints.get("id")
            await store.endpoints.create(endpoint("other"))
            assert await store.endpoints.get("id") is await store.endpoints.get("id")

    async def test_readers_do_not_keep_the_log_from_being_emptied(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            await store.endpoints.get("id")
            await store.endpoints.get("id")
            with closing(sqlite3.connect(self.path)) as other:
                emptied = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert emptied == (0, 0, 0)

    async def test_a_key_rubs_out_what_was_stored_without_one(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            async with opening(KEY):
                assert API_KEY.encode() not in await self.raw()

    async def test_changes_are_synced_to_the_disk(self) -> None:
        rows = Rows(EndpointCodec(ServiceRegistry()), Keys())
        with closing(sqlite_file.connect(self.path, rows)) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    async def test_a_store_that_is_locked_says_so(
        self,
        opening: Opening,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.0)
        async with opening() as store:
            await store.endpoints.create(endpoint("there"))
            with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(EndpointNotStored, match=r"^Failed to store .* \[id\]$"):
                    await store.endpoints.create(endpoint())
                with pytest.raises(EndpointNotStored):
                    await store.endpoints.replace(endpoint("there"), stored=endpoint("there"))
                with pytest.raises(StoreUnavailable):
                    await store.endpoints.delete("there")
                with pytest.raises(StoreUnavailable):
                    await store.region_policy.put_region_policy(EUROPE, NOON)
                assert await store.endpoints.get("there") == endpoint("there")
                with pytest.raises(StoreError, match="database is locked"):
                    async with opening():
                        pass
            await store.endpoints.create(endpoint())
        assert "the store failed: database is locked" in caplog.text

    def test_a_change_takes_no_longer_with_many_endpoints(self, tmp_path: Path) -> None:
        rows = Rows(EndpointCodec(ServiceRegistry()), Keys())
        with closing(sqlite_file.connect(tmp_path / "endpoints.db", rows)) as connection:
            tables = Tables(connection, rows)

            def of_changes(name: str) -> int:
                create = partial(tables.create, endpoint(name))
                replace = partial(tables.replace, endpoint(name, dimensions=3), endpoint(name))
                return instructions(connection, create) + instructions(connection, replace)

            tables.create(endpoint())
            before = of_changes("early")
            for number in range(200):
                tables.create(endpoint(str(number)))
            assert of_changes("late") < before + 10

    def test_of_processes_that_make_the_file_together_each_can_use_it(self, tmp_path: Path) -> None:
        rows = Rows(EndpointCodec(ServiceRegistry()), Keys())

        def connect(path: Path) -> None:
            sqlite_file.connect(path, rows).close()

        with ThreadPoolExecutor(6) as pool:  # SQLite waits outside of Python's lock
            for number in range(20):
                list(pool.map(connect, [tmp_path / f"{number}.db"] * 6))

    def test_the_switch_to_a_log_waits_for_who_reads(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with (
            closing(sqlite3.connect(tmp_path / "x", timeout=0, isolation_level=None)) as ours,
            closing(sqlite3.connect(tmp_path / "x", isolation_level=None)) as reader,
        ):
            ours.execute("CREATE TABLE t (x)")
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM t").fetchall()
            monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.0)
            with pytest.raises(sqlite3.OperationalError, match="database is locked"):
                sqlite_file._switch_to_wal(ours)
            monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 1000.0)
            monkeypatch.setattr("time.sleep", lambda _: reader.execute("COMMIT"))
            assert sqlite_file._switch_to_wal(ours) == "wal"

    async def test_a_file_system_without_shared_memory_is_told(
        self, opening: Opening, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite_file, "_switch_to_wal", lambda _: "delete")
        with pytest.raises(StoreError, match=r"does not support SQLite's WAL$"):
            async with opening():
                pass

    async def test_what_cannot_be_validated_is_read_again(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            assert isinstance(store.endpoints, SqliteStore)
            store.endpoints._watcher.close()
            assert await store.endpoints.get("id") == endpoint()
            await self.tamper("DELETE FROM esinfer_endpoint")
            assert await store.endpoints.get("id") is None

    async def test_version_1_is_migrated(self, opening: Opening) -> None:
        self.path.parent.mkdir(parents=True)
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(VERSION_1.read_text(encoding="utf-8"))
            assert connection.execute("SELECT max(number) FROM esinfer_migration").fetchone() == (
                1,
            )
        async with opening() as store:
            assert await store.endpoints.list() == [endpoint("first"), endpoint("second")]
            stored = await store.region_policy.put_region_policy(EUROPE, NOON)
        async with opening() as store:
            assert await store.region_policy.get_region_policy() == stored
        with closing(sqlite3.connect(self.path)) as connection:
            numbers = connection.execute("SELECT number FROM esinfer_migration").fetchall()
        assert numbers == [(1,), (2,), (3,), (4,)]

    async def test_a_policy_of_version_2_was_put_by_nobody(self, opening: Opening) -> None:
        self.path.parent.mkdir(parents=True)
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(VERSION_1.read_text(encoding="utf-8"))
            connection.executescript(VERSION_2.read_text(encoding="utf-8"))
        async with opening() as store:
            stored = await store.region_policy.get_region_policy()
        assert stored == StoredRegionPolicy(region_policy=EUROPE, created_at=NOON)

    async def test_another_programs_database_is_left_alone(self, opening: Opening) -> None:
        self.path.parent.mkdir(parents=True)
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("CREATE TABLE theirs (x)")
        self.path.chmod(0o644)
        before = self.path.read_bytes()
        with pytest.raises(StoreError, match="is the SQLite file of another program"):
            async with opening():
                pass
        assert self.path.read_bytes() == before
        assert mode(self.path) == 0o644

    async def test_what_is_no_database_is_left_alone(self, opening: Opening) -> None:
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(b"diary" * 1000)
        with pytest.raises(StoreError, match="file is not a database"):
            async with opening():
                pass
        assert self.path.read_bytes() == b"diary" * 1000

    async def test_a_path_that_cannot_be_is_told(self, opening: Opening) -> None:
        self.path.parent.parent.mkdir()
        self.path.parent.write_text("a file")
        with pytest.raises(
            StoreError, match=r"^store.path: cannot create .*/made/for it: File exists$"
        ):
            async with opening():
                pass
