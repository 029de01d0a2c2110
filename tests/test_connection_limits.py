"""What a server takes of its clients: time, headers, connections. Raw sockets, bounded in time."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import socket
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
import trustme
from aiohttp import web

from esinfer.api.protocol import make_runner
from esinfer.app import make_app, make_twin
from esinfer.config import load
from esinfer.connection import Connection, ConnectionLimits, Runner
from esinfer.listening import Site
from esinfer.twin import protocol as twin
from tests.api.sockets import JSON, head, split
from tests.conftest import StartServer, envelope

SOON = 0.05
"""The receive timeout of these tests, in seconds."""
SLOW = b"the request did not come within the time that a client has to send one"
TAKEN = b"there are too many connections, see the setting [server] max_connections of esinfer"


@asynccontextmanager
async def listening(
    runner: Runner, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, int]]:
    await runner.setup()
    bound = socket.create_server(("127.0.0.1", 0))
    await Site(runner, bound, tls).start()
    try:
        yield bound.getsockname()
    finally:
        await runner.cleanup()


def server(
    *,
    connections: int = 0,
    headers: int = 128,
    receive_timeout: float = SOON,
    settings: Sequence[str] = (),
    send_timeout: float = 0.0,
) -> Runner:
    limits = ConnectionLimits(
        connections=connections,
        headers=headers,
        receive_timeout=receive_timeout,
        send_timeout=send_timeout,
    )
    return make_runner(
        make_app(load(None, {}, settings), "mock"),
        limits=limits,
        access_log=None,
        shutdown_timeout=1.0,
    )


async def talk(address: tuple[str, int], *parts: bytes) -> bytes:
    """Send the parts and then nothing more; all that comes until the server closes."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def open_handlers(runner: Runner) -> int:
    assert runner.server is not None
    return len(runner.server.connections)


async def settled(runner: Runner) -> None:
    """Come back when no connection is left."""
    async with asyncio.timeout(5):
        while open_handlers(runner):  # noqa: ASYNC110 -- the server's own affair
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "sent",
    [
        b"G",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n",
        b"POST /_inference/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n",
    ],
)
async def test_a_head_that_does_not_come_is_a_408(sent: bytes) -> None:
    runner = server()
    async with listening(runner) as address:
        answer = await talk(address, sent)
        await settled(runner)
    status, headers, body = split(answer)
    assert status.split()[1:] == [b"408", b"Request", b"Timeout"]
    assert b"x-elastic-product: elasticsearch" in headers
    assert SLOW in body


@pytest.mark.parametrize("header", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_a_body_that_does_not_come_is_a_408(header: str) -> None:
    runner = server()
    request = f"POST /_inference/x HTTP/1.1\r\nHost: a\r\n{JSON}\r\n{header}\r\n\r\n"
    async with listening(runner) as address:
        answer = await talk(address, request.encode(), b"5\r\n{" if "chunked" in header else b"{")
        await settled(runner)
    status, headers, body = split(answer)
    assert status == b"HTTP/1.1 408 Request Timeout"
    assert b"connection: close" in headers
    assert SLOW in body


async def test_a_byte_now_and_then_does_not_prolong_the_time() -> None:
    runner = server()
    async with listening(runner) as address:
        reader, writer = await asyncio.open_connection(*address)
        answer = asyncio.ensure_future(reader.read())
        async with asyncio.timeout(5):
            for byte in b"GET / HTTP/1.1\r\nX: " + b"a" * 10_000:
                if answer.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.wait([answer], timeout=SOON / 10)
        assert b"408 Request Timeout" in await answer
        writer.close()
        await settled(runner)


async def test_a_connection_on_which_nothing_comes_just_ends() -> None:
    runner = server()
    async with listening(runner) as address:
        assert await talk(address) == b""
        await settled(runner)


async def test_the_time_of_a_second_request_begins_with_it() -> None:
    runner = server()
    async with listening(runner) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(5):
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3 * SOON):  # idle between requests is no fault
                    await reader.read(1)
            writer.write(b"HEAD / HTTP/1.1\r\n")
            assert b"408 Request Timeout" in await reader.read()
        writer.close()


