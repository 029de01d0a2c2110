"""``python -m tests.fuzz``: rounds of made-up requests and bytes until the time is over."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from schemathesis import GenerationMode

from tests.fuzz import wire
from tests.fuzz.requests import Fuzzer
from tests.fuzz.server import Server, serve

Step = Callable[[int], None]


def main() -> int:
    """Print what was sent; 1 with the first thing that went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="bound of all (default: 120)")
    parser.add_argument("--count", type=int, default=10, help="sent in a step (default: 10)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    args = parser.parse_args()
    began, sent = time.monotonic(), 0
    for name, step in steps(args.count, args.seed):
        try:
            step(args.count)
        except Exception as error:
            error.add_note(f"in {name}; to see it again: --seed {args.seed} --count {args.count}")
            raise
        sent += args.count
        if time.monotonic() - began > args.seconds:
            break
    sys.stdout.write(
        f"{sent} fuzzed exchanges in {time.monotonic() - began:.0f} s (seed {args.seed}):"
        " no unnamed 5xx, no hang, no traceback, nothing left open\n"
    )
    return 0


def steps(count: int, number: int) -> Iterator[tuple[str, Step]]:
    """What to send, without end; each round has a server of its own."""
    while True:
        with serve() as server, closing(Fuzzer(server)) as fuzzer:
            yield from _round(server, fuzzer, number)
            fuzzer.close()
            server.check_rest()
        number += 1


def _round(server: Server, fuzzer: Fuzzer, number: int) -> Iterator[tuple[str, Step]]:
    for operation in fuzzer.operations():
        for mode in GenerationMode:
            name = f"{operation.method} {operation.path}, {mode.value}"
            yield name, lambda count: fuzzer.fuzz(operation, mode, count, number)  # noqa: B023 - called at once
    yield "a mix of operations", lambda count: fuzzer.mix(10 * count, number)
    yield "good bytes", lambda count: wire.fuzz(server, wire.good_requests(), 10 * count, number)
    yield "odd bytes", lambda count: wire.fuzz(server, wire.odd_bytes(), 30 * count, number)


if __name__ == "__main__":
    sys.exit(main())
