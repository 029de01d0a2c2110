"""``python -m tests.bench``: esinfer beside bare aiohttp, as a markdown table.

Both sides of a pair are loaded in turn, so that their ratio holds on a busy
computer too. The exit status says whether there was something to measure, not
whether a bar was reached.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NoReturn

from tests.bench import chunking, embedding, many, scenarios, slow, streaming, workers
from tests.bench.load import CONNECTIONS, Client, Sample, choose_client
from tests.bench.processes import BenchError
from tests.bench.scenarios import Pair, Rounds

_SLOWEST_START = 0.4
_LARGEST_RESIDENT = 70.0
_SLOWEST_OF_100 = 10.0
"""Milliseconds that 99 of 100 requests take at most, of one input each."""


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure esinfer beside bare aiohttp servers, all on loopback.",
    )
    parser.add_argument("--seconds", type=_count, help="of one round (default: 2)")
    parser.add_argument("--rounds", type=_count, help="of each pair (default: 5)")
    parser.add_argument("--quick", action="store_true", help="2 rounds of a second")
    parser.add_argument(
        "--client",
        choices=("auto", "wrk", "own"),
        default="auto",
        help="what makes the load (default: wrk if it is installed, else our own client)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the tables there too")
    args = parser.parse_args(argv)
    args.seconds = args.seconds or (1 if args.quick else 2)
    args.rounds = args.rounds or (2 if args.quick else 5)
    return args


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _report(args: argparse.Namespace) -> Generator[str]:
    """The lines of the report, each as soon as it is measured."""
    client = choose_client(args.client)
    yield from _heading(args, client)
    yield from _pairs(args, client)
    yield ""
    yield from streaming.report(4 * args.rounds)
    yield ""
    yield from chunking.report()
    yield from embedding.report(args.seconds / 2, args.rounds)
    yield ""
    yield from slow.report(min(args.rounds, 3))
    yield ""
    yield from many.report()
    yield ""
    yield from workers.report(client, args.seconds, args.rounds)
    yield ""
    yield from _start(args)


def _heading(args: argparse.Namespace, client: Client) -> Generator[str]:
    maker = client.__name__.removeprefix("run_")
    yield "# esinfer beside bare aiohttp"
    yield ""
    yield (
        f"Python {platform.python_version()}, aiohttp {version('aiohttp')}, {os.cpu_count()} cores;"
        f" load by {maker} over {CONNECTIONS} connections, {args.rounds} rounds of"
        f" {args.seconds} s on each side in turn. Medians of the rounds; the ratio is taken"
        " round by round."
    )
    yield ""


# -- the tables -------------------------------------------------------------


def _pairs(args: argparse.Namespace, client: Client) -> Generator[str]:
    yield (
        "| path | esinfer req/s | p50 ms | p99 ms | CPU µs/req | bare req/s | p50 ms | p99 ms"
        " | CPU µs/req | ratio | least–most | bar | |"
    )
    yield "|---|" + "--:|" * 11 + "---|"
    for scenario in (scenarios.live, scenarios.mock):
        with scenario() as pairs:
            for pair in pairs:
                yield _row(pair, scenarios.compare(pair, client, args.seconds, args.rounds))


def _row(pair: Pair, rounds: Rounds) -> str:
    ratio = median(rounds.ratios)
    failed = sum(sample.failed for sample in (*rounds.ours, *rounds.bare))
    p99 = median(sample.p99 for sample in rounds.ours)
    remark = f"{failed} requests failed" if failed else _remark(pair, ratio, p99)
    cells = [
        pair.name,
        *_numbers(rounds.ours),
        *_numbers(rounds.bare),
        f"{ratio:.2f}",
        f"{min(rounds.ratios):.2f}–{max(rounds.ratios):.2f}",
        f"≥ {pair.least}" + (f", p99 < {_SLOWEST_OF_100:.0f} ms" if pair.is_short else ""),
        remark,
    ]
    return f"| {' | '.join(cells)} |"


def _remark(pair: Pair, ratio: float, p99: float) -> str:
    if pair.is_short and p99 >= _SLOWEST_OF_100:
        return f"{_mark(ratio, least=pair.least)}, p99 above"
    return _mark(ratio, least=pair.least)


def _numbers(samples: Sequence[Sample]) -> list[str]:
    cpu = [sample.cpu for sample in samples if sample.cpu is not None]
    return [
        f"{median(sample.rate for sample in samples):.0f}",
        f"{median(sample.p50 for sample in samples):.1f}",
        f"{median(sample.p99 for sample in samples):.1f}",
        f"{median(cpu):.0f}" if cpu else "–",
    ]


def _mark(value: float, *, least: float | None = None, most: float | None = None) -> str:
    if least is not None:
        return "ok" if value >= least else "below"
    if most is not None:
        return "ok" if value <= most else "above"
    return ""


def _start(args: argparse.Namespace) -> Generator[str]:
    times = 3 if args.quick else 7
    ours, bare = scenarios.start_of_mock(times), scenarios.start_of_handler(times)
    yield "| start | esinfer mock | bare handler | bar | |"
    yield "|---|--:|--:|--:|---|"
    yield (
        f"| start to first answer, s | {ours.seconds:.2f} | {bare.seconds:.2f}"
        f" | ≤ {_SLOWEST_START} | {_mark(ours.seconds, most=_SLOWEST_START)} |"
    )
    yield _memory("memory then, MB", ours.resident, bare.resident)
    yield _memory("memory after 200 embeddings, MB", ours.resident_used, bare.resident_used)


def _memory(name: str, ours: int | None, bare: int | None) -> str:
    if ours is None or bare is None:
        return f"| {name} | – | – | ≤ {_LARGEST_RESIDENT:.0f} | unknown |"
    megabytes = ours / 1e6
    return (
        f"| {name} | {megabytes:.1f} | {bare / 1e6:.1f} | ≤ {_LARGEST_RESIDENT:.0f}"
        f" | {_mark(megabytes, most=_LARGEST_RESIDENT)} |"
    )


# -- the run ----------------------------------------------------------------


def _leave(_number: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)  # an exception, so that what runs is stopped


def main(argv: Sequence[str]) -> int:
    """Print the report; 1 if something could not be measured."""
    args = _parse(argv)
    signal.signal(signal.SIGTERM, _leave)
    lines: list[str] = []
    try:
        with closing(_report(args)) as report:
            for line in report:
                print(line, flush=True)  # noqa: T201 -- for whoever typed the command
                lines.append(line)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)  # noqa: T201 -- as above
        return 1
    except KeyboardInterrupt:
        return 130
    if args.output is not None:
        args.output.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
