"""``/_esinfer/stubs``: canned answers of the twin, input by input.

Only ``esinfer mock`` has such; ``serve`` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import web

from esinfer.api import body
from esinfer.api.endpoints import reject_body
from esinfer.api.middleware import PARAMETERS
from esinfer.api.responses import respond_json
from esinfer.errors import MockOnly


class Stubbing(Protocol):
    """Sets and shows stubs, as JSON values; raises ElasticsearchErrors."""

    def load(self, name: str | None, value: object, text: Callable[[], bytes]) -> Any:
        """What ``put`` takes, out of a body; changes nothing."""

    def put(self, name: str | None, stub: Any) -> object: ...
    def show(self, name: str) -> object: ...
    def show_all(self) -> object: ...
    def delete(self, name: str) -> None: ...
    def delete_all(self) -> None: ...


STUBS: web.AppKey[Stubbing] = web.AppKey("stubs")
"""Absent in an app that calls real upstreams."""

_ACKNOWLEDGED = {"acknowledged": True}


def _stubs(request: web.Request) -> Stubbing:
    stubs = request.app.get(STUBS)
    if stubs is None:
        raise MockOnly(path=request.path)
    return stubs


async def get_all(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/stubs``."""
    reject_body(request)
    return await respond_json(request, _stubs(request).show_all())


async def delete_all(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/stubs``."""
    reject_body(request)
    _stubs(request).delete_all()
    return await respond_json(request, _ACKNOWLEDGED)


async def get(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/stubs/{name}``."""
    reject_body(request)
    return await respond_json(request, _stubs(request).show(request.match_info["name"]))


async def put(request: web.Request) -> web.StreamResponse:
    """``PUT /_esinfer/stubs/{name}``: all of it; its counts begin anew."""
    return await _put(request, request.match_info["name"])


async def post(request: web.Request) -> web.StreamResponse:
    """``POST /_esinfer/stubs``: one more, which is given a name."""
    return await _put(request, None)


async def _put(request: web.Request, name: str | None) -> web.StreamResponse:
    stubs = _stubs(request)
    data = await body.required_bytes(request)
    request[PARAMETERS].reject_unknown()
    stub = await body.load(
        request, data, lambda parsed: stubs.load(name, parsed.value, parsed.text)
    )
    return await respond_json(request, stubs.put(name, stub))


async def delete(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/stubs/{name}``."""
    reject_body(request)
    _stubs(request).delete(request.match_info["name"])
    return await respond_json(request, _ACKNOWLEDGED)
