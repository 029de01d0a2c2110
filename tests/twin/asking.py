"""Asking a server of the twin, for its tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.servers import Server

JSON = {"content-type": "application/json"}


def post(
    server: Server,
    path: str,
    body: bytes | Mapping[str, object] | list[object],
    headers: Mapping[str, str] = JSON,
    query: str = "",
) -> TwinAnswer:
    """What the server answers to a POST."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return server.answer(
        TwinRequest(method="POST", path=path, headers=headers, body=raw, query=query)
    )


def get(server: Server, path: str, headers: Mapping[str, str] | None = None) -> TwinAnswer:
    """What the server answers to a GET."""
    return server.answer(TwinRequest(method="GET", path=path, headers=headers or {}))


def said(answer: TwinAnswer) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    assert answer.content_type == "application/json"
    return answer.status, orjson.loads(answer.body)
