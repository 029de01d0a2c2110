"""The plugin in a pytest run of somebody else, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_LOADED = """
import sys, pytest
before = set(sys.modules)
import esinfer.pytest_plugin
print(*sorted(set(sys.modules) - before))
"""
_CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def esinfer_settings():
    return ["elasticsearch.cluster_name=mine"]
"""
_TESTS = """
import sys
import pytest
from esinfer.testing.control import call

urls = []

def test_nothing_is_loaded_before_it_is_used():
    assert "aiohttp" not in sys.modules

@pytest.mark.parametrize("name", ["a/b", "\\u00e9 x", "x" * 300])
def test_settings_are_the_projects(esinfer, name):
    assert call(esinfer.url, "GET", "/")["cluster_name"] == "mine"
    urls.append(esinfer.url)

def test_namespaces_are_dropped_with_their_tests(esinfer, esinfer_server):
    assert len(set(urls)) == 3
    shown = call(esinfer_server.url, "GET", "/_esinfer/namespaces")["namespaces"]
    assert [one["name"] for one in shown] == ["default", esinfer.name]

def test_a_failure_is_shown_where_it_is(esinfer):
    esinfer.journal.assert_request("GET")
"""


def python(*arguments: str, cwd: Path) -> tuple[int, Sequence[str]]:
    """The status of a run of Python's, and the lines that it wrote."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, [*done.stdout.splitlines(), *done.stderr.splitlines()]


def test_a_pytest_run_that_does_not_use_it_pays_next_to_nothing(tmp_path: Path) -> None:
    status, lines = python("-c", _LOADED, cwd=tmp_path)
    assert (status, lines) == (0, ["esinfer esinfer.pytest_plugin"])


def test_the_fixture_needs_no_configuration_and_takes_some(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_it.py").write_text(_TESTS)
    options = (
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "-p",
        "no:aiohttp",
        "-W",
        "error",
    )
    status, lines = python("-m", "pytest", *options, cwd=tmp_path)
    shown = "\n".join(lines)
    assert status == 1, shown
    assert "1 failed, 5 passed" in lines[-1], shown
    assert '>       esinfer.journal.assert_request("GET")' in lines, shown
    assert (
        "E       AssertionError: Expected a request GET to any path; none of 0 requests is such"
        in lines
    ), shown
    assert "__tracebackhide__" not in shown
