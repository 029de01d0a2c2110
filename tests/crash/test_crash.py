"""A kill -9 loses no acknowledged change; ``make crash`` does the same at greater length."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.ledger import Ledger, LossError, endpoint_of, number_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("victim", "kills"), [("store", 25), ("server", 3)])
def test_no_acknowledged_change_is_lost(victim: str, kills: int) -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.crash", victim, f"--kills={kills}"]
    ran = subprocess.run(  # noqa: S603 -- our own interpreter
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    found = re.search(r"none of (\d+) acknowledged changes was lost", ran.stdout)
    assert found is not None
    assert int(found[1]) > kills  # it did change something before it was killed


def test_the_ledger_allows_what_was_acknowledged_or_under_way() -> None:
    ledger = Ledger()
    for name, number in (("a", 1), ("b", 2), ("b", 0)):
        ledger.begin(name, number)
        ledger.done(name, number)
    ledger.begin("a", 3)
    ledger.settle({"a": 3})
    ledger.settle({"a": 3})
    assert ledger.acknowledged == 3


@pytest.mark.parametrize("found", [{}, {"a": 2}, {"a": 1, "b": 5}])
def test_the_ledger_finds_what_is_lost_or_out_of_nowhere(found: dict[str, int]) -> None:
    ledger = Ledger(known={"a": 1}, under_way={"c": 7})
    with pytest.raises(LossError):
        ledger.settle(found)


def test_half_a_change_has_no_number() -> None:
    one, other = endpoint_of("id", 1), endpoint_of("id", 2)
    assert number_of(one) == 1
    mixed = type(one)(
        inference_id="id",
        task_type=one.task_type,
        service=one.service,
        service_settings=one.service_settings,
        secret_settings=other.secret_settings,
        chunking_settings=one.chunking_settings,
    )
    with pytest.raises(LossError, match="half a change"):
        number_of(mixed)
