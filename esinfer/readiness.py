"""Whether the server should be sent requests, for load balancers that ask."""

from __future__ import annotations

import asyncio

from aiohttp import web


class Readiness:
    """``stopping`` is true from the stop signal on, before connections are refused."""

    def __init__(self) -> None:
        self.stopping = False

    async def withdraw(self, delay: float) -> None:
        """Say no, and give whoever asks ``delay`` seconds to notice."""
        self.stopping = True
        await asyncio.sleep(delay)


READINESS = web.AppKey("readiness", Readiness)
