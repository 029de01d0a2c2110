"""The one seam to the provider's HTTP API: a request out, a response in.

``Transport`` is what an inference sends through; ``HttpTransport`` is aiohttp,
the twin's is in process. Every foreign exception is mapped here, by one
table, into the errors that Elasticsearch's HTTP client would give.

Source: hugging_face.md sections 2, 5 and 5.3.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, cast

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.tracing import Trace
from yarl import URL

from esinfer.addresses import AddressRules
from esinfer.clock import Clock
from esinfer.errors import (
    ConnectError,
    ConnectionClosed,
    ConnectTimeout,
    ElasticsearchError,
    HttpClientFailed,
    InvalidHost,
    IoError,
    ResponseTooLarge,
    TlsError,
    UpstreamNotAllowed,
)
from esinfer.tasks import TaskType


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """A POST to the provider, complete; what may hold a key stays out of ``repr``."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    task_type: TaskType
    inference_id: str
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamResponse:
    """The provider's whole answer, unpacked if it was compressed."""

    status: int
    body: bytes = field(repr=False)  # it may quote the key


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamStream:
    """The beginning of the provider's answer; ``chunks`` come as they arrive."""

    status: int
    chunks: AsyncIterator[bytes]


class Transport(Protocol):
    """Sends one request; raises an ElasticsearchError when no answer came."""

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """The upstream's whole answer, whatever its status."""

    def stream(self, request: UpstreamRequest) -> AbstractAsyncContextManager[UpstreamStream]:
        """The upstream's answer while it comes; leaving the context closes the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Limits of the HTTP client; seconds and bytes."""

    connect_timeout: float
    max_response_size: int
    max_total_connections: int
    max_route_connections: int
    rules: AddressRules = field(default_factory=AddressRules)


def make_session(settings: HttpSettings) -> aiohttp.ClientSession:
    """The app's one client session. Only the request's timeout bounds a slow upstream."""
    connector = _Connector(
        settings.rules,
        limit=settings.max_total_connections,
        limit_per_host=settings.max_route_connections,
    )
    reader = partial(_Reader, loop=asyncio.get_running_loop())
    connector._factory = cast("partial[ResponseHandler]", reader)  # noqa: SLF001 - aiohttp has no public way to choose it
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


class _NotAllowed(aiohttp.ClientError):
    """None of a host's addresses may be called."""


class _Connector(aiohttp.TCPConnector):
    """Connects only to addresses that the rules allow.

    aiohttp asks its resolver for names alone; this is where names and
    addresses come together, just before it connects to what is returned here.
    """

    def __init__(self, rules: AddressRules, *, limit: int, limit_per_host: int) -> None:
        super().__init__(limit=limit, limit_per_host=limit_per_host)
        self._rules = rules

    async def _resolve_host(
        self, host: str, port: int, traces: Sequence[Trace] | None = None
    ) -> list[ResolveResult]:
        found = await super()._resolve_host(host, port, traces)
        allowed = [own for own in found if self._rules.allows(host, own["host"])]
        if found and not allowed:
            raise _NotAllowed
        return allowed

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        super()._release(key, protocol, should_close=should_close)
        if isinstance(protocol, _Reader):
            protocol.rest()


class _Reader(ResponseHandler):
    """aiohttp's end of a connection; a body that is no good HTTP fails here too.

    aiohttp closes the connection, but lets whoever reads the body wait for ever.
    It also keeps what comes while nothing is asked, and gives it to whoever asks next.
    """

    _rests = False

    def rest(self) -> None:
        """Nothing is asked until the next request; what comes before it ends the connection."""
        self._rests = True

    def set_response_params(self, **parameters: Any) -> None:
        self._rests = False
        super().set_response_params(**parameters)

    def data_received(self, data: bytes) -> None:
        if self._rests and data:
            self.close()
        else:
            super().data_received(data)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("broken chunks"))


