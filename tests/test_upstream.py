"""The seam to the upstream: what goes out, what comes back, what breaks in between."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NoReturn

import aiohttp
import pytest
from aiohttp import client_exceptions
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from esinfer.api.responses import error_body
from esinfer.errors import ElasticsearchError, HttpClientFailed, Retry
from esinfer.tasks import TaskType
from esinfer.upstream import (
    HttpSettings,
    HttpTransport,
    UpstreamRequest,
    UpstreamStream,
    make_session,
    map_transport_error,
)
from tests.conftest import Answer, Upstream, envelope

SECRET = "hf_verysecretkey"
SETTINGS = HttpSettings(
    connect_timeout=5.0, max_response_size=1000, max_total_connections=2, max_route_connections=1
)


def request_to(url: str) -> UpstreamRequest:
    return UpstreamRequest(
        url=url,
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {SECRET}"},
        body=b'{"inputs":["a"]}',
        task_type=TaskType.TEXT_EMBEDDING,
        inference_id="id",
    )


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with make_session(SETTINGS) as made:
        yield made


@pytest.fixture
def transport(session: aiohttp.ClientSession) -> HttpTransport:
    return HttpTransport(session, SETTINGS)


async def failure(transport: HttpTransport, url: str) -> ElasticsearchError:
    with pytest.raises(ElasticsearchError) as raised:
        await transport.send(request_to(url))
    assert SECRET not in f"{raised.value!r} {raised.value} {error_body(raised.value)}"
    return raised.value


def facts(error: ElasticsearchError) -> tuple[str, str, Retry]:
    return error.type, error.reason, error.retry


Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def speaking(speak: Speak) -> AsyncIterator[str]:
    """A loopback server that reads a request and then does as it is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(b'{"inputs":["a"]}'))
            await speak(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client hung up, which is what some tests are about
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"


def saying(*parts: bytes) -> Speak:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return speak


def answer(*headers: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *headers, b"", body])


# -- what goes out ----------------------------------------------------------


async def test_request_goes_out_as_it_is(transport: HttpTransport, upstream: Upstream) -> None:
    upstream.answers(Answer.json([[1]]))
    response = await transport.send(request_to(upstream.url))
    assert (response.status, response.body) == (200, b"[[1]]")
    (sent,) = upstream.requests
    assert sent["body"] == b'{"inputs":["a"]}'
    assert sent["headers"]["Content-Type"] == "application/json"
    assert sent["headers"]["Authorization"] == f"Bearer {SECRET}"
    assert sent["headers"]["Accept"] == "*/*"
    assert sent["headers"]["Content-Length"] == "16"
    assert "Cookie" not in sent["headers"]


@pytest.mark.parametrize(
    "path",
    ["/", "/a%2Fb", "/%41", "/a//b/../c", "/x?q=%20+&r", "/x;p=1", "/~!$&'()*+,=:@"],
)
async def test_path_is_kept_byte_for_byte(
    transport: HttpTransport, upstream: Upstream, path: str
) -> None:
    targets: list[bytes] = []

    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"Content-Length: 2", body=b"[]"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets.append((await reader.readline()).split(b" ")[1])
        await speak(reader, writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await transport.send(request_to(f"http://127.0.0.1:{port}{path}#fragment"))
    assert targets == [path.encode()]


@pytest.mark.parametrize("user", ["user:pw@", "user@", ":pw@", "u%40:p@"])
async def test_user_of_the_url_does_not_replace_the_key(
    transport: HttpTransport, upstream: Upstream, user: str
) -> None:
    upstream.answers(Answer.json([[1]]))
    await transport.send(request_to(upstream.url.replace("//", f"//{user}") + "/%41?q=%20"))
    (sent,) = upstream.requests
    assert sent["headers"]["Authorization"] == f"Bearer {SECRET}"
    assert sent["path"] == "/x/%41?q=%20"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "url",
        "/x",
        "//127.0.0.1/x",
        "ftp://127.0.0.1/x",
        "mailto:a",
        "http:x",
        "http:///x",
        "http://h:99999/",
        "http://h:x/",
        "http://[::1/",
    ],
)
async def test_url_that_cannot_be_called_is_no_request(transport: HttpTransport, url: str) -> None:
    error = await failure(transport, url)
    assert isinstance(error, HttpClientFailed)
    assert error_body(error) == envelope(
        "exception", "Http client failed to send request from inference entity id [id]", 500
    )


