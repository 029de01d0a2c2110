"""``/_esinfer/namespaces`` and ``/_esinfer/reset``: look at namespaces, drop and empty them.

They are made when a request first names them, see ``naming``.
"""

from __future__ import annotations

from aiohttp import web

from esinfer.api import answers
from esinfer.api.answers import INTEGER, TEXT
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import ABOUT, NAMESPACE, NAMESPACES
from esinfer.api.operation import Parameter, documented
from esinfer.api.responses import respond_json
from esinfer.clock import Mode
from esinfer.errors import NoNamespaces
from esinfer.json_schema import Named, array, record
from esinfer.namespaces import Namespace

_ACKNOWLEDGED = {"acknowledged": True}
_PLACE = Parameter("name", "Name of the namespace.")
_NAMESPACE = Named(
    "Namespace",
    record(
        {
            "name": TEXT,
            "endpoints": INTEGER,
            "journal_entries": INTEGER,
            "clock": {"enum": [str(mode) for mode in Mode]},
        }
    ),
)


def _refuse_to_serve(request: web.Request) -> None:
    if request.app[ABOUT].mode == "serve":
        raise NoNamespaces


@documented("List the namespaces", answer=record({"namespaces": array(_NAMESPACE)}))
async def get_all(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/namespaces``."""
    reject_body(request)
    shown = [await _describe(namespace) for namespace in request.app[NAMESPACES]]
    return await respond_json(request, {"namespaces": shown})


async def _describe(namespace: Namespace) -> dict[str, object]:
    return {
        "name": namespace.name,
        "endpoints": len(await namespace.store.list()),
        "journal_entries": 0 if namespace.journal is None else len(namespace.journal),
        "clock": namespace.clock.mode,
    }


@documented("Drop all namespaces but the default", answer=answers.ACKNOWLEDGED)
async def delete_all(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/namespaces``: all but the default."""
    reject_body(request)
    _refuse_to_serve(request)
    request.app[NAMESPACES].drop_all()
    return await respond_json(request, _ACKNOWLEDGED)


@documented("Drop a namespace", parameters=[_PLACE], answer=answers.ACKNOWLEDGED, errors=[404])
async def delete(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/namespaces/{name}``."""
    reject_body(request)
    _refuse_to_serve(request)
    request.app[NAMESPACES].drop(request.match_info["name"])
    return await respond_json(request, _ACKNOWLEDGED)


@documented("Set the namespace of the request back to the start", answer=answers.ACKNOWLEDGED)
async def reset(request: web.Request) -> web.StreamResponse:
    """``POST /_esinfer/reset``: the request's namespace is as at the start."""
    reject_body(request)
    _refuse_to_serve(request)
    await request.app[NAMESPACES].reset(request[NAMESPACE].name)
    return await respond_json(request, _ACKNOWLEDGED)
