"""``python -m tests.fuzz``: rounds of made-up requests and bytes until the time is over."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from schemathesis import GenerationMode

from tests.fuzz import wire
from tests.fuzz.requests import Fuzzer
from tests.fuzz.server import Server, serve

Step = tuple[str, int, Callable[..., None]]
"""Its name, how many it sends, and what sends so many."""


def main() -> int:
    """Print what was sent; 1 with the first thing that went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="bound of all (default: 120)")
    parser.add_argument("--count", type=int, default=10, help="sent in a step (default: 10)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    args = parser.parse_args()
    began, sent = time.monotonic(), 0
    for name, count, send in steps(args.count, args.seed, began + args.seconds):
        try:
            send(count)
        except Exception as error:
            error.add_note(f"in {name}; to see it again: --seed {args.seed} --count {args.count}")
            raise
        sent += count
    sys.stdout.write(
        f"{sent} fuzzed exchanges in {time.monotonic() - began:.0f} s (seed {args.seed}):"
        " no unnamed 5xx, no hang, no traceback, nothing left open\n"
    )
    return 0


def steps(count: int, number: int, until: float) -> Iterator[Step]:
    """What to send till then; each round has a server of its own, of which nothing may stay."""
    while time.monotonic() < until:
        with serve() as server, closing(Fuzzer(server)) as fuzzer:
            for name, most, send in _round(server, fuzzer, count):
                yield name, most, partial(send, number=number)
                if time.monotonic() >= until:
                    break
            fuzzer.close()
            server.check_rest()
        number += 1


def _round(server: Server, fuzzer: Fuzzer, count: int) -> Iterator[Step]:
    yield "a mix of operations", 10 * count, fuzzer.mix
    yield "good bytes", 10 * count, partial(wire.fuzz, server, wire.good_requests())
    yield "odd bytes", 30 * count, partial(wire.fuzz, server, wire.odd_bytes())
    for operation in fuzzer.operations():
        for mode in GenerationMode:
            name = f"{operation.method} {operation.path}, {mode.value}"
            yield name, count, partial(fuzzer.fuzz, operation, mode)


if __name__ == "__main__":
    sys.exit(main())
