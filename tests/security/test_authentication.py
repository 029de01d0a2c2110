"""The authenticator by itself: what it remembers, what it costs, what it does in which thread."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from esinfer.errors import TooManyLogins, Unauthenticated
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


@dataclass
class Caller:
    """Who waits for an answer."""

    remote: str | None = "127.0.0.1"
    transport: object | None = True


HERE = Caller()


async def user(authenticator: Authenticator, headers: dict[str, str], caller: Caller = HERE) -> str:
    return (await authenticator.authenticate(headers["Authorization"], "/", caller)).user


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


@pytest.fixture
def let_go(monkeypatch: pytest.MonkeyPatch, scrypt: Counted) -> Callable[[], None]:
    """The first password waits in scrypt until this is called."""
    go_on = threading.Event()

    def slow(*args: Any, **kwargs: Any) -> bytes:
        assert go_on.wait(5)
        return scrypt(*args, **kwargs)

    monkeypatch.setattr(hashlib, "scrypt", slow)
    return go_on.set


_NUMBERS = itertools.count()


async def guess(
    authenticator: Authenticator, count: int, caller: Caller
) -> list[asyncio.Task[str]]:
    """So many wrong passwords, none of them twice, each of which waits for its turn."""
    guesses = [
        asyncio.create_task(user(authenticator, basic("reader", f"guess {next(_NUMBERS)}"), caller))
        for _ in range(count)
    ]
    await asyncio.sleep(0)
    return guesses


async def test_guesses_of_clients_that_are_gone_are_not_computed(
    authenticator: Authenticator, scrypt: Counted, let_go: Callable[[], None]
) -> None:
    stranger = Caller(remote="10.0.0.1")
    guesses = await guess(authenticator, 20, stranger)
    login = asyncio.create_task(user(authenticator, basic("reader")))
    stranger.transport = None
    guesses += await guess(authenticator, 60, stranger)  # nobody's place is taken by them
    let_go()
    assert await login == "reader"
    ends = await asyncio.gather(*guesses, return_exceptions=True)
    assert all(isinstance(end, Unauthenticated) for end in ends)
    assert len(scrypt.threads) == 2  # that which had begun, and the login


async def test_no_more_passwords_wait_than_allowed_and_one_address_leaves_room(
    authenticator: Authenticator, let_go: Callable[[], None]
) -> None:
    strangers = [Caller(remote=f"10.0.0.{number}") for number in range(3)]
    waiting = await guess(authenticator, 50, strangers[0])
    refused = await guess(authenticator, 1, strangers[0])
    waiting += await guess(authenticator, 49, strangers[1])
    login = asyncio.create_task(user(authenticator, basic("reader")))
    await asyncio.sleep(0)
    refused += await guess(authenticator, 1, strangers[2])
    ends = await asyncio.gather(*refused, return_exceptions=True)
    assert [type(end) for end in ends] == [TooManyLogins, TooManyLogins]
    for stranger in strangers:
        stranger.transport = None
    let_go()
    assert await login == "reader"
    await asyncio.gather(*waiting, return_exceptions=True)
    with pytest.raises(Unauthenticated):
        await user(authenticator, basic("reader", "wrong"), strangers[0])


async def test_equal_first_logins_cost_one_hash(
    authenticator: Authenticator, scrypt: Counted, let_go: Callable[[], None]
) -> None:
    logins = [asyncio.create_task(user(authenticator, basic("reader"))) for _ in range(10)]
    await asyncio.sleep(0)
    let_go()
    assert await asyncio.gather(*logins) == ["reader"] * 10
    assert len(scrypt.threads) == 1


@pytest.mark.parametrize(("password", "end"), [(credentials.PASSWORD, None), ("wrong", "401")])
async def test_equal_headers_take_one_place_and_cost_one_hash(
    authenticator: Authenticator,
    scrypt: Counted,
    let_go: Callable[[], None],
    password: str,
    end: str | None,
) -> None:
    headers = basic("reader", password)
    logins = [asyncio.create_task(user(authenticator, headers)) for _ in range(200)]
    guesses = await guess(authenticator, 49, HERE)
    let_go()
    ends = await asyncio.gather(*logins, return_exceptions=True)
    if end is None:
        assert ends == ["reader"] * 200
    else:
        assert all(isinstance(each, Unauthenticated) for each in ends)
    refused = await asyncio.gather(*guesses, return_exceptions=True)
    assert all(isinstance(each, Unauthenticated) for each in refused)
    assert len(scrypt.threads) == 50


async def test_equal_logins_do_not_wait_for_others_once_one_is_settled(
    authenticator: Authenticator, scrypt: Counted, let_go: Callable[[], None]
) -> None:
    first = asyncio.create_task(user(authenticator, basic("reader")))
    guesses = await guess(authenticator, 20, Caller(remote="10.0.0.1"))
    second = asyncio.create_task(user(authenticator, basic("reader")))
    await asyncio.sleep(0)
    let_go()
    assert [await first, await second] == ["reader"] * 2
    assert len(scrypt.threads) < 10
    await asyncio.gather(*guesses, return_exceptions=True)


async def test_a_login_outlives_an_equal_one_that_was_before_it(
    authenticator: Authenticator, let_go: Callable[[], None]
) -> None:
    gone, cut_off = Caller(), Caller()
    guesses = await guess(authenticator, 1, HERE)
    callers = (cut_off, gone, HERE)
    first, second, third = (
        asyncio.create_task(user(authenticator, basic("reader"), caller)) for caller in callers
    )
    await asyncio.sleep(0)
    first.cancel()
    gone.transport = None
    let_go()
    assert [await second, await third] == ["reader"] * 2
    await asyncio.gather(*guesses, first, return_exceptions=True)


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
