"""The table of routes.

Where an explicit path lacks a method that a wildcard has, the wildcard
answers: ``PUT /_inference/_services`` creates an endpoint of that name (and
is refused for it). aiohttp's router looks explicit paths up first and goes on
to the next resource when the method is missing, which gives just that.
Trailing slashes do not matter. Source: rest.md section 1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from esinfer.api import (
    admin,
    chunks,
    cluster,
    endpoints,
    health,
    inference,
    metrics,
    region_policy,
    services,
    upstreams,
)
from esinfer.api.middleware import ANY_SLASHES, expect

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

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
    ("GET", "/_esinfer/ready", health.ready),
    ("GET", "/_esinfer/metrics", metrics.metrics),
    ("POST", "/_esinfer/chunk", chunks.chunk),
    ("POST", f"/_esinfer/inference/{_TYPED}/chunked", chunks.infer_chunks),
    ("GET", "/_esinfer/upstreams", upstreams.get_all),
    ("DELETE", "/_esinfer/upstreams", upstreams.delete_all),
    ("GET", f"/_esinfer/upstreams/{_NAME}", upstreams.get),
    ("PUT", f"/_esinfer/upstreams/{_NAME}", upstreams.put),
    ("DELETE", f"/_esinfer/upstreams/{_NAME}", upstreams.delete),
    ("GET", f"/_esinfer/upstreams/{_NAME}/log", upstreams.get_log),
    ("DELETE", f"/_esinfer/upstreams/{_NAME}/log", upstreams.clear_log),
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


def add_routes(app: web.Application) -> None:
    """Register the table.

    Paths without parts to fill in are looked up whole, with a slash at the
    end or without; the others take any number of slashes.
    """
    for method, path, handler in ROUTES:
        for pattern in _patterns(path):
            app.router.add_route(method, pattern, handler, expect_handler=expect)


def _patterns(path: str) -> tuple[str, ...]:
    if path == "/":
        return (path,)
    return (f"{path}{{{ANY_SLASHES}:/*}}",) if "{" in path else (path, f"{path}/")
