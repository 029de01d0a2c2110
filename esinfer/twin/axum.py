"""What axum answers before a handler is reached; TEI and TGI both stand on it.

Source: axum 0.7 ``json.rs``, ``extract/rejection.rs``; upstream.md section 1a.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from esinfer.twin.answers import JSON, Refused, TwinAnswer, TwinRequest, text
from esinfer.twin.serde import MalformedBody

_Route = TypeVar("_Route")

_JSON_TYPE: Final = re.compile(r"application/(?:json|[^\s;,]+\+json)\s*(?:;.*)?", re.IGNORECASE)
_TOO_LARGE: Final = "Failed to buffer the request body: length limit exceeded"


def find(routes: Mapping[str, Mapping[str, _Route]], request: TwinRequest) -> _Route:
    """The route of a request; Refused, with no word, if there is none."""
    methods = routes.get(request.path)
    if methods is None:
        raise Refused(TwinAnswer(status=404))
    route = methods.get(request.method)
    if route is None:
        raise Refused(TwinAnswer(status=405, headers={"allow": ",".join(methods)}))
    return route


def authorize(headers: Mapping[str, str], api_key: str | None) -> None:
    """Refuse, with no word, who does not bring the key. ``headers`` have lower-case names."""
    if api_key is not None and headers.get("authorization") != f"Bearer {api_key}":
        raise Refused(TwinAnswer(status=401))


def admit(headers: Mapping[str, str], body: bytes, limit: int) -> None:
    """Refuse a body that is not announced as JSON or is longer than ``limit``."""
    content_type = headers.get("content-type", "")
    if content_type != JSON and not _JSON_TYPE.fullmatch(content_type):
        raise Refused(text(415, "Expected request with `Content-Type: application/json`"))
    if len(body) > limit:
        raise Refused(text(413, _TOO_LARGE))


def answered(respond: Callable[[], TwinAnswer]) -> TwinAnswer:
    """What ``respond`` gives, or the answer to what it refuses."""
    try:
        return respond()
    except Refused as refused:
        return refused.answer
    except MalformedBody as error:
        return text(error.status, str(error))


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}
