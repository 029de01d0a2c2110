"""Which store is opened, and where its file is."""

from __future__ import annotations

from pathlib import Path

import pytest

from esinfer.endpoints import MemoryStore
from esinfer.services.registry import ServiceRegistry
from esinfer.services.stored import EndpointCodec
from esinfer.stores.errors import StoreError
from esinfer.stores.opening import StoreSettings, open_store, sqlite_path
from esinfer.stores.sqlite import SqliteStore
from tests.stores.contract import KEY, OTHER_KEY, endpoint

CODEC = EndpointCodec(ServiceRegistry())


async def test_memory_needs_nothing_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with open_store(StoreSettings(kind="memory"), CODEC, {}) as store:
        assert isinstance(store.endpoints, MemoryStore)
    assert caplog.records == []


async def test_sqlite_is_in_the_users_data(tmp_path: Path) -> None:
    environ = {"XDG_DATA_HOME": str(tmp_path)}
    async with open_store(StoreSettings(kind="sqlite"), CODEC, environ) as store:
        assert isinstance(store.endpoints, SqliteStore)
    assert (tmp_path / "esinfer" / "endpoints.db").exists()


@pytest.mark.parametrize(
    ("given", "environ", "path"),
    [
        ("", {"XDG_DATA_HOME": "/data"}, "/data/esinfer/endpoints.db"),
        ("", {"XDG_DATA_HOME": ""}, "/home/me/.local/share/esinfer/endpoints.db"),
        ("", {"XDG_DATA_HOME": "not/absolute"}, "/home/me/.local/share/esinfer/endpoints.db"),
        ("", {}, "/home/me/.local/share/esinfer/endpoints.db"),
        ("~/x.db", {"XDG_DATA_HOME": "/data"}, "/home/me/x.db"),
        ("x.db", {}, "x.db"),
    ],
)
def test_path(
    monkeypatch: pytest.MonkeyPatch, given: str, environ: dict[str, str], path: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert sqlite_path(given, environ) == Path(path)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(StoreError, match=r"^store.path must be set"):
        sqlite_path("", {})


async def test_a_key_file_seals(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY}\n")
    file, path = str(keys), str(tmp_path / "x.db")
    async with open_store(
        StoreSettings(kind="sqlite", path=path, key_file=file), CODEC, {}
    ) as store:
        await store.endpoints.create(endpoint())
    keys.write_text(f"{OTHER_KEY}\n{KEY}\n")
    async with open_store(
        StoreSettings(kind="sqlite", path=path, key_file=file), CODEC, {}
    ) as store:
        assert await store.endpoints.list() == [endpoint()]
    async with open_store(
        StoreSettings(kind="sqlite", path=path, key=OTHER_KEY), CODEC, {}
    ) as store:
        assert await store.endpoints.list() == [endpoint()]


async def test_two_places_for_keys_are_one_too_many(tmp_path: Path) -> None:
    settings = StoreSettings(
        kind="sqlite", path=str(tmp_path / "x.db"), key=KEY, key_file=str(tmp_path / "keys")
    )
    with pytest.raises(StoreError, match=r"^store.key and store.key_file are both set"):
        async with open_store(settings, CODEC, {}):
            pass
    assert not (tmp_path / "x.db").exists()


def test_settings_show_no_secret() -> None:
    shown = repr(StoreSettings(kind="postgresql", url="postgresql://u:hidden@h/d", key="hidden"))
    assert "hidden" not in shown
