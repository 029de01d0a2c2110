"""The SQLite file: who may read it, how it is opened, its schema, its keys.

All functions that are given a connection are for the one thread that has it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from esinfer.stores import migrations, texts
from esinfer.stores.errors import StoreError
from esinfer.stores.rows import Rows
from esinfer.stores.sealing import Sealed

APPLICATION_ID: Final = 0x45_53_49_4E  # "ESIN", so that no other program's file is taken for ours
BUSY_TIMEOUT: Final = 10.0
"""Seconds from its arrival on that a change waits for those before it, other processes' too."""
_RETRY_DELAY = 0.01
_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700


def resolved(path: Path) -> Path:
    """The file itself, whose name SQLite gives to those beside it, where ``path`` is a link."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # the latter for links in a circle
        raise StoreError(f"store.path: cannot use {path}: it leads nowhere") from error


def connect(path: Path, rows: Rows) -> sqlite3.Connection:
    """Open the file, create or migrate it, and seal its secrets with the first key.

    StoreError, and nothing is changed, if it cannot be used as it is.
    """
    _create(path)
    try:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
        connection.text_factory = texts.read
        try:
            _prepare(connection, path, rows)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StoreError(f"store.path: cannot use {path}: {error}") from error
    return connection


def _create(path: Path) -> None:
    """An empty file that is the owner's alone, in directories that are; what is there stays."""
    try:
        for directory in reversed(path.parents):
            directory.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
        with suppress(FileExistsError):  # not opened: to close it would drop SQLite's locks
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, _PRIVATE_FILE))
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
        raise StoreError(f"store.path: cannot create {path}: {problem}") from error


def _prepare(connection: sqlite3.Connection, path: Path, rows: Rows) -> None:
    _refuse_foreign(connection, path)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # an old secret is no longer in the file
    with transaction(connection):
        _migrate(connection, path)
        _renew_seals(connection, rows)
        _close_to_others(path)
    if _switch_to_wal(connection) != "wal":
        raise StoreError(f"store.path: the file system of {path} does not support SQLite's WAL")


def _close_to_others(path: Path) -> None:
    """Leave the files, which are ours by now, to their owner alone."""
    for each in (path, *(path.with_name(path.name + tail) for tail in ("-wal", "-shm"))):
        try:
            if each.exists() and each.stat().st_mode & 0o777 != _PRIVATE_FILE:
                each.chmod(_PRIVATE_FILE)
        except OSError as error:
            problem = f"cannot keep others from reading {each}: {error.strerror}"
            raise StoreError(f"store.path: {problem}") from error


def empty_log(connection: sqlite3.Connection) -> bool:
    """Whether nothing of the log, and so of what has been overwritten, is left."""
    is_busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not is_busy


def _switch_to_wal(connection: sqlite3.Connection) -> str:
    """The journal's mode afterwards. In a new file SQLite does not wait for others with this."""
    patience = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            mode: str = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError:
            if time.monotonic() >= patience:
                raise
            time.sleep(_RETRY_DELAY)
        else:
            return mode


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN")  # another process may be about to fill it
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    is_empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    connection.execute("COMMIT")
    if application_id != APPLICATION_ID and not (is_empty and application_id == 0):
        raise StoreError(f"store.path: {path} is the SQLite file of another program")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(migrations.CREATE_TABLE)
    version: int = connection.execute(migrations.READ_VERSION).fetchone()[0]
    for statement in migrations.statements(version, f"store.path: {path}", type_of_bytes="BLOB"):
        connection.execute(statement)


def _renew_seals(connection: sqlite3.Connection, rows: Rows) -> None:
    """Seal what another key has sealed, or none, with the first key."""
    _check_keys(connection, rows)
    old = connection.execute(
        "SELECT inference_id, key_id, CAST(content AS BLOB) FROM esinfer_secret WHERE key_id != ?",
        (rows.keys.current,),
    ).fetchall()
    for inference_id, key_id, content in old:
        sealed = rows.renewed(inference_id, Sealed(key_id=key_id, content=content))
        connection.execute(
            "UPDATE esinfer_secret SET key_id = ?, content = ? WHERE inference_id = ?",
            (sealed.key_id, sealed.content, inference_id),
        )


def _check_keys(connection: sqlite3.Connection, rows: Rows) -> None:
    rows.keys.check(key_ids(connection))


def key_ids(connection: sqlite3.Connection) -> list[str]:
    """Of the keys that something in the file is sealed with."""
    return [key_id for (key_id,) in connection.execute(migrations.READ_KEY_IDS)]


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Another connection to a file that ``connect`` has made ready; it changes nothing."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.text_factory = texts.read
    connection.execute("PRAGMA query_only = ON")
    return connection


@contextmanager
def reading(path: Path, rows: Rows) -> Iterator[sqlite3.Connection]:
    """A connection to the file as it is, of whatever version; StoreError if it cannot be read."""
    try:
        if not path.exists():
            raise StoreError(f"store.path: there is no file {path}")
        address = f"{path.as_uri()}?mode=rw"  # with ro, SQLite leaves files behind
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            connection.text_factory = texts.read
            connection.execute("PRAGMA query_only = ON")
            _refuse_foreign(connection, path)
            connection.execute("BEGIN")  # what is checked is what is read
            version: int = connection.execute(migrations.READ_VERSION).fetchone()[0]
            migrations.check(version, f"store.path: {path}")
            _check_keys(connection, rows)
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"store.path: cannot read {path}: {error}") from error


def wait_until(connection: sqlite3.Connection, deadline: float) -> None:
    """Have statements wait for other processes no longer than to a moment of the monotonic clock.

    SQLite counts from the statement on.
    """
    left = max(0.0, deadline - time.monotonic())
    connection.execute(f"PRAGMA busy_timeout = {int(left * 1000)}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is done within, or nothing; other processes' changes wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
