"""What is kept of the bytes that went by, and how it is shown: without secrets.

Logs and journals keep bytes as they came, so that keeping costs nothing; keys
are taken out when somebody reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

MASK: Final = "***"
SHORTEST_SECRET: Final = 8
"""One so short that it may stand anywhere by chance is masked in headers only."""
_SECRET_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"}
)


class Kept:
    """The beginning of a body, and how long it was."""

    __slots__ = ("data", "limit", "size")

    def __init__(self, limit: int) -> None:
        self.data = b""
        self.size = 0
        self.limit = limit

    def add(self, data: bytes) -> int:
        """Take more; how many bytes were kept."""
        self.size += len(data)
        part = data[: self.limit - len(self.data)]
        self.data += part
        return len(part)

    @property
    def is_cut(self) -> bool:
        """Whether there was more."""
        return self.size > len(self.data)

    def text(self, secrets: Sequence[str]) -> str:
        """What was kept, without secrets."""
        return without(self.data.decode("utf-8", "backslashreplace"), secrets, cut=self.is_cut)

    def to_wire(self, secrets: Sequence[str]) -> dict[str, object]:
        """The text, with how much it was."""
        return {"body": self.text(secrets), "body_size": self.size, "truncated": self.is_cut}


def without(text: str, secrets: Sequence[str], *, cut: bool = False) -> str:
    """The text without secrets; where it was ``cut``, without what may be the beginning of one."""
    for secret in secrets:
        text = text.replace(secret, MASK)
        if cut:
            begun = next((n for n in range(len(secret), 0, -1) if text.endswith(secret[:n])), 0)
            text = text[: len(text) - begun]
    return text


def long_enough(secrets: Iterable[str]) -> list[str]:
    """Those that can be looked for in texts, the longest first."""
    return sorted((s for s in set(secrets) if len(s) >= SHORTEST_SECRET), key=len, reverse=True)


_USER: Final = re.compile(r"//[^/?#]*@")


def shown_url(url: str, secrets: Sequence[str]) -> str:
    """A url without its user."""
    return without(_USER.sub(rf"//{MASK}@", url), secrets)


def shown_headers(headers: Mapping[str, str], secrets: Sequence[str]) -> dict[str, str]:
    """Headers, their names in lower case; of credentials only the scheme."""
    return {
        name.lower(): _masked(value) if name.lower() in _SECRET_HEADERS else without(value, secrets)
        for name, value in headers.items()
    }


def _masked(credentials: str) -> str:
    scheme, space, _ = credentials.partition(" ")
    return f"{scheme} {MASK}" if space else MASK
