"""What a recording must not say: keys, wherever they are sent or quoted.

A request's own key is known from its headers and url; tokens of Hugging Face
are known by their form. Both are masked in the request too, so that a
recording is found again by whoever has another key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote

from esinfer.upstream import UpstreamRequest

_MASK: Final = "***"
_SHORTEST: Final = 8
"""A secret shorter than this may stand in a text by chance; ``errors.mask`` has the same bound."""
_TOKEN: Final = re.compile(r"hf_[A-Za-z0-9]{16,}")
_SECRET_NAME: Final = re.compile(
    r".*(token|key|secret|password|passwd|credentials?|signature|authorization|auth)|sig|pwd",
    re.IGNORECASE,
)
"""Headers and parameters whose value is a secret."""
_USER: Final = re.compile(r"^([^/?#]*//)([^/?#]*)@")
_PARAMETER: Final = re.compile(r"(?<=[?&;])([^=&;#]+)=([^&;#]*)")


class Mask:
    """Takes the secrets of one request out of texts, bodies and urls."""

    __slots__ = ("_forms",)

    def __init__(self, request: UpstreamRequest) -> None:
        forms = {form for secret in _secrets(request) for form in _spellings(secret)}
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without the secrets, however JSON or a url spells them."""
        for form in self._forms:
            text = text.replace(form, _MASK)
        return _TOKEN.sub(_MASK, text) if "hf_" in text else text

    def body(self, body: bytes) -> bytes:
        """The bytes without the secrets; they need be no good UTF-8."""
        return self.text(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def url(self, url: str) -> str:
        """The url without user, fragment and the values of secret parameters."""
        bare = _USER.sub(r"\1", url.partition("#")[0])
        return self.text(_PARAMETER.sub(_mask_parameter, bare))


def _mask_parameter(match: re.Match[str]) -> str:
    name, value = match.groups()
    return f"{name}={_MASK if _SECRET_NAME.fullmatch(unquote(name)) else value}"


def _secrets(request: UpstreamRequest) -> Iterator[str]:
    for name, value in request.headers.items():
        if _SECRET_NAME.fullmatch(name):
            yield value
            yield value.rpartition(" ")[2]
    user = _USER.search(request.url)
    if user is not None:
        yield from user[2].split(":")
    for name, value in _PARAMETER.findall(request.url):
        if _SECRET_NAME.fullmatch(unquote(name)):
            yield value


def _spellings(secret: str) -> Iterator[str]:
    """A secret as it is, in JSON, and in a url or out of one."""
    for plain in (secret, unquote(secret)):
        if len(plain) >= _SHORTEST:
            yield plain
            for ascii_only in (True, False):
                escaped = json.dumps(plain, ensure_ascii=ascii_only)[1:-1]
                yield escaped
                yield escaped.replace("/", "\\/")
            yield quote(plain, safe="")
            yield quote(plain)
