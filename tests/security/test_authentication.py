"""The authenticator by itself: what it remembers, what it costs, what it does in which thread."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest

from esinfer.errors import Unauthenticated
from esinfer.security import authentication
from esinfer.security.authentication import Authenticator
from esinfer.security.credentials import read_credentials
from tests.security import credentials
from tests.security.credentials import api_key, basic, bearer


class Counted:
    """Scrypt, counted, with the threads that it ran in."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self._scrypt = hashlib.scrypt

    def __call__(self, *args: Any, **kwargs: Any) -> bytes:
        self.threads.append(threading.current_thread().name)
        return self._scrypt(*args, **kwargs)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(credentials.write(tmp_path_factory.mktemp("credentials")))


@pytest.fixture
def scrypt(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    monkeypatch.setattr(hashlib, "scrypt", counted)
    return counted


@pytest.fixture
def authenticator(path: str, scrypt: Counted) -> Authenticator:
    return Authenticator(read_credentials(path))


async def user(authenticator: Authenticator, headers: dict[str, str]) -> str:
    return (await authenticator.authenticate(headers["Authorization"], "/")).user


async def test_a_password_is_hashed_once_and_off_the_loop(
    authenticator: Authenticator, scrypt: Counted
) -> None:
    for _ in range(3):
        assert await user(authenticator, basic("reader")) == "reader"
    assert len(scrypt.threads) == 1
    assert scrypt.threads[0].startswith("esinfer-password")


async def test_a_wrong_password_is_hashed_each_time(
    authenticator: Authenticator, scrypt: Counted
) -> None:
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await user(authenticator, basic("reader", "wrong"))
    assert len(scrypt.threads) == 3


async def test_an_unknown_user_costs_a_hash_too_and_none_on_the_loop(
    authenticator: Authenticator, scrypt: Counted
) -> None:
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await user(authenticator, basic("stranger"))
    assert len(scrypt.threads) == 3  # the first makes the hash to compare with
    assert all(name.startswith("esinfer-password") for name in scrypt.threads)


async def test_others_go_on_while_a_password_is_hashed(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    real = hashlib.scrypt

    def slow(*args: Any, **kwargs: Any) -> bytes:
        begun.set()
        assert go_on.wait(5)
        return real(*args, **kwargs)

    monkeypatch.setattr(hashlib, "scrypt", slow)
    waiting = asyncio.create_task(user(authenticator, basic("reader")))
    assert await asyncio.to_thread(begun.wait, 5)
    assert await user(authenticator, bearer()) == "ci"
    assert await user(authenticator, api_key("reader-key")) == "manager"
    assert not waiting.done()
    go_on.set()
    assert await waiting == "reader"


async def test_no_more_callers_are_remembered_than_allowed(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch, scrypt: Counted
) -> None:
    monkeypatch.setattr(authentication, "_REMEMBERED", 2)
    for headers in (basic("reader"), bearer(), api_key("reader-key"), bearer(), basic("reader")):
        await user(authenticator, headers)
    assert len(authenticator._known) == 2
    assert len(scrypt.threads) == 2  # forgotten, and told anew


async def test_what_is_remembered_is_no_credential(authenticator: Authenticator) -> None:
    await user(authenticator, basic("reader"))
    printed = f"{authenticator._known!r}{vars(authenticator)!r}"
    assert credentials.PASSWORD not in printed
    assert basic("reader")["Authorization"] not in printed


def test_the_credentials_file_is_not_read_again(path: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.toml"
    copy.write_text(Path(path).read_text())
    authenticator = Authenticator(read_credentials(str(copy)))
    copy.unlink()
    assert asyncio.run(user(authenticator, bearer())) == "ci"
