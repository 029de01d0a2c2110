"""Turns at what one can have at a time; who comes when too many wait is sent away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from esinfer.errors import TooManyLogins

_MOST: Final = 100
_MOST_OF_ONE: Final = 50
"""Of one address, so that others find a place beside it."""


class Client(Protocol):
    """Who waits for the answer; a request is one."""

    @property
    def remote(self) -> str | None:
        """Its address."""

    @property
    def transport(self) -> object | None:
        """None when it is gone."""


class Turns:
    """Gives turns in the order in which they are asked for."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting: list[Client] = []

    @asynccontextmanager
    async def turn(self, client: Client) -> AsyncIterator[None]:
        """Wait for a turn, and have it, though the client be gone by then. Raises TooManyLogins."""
        addresses = [other.remote for other in self._waiting if other.transport is not None]
        if len(addresses) >= _MOST or addresses.count(client.remote) >= _MOST_OF_ONE:
            raise TooManyLogins
        self._waiting.append(client)
        try:
            async with self._lock:
                yield
        finally:
            self._waiting.remove(client)
