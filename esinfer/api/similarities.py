"""``/_esinfer/similarities``: the cosines that the twin's vectors of some texts are to have.

Only ``esinfer mock`` has such; ``serve`` says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web

from esinfer.api import answers, body
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import NAMESPACE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.operation import documented
from esinfer.api.responses import respond_json
from esinfer.errors import MockOnly
from esinfer.mocking import Pinning
from esinfer.object_parser import ObjectParser
from esinfer.threads import run_beside

SIMILARITIES_PARSER = web.AppKey("similarities_parser", ObjectParser)
"""What reads similarities, for the documentation; they are shown in the same form."""


def _pinning(request: web.Request) -> Pinning:
    mocking = request[NAMESPACE].mocking
    if mocking is None:
        raise MockOnly(path=request.path)
    return mocking.similarities


@documented("Show the similarities", answer=lambda app: app[SIMILARITIES_PARSER])
async def get(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/similarities``."""
    reject_body(request)
    return await respond_json(request, _pinning(request).show())


@documented(
    "Set the similarities, all of them",
    bodies=[lambda app: app[SIMILARITIES_PARSER]],
    answer=lambda app: app[SIMILARITIES_PARSER],
)
async def put(request: web.Request) -> web.StreamResponse:
    """``PUT /_esinfer/similarities``: all of them."""
    return await _change(request, _pinning(request).put)


@documented(
    "Add similarities",
    bodies=[lambda app: app[SIMILARITIES_PARSER]],
    answer=lambda app: app[SIMILARITIES_PARSER],
)
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


@documented("Forget the similarities", answer=answers.ACKNOWLEDGED)
async def delete(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/similarities``: all of them."""
    reject_body(request)
    _pinning(request).delete_all()
    return await respond_json(request, {"acknowledged": True})
