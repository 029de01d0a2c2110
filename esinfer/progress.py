"""How far a command is, shown below what it says to whoever typed it."""

from __future__ import annotations

import os
from typing import TextIO

_WIDTH = 30


class Progress:
    """A bar of so many steps, for people only: nothing of it goes into a file or a pipe."""

    __slots__ = ("_is_shown", "_stream", "_total")

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream = stream
        self._total = total
        self._is_shown = False

    def show(self, done: int, name: str) -> None:
        """So many steps are done, and the next is called ``name``."""
        if not self._stream.isatty():
            return
        bar = "#" * (_WIDTH * done // self._total)
        line = f"[{bar:{_WIDTH}}] {done + 1}/{self._total} {_plain(name)}"
        self._stream.write(f"\r{line[: self._columns() - 1]}\x1b[K")
        self._stream.flush()
        self._is_shown = True

    def clear(self) -> None:
        if self._is_shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._is_shown = False

    def say(self, line: str) -> None:
        """One line, in place of the bar."""
        self.clear()
        self._stream.write(f"esinfer: {line if line.isprintable() else _plain(line)}\n")
        self._stream.flush()

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except OSError:
            return 80


def _plain(text: str) -> str:
    """A column for each character."""
    return text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
