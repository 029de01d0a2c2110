"""Numbers that several processes write, each its own, and each can read all.

The board lies in memory that forked processes share. A worker adds to a number
as to an item of an array, without a lock, since nobody else writes its slot;
whoever reads adds up the slots. The numbers of a worker that died stay, its
successor goes on from them, so sums never go back.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_HEADER = struct.Struct("=qqq")
"""Process id; bytes of keys; numbers in use."""
_KEYS_AT = 4096
_KEYS_SIZE = 252 * 1024
_NUMBERS_AT = _KEYS_AT + _KEYS_SIZE
_NUMBERS = 32 * 1024
_SLOT_SIZE = _NUMBERS_AT + _NUMBERS * 8
_SCRATCH = 64
"""Numbers at the beginning that mean nothing: where goes what finds no room."""

Key = tuple[str, tuple[str, ...]]
"""A family and the values of its labels."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The numbers of one key."""

    key: Key
    numbers: list[float]


class Board:
    """Room for the numbers of ``slots`` processes; pages that are not written take none."""

    def __init__(self, slots: int = 1) -> None:
        self._memory = memoryview(mmap.mmap(-1, slots * _SLOT_SIZE))
        self.slots = [Slot(self, self._memory[at:][:_SLOT_SIZE]) for at in self._starts()]

    def _starts(self) -> range:
        return range(0, len(self._memory), _SLOT_SIZE)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self.slots)


class Slot:
    """The part of the board that one process writes."""

    def __init__(self, board: Board, memory: memoryview) -> None:
        self.board = board
        self._memory = memory
        self.numbers = memory[_NUMBERS_AT:].cast("d")
        self._places: dict[Key, int] = {}

    @property
    def pid(self) -> int:
        """The process that writes, or wrote; 0 if there was none."""
        return self._header()[0]

    def claim(self, fleeting: Collection[str] = ()) -> None:
        """Go on as this process from what is there; the ``fleeting`` families begin at 0."""
        _, keys, used = self._header()
        self._places = {key: at for key, at, _ in self._keys()}
        for (family, _), at, width in self._keys():
            if family in fleeting:
                self.numbers[at : at + width] = memoryview(bytes(8 * width)).cast("d")
        _HEADER.pack_into(self._memory, 0, os.getpid(), keys, used or _SCRATCH)

    def place(self, key: Key, width: int = 1) -> int:
        """Where in ``numbers`` those of a key begin; of no key if the board is full."""
        found = self._places.get(key)
        if found is None:
            found = self._places[key] = self._add(key, width)
        return found

    def _add(self, key: Key, width: int) -> int:
        pid, keys, used = self._header()
        line = json.dumps([*key, width]).encode() + b"\n"
        if keys + len(line) > _KEYS_SIZE or used + width > _NUMBERS:
            return 0
        at = _KEYS_AT + keys
        self._memory[at : at + len(line)] = line
        _HEADER.pack_into(self._memory, 0, pid, keys + len(line), used + width)
        return used

    def read(self) -> list[Entry]:
        """All numbers, by key in the order of their first use."""
        return [
            Entry(key, [*map(float, self.numbers[at : at + width])])
            for key, at, width in self._keys()
        ]

    def _keys(self) -> Iterator[tuple[Key, int, int]]:
        _, size, _ = self._header()
        at = _SCRATCH
        for line in bytes(self._memory[_KEYS_AT : _KEYS_AT + size]).splitlines():
            family, labels, width = json.loads(line)
            yield (family, tuple(labels)), at, width
            at += width

    def _header(self) -> tuple[int, int, int]:
        pid, keys, used = _HEADER.unpack_from(self._memory)
        return pid, keys, used
