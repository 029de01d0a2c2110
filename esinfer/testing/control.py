"""Requests to ``/_esinfer``: what a test says to the mock, beside what its code asks."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

_PATIENCE = 30.0


class Refused(Exception):
    """The mock will not have what a test told it; ``status``, ``type`` and ``reason`` say why."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(f"[{status}] {kind}: {reason}")
        self.status = status
        self.type = kind
        self.reason = reason


def call(url: str, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
    """The answer's JSON value. Raises Refused for an error."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port or 80, timeout=_PATIENCE
    )
    data = None if body is None else json.dumps(body).encode()
    headers = {} if data is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, f"{address.path}{path}", data, headers)
        with connection.getresponse() as response:
            answer = json.load(response)
    finally:
        connection.close()
    if response.status != HTTPStatus.OK:
        raise refusal(response.status, answer["error"])
    return answer


def refusal(status: int, error: Mapping[str, Any] | str) -> Refused:
    """Refused, out of the ``error`` of an answer."""
    if isinstance(error, str):  # of the router
        return Refused(status, "error", error)
    reasons = []
    cause: Mapping[str, Any] | None = error
    while cause is not None:
        reasons.append(cause["reason"])
        cause = cause.get("caused_by")
    return Refused(status, error["type"], ": ".join(reasons))
