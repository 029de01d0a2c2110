"""Turns at what one can have at a time; who comes when too many wait is sent away.

Those who ask the same wait together, at one place, and the first to have a
turn asks for all: a client that starts with many requests waits only once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
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


class _Place:
    """Where the same question waits, with all who ask it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.clients: list[Client] = []
        self.answer: bool | None = None

    @property
    def address(self) -> str | None:
        """That of the first who is still there."""
        return next(client.remote for client in self.clients if client.transport is not None)

    @property
    def is_awaited(self) -> bool:
        """Whether anyone is still there."""
        return any(client.transport is not None for client in self.clients)


class Turns:
    """Gives turns in the order in which they are asked for."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._places: dict[bytes, _Place] = {}

    async def settle(
        self, question: bytes, client: Client, ask: Callable[[], Awaitable[bool]]
    ) -> bool:
        """The answer to a question; False without asking once all who wait for it are gone.

        Raises TooManyLogins.
        """
        place = self._places.get(question)
        if place is None:
            self._check_room(client)
            place = self._places[question] = _Place()
        place.clients.append(client)
        try:
            async with place.lock:
                if place.answer is None:
                    place.answer = await self._ask(place, ask)
            return bool(place.answer)
        finally:
            place.clients.remove(client)
            if not place.clients:
                del self._places[question]

    async def _ask(self, place: _Place, ask: Callable[[], Awaitable[bool]]) -> bool | None:
        async with self._lock:
            return await ask() if place.is_awaited else None

    def _check_room(self, client: Client) -> None:
        addresses = [place.address for place in self._places.values() if place.is_awaited]
        if len(addresses) >= _MOST or addresses.count(client.remote) >= _MOST_OF_ONE:
            raise TooManyLogins
