"""What is kept of the bytes that went by, and how it is shown: without secrets.

Logs and journals keep bytes as they came, so that keeping costs nothing; keys
are taken out when somebody reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote_plus

MASK: Final = "***"
SHORTEST_SECRET: Final = 8
"""One so short that it may stand anywhere by chance is masked where it belongs only."""
_BEARING: Final = re.compile(
    r"authorization|cookie|password|credential|signature|secret|token(?![a-z])|^key$"
    r"|(?:api|access|auth|private|account|subscription)[-_.]?key",
    re.IGNORECASE,
)
"""Names of headers and parameters that bear a key; counts of tokens are none."""
_SCHEMES: Final = frozenset({"apikey", "basic", "bearer", "digest", "negotiate", "token"})
_USER: Final = re.compile(r"//([^/?#]*)@")
_PARAMETER: Final = re.compile(r"([?&])([^=&#]*)=([^&#]*)")


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


def secrets_of(headers: Mapping[str, str]) -> Iterator[str]:
    """The words of headers that bear keys, but names of schemes."""
    for name, value in headers.items():
        if _BEARING.search(name):
            yield from (word for word in value.split() if word.lower() not in _SCHEMES)


def secrets_in(url: str) -> Iterator[str]:
    """What stands in a url as user and password, or as a key among its parameters."""
    for user in _USER.findall(url):
        yield from user.split(":")
    for _, name, value in _PARAMETER.findall(url):
        if _BEARING.search(name):
            yield from (value, unquote_plus(value))


def long_enough(secrets: Iterable[str]) -> list[str]:
    """Those that can be looked for in texts, the longest first."""
    return sorted((s for s in set(secrets) if len(s) >= SHORTEST_SECRET), key=len, reverse=True)


def shown_url(url: str, secrets: Sequence[str]) -> str:
    """A url without its user, without keys among its parameters and without secrets."""
    return without(_PARAMETER.sub(_parameter, _USER.sub(rf"//{MASK}@", url)), secrets)


def shown_headers(headers: Mapping[str, str], secrets: Sequence[str]) -> dict[str, str]:
    """Headers, their names in lower case, without keys."""
    return {
        name.lower(): _masked(value) if _BEARING.search(name) else without(value, secrets)
        for name, value in headers.items()
    }


def _parameter(found: re.Match[str]) -> str:
    mark, name, value = found.groups()
    return f"{mark}{name}={MASK if _BEARING.search(name) else value}"


def _masked(credentials: str) -> str:
    scheme, space, _ = credentials.partition(" ")
    return f"{scheme} {MASK}" if space and scheme.lower() in _SCHEMES else MASK
