"""What answers when bytes are no HTTP request: the same envelope as everything else.

aiohttp answers such bytes itself, in plain text, before any middleware; here
its protocol class words the answer as Elasticsearch would and keeps the
product header on it. Source: rest.md sections 7.7 and 9.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import hdrs, http_exceptions, web

from esinfer.api.responses import PRODUCT, error_body
from esinfer.errors import (
    ElasticsearchError,
    IllegalState,
    MalformedHttp,
    TooLongHttpHeader,
    TooLongHttpLine,
)

logger = logging.getLogger(__name__)

MAX_LINE = 4096
MAX_HEADER = 16384


class _NamelessResponse(web.Response):
    """Without ``Server``; the signal that removes it elsewhere knows only requests."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        self.headers.popall(hdrs.SERVER, None)


class Protocol(web.RequestHandler):
    """aiohttp's connection, with errors of Elasticsearch's shape."""

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
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun, another cannot follow")
        error = _error(status, exc)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("unhandled error in a request", exc_info=exc)
        else:
            logger.debug("refused bytes that are no HTTP request: %s", message)
        response = _NamelessResponse(
            status=error.status,
            body=orjson.dumps(error_body(error)),
            content_type="application/json",
            headers=dict([PRODUCT]),
        )
        response.force_close()
        return response


def _error(status: int, exc: BaseException | None) -> ElasticsearchError:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return IllegalState(reason="esinfer failed; see its log")
    if isinstance(exc, http_exceptions.LineTooLong):
        _line, limit, *_ = exc.args  # what was too long shows only in the limit it broke
        return (TooLongHttpLine if limit == MAX_LINE else TooLongHttpHeader)(limit=limit)
    return MalformedHttp(problem=type(exc).__name__ if exc else "no reason known")


class _Server(web.Server):
    """Makes our protocol for every connection of an application's server."""

    def __call__(self) -> web.RequestHandler:
        return Protocol(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application behind our protocol."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            loop=made._loop,  # noqa: SLF001 - aiohttp has no public way to choose the protocol
            **made._kwargs,  # noqa: SLF001 - as above
        )


def make_runner(app: web.Application, **options: Any) -> Runner:
    """A runner for the server's app; request bodies come as sent, unpacking is ours."""
    limits = {"max_line_size": MAX_LINE, "max_field_size": MAX_HEADER}
    return Runner(app, auto_decompress=False, **(options | limits))
