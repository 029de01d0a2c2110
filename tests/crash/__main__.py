"""``python -m tests.crash store|server --kills N``: see the package."""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.ledger import LossError
from tests.crash.server_kills import kill_servers
from tests.crash.store_kills import kill_stores


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("victim", choices=("store", "server"))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    kill = kill_stores if args.victim == "store" else kill_servers
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="esinfer-crash-") as folder:
        try:
            acknowledged = kill(Path(folder), args.kills, args.seed)
        except LossError as error:
            sys.stderr.write(f"seed {args.seed}: {error}\n")
            return 1
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{args.kills} kills of a {args.victim} in {seconds:.0f} s (seed {args.seed}):"
        f" none of {acknowledged} acknowledged changes was lost\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
