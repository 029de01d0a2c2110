"""Answers that nobody reads: their connections end, or they would be held for ever.

What is not read stays in the transport's buffer, also after the connection
was closed on our side. All are looked at now and then, so that no request pays
for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

_LOOKS: Final = 4
"""Looks at a connection within the time that it has."""


class CountedTransport:
    """A transport that knows how much of what was written to it has left it.

    Its buffer alone does not tell: a stream may refill it as fast as it is read.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._written = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    @property
    def left(self) -> int:
        """Bytes, the buffer's not among them."""
        return self._written - self.waiting

    @property
    def waiting(self) -> int:
        """Bytes in the buffer."""
        return self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """As the transport does."""
        self._written += len(data)
        self._transport.write(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        """As above."""
        self.write(b"".join(parts))

    def abort(self) -> None:
        """As above."""
        self._transport.abort()


class UnreadAnswers:
    """Breaks off connections that take nothing of an answer for ``timeout`` seconds; 0: never."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._open: dict[object, CountedTransport] = {}
        self._stuck: dict[CountedTransport, tuple[int, float]] = {}
        """By connection where bytes wait, how many had left and since when not one more has."""
        self._is_looking = False

    def add(self, connection: object, transport: CountedTransport) -> None:
        """Look after a connection from now on."""
        self._open[connection] = transport
        if self._timeout > 0 and not self._is_looking:
            self._is_looking = True
            self._look_later()

    def remove(self, connection: object) -> None:
        """It has ended."""
        self._open.pop(connection, None)

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(self._timeout / _LOOKS, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        before, self._stuck = self._stuck, {}
        for transport in tuple(self._open.values()):
            if transport.waiting == 0:
                continue
            left = transport.left
            most, since = before.get(transport, (left, now))
            if left > most:
                most, since = left, now
            if now - since >= self._timeout:
                transport.abort()
            else:
                self._stuck[transport] = most, since
        if self._open:
            self._look_later()
        else:
            self._is_looking = False
