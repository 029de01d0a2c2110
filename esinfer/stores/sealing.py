"""Secrets at rest: sealed with AES-256-GCM, each bound to its inference id.

A key is 32 random bytes in base64. Of several keys the first seals and each
opens what it sealed, so that keys can be rotated. Without a key nothing is
sealed: the content is stored as it is, under the empty key id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from esinfer.stores.errors import StoreError

KEY_BYTES: Final = 32
OPEN: Final = ""
"""Key id of what is not sealed."""
_NONCE_BYTES = 12
_FORM = f"{KEY_BYTES} bytes in base64, as `openssl rand -base64 {KEY_BYTES}` prints them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """Content as stored, and the id of the key that opens it."""

    key_id: str
    content: bytes = field(repr=False)


class UnsealError(ValueError):
    """The content was not sealed with this key for this id, or has been tampered with."""


class KeyMissing(UnsealError):
    """The content was sealed with a key that is not here."""


class Keys:
    """The keys of a store; the first, if there is one, seals."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._ciphers = {}
        if keys:
            try:
                from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415 -- an extra
            except ModuleNotFoundError as error:
                raise StoreError(
                    "store.key: encryption needs a package: pip install 'esinfer[encryption]'"
                ) from error
            self._ciphers = {_key_id(key): aead.AESGCM(key) for key in keys}
        self.current = next(iter(self._ciphers), OPEN)

    def seal(self, inference_id: str, content: bytes) -> Sealed:
        """The content, sealed with the first key for this id."""
        if self.current == OPEN:
            return Sealed(key_id=OPEN, content=content)
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._ciphers[self.current]
        closed = cipher.encrypt(nonce, content, _associated_data(inference_id))
        return Sealed(key_id=self.current, content=nonce + closed)

    def unseal(self, inference_id: str, sealed: Sealed) -> bytes:
        """The content; UnsealError if it is not what was sealed for this id."""
        if sealed.key_id == OPEN:
            return sealed.content
        if sealed.key_id not in self._ciphers:
            raise KeyMissing("the key is not there")
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- an extra

        nonce, closed = sealed.content[:_NONCE_BYTES], sealed.content[_NONCE_BYTES:]
        cipher = self._ciphers[sealed.key_id]
        try:
            return cipher.decrypt(nonce, closed, _associated_data(inference_id))
        except (InvalidTag, ValueError) as error:
            raise UnsealError("not sealed with this key for this id") from error

    def open_all(self, key_ids: Iterable[str]) -> bool:
        """Whether each is that of a key that is here, or of none."""
        return set(key_ids) <= {OPEN, *self._ciphers}

    def check(self, key_ids: Iterable[str]) -> None:
        """Refuse a store in which something was sealed with a key that is not here."""
        if not self.open_all(key_ids):
            problem = "are encrypted with another key" if self._ciphers else "are encrypted"
            raise StoreError(
                f"the secrets in the store {problem}; give the key they were encrypted with"
                " as store.key or in store.key_file (a key that it replaces comes first)"
            )


def _key_id(key: bytes) -> str:
    """Names a key without telling anything of it."""
    return hashlib.blake2b(key, digest_size=8, person=b"esinfer key id").hexdigest()


def _associated_data(inference_id: str) -> bytes:
    return b"esinfer secret settings\0" + inference_id.encode()


def read_keys(text: str, name: str) -> list[bytes]:
    """The keys in a text: one a line or parted by commas; ``#`` begins a comment.

    ``name`` says in a StoreError where the text is from.
    """
    lines = (line.partition("#")[0] for line in text.splitlines())
    words = [word for line in lines for word in line.replace(",", " ").split()]
    if not words:
        raise StoreError(f"{name}: there is no key; a key is {_FORM}")
    return [_read_key(word, f"{name}: key {number}") for number, word in enumerate(words, 1)]


def _read_key(word: str, name: str) -> bytes:
    try:
        key = base64.b64decode(word.translate({ord("-"): "+", ord("_"): "/"}), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise StoreError(f"{name} must be {_FORM}")  # never shown: it may be nearly right
    return key


def read_key_file(path: Path) -> list[bytes]:
    """The keys in a file; StoreError if it cannot be read."""
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(f"store.key_file: cannot read {path}: {error.strerror}") from error
    except RuntimeError as error:
        raise StoreError(f"store.key_file: cannot read {path}: no such home directory") from error
    except UnicodeDecodeError:  # which shows what it could not decode
        raise StoreError(f"store.key_file: cannot read {path}: it is no UTF-8 text") from None
    return read_keys(text, f"store.key_file {path}")
