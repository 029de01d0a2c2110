"""The console script and ``python -m esinfer``; an interrupt ends them quietly from the start."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command that was typed; the exit status."""
    try:
        from esinfer import cli  # noqa: PLC0415 -- whoever is impatient interrupts this

        return cli.main()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
