"""The credentials file: what is read from it, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from esinfer.security.credentials import CredentialsError, Role, read_credentials
from esinfer.security.hashes import (
    hash_key,
    hash_password,
    read_key_hash,
    read_password_hash,
)
from tests.security import credentials

HASH = hash_key(b"k" * 24)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return credentials.write(tmp_path_factory.mktemp("credentials"))


def test_users_keys_and_tokens_are_read(path: Path) -> None:
    read = read_credentials(str(path))
    assert {name: set(user.identity.roles) for name, user in read.users.items()} == {
        "reader": {Role.READ},
        "manager": {Role.MANAGE},
        "both": {Role.READ, Role.MANAGE},
        "nobody": set(),
    }
    assert str(read.users["both"].identity) == "user [both] with effective roles [manage,read]"
    assert str(read.api_keys["reader-key"].identity) == "API key id [reader-key] of user [manager]"
    assert read.api_keys["manager-key"].identity.user == "manager-key"
    assert [token.identity.user for token in read.tokens] == ["ci"]


def test_a_printed_credential_shows_no_hash(path: Path) -> None:
    printed = repr(read_credentials(str(path)))
    assert "scrypt" not in printed
    assert "sha256" not in printed
    assert "verify" not in printed


def test_a_password_is_recognised_and_no_other() -> None:
    verify = read_password_hash(hash_password(b"secret"))
    assert verify(b"secret")
    assert not verify(b"Secret")
    assert not verify(b"")


def test_the_same_password_has_another_hash_each_time() -> None:
    assert hash_password(b"secret") != hash_password(b"secret")


@pytest.mark.parametrize("numbers", ["15$1$1", "10$32$16", "10$1$1"])
def test_a_hash_that_is_taken_can_be_verified(numbers: str) -> None:
    assert not read_password_hash(f"scrypt${numbers}$c2FsdHNhbHQ=${'A' * 43}=")(b"secret")


def test_a_key_is_recognised_and_no_other() -> None:
    verify = read_key_hash(hash_key(b"k"))
    assert verify(b"k")
    assert not verify(b"K")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "scrypt$14$8$1$c2FsdHNhbHQ=",
        "scrypt$40$8$1$c2FsdHNhbHQ=$" + "A" * 43 + "=",
        "scrypt$14$8$1$YQ==$" + "A" * 43 + "=",
        "scrypt$14$8$1$c2FsdHNhbHQ=$AAAA",
        "scrypt$14$8$1$?$?",
        "scrypt$20$32$16$c2FsdHNhbHQ=$" + "A" * 43 + "=",
        "scrypt$20$16$1$c2FsdHNhbHQ=$" + "A" * 43 + "=",
        "scrypt$16$1$1$c2FsdHNhbHQ=$" + "A" * 43 + "=",
        "bcrypt$14$8$1$c2FsdHNhbHQ=$" + "A" * 43 + "=",
    ],
)
def test_what_is_no_password_hash_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_password_hash(text)


@pytest.mark.parametrize("text", ["", "sha256", "sha256$AAAA", "sha256$?", "md5$" + "A" * 43 + "="])
def test_what_is_no_key_hash_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_key_hash(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("users = 1", "users must be a table"),
        ("[user.a]", "user is unknown; the tables are users, api_keys, tokens"),
        ("a b", "not valid TOML"),
        ("[users]\na = 1", "[users.a] may have password_hash, roles and nothing else"),
        ('[users.a]\npassword = "x"', "[users.a] may have password_hash, roles and nothing else"),
        (
            '[users.a]\npassword_hash = "hunter2"',
            "[users.a] password_hash must be a hash made by `esinfer hash`",
        ),
        (
            f'[users.a]\npassword_hash = "{HASH}"',
            "[users.a] password_hash must be a hash made by `esinfer hash`",
        ),
        ("[tokens.a]\n", "[tokens.a] token_hash must be a hash made by `esinfer hash`"),
        (
            "[api_keys.a]\nkey_hash = 1",
            "[api_keys.a] key_hash must be a hash made by `esinfer hash`",
        ),
        (
            f'[api_keys.a]\nkey_hash = "{HASH}"\nroles = ["admin"]',
            '[api_keys.a] roles must be a list of "read" and "manage"',
        ),
        (
            f'[api_keys.a]\nkey_hash = "{HASH}"\nroles = 1',
            '[api_keys.a] roles must be a list of "read" and "manage"',
        ),
        (f'[api_keys.a]\nkey_hash = "{HASH}"\nuser = 1', "[api_keys.a] user must be a string"),
        (
            f'[api_keys."a:b"]\nkey_hash = "{HASH}"',
            "[api_keys.a:b] has an empty name or one with a colon",
        ),
    ],
)
def test_a_wrong_file_is_named_with_its_place_and_no_secret(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(CredentialsError) as raised:
        read_credentials(str(file))
    assert str(raised.value) == f"{file}: {problem}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"none\.toml: cannot read the file: No such file"):
        read_credentials(str(tmp_path / "none.toml"))
