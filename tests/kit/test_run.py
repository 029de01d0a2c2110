"""The runner of the sample project believes no empty run and shows what failed."""

from __future__ import annotations

import sys

import pytest

from tests.kit import run


def test_what_has_passed_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([sys.executable, "-c", "print('3 passed, 1 skipped in 0.1s')"]) == 0
    assert capsys.readouterr().out.startswith("kit/python: 3 passed, 1 skipped in ")


@pytest.mark.parametrize(
    "code", ["print('no tests ran')", "print('2 passed, 1 failed'); raise SystemExit(1)"]
)
def test_what_has_failed_is_shown(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([sys.executable, "-c", code]) == 1
    output, line, _ = capsys.readouterr().out.rsplit("\n", 2)
    assert output
    assert line.startswith("kit/python: FAILED in ")
