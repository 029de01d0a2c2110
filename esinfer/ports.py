"""A TCP port that several processes serve.

On Linux every process listens on sockets of its own (``SO_REUSEPORT``) and the
kernel spreads connections over them. Elsewhere that option is missing or does
not spread, and the processes share the sockets that were opened before they
were forked. Source: socket(7).
"""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from typing import Any, Self, TypeAlias

SPREADS = sys.platform.startswith("linux")
"""Whether the kernel spreads connections over the sockets of one port."""

_Address: TypeAlias = tuple[int, tuple[Any, ...]]
"""Family and place, as ``getaddrinfo`` gives them; a place's second member is the port."""


class Port:
    """All addresses of one host name at one port, held until it is closed.

    Raises what ``socket`` raises, for a name without address or a port in use.
    """

    def __init__(self, host: str, port: int, *, spread: bool | None = None) -> None:
        self._spread = SPREADS if spread is None else spread
        self.number = port
        with ExitStack() as opened:
            self._held = [opened.enter_context(self._hold(each)) for each in _resolve(host, port)]
            self._opened = opened.pop_all()

    def _hold(self, address: _Address) -> socket.socket:
        """A bound socket that nobody else can bind or listen beside, but those of ``sockets``."""
        family, place = address
        with _bind(family, (place[0], self.number, *place[2:]), spread=False) as claim:
            # Sockets that may share a port would share it with a stranger's, too: of many
            # who claim it for themselves one can listen.
            claim.listen()
            self.number = claim.getsockname()[1]
            if not self._spread:
                return claim.dup()
            claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held = _bind(family, claim.getsockname(), spread=True)
            # It does not listen, so that it is given no connection; without this option
            # it keeps claims off all the same.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            return held

    def sockets(self) -> list[socket.socket]:
        """What a process listens on; for one process each time."""
        if not self._spread:
            return [held.dup() for held in self._held]
        return [_bind(held.family, held.getsockname(), spread=True) for held in self._held]

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _resolve(host: str, port: int) -> list[_Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    inet = (socket.AF_INET, socket.AF_INET6)
    return list(
        dict.fromkeys((family, place) for family, _, _, _, place in found if family in inet)
    )


def _bind(family: int, place: tuple[Any, ...], *, spread: bool) -> socket.socket:
    with ExitStack() as stack:
        bound = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if spread:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(place)
        stack.pop_all()
    return bound
