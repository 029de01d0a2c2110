"""What is kept of the bytes that went by, and how it is shown: without secrets.

Logs and journals keep bytes as they came, so that keeping costs nothing; keys
are taken out when somebody reads.
"""

from __future__ import annotations

import json
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
_PARAMETER: Final = re.compile(r"([?&])([^?=&#]*)=([^&#]*)")
_TOKEN: Final = re.compile(r"hf_[A-Za-z0-9]{16,}")
_BEGUN_TOKEN: Final = re.compile(r"hf_[A-Za-z0-9]{0,15}$")
_BETWEEN: Final = re.compile(r"[-_.\s]")


def _slips(word: str) -> Iterator[str]:
    """The word with a letter too many, too few or another, or with two exchanged, as patterns."""
    for at in range(len(word) + 1):
        head, tail = word[:at], word[at:]
        yield f"{head}.?{tail}"
        yield f"{head}.?{tail[1:]}"
        yield head + tail[1:2] + tail[:1] + tail[2:]


_NEARLY_API_KEY: Final = re.compile("|".join(_slips("apikey")), re.IGNORECASE)


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


def is_api_key(name: str) -> bool:
    """Whether a name is ``api_key``, but for a slip."""
    return _NEARLY_API_KEY.fullmatch(_BETWEEN.sub("", name)) is not None


def bears_key(name: str) -> bool:
    """Whether what has this name may be a key."""
    return _BEARING.search(name) is not None or is_api_key(name)


def without(text: str, secrets: Sequence[str], *, cut: bool = False) -> str:
    """The text without secrets and without what has the form of a Hugging Face token.

    Where it was ``cut`` it is also without what may be the beginning of one.
    """
    for secret in secrets:
        text = text.replace(secret, MASK)
        if cut:
            begun = next((n for n in range(len(secret), 0, -1) if text.endswith(secret[:n])), 0)
            text = text[: len(text) - begun]
    if "hf_" not in text:
        return text
    text = _TOKEN.sub(MASK, text)
    return _BEGUN_TOKEN.sub("", text) if cut else text


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
        if bears_key(unquote_plus(name)):
            yield from (value, unquote_plus(value))


def long_enough(secrets: Iterable[str]) -> list[str]:
    """Those that can be looked for in texts, as JSON spells them too, the longest first."""
    spelt = {form for s in secrets if len(s) >= SHORTEST_SECRET for form in _spellings(s)}
    return sorted(spelt, key=len, reverse=True)


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]


def shown_url(url: str, secrets: Sequence[str]) -> str:
    """A url without its user, without keys among its parameters and without secrets."""
    return without(_PARAMETER.sub(_parameter, _USER.sub(rf"//{MASK}@", url)), secrets)


def shown_headers(headers: Mapping[str, str], secrets: Sequence[str]) -> dict[str, str]:
    """Headers, their names in lower case, without keys; bytes that are no UTF-8 are replaced."""
    return {
        name.lower(): _masked(value) if _BEARING.search(name) else _legible(without(value, secrets))
        for name, value in headers.items()
    }


def _parameter(found: re.Match[str]) -> str:
    mark, name, value = found.groups()
    return f"{mark}{name}={MASK if bears_key(unquote_plus(name)) else value}"


def _legible(value: str) -> str:
    return value.encode(errors="surrogateescape").decode(errors="replace")


def _masked(credentials: str) -> str:
    scheme, space, _ = credentials.partition(" ")
    return f"{scheme} {MASK}" if space and scheme.lower() in _SCHEMES else MASK
