"""A recording: the file of one name in a directory of recordings.

A file is replaced as a whole, so that nobody reads half of one. Who writes
holds the lock of the directory and begins with what the file holds by then:
several servers may record into one directory, under one name too.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from esinfer.replay import DEFAULT_NAME
from esinfer.replay.asked import Key
from esinfer.replay.layout import parse, render, render_entry
from esinfer.replay.problems import RecordingError
from esinfer.replay.runs import Runs

_LONGEST: Final = 200
"""Of a file's name without its ending; file systems take 255 bytes."""


def file_name(name: str) -> str:
    """The file of a name, which may be any text; another name has another file."""
    safe = quote(name, safe=" ").replace(".", "%2E", name.startswith("."))
    if len(safe) > _LONGEST:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        safe = f"{safe[: _LONGEST - 17]}-{digest}"
    return f"{safe}.json"


class Recording:
    """The file of ``name`` in ``directory``. Any thread may call; all raise RecordingError."""

    def __init__(self, directory: Path, name: str = DEFAULT_NAME) -> None:
        self.path = directory / file_name(name)
        self._noted: dict[Key, Runs] = {}  # since the last save
        self._written: dict[Key, str] = {}
        self._seen: tuple[int, ...] = ()
        self._noting = threading.Lock()
        self._saving = threading.Lock()

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.exists()

    def load(self, *, must_exist: bool = False) -> dict[Key, Runs]:
        """What the file holds; nothing if there is none, but the directory ``must_exist``."""
        if must_exist and not self.path.parent.is_dir():
            raise RecordingError(f"{self.path.parent} is not a directory of recordings")
        with self._told("read"):
            return parse(self.path.read_bytes(), self.path) if self.exists else {}

    def make_directory(self) -> None:
        """Have a directory to write in."""
        with self._told("write"):
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def note(self, key: Key, runs: Runs) -> None:
        """Have an entry written by the next ``save``, in place of what the file has of it."""
        with self._noting:
            self._noted[key] = Runs(list(runs.answers))

    def save(self) -> None:
        """Write what was noted, unless another thread's save has done so."""
        with self._saving:
            with self._noting:
                noted, self._noted = self._noted, {}
            if noted:
                with self._told("write"), _locked(self.path.parent):
                    self._merge()
                    for key, runs in noted.items():
                        self._write(key, runs)
                    _replace(self.path, render(self._written))
                    self._seen = self._signature()

    def _write(self, key: Key, runs: Runs) -> None:
        """Take an entry over; the whole of a batch needs none while its texts tell it all."""
        if runs.tells_nothing:
            self._written.pop(key, None)
        else:
            self._written[key] = render_entry(key, runs)

    def _merge(self) -> None:
        """Take over what the file holds, if another has written it."""
        if self._signature() != self._seen:
            entries = self.load()
            self._written = {key: render_entry(key, runs) for key, runs in entries.items()}

    def _signature(self) -> tuple[int, ...]:
        if not self.exists:
            return ()
        found = self.path.stat()
        return (found.st_ino, found.st_size, found.st_mtime_ns)

    @contextmanager
    def _told(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RecordingError(f"cannot {verb} {self.path}: {error.strerror}") from error


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Alone in writing to a directory, among threads and processes."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # and with it the lock


def _replace(path: Path, text: str) -> None:
    """Write a file beside, and put it in the other's place at once; only under the lock."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
