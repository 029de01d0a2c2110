"""The console script and ``python -m esinfer``; an interrupt ends them quietly from the start."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that was typed; the exit status."""
    try:
        from esinfer import cli  # noqa: PLC0415 -- whoever is impatient interrupts this

        return cli.main(argv)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
