"""That it is the installed package that the other tests have tried, and what it costs."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import esinfer as package
from esinfer.testing import Esinfer

_NEW = """
import sys, pytest
before = set(sys.modules)
import esinfer.pytest_plugin
print(*sorted(set(sys.modules) - before))
"""


def test_the_wheel_is_tested() -> None:
    assert Path(package.__file__).is_relative_to(sys.prefix)
    assert Path(package.__file__).with_name("py.typed").exists()


def test_pytest_loads_next_to_nothing_for_who_does_not_use_it() -> None:
    command = [sys.executable, "-P", "-c", _NEW]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603
    assert found.stdout.split() == ["esinfer", "esinfer.pytest_plugin"]


def test_a_test_costs_less_than_a_millisecond(esinfer_server: Esinfer) -> None:
    costs = []
    for number in range(100):
        started = time.perf_counter()
        with esinfer_server.namespace(f"cost-{number}"):
            pass
        costs.append(time.perf_counter() - started)
    assert sorted(costs)[50] < 0.001
