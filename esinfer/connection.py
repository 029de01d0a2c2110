"""A connection with a client, below the application, and what runs an application behind such.

aiohttp answers bytes that are no HTTP request by itself and quotes them, to
the caller and in the log; they may hold a key. Here nothing that came in is
quoted. How such bytes are answered is each server's own: ``api.protocol`` and
``twin.protocol``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from traceback import walk_tb
from typing import Any

from aiohttp import hdrs, web

RequestFactory = Callable[..., web.BaseRequest]

logger = logging.getLogger(__name__)


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

    def refusal(self, status: int, exc: BaseException | None) -> web.Response:
        """The last answer on the connection; ``status`` is 400, or above 499 for a defect."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """Take bytes; a handler that waits for the rest of a broken body is told so.

        aiohttp queues the error behind the request, which then waits for ever.
        """
        super().data_received(data)
        request = self._current_request
        if request is None or request.content.is_eof() or not self._messages:
            return
        error = getattr(self._messages[-1][0], "exc", None)
        if error is not None:
            request.content.set_exception(error)
            request.content.feed_eof()

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


class _Server(web.Server):
    """Makes a connection of ours for every one of an application's server."""

    def __init__(
        self,
        made: web.Server,
        connection: type[Connection],
        wrap: Callable[[RequestFactory], RequestFactory],
    ) -> None:
        super().__init__(
            made.request_handler,
            request_factory=wrap(made.request_factory),
            loop=made._loop,  # noqa: SLF001 - aiohttp has no public way to choose the protocol
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,  # noqa: SLF001 - as above
        )
        self._connection = connection

    def __call__(self) -> web.RequestHandler:
        return self._connection(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application behind connections of ours; request bodies come as sent, packed or not.

    ``wrap`` changes what makes requests of messages, before anything is routed. ``options`` are
    those of aiohttp's runner and of its connections.
    """

    def __init__(
        self,
        app: web.Application,
        connection: type[Connection],
        *,
        wrap: Callable[[RequestFactory], RequestFactory] = lambda factory: factory,
        **options: Any,
    ) -> None:
        super().__init__(app, auto_decompress=False, **options)
        self._connection = connection
        self._wrap = wrap

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._connection, self._wrap)