async def test_a_request_that_takes_long_but_came_in_time_is_answered(start: StartServer) -> None:
    runner = server()
    delay = {"faults": [{"kind": "latency", "delay": "150ms"}]}
    async with listening(runner) as address:
        for method, path, body in (
            (
                "PUT",
                "/_inference/text_embedding/x",
                b'{"service":"hugging_face","service_settings":{"url":"http://x","api_key":"k"}}',
            ),
            ("PUT", "/_esinfer/upstreams/default", repr(delay).replace("'", '"').encode()),
            ("POST", "/_inference/x", b'{"input":"a"}'),
        ):
            request = head(method, path, f"Content-Length: {len(body)}") + body
            assert (await talk(address, request)).startswith(b"HTTP/1.1 200 OK")


async def test_a_body_that_nobody_reads_does_not_hold_the_connection() -> None:
    runner = server()
    request = f"POST /nothing HTTP/1.1\r\nHost: a\r\n{JSON}\r\nContent-Length: 9\r\n\r\n".encode()
    async with listening(runner) as address:
        answer = await talk(address, request)
        await settled(runner)
    assert b"no handler found for uri" in answer


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Garbage is not looked for."""
    gc.disable()
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("receive_timeout", [5.0, SOON])
async def test_a_body_that_breaks_off_is_not_kept(receive_timeout: float) -> None:
    runner = server(receive_timeout=receive_timeout)
    size = 2_000_000
    async with listening(runner) as address:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(3):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(head("POST", "/_inference/x", f"Content-Length: {2 * size}"))
            writer.write(b"a" * size)
            await writer.drain()
            if receive_timeout == SOON:
                await reader.read()
            writer.close()
            await writer.wait_closed()
            await settled(runner)
        del reader, writer
        assert tracemalloc.get_traced_memory()[0] - before < size


async def test_the_twin_has_the_limits_too() -> None:
    limits = ConnectionLimits(receive_timeout=SOON, headers=20)
    runner = twin.make_runner(
        make_twin(load(None, {}, [])), limits=limits, access_log=None, shutdown_timeout=1.0
    )
    async with listening(runner) as address:
        assert b" 408 Request Timeout" in await talk(address, b"GET / HT")
        many = head("GET", "/info", *(f"X-{n}: a" for n in range(40)))
        assert b" 400 Bad Request" in await talk(address, many)
        await settled(runner)


async def test_too_many_headers_are_a_400() -> None:
    async with listening(server(headers=20, receive_timeout=5.0)) as address:
        assert b" 200 OK" in await talk(address, head("GET", "/", "X: a"))
        answer = await talk(address, head("GET", "/", *(f"X-{n}: a" for n in range(40))))
    assert b" 400 Bad Request" in answer
    assert b"invalid HTTP request" in answer


async def test_headers_that_are_too_long_together_are_a_400() -> None:
    async with listening(server(receive_timeout=5.0)) as address:
        few = head("GET", "/", *(f"X-{n}: {'a' * 1000}" for n in range(15)))
        assert b" 200 OK" in await talk(address, few)
        answer = await talk(address, head("GET", "/", *(f"X-{n}: {'a' * 1000}" for n in range(17))))
    assert b" 400 Bad Request" in answer
    assert b"too_long_http_header_exception" in answer
    assert b"HTTP header is larger than 16384 bytes." in answer


async def test_one_connection_too_many_is_a_429_until_another_ends() -> None:
    runner = server(connections=2, receive_timeout=5.0)
    request = head("GET", "/")
    async with listening(runner) as address:
        held = [await asyncio.open_connection(*address) for _ in range(2)]
        async with asyncio.timeout(5):
            while open_handlers(runner) < 2:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0)
            status, headers, body = split(await talk(address, request))
            assert status.split()[1:] == [b"429", b"Too", b"Many", b"Requests"]
            assert b"x-elastic-product: elasticsearch" in headers
            assert b'"es_rejected_execution_exception"' in body
            assert TAKEN in body
            for _, writer in held:
                writer.close()
                await writer.wait_closed()
            await settled(runner)
        assert b" 200 OK" in await talk(address, request)


LONG = head("GET", "/", f"X: {'a' * 20_000}")


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        (b"GET / HTTP/1.1\r\n", 408, "SlowRequest"),
        (b"NONSENSE hf_secret\r\n\r\n", 400, "MalformedHttp"),
        (LONG, 400, "TooLongHttpHeader"),
        (head("GET", f"/{'a' * 5000}"), 400, "TooLongHttpLine"),
    ],
)
async def test_what_is_refused_at_the_connection_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture, sent: bytes, status: int, kind: str
) -> None:
    caplog.set_level(logging.INFO, "esinfer.access")
    runner = server(settings=["logging.access_log=true"])
    async with listening(runner) as address:
        assert f" {status} ".encode() in await talk(address, sent)
        await settled(runner)
        (line,) = [each for each in caplog.records if each.name == "esinfer.access"]
        metrics = await talk(address, head("GET", "/_esinfer/metrics"))
    assert line.getMessage() == f"refused at the connection {status} {kind}"
    assert line.__dict__["ecs"] == {
        "http.response.status_code": status,
        "error.type": kind,
        "client.address": "127.0.0.1",
    }
    assert counted(metrics) == [f'{{method="other",route="none",status="{status}"}} 1.0']
    assert b"esinfer_http_requests_in_flight 1.0" in metrics, "this one"


def counted(metrics: bytes) -> list[str]:
    """The samples of the requests that were answered."""
    name = "esinfer_http_requests_total"
    lines = metrics.decode().splitlines()
    return [line.removeprefix(name) for line in lines if line.startswith(f"{name}{{")]


async def test_one_connection_too_many_is_counted_but_not_logged_unless_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "esinfer.access")
    runner = server(connections=1, receive_timeout=5.0)
    async with listening(runner) as address:
        _, writer = await asyncio.open_connection(*address)
        async with asyncio.timeout(5):
            while not open_handlers(runner):  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0)
        assert b" 429 " in await talk(address, head("GET", "/"))
        writer.close()
        await settled(runner)
        metrics = await talk(address, head("GET", "/_esinfer/metrics"))
    assert counted(metrics) == ['{method="other",route="none",status="429"} 1.0']
    assert not caplog.records


async def test_without_metrics_and_log_refusals_are_still_answers() -> None:
    runner = server(settings=["metrics.enabled=false"])
    async with listening(runner) as address:
        assert b" 400 " in await talk(address, b"NONSENSE\r\n\r\n")


@pytest.fixture
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_of_connections_above_the_limit_only_some_are_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("esinfer.connection._SHORT", 5.0)
    runner = server(connections=2, receive_timeout=5.0)
    async with listening(runner) as address, asyncio.timeout(5):
        opened = [await asyncio.open_connection(*address) for _ in range(5)]
        reader, writer = opened[4]
        with suppress(ConnectionError):
            assert await reader.read() == b""
        assert open_handlers(runner) == 4
        reader, writer = opened[3]
        writer.write(head("GET", "/"))
        assert b" 429 Too Many Requests" in await reader.read()
        for _, writer in opened:
            writer.close()
        await settled(runner)


async def test_closed_connections_are_counted_and_warned_of_once_until_there_is_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("esinfer.connection._SHORT", 5.0)
    runner = server(connections=1, receive_timeout=5.0)
    async with listening(runner) as address, asyncio.timeout(5):
        for _ in range(2):
            opened = [await asyncio.open_connection(*address) for _ in range(5)]
            for reader, _ in opened[2:]:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
            assert open_handlers(runner) == 2
            for _, writer in opened:
                writer.close()
            await settled(runner)
            assert b" 200 OK" in await talk(address, head("GET", "/"))
        metrics = await talk(address, head("GET", "/_esinfer/metrics"))
    assert b"\nesinfer_http_connections_closed_total 6.0\n" in metrics
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "connections are closed without an answer: there are 1 more than max_connections (1)"
    ] * 2


async def test_the_twin_warns_of_connections_that_it_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits = ConnectionLimits(connections=1)
    runner = twin.make_runner(
        make_twin(load(None, {}, [])), limits=limits, access_log=None, shutdown_timeout=1.0
    )
    async with listening(runner) as address, asyncio.timeout(5):
        opened = [await asyncio.open_connection(*address) for _ in range(3)]
        with suppress(ConnectionError):
            assert await opened[2][0].read() == b""
        for _, writer in opened:
            writer.close()
        await settled(runner)
    assert "connections are closed without an answer" in caplog.text


async def test_silence_above_the_limit_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esinfer.connection._SHORT", SOON)
    runner = server(connections=1, receive_timeout=0.0)
    async with listening(runner) as address, asyncio.timeout(5):
        _, held = await asyncio.open_connection(*address)
        assert await talk(address) == b""
        assert open_handlers(runner) == 1
        held.close()
        await settled(runner)


async def test_a_tls_handshake_has_the_time_of_a_request(tls: ssl.SSLContext) -> None:
    async with listening(server(), tls) as address:
        assert await talk(address) == b""
        assert await talk(address, b"\x16\x03\x01") == b""


async def test_who_shakes_hands_has_a_place(tls: ssl.SSLContext) -> None:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    async with listening(server(connections=1, receive_timeout=5.0), tls) as address:
        async with asyncio.timeout(5):
            held = [await asyncio.open_connection(*address) for _ in range(2)]
            with suppress(ConnectionError):
                assert await talk(address) == b""
            for _, writer in held:
                writer.close()
                await writer.wait_closed()
            while True:
                with suppress(ConnectionError):
                    reader, writer = await asyncio.open_connection(*address, ssl=client)
                    break
            writer.write(head("GET", "/"))
            assert b" 200 OK" in await reader.read()
            writer.close()


class Short(socket.socket):
    """A listening socket of a process that has no descriptor left, as often as ``fails`` says."""

    fails = 0

    def accept(self) -> tuple[socket.socket, object]:
        if self.fails:
            self.fails -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


async def test_a_lack_of_descriptors_is_said_once_and_passes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("esinfer.listening._REST", SOON)
    runner = server()
    await runner.setup()
    bound = Short()
    bound.bind(("127.0.0.1", 0))
    bound.fails = 3
    await Site(runner, bound, None).start()
    assert b" 200 OK" in await talk(bound.getsockname(), head("GET", "/"))
    await runner.cleanup()
    assert bound.fails == 0
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "cannot accept connections: Too many open files"
    ]


async def pipeline(address: tuple[str, int]) -> socket.socket:
    """A connection that asks for more than its buffers hold, and reads none of it."""
    loop = asyncio.get_running_loop()
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    opened.setblocking(False)
    await loop.sock_connect(opened, address)
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(10 * SOON):
            while True:
                await loop.sock_sendall(opened, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 500)
    return opened


async def test_a_client_that_does_not_read_does_not_hold_its_connection() -> None:
    runner = server(send_timeout=SOON)
    async with listening(runner) as address:
        with await pipeline(address):
            await settled(runner)


async def endless(request: web.Request) -> web.StreamResponse:
    """A stream that refills its connection's buffer as fast as it is emptied."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"a" * 2**14)


