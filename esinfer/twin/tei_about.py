"""What TEI tells of itself beside its answers: a description of its routes.

Source: text-embeddings-inference 1.9 ``server.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from esinfer.twin.answers import TwinAnswer, json

_TITLE = "Text Embeddings Inference"
_LICENSE = {"name": "Apache 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}


def openapi(version: str, routes: Mapping[str, Iterable[str]]) -> TwinAnswer:
    """``GET /api-doc/openapi.json``: every path with its methods, and no schemas."""
    paths = {path: {name.lower(): _operation(path) for name in routes[path]} for path in routes}
    about = {"title": _TITLE, "license": _LICENSE, "version": version}
    return json(200, {"openapi": "3.0.3", "info": about, "paths": paths})


def _operation(path: str) -> Mapping[str, object]:
    responses = {"200": {"description": f"The answer of {path}"}}
    return {"tags": [_TITLE], "responses": responses}


def docs() -> TwinAnswer:
    """``GET /docs``: a page that leads to the description; TEI has Swagger UI here."""
    page = (
        f"<!DOCTYPE html><html lang=en><title>{_TITLE}</title>"
        f'<p>{_TITLE}: <a href="/api-doc/openapi.json">its routes</a></html>'
    )
    return TwinAnswer(status=200, content_type="text/html; charset=utf-8", body=page.encode())
