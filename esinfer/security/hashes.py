"""What is kept of a secret: enough to recognise it, not enough to tell it.

Passwords, which people choose, go through scrypt, which is slow on purpose.
API keys and tokens are long and random, so that SHA-256 is enough. Written as
``scrypt$14$8$1$salt$hash`` (log2 of n, r, p; base64) and ``sha256$hash``.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable

_LOG_N, _R, _P = 14, 8, 1
"""16 MiB and some 50 ms; OWASP's choices go from here to log2(n) 17."""
_MAX_LOG_N = 20
_MAX_MEMORY = 2**31 - 1
_SALT_SIZE = 16
_HASH_SIZE = 32

MIN_KEY_LENGTH = 20
"""Characters of an API key or token; Elasticsearch's have 22."""

Verify = Callable[[bytes], bool]
"""Whether it is the secret; constant in time."""


def hash_password(password: bytes) -> str:
    """The written form of a password's hash, with a salt of its own."""
    salt = secrets.token_bytes(_SALT_SIZE)
    made = _scrypt(password, salt, _LOG_N, _R, _P)
    return f"scrypt${_LOG_N}${_R}${_P}${b64encode(salt).decode()}${b64encode(made).decode()}"


def hash_key(key: bytes) -> str:
    """The written form of the hash of an API key or token."""
    return f"sha256${b64encode(hashlib.sha256(key).digest()).decode()}"


def read_password_hash(text: str) -> Verify:
    """What verifies a password. ValueError if the text is no such hash."""
    kind, *numbers, salt_text, hash_text = text.split("$")
    log_n, r, p = map(int, numbers)
    salt, expected = b64decode(salt_text, validate=True), b64decode(hash_text, validate=True)
    sane = 10 <= log_n <= _MAX_LOG_N and 1 <= r <= 32 and 1 <= p <= 16 and len(salt) >= 8
    # OpenSSL takes fewer bits of n for a small r, and Python no more memory than an int tells.
    computable = log_n < 16 * r and _memory(1 << log_n, r, p) <= _MAX_MEMORY
    if kind != "scrypt" or not sane or not computable or len(expected) != _HASH_SIZE:
        raise ValueError("no scrypt hash")

    def verify(password: bytes) -> bool:
        return hmac.compare_digest(_scrypt(password, salt, log_n, r, p), expected)

    return verify


def read_key_hash(text: str) -> Verify:
    """What verifies an API key or token. ValueError if the text is no such hash."""
    kind, hash_text = text.split("$")
    expected = b64decode(hash_text, validate=True)
    if kind != "sha256" or len(expected) != _HASH_SIZE:
        raise ValueError("no SHA-256 hash")

    def verify(key: bytes) -> bool:
        return hmac.compare_digest(hashlib.sha256(key).digest(), expected)

    return verify


def _scrypt(password: bytes, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    n = 1 << log_n
    memory = _memory(n, r, p)
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=_HASH_SIZE)


def _memory(n: int, r: int, p: int) -> int:
    """The bytes that scrypt needs."""
    return 128 * r * (n + p + 2)
