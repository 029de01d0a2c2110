"""A server with Elasticsearch's inference API, asked from the command line.

Plain blocking requests on one connection; works with Elasticsearch as with
esinfer. Source: rest.md sections 2 to 5.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from esinfer.transfer import Portable, TransferError, from_wire

_HTTP_TYPES = {"Content-Type": "application/json", "Accept": "application/json"}


class Refused(TransferError):
    """The server answered with an error; ``status`` and ``kind`` are those of its body."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.kind = kind


def basic(user: str, password: str) -> str:
    """The value of ``Authorization``."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Remote:
    """Endpoints behind a url. Raises TransferError, and Refused where the server said no."""

    def __init__(
        self,
        url: str,
        *,
        authorization: str | None,
        certificates: Path | None,
        timeout: float,
    ) -> None:
        address = _address(url)
        self._shown = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
        self._prefix = address.path.rstrip("/")
        self._headers = dict(_HTTP_TYPES)
        if authorization is not None:
            self._headers["Authorization"] = authorization
        self._connection = self._connect(address, certificates, timeout)

    @staticmethod
    def _connect(
        address: SplitResult, certificates: Path | None, timeout: float
    ) -> http.client.HTTPConnection:
        host = address.hostname or ""
        if address.scheme == "http":
            return http.client.HTTPConnection(host, address.port, timeout=timeout)
        try:
            context = ssl.create_default_context(cafile=certificates)
        except OSError as error:
            raise TransferError(f"--ca: cannot read {certificates}: {error.strerror}") from error
        return http.client.HTTPSConnection(host, address.port, timeout=timeout, context=context)

    def close(self) -> None:
        self._connection.close()

    def list(self) -> list[Portable]:
        """All endpoints that a PUT could have made: Elasticsearch's own begin with a dot."""
        answer = self._ask("GET", "/_inference/_all")
        endpoints = [from_wire(each) for each in answer.get("endpoints", [])]
        return [each for each in endpoints if not each.inference_id.startswith(".")]

    def put(self, endpoint: Portable) -> None:
        self._ask("PUT", endpoint.path, endpoint.body)

    def delete(self, endpoint: Portable) -> None:
        self._ask("DELETE", f"/_inference/{quote(endpoint.inference_id, safe='')}")

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, self._prefix + path, data, self._headers)
            response = self._connection.getresponse()
            status, content = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            problem = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise TransferError(f"cannot ask {self._shown}: {problem}") from error
        return self._answer(status, content)

    def _answer(self, status: int, content: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        error = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(error, dict):
            raise Refused(status, str(error.get("type")), str(error.get("reason")))
        if isinstance(error, str):
            raise Refused(status, "", error)
        raise TransferError(f"{self._shown} answers {status}, but not as Elasticsearch does")


def _address(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        known = address.scheme in ("http", "https") and bool(address.hostname)
        known = known and (address.port is None or address.port > 0)
    except ValueError:
        known = False
    if not known:
        raise TransferError("--url must be an address such as http://localhost:9200")
    return address
