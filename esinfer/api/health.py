"""``/_esinfer/health`` and ``/_esinfer/ready``: whether to restart a server, whether to ask it."""

from __future__ import annotations

import asyncio
import os

from aiohttp import web

from esinfer.api.answers import INTEGER
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import NAMESPACES
from esinfer.api.operation import documented
from esinfer.api.responses import respond_json
from esinfer.errors import RegionPolicyUnreadable, ServerStopping, StoreUnavailable
from esinfer.json_schema import record
from esinfer.readiness import READINESS
from esinfer.region_policy import NoRegionPolicy

_PATIENCE = 5.0
_LIVE = record({"status": {"const": "live"}, "pid": INTEGER})
_READY = record({"status": {"const": "ready"}, "pid": INTEGER})


@documented("Tell whether the process answers", answer=_LIVE)
async def live(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/health``: the process answers; ``pid`` tells workers apart."""
    reject_body(request)
    return await respond_json(request, {"status": "live", "pid": os.getpid()})


@documented("Tell whether to send requests here", answer=_READY, errors=[503])
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
            await app[NAMESPACES].default.region_policy.get()
    except (NoRegionPolicy, RegionPolicyUnreadable):  # which the store has answered
        return
    except TimeoutError as error:
        raise StoreUnavailable from error
