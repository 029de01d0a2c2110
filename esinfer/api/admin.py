"""``/_esinfer``: what is esinfer's own. Source: interface.md."""

from __future__ import annotations

from aiohttp import web

import esinfer
from esinfer.api.answers import TEXT
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import ABOUT, DOCUMENT
from esinfer.api.operation import documented
from esinfer.api.responses import respond, respond_json
from esinfer.json_schema import record
from esinfer.threads import run_beside


@documented(
    "Tell what server this is",
    answer=record(
        {
            "name": TEXT,
            "version": TEXT,
            "mode": {"enum": ["serve", "mock"]},
            "compatibility_version": {**TEXT, "description": "Elasticsearch's."},
        }
    ),
)
async def about(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer``: name, version, mode and the Elasticsearch version it speaks."""
    reject_body(request)
    about_server = request.app[ABOUT]
    return await respond_json(
        request,
        {
            "name": "esinfer",
            "version": esinfer.__version__,
            "mode": about_server.mode,
            "compatibility_version": about_server.version,
        },
    )


@documented("Describe the API in OpenAPI 3.1", answer={"type": "object"})
async def openapi(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/openapi.json``: made when first asked for."""
    reject_body(request)
    return await respond(request, await run_beside(request.app[DOCUMENT]))
