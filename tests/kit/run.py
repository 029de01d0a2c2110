"""Run a sample project with the installed wheel alone, and sum it up in a line.

``python -m tests.kit.run`` takes the environment that ``make test-kit`` has
set up in build/kit/python. The exit status is 0 if all is well.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.clients.run import SuiteError, exit_when_terminated, watch

_PROJECT = Path(__file__).parent / "python"
_PYTHON = Path(__file__).parents[2] / "build" / "kit" / "python" / "bin" / "python"
_COUNTS = re.compile(r"(?P<passed>\d+) passed(?:, (?P<skipped>\d+) skipped)?")

COMMAND = (
    *(_PYTHON, "-P", "-m", "pytest", "--quiet", "--numprocesses", "2"),  # -P: not the source
    *("-p", "no:cacheprovider", "-c", _PROJECT / "pytest.ini"),
    *("--rootdir", _PROJECT, "--confcutdir", _PROJECT, _PROJECT),
)


def run(command: Sequence[str | Path]) -> str:
    """Run the project; how much has passed, or SuiteError."""
    status, output = watch(command, os.environ)
    found = _COUNTS.search(output)
    if status or found is None:
        raise SuiteError(output)
    return f"{found['passed']} passed, {found['skipped'] or 0} skipped"


def main(command: Sequence[str | Path] = COMMAND) -> int:
    """The project's output only if it fails, and in any case a line."""
    started = time.monotonic()
    try:
        result, status = run(command), 0
    except SuiteError as error:
        result, status = "FAILED", 1
        print(error)  # noqa: T201 -- for whoever typed the command
    print(f"kit/python: {result} in {time.monotonic() - started:.1f} s")  # noqa: T201
    return status


if __name__ == "__main__":
    exit_when_terminated()
    sys.exit(main())
