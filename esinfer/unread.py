"""Answers that nobody reads: their connections end, or they would be held for ever.

What is not read stays in the transport's buffer, also after the connection
was closed on our side. All are looked at now and then, so that no request pays
for it.
"""

from __future__ import annotations

import asyncio
from typing import Final

_LOOKS: Final = 4
"""Looks at a connection within the time that it has."""


class UnreadAnswers:
    """Breaks off connections that take nothing of an answer for ``timeout`` seconds; 0: never."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._open: dict[object, asyncio.Transport] = {}
        self._stuck: dict[asyncio.Transport, tuple[int, float]] = {}
        """By connection, the bytes that wait and since when not one of them went."""
        self._is_looking = False

    def add(self, connection: object, transport: asyncio.Transport) -> None:
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
            size = transport.get_write_buffer_size()
            if size == 0:
                continue
            last, since = before.get(transport, (size, now))
            if size < last:
                since = now
            if now - since >= self._timeout:
                transport.abort()
            else:
                self._stuck[transport] = size, since
        if self._open:
            self._look_later()
        else:
            self._is_looking = False
