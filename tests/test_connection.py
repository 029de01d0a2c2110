"""What is logged about defects: never their words, which may quote a request."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import http_exceptions, web

from esinfer.connection import Connection, Runner
from tests.api.sockets import exchange, head, listening, split

KEY = "hunter2"


class Plain(Connection):
    """Answers with the name of what went wrong."""

    def refusal(self, status: int, exc: BaseException | None) -> web.Response:
        return web.Response(status=status, text=type(exc).__name__)


async def fail(_: web.Request) -> web.Response:
    try:
        raise http_exceptions.BadStatusLine(KEY)  # noqa: TRY301 -- the cause of what follows
    except http_exceptions.BadStatusLine as error:
        raise RuntimeError(KEY) from error


async def begin_and_fail(request: web.Request) -> web.Response:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun")
    raise RuntimeError(KEY)


async def unasked(_: web.BaseRequest) -> web.Response:
    raise AssertionError


@pytest.fixture
def app() -> web.Application:
    app = web.Application()
    app.add_routes([web.get("/", fail), web.get("/begun", begin_and_fail)])
    return app


async def test_a_defect_is_logged_by_its_class_and_place(
    app: web.Application, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(Runner(app, Plain, access_log=None)) as url:
        answer, closed = await exchange(url, head("GET", "/"))
    status, _, body = split(answer)
    assert (status, body, closed) == (b"HTTP/1.1 500 Internal Server Error", b"RuntimeError", True)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    line = fail.__code__.co_firstlineno + 4
    assert record.getMessage().startswith(
        f"unhandled RuntimeError in a request, at {__file__}:{line} < "
    )
    assert KEY not in caplog.text


async def test_an_answer_that_has_begun_is_broken_off(
    app: web.Application, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(Runner(app, Plain, access_log=None)) as url:
        answer, closed = await exchange(url, head("GET", "/begun"))
    assert answer.endswith(b"begun\r\n")
    assert closed
    assert "unhandled RuntimeError" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (ValueError(KEY), "unhandled ValueError in a request, at no line"),
        (None, "unhandled error in a request, at no line"),
    ],
)
async def test_what_aiohttp_finds_after_an_answer_is_logged_by_its_class(
    caplog: pytest.LogCaptureFixture, error: Exception | None, logged: str
) -> None:
    connection = Plain(web.Server(unasked), loop=asyncio.get_running_loop())
    connection.log_exception(f"Unhandled {KEY}", exc_info=error)
    assert [record.getMessage() for record in caplog.records] == [logged]
    assert caplog.records[0].exc_info is None
