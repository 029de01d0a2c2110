"""What the log does not show: keys, where they belong and wherever else they stand.

Headers and parameters are known by their names to bear one; what they bear is
taken out of bodies, urls and other headers, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote_plus

MASK: Final = "***"
_SHORTEST: Final = 8
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


def long_enough(secrets: Iterable[str]) -> Sequence[str]:
    """Those that can be looked for anywhere, the longest first, as one may hold another."""
    return sorted({one for one in secrets if len(one) >= _SHORTEST}, key=len, reverse=True)


def without(text: str, secrets: Sequence[str], *, cut: bool = False) -> str:
    """The text without secrets; where it was ``cut``, without what may be the beginning of one."""
    for secret in secrets:
        text = text.replace(secret, MASK)
        if cut:
            begun = next((n for n in range(len(secret), 0, -1) if text.endswith(secret[:n])), 0)
            text = text[: len(text) - begun]
    return text


def masked_headers(headers: Mapping[str, str], secrets: Sequence[str]) -> dict[str, str]:
    """Headers, their names in lower case, without keys."""
    return {
        name.lower(): _masked(value) if _BEARING.search(name) else without(value, secrets)
        for name, value in headers.items()
    }


def masked_url(url: str, secrets: Sequence[str]) -> str:
    """A url without its user, without keys among its parameters and without secrets."""
    return without(_PARAMETER.sub(_parameter, _USER.sub(rf"//{MASK}@", url)), secrets)


def _parameter(found: re.Match[str]) -> str:
    mark, name, value = found.groups()
    return f"{mark}{name}={MASK if _BEARING.search(name) else value}"


def _masked(credentials: str) -> str:
    scheme, space, _ = credentials.partition(" ")
    return f"{scheme} {MASK}" if space and scheme.lower() in _SCHEMES else MASK
