"""``/_esinfer/health`` and ``/_esinfer/ready``: whether to restart a server, whether to ask it."""

from __future__ import annotations

import asyncio
import os

from aiohttp import web

from esinfer.api.endpoints import reject_body
from esinfer.api.keys import REGION_POLICY
from esinfer.api.responses import respond_json
from esinfer.errors import ServerStopping, StoreUnavailable
from esinfer.readiness import READINESS
from esinfer.region_policy import NoRegionPolicy

_PATIENCE = 5.0


async def live(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/health``: the process answers; ``pid`` tells workers apart."""
    reject_body(request)
    return await respond_json(request, {"status": "live", "pid": os.getpid()})


async def ready(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/ready``: the store answers; 503 if it does not or the server is stopping."""
    reject_body(request)
    if request.app[READINESS].stopping:
        raise ServerStopping
    await _ask_store(request.app)
    return await respond_json(request, {"status": "ready", "pid": os.getpid()})


async def _ask_store(app: web.Application) -> None:
    """Read the one row that every store has at most one of; endpoints may be cached."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await app[REGION_POLICY].get()
    except NoRegionPolicy:
        return
    except TimeoutError as error:
        raise StoreUnavailable from error
