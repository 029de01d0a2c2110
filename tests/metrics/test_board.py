from __future__ import annotations

import subprocess
import sys

from esinfer.metrics import board
from esinfer.metrics.board import Board, Entry

FORKS = """
import os
from esinfer.metrics.board import Board, Entry

shared = Board(2)
pid = os.fork()
if pid == 0:
    slot = shared.slots[1]
    slot.claim()
    slot.numbers[slot.place(("requests", ("GET",)))] += 3
    os._exit(0)
os.waitpid(pid, 0)
assert [slot.pid for slot in shared] == [0, pid]
assert [slot.read() for slot in shared] == [[], [Entry(("requests", ("GET",)), [3.0])]]
"""
"""In a process of its own, as tests have threads."""


def test_what_one_process_writes_another_reads() -> None:
    command = [sys.executable, "-W", "error", "-c", FORKS]
    subprocess.run(command, check=True, timeout=30)  # noqa: S603 -- our own script


def test_a_successor_goes_on_but_for_what_is_fleeting() -> None:
    slot = Board().slots[0]
    slot.claim()
    slot.numbers[slot.place(("requests", ("ü\n",)))] += 3
    slot.numbers[slot.place(("waiting", ()))] += 1
    successor = board.Slot(slot.board, slot._memory)
    successor.claim({"waiting"})
    successor.numbers[successor.place(("requests", ("ü\n",)))] += 1
    at = successor.place(("times", ()), 3)
    successor.numbers[at + 2] = 0.5
    assert slot.read() == [
        Entry(("requests", ("ü\n",)), [4.0]),
        Entry(("waiting", ()), [0.0]),
        Entry(("times", ()), [0.0, 0.0, 0.5]),
    ]


def test_a_full_board_takes_no_more_keys_and_harms_nothing() -> None:
    slot = Board().slots[0]
    slot.claim()
    for number in range(40_000):
        slot.numbers[slot.place((f"family {number}", ()))] += 1
    read = slot.read()
    assert 1000 < len(read) < 40_000
    assert {tuple(entry.numbers) for entry in read} == {(1.0,)}


def test_slots_are_apart() -> None:
    shared = Board(3)
    for slot in shared:
        slot.claim()
        slot.numbers[slot.place(("a", ()))] = 1
        slot.numbers[len(slot.numbers) - 1] = 7
    assert [slot.read() for slot in shared] == [[Entry(("a", ()), [1.0])]] * 3
