"""How a server comes to its end: asked once it lets requests finish, asked again it does not."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Final

from aiohttp import web

_LOGGER = logging.getLogger(__name__)
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_NOW: Final = 0.001
"""Seconds; aiohttp takes 0 for no limit."""


class Stop:
    """What the stop signals ask for, instead of what they do otherwise.

    The same signal again is no patience. Another one is not: who stops a server
    in a terminal may have its parent send a signal too.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()
        self._seen: set[int] = set()

    def listen(self) -> None:
        """Heed the signals from now on."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._hear, number)

    def _hear(self, number: int) -> None:
        self.asked.set()
        if number in self._seen:
            self.at_once.set()
        self._seen.add(number)

    async def hurry(self, waiting: asyncio.Task[None]) -> bool:
        """Wait for a task; cancel it, and tell so, when all is to end at once."""
        hurrying = asyncio.create_task(self.at_once.wait())
        try:
            await asyncio.wait((waiting, hurrying), return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurrying.cancel()
        if waiting.done():
            await waiting
            return False
        waiting.cancel()
        await asyncio.wait((waiting,))
        return True


async def let_finish(runner: web.AppRunner, stop: Stop, timeout: float) -> None:
    """Accept no more connections; give the requests in flight ``timeout`` seconds at most."""
    for site in tuple(runner.sites):
        await site.stop()
    server = runner.server
    if server is None:
        return
    await asyncio.sleep(0)  # what has come in is to be in flight
    server.pre_shutdown()
    await runner.shutdown()  # which the runner's clean-up will ask for again
    # aiohttp waits this long for handlers, breaks off the reading of request
    # bodies, and waits once more.
    finishing = asyncio.create_task(server.shutdown(max(timeout / 2, _NOW)))
    if await stop.hurry(finishing):
        _LOGGER.warning("asked again to stop: requests in flight are cut off")
        await server.shutdown(_NOW)
