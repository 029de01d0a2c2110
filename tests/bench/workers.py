"""One process and several with one SQLite store on one port: start, memory, rate."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from tests.bench import scenarios
from tests.bench.load import Client
from tests.bench.processes import Server, running
from tests.crash.store_kills import KEY

_COUNTS = (1, 2, 4)
_STARTS = 3
_TEXT = "The quick brown fox jumps over the lazy dog near the bank of the river"
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def report(client: Client, seconds: int, rounds: int) -> Generator[str]:
    """The lines of a table; rounds of load take turns."""
    with tempfile.TemporaryDirectory(prefix="esinfer-bench-") as folder:
        starts = [scenarios.median_start(_command(n, Path(folder)), _STARTS) for n in _COUNTS]
        held, rates = _load(client, seconds, rounds, Path(folder))
    yield f"| `esinfer serve --workers` | {' | '.join(map(str, _COUNTS))} |"
    yield "|---|" + "--:|" * len(_COUNTS)
    yield _row("start to first answer, s", [f"{start:.2f}" for start in starts])
    yield _row("memory of all its processes then, MB (PSS)", held)
    yield _row("1 input, requests/s", [f"{rate:.0f}" for rate in rates])


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _command(workers: int, folder: Path) -> tuple[str, ...]:
    store = folder / f"{workers}.db"
    settings = ("store.kind=sqlite", f"store.path={store}", f"store.key={KEY}")
    options = (f"--workers={workers}", *(f"--set={setting}" for setting in settings))
    return ("esinfer", "serve", *scenarios.OPTIONS, *options)


def _load(client: Client, seconds: int, rounds: int, folder: Path) -> tuple[list[str], list[float]]:
    """Memory and rate of each number of workers."""
    with ExitStack() as stack:
        upstream = stack.enter_context(running("tests.bench.peers", "upstream"))
        servers = [stack.enter_context(_serving(count, folder)) for count in _COUNTS]
        held = [_proportional_megabytes(server.pid) for server in servers]
        targets = [scenarios.ours(server, [_TEXT]) for server in servers]
        for server, target in zip(servers, targets, strict=True):
            scenarios.create_endpoint(server, upstream.address)
            target.load(client, 1)
        samples = [[target.load(client, seconds) for target in targets] for _ in range(rounds)]
    return held, [median(sample.rate for sample in own) for own in zip(*samples, strict=True)]


@contextmanager
def _serving(workers: int, folder: Path) -> Iterator[Server]:
    with running(*_command(workers, folder)) as server:
        server.request("GET", "/")
        yield server


def _proportional_megabytes(pid: int) -> str:
    """What a process and its children hold, each page that some share divided among them."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        maps = [
            Path(f"/proc/{each}/smaps_rollup").read_text(encoding="ascii")
            for each in (pid, *children)
        ]
    except OSError:
        return "–"
    found = [_PSS.search(text) for text in maps]
    return f"{sum(int(each[1]) for each in found if each) * 1024 / 1e6:.0f}"
