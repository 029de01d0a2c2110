"""``/_esinfer/similarities``: the cosines that the twin's vectors of some texts are to have.

Only ``esinfer mock`` has such; ``serve`` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from aiohttp import web

from esinfer.api import body
from esinfer.api.endpoints import reject_body
from esinfer.api.middleware import PARAMETERS
from esinfer.api.responses import respond_json
from esinfer.errors import MockOnly
from esinfer.threads import run_beside


class Pinning(Protocol):
    """Sets and shows similarities, as JSON values; raises ElasticsearchErrors."""

    def load(self, value: object, text: Callable[[], bytes]) -> Any:
        """What ``put`` and ``add`` take, out of a body; changes nothing."""

    def put(self, pins: Any) -> object: ...
    def add(self, pins: Any) -> object: ...
    def show(self) -> object: ...
    def delete_all(self) -> None: ...


SIMILARITIES: web.AppKey[Pinning] = web.AppKey("similarities")
"""Absent in an app that calls real upstreams."""


def _pinning(request: web.Request) -> Pinning:
    pinning = request.app.get(SIMILARITIES)
    if pinning is None:
        raise MockOnly(path=request.path)
    return pinning


async def get(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/similarities``."""
    reject_body(request)
    return await respond_json(request, _pinning(request).show())


async def put(request: web.Request) -> web.StreamResponse:
    """``PUT /_esinfer/similarities``: all of them."""
    return await _change(request, _pinning(request).put)


async def post(request: web.Request) -> web.StreamResponse:
    """``POST /_esinfer/similarities``: more of them."""
    return await _change(request, _pinning(request).add)


async def _change(request: web.Request, change: Callable[[Any], object]) -> web.StreamResponse:
    pinning = _pinning(request)
    data = await body.required_bytes(request)
    request[PARAMETERS].reject_unknown()
    pins = await body.load(request, data, lambda parsed: pinning.load(parsed.value, parsed.text))
    # Whether they can hold together takes some reckoning.
    return await respond_json(request, await run_beside(partial(change, pins)))


async def delete(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/similarities``: all of them."""
    reject_body(request)
    _pinning(request).delete_all()
    return await respond_json(request, {"acknowledged": True})
