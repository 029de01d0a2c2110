"""``/__twin/``: the upstreams and their logs on the twin's own port, open without a key.

``/__twin/upstreams``, ``/__twin/upstreams/{name}``, ``…/{name}/log``, and
``/__twin/log``, which is the default's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import orjson
from aiohttp import web
from aiohttp.web import AbstractResource

from esinfer.errors import BodyRequired, ElasticsearchError
from esinfer.json_reader import read_first_value
from esinfer.threads import run_beside
from esinfer.twin.control import Control
from esinfer.twin.upstreams import DEFAULT, Upstreams, UpstreamSettings

_CONTROL: Final = web.AppKey("control", Control)
_MOST: Final = 8 * 1024 * 1024
_ACKNOWLEDGED: Final = {"acknowledged": True}

Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_routes(app: web.Application, upstreams: Upstreams, start: UpstreamSettings) -> None:
    """Register the routes; they come before all that the twin answers for others."""
    app[_CONTROL] = Control(upstreams, start=start, knows_inference_ids=False)
    one, log = "/__twin/upstreams/{name}", "/__twin/upstreams/{name}/log"
    routes: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/__twin/upstreams", _show_all),
        ("DELETE", "/__twin/upstreams", _delete_all),
        ("GET", one, _show),
        ("PUT", one, _put),
        ("DELETE", one, _delete),
        ("GET", log, _log),
        ("DELETE", log, _clear_log),
        ("GET", "/__twin/log", _log),
        ("DELETE", "/__twin/log", _clear_log),
    )
    for method, path, handler in routes:
        app.router.add_route(method, path, _worded(handler))
    known = list(app.router.resources())
    for path in ("/__twin", "/__twin/{rest:.*}"):
        app.router.add_route("*", path, partial(_unknown, known))


async def _unknown(known: Sequence[AbstractResource], request: web.Request) -> web.Response:
    """There is nothing of the server's here that is imitated: 404, or 405 for another method."""
    allowed = {method for one in known for method in (await one.resolve(request))[1]}
    asked = f"uri [{request.rel_url.raw_path}] and method [{request.method}]"
    if not allowed:
        error = {"type": "resource_not_found_exception", "reason": f"no handler found for {asked}"}
        return _respond({"error": error, "status": 404}, 404)
    reason = f"Incorrect HTTP method for {asked}, allowed: [{', '.join(sorted(allowed))}]"
    error = {"type": "illegal_argument_exception", "reason": reason}
    response = _respond({"error": error, "status": 405}, 405)
    response.headers["Allow"] = ",".join(sorted(allowed))
    return response


def _worded(handler: Handler) -> Handler:
    """A handler whose refusals are answers."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except ElasticsearchError as error:
            return _respond({"error": _error(error), "status": error.status}, error.status)

    return answer


def _error(error: BaseException) -> dict[str, object]:
    """An error and its causes."""
    if not isinstance(error, ElasticsearchError):
        return {"type": "exception", "reason": "unknown"}
    shown: dict[str, object] = {"type": error.type, "reason": error.reason}
    if isinstance(error.__cause__, ElasticsearchError):
        shown["caused_by"] = _error(error.__cause__)
    return shown


def _respond(value: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=orjson.dumps(value) + b"\n", content_type="application/json"
    )


def _name(request: web.Request) -> str:
    return request.match_info.get("name", DEFAULT)


async def _show_all(request: web.Request) -> web.Response:
    return _respond(request.app[_CONTROL].show_all())


async def _delete_all(request: web.Request) -> web.Response:
    request.app[_CONTROL].delete_all()
    return _respond(_ACKNOWLEDGED)


async def _show(request: web.Request) -> web.Response:
    return _respond(request.app[_CONTROL].show(_name(request)))


async def _put(request: web.Request) -> web.Response:
    data = bytearray()
    while chunk := await request.content.readany():
        data += chunk
        if len(data) > _MOST:
            raise web.HTTPRequestEntityTooLarge(max_size=_MOST, actual_size=len(data))
    if not data:
        raise BodyRequired
    body = bytes(data)
    value = read_first_value(body)
    control, name = request.app[_CONTROL], _name(request)
    return _respond(control.put(name, control.load(name, value, lambda: body)))


async def _delete(request: web.Request) -> web.Response:
    request.app[_CONTROL].delete(_name(request))
    return _respond(_ACKNOWLEDGED)


async def _log(request: web.Request) -> web.Response:
    write = request.app[_CONTROL].log(_name(request), request.query.get("size"))
    body = await run_beside(write)
    return web.Response(body=body + b"\n", content_type="application/json")


async def _clear_log(request: web.Request) -> web.Response:
    request.app[_CONTROL].clear_log(_name(request))
    return _respond(_ACKNOWLEDGED)
