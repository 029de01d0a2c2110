"""Run the checks of one client against live servers, and sum them up in a line.

``python -m tests.clients.run py8`` takes the release that
tests/clients/py8 pins, in the environment that ``make test-clients`` has set
up for it in build/clients/py8. The exit status is 0 if all is well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.clients.servers import Addresses, ServerError, live_servers, live_twins

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
_BUILD = _ROOT / "build" / "clients"
_PYTEST_COUNTS = re.compile(r"(?P<passed>\d+) passed(?:, (?P<skipped>\d+) skipped)?")
_LIMIT = 60.0
"""Seconds that a suite may take."""


class SuiteError(Exception):
    """A suite has not passed; the text says all that there is to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A pinned release of a client, how its checks are run, and how their counts are found."""

    client: str
    version: str
    command: Sequence[str | Path]
    counts: re.Pattern[str]
    servers: Callable[[], AbstractContextManager[Addresses]]


def python_suite(name: str) -> Suite:
    """The checks of elasticsearch-py, with nothing of the project's own environment."""
    return Suite(
        client="elasticsearch-py",
        version=_pinned(name, "elasticsearch[async]"),
        command=_pytest(name, _HERE, _HERE / "test_elasticsearch_py.py"),
        counts=_PYTEST_COUNTS,
        servers=live_servers,
    )


def hub_suite(name: str) -> Suite:
    """The checks of huggingface_hub and openai, against twins alone."""
    return Suite(
        client="huggingface_hub",
        version=_pinned(name, "huggingface_hub"),
        command=_pytest(name, _HERE / name, _HERE / name / "check_hub.py"),
        counts=_PYTEST_COUNTS,
        servers=live_twins,
    )


def _pinned(name: str, package: str) -> str:
    pins = (_HERE / name / "requirements.txt").read_text(encoding="utf-8")
    return pins.partition(f"{package}==")[2].split()[0]


def _pytest(name: str, conftests: Path, checks: Path) -> Sequence[str | Path]:
    python = _BUILD / name / "bin" / "python"
    options = ("--quiet", "-p", "no:cacheprovider", "--confcutdir", conftests)
    return [python, "-m", "pytest", *options, checks]


def node_suite(name: str) -> Suite:
    """The checks of @elastic/elasticsearch, file by file since they share the servers."""
    package = json.loads((_HERE / name / "package.json").read_text(encoding="utf-8"))
    return Suite(
        client="@elastic/elasticsearch",
        version=package["dependencies"]["@elastic/elasticsearch"],
        command=[
            *("node", "--test", "--test-reporter=spec", "--test-concurrency=1"),
            *sorted((_HERE / "js").glob("*.test.mjs")),
        ],
        counts=re.compile(
            r"^\S+ pass (?P<passed>\d+)$.*^\S+ skipped (?P<skipped>\d+)$", re.MULTILINE | re.DOTALL
        ),
        servers=live_servers,
    )


def suite_of(name: str) -> Suite:
    """The suite whose pins are in the directory of that name."""
    if name == "hub":
        return hub_suite(name)
    return python_suite(name) if name.startswith("py") else node_suite(name)


def run(name: str, suite: Suite) -> str:
    """Run a suite against servers of its own; how much has passed, or SuiteError."""
    told = {"ESINFER_SUITE_VERSION": suite.version, "ESINFER_SUITE_HOME": str(_BUILD / name)}
    try:
        with suite.servers() as servers:
            status, output = watch(suite.command, {**os.environ, **servers.environment, **told})
    except ServerError as error:
        raise SuiteError(str(error)) from error
    found = suite.counts.search(output)
    if status or found is None or not int(found["passed"]):
        raise SuiteError(output.partition("failing tests:\n")[2] or output)  # Node's last part
    return f"{found['passed']} passed, {found['skipped'] or 0} skipped"


def watch(
    command: Sequence[str | Path], environment: Mapping[str, str], limit: float = _LIMIT
) -> tuple[int, str]:
    """Run to the end; exit status and output. SuiteError after ``limit`` seconds."""
    process = subprocess.Popen(  # noqa: S603 -- a command of this module
        command,
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # so that its children can be ended with it
    )
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        _kill(process)
        output, _ = process.communicate()
        raise SuiteError(f"{output}\nstill running after {limit:g} s") from None
    finally:
        _kill(process)
    return process.returncode, output


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def exit_when_terminated() -> None:
    """Leave in good order, or what was started would outlive us."""

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the named suite; its output only if it fails, and in any case a line."""
    parser = argparse.ArgumentParser(prog="tests.clients.run")
    pins = [*_HERE.glob("*/requirements.txt"), *_HERE.glob("*/package.json")]
    parser.add_argument("suite", choices=sorted(path.parent.name for path in pins))
    name = parser.parse_args(argv).suite
    suite = suite_of(name)
    started = time.monotonic()
    try:
        result, status = run(name, suite), 0
    except SuiteError as error:
        result, status = "FAILED", 1
        print(error)  # noqa: T201 -- for whoever typed the command
    taken = time.monotonic() - started
    print(f"{name}: {suite.client} {suite.version}: {result} in {taken:.1f} s")  # noqa: T201
    return status


if __name__ == "__main__":
    exit_when_terminated()
    sys.exit(main())
