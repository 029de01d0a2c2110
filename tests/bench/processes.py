"""Processes of a benchmark: started, waited for, asked, and always stopped."""

from __future__ import annotations

import http.client
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
_ADDRESS = re.compile(r"http://\S+")
_PATIENCE = 15.0
_RESIDENT = re.compile(r"VmRSS:\s+(\d+) kB")


class BenchError(Exception):
    """There is nothing to measure: a process or an answer is not what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running process that serves HTTP."""

    address: str
    pid: int

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of a 200 answer; BenchError for any other."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=_PATIENCE)
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except OSError as error:
            raise BenchError(f"{method} {path}: {error}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise BenchError(f"{method} {path} is answered {answer.status}: {content[:500]!r}")
        return content

    @property
    def resident_bytes(self) -> int | None:
        """Memory that the process holds now; None where there is no ``/proc``."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        found = _RESIDENT.search(status)
        return int(found[1]) * 1024 if found else None

    @property
    def cpu_seconds(self) -> float | None:
        """Processor time that the process has used; None where there is no ``/proc``."""
        try:
            status = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        fields = status.rpartition(")")[2].split()  # the name before it may hold blanks
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(*arguments: str) -> Iterator[Server]:
    """``python -m arguments`` until the block ends; its first line has to tell its address."""
    process = subprocess.Popen(  # noqa: S603 -- our own interpreter
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,  # Ctrl-C is ours; we stop what we have started
    )
    try:
        yield Server(address=address_of(process), pid=process.pid)
    finally:
        _stop(process)


def address_of(process: subprocess.Popen[str]) -> str:
    """What the first line of its output tells."""
    output = process.stdout
    if output is None:
        raise TypeError("the process has no pipe for its output")
    ready, _, _ = select.select([output], [], [], _PATIENCE)
    found = _ADDRESS.search(output.readline() if ready else "")
    if found is None:
        raise BenchError(f"no address from {process.args!r}")
    return found[0]


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
