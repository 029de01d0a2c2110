"""Ten thousand inference endpoints in a SQLite store, beside a server that has one."""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from tests.bench import scenarios
from tests.bench.processes import BenchError, Server, running
from tests.crash.store_kills import KEY

ENDPOINTS = 10_000
_SAMPLES = 200
_OPTIONS = (
    "--port=0",
    "--set=logging.level=warn",
    "--set=server.shutdown_timeout=1s",
    "--set=inference.skip_validate_and_start=true",
    f"--set=store.key={KEY}",
)
_PATH = "/_inference/text_embedding/"
_INPUT = json.dumps({"input": ["The quick brown fox"]}).encode()


class _Caller:
    """One connection that is kept."""

    def __init__(self, server: Server, upstream: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=30)
        self.close = self._connection.close
        self._endpoint = json.dumps(scenarios.endpoint(upstream)).encode()

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of a 200 answer."""
        headers = {"Content-Type": "application/json"} if body else {}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise BenchError(f"{method} {path} is answered {answer.status}: {content[:500]!r}")
        return content

    def create(self, number: int) -> None:
        """Create the endpoint of that number."""
        self.ask("PUT", f"{_PATH}e-{number:06}", self._endpoint)


@contextmanager
def _serving(store: Path, upstream: str) -> Iterator[tuple[Server, _Caller]]:
    with (
        running("esinfer", "serve", *_OPTIONS, f"--set=store.path={store}") as server,
        closing(_Caller(server, upstream)) as caller,
    ):
        yield server, caller


def _timed(step: Callable[[int], object], times: int = _SAMPLES) -> float:
    """The median of so many, in milliseconds."""
    taken = []
    for number in range(times):
        began = time.perf_counter()
        step(number)
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


def _measure(server: Server, caller: _Caller, last: int) -> dict[str, float]:
    """What a server does that has endpoints up to number ``last``; it has them then, too."""
    new = last + 1
    return {
        "memory, MB": (server.resident_bytes or 0) / 1e6,
        "create, ms": _timed(lambda number: caller.create(new + number)),
        "get one, ms": _timed(lambda _: caller.ask("GET", f"{_PATH}e-{last:06}")),
        "infer with one, ms": _timed(lambda _: caller.ask("POST", f"{_PATH}e-{last:06}", _INPUT)),
        "list all, ms": _timed(lambda _: caller.ask("GET", "/_inference"), 10),
        "memory after that, MB": (server.resident_bytes or 0) / 1e6,
        "delete, ms": _timed(lambda number: caller.ask("DELETE", f"{_PATH}e-{new + number:06}")),
    }


def _fill(folder: Path, name: str, upstream: str, count: int) -> dict[str, float]:
    """A server's figures with so many endpoints, made one after the other and found again."""
    store = folder / f"{name}.db"
    with _serving(store, upstream) as (_, caller):
        began = time.perf_counter()
        for number in range(count):
            caller.create(number)
        creating = time.perf_counter() - began
    began = time.perf_counter()
    with _serving(store, upstream) as (server, caller):
        caller.ask("GET", "/")
        start = time.perf_counter() - began
        measured = _measure(server, caller, count - 1)
    return {"create them, s": creating, "start with them, s": start, **measured}


def report() -> Generator[str]:
    """The lines of a table."""
    with (
        tempfile.TemporaryDirectory(prefix="esinfer-bench-") as folder,
        running("tests.bench.peers", "upstream") as upstream,
    ):
        one = _fill(Path(folder), "one", upstream.address, 1)
        many = _fill(Path(folder), "many", upstream.address, ENDPOINTS)
    yield f"| SQLite store | {ENDPOINTS:,} endpoints | 1 endpoint | times |"
    yield "|---|--:|--:|--:|"
    for what, value in many.items():
        yield f"| {what} | {value:.2f} | {one[what]:.2f} | {_times(value, one, what)} |"


def _times(value: float, one: Mapping[str, float], what: str) -> str:
    """How many times the one; not of what is done for each endpoint."""
    return "" if what in ("create them, s", "list all, ms") else f"{value / one[what]:.2f}"
