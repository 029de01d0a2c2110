"""``/_esinfer/clock``: look at a namespace's time, set how it passes, let it pass."""

from __future__ import annotations

from typing import Any, ClassVar

from aiohttp import web

from esinfer import units
from esinfer.api import body
from esinfer.api.answers import INTEGER, NUMBER
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import NAMESPACE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.operation import documented
from esinfer.api.responses import respond_json
from esinfer.clock import Clock, Mode
from esinfer.errors import IllegalArgument
from esinfer.json_schema import Named, record
from esinfer.object_parser import ObjectParser, TextField


class ClockParser(ObjectParser):
    """How time is to pass, and how much now."""

    parser_name = "clock"
    examples: ClassVar = {
        "no wait takes time": {"mode": "auto"},
        "half a minute": {"advance": "30s"},
    }

    mode = TextField(metadata={"enum": [str(mode) for mode in Mode]})
    advance = TextField()


_CLOCK = ClockParser()
_SHOWN = Named(
    "ClockState",
    record(
        {
            "mode": {"enum": [str(mode) for mode in Mode]},
            "time": {**NUMBER, "description": "Seconds from any start."},
            "waiting": {**INTEGER, "description": "Waits that are under way."},
        }
    ),
)


@documented("Show the clock", answer=_SHOWN)
async def get(request: web.Request) -> web.StreamResponse:
    """``GET /_esinfer/clock``."""
    reject_body(request)
    return await _respond(request, request[NAMESPACE].clock)


@documented("Set the clock, or let time pass", bodies=[_CLOCK], answer=_SHOWN)
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
