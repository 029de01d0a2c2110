"""Running an aiohttp application until a signal stops it.

The started line goes to standard output, everything else to the log. What a
request meets before the application does is set by the runner (the HTTP
parser) and here (the socket).
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from esinfer.listening import Site
from esinfer.readiness import READINESS
from esinfer.stopping import STOP_SIGNALS, Stop, let_finish

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Sequence

    from aiohttp import web

    from esinfer.connection import ConnectionLimits
    from esinfer.metrics.board import Slot

_LOGGER = logging.getLogger(__name__)
_REASONS = {
    errno.EADDRINUSE: "the address is already in use (another server? choose one with --port)",
    errno.EACCES: "no permission for this port (choose one with --port)",
    errno.EADDRNOTAVAIL: "no interface has this address (choose one with --host)",
    None: "no interface has this address (choose one with --host)",  # asyncio of Python 3.13
}


class StartError(Exception):
    """The server cannot start; the text is one line that says why."""


class ListenError(StartError):
    """The server cannot listen where it should; the text is one line that says why."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {_authority(host, port)}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What one of several processes gets from the one that started it (``workers``).

    ``sockets`` makes bound sockets to listen on. ``tell`` is called with None
    when connections are accepted, with a line when they cannot be, or cannot
    be any longer. ``lifeline`` is a descriptor that can be read when that
    process is gone. ``slot`` is where this process counts. What is done once
    for all does the ``first``; the others start when it accepts connections.
    """

    sockets: Callable[[], Sequence[socket.socket]]
    tell: Callable[[str | None], None]
    lifeline: int
    slot: Slot
    first: bool


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _heed_signals(post: Post | None) -> Stop:
    stop = Stop()
    stop.listen()
    if post is not None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        loop = asyncio.get_running_loop()
        loop.add_reader(post.lifeline, _stop_alone, stop, post.lifeline)
    return stop


def _stop_alone(stop: Stop, lifeline: int) -> None:
    asyncio.get_running_loop().remove_reader(lifeline)
    stop.asked.set()


async def _set_up(runner: web.AppRunner, stop: Stop) -> bool:
    """Start the application, which may wait for upstreams; False if it is to stop before."""
    starting = asyncio.create_task(runner.setup())
    stopping = asyncio.create_task(stop.asked.wait())
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        starting.cancel()  # which changes nothing once it is done
        stopping.cancel()
    await asyncio.wait((starting, stopping))
    if starting.cancelled():
        _LOGGER.info("stopping: the start was not at its end")
        return False
    await starting
    return True


async def _listen(runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None) -> int:
    """Accept connections; the port, which is the system's choice for 0."""
    loop = asyncio.get_running_loop()
    with listen_errors(host, port):
        opened = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
        bound = [each.dup() for each in opened.sockets]
        opened.close()
        for each in bound:
            await Site(runner, each, tls).start()
    return int(bound[0].getsockname()[1])


@contextmanager
def listen_errors(host: str, port: int) -> Iterator[None]:
    """ListenError in place of what the system says when it will not let us listen there."""
    try:
        yield
    except (socket.gaierror, UnicodeError) as error:
        reason = "the host name cannot be resolved (choose one with --host)"
        raise ListenError(host, port, reason) from error
    except OSError as error:
        reason = _REASONS.get(error.errno) or error.strerror or str(error)
        raise ListenError(host, port, reason) from error


async def _take_post(runner: web.AppRunner, post: Post, tls: ssl.SSLContext | None) -> None:
    for bound in post.sockets():
        await Site(runner, bound, tls).start()
    post.tell(None)


def announce(command: str, host: str, port: int, log_format: str, *, secure: bool = False) -> None:
    """Print the started line, the only one on standard output; ``secure`` is over TLS."""
    address = f"{'https' if secure else 'http'}://{_authority(host, port)}"
    line = _started_line(command, address, log_format)
    try:
        print(line, flush=True)  # noqa: T201 -- the one
    except OSError as error:
        reason = error.strerror or str(error)
        _LOGGER.warning("standard output cannot be written to (%s): %s", reason, line)
        _drop_output()


def _drop_output() -> None:
    """Have nowhere what is still in the buffer: at the end it would be written once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _started_line(command: str, address: str, log_format: str) -> str:
    if log_format == "json":
        started = {"message": "started", "command": command, "address": address}
        return json.dumps(started, separators=(",", ":"))
    return f"esinfer {command} listening on {address}"


async def serve(  # noqa: PLR0913 -- each is an option of the command line
    app: web.Application,
    *,
    command: str,
    host: str,
    port: int,
    shutdown_timeout: float,
    log_format: str,
    make_runner: Callable[..., web.AppRunner],
    shutdown_delay: float = 0.0,
    post: Post | None = None,
    tls: ssl.SSLContext | None = None,
    limits: ConnectionLimits | None = None,
) -> None:
    """Serve ``app`` until SIGTERM or SIGINT, then let the requests in flight finish.

    They have ``shutdown_timeout`` seconds; for ``shutdown_delay``
    seconds before, new ones are still accepted while the server says that it is
    not ready. A signal during the start ends it; the same one again later cuts off what is
    in flight. With a ``post`` it has the sockets, and is told instead of
    standard output. ``limits`` go to ``make_runner``. Raises ListenError.
    """
    stop = _heed_signals(post)
    runner = make_runner(
        app,
        **({} if limits is None else {"limits": limits}),
        access_log=None,
    )
    try:
        if not await _set_up(runner, stop):
            return
        if post is None:
            bound = await _listen(runner, host, port, tls)
            announce(command, host, bound, log_format, secure=tls is not None)
        else:
            await _take_post(runner, post, tls)
        await stop.asked.wait()
        _LOGGER.info("stopping: requests in flight may take %g seconds", shutdown_timeout)
        if READINESS in app:
            await stop.hurry(asyncio.create_task(app[READINESS].withdraw(shutdown_delay)))
        await let_finish(runner, stop, shutdown_timeout)
    finally:
        await runner.cleanup()
