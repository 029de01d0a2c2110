"""The processes of a soak: started, looked into through ``/proc``, stopped.

They run through ``tests.soak.watched``, which tells what a process holds.
Their log is a file, as it is read when all is over.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.processes import ROOT, BenchError, Server, address_of

_PATIENCE = 40.0
_MARK = "held: "
STORE = "soak.db"
"""The name of the store's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A server under watch."""

    process: subprocess.Popen[str]
    server: Server
    log: Path

    @property
    def descriptors(self) -> int:
        """Sockets, pipes and files that are open, but for the store's: SQLite opens some later."""
        links = [str(link.readlink()) for link in Path(f"/proc/{self.process.pid}/fd").iterdir()]
        return sum(STORE not in link for link in links)

    @property
    def resident(self) -> float:
        """Memory held, in MB."""
        return (self.server.resident_bytes or 0) / 1e6

    def held(self) -> tuple[int, int]:
        """How many tasks and Python objects there are once garbage is gone, as it counts itself."""
        marks = self._log().count(_MARK)
        self.process.send_signal(signal.SIGUSR1)
        if not until(lambda: self._log().count(_MARK) > marks, _PATIENCE):
            raise BenchError("the server does not tell what it holds")
        tasks, objects = self._log().rpartition(_MARK)[2].split()[:2]
        return int(tasks), int(objects)

    def _log(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def stop(self) -> tuple[int, float]:
        """Ask it to stop: its exit status, and the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(_PATIENCE)
        return status, time.monotonic() - began


def until(is_true: Callable[[], bool], seconds: float) -> bool:
    """Look again and again; whether it was true in time."""
    end = time.monotonic() + seconds
    while not (found := is_true()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


@contextmanager
def watched(log: Path, *arguments: str) -> Iterator[Watched]:
    """A command of esinfer on any free port; killed at the end of the block if it still runs."""
    command = [sys.executable, "-W", "default", "-m", "tests.soak.watched", *arguments, "--port=0"]
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(  # noqa: S603 -- our own interpreter
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
        )
    with process:
        try:
            server = Server(address=address_of(process), pid=process.pid)
            yield Watched(process=process, server=server, log=log)
        finally:
            process.kill()
