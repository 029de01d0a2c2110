"""What the twin says to bytes that are no HTTP request: a status and no word, as hyper does.

hyper is the HTTP server below TEI and TGI. Source: hyper 1.x,
``src/proto/h1/role.rs``, ``Server::on_error``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from aiohttp import http_exceptions, web

from esinfer.connection import BareResponse, Connection, Runner

MAX_LINE: Final = 65_534
"""hyper's limit of a request's path."""
MAX_HEADER: Final = 65_536
"""Of each header; hyper's limit is one of all headers together."""


class Protocol(Connection):
    """A connection that refuses with an empty answer."""

    def refusal(self, status: int, exc: BaseException | None) -> web.Response:
        return BareResponse(status=_status(status, exc))


def _status(status: int, exc: BaseException | None) -> int:
    if not isinstance(exc, http_exceptions.LineTooLong):
        return status
    _line, limit, *_ = exc.args  # what was too long shows only in the limit it broke
    if limit == MAX_LINE:
        return HTTPStatus.REQUEST_URI_TOO_LONG
    return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


def make_runner(app: web.Application, **options: Any) -> Runner:
    """A runner for the twin's app; who goes away before the answer is waited for no longer."""
    return Runner(
        app,
        Protocol,
        max_line_size=MAX_LINE,
        max_field_size=MAX_HEADER,
        handler_cancellation=True,
        **options,
    )
