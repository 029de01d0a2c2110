"""``python -m tests.fuzz``: rounds of made-up requests, answers and bytes till the time is over."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from typing import TypeAlias

from schemathesis import GenerationMode

from tests.fuzz import guarded, inferences, wire
from tests.fuzz.guarded import serve_guarded
from tests.fuzz.inferences import WAYS, serve_behind
from tests.fuzz.requests import Fuzzer
from tests.fuzz.server import Server, serve
from tests.fuzz.twins import PROFILES, judge_twin, sent_to_twins, serve_twin

Step = tuple[str, int, Callable[..., None]]
"""Its name, how many it sends, and what sends so many."""

Round: TypeAlias = Callable[[int], AbstractContextManager[Iterator[Step]]]
"""A server's steps of so many; nothing may be left of them at the end."""


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
        " no unnamed 5xx, no hang, no traceback, no key, nothing left open\n"
    )
    return 0


def steps(count: int, number: int, until: float) -> Iterator[Step]:
    """What to send till then; each server of a round is a new one, of which nothing may stay."""
    twins = [partial(_twin, each) for each in PROFILES]
    rounds: list[Round] = [_behind, _guarded, *twins, _mock]
    while time.monotonic() < until:
        for enter in rounds:
            if time.monotonic() >= until:
                return
            with enter(count) as found:
                for name, most, send in found:
                    yield name, most, partial(send, number=number)
                    if time.monotonic() >= until:
                        break
        number += 1


@contextmanager
def _behind(count: int) -> Iterator[Iterator[Step]]:
    with serve_behind() as behind:
        yield (
            (
                f"answers to {task_type}{'/_stream' if streams else ''}",
                10 * count,
                partial(inferences.fuzz, behind, task_type, streams=streams),
            )
            for task_type, streams in WAYS
        )
        behind.check_rest()


@contextmanager
def _guarded(count: int) -> Iterator[Iterator[Step]]:
    with serve_guarded() as server:
        send = partial(wire.fuzz, server, guarded.odd_bytes(), judge=guarded.judge_guarded)
        yield iter([("odd bytes without credentials", 20 * count, send)])
        server.check_rest()


@contextmanager
def _twin(profile: str, count: int) -> Iterator[Iterator[Step]]:
    with serve_twin(profile) as server:
        yield (
            (f"{name} at {profile}", 10 * count, partial(wire.fuzz, server, made, judge=judge_twin))
            for name, made in sent_to_twins().items()
        )
        server.check_rest()


@contextmanager
def _mock(count: int) -> Iterator[Iterator[Step]]:
    with serve() as server, closing(Fuzzer(server)) as fuzzer:
        yield _sent_to_mock(server, fuzzer, count)
        fuzzer.close()
        server.check_rest()


def _sent_to_mock(server: Server, fuzzer: Fuzzer, count: int) -> Iterator[Step]:
    yield "a mix of operations", 10 * count, fuzzer.mix
    yield "good bytes", 10 * count, partial(wire.fuzz, server, wire.good_requests())
    yield "odd bytes", 30 * count, partial(wire.fuzz, server, wire.odd_bytes())
    for operation in fuzzer.operations():
        for mode in GenerationMode:
            name = f"{operation.method} {operation.path}, {mode.value}"
            yield name, count, partial(fuzzer.fuzz, operation, mode)


if __name__ == "__main__":
    sys.exit(main())
