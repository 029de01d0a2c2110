"""The file of a recording: written as a whole, by several at once, under any name."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from esinfer.replay.answers import ByText, Part
from esinfer.replay.asked import Key
from esinfer.replay.problems import RecordingError
from esinfer.replay.recording import Recording, file_name
from esinfer.replay.runs import Runs

WRITER = """
import sys
from pathlib import Path
from tests.replay.test_recording import write
write(Path(sys.argv[1]), sys.argv[2], 30)
"""


def key(text: str) -> Key:
    return Key("https://h", "rerank", f'{{"query":"q","texts":"{text}"}}')


def runs(*scores: float) -> Runs:
    made = Runs()
    for score in scores:
        made.add(Part({"score": score}))
    return made


def write(directory: Path, writer: str, count: int) -> None:
    """Note and save, one by one."""
    recording = Recording(directory)
    for number in range(count):
        recording.note(key(f"{writer}-{number}"), runs(float(number)))
        recording.save()


def test_several_processes_write_one_file(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name])  # noqa: S603
        for name in ("one", "two", "three")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]

    found = Recording(tmp_path).load()

    assert found == {
        key(f"{name}-{n}"): runs(float(n)) for name in ("one", "two", "three") for n in range(30)
    }
    assert [path.name for path in tmp_path.iterdir()] == ["default.json"]


def test_several_threads_write_one_recording(tmp_path: Path) -> None:
    recording = Recording(tmp_path)

    def note(number: int) -> None:
        recording.note(key(str(number)), runs(float(number)))
        recording.save()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(100)))
    assert len(recording.load()) == 100


def test_whoever_reads_meanwhile_reads_a_whole_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write, tmp_path, "w", 100)
        sizes = []
        while not writing.done():
            sizes.append(len(Recording(tmp_path).load()))
        writing.result()
    assert sizes == sorted(sizes)


def test_what_another_wrote_stays_and_what_is_noted_again_is_replaced(tmp_path: Path) -> None:
    one, two = Recording(tmp_path), Recording(tmp_path)
    one.note(key("a"), runs(1.0))
    one.save()
    two.note(key("b"), runs(2.0))
    two.save()
    one.note(key("a"), runs(3.0, 4.0))
    one.save()
    assert two.load() == {key("a"): runs(3.0, 4.0), key("b"): runs(2.0)}


def test_a_batch_whose_texts_tell_it_all_has_no_entry(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    good = Runs()
    good.add(ByText())
    recording.note(key("a"), runs(1.0))
    recording.save()
    recording.note(key("a"), good)
    recording.save()
    assert recording.load() == {}


def test_nothing_noted_writes_nothing(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "none")
    recording.save()
    assert not recording.exists


def test_a_file_that_was_broken_meanwhile_is_left_alone(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.note(key("a"), runs(1.0))
    recording.save()
    recording.path.write_text("<<<<<<<")
    recording.note(key("b"), runs(1.0))
    with pytest.raises(RecordingError, match=r"default\.json, line 1: not valid JSON"):
        recording.save()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["<<<<<<<"]


def test_a_file_that_cannot_be_put_in_place_leaves_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(_path: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", replace)
    recording = Recording(tmp_path)
    recording.note(key("a"), runs(1.0))
    with pytest.raises(RecordingError) as caught:
        recording.save()
    assert str(caught.value) == f"cannot write {recording.path}: No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError) as caught:
        Recording(tmp_path / "file" / "x").make_directory()
    assert str(caught.value) == f"cannot write {tmp_path}/file/x/default.json: Not a directory"


def test_a_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "gone")
    recording.note(key("a"), runs(1.0))
    with pytest.raises(RecordingError, match="No such file or directory"):
        recording.save()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("default", "default.json"),
        ("test_x[a b-1]", "test_x%5Ba b-1%5D.json"),
        ("tests/a.py::test_b", "tests%2Fa.py%3A%3Atest_b.json"),
        ("..", "%2E..json"),
        (".hidden", "%2Ehidden.json"),
        ("ü", "%C3%BC.json"),
    ],
)
def test_any_name_has_a_file(name: str, expected: str, tmp_path: Path) -> None:
    assert file_name(name) == expected
    recording = Recording(tmp_path, name)
    recording.note(key("a"), runs(1.0))
    recording.save()
    assert [path.name for path in tmp_path.iterdir()] == [expected]


def test_long_names_have_files_of_their_own() -> None:
    one, two = file_name("x" * 300), file_name("x" * 301)
    assert one != two
    assert len(one) == len(two) == 205
