"""A server with Elasticsearch's inference API, asked from the command line.

Plain blocking requests on one connection; works with Elasticsearch as with
esinfer. Source: rest.md sections 2 to 5.
"""

from __future__ import annotations

import base64
import builtins
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server is, and who asks it if the url says that; ``prefix`` is the quoted path."""

    scheme: str
    host: str
    port: int | None
    prefix: str
    shown: str
    user: str | None
    password: str | None = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises TransferError, also for hosts and paths that no request could name."""
        try:
            return cls._read(urlsplit(url))
        except ValueError:  # from None: it might quote the password
            problem = "--url must be an address such as http://localhost:9200"
            raise TransferError(problem) from None

    @classmethod
    def _read(cls, parts: SplitResult) -> Address:
        host = parts.hostname or ""
        host.encode("idna")
        nameable = host != "" and host.isprintable() and " " not in host
        if not nameable or parts.scheme not in {"http", "https"} or parts.port == 0:
            raise ValueError
        if parts.query or parts.fragment:
            raise ValueError
        return cls(
            scheme=parts.scheme,
            host=host,
            port=parts.port,
            prefix=quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~"),
            shown=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )


class Remote:
    """Endpoints behind an address. Raises TransferError, and Refused where the server said no."""

    def __init__(
        self,
        address: Address,
        *,
        authorization: str | None,
        certificates: Path | None,
        timeout: float,
    ) -> None:
        self._shown = address.shown
        self._prefix = address.prefix
        self._headers = dict(_HTTP_TYPES)
        if authorization is not None:
            self._headers["Authorization"] = authorization
        self._connection = self._connect(address, certificates, timeout)

    @staticmethod
    def _connect(
        address: Address, certificates: Path | None, timeout: float
    ) -> http.client.HTTPConnection:
        if address.scheme == "http":
            return http.client.HTTPConnection(address.host, address.port, timeout=timeout)
        try:
            context = ssl.create_default_context(cafile=certificates)
        except OSError as error:
            raise TransferError(f"--ca: cannot read {certificates}: {error.strerror}") from error
        return http.client.HTTPSConnection(
            address.host, address.port, timeout=timeout, context=context
        )

    def close(self) -> None:
        self._connection.close()

    def list(self) -> list[Portable]:
        """All endpoints that a PUT could have made: Elasticsearch's own begin with a dot."""
        endpoints = self._read("/_inference/_all")
        return [each for each in endpoints if not each.inference_id.startswith(".")]

    def get(self, endpoint: Portable) -> Portable:
        """What the server has by the id of an endpoint."""
        found = self._read(_path(endpoint))
        if len(found) != 1:
            raise self._strange(200)
        return found[0]

    def _read(self, path: str) -> builtins.list[Portable]:
        listed = self._ask("GET", path).get("endpoints")
        if not isinstance(listed, list):
            raise self._strange(200)
        return [from_wire(each) for each in listed]

    def put(self, endpoint: Portable) -> None:
        self._ask("PUT", endpoint.path, endpoint.body)

    def update(self, endpoint: Portable, change: Mapping[str, Any]) -> None:
        self._ask("PUT", f"{endpoint.path}/_update", change)

    def delete(self, endpoint: Portable) -> None:
        """Whatever its task type is on the server."""
        self._ask("DELETE", _path(endpoint))

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
        except (ValueError, RecursionError):
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        error = answer.get("error") if isinstance(answer, dict) else None
        if isinstance(error, dict):
            raise Refused(status, str(error.get("type")), _reason(error))
        if isinstance(error, str):
            raise Refused(status, "", error)
        raise self._strange(status)

    def _strange(self, status: int) -> TransferError:
        return TransferError(f"{self._shown} answers {status}, but not as Elasticsearch does")


def _path(endpoint: Portable) -> str:
    return f"/_inference/{quote(endpoint.inference_id, safe='')}"


def _reason(error: Mapping[str, Any]) -> str:
    """What an error says, and then what is said to have caused it."""
    reason = str(error.get("reason"))
    cause = error.get("caused_by")
    return f"{reason.rstrip('.')}: {_reason(cause)}" if isinstance(cause, dict) else reason
