"""Texts of a SQLite file, whose bytes may be damaged.

By itself the driver fails at a text that is not UTF-8, as if the whole file could
not be used, and quotes it in the error.
"""

from __future__ import annotations


def read(stored: bytes) -> str:
    """The text, a connection's ``text_factory``; each byte that is not UTF-8 stays apart."""
    return stored.decode(errors="surrogateescape")


def check(text: str) -> None:
    """ValueError if ``read`` met bytes in it that are not UTF-8."""
    text.encode()