async def test_a_client_that_reads_a_stream_slowly_keeps_its_connection() -> None:
    app, loop = web.Application(), asyncio.get_running_loop()
    app.router.add_get("/", endless)
    limits = ConnectionLimits(send_timeout=4 * SOON)
    runner = Runner(app, Connection, limits, shutdown_timeout=0.0)
    async with listening(runner) as address:
        with socket.socket() as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            opened.setblocking(False)
            await loop.sock_connect(opened, address)
            await loop.sock_sendall(opened, head("GET", "/"))
            end = loop.time() + 12 * SOON
            while loop.time() < end:
                assert await loop.sock_recv(opened, 2**16)
        await settled(runner)


async def test_many_slow_clients_are_all_dropped_and_none_is_left() -> None:
    runner = server()
    async with listening(runner) as address:
        answers = await asyncio.gather(*(talk(address, b"GET / HTTP/1.1\r\n") for _ in range(200)))
        assert all(b"408" in answer for answer in answers)
        await settled(runner)


@pytest.mark.parametrize(
    ("path", "body", "count"),
    [
        ("/_inference/text_embedding/x", {"input": ["a", "b", "c"]}, 3),
        ("/_esinfer/chunk", {"input": ["a"] * 5}, 5),
        ("/_esinfer/inference/text_embedding/x/chunked", {"input": ["a"] * 4}, 4),
    ],
)
async def test_too_many_inputs_are_a_400(
    start: StartServer, path: str, body: object, count: int
) -> None:
    client = await start("server.max_inputs=2", mode="mock")
    settings = {"url": "http://x", "api_key": "k"}
    put = {"service": "hugging_face", "service_settings": settings}
    assert (await client("PUT", "/_inference/text_embedding/x", put)).status == 200
    reply = await client("POST", path, body)
    reason = (
        f"Field [input] has [{count}] entries, more than the [2] that the setting"
        " [server] max_inputs of esinfer allows"
    )
    assert (reply.status, reply.json) == (400, envelope("illegal_argument_exception", reason))
    assert (await client("POST", path, {"input": ["a", "b"]})).status == 200
