"""``esinfer chunk``: what it prints, and what it says when it cannot."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from esinfer.chunking import settings
from esinfer.chunking.chunker import chunk
from esinfer.cli import main

README = Path(__file__).parents[1] / "README.md"
TEXT = "One two three four five six seven eight nine ten eleven. \U0001f600 Twelve.\r\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_bytes(TEXT.encode())
    return str(path)


def printed(capsysbinary: pytest.CaptureFixture[bytes]) -> list[Any]:
    captured = capsysbinary.readouterr()
    assert captured.err == b""
    return [json.loads(line) for line in captured.out.splitlines()]


def expected(text: str, **given: object) -> list[Any]:
    return [part._asdict() for part in chunk(text, settings.load(given))]


def test_the_readme_in_sentences(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    options = ["--strategy", "sentence", "--max-chunk-size", "60"]
    assert main(["chunk", str(README), *options]) == 0
    chunks = printed(capsysbinary)
    assert len(chunks) > 5
    assert chunks == expected(README.read_text("utf-8"), strategy="sentence", max_chunk_size=60)


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ([], {}),
        (["--strategy", "none"], {"strategy": "none"}),
        (["--max-chunk-size", "20"], {"strategy": "sentence", "max_chunk_size": 20}),
        (
            ["--strategy=sentence", "--max-chunk-size=20", "--sentence-overlap=0"],
            {"strategy": "sentence", "max_chunk_size": 20, "sentence_overlap": 0},
        ),
        (
            ["--strategy", "word", "--max-chunk-size", "10", "--overlap", "3"],
            {"strategy": "word", "max_chunk_size": 10, "overlap": 3},
        ),
        (
            ["--strategy", "recursive", "--max-chunk-size", "10", "--separators", r"\.", "five"],
            {"strategy": "recursive", "max_chunk_size": 10, "separators": [r"\.", "five"]},
        ),
        (
            ["--strategy=recursive", "--max-chunk-size=10", "--separators=a", "--separators=-x"],
            {"strategy": "recursive", "max_chunk_size": 10, "separators": ["a", "-x"]},
        ),
        (
            ["--strategy=recursive", "--max-chunk-size=10", "--separator-group=markdown"],
            {"strategy": "recursive", "max_chunk_size": 10, "separator_group": "markdown"},
        ),
    ],
)
def test_options_are_the_settings(
    options: list[str],
    given: dict[str, object],
    file: str,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    assert main(["chunk", file, *options]) == 0
    assert printed(capsysbinary) == expected(TEXT, **given)


@pytest.mark.parametrize("name", [[], ["-"]])
def test_standard_input_is_read_as_it_comes(
    name: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    assert main(["chunk", *name]) == 0
    assert printed(capsysbinary) == expected(TEXT)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--strategy", "sentense"], "Invalid chunkingStrategy sentense"),
        (["--strategy", ""], "Invalid chunkingStrategy "),
        (
            ["--strategy", "word", "--max-chunk-size", "5"],
            "Validation Failed: 1: [chunking_settings] Invalid value [5.0]. [max_chunk_size]"
            " must be greater than or equal to [10.0];",
        ),
        (
            ["--overlap", "5", "--max-chunk-size", "20"],
            "Validation Failed: 1: Sentence based chunking settings can not have the following"
            " settings: [overlap];",
        ),
    ],
)
def test_wrong_settings_are_refused_in_elasticsearchs_words(
    options: list[str], reason: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chunk", file, *options]) == 2
    assert capsys.readouterr() == ("", f"esinfer: {reason}\n")


def test_a_file_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(tmp_path / "nope.txt")
    assert main(["chunk", name]) == 2
    line = f"esinfer: cannot read {name!r}: No such file or directory\n"
    assert capsys.readouterr() == ("", line)


def test_bytes_that_are_no_text_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "latin"
    path.write_bytes(b"caf\xe9")
    assert main(["chunk", str(path)]) == 2
    assert capsys.readouterr() == ("", f"esinfer: {str(path)!r} is not UTF-8 text: see byte 3\n")


@pytest.mark.parametrize(
    ("name", "problem"), [("", "No such file or directory"), (".", "Is a directory")]
)
def test_what_is_no_file_is_told(
    name: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chunk", name]) == 2
    assert capsys.readouterr() == ("", f"esinfer: cannot read {name!r}: {problem}\n")


def test_a_file_that_is_taken_for_a_separator_is_told(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--strategy=recursive", "--max-chunk-size=10", "--separators", "x", file]
    assert main(["chunk", *options]) == 2
    line = f"esinfer: --separators takes all that follows, {file} too; write FILE before it\n"
    assert capsys.readouterr() == ("", line)


def test_a_closed_standard_input_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["chunk"]) == 2
    assert capsys.readouterr().err == "esinfer: cannot read standard input: it is closed\n"


def test_a_closed_standard_output_is_told(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["chunk", file]) == 2
    line = "esinfer: cannot write to standard output: it is closed\n"
    assert capsys.readouterr().err == line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told(file: str) -> None:
    command = [sys.executable, "-m", "esinfer", "chunk", file]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=30, check=False)  # noqa: S603 - our own
    line = b"esinfer: cannot write to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, line)


def test_an_interrupt_ends_it_without_a_trace() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "esinfer", "chunk"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdin is not None
        # More than a pipe holds: once it is written, the command reads.
        process.stdin.write(b"a" * 200_000)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, b"")


def test_a_number_that_is_none_is_a_wrong_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["chunk", "--max-chunk-size", "many"])
    assert "--max-chunk-size: invalid int value: 'many'" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("a b c. " * 200_000)
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "esinfer", "chunk", str(long)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["start_offset"] == 0
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0
