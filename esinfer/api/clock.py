"""``/_esinfer/clock``: look at a namespace's time, set how it passes, let it pass."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from esinfer import units
from esinfer.api import body
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import NAMESPACE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.responses import respond_json
from esinfer.clock import Clock, Mode
from esinfer.errors import IllegalArgument
from esinfer.object_parser import ObjectParser, TextField


class ClockParser(ObjectParser):
    parser_name = "clock"

    mode = TextField()
    advance = TextField()


_CLOCK = ClockParser()


async def get(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/clock``."""
    reject_body(request)
    return await _respond(request, request[NAMESPACE].clock)


async def post(request: web.Request) -> web.StreamResponse:
    """``POST /_esinfer/clock``: the mode first, if one is given; then time passes."""
    data = await body.required_bytes(request)
    request[PARAMETERS].reject_unknown()
    mode, advance = await body.load(request, data, _load)
    clock = request[NAMESPACE].clock
    if mode is not None:
        clock.mode = mode
    if advance is not None:
        with clock.resting():
            await clock.advance(advance)
    return await _respond(request, clock)


def _load(parsed: body.Body) -> tuple[Mode | None, float | None]:
    members: dict[str, Any] = _CLOCK.parse(parsed.value, parsed.text)
    mode, advance = members.get("mode"), members.get("advance")
    if mode is None and advance is None:
        raise IllegalArgument(reason="Required one of fields [mode, advance]")
    return (None if mode is None else _mode(mode), None if advance is None else _seconds(advance))


def _mode(text: str) -> Mode:
    try:
        return Mode(text)
    except ValueError as error:
        known = ", ".join(Mode)
        raise IllegalArgument(reason=f"[mode] is [{text}], expected one of [{known}]") from error


def _seconds(text: str) -> float:
    try:
        seconds = units.parse_time(text)
    except ValueError as error:
        raise IllegalArgument(reason=f"failed to parse [advance]: {error}") from error
    if seconds < 0:
        raise IllegalArgument(reason=f"[advance] is [{text}], and time does not go back")
    return seconds


async def _respond(request: web.Request, clock: Clock) -> web.StreamResponse:
    shown = {"mode": clock.mode, "time": round(clock.time(), 6), "waiting": clock.waiting}
    return await respond_json(request, shown)
