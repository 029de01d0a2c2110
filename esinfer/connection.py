"""A connection with a client, below the application, and what runs an application behind such.

aiohttp answers bytes that are no HTTP request by itself and quotes them, to
the caller and in the log; they may hold a key. Here nothing that came in is
quoted. How such bytes are answered is each server's own: ``api.protocol`` and
``twin.protocol``.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from traceback import walk_tb
from typing import Any, cast

from aiohttp import hdrs, http_exceptions, web
from aiohttp.http import HttpVersion10, HttpVersion11
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import _ErrInfo

from esinfer.unread import CountedTransport, UnreadAnswers

RequestFactory = Callable[..., web.BaseRequest]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What a server takes of its clients; 0 is no limit.

    ``receive_timeout`` are the seconds from the first byte of a request, or
    from the connection's start, to the request's last byte; ``send_timeout``
    those in which a client takes nothing of its answer.
    """

    connections: int = 0
    headers: int = 128
    receive_timeout: float = 0.0
    send_timeout: float = 0.0


NO_LIMITS = ConnectionLimits()
SPARE = 100
"""Connections beyond the limit that are told so, or as many as the limit is; more just end."""
_SHORT = 1.0
"""Seconds that one too many has for its request; else it would hold a place for nothing."""
_VERSIONS = (HttpVersion10, HttpVersion11)


class RequestTooSlow(http_exceptions.HttpProcessingError):
    """The request did not come within its time."""

    code = HTTPStatus.REQUEST_TIMEOUT


class TooManyConnections(Exception):
    """There is no place for one more connection."""


class BareResponse(web.Response):
    """Without ``Server``, and without a ``Content-Type`` that it was not given.

    The signal that changes headers elsewhere knows only requests.
    """

    async def _prepare_headers(self) -> None:
        content_type = self.headers.get(hdrs.CONTENT_TYPE)
        await super()._prepare_headers()
        self.headers.popall(hdrs.SERVER, None)
        if content_type is None:
            self.headers.popall(hdrs.CONTENT_TYPE, None)