async def test_key_that_no_header_can_hold_is_no_request(
    transport: HttpTransport, upstream: Upstream
) -> None:
    request = request_to(upstream.url)
    broken = UpstreamRequest(
        url=request.url,
        headers={"Authorization": f"Bearer {SECRET}\r\nX-Evil: 1"},
        body=b"",
        task_type=request.task_type,
        inference_id="id",
    )
    with pytest.raises(HttpClientFailed) as raised:
        await transport.send(broken)
    assert SECRET not in f"{raised.value} {raised.value.__cause__}"


# -- what comes back --------------------------------------------------------


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
async def test_redirect_is_an_answer_and_not_followed(
    transport: HttpTransport, upstream: Upstream, status: int
) -> None:
    upstream.answers(Answer(status, headers={"Location": upstream.url + "/elsewhere"}))
    assert (await transport.send(request_to(upstream.url))).status == status
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [200, 204, 400, 401, 413, 429, 500, 503, 599])
async def test_every_status_is_an_answer(
    transport: HttpTransport, upstream: Upstream, status: int
) -> None:
    upstream.answers(Answer(status, b"" if status == 204 else b"words"))
    response = await transport.send(request_to(upstream.url))
    assert (response.status, response.body) == (status, b"" if status == 204 else b"words")


async def test_cookies_are_not_kept(transport: HttpTransport, upstream: Upstream) -> None:
    upstream.answers(Answer(200, b"[]", headers={"Set-Cookie": "a=b"}))
    for _ in range(2):
        await transport.send(request_to(upstream.url))
    assert all("Cookie" not in sent["headers"] for sent in upstream.requests)


async def test_chunked_answer_is_put_together(transport: HttpTransport) -> None:
    parts = answer(b"Transfer-Encoding: chunked"), b"3\r\n[[1\r\n", b"2\r\n]]\r\n0\r\n\r\n"
    async with speaking(saying(*parts)) as url:
        assert (await transport.send(request_to(url))).body == b"[[1]]"


async def test_answer_without_a_length_ends_with_the_connection(transport: HttpTransport) -> None:
    async with speaking(saying(answer(b"Connection: close", body=b"[[1]]"))) as url:
        assert (await transport.send(request_to(url))).body == b"[[1]]"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_compressed_answer_is_unpacked(
    transport: HttpTransport, upstream: Upstream, coding: str
) -> None:
    packed = gzip.compress(b"[[1]]") if coding == "gzip" else zlib.compress(b"[[1]]")
    upstream.answers(Answer(200, packed, headers={"Content-Encoding": coding}))
    assert (await transport.send(request_to(upstream.url))).body == b"[[1]]"


# -- sizes ------------------------------------------------------------------

TOO_LARGE = ("i_o_exception", "Maximum limit of [1000] bytes reached", Retry.NO)


async def test_answer_may_be_as_large_as_the_limit(
    transport: HttpTransport, upstream: Upstream
) -> None:
    upstream.answers(Answer(200, b"x" * 1000))
    assert len((await transport.send(request_to(upstream.url))).body) == 1000


async def test_answer_over_the_limit_is_refused(
    transport: HttpTransport, upstream: Upstream
) -> None:
    upstream.answers(Answer(200, b"x" * 1001))
    assert facts(await failure(transport, upstream.url)) == TOO_LARGE


async def test_packed_answer_is_measured_unpacked(
    transport: HttpTransport, upstream: Upstream
) -> None:
    packed = gzip.compress(b"x" * 100_000)
    assert len(packed) < 1000
    upstream.answers(Answer(200, packed, headers={"Content-Encoding": "gzip"}))
    assert facts(await failure(transport, upstream.url)) == TOO_LARGE


async def test_answer_without_an_end_is_cut_off_at_the_limit(transport: HttpTransport) -> None:
    hung_up = asyncio.Event()

    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer())
        try:
            while True:
                writer.write(b"x" * 500)
                await writer.drain()
        finally:
            hung_up.set()

    async with speaking(speak) as url:
        assert facts(await failure(transport, url)) == TOO_LARGE
        await hung_up.wait()


# -- streams ----------------------------------------------------------------


async def test_stream_gives_each_chunk_as_it_comes(transport: HttpTransport) -> None:
    read = asyncio.Event()

    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"Transfer-Encoding: chunked"))
        for part in (b"data: a", b"data: b"):
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
            await read.wait()
        writer.write(b"0\r\n\r\n")

    chunks = []
    async with speaking(speak) as url, transport.stream(request_to(url)) as upstream:
        assert upstream.status == 200
        async for chunk in upstream.chunks:
            chunks.append(chunk)
            read.set()
    assert b"".join(chunks) == b"data: adata: b"
    assert chunks[0] == b"data: a"


async def test_stream_of_an_error_can_be_read(transport: HttpTransport, upstream: Upstream) -> None:
    upstream.answers(Answer(503, b"busy"))
    async with transport.stream(request_to(upstream.url)) as answered:
        assert (answered.status, [chunk async for chunk in answered.chunks]) == (503, [b"busy"])


