"""``/_esinfer/stubs``: canned answers of the twin, input by input.

Only ``esinfer mock`` has such; ``serve`` says so.
"""

from __future__ import annotations

from aiohttp import web

from esinfer.api import answers, body
from esinfer.api.answers import INTEGER, TEXT
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import NAMESPACE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.operation import Parameter, documented
from esinfer.api.responses import respond_json
from esinfer.errors import MockOnly
from esinfer.json_schema import Json, Named, array
from esinfer.mocking import Stubbing
from esinfer.object_parser import ObjectParser

STUB_PARSER = web.AppKey("stub_parser", ObjectParser)
"""What reads a stub, for the documentation."""

_ACKNOWLEDGED = {"acknowledged": True}
_PLACE = Parameter("name", "Name of the stub.")
_SHOWN: Json = {
    "type": "object",
    "properties": {"name": TEXT, "hits": INTEGER},
    "required": ["name", "hits"],
}
_STUB = Named("StubState", _SHOWN)
_STUBS = Named(
    "Stubs",
    {"type": "object", "properties": {"stubs": array(_STUB)}, "required": ["stubs"]},
)


def _stubs(request: web.Request) -> Stubbing:
    mocking = request[NAMESPACE].mocking
    if mocking is None:
        raise MockOnly(path=request.path)
    return mocking.stubs


@documented("List the stubs", answer=_STUBS)
async def get_all(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/stubs``."""
    reject_body(request)
    return await respond_json(request, _stubs(request).show_all())


@documented("Remove all stubs", answer=answers.ACKNOWLEDGED)
async def delete_all(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/stubs``."""
    reject_body(request)
    _stubs(request).delete_all()
    return await respond_json(request, _ACKNOWLEDGED)


@documented("Show a stub", parameters=[_PLACE], answer=_STUB, errors=[404])
async def get(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/stubs/{name}``."""
    reject_body(request)
    return await respond_json(request, _stubs(request).show(request.match_info["name"]))


@documented(
    "Set a stub",
    parameters=[_PLACE],
    bodies=[lambda app: app[STUB_PARSER]],
    answer=_STUB,
)
async def put(request: web.Request) -> web.StreamResponse:
    """``PUT /_esinfer/stubs/{name}``: all of it; its counts begin anew."""
    return await _put(request, request.match_info["name"])


@documented(
    "Add a stub, which is given a name",
    bodies=[lambda app: app[STUB_PARSER]],
    answer=_STUB,
)
async def post(request: web.Request) -> web.StreamResponse:
    """``POST /_esinfer/stubs``: one more, which is given a name."""
    return await _put(request, None)


async def _put(request: web.Request, name: str | None) -> web.StreamResponse:
    stubs = _stubs(request)
    data = await body.required_bytes(request)
    request[PARAMETERS].reject_unknown()
    stub = await body.load(
        request, data, lambda parsed: stubs.load(name, parsed.value, parsed.text)
    )
    return await respond_json(request, stubs.put(name, stub))


@documented("Remove a stub", parameters=[_PLACE], answer=answers.ACKNOWLEDGED, errors=[404])
async def delete(request: web.Request) -> web.StreamResponse:
    """``DELETE /_esinfer/stubs/{name}``."""
    reject_body(request)
    _stubs(request).delete(request.match_info["name"])
    return await respond_json(request, _ACKNOWLEDGED)
