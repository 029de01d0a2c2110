"""Both ends of a stream by hand: an upstream that writes bytes, a client that reads at will."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.api.sockets import settle
from tests.conftest import Client, Reply

PATIENCE = 10.0
"""Seconds after which a test that waits has failed."""

CONVERSATION = {"messages": [{"role": "user", "content": "How far is it?"}]}
BODIES: dict[str, object] = {
    "completion": {"input": "How far is it?"},
    "chat_completion": CONVERSATION,
}


def message(data: object) -> bytes:
    """An event of an answer, as it goes over the wire."""
    text = data.encode() if isinstance(data, str) else orjson.dumps(data)
    return b"event: message\ndata: " + text + b"\n\n"


def error(data: object) -> bytes:
    return b"event: error\ndata: " + orjson.dumps(data) + b"\n\n"


DONE = message("[DONE]")


def said(data: object, newline: str = "\n") -> bytes:
    """An event of the upstream."""
    text = data if isinstance(data, str) else orjson.dumps(data).decode()
    return f"data: {text}{newline}{newline}".encode()


def chunk(text: str, **members: object) -> dict[str, object]:
    """A chunk of OpenAI's form with more members than anyone needs."""
    return {
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "id": "12345",
        "model": "m",
        "system_fingerprint": "3.3.6-native",
        "choices": [
            {
                "index": 0,
                "logprobs": None,
                "finish_reason": None,
                "delta": {"role": "assistant", "content": text},
            }
        ],
    } | members


def delta(text: str) -> bytes:
    """What completion makes of ``chunk(text)``."""
    return message({"completion": [{"delta": text}]})


def chat_chunk(text: str) -> bytes:
    """What chat_completion makes of ``chunk(text)``."""
    choice = {"delta": {"content": text, "role": "assistant"}, "index": 0}
    return message(
        {"id": "12345", "choices": [choice], "model": "m", "object": "chat.completion.chunk"}
    )


# -- the upstream -----------------------------------------------------------


@dataclass(slots=True, eq=False)
class Peer:
    """The upstream's end of a connection of esinfer's, whose request has been read."""

    body: Any
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *parts: bytes) -> None:
        """Write bytes as they are; between parts esinfer has its turn."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await turn()

    async def begin(self, status: str = "200 OK", *headers: str) -> None:
        """The head of an answer in chunks."""
        lines = ["Content-Type: text/event-stream", "Transfer-Encoding: chunked", *headers]
        await self.send("\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode())

    async def chunks(self, *parts: bytes) -> None:
        """Parts of the body, each in a chunk of its own."""
        await self.send(*(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part))

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")

    def reset(self) -> None:
        """Close the connection as a crash does."""
        made = self.writer.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Come back once esinfer has closed the connection."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                while await self.reader.read(2**16):
                    pass


Script = Callable[[Peer], Awaitable[None]]


def sends(*parts: bytes) -> Script:
    """A whole answer, each part in a chunk of its own."""

    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.chunks(*parts)
        await peer.end()

    return script


def answers(status: str, body: bytes) -> Script:
    """An answer that is no stream."""

    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(body)))
        await peer.send(body)

    return script


@dataclass(slots=True)
class HandUpstream:
    """Answers every request by ``script``, then closes the connection."""

    script: Script = field(default_factory=sends)
    url: str = ""
    peers: list[Peer] = field(default_factory=list)
    running: int = 0
    failures: list[Exception] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.running += 1
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # esinfer has gone, as it may
        except Exception as failure:  # noqa: BLE001 - raised when the test ends
            self.failures.append(failure)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self.running -= 1

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        body = orjson.loads(await reader.readexactly(length))
        self.peers.append(Peer(body, reader, writer))
        await self.script(self.peers[-1])

    async def idle(self) -> None:
        """Come back once every connection is closed."""
        async with asyncio.timeout(PATIENCE):
            while self.running:
                await turn()


@asynccontextmanager
async def hand_upstream() -> AsyncIterator[HandUpstream]:
    """An upstream by hand; its scripts must have ended and not failed by the end."""
    made = HandUpstream()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**14)
    server = await asyncio.start_server(made.serve, sock=listener)
    made.url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
    try:
        yield made
        await made.idle()
    finally:
        server.close()
    assert made.failures == []


async def turn() -> None:
    """Let everything in this loop that can go on go on."""
    for _ in range(3):
        await asyncio.sleep(0)


# -- the client -------------------------------------------------------------


async def create_stream(client: Client, url: str, task_type: str) -> None:
    """An endpoint ``id`` at a server that makes no validation calls."""
    settings = {"url": url, "api_key": "secret"}
    body = {"service": "hugging_face", "service_settings": settings}
    reply = await client("PUT", f"/_inference/{task_type}/id", body)
    assert reply.status == 200, reply.text


async def stream(
    client: Client,
    task_type: str = "chat_completion",
    query: str = "",
    headers: dict[str, str] | None = None,
) -> Reply:
    """The whole answer of a stream."""
    path = f"/_inference/{task_type}/id/_stream{query}"
    async with asyncio.timeout(PATIENCE):
        return await client("POST", path, BODIES[task_type], headers=headers)


@dataclass(slots=True, eq=False)
class Listener:
    """A client by hand: a request has been sent, nothing has been read."""

    url: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def until(self, end: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(end)

    async def rest(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def leave(self) -> None:
        """Close the connection, and let the server see it."""
        self.writer.transport.abort()
        await settle(self.url)


@asynccontextmanager
async def listen(
    client: Client,
    task_type: str = "chat_completion",
    *headers: str,
    version: str = "1.1",
    buffer: int | None = None,
) -> AsyncIterator[Listener]:
    """Ask for a stream; ``buffer`` bounds what is received before it is read."""
    host, _, port = client.url.removeprefix("http://").partition(":")
    made = socket.socket()
    if buffer is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=made, limit=2**12 if buffer else 2**16)
    body = orjson.dumps(BODIES[task_type])
    lines = [
        f"POST /_inference/{task_type}/id/_stream HTTP/{version}",
        "Host: a",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    try:
        yield Listener(client.url, reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
