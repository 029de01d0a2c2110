"""What answers when bytes are no HTTP request: the same envelope as everything else.

aiohttp answers such bytes itself, in plain text, before any middleware; here
its protocol class words the answer as Elasticsearch would and keeps the
product header on it. Source: rest.md sections 7.7 and 9.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import http_exceptions, web

from esinfer.api.keys import NOTE_CLOSED, NOTE_REFUSAL, NoteRefusal
from esinfer.api.naming import behind_prefix
from esinfer.api.responses import PRODUCT, error_body
from esinfer.connection import (
    BareResponse,
    Connection,
    RequestTooSlow,
    Runner,
    TooManyConnections,
)
from esinfer.errors import (
    ElasticsearchError,
    IllegalState,
    MalformedHttp,
    NoConnectionLeft,
    SlowRequest,
    TooLongHttpHeader,
    TooLongHttpLine,
)

MAX_LINE = 4096
"""``http.max_initial_line_length``"""
MAX_HEADER = 16384
"""``http.max_header_size``"""


class Protocol(Connection):
    """A connection with errors of Elasticsearch's shape."""

    _streaming: asyncio.Task[Any] | None = None

    def __init__(self, *args: Any, note_refusal: NoteRefusal | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._note_refusal = note_refusal

    @contextmanager
    def cancel_on_loss(self) -> Iterator[None]:
        """Cancel the current task if the client goes away meanwhile.

        Everything else is finished for a client that is gone; a stream is not.
        """
        self._streaming = asyncio.current_task()
        if self.transport is None and self._streaming is not None:
            self._streaming.cancel()  # it went while the request was read
        try:
            yield
        finally:
            self._streaming = None

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._streaming is not None:
            self._streaming.cancel()

    def refusal(self, status: int, exc: BaseException | None) -> web.Response:
        error = _error(status, exc)
        if self._note_refusal is not None and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            self._note_refusal(error, self._client_address())
        return BareResponse(
            status=error.status,
            body=orjson.dumps(error_body(error)),
            content_type="application/json",
            headers=dict([PRODUCT]),
        )

    def _client_address(self) -> str | None:
        peer = self.transport.get_extra_info("peername") if self.transport else None
        return str(peer[0]) if peer else None


def _error(status: int, exc: BaseException | None) -> ElasticsearchError:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return IllegalState(reason="esinfer failed; see its log")
    if isinstance(exc, TooManyConnections):
        return NoConnectionLeft()
    if isinstance(exc, RequestTooSlow):
        return SlowRequest()
    if isinstance(exc, http_exceptions.LineTooLong):
        _line, limit, *_ = exc.args  # what was too long shows only in the limit it broke
        return (TooLongHttpLine if limit == MAX_LINE else TooLongHttpHeader)(limit=limit)
    return MalformedHttp(problem=type(exc).__name__ if exc else "no reason known")


def make_runner(app: web.Application, **options: Any) -> Runner:
    """A runner for the server's app; request bodies come as sent, unpacking is ours."""
    return Runner(
        app,
        partial(Protocol, note_refusal=app.get(NOTE_REFUSAL)),
        wrap=behind_prefix,
        note_closed=app.get(NOTE_CLOSED, lambda: None),
        max_line_size=MAX_LINE,
        max_field_size=MAX_HEADER,
        **options,
    )
