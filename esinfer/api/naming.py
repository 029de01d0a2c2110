"""Which namespace a request is for: by path prefix, credentials or header.

Whatever client the code under test has, one of these it can be told without
a change to that code. The prefix is taken off before anything is routed, so
that nothing behind knows of it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from functools import lru_cache
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from yarl import URL

from esinfer.api.guard import is_stranger
from esinfer.api.keys import ABOUT, NAMESPACES
from esinfer.connection import RequestFactory
from esinfer.errors import IllegalArgument, NoNamespaces
from esinfer.namespaces import Namespace, check_name

HEADER: Final = "X-Esinfer-Namespace"
_PATH: Final = "/_ns/"
_USER: Final = "ns-"

PREFIX: Final = web.RequestKey("namespace_prefix", str)


def behind_prefix(make: RequestFactory) -> RequestFactory:
    """A factory of requests that takes ``/_ns/{name}`` off their paths, and notes the name."""

    def make_request(message: RawRequestMessage, *parts: Any) -> web.BaseRequest:
        if not message.path.startswith(_PATH):
            return make(message, *parts)
        name, path = _split(message.path.removeprefix(_PATH))
        request = make(message._replace(path=path, url=_url(path)), *parts)
        request[PREFIX] = name
        return request

    return make_request


def _split(target: str) -> tuple[str, str]:
    """The name, and the rest with the slash at its beginning."""
    end = next((at for at, char in enumerate(target) if char in "/?#"), len(target))
    rest = target[end:]
    return target[:end], rest if rest.startswith("/") else f"/{rest}"


def _url(target: str) -> URL:
    """As aiohttp reads a request's target."""
    path, _, fragment = target.partition("#")
    path, _, query = path.partition("?")
    return URL.build(path=path, query_string=query, fragment=fragment, encoded=True)


_ABOUT_ALL = "/_esinfer/namespaces"


def find_namespace(request: web.Request) -> Namespace:
    """The namespace of a request; an error if it names several, or one that cannot be."""
    namespaces = request.app[NAMESPACES]
    credentials = request.headers.get(hdrs.AUTHORIZATION)
    prefix = request.get(PREFIX)
    header = request.headers.get(HEADER)
    if credentials is None and prefix is None and header is None:
        return namespaces.default
    if request.app[ABOUT].mode == "serve":
        if prefix is None and header is None:
            return namespaces.default  # whose keys are nobody's business here
        raise NoNamespaces
    if request.path.startswith(_ABOUT_ALL) or is_stranger(request):
        return namespaces.default  # no namespace is made by looking at them, or dropping one
    user = None if credentials is None else _user(credentials)
    names = {name for name in (prefix, header, user) if name is not None}
    if len(names) > 1:
        listed = ", ".join(sorted(names))
        raise IllegalArgument(reason=f"The request names several namespaces [{listed}]")
    return namespaces.find(check_name(*names)) if names else namespaces.default


@lru_cache(maxsize=1024)
def _user(credentials: str) -> str | None:
    """The namespace in the user of ``Basic`` or in the id of ``ApiKey``, None if there is none."""
    scheme, _, encoded = credentials.partition(" ")
    if scheme.lower() not in ("basic", "apikey"):
        return None
    try:
        user = b64decode(encoded.strip()).partition(b":")[0].decode()
    except (binascii.Error, ValueError):
        return None
    return user.removeprefix(_USER) if user.startswith(_USER) else None
