"""A real PostgreSQL for the tests, made for one run and thrown away with it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOW_TO_GET_IT = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
_DEBIAN = Path("/usr/lib/postgresql")
_PATIENCE = 60.0
_STRANGERS = ("postgres", "nobody")
"""Users to run it as for root, as whom it refuses to run."""


def programs() -> Path | None:
    """Where ``initdb`` and ``pg_ctl`` are: the newest of Debian's, else on the path."""
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda found: int(found.parts[-3]))
    on_path = shutil.which("initdb")
    if versions:
        return versions[-1].parent
    return Path(on_path).parent if on_path else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running PostgreSQL that listens on a socket in ``folder`` alone."""

    programs: Path
    folder: Path
    user: str | None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://tester@/{database}?host={self.folder}"

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs, as the user who may."""
        _run([str(self.programs / program), *arguments], self.user)

    def start(self) -> None:
        options = f"-c listen_addresses='' -k {self.folder} -c fsync=off -c max_connections=200"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", str(self.data), "-w", "-o", options, "-l", log, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-w", "-m", "immediate", "stop")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While the block runs the server neither answers nor breaks a connection."""
        processes = self._processes()
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def _processes(self) -> list[int]:
        """The postmaster, and whom it has started."""
        pid_file = self.data / "postmaster.pid"
        first = int(pid_file.read_text(encoding="utf-8").splitlines()[0])
        children = Path(f"/proc/{first}/task/{first}/children")
        return [first, *map(int, children.read_text(encoding="utf-8").split())]

    @property
    def data(self) -> Path:
        return self.folder / "data"


def _run(command: Sequence[str], user: str | None) -> None:
    extra: dict[str, Any] = {} if user is None else {"user": user, "group": _group(user)}
    ran = subprocess.run(  # noqa: S603 -- PostgreSQL's own programs
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        timeout=_PATIENCE,
        check=False,
        text=True,
        **extra,
    )
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)}: {ran.stderr}")


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _stranger() -> str | None:
    """Whom it runs as, None for whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    return next(user for user in _STRANGERS if user in users)


@contextmanager
def running(found: Path) -> Iterator[Server]:
    """A server until the block ends."""
    user = _stranger()
    with tempfile.TemporaryDirectory(prefix="esinfer-pg-") as name:
        folder = Path(name)
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, _group(user))
        server = Server(programs=found, folder=folder, user=user)
        options = ("--username=tester", "--auth=trust", "--no-sync", "--encoding=UTF8")
        server.run("initdb", "-D", str(server.data), *options, "--locale=C.UTF-8")
        server.start()
        try:
            yield server
        finally:
            server.stop()
