from __future__ import annotations

import io
import os
import pty
import termios

import pytest

from esinfer.progress import Progress


def test_what_nobody_sees_is_not_shown() -> None:
    pipe = io.StringIO()
    progress = Progress(pipe, 2)
    progress.show(0, "a")
    progress.say("done")
    assert pipe.getvalue() == "esinfer: done\n"


def test_a_message_takes_the_place_of_the_bar() -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    progress = Progress(terminal, 2)
    progress.show(0, "a")
    progress.show(1, "b\n")
    progress.say("done\n")
    progress.clear()
    assert terminal.getvalue() == (
        "\r[                              ] 1/2 a\x1b[K"
        "\r[###############               ] 2/2 b\\n\x1b[K"
        "\r\x1b[Kesinfer: done\\n\n"
    )


@pytest.mark.parametrize(("columns", "shown"), [(80, 79), (40, 39), (0, 79)])
def test_the_bar_fits_the_terminal(columns: int, shown: int) -> None:
    reader, writer = pty.openpty()
    try:
        termios.tcsetwinsize(writer, (24, columns))
        with open(writer, "w", encoding="utf-8", closefd=False) as terminal:
            Progress(terminal, 12_000).show(3, "a-long-name-" * 10)
        line = os.read(reader, 1000).decode()
    finally:
        os.close(reader)
        os.close(writer)
    assert line.startswith("\r[")
    assert line.endswith("\x1b[K")
    assert len(line.removeprefix("\r").removesuffix("\x1b[K")) == shown
