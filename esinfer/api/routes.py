"""The table of routes.

Where an explicit path lacks a method that a wildcard has, the wildcard
answers: ``PUT /_inference/_services`` creates an endpoint of that name (and
is refused for it). aiohttp's router looks explicit paths up first and goes on
to the next resource when the method is missing, which gives just that.
A handler says by ``documented`` what its operation is for; a test fails for a
route without.
Trailing slashes do not matter. Source: rest.md section 1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache

import orjson
from aiohttp import web
from aiohttp.web_urldispatcher import MatchInfoError, UrlMappingMatchInfo

from esinfer.api import (
    admin,
    chunks,
    clock,
    cluster,
    endpoints,
    health,
    inference,
    journal,
    metrics,
    namespaces,
    region_policy,
    services,
    similarities,
    stubs,
    upstreams,
)
from esinfer.api.keys import DOCUMENT
from esinfer.api.middleware import ANY_SLASHES, expect
from esinfer.api.operation import Handler

_ID = "{inference_id:[^/]+}"
_NAME = "{name:[^/]+}"
_TYPED = "{task_type:[^/]+}/" + _ID

ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/", cluster.root),
    ("HEAD", "/", cluster.root),
    ("GET", "/_license", cluster.license_),
    ("GET", "/_xpack", cluster.xpack),
    ("GET", "/_xpack/usage", cluster.usage),
    ("GET", "/_cluster/health", cluster.health),
    ("GET", "/_nodes", cluster.nodes),
    ("GET", "/_nodes/http", cluster.nodes),
    ("GET", "/_nodes/_all/http", cluster.nodes),
    ("GET", "/_nodes/http,settings", cluster.nodes),
    ("GET", "/_capabilities", cluster.capabilities),
    ("GET", "/_esinfer", admin.about),
    ("GET", "/_esinfer/health", health.live),
    ("HEAD", "/_esinfer/health", health.live),
    ("GET", "/_esinfer/ready", health.ready),
    ("HEAD", "/_esinfer/ready", health.ready),
    ("GET", "/_esinfer/metrics", metrics.metrics),
    ("GET", "/_esinfer/openapi.json", admin.openapi),
    ("POST", "/_esinfer/chunk", chunks.chunk),
    ("POST", f"/_esinfer/inference/{_TYPED}/chunked", chunks.infer_chunks),
    ("POST", "/_esinfer/reset", namespaces.reset),
    ("GET", "/_esinfer/namespaces", namespaces.get_all),
    ("DELETE", "/_esinfer/namespaces", namespaces.delete_all),
    ("DELETE", f"/_esinfer/namespaces/{_NAME}", namespaces.delete),
    ("GET", "/_esinfer/clock", clock.get),
    ("POST", "/_esinfer/clock", clock.post),
    ("GET", "/_esinfer/journal", journal.get_all),
    ("DELETE", "/_esinfer/journal", journal.clear),
    ("GET", "/_esinfer/journal/{sequence:[^/]+}", journal.get),
    ("GET", "/_esinfer/upstreams", upstreams.get_all),
    ("DELETE", "/_esinfer/upstreams", upstreams.delete_all),
    ("GET", f"/_esinfer/upstreams/{_NAME}", upstreams.get),
    ("PUT", f"/_esinfer/upstreams/{_NAME}", upstreams.put),
    ("DELETE", f"/_esinfer/upstreams/{_NAME}", upstreams.delete),
    ("GET", f"/_esinfer/upstreams/{_NAME}/log", upstreams.get_log),
    ("DELETE", f"/_esinfer/upstreams/{_NAME}/log", upstreams.clear_log),
    ("GET", "/_esinfer/similarities", similarities.get),
    ("PUT", "/_esinfer/similarities", similarities.put),
    ("POST", "/_esinfer/similarities", similarities.post),
    ("DELETE", "/_esinfer/similarities", similarities.delete),
    ("GET", "/_esinfer/stubs", stubs.get_all),
    ("POST", "/_esinfer/stubs", stubs.post),
    ("DELETE", "/_esinfer/stubs", stubs.delete_all),
    ("GET", f"/_esinfer/stubs/{_NAME}", stubs.get),
    ("PUT", f"/_esinfer/stubs/{_NAME}", stubs.put),
    ("DELETE", f"/_esinfer/stubs/{_NAME}", stubs.delete),
    ("GET", "/_inference", endpoints.get_all),
    ("GET", "/_inference/_all", endpoints.get_all),
    ("GET", "/_inference/_services", services.catalogue),
    ("GET", "/_inference/_services/{task_type:[^/]+}", services.catalogue),
    ("GET", "/_inference/.diagnostics", cluster.not_implemented),
    ("GET", "/_inference/_region_policy", region_policy.get),
    ("PUT", "/_inference/_region_policy", region_policy.put),
    ("DELETE", "/_inference/_region_policy", region_policy.delete),
    ("GET", "/_inference/_ccm", cluster.not_implemented),
    ("PUT", "/_inference/_ccm", cluster.not_implemented),
    ("DELETE", "/_inference/_ccm", cluster.not_implemented),
    # From here on paths are tried one after the other: the longer endings must come first.
    ("PUT", f"/_inference/{_ID}/_update", endpoints.update),
    ("POST", f"/_inference/{_ID}/_stream", inference.stream),
    ("POST", f"/_inference/{_TYPED}", inference.infer),
    ("GET", f"/_inference/{_TYPED}", endpoints.get),
    ("PUT", f"/_inference/{_TYPED}", endpoints.put),
    ("DELETE", f"/_inference/{_TYPED}", endpoints.delete),
    ("POST", f"/_inference/{_ID}", inference.infer),
    ("GET", f"/_inference/{_ID}", endpoints.get),
    ("PUT", f"/_inference/{_ID}", endpoints.put),
    ("DELETE", f"/_inference/{_ID}", endpoints.delete),
    ("PUT", f"/_inference/{_TYPED}/_update", endpoints.update),
    ("POST", f"/_inference/{_TYPED}/_stream", inference.stream),
)


class _NoRoute(MatchInfoError):
    """No handler, for which aiohttp would ask for the body."""

    @property
    def expect_handler(self) -> Callable[[web.Request], Awaitable[web.StreamResponse | None]]:
        return expect


class _Router(web.UrlDispatcher):
    """Answers an ``Expect`` header alike with a handler and without."""

    async def resolve(self, request: web.Request) -> UrlMappingMatchInfo:
        found = await super().resolve(request)
        error = found.http_exception
        return found if error is None else _NoRoute(error)


def add_routes(app: web.Application) -> None:
    """Register the table.

    Paths without parts to fill in are looked up whole, with a slash at the
    end or without; the others take any number of slashes.
    """
    app._router = _Router()  # noqa: SLF001 - as an argument aiohttp calls it deprecated
    app[DOCUMENT] = _document(app)
    for method, path, handler in ROUTES:
        for pattern in _patterns(path):
            app.router.add_route(method, pattern, handler, expect_handler=expect)


def _document(app: web.Application) -> Callable[[], bytes]:
    """Makes the OpenAPI document, once."""

    @lru_cache(maxsize=1)
    def make() -> bytes:
        from esinfer.api.openapi import make_document  # noqa: PLC0415 - not at start-up

        return orjson.dumps(make_document(ROUTES, app))

    return make


def _patterns(path: str) -> tuple[str, ...]:
    if path == "/":
        return (path,)
    return (f"{path}{{{ANY_SLASHES}:/*}}",) if "{" in path else (path, f"{path}/")
