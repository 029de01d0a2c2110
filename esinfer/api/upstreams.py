"""``/_esinfer/upstreams``: what stands in for Hugging Face, its faults, what reached it.

Only ``esinfer mock`` has such; ``serve`` says so. Which twin it is is of no
interest here: ``UpstreamControl`` is all that is asked of it.
"""

from __future__ import annotations

from aiohttp import web

from esinfer.api import answers, body
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import NAMESPACE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.operation import Parameter, documented
from esinfer.api.responses import respond, respond_json
from esinfer.errors import NoTwin
from esinfer.json_schema import Json, Named, any_of, array, record
from esinfer.mocking import UpstreamControl
from esinfer.object_parser import ObjectParser
from esinfer.threads import run_beside

UPSTREAM_PARSER = web.AppKey("upstream_parser", ObjectParser)
"""What reads the settings of an upstream, for the documentation."""

_ACKNOWLEDGED = {"acknowledged": True}


def _control(request: web.Request) -> UpstreamControl:
    mocking = request[NAMESPACE].mocking
    if mocking is None:
        raise NoTwin
    return mocking.upstreams


def _name(request: web.Request) -> str:
    return request.match_info["name"]


_PLACE = Parameter(name="name", description="The upstream; `default` is always there.")
_SIZE = Parameter(
    name="size", description="So many exchanges, the last ones.", schema=answers.INTEGER
)
_MESSAGE: Json = {
    "headers": {"type": "object", "additionalProperties": answers.TEXT},
    "body": answers.TEXT,
    "body_size": answers.INTEGER,
    "truncated": answers.FLAG,
}
_NULL: Json = {"type": "null"}
_FAULT: Json = {
    "type": "object",
    "description": "As declared, with the `times` that are left and the `hits` there were.",
    "properties": {"kind": answers.TEXT, "times": answers.INTEGER, "hits": answers.INTEGER},
    "required": ["kind", "hits"],
}
_UPSTREAM = Named(
    "ShownUpstream",
    record(
        {"name": answers.TEXT, "profile": answers.TEXT, "state": answers.TEXT}
        | {"faults": array(_FAULT)},
        {
            "url": answers.TEXT,
            "model": answers.TEXT,
            "dimensions": answers.INTEGER,
            "ready_after": answers.TEXT,
            "ready_after_requests": answers.INTEGER,
            "max_concurrent_requests": answers.INTEGER,
        },
    ),
)
_EXCHANGE = Named(
    "Exchange",
    record(
        {
            "sequence": answers.INTEGER,
            "time": {**answers.NUMBER, "description": "Seconds."},
            "request": record({"method": answers.TEXT, "url": answers.TEXT, **_MESSAGE}),
            "faults": array(answers.TEXT),
            "answer": any_of(record({"status": answers.INTEGER, **_MESSAGE}), _NULL),
            "ending": {"type": ["string", "null"]},
        },
        {"inference_id": answers.TEXT, "task_type": answers.TASK_TYPE},
    ),
)


@documented("List the upstreams", answer=record({"upstreams": array(_UPSTREAM)}))
async def get_all(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/upstreams``."""
    reject_body(request)
    return await respond_json(request, _control(request).show_all())


@documented("Set all upstreams back to the start", answer=answers.ACKNOWLEDGED)
async def delete_all(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/upstreams``: all is as at the start."""
    reject_body(request)
    _control(request).delete_all()
    return await respond_json(request, _ACKNOWLEDGED)


@documented("Show an upstream", parameters=[_PLACE], answer=_UPSTREAM, errors=[404])
async def get(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/upstreams/{name}``."""
    reject_body(request)
    return await respond_json(request, _control(request).show(_name(request)))


@documented(
    "Set an upstream",
    description="All of it: what is left out is as at the start. Any but `default` needs a `url`.",
    parameters=[_PLACE],
    bodies=[lambda app: app[UPSTREAM_PARSER]],
    answer=_UPSTREAM,
)
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


@documented("Remove an upstream", parameters=[_PLACE], answer=answers.ACKNOWLEDGED, errors=[404])
async def delete(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/upstreams/{name}``."""
    reject_body(request)
    _control(request).delete(_name(request))
    return await respond_json(request, _ACKNOWLEDGED)


@documented(
    "Show what reached an upstream",
    parameters=[_PLACE, _SIZE],
    answer=record({"exchanges": array(_EXCHANGE)}),
    errors=[404],
)
async def get_log(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/upstreams/{name}/log``."""
    size = request[PARAMETERS].text("size")
    reject_body(request)
    return await respond(request, await run_beside(_control(request).log(_name(request), size)))


@documented(
    "Forget what reached an upstream",
    parameters=[_PLACE],
    answer=answers.ACKNOWLEDGED,
    errors=[404],
)
async def clear_log(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/upstreams/{name}/log``."""
    reject_body(request)
    _control(request).clear_log(_name(request))
    return await respond_json(request, _ACKNOWLEDGED)
