"""``/_esinfer/upstreams``: what stands in for Hugging Face, its faults, what reached it.

Only ``esinfer mock`` has such; ``serve`` says so. Which twin it is is of no
interest here: ``UpstreamControl`` is all that is asked of it.
"""

from __future__ import annotations

from aiohttp import web

from esinfer.api import body
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import NAMESPACE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.responses import respond_json
from esinfer.errors import NoTwin
from esinfer.namespaces import UpstreamControl

_ACKNOWLEDGED = {"acknowledged": True}


def _control(request: web.Request) -> UpstreamControl:
    control = request[NAMESPACE].upstreams
    if control is None:
        raise NoTwin
    return control


def _name(request: web.Request) -> str:
    return request.match_info["name"]


async def get_all(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/upstreams``."""
    reject_body(request)
    return await respond_json(request, _control(request).show_all())


async def delete_all(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/upstreams``: all is as at the start."""
    reject_body(request)
    _control(request).delete_all()
    return await respond_json(request, _ACKNOWLEDGED)


async def get(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/upstreams/{name}``."""
    reject_body(request)
    return await respond_json(request, _control(request).show(_name(request)))


async def put(request: web.Request) -> web.StreamResponse:
    """``PUT /_esinfer/upstreams/{name}``: all of it, what is left out as at the start."""
    control = _control(request)
    data = await body.required_bytes(request)
    request[PARAMETERS].reject_unknown()
    name = _name(request)
    settings = await body.load(
        request, data, lambda parsed: control.load(name, parsed.value, parsed.text)
    )
    return await respond_json(request, control.put(name, settings))


async def delete(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/upstreams/{name}``."""
    reject_body(request)
    _control(request).delete(_name(request))
    return await respond_json(request, _ACKNOWLEDGED)


async def get_log(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/upstreams/{name}/log``."""
    reject_body(request)
    return await respond_json(request, _control(request).log(_name(request)))


async def clear_log(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/upstreams/{name}/log``."""
    reject_body(request)
    _control(request).clear_log(_name(request))
    return await respond_json(request, _ACKNOWLEDGED)
