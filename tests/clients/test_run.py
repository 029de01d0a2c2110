"""The runner of the clients' suites: bounded in time, leaving nothing, believing no empty run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from tests.clients import run
from tests.clients.run import SuiteError, suite_of
from tests.clients.servers import ServerError, Servers, Twins, running

SERVERS = Servers(mock="http://a", serve="http://b", twin="http://c")
TWINS = Twins(
    tei="http://a",
    tei_1_8="http://b",
    similarity="http://c",
    toolkit="http://d",
    serverless="http://e",
    tgi="http://f",
    vllm="http://g",
)
NODE_SAYS = "\u2139 tests 7\n\u2139 pass 5\n\u2139 fail 0\n\u2139 skipped 2\n"


@pytest.fixture(autouse=True)
def _no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "live_servers", lambda: nullcontext(SERVERS))
    monkeypatch.setattr(run, "live_twins", lambda: nullcontext(TWINS))


def python(code: str) -> Sequence[str]:
    return [sys.executable, "-c", code]


def test_a_suite_is_told_its_release_and_the_servers() -> None:
    code = (
        "import os; told = os.environ; assert told['ESINFER_SUITE_VERSION'].startswith('8.19.');"
        "assert told['ESINFER_SUITE_HOME'].endswith('build/clients/py8');"
        "assert told['ESINFER_SUITE_SERVE'] == 'http://b'; print('3 passed in 0.1s')"
    )
    suite = replace(suite_of("py8"), command=python(code))
    assert run.run("py8", suite) == "3 passed, 0 skipped"
    assert Servers.told(SERVERS.environment) == SERVERS
    assert Servers.told({}) is None


def test_the_suite_of_the_hub_is_told_twins() -> None:
    code = (
        "import os; told = os.environ; assert told['ESINFER_SUITE_VERSION'][0].isdecimal();"
        "assert told['ESINFER_SUITE_TEI_1_8'] == 'http://b'; print('3 passed in 0.1s')"
    )
    suite = replace(suite_of("hub"), command=python(code))
    assert run.run("hub", suite) == "3 passed, 0 skipped"
    assert Twins.told(TWINS.environment) == TWINS
    assert Twins.told(SERVERS.environment) is None


@pytest.mark.parametrize(
    ("name", "output", "result"),
    [
        ("py9", "7 passed, 2 skipped in 0.1s", "7 passed, 2 skipped"),
        ("js9", NODE_SAYS, "5 passed, 2 skipped"),
    ],
)
def test_what_has_passed_is_counted(name: str, output: str, result: str) -> None:
    suite = replace(suite_of(name), command=python(f"print({output!r})"))
    assert run.run(name, suite) == result


@pytest.mark.parametrize("output", ["", "0 passed", "3 skipped"])
def test_a_suite_in_which_nothing_ran_has_failed(output: str) -> None:
    suite = replace(suite_of("py9"), command=python(f"print({output!r})"))
    with pytest.raises(SuiteError):
        run.run("py9", suite)


def test_a_failed_suite_shows_its_output_and_has_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = python("import sys; print('1 failed, 3 passed'); sys.exit(1)")
    suite = replace(suite_of("py9"), version="1.2", command=failing)
    monkeypatch.setattr(run, "suite_of", lambda _: suite)
    assert run.main(["py9"]) == 1
    output, line = capsys.readouterr().out.split("\n\n")
    assert output == "1 failed, 3 passed"
    assert line.startswith("py9: elasticsearch-py 1.2: FAILED in ")


def test_a_suite_that_does_not_end_is_ended_with_its_children() -> None:
    """The child holds the suite's output open: if it lived, we would wait for it here."""
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', {!r}])"
    code = "print('begun', flush=True);" + child.format("import time; time.sleep(3600)")
    with pytest.raises(SuiteError, match=r"begun\n\nstill running after 2 s"):
        run.watch(python(code), os.environ, limit=2)


def test_a_server_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(ServerError, match=r"(?s)esinfer mock logged:.*--nonsense"),
        running("mock", "--nonsense"),
    ):
        pass


def test_whoever_stops_the_runner_stops_its_servers() -> None:
    code = (
        "import sys, time; from tests.clients.servers import running\n"
        "from tests.clients.run import exit_when_terminated\n"
        "exit_when_terminated()\n"
        "with running('mock') as url:\n"
        "    print(url, flush=True); time.sleep(60)"
    )
    command = python(code)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=5).close()
