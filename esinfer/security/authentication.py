"""Who calls: the ``Authorization`` header against the credentials.

Elasticsearch takes Basic, ApiKey and Bearer side by side, and so do we. What
scrypt takes long to verify is remembered by a keyed digest of the header, so
that only the first request of a caller pays, or all that come meanwhile
together; passwords wait for their turn, and those of clients that are gone are
left out. Nothing of a header is kept,
logged or quoted but a user's name or an API key's id.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

from esinfer.errors import (
    IllegalArgument,
    MissingCredentials,
    RefusedCredentials,
    UnreadableCredentials,
    WrongPassword,
)
from esinfer.security.credentials import Credential, Credentials, Identity
from esinfer.security.hashes import Verify, hash_password, read_password_hash
from esinfer.security.turns import Client, Turns

_REMEMBERED: Final = 10_000
"""Callers whose header is recognised at once; the oldest are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One request's try, with the digest of its header."""

    uri: str
    client: Client
    digest: bytes


class Authenticator:
    """Tells callers by their headers."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._digest_key = secrets.token_bytes(32)
        self._known: dict[bytes, Identity] = {}
        self._turns = Turns()
        self._schemes: dict[str, Callable[[str, _Attempt], Awaitable[Identity]]] = {
            "basic": self._basic,
            "apikey": self._api_key,
            "bearer": self._bearer,
        }

    async def authenticate(self, header: str | None, uri: str, client: Client) -> Identity:
        """The caller. ``uri`` is the request's, for what is said.

        Raises Unauthenticated or TooManyLogins.
        """
        if header is None:
            raise MissingCredentials(uri=uri)
        sent = header.encode("utf-8", "surrogateescape")
        digest = hashlib.blake2b(sent, key=self._digest_key, digest_size=32).digest()
        identity = self._known.get(digest)
        if identity is None:
            scheme, _, value = header.partition(" ")
            verify = self._schemes.get(scheme.lower())
            if verify is None:
                raise MissingCredentials(uri=uri)
            attempt = _Attempt(uri=uri, client=client, digest=digest)
            identity = await verify(value.strip(), attempt)
            self._remember(digest, identity)
        return identity

    def _remember(self, digest: bytes, identity: Identity) -> None:
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[digest] = identity

    async def _basic(self, value: str, attempt: _Attempt) -> Identity:
        try:
            name, password = _pair(value)
        except Base64Error:
            reason = "invalid basic authentication header encoding"
            raise UnreadableCredentials(reason=reason) from None
        except ValueError:
            reason = "invalid basic authentication header value"
            raise UnreadableCredentials(reason=reason) from None
        user = self._credentials.users.get(name)
        # An unknown name takes as long as a wrong password.
        verify = self._refuse if user is None else user.verify
        ask = partial(self._run, verify, password)
        is_right = await self._turns.settle(attempt.digest, attempt.client, ask)
        if user is None or not is_right:
            raise WrongPassword(user=name, uri=attempt.uri)
        return user.identity

    async def _run(self, verify: Verify, password: bytes) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(verify, password))

    async def _api_key(self, value: str, _attempt: _Attempt) -> Identity:
        try:
            key_id, key = _pair(value)
        except ValueError:
            wrong = IllegalArgument(reason="invalid ApiKey value")
            raise UnreadableCredentials(
                reason="error attempting to authenticate request"
            ) from wrong
        credential = self._credentials.api_keys.get(key_id)
        if credential is None:
            raise RefusedCredentials(detail=f"API key: unable to find apikey with id {key_id}")
        if not credential.verify(key):
            raise RefusedCredentials(detail=f"API key: invalid credentials for API key [{key_id}]")
        return credential.identity

    async def _bearer(self, value: str, _attempt: _Attempt) -> Identity:
        token = value.encode("utf-8", "surrogateescape")
        found: Credential | None = None
        for credential in self._credentials.tokens:  # all of them: the time tells nothing
            if credential.verify(token):
                found = credential
        if found is None:
            raise RefusedCredentials(detail="oauth2 token: invalid token")
        return found.identity

    def _refuse(self, password: bytes) -> bool:
        self._nobody(password)
        return False

    @cached_property
    def _nobody(self) -> Verify:
        return read_password_hash(hash_password(secrets.token_bytes(16)))

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        """One: who guesses passwords has no more than one core."""
        return ThreadPoolExecutor(max_workers=1, thread_name_prefix="esinfer-password")


def _pair(value: str) -> tuple[str, bytes]:
    """Name and secret out of base64. Raises binascii's Error, or its base ValueError."""
    name, colon, secret = b64decode(value, validate=True).partition(b":")
    if not colon:
        raise ValueError("no colon")
    return name.decode(), secret
