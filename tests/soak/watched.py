"""``python -m tests.soak.watched ARGUMENTS``: esinfer, which counts what it holds on SIGUSR1.

It collects garbage before, of which a server may hold some at any time.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys

from esinfer.cli import main


def _tell(_number: int, _frame: object) -> None:
    """Runs between two bytecodes of the main thread, whose loop is the running one."""
    gc.collect()
    sys.stderr.write(f"held: {len(asyncio.all_tasks())} {len(gc.get_objects())}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _tell)
    sys.exit(main())
