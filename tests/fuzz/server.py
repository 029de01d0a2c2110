"""A mock on a thread of its own, and what it must not have done."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from aiohttp import web

from esinfer.api.protocol import make_runner
from esinfer.app import make_app
from esinfer.config import COMMAND_DEFAULTS, load

PATIENCE = 5.0
"""Seconds after which an answer counts as never given."""

T = TypeVar("T")


class Log(logging.Handler):
    """Keeps what no request may cause: warnings, errors and tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING or record.exc_info:
            self.complaints.append(self.format(record))


class Server:
    """A mock on loopback; the caller's thread asks, another one answers."""

    def __init__(self, port: int, loop: asyncio.AbstractEventLoop, runner: web.AppRunner) -> None:
        self._address = ("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{port}"
        self.log = Log()
        self._loop = loop
        self._runner = runner
        self._tasks = self._count_tasks()

    def connect(self) -> socket.socket:
        """A connection whose every wait is bounded."""
        return socket.create_connection(self._address, PATIENCE)

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run something on the server's own loop, between two of its turns."""
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE)

    def check_log(self) -> None:
        """AssertionError if something was logged that only a defect logs."""
        complaints, self.log.complaints = self.log.complaints, []
        assert not complaints, "\n".join(complaints)

    def check_rest(self) -> None:
        """AssertionError if connections or tasks are left when all clients have gone."""
        until = time.monotonic() + PATIENCE
        while (left := (self.count_connections(), self._count_tasks())) > (0, self._tasks):
            assert time.monotonic() < until, f"{left} connections and tasks are left"
        self.check_log()

    def count_connections(self) -> int:
        async def count() -> int:
            server = self._runner.server
            assert server is not None
            return len(server.connections)

        return self.call(count)

    def _count_tasks(self) -> int:
        async def count() -> int:
            return len(asyncio.all_tasks())

        return self.call(count)


@contextmanager
def serve() -> Iterator[Server]:
    """A mock whose waits are free; it stops with the block."""
    config = load(None, {}, [], COMMAND_DEFAULTS["mock"])
    runner = make_runner(
        make_app(config, "mock"),
        shutdown_timeout=1.0,
        access_log=None,
        lingering_time=1.0,  # aiohttp waits so long for the rest of a body that nobody reads
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fuzzed", daemon=True)
    thread.start()
    try:
        server = Server(_start(runner, loop), loop, runner)
        logging.getLogger().addHandler(server.log)
        try:
            yield server
        finally:
            logging.getLogger().removeHandler(server.log)
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(PATIENCE)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


def _start(runner: web.AppRunner, loop: asyncio.AbstractEventLoop) -> int:
    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return site.port

    return asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE)
