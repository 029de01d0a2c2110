from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from esinfer import private_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_others_could_read_they_cannot_any_more(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old", "utf-8")
    path.chmod(0o644)
    private_file.write(path, "neü")
    assert (path.read_text("utf-8"), mode(path)) == ("neü", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "f", tmp_path / "link"
    target.write_text("old", "utf-8")
    link.symlink_to(target)
    private_file.write(link, "new")
    assert link.is_symlink()
    assert (target.read_text("utf-8"), mode(target)) == ("new", 0o600)


def test_what_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "f"
    path.write_text("old", "utf-8")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        private_file.write(path, "new")
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text("utf-8")), daemon=True)
    reader.start()
    private_file.write(pipe, "new")
    reader.join(timeout=10)
    assert read == ["new"]
    assert pipe.is_fifo()
