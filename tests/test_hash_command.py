"""``esinfer hash``: hashes that the credentials file takes, and secrets that are none."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from esinfer import cli
from esinfer.security.hashes import read_key_hash, read_password_hash


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def types(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(sent), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)


def test_a_password_is_hashed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    types(monkeypatch, "geheim ü\r\nnot this".encode())
    assert cli.main(["hash"]) == 0
    assert read_password_hash(capsys.readouterr().out.strip())("geheim ü".encode())


def test_a_key_is_hashed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    types(monkeypatch, b"k" * 24)
    assert cli.main(["hash", "--key"]) == 0
    assert read_key_hash(capsys.readouterr().out.strip())(b"k" * 24)


def test_at_a_terminal_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda prompt: {"Password: ": "asked"}[prompt])
    assert cli.main(["hash"]) == 0
    assert read_password_hash(capsys.readouterr().out.strip())(b"asked")


@pytest.mark.parametrize(
    ("options", "sent", "problem"),
    [
        ([], b"", "there is no secret on standard input"),
        ([], b"\n", "there is no secret on standard input"),
        (["--key"], b"hunter2", "a key must have 20 characters or more, at random"),
    ],
)
def test_what_is_no_secret_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    sent: bytes,
    problem: str,
) -> None:
    types(monkeypatch, sent)
    assert cli.main(["hash", *options]) == 2
    assert capsys.readouterr() == ("", f"esinfer: {problem}\n")
