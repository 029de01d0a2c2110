"""An upstream that answers whatever it is told to, byte for byte, and how it ends a connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

TURNS: Final = 4
"""Turns of the loop between two parts: whoever reads has the first before the next is sent."""
HOLD: Final = 0.3
"""Seconds that a kept connection stays open without another request."""
_LINGER_NOT: Final = struct.pack("ii", 1, 0)
"""With it a socket that is closed resets its connection."""


class Ending(Enum):
    """What happens to the connection after the last byte."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out, in parts. ``early``: before the request has been read."""

    parts: tuple[bytes, ...]
    ending: Ending = Ending.CLOSE
    early: bool = False


def whole(body: bytes, kind: bytes = b"application/json") -> Answer:
    """A good answer, after which the connection may be used again."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
    return Answer((head + body,), Ending.KEEP)


class Hostile:
    """Answers each path with what ``answers`` has for it; on the loop on which it was started."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.open: set[asyncio.BaseTransport] = set()
        self.url = ""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


class _Connection(asyncio.Protocol):
    def __init__(self, upstream: Hostile) -> None:
        self._upstream = upstream
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._is_answering = False
        self._closing: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._upstream.open.add(transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._upstream.open.discard(self._transport)
        if self._closing is not None:
            self._closing.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._closing is not None:
            self._closing.cancel()
        head, found, body = self._received.partition(b"\r\n\r\n")
        if self._is_answering or not found:
            return
        first, *headers = head.split(b"\r\n")
        answer = self._upstream.answers[first.split(b" ")[1].decode()]
        lengths = [
            int(each[15:]) for each in headers if each.lower().startswith(b"content-length:")
        ]
        if answer.early or len(body) >= sum(lengths):
            self._is_answering = True
            self._send(answer, 0)

    def _send(self, answer: Answer, number: int) -> None:
        if self._transport.is_closing():
            return
        if number == len(answer.parts):
            self._end(answer.ending)
            return
        self._transport.write(answer.parts[number])
        self._later(TURNS, answer, number + 1)

    def _later(self, turns: int, answer: Answer, number: int) -> None:
        if turns:
            self._loop.call_soon(self._later, turns - 1, answer, number)
        else:
            self._send(answer, number)

    def _end(self, ending: Ending) -> None:
        if ending is Ending.KEEP:
            self._received = b""
            self._is_answering = False
            self._closing = self._loop.call_later(HOLD, self._transport.close)
        elif ending is Ending.CLOSE:
            self._transport.close()
        else:
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT
            )
            self._transport.abort()
