"""A mock in a thread of its own, with an event loop of its own.

So it answers whatever the test's thread does: a blocking client, an event
loop, or nothing for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from aiohttp import web

    from esinfer.namespaces import Namespaces

T = TypeVar("T")

_GRACE = 0.5
"""Seconds that requests in flight may take when the server stops."""


class ServerThread:
    """A running server; ``namespaces`` may be touched in its event loop alone."""

    url: str
    namespaces: Namespaces

    def __init__(self, settings: Sequence[str]) -> None:
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._started: Future[None] = Future()
        # A test run that is broken off does not wait for it.
        self._thread = Thread(target=self._run, name="esinfer", daemon=True)

    def start(self) -> None:
        """Wait until it accepts connections; raises what keeps it from that."""
        self._thread.start()
        self._started.result()

    def stop(self) -> None:
        """Let the requests in flight come to their end, and wait for it."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def call(self, function: Callable[[], T]) -> T:
        """What a function returns or raises in the server's event loop."""

        async def call() -> T:
            return function()

        return self.run(call())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine returns or raises there."""
        if not self._loop.is_running():
            coroutine.close()
            raise RuntimeError("the server of this test has stopped")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        from aiohttp import web  # noqa: PLC0415 - heavy, as what follows

        from esinfer.api.keys import NAMESPACES  # noqa: PLC0415

        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        app, runner = self._make_runner()
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{site.port}"
            self.namespaces = app[NAMESPACES]
            self._started.set_result(None)
            await self._stopping.wait()
        finally:
            await runner.cleanup()

    def _make_runner(self) -> tuple[web.Application, web.AppRunner]:
        """The mock with its defaults, whatever the environment of the test run says."""
        from esinfer.api.protocol import make_runner  # noqa: PLC0415
        from esinfer.app import make_app  # noqa: PLC0415
        from esinfer.config import COMMAND_DEFAULTS, load  # noqa: PLC0415

        config = load(None, {}, self._settings, COMMAND_DEFAULTS["mock"])
        app = make_app(config, "mock")
        return app, make_runner(app, access_log=None, shutdown_timeout=_GRACE)


@contextmanager
def running(settings: Sequence[str]) -> Iterator[ServerThread]:
    """A server as long as the block lasts; ``settings`` as those of ``--set``. ConfigError."""
    thread = ServerThread(settings)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()