async def leave(
    stream: AbstractAsyncContextManager[UpstreamStream], error: BaseException
) -> NoReturn:
    """Read one chunk, then fail."""
    async with stream as upstream:
        await anext(upstream.chunks)
        raise error


@pytest.mark.parametrize("error", [OSError("mine"), ValueError("mine"), asyncio.CancelledError()])
async def test_stream_that_is_left_hangs_up_and_what_left_it_stays_as_it_is(
    session: aiohttp.ClientSession, transport: HttpTransport, error: BaseException
) -> None:
    hung_up = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"Transfer-Encoding: chunked", body=b"1\r\na\r\n"))
        await reader.read()
        hung_up.set()

    async with speaking(speak) as url:
        for _ in range(2):  # the second has the only place again
            hung_up.clear()
            with pytest.raises(type(error)) as raised:
                await leave(transport.stream(request_to(url)), error)
            assert raised.value is error
            await hung_up.wait()
        connector = session.connector
        assert connector is not None
        assert not connector._acquired


async def test_stream_that_breaks_off_says_so_after_what_came(transport: HttpTransport) -> None:
    said = answer(b"Transfer-Encoding: chunked", body=b"3\r\n[[1\r\n")
    async with speaking(saying(said)) as url, transport.stream(request_to(url)) as upstream:
        assert await anext(upstream.chunks) == b"[[1"
        with pytest.raises(ElasticsearchError) as raised:
            await anext(upstream.chunks)
    assert facts(raised.value) == BROKEN_BODY


# -- what breaks ------------------------------------------------------------


