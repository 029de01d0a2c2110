"""Who may call: the users, API keys and tokens of a credentials file.

The file is TOML; ``esinfer hash`` makes its hashes::

    [users.alice]
    password_hash = "scrypt$14$8$1$…"
    roles = ["manage"]

    [api_keys.VuaCfGcBCdbkQm-e5aOx]
    key_hash = "sha256$…"
    user = "alice"
    roles = ["read"]

    [tokens.ci]
    token_hash = "sha256$…"
    roles = ["read"]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from esinfer.security.hashes import Verify, read_key_hash, read_password_hash


class Role(StrEnum):
    """What one may do: ``read`` infers and looks, ``manage`` does everything."""

    READ = "read"
    MANAGE = "manage"


class CredentialsError(Exception):
    """The credentials file cannot be used; the text is one line that says where and why."""

    def __init__(self, path: str, problem: str) -> None:
        line = f"{path}: {problem}"
        super().__init__(line if line.isprintable() else ascii(line)[1:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A caller who has shown who they are; ``api_key_id`` if it was with an API key."""

    user: str
    roles: frozenset[Role]
    api_key_id: str | None = None

    def __str__(self) -> str:
        """As Elasticsearch words it: an API key has privileges, but no roles."""
        if self.api_key_id is not None:
            return f"API key id [{self.api_key_id}] of user [{self.user}]"
        return f"user [{self.user}] with effective roles [{','.join(sorted(self.roles))}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Whose it is, and what recognises the secret."""

    identity: Identity
    verify: Verify = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """All of a file: users by name, API keys by id, tokens in its order."""

    users: Mapping[str, Credential]
    api_keys: Mapping[str, Credential]
    tokens: tuple[Credential, ...]


def read_credentials(path: str) -> Credentials:
    """The file's credentials. Raises CredentialsError."""
    import tomllib  # noqa: PLC0415 -- for those who have a file

    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:  # their words may quote a hash
        raise CredentialsError(path, "not valid TOML") from error
    except OSError as error:
        raise CredentialsError(path, f"cannot read the file: {error.strerror}") from error
    unknown = document.keys() - {"users", "api_keys", "tokens"}
    if unknown:
        raise CredentialsError(
            path, f"{min(unknown)} is unknown; the tables are users, api_keys, tokens"
        )
    return Credentials(
        users=_Table(path, "users", "password_hash", read_password_hash).read(document),
        api_keys=_Table(path, "api_keys", "key_hash", read_key_hash).read(document),
        tokens=tuple(_Table(path, "tokens", "token_hash", read_key_hash).read(document).values()),
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """How one of the file's tables is read."""

    path: str
    name: str
    secret: str
    read_hash: Callable[[str], Verify]

    def read(self, document: Mapping[str, Any]) -> dict[str, Credential]:
        table = document.get(self.name, {})
        if not isinstance(table, dict):
            raise CredentialsError(self.path, f"{self.name} must be a table")
        return {name: self._credential(name, entry) for name, entry in table.items()}

    def _credential(self, name: str, entry: Any) -> Credential:
        where = f"[{self.name}.{name}]"
        is_key = self.name == "api_keys"
        known = {self.secret, "roles"} | ({"user"} if is_key else set())
        if not name or (self.name != "tokens" and ":" in name):
            raise CredentialsError(self.path, f"{where} has an empty name or one with a colon")
        if not isinstance(entry, dict) or entry.keys() - known:
            listed = ", ".join(sorted(known))
            raise CredentialsError(self.path, f"{where} may have {listed} and nothing else")
        user = entry.get("user", name)
        if not isinstance(user, str):
            raise CredentialsError(self.path, f"{where} user must be a string")
        identity = Identity(
            user=user, roles=self._roles(where, entry), api_key_id=name if is_key else None
        )
        return Credential(identity=identity, verify=self._verify(where, entry))

    def _verify(self, where: str, entry: Mapping[str, Any]) -> Verify:
        try:
            return self.read_hash(entry[self.secret])
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            problem = f"{where} {self.secret} must be a hash made by `esinfer hash`"
            raise CredentialsError(self.path, problem) from error

    def _roles(self, where: str, entry: Mapping[str, Any]) -> frozenset[Role]:
        roles = entry.get("roles", [])
        try:
            return frozenset(map(Role, roles if isinstance(roles, list) else [roles]))
        except ValueError as error:
            problem = f'{where} roles must be a list of "read" and "manage"'
            raise CredentialsError(self.path, problem) from error
