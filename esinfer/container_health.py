"""``python -m esinfer.container_health``: whether the server in this container is ready.

The image's health check. The server may be any that the image can run, on any
port and over TLS: which one it is is read from the command line of its process
and from the environment, which both have.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path, PurePath

from esinfer.cli import read_config
from esinfer.server_options import SERVERS

_PATIENCE = 4.0
"""Seconds; the engine grants one more."""
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- where servers listen
_PATHS = {"twin": "/__twin/upstreams"}
_READY = "/_esinfer/ready"
_NAMES = frozenset(name for name, *_ in SERVERS)


def find_server(commands: Iterable[Sequence[str]]) -> list[str] | None:
    """The arguments of the first command that runs a server of esinfer.

    Before them may stand whatever runs it, with options of its own.
    """
    for command in commands:
        for at, word in enumerate(command, start=1):
            if PurePath(word).name == "esinfer" and _NAMES.intersection(command[at : at + 1]):
                return [*command[at:]]
    return None


def host_to_ask(bound: str) -> str:
    """The address at which a server that listens there can be reached from here."""
    return _LOOPBACK.get(bound, bound)


def _commands(pids: Sequence[str]) -> Iterator[list[str]]:
    """The command lines of the processes, of all if none is given."""
    numbers = pids or (each.name for each in Path("/proc").iterdir() if each.name.isdecimal())
    for pid in sorted(numbers, key=int):
        with suppress(OSError):
            yield os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")[:-1]


def _problem(arguments: Sequence[str]) -> str:
    """What keeps the server from being ready; empty if it is."""
    command, config = read_config(arguments, os.environ)
    server, host = config.server, host_to_ask(config.server.host)
    if server.client_ca:  # there is no certificate to show: that it listens must do
        socket.create_connection((host, server.port), _PATIENCE).close()
        return ""
    with closing(_connection(host, server.port, secure=bool(server.certificate))) as connection:
        connection.request("GET", _PATHS.get(command, _READY))
        status = connection.getresponse().status
        return "" if status == http.HTTPStatus.OK else f"it answers with status {status}"


def _connection(host: str, port: int, *, secure: bool) -> http.client.HTTPConnection:
    if not secure:
        return http.client.HTTPConnection(host, port, timeout=_PATIENCE)
    context = ssl.create_default_context()
    context.check_hostname = False  # its name is that by which others call it
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=context)


def main(pids: Sequence[str]) -> int:
    """The exit status: 0 if the server is ready; what is wrong goes to standard error."""
    arguments = find_server(_commands(pids))
    try:
        problem = "there is none" if arguments is None else _problem(arguments)
    except (OSError, http.client.HTTPException) as error:
        problem = str(error) or type(error).__name__
    if problem:
        sys.stderr.write(f"the server is not ready: {problem}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
