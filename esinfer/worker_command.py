"""``esinfer serve --workers N``: N processes with one store, on one port."""

from __future__ import annotations

import asyncio
import base64
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from esinfer.config import Config, ConfigError
from esinfer.ports import Port
from esinfer.refusals import REFUSALS
from esinfer.serving import Post, announce, listen_errors
from esinfer.stopping import STOP_SIGNALS
from esinfer.stores.sealing import read_key_file
from esinfer.workers import Supervisor

_STOPPING = 5.0
"""Seconds beyond those of its requests that a worker may take to stop."""

Serve = Callable[[str, Config, Post], Coroutine[None, None, None]]


def run(command: str, config: Config, serve: Serve) -> int:
    """Serve with several workers until a stop signal; the exit status.

    Raises ConfigError and StartError for whatever keeps a worker from starting.
    """
    _check(command, config)
    config = _with_keys(config)
    from esinfer.api import protocol  # noqa: F401, PLC0415 -- loaded once, for all workers
    from esinfer.app import make_app  # noqa: F401, PLC0415 -- as above

    server = config.server
    with listen_errors(server.host, server.port):
        port = Port(server.host, server.port)
    with closing(port):
        supervisor = Supervisor(
            server.workers,
            partial(_work, command, config, serve),
            port,
            started=partial(
                announce,
                command,
                server.host,
                port.number,
                config.logging.format,
                secure=bool(server.certificate),
            ),
            patience=server.shutdown_delay + server.shutdown_timeout + _STOPPING,
        )
        supervisor.run()
    # Whoever signals twice must not kill what is already on its way to status 0.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    return 0


def _check(command: str, config: Config) -> None:
    wanted = f"server.workers is {config.server.workers}, but"
    if command != "serve":
        raise ConfigError(f"{wanted} `esinfer {command}` has one process: its state is in memory")
    if config.store.kind == "memory":
        raise ConfigError(
            f"{wanted} store.kind is memory, which each process has for itself:"
            " choose sqlite or postgresql"
        )


def _with_keys(config: Config) -> Config:
    """The configuration with the store's keys themselves in place of the file.

    A worker that starts later must have those of the others, whatever is in
    the file by then.
    """
    store = config.store
    if not store.key_file or store.key:  # of which one is too many
        return config
    keys = read_key_file(Path(store.key_file))
    key = ",".join(base64.b64encode(each).decode() for each in keys)
    return replace(config, store=replace(store, key=key, key_file=""))


def _work(command: str, config: Config, serve: Serve, post: Post) -> int:
    if not post.first:  # it sows the seed, and says for all what is to be said at the start
        config = replace(config, store=replace(config.store, seed=""))
        for name in ("esinfer.stores.opening", "esinfer.descriptors"):
            logging.getLogger(name).setLevel(logging.ERROR)
    try:
        asyncio.run(_until_the_end(serve(command, config, post)))
    except (*REFUSALS, OSError) as error:
        post.tell(str(error))
        return 2
    return 0


async def _until_the_end(serving: Coroutine[None, None, None]) -> None:
    """Serve, and ignore the stop signals from then on, in all threads: nobody heeds them any more.

    The loop would still hear them with what it has closed.
    """
    try:
        await serving
    finally:
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