class Connection(web.RequestHandler):
    """aiohttp's connection, which keeps to itself what it was sent."""

    _limits = NO_LIMITS
    _is_one_too_many = False
    _receive_timeout = 0.0
    _body: StreamReader | None = None
    """That of the last request, as long as it is not complete."""
    _has_begun = False
    """Whether there are bytes of a head that is not complete."""
    _timer: asyncio.TimerHandle | None = None

    def refusal(self, status: int, exc: BaseException | None) -> web.Response:
        """The last answer on the connection; ``status`` is 4xx, or above 499 for a defect.

        What is refused with 4xx has not reached the application.
        """
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """Take bytes; a handler that waits for the rest of a broken body is told so.

        aiohttp queues the error behind the request, which then waits for ever.
        """
        if self._is_one_too_many:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, TooManyConnections())
            return
        queued = len(self._messages)
        super().data_received(data)
        self._follow(data, is_new=len(self._messages) > queued)
        request = self._current_request
        if request is None or request.content.is_eof() or not self._messages:
            return
        error = getattr(self._messages[-1][0], "exc", None)
        if error is not None:
            request.content.set_exception(error)
            request.content.feed_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        counted = CountedTransport(cast(asyncio.Transport, transport))
        super().connection_made(cast(asyncio.Transport, counted))
        server = self._manager
        if isinstance(server, Server):
            self._limits = server.limits
            self._receive_timeout = self._limits.receive_timeout
            self._is_one_too_many = 0 < self._limits.connections < server.open_connections
        if self._is_one_too_many:
            self._receive_timeout = min(self._receive_timeout or _SHORT, _SHORT)
        self._start_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _follow(self, data: bytes, *, is_new: bool) -> None:
        """Keep track of how far the request has come; complete ones need no timer."""
        if is_new:
            self._body = self._messages[-1][1]
            self._has_begun = False
            self._check_head()
        if self._body is None:
            self._has_begun = self._has_begun or bool(data)
        elif self._body.is_eof():
            self._body = None
            self._stop_timer()
            return
        if data:
            self._start_timer()

    def _check_head(self) -> None:
        """Elasticsearch and hyper limit all headers together; aiohttp limits each.

        It also takes versions that it answers with a version that no client knows, and
        expectations that it quotes where it cannot write them.
        """
        message, limit = self._messages[-1][0], self.max_field_size
        if isinstance(message, _ErrInfo):
            return
        error: http_exceptions.HttpProcessingError | None = None
        expected = message.headers.get(hdrs.EXPECT, "")
        if message.version not in _VERSIONS or not expected.isascii():
            error = http_exceptions.BadHttpMessage("")
        elif sum(len(name) + len(value) + 4 for name, value in message.raw_headers) > limit:
            error = http_exceptions.LineTooLong(b"", limit)
        if error is not None:
            self._messages[-1] = (_ErrInfo(HTTPStatus.BAD_REQUEST, error, ""), EMPTY_PAYLOAD)

    def _start_timer(self) -> None:
        if self._timer is None and self._receive_timeout > 0:
            self._timer = self._loop.call_later(self._receive_timeout, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        """End a request that has not come in time; a connection on which nothing came just ends."""
        self._timer, request = None, self._current_request
        body, self._body = self._body, None
        if body is not None and (self._messages or request is not None):
            body.set_exception(RequestTooSlow())
            body.feed_eof()
        elif self._has_begun:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, RequestTooSlow())
        elif request is None:  # answered before its body came, or never begun
            self.force_close()
            if body is not None:  # somebody may wait for it
                body.feed_eof()

    def _refuse(self, status: int, error: Exception) -> None:
        """Let the next answer be a refusal, as if aiohttp had found bytes that are no HTTP."""
        if self._messages or self._force_close:
            return
        self._messages.append((_ErrInfo(status, error, ""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's words quote the request
    ) -> web.StreamResponse:
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.debug("refused bytes that are no HTTP request: %s", type(exc).__name__)
        elif not isinstance(exc, ConnectionError):  # a client that is gone is no defect
            _log_defect(exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun, another cannot follow")
        response = self.refusal(status, exc)
        response.force_close()
        return response

    def log_exception(self, *_args: object, exc_info: object = None, **_named: object) -> None:
        """Log what aiohttp found to be wrong after an answer."""
        _log_defect(exc_info if isinstance(exc_info, BaseException) else None)


def _log_defect(exc: BaseException | None) -> None:
    """What was raised and where: a trace of the stack would end in words that may quote a key."""
    calls = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in walk_tb(exc.__traceback__ if exc else None)
    ]
    kind = type(exc).__name__ if exc else "error"
    logger.error("unhandled %s in a request, at %s", kind, " < ".join(reversed(calls)) or "no line")


class Server(web.Server):
    """Makes a connection of ours for every one of an application's server."""

    def __init__(
        self,
        made: web.Server,
        connection: Callable[..., Connection],
        limits: ConnectionLimits,
        wrap: Callable[[RequestFactory], RequestFactory],
        note_closed: Callable[[], None],
    ) -> None:
        super().__init__(
            made.request_handler,
            request_factory=wrap(made.request_factory),
            loop=made._loop,  # noqa: SLF001 - aiohttp has no public way to choose the protocol
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,  # noqa: SLF001 - as above
        )
        self._connection = connection
        self.limits = limits
        self.open_connections = 0
        self._is_overrun = False
        self._note_closed = note_closed
        self._unread = UnreadAnswers(limits.send_timeout)

    def has_room(self, arriving: int) -> bool:
        """Whether one more may come in, if only to be told that there is no place for it.

        ``arriving`` are on their way in.
        """
        most = self.limits.connections
        return most == 0 or self.open_connections + arriving < most + min(most, SPARE)

    def turn_away(self, taken: socket.socket) -> None:
        """Close one that has no room; said once until there are no more than there may be."""
        taken.close()
        self._note_closed()
        if not self._is_overrun:
            most = self.limits.connections
            logger.warning(
                "connections are closed without an answer:"
                " there are %d more than max_connections (%d)",
                *(min(most, SPARE), most),
            )
        self._is_overrun = True

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self.open_connections += 1
        if self.open_connections <= self.limits.connections:
            self._is_overrun = False
        self._unread.add(handler, cast(CountedTransport, transport))
        super().connection_made(handler, transport)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        self.open_connections -= 1
        self._unread.remove(handler)
        super().connection_lost(handler, exc)

    def __call__(self) -> web.RequestHandler:
        return self._connection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application behind connections of ours; request bodies come as sent, packed or not.

    ``wrap`` changes what makes requests of messages, before anything is routed. ``note_closed``
    is called for each connection that is closed as there is no room for it. ``options`` are those
    of aiohttp's runner and of its connections.
    """

    def __init__(
        self,
        app: web.Application,
        connection: Callable[..., Connection],
        limits: ConnectionLimits = NO_LIMITS,
        *,
        wrap: Callable[[RequestFactory], RequestFactory] = lambda factory: factory,
        note_closed: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        super().__init__(app, auto_decompress=False, max_headers=limits.headers, **options)
        self._connection = connection
        self._limits = limits
        self._wrap = wrap
        self._note_closed = note_closed

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return Server(made, self._connection, self._limits, self._wrap, self._note_closed)
