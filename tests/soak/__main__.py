"""``python -m tests.soak --seconds N``: load, then look what it has left behind."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.bench.processes import BenchError
from tests.crash.store_kills import KEY
from tests.soak.faults import FAULTS
from tests.soak.load import CLIENTS, Load, Tally, create_endpoints
from tests.soak.servers import STORE, Watched, until, watched

_MOST_GROWTH = 24.0
"""MB that the server may hold at the end above what it held after a quarter of the time.

Its objects are counted more strictly: memory that they have left is in pieces for a while."""
_MOST_OBJECTS = 10_000
"""The same of Python's container objects: requests in flight have some."""
_LEAST_RIGHT = 0.5
_CLEAN = 0.1
"""Share of the time after the faults, in which no answer may be an error."""
_IDLE = 10.0
_STOPS_IN = 5.0
_ALARMS = (
    "Traceback",
    "unhandled",
    "ResourceWarning",
    "never awaited",
    "never retrieved",
    "was destroyed",
)
"""Words that a server in good health does not log; ``unhandled`` is ``esinfer.connection``'s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What the server holds, garbage aside: open descriptors, tasks, Python objects, MB."""

    descriptors: int
    tasks: int
    objects: int
    resident: float

    @classmethod
    def of(cls, server: Watched) -> Vitals:
        tasks, objects = server.held()
        return cls(
            descriptors=server.descriptors,
            tasks=tasks,
            objects=objects,
            resident=server.resident,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What a soak has seen."""

    faulty: Tally
    clean: Tally
    start: Vitals
    quarter: Vitals
    loaded: Vitals
    end: Vitals
    stops: tuple[tuple[str, int, float], ...]
    logs: str


async def _load(seconds: float, server: Watched, twin: Watched) -> tuple[Tally, Tally, Vitals]:
    """The faulty and the clean load, and what is held after a quarter of the time."""
    address, upstream = server.server.address, twin.server.address
    async with aiohttp.ClientSession(upstream, raise_for_status=True) as session:
        path = "/__twin/upstreams/default"
        await session.put(path, json={"faults": FAULTS})
        load = Load(address, upstream)
        await load.run(seconds / 4)
        quarter = Vitals.of(server)
        await load.run(seconds * (3 / 4 - _CLEAN))
        await session.put(path, json={"faults": []})
    clean = Load(address, upstream)
    await clean.run(seconds * _CLEAN)
    return load.tally, clean.tally, quarter


def _settings(folder: Path) -> list[str]:
    settings = {
        "store.path": folder / STORE,
        "store.key": KEY,
        "inference.retry_initial_delay": "20ms",
        "inference.retry_max_delay_bound": "100ms",
    }
    return [f"--set={name}={value}" for name, value in settings.items()]


def soak(seconds: float, folder: Path) -> Soaked:
    """Start the two servers, load them, let them rest, stop them."""
    with (
        watched(folder / "twin.log", "twin", "--set=twin.log_entries=0") as twin,
        watched(folder / "serve.log", "serve", *_settings(folder)) as server,
    ):
        asyncio.run(create_endpoints(server.server.address, twin.server.address))
        start = Vitals.of(server)
        faulty, clean, quarter = asyncio.run(_load(seconds, server, twin))
        loaded = Vitals.of(server)
        stops = [("twin", *twin.stop())]  # with it, connections that are kept for later are gone
        until(lambda: server.descriptors <= start.descriptors, _IDLE)
        end = Vitals.of(server)
        stops.append(("serve", *server.stop()))
        logs = "".join(each.log.read_text(encoding="utf-8") for each in (server, twin))
    return Soaked(
        faulty=faulty,
        clean=clean,
        start=start,
        quarter=quarter,
        loaded=loaded,
        end=end,
        stops=tuple(stops),
        logs=logs,
    )


def problems(found: Soaked) -> Iterator[str]:
    """What is not as it should be, in words."""
    yield from (*found.faulty.problems, *found.clean.problems)
    yield from _problems_of_answers(found)
    growth = found.loaded.resident - found.quarter.resident
    if growth > _MOST_GROWTH:
        yield f"memory has grown by {growth:.1f} MB since a quarter of the time"
    objects = found.loaded.objects - found.quarter.objects
    if objects > _MOST_OBJECTS:
        yield f"there are {objects} objects more than after a quarter of the time"
    if found.end.descriptors > found.start.descriptors:
        yield f"{found.end.descriptors} descriptors, {found.start.descriptors} at the start"
    if found.end.tasks > found.start.tasks:
        yield f"{found.end.tasks} tasks are there, {found.start.tasks} at the start"
    for name, status, seconds in found.stops:
        if status or seconds > _STOPS_IN:
            yield f"{name} stopped with status {status} after {seconds:.1f} s"
    yield from (
        f"the log says [{alarm}]:\n{found.logs[-5000:]}" for alarm in _ALARMS if alarm in found.logs
    )


def _problems_of_answers(found: Soaked) -> Iterator[str]:
    outcomes = found.faulty.outcomes
    if outcomes["right"] < _LEAST_RIGHT * outcomes.total():
        yield f"too few answers are right: {dict(outcomes)}"
    if not any(name.startswith("error") for name in outcomes) or not outcomes["broken off"]:
        yield f"the faults did nothing: {dict(outcomes)}"
    unexpected = set(found.clean.outcomes) - {"right", "left", "changes", "wrong"}
    if unexpected or not found.clean.outcomes["right"]:
        yield f"without faults there are errors: {dict(found.clean.outcomes)}"


def _report(found: Soaked) -> Iterator[str]:
    for name, tally in (("with faults", found.faulty), ("without", found.clean)):
        counts = ", ".join(f"{count} {what}" for what, count in sorted(tally.outcomes.items()))
        yield f"{name}: {tally.outcomes.total()} requests: {counts}"
    yield (
        f"memory, MB: {found.start.resident:.1f} at the start, {found.quarter.resident:.1f} after a"
        f" quarter of the time, {found.loaded.resident:.1f} at the end of the load; objects:"
        f" {found.start.objects}, {found.quarter.objects}, {found.loaded.objects}"
    )
    yield (
        f"descriptors: {found.start.descriptors} at the start, {found.end.descriptors} at rest;"
        f" tasks: {found.start.tasks}, {found.end.tasks}"
    )
    yield "; ".join(f"{name} stopped with {status} in {s:.2f} s" for name, status, s in found.stops)


def main() -> int:
    """The exit status: 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of load (default: 120)")
    args = parser.parse_args()
    sys.stdout.write(f"{args.seconds:g} s of load by {CLIENTS} clients\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="esinfer-soak-") as folder:
        try:
            found = soak(args.seconds, Path(folder))
        except BenchError as error:
            sys.stderr.write(f"soak: {error}\n")
            return 1
    sys.stdout.write("".join(f"{line}\n" for line in _report(found)))
    wrong = list(problems(found))
    sys.stderr.write("".join(f"{line}\n" for line in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