async def test_refused_connection(transport: HttpTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = await failure(transport, f"http://127.0.0.1:{port}/")
    assert facts(error) == ("connect_exception", "Connection refused", Retry.AGAIN)


async def test_unknown_host(
    session: aiohttp.ClientSession, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(*_: object, **__: object) -> list[Any]:
        raise OSError(socket.EAI_NONAME, "Name or service not known")

    connector = session.connector
    assert isinstance(connector, aiohttp.TCPConnector)
    monkeypatch.setattr(connector._resolver, "resolve", resolve)
    url = "http://nowhere.invalid/x"
    error = await failure(transport, url)
    assert (error.retry, error.status) == (Retry.NO, 400)
    assert error_body(error) == envelope(
        "status_exception", f"Invalid host [{url}], please check that the URL is correct."
    )


async def test_connection_closed_before_the_headers(transport: HttpTransport) -> None:
    async with speaking(saying()) as url:
        assert facts(await failure(transport, url)) == (
            "connection_closed_exception",
            "Connection closed by peer",
            Retry.AGAIN,
        )


async def test_connection_reset_before_the_headers(transport: HttpTransport) -> None:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
        )
        writer.transport.abort()

    async with speaking(speak) as url:
        kind, reason, retry = facts(await failure(transport, url))
    assert (kind, reason, retry) in [
        ("i_o_exception", "Connection reset by peer", Retry.AGAIN),
        ("connection_closed_exception", "Connection closed by peer", Retry.AGAIN),
    ]


BROKEN_BODY = (
    "connection_closed_exception",
    "Premature end of the response body, or one that cannot be decoded",
    Retry.AGAIN,
)


@pytest.mark.parametrize(
    "said",
    [
        answer(b"Content-Length: 100", body=b"[[1"),
        answer(b"Transfer-Encoding: chunked", body=b"5\r\n[[1"),
        answer(b"Transfer-Encoding: chunked", body=b"3\r\n[[1\r\n"),
        answer(b"Transfer-Encoding: chunked", body=b"zz\r\n[[1\r\n0\r\n\r\n"),
        answer(b"Content-Encoding: gzip", b"Content-Length: 4", body=b"[[1]"),
        answer(b"Content-Encoding: deflate", b"Content-Length: 4", body=b"\xff\xff\xff\xff"),
    ],
    ids=["short", "cut chunk", "no last chunk", "bad chunk size", "no gzip", "no deflate"],
)
async def test_body_that_breaks_off_or_cannot_be_unpacked(
    transport: HttpTransport, said: bytes
) -> None:
    async with speaking(saying(said)) as url:
        kind, _, retry = facts(await failure(transport, url))
    assert (kind, retry) in [(BROKEN_BODY[0], Retry.AGAIN), ("i_o_exception", Retry.AGAIN)]


@pytest.mark.parametrize(
    "said",
    [
        b"hello\r\n\r\n",
        b"HTTP/9.9 x\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad\r\n\r\n",
    ],
)
async def test_garbage_is_no_answer(transport: HttpTransport, said: bytes) -> None:
    async with speaking(saying(said)) as url:
        assert facts(await failure(transport, url)) == (
            "i_o_exception",
            "The response is not valid HTTP",
            Retry.AGAIN,
        )


async def test_answer_that_nobody_asked_for_answers_nothing(transport: HttpTransport) -> None:
    """It would be taken for the next one's, which may be of another endpoint."""
    asked, unasked, closed = 0, asyncio.Event(), asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d"
        writer.write(answer % asked)
        if asked == 1:
            await unasked.wait()
            writer.write(answer % 7)
            assert await reader.read() == b""
            closed.set()

    async with speaking(speak) as url, asyncio.timeout(5):
        first = await transport.send(request_to(url))
        unasked.set()
        await closed.wait()
        second = await transport.send(request_to(url))
    assert (first.body, second.body) == (b"1", b"2")


async def test_plain_http_behind_an_https_url(transport: HttpTransport, upstream: Upstream) -> None:
    error = await failure(transport, upstream.url.replace("http:", "https:"))
    assert facts(error) == ("s_s_l_exception", "TLS handshake failed", Retry.AGAIN)


async def test_request_that_is_given_up_leaves_no_connection(
    session: aiohttp.ClientSession, transport: HttpTransport
) -> None:
    asked = asyncio.Event()
    hung_up = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        hung_up.set()

    async with speaking(speak) as url:
        for _ in range(2):  # the second has the only place again
            asked.clear()
            hung_up.clear()
            task = asyncio.get_running_loop().create_task(transport.send(request_to(url)))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await hung_up.wait()
            connector = session.connector
            assert connector is not None
            assert not connector._acquired


# -- the table --------------------------------------------------------------

KEY = ConnectionKey("h", 80, False, True, None, None, None)
INFO = aiohttp.RequestInfo(URL("http://h"), "POST", headers=None, real_url=URL("http://h"))  # type: ignore[arg-type]
PROBLEM = OSError(111, "quoting Bearer hf_verysecretkey")


ARGUMENTS: dict[type[BaseException], tuple[Any, ...]] = {
    aiohttp.ClientConnectorCertificateError: (KEY, ssl.SSLCertVerificationError(1, SECRET)),
    client_exceptions.UnixClientConnectorError: (SECRET, KEY, PROBLEM),
    aiohttp.ClientConnectorError: (KEY, PROBLEM),
    aiohttp.ClientResponseError: (INFO, ()),
    aiohttp.ServerFingerprintMismatch: (b"a", b"b", SECRET, 80),
    BaseException: (SECRET,),
}


def make(kind: type[BaseException]) -> BaseException:
    """An exception of aiohttp's, with what it wants to know."""
    base = next(base for base in kind.__mro__ if base in ARGUMENTS)
    return kind(*ARGUMENTS[base])


EXCEPTIONS = sorted(
    {
        value
        for value in vars(client_exceptions).values()
        if isinstance(value, type) and issubclass(value, aiohttp.ClientError)
    },
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_every_exception_of_aiohttp_is_mapped(kind: type[BaseException]) -> None:
    error = map_transport_error(make(kind), request_to("http://h"))
    assert SECRET not in f"{error!r} {error.reason}"
    assert error.reason


@pytest.mark.parametrize(
    "kind",
    [
        OSError,
        ConnectionResetError,
        BrokenPipeError,
        TimeoutError,
        ValueError,
        UnicodeError,
        EOFError,
    ],
)
def test_builtin_exceptions_are_mapped(kind: type[BaseException]) -> None:
    assert map_transport_error(kind(SECRET), request_to("http://h")).reason


def test_what_is_no_transport_error_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="unmapped transport error KeyError"):
        map_transport_error(KeyError("x"), request_to("http://h"))


@pytest.mark.parametrize("number", [101, 111, 113])
def test_connect_error_has_the_words_of_its_number(number: int) -> None:
    failed = aiohttp.ClientConnectorError(KEY, OSError(number, f"Connect call failed {SECRET}"))
    error = map_transport_error(failed, request_to("http://h"))
    assert (error.type, error.reason) == ("connect_exception", os.strerror(number))


# -- the secret -------------------------------------------------------------


def test_request_does_not_show_its_headers() -> None:
    assert SECRET not in repr(request_to("http://h"))


async def test_secret_is_in_no_log(
    transport: HttpTransport, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.answers(Answer(401, b"no"))
    await transport.send(request_to(upstream.url))
    for url in ("url", "http://127.0.0.1:1/"):
        await failure(transport, url)
    async with speaking(saying(b"hello\r\n\r\n")) as url:
        await failure(transport, url)
    assert SECRET not in caplog.text
