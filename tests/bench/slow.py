"""A thousand requests at once whose upstream takes two seconds, beside the bare proxy."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from statistics import median

from tests.bench import scenarios
from tests.bench.load import Job, Sample, run_own
from tests.bench.processes import BenchError, running
from tests.bench.scenarios import Target

REQUESTS = 1_000
DELAY = 2.0
MOST = 2.6
"""Seconds from the first connection to the last answer."""


def report(times: int) -> Generator[str]:
    """The lines of a table; each side is asked ``times`` times, in turn."""
    limits = [f"--set=inference.max_{scope}_connections={REQUESTS}" for scope in ("total", "route")]
    with (
        running("tests.bench.peers", "upstream", f"--delay={DELAY}") as upstream,
        running("tests.bench.peers", "proxy", f"--upstream={upstream.address}") as proxy,
        running("esinfer", "serve", *scenarios.OPTIONS, *limits) as esinfer,
    ):
        scenarios.create_endpoint(esinfer, upstream.address)
        ours = scenarios.ours(esinfer, ["a slow one"])
        body = json.dumps({"inputs": ["a slow one"]})
        bare = Target(server=proxy, path="/", body=body, prefix=b"[[")
        pairs = [(_ask(ours), _ask(bare)) for _ in range(times)]
        held = [(server.resident_bytes or 0) / 1e6 for server in (esinfer, proxy)]
    yield f"| {REQUESTS} requests at once of {DELAY:.0f} s | esinfer serve | proxy | bar | |"
    yield "|---|--:|--:|--:|---|"
    yield _seconds(pairs)
    yield f"| memory after them, MB | {held[0]:.1f} | {held[1]:.1f} | | |"


def _ask(target: Target) -> Sample:
    """Each connection sends one request; all have to be answered well."""
    url = target.server.address + target.path
    sample = run_own(Job(url=url, body=target.body, seconds=0, connections=REQUESTS, patience=20))
    if sample.failed or sample.requests != REQUESTS:
        raise BenchError(f"{url}: {sample}")
    return sample


def _seconds(pairs: Sequence[tuple[Sample, Sample]]) -> str:
    ours, bare = (
        median(pair[side].requests / pair[side].rate for pair in pairs) for side in (0, 1)
    )
    mark = "ok" if ours <= MOST else "above"
    return f"| seconds until all are answered | {ours:.2f} | {bare:.2f} | ≤ {MOST} | {mark} |"
