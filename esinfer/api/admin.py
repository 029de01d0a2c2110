"""``/_esinfer``: what is esinfer's own. Source: interface.md."""

from __future__ import annotations

from aiohttp import web

import esinfer
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import ABOUT
from esinfer.api.responses import respond_json


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
