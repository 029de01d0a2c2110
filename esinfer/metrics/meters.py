"""What is measured, and what a request pays for it: some additions to an array.

Every label has few values: methods, routes and statuses are ours, services and
tasks a fixed list, rate limit groups are counted up to a number. Inference ids
are no labels. Seconds throughout.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from esinfer.metrics.board import Slot

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
NO_ROUTE = "none"
"""Of what is not in the table of routes."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_MOST_GROUPS = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # hashed with every request
class Family:
    """One metric: its name without unit endings of its kind, and its labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: Sequence[str] = ()
    bounds: Sequence[float] = ()

    @property
    def width(self) -> int:
        """How many numbers it has for each set of labels: of a histogram buckets and the sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1


REQUESTS = Family(
    name="esinfer_http_requests",
    kind="counter",
    text="Answered requests; status 499 is a client that went away.",
    labels=("method", "route", "status"),
)
DURATION = Family(
    name="esinfer_http_request_duration_seconds",
    kind="histogram",
    text="Time until a request was answered, for a stream until its end.",
    labels=("method", "route"),
    bounds=_QUICK,
)
IN_FLIGHT = Family(
    name="esinfer_http_requests_in_flight", kind="gauge", text="Requests being answered."
)
CLOSED = Family(
    name="esinfer_http_connections_closed",
    kind="counter",
    text="Connections that were closed without an answer, as there were too many.",
)
ATTEMPTS = Family(
    name="esinfer_upstream_attempts",
    kind="counter",
    text="Requests sent to upstreams, by what came of them, of a stream at its end;"
    " each retry is one.",
    labels=("service", "task_type", "outcome"),
)
ATTEMPT_DURATION = Family(
    name="esinfer_upstream_attempt_duration_seconds",
    kind="histogram",
    text="Time until an upstream had answered, for a stream until it began.",
    labels=("service", "task_type"),
    bounds=_QUICK,
)
WAITING = Family(
    name="esinfer_rate_limit_waiting",
    kind="gauge",
    text="Requests in the queue of a rate limit group.",
    labels=("group",),
)
WAIT = Family(
    name="esinfer_rate_limit_wait_seconds",
    kind="histogram",
    text="Time that requests waited for their rate limit group.",
    labels=("group",),
    bounds=_QUICK,
)
REFUSED = Family(
    name="esinfer_rate_limit_refused",
    kind="counter",
    text="Requests that found the queue of their rate limit group full.",
    labels=("group",),
)
FAMILIES = (
    *(REQUESTS, DURATION, IN_FLIGHT, CLOSED),
    *(ATTEMPTS, ATTEMPT_DURATION),
    *(WAITING, WAIT, REFUSED),
)
_FLEETING = frozenset(family.name for family in FAMILIES if family.kind == "gauge")


class Meters:
    """Writes one process's numbers."""

    def __init__(self, slot: Slot) -> None:
        slot.claim(_FLEETING)
        self.slot = slot
        self._numbers = slot.numbers
        self._groups: set[str] = set()
        self._in_flight = self._place(IN_FLIGHT)
        self._closed = self._place(CLOSED)
        self._place = lru_cache(maxsize=4096)(self._place)  # type: ignore[method-assign]

    def _place(self, family: Family, *labels: str) -> int:
        return self.slot.place((family.name, labels), family.width)

    def _observe(self, at: int, bounds: Sequence[float], seconds: float) -> None:
        numbers = self._numbers
        numbers[at + bisect_left(bounds, seconds)] += 1.0
        numbers[at + len(bounds) + 1] += seconds

    def begin_request(self) -> None:
        self._numbers[self._in_flight] += 1.0

    def end_request(self, method: str, route: str, status: int, seconds: float) -> None:
        if method not in _METHODS:
            method = "other"
        self._numbers[self._in_flight] -= 1.0
        self._numbers[self._place(REQUESTS, method, route, str(status))] += 1.0
        self._observe(self._place(DURATION, method, route), _QUICK, seconds)

    def count_refusal(self, status: int) -> None:
        """A client was answered before its request was one: without method, route and time."""
        self._numbers[self._place(REQUESTS, "other", NO_ROUTE, str(status))] += 1.0

    def count_closed(self) -> None:
        """A connection was closed before anything was read from it."""
        self._numbers[self._closed] += 1.0

    def count_attempt(self, service: str, task_type: str, outcome: str, seconds: float) -> None:
        self._numbers[self._place(ATTEMPTS, service, task_type, outcome)] += 1.0
        self._observe(self._place(ATTEMPT_DURATION, service, task_type), _QUICK, seconds)

    def group(self, account: str) -> str:
        """The label of a rate limit group: eight digits of its digest, of the first hundred."""
        label = account[:8]
        if label not in self._groups:
            if len(self._groups) >= _MOST_GROUPS:
                return "other"
            self._groups.add(label)
        return label

    def begin_wait(self, group: str) -> None:
        self._numbers[self._place(WAITING, group)] += 1.0

    def end_wait(self, group: str, seconds: float, *, refused: bool) -> None:
        self._numbers[self._place(WAITING, group)] -= 1.0
        if refused:
            self._numbers[self._place(REFUSED, group)] += 1.0
        else:
            self._observe(self._place(WAIT, group), _QUICK, seconds)
