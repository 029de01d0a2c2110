"""The tables, version by version.

Migration n leads from version n-1 to n and is never changed once released; the
version of a database is the highest number in its table of migrations. A
placeholder stands for what the databases call differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from esinfer.stores.errors import StoreError

_MIGRATIONS: Final = (
    (
        """CREATE TABLE esinfer_endpoint (
            inference_id TEXT PRIMARY KEY NOT NULL,
            configuration TEXT NOT NULL
        )""",
        """CREATE TABLE esinfer_secret (
            inference_id TEXT PRIMARY KEY NOT NULL
                REFERENCES esinfer_endpoint ON DELETE CASCADE,
            key_id TEXT NOT NULL,
            content {bytes} NOT NULL
        )""",
    ),
    (
        """CREATE TABLE esinfer_region_policy (
            only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
            policy TEXT NOT NULL,
            created_at TEXT NOT NULL,
            updated_at TEXT
        )""",
    ),
    (
        "ALTER TABLE esinfer_region_policy ADD COLUMN created_by TEXT",
        "ALTER TABLE esinfer_region_policy ADD COLUMN updated_by TEXT",
    ),
    ("CREATE INDEX esinfer_secret_key_id ON esinfer_secret (key_id)",),
)
CURRENT: Final = len(_MIGRATIONS)
CREATE_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS esinfer_migration (number INTEGER PRIMARY KEY NOT NULL)"
)
READ_VERSION: Final = "SELECT coalesce(max(number), 0) FROM esinfer_migration"
READ_KEY_IDS: Final = """WITH RECURSIVE used (key_id) AS (
        SELECT min(key_id) FROM esinfer_secret
        UNION ALL
        SELECT (SELECT min(key_id) FROM esinfer_secret WHERE key_id > used.key_id)
        FROM used WHERE used.key_id IS NOT NULL
    )
    SELECT key_id FROM used WHERE key_id IS NOT NULL"""
"""Those that something is sealed with: one look at the index for each, however many secrets."""


def check(version: int, where: str) -> None:
    """StoreError for a version that is newer than this esinfer; ``where`` names the database."""
    if version > CURRENT:
        raise StoreError(
            f"{where} was written by a newer esinfer: its schema is version {version},"
            f" this one knows up to {CURRENT}"
        )


def statements(version: int, where: str, *, type_of_bytes: str) -> Iterator[str]:
    """What leads from ``version`` to the current one, to run in one transaction.

    StoreError as ``check`` raises it.
    """
    check(version, where)
    for number in range(version + 1, CURRENT + 1):
        for statement in _MIGRATIONS[number - 1]:
            yield statement.format(bytes=type_of_bytes)
        yield f"INSERT INTO esinfer_migration (number) VALUES ({number})"  # noqa: S608 -- a number
