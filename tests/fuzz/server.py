"""A server on a thread of its own, and what it must not have done."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
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
    """Keeps what no request may cause: warnings, errors, tracebacks, and the secret in any line.

    What ``operators`` logs is a warning to an operator of what an upstream did.
    """

    def __init__(self, operators: str = "", secret: str = "") -> None:
        super().__init__(logging.DEBUG)
        self.complaints: list[str] = []
        self._operators = operators
        self._secret = secret

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        is_bad = record.levelno >= logging.WARNING and not self._is_for_operators(record)
        if is_bad or record.exc_info or (self._secret and self._secret in line):
            self.complaints.append(line)

    def _is_for_operators(self, record: logging.LogRecord) -> bool:
        return record.name == self._operators and record.levelno == logging.WARNING


class Server:
    """A server on loopback; the caller's thread asks, another one answers.

    ``alive`` is the path that it answers 200 as long as all is well.
    """

    def __init__(
        self,
        port: int,
        loop: asyncio.AbstractEventLoop,
        runner: web.AppRunner,
        log: Log,
        alive: str,
    ) -> None:
        self.address = ("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{port}"
        self.alive = alive
        self.log = log
        self._loop = loop
        self._runner = runner
        self._tasks = self._count_tasks()

    def connect(self) -> socket.socket:
        """A connection whose every wait is bounded."""
        return socket.create_connection(self.address, PATIENCE)

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


def make_mock() -> web.AppRunner:
    """A mock whose waits are free."""
    return make_runner(make_app(load(None, {}, [], COMMAND_DEFAULTS["mock"]), "mock"), **OPTIONS)


OPTIONS: Mapping[str, Any] = {
    "shutdown_timeout": 1.0,
    "access_log": None,
    "lingering_time": 1.0,  # aiohttp waits so long for the rest of a body that nobody reads
}
"""Of a runner of a fuzzed server."""


@contextmanager
def serve(
    make: Callable[[], web.AppRunner] = make_mock,
    *,
    alive: str = "/_esinfer",
    log: Log | None = None,
) -> Iterator[Server]:
    """What ``make`` makes, by itself a mock; it stops with the block."""
    runner = make()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fuzzed", daemon=True)
    thread.start()
    try:
        server = Server(_start(runner, loop), loop, runner, log or Log(), alive)
        logger = logging.getLogger("esinfer")
        level = logger.level
        logger.setLevel(logging.DEBUG)
        logging.getLogger().addHandler(server.log)
        try:
            yield server
        finally:
            logging.getLogger().removeHandler(server.log)
            logger.setLevel(level)
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
