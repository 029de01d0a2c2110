"""A fault as it stands at an upstream: what it does, to which requests, how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from esinfer.twin.delivery import Effect
from esinfer.twin.received import Received
from esinfer.twin.servers import Server

Delay = Callable[[], float]
"""Seconds to wait; each call draws anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which requests a fault may hit: those that fit all that is said.

    ``every`` n hits each nth of these. Without a ``path`` only POST requests
    are hit, so that looking after a server's health uses no fault up.
    """

    inference_id: str | None = None
    task_type: str | None = None
    text: str | None = None
    path: str | None = None
    header: Mapping[str, str] = field(default_factory=dict)
    every: int = 1

    def fits(self, received: Received, server: Server) -> bool:
        """Whether the request to a server is one of those, whatever its number."""
        request = received.request
        return (
            (request.method == "POST" if self.path is None else request.path == self.path)
            and self.inference_id in (None, received.inference_id)
            and (self.task_type is None or self.task_type in received.tasks(server))
            and all(
                part in received.headers.get(name.lower(), "") for name, part in self.header.items()
            )
            and (self.text is None or received.has_text(self.text))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: an ``effect`` on the answer, or a ``delay`` before it.

    ``times`` is how many requests it hits, None for no end. ``wire`` is how it
    was declared, for whoever reads it back.
    """

    kind: str
    effect: Effect | None = None
    delay: Delay | None = None
    match: Match = Match()
    times: int | None = None
    streams_only: bool = False
    wire: Mapping[str, object] = field(default_factory=dict)


class ArmedFault:
    """A fault at work, with its counts."""

    __slots__ = ("fault", "hits", "seen")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.hits = 0

    @property
    def is_spent(self) -> bool:
        """Whether it has hit as often as it may."""
        return self.fault.times is not None and self.hits >= self.fault.times

    def strike(self, received: Received, server: Server) -> bool:
        """Whether it hits this request to a server; a hit counts."""
        if self.is_spent or not self.fault.match.fits(received, server):
            return False
        if self.fault.streams_only and not received.streams:
            return False
        self.seen += 1
        if self.seen % self.fault.match.every:
            return False
        self.hits += 1
        return True

    def withdraw(self) -> None:
        """The last hit is none: there was nothing to change."""
        self.hits -= 1

    def to_wire(self) -> dict[str, object]:
        """As declared, with the ``times`` that are left and the ``hits`` there were."""
        shown = dict(self.fault.wire)
        if self.fault.times is not None:
            shown["times"] = self.fault.times - self.hits
        return {**shown, "hits": self.hits}
