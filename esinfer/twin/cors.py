"""What browsers ask before they let a page call the server: tower-http's CORS layer.

TEI and TGI have it in front of all else. It allows any origin, and says so in
every answer.

Source: upstream.md section 1a; tower-http 0.5 ``cors``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.servers import Server

_HEADERS: Final = {
    "vary": "origin, access-control-request-method, access-control-request-headers",
    "access-control-allow-origin": "*",
}
_PREFLIGHT: Final = TwinAnswer(
    status=200,
    headers={
        **_HEADERS,
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "content-type",
    },
)


def answer(server: Server, request: TwinRequest) -> TwinAnswer:
    """The server's answer as it goes out over HTTP."""
    if not server.has_cors:
        return server.answer(request)
    if request.method == "OPTIONS":
        return _PREFLIGHT
    own = server.answer(request)
    return replace(own, headers={**own.headers, **_HEADERS})
