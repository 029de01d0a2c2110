"""Taking connections off a listening socket.

asyncio's own server takes as many at a time as may wait in the kernel, and
says as often that no descriptor is left; a connection whose TLS handshake does
not come it counts nowhere. Here the two numbers are apart, a lack of
descriptors is said once, and who is shaking hands has a place.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Final, cast

from aiohttp import web

from esinfer.connection import NO_LIMITS, Server

_LOGGER = logging.getLogger(__name__)

BACKLOG: Final = 4096
"""Connections that may wait in the kernel."""
_AT_ONCE: Final = 32
"""Connections that are taken before anything else gets its turn."""
_REST = 1.0
"""Seconds until the next try where none could be taken."""
_HANDSHAKE: Final = 60.0
"""The longest that a TLS handshake may take, in seconds."""


class Site(web.BaseSite):
    """A bound socket that a runner's server listens on; over TLS with ``tls``."""

    def __init__(
        self, runner: web.BaseRunner, bound: socket.socket, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(runner, ssl_context=tls)
        self._bound = bound
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._rest: asyncio.TimerHandle | None = None
        self._is_short = False
        self._factory = cast("web.Server", runner.server)  # there is one, or super() had raised
        limits = self._factory.limits if isinstance(self._factory, Server) else NO_LIMITS
        self._handshake = min(limits.receive_timeout or _HANDSHAKE, _HANDSHAKE)

    @property
    def name(self) -> str:
        host, port, *_ = self._bound.getsockname()
        return f"{'https' if self._ssl_context else 'http'}://{host}:{port}"

    async def start(self) -> None:
        await super().start()
        self._bound.setblocking(False)
        self._bound.listen(BACKLOG)
        self._watch()

    async def stop(self) -> None:
        """Take no more; who was taken comes in, but who shakes hands is turned away."""
        await super().stop()
        self._loop.remove_reader(self._bound)
        if self._rest is not None:
            self._rest.cancel()
        self._bound.close()
        if self._ssl_context is not None:
            for opening in self._opening:
                opening.cancel()
        if self._opening:
            await asyncio.wait(self._opening)

    def _watch(self) -> None:
        self._rest = None
        self._loop.add_reader(self._bound, self._take)

    def _take(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                taken, _ = self._bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._is_short = False
            self._admit(taken)

    def _pause(self, error: OSError) -> None:
        """Give connections time to end: what cannot be had now is not to be had at once."""
        if not self._is_short:
            _LOGGER.error("cannot accept connections: %s", error.strerror)
        self._is_short = True
        self._loop.remove_reader(self._bound)
        self._rest = self._loop.call_later(_REST, self._watch)

    def _admit(self, taken: socket.socket) -> None:
        server = self._factory
        if isinstance(server, Server) and not server.has_room(len(self._opening)):
            server.turn_away(taken)
            return
        opening = self._loop.create_task(self._open(taken))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _open(self, taken: socket.socket) -> None:
        timeout = self._handshake if self._ssl_context else None
        try:
            await self._loop.connect_accepted_socket(
                self._factory, taken, ssl=self._ssl_context, ssl_handshake_timeout=timeout
            )
        except OSError as error:
            error.__traceback__ = None  # its frames hold what holds it, buffers and all
            _LOGGER.debug("a connection was not opened: %s", type(error).__name__)
