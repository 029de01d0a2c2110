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
import signal
import socket
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from esinfer.connection import ConnectionLimits

_LOGGER = logging.getLogger(__name__)
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_REASONS = {
    errno.EADDRINUSE: "the address is already in use (another server? choose one with --port)",
    errno.EACCES: "no permission for this port (choose one with --port)",
    errno.EADDRNOTAVAIL: "no interface has this address (choose one with --host)",
    None: "no interface has this address (choose one with --host)",  # asyncio of Python 3.13
}


class ListenError(Exception):
    """The server cannot listen where it should; the text is one line that says why."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {_authority(host, port)}: {reason}")


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _stop_event() -> asyncio.Event:
    """An event that the stop signals set, instead of what they do otherwise."""
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _listen(runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None) -> int:
    """Accept connections; the port, which is the system's choice for 0."""
    site = web.TCPSite(runner, host, port, ssl_context=tls, backlog=4096)
    try:
        await site.start()
    except (socket.gaierror, UnicodeError) as error:
        reason = "the host name cannot be resolved (choose one with --host)"
        raise ListenError(host, port, reason) from error
    except OSError as error:
        reason = _REASONS.get(error.errno) or error.strerror or str(error)
        raise ListenError(host, port, reason) from error
    return site.port


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
    tls: ssl.SSLContext | None = None,
    limits: ConnectionLimits | None = None,
) -> None:
    """Serve ``app`` until SIGTERM or SIGINT, then let the requests in flight finish.

    They have ``shutdown_timeout`` seconds. Further signals change nothing, as
    long as the loop is open. ``limits`` go to ``make_runner``. Raises ListenError.
    """
    stop = _stop_event()
    runner = make_runner(
        app,
        **({} if limits is None else {"limits": limits}),
        access_log=None,
        # aiohttp waits this long for handlers, breaks off the reading of request
        # bodies, and waits once more; it takes 0 for no limit.
        shutdown_timeout=max(shutdown_timeout, 0.001) / 2,
    )
    try:
        await runner.setup()
        bound = await _listen(runner, host, port, tls)
        address = f"{'https' if tls else 'http'}://{_authority(host, bound)}"
        print(_started_line(command, address, log_format), flush=True)  # noqa: T201
        await stop.wait()
        _LOGGER.info("stopping: requests in flight may take %g seconds", shutdown_timeout)
    finally:
        await runner.cleanup()