class HttpTransport:
    """Sends over HTTP to exactly the request's url; redirects are not followed."""

    def __init__(self, session: aiohttp.ClientSession, settings: HttpSettings) -> None:
        self._session = session
        self._limit = settings.max_response_size

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        async with await self._open(request) as response:
            body = await self._read(response, request)
            return UpstreamResponse(status=response.status, body=body)

    async def _read(self, response: aiohttp.ClientResponse, request: UpstreamRequest) -> bytes:
        """The whole body; in one go if it says that it is short and does not unpack to more."""
        length = response.content_length
        if length is None or length > self._limit or hdrs.CONTENT_ENCODING in response.headers:
            return await read_all(_chunks(response, request), self._limit)
        try:
            return await response.read()
        except _FOREIGN as error:
            raise map_transport_error(error, request) from error

    @asynccontextmanager
    async def stream(self, request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
        # What is raised while the caller reads is the caller's; only our own awaits are mapped.
        async with (
            await self._open(request) as response,
            aclosing(_chunks(response, request)) as chunks,
        ):
            yield UpstreamStream(status=response.status, chunks=chunks)

    async def _open(self, request: UpstreamRequest) -> aiohttp.ClientResponse:
        try:
            return await self._session.post(
                _address(request.url),
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
            )
        except _FOREIGN as error:
            raise map_transport_error(error, request) from error


class LiveTransport:
    """A transport to the world outside, where time passes whatever the clock's mode is."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        with self._clock.outside():
            return await self._transport.send(request)

    @asynccontextmanager
    async def stream(self, request: UpstreamRequest) -> AsyncIterator[UpstreamStream]:
        with self._clock.outside():
            async with self._transport.stream(request) as upstream:
                yield upstream


async def _chunks(
    response: aiohttp.ClientResponse, request: UpstreamRequest
) -> AsyncGenerator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except _FOREIGN as error:
        raise map_transport_error(error, request) from error


async def read_all(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """The whole body; ResponseTooLarge once it is longer than ``limit``."""
    read: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise ResponseTooLarge(limit=limit)
        read.append(chunk)
    return read[0] if len(read) == 1 else b"".join(read)


_FOREIGN = (aiohttp.ClientError, OSError, ValueError, EOFError)


def _address(url: str) -> URL:
    """The url byte for byte, but for user information: the key is sent, nothing else.

    An empty query loses its question mark. ValueError if there is nothing to call.
    """
    address = URL(url, encoded=True)
    if address.scheme not in ("http", "https") or not address.raw_host:
        raise ValueError("not the address of an HTTP server")
    has_user = address.raw_user is not None or address.raw_password is not None
    return address.with_user(None) if has_user else address


ErrorMapper = Callable[[BaseException, UpstreamRequest], ElasticsearchError]


def _io(kind: type[IoError], reason: str) -> ErrorMapper:
    return lambda _error, _request: kind(reason=reason)


def _connect(error: BaseException, _request: UpstreamRequest) -> ElasticsearchError:
    number = error.errno if isinstance(error, OSError) else None
    return ConnectError(reason=os.strerror(number) if number else "Connection refused")


def _invalid_host(_error: BaseException, request: UpstreamRequest) -> ElasticsearchError:
    return InvalidHost(url=request.url)


def _not_allowed(_error: BaseException, request: UpstreamRequest) -> ElasticsearchError:
    return UpstreamNotAllowed(host=URL(request.url, encoded=True).host)


def _unsendable(_error: BaseException, request: UpstreamRequest) -> ElasticsearchError:
    return HttpClientFailed(inference_id=request.inference_id)


TRANSPORT_ERRORS: Mapping[type[BaseException], ErrorMapper] = {
    _NotAllowed: _not_allowed,
    aiohttp.ClientConnectorDNSError: _invalid_host,
    aiohttp.ClientSSLError: _io(TlsError, "TLS handshake failed"),
    aiohttp.ServerFingerprintMismatch: _io(TlsError, "TLS fingerprint mismatch"),
    aiohttp.ServerTimeoutError: _io(ConnectTimeout, "Connection timed out"),
    aiohttp.ClientConnectorError: _connect,
    aiohttp.ClientOSError: _io(IoError, "Connection reset by peer"),
    aiohttp.ServerDisconnectedError: _io(ConnectionClosed, "Connection closed by peer"),
    aiohttp.ServerConnectionError: _io(ConnectionClosed, "Connection closed by peer"),
    aiohttp.ClientConnectionError: _io(ConnectionClosed, "Connection is closed"),
    aiohttp.ClientPayloadError: _io(
        ConnectionClosed, "Premature end of the response body, or one that cannot be decoded"
    ),
    aiohttp.ClientResponseError: _io(IoError, "The response is not valid HTTP"),
    aiohttp.InvalidURL: _unsendable,
    aiohttp.ClientError: _io(IoError, "The request could not be sent"),
    OSError: _io(IoError, "Connection reset by peer"),
    ValueError: _unsendable,
    EOFError: _io(ConnectionClosed, "Connection closed by peer"),
}
"""The mapping, most specific class wins; a test walks aiohttp's exceptions through it."""


def map_transport_error(error: BaseException, request: UpstreamRequest) -> ElasticsearchError:
    """The Elasticsearch error for a failure of the transport.

    Reasons are fixed texts: what libraries say may quote headers.
    """
    for kind in type(error).__mro__:
        if kind in TRANSPORT_ERRORS:
            return TRANSPORT_ERRORS[kind](error, request)
    raise TypeError(f"unmapped transport error {type(error).__name__}") from error
