"""The outermost middleware, which watches requests and changes none, and what watches refusals.

Trace ids for the log, numbers for the metrics, a line in the access log, and
the ``Server-Timing`` header of inferences, each if it is asked for. The path is
logged without its query, and no header but the ids.
"""

from __future__ import annotations

import logging
import re
from contextvars import Token
from functools import lru_cache
from time import perf_counter

from aiohttp import web
from aiohttp.typedefs import Middleware

from esinfer.api.keys import NoteRefusal
from esinfer.api.middleware import ANY_SLASHES, Handler
from esinfer.errors import ElasticsearchError
from esinfer.logs import REQUEST_IDS
from esinfer.metrics.meters import NO_ROUTE, Meters
from esinfer.metrics.timing import TIMING, Timing

ACCESS = logging.getLogger("esinfer.access")
CLIENT_GONE = 499
"""What nginx calls a client that did not wait for its answer."""
_TIMING = web.RequestKey("timing", Timing)
_TRACE_ID = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")


def observer(meters: Meters | None, *, access_log: bool) -> Middleware:
    """The middleware; without ``meters`` nothing is counted."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        timing = request[_TIMING] = Timing()
        token = TIMING.set(timing)
        ids = _note_ids(request)
        status = CLIENT_GONE
        if meters is not None:
            meters.begin_request()
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            TIMING.reset(token)
            if meters is not None:
                seconds = perf_counter() - timing.began
                meters.end_request(request.method, _route(request), status, seconds)
            if access_log:
                _log(request, status, perf_counter() - timing.began)
            if ids is not None:
                REQUEST_IDS.reset(ids)

    return observe


def refusal_observer(meters: Meters | None, *, access_log: bool) -> NoteRefusal:
    """Watches what connections refuse, which is no request yet: it has no method and no path."""

    def note(error: ElasticsearchError, client: str | None) -> None:
        if meters is not None:
            meters.count_refusal(error.status)
        if access_log:
            _log_refusal(error, client)

    return note


def _note_ids(request: web.Request) -> Token[dict[str, str]] | None:
    """Give all log lines of this request the ids that its client gave it."""
    headers = request.headers
    parent, opaque_id = headers.get("traceparent"), headers.get("X-Opaque-Id")
    if parent is None and opaque_id is None:
        return None
    ids: dict[str, str] = {}
    trace = _TRACE_ID.fullmatch(parent or "")
    if trace is not None:
        ids["trace.id"] = trace[1]
    if opaque_id is not None:
        ids["elasticsearch.http.request.x_opaque_id"] = opaque_id
    return REQUEST_IDS.set(ids)


def _route(request: web.Request) -> str:
    """The path in the table of routes."""
    resource = request.match_info.route.resource
    return NO_ROUTE if resource is None else _template(resource.canonical)


@lru_cache(maxsize=256)
def _template(canonical: str) -> str:
    return canonical.removesuffix(f"{{{ANY_SLASHES}}}").rstrip("/") or "/"


def _log(request: web.Request, status: int, seconds: float) -> None:
    ACCESS.info(
        "%s %s %d %.1f ms",
        *(request.method, request.path, status, seconds * 1000),
        extra={
            "ecs": {
                "http.request.method": request.method,
                "url.path": request.path,
                "http.response.status_code": status,
                "event.duration": int(seconds * 1e9),
                "client.address": request.remote,
            }
        },
    )


def _log_refusal(error: ElasticsearchError, client: str | None) -> None:
    kind = type(error).__name__
    ACCESS.info(
        "refused at the connection %d %s",
        *(error.status, kind),
        extra={
            "ecs": {
                "http.response.status_code": error.status,
                "error.type": kind,
                "client.address": client,
            }
        },
    )


async def add_timing(request: web.Request, response: web.StreamResponse) -> None:
    """Say on the answer to an inference where its time went, as far as it is answered."""
    timing = request.get(_TIMING)
    if timing is not None and timing.infers:
        response.headers["Server-Timing"] = timing.header()
