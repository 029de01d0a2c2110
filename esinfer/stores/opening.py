"""Which store, by the settings; it is open within a block."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from esinfer.endpoints import EndpointStore, InferenceEndpoint, MemoryStore
from esinfer.region_policy import MemoryRegionPolicyStore, RegionPolicyStore
from esinfer.stores.errors import StoreError
from esinfer.stores.rows import Codec, Rows
from esinfer.stores.sealing import Keys, read_key_file, read_keys

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """``kind`` is ``memory``, ``sqlite`` or ``postgresql``; an empty text says nothing."""

    kind: str
    path: str = ""
    url: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    key_file: str = ""


class Store(EndpointStore, RegionPolicyStore, Protocol):
    """Keeps both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStore:
    """The faces of one store."""

    endpoints: EndpointStore
    region_policy: RegionPolicyStore


@asynccontextmanager
async def open_store(
    settings: StoreSettings, codec: Codec, environ: Mapping[str, str]
) -> AsyncIterator[OpenStore]:
    """The store that the settings ask for; StoreError if it cannot be had.

    ``environ`` tells where a user's data belong.
    """
    if settings.kind == "memory":
        yield OpenStore(endpoints=MemoryStore(), region_policy=MemoryRegionPolicyStore())
        return
    rows = Rows(codec, _keys(settings))
    async with _opening(settings, rows, environ) as store:
        _warn_of_open_secrets(rows.keys)
        yield OpenStore(endpoints=store, region_policy=store)


def _opening(
    settings: StoreSettings, rows: Rows, environ: Mapping[str, str]
) -> AbstractAsyncContextManager[Store]:
    if settings.kind == "postgresql":
        url = _url(settings)
        _need_asyncpg()
        from esinfer.stores.postgresql import open_postgresql  # noqa: PLC0415 -- an extra

        return open_postgresql(url, rows)
    from esinfer.stores.sqlite import open_sqlite  # noqa: PLC0415 -- only where it is used

    return open_sqlite(sqlite_path(settings.path, environ), rows)


async def read_store(
    settings: StoreSettings, codec: Codec, environ: Mapping[str, str]
) -> Sequence[InferenceEndpoint]:
    """The endpoints in a store that is there, by id; nothing in it is made or changed.

    StoreError if it cannot be read, EndpointUnreadable if one of them cannot.
    """
    if settings.kind == "memory":
        raise StoreError("store.kind is memory, which only the server itself can read")
    rows = Rows(codec, _keys(settings))
    if settings.kind == "postgresql":
        url = _url(settings)
        _need_asyncpg()
        from esinfer.stores.postgresql import read_postgresql  # noqa: PLC0415 -- an extra

        return await read_postgresql(url, rows)
    from esinfer.stores.sqlite import read_sqlite  # noqa: PLC0415 -- only where it is used

    return await read_sqlite(sqlite_path(settings.path, environ), rows)


def _need_asyncpg() -> None:
    try:
        import asyncpg  # noqa: F401, PLC0415 -- an extra
    except ModuleNotFoundError as error:
        raise StoreError(
            "store.kind: postgresql needs a package: pip install 'esinfer[postgresql]'"
        ) from error


def _keys(settings: StoreSettings) -> Keys:
    if settings.key and settings.key_file:
        raise StoreError("store.key and store.key_file are both set; one of them must go")
    if settings.key_file:
        return Keys(read_key_file(Path(settings.key_file)))
    return Keys(read_keys(settings.key, "store.key") if settings.key else ())


def _warn_of_open_secrets(keys: Keys) -> None:
    if not keys.current:
        _LOGGER.warning(
            "the api keys of endpoints are stored unencrypted: set ESINFER_STORE__KEY or"
            " store.key_file, a key is what `openssl rand -base64 32` prints"
        )


def _url(settings: StoreSettings) -> str:
    if not settings.url.startswith(("postgresql://", "postgres://")):
        raise StoreError(
            "store.url must be the database's address,"
            " such as postgresql://user:password@host:5432/database"
        )
    return settings.url


def sqlite_path(given: str, environ: Mapping[str, str]) -> Path:
    """The SQLite file; by default where the XDG specification puts a user's data."""
    try:
        if given:
            return Path(given).expanduser()
        home = environ.get("XDG_DATA_HOME", "")
        data = Path(home) if home.startswith("/") else Path("~/.local/share").expanduser()
    except RuntimeError as error:
        raise StoreError("store.path must be set: this user has no home directory") from error
    return data / "esinfer" / "endpoints.db"
