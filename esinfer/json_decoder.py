"""Python's own JSON decoder, for nearly every body: it is fast, and knows no errors.

What it reads it reads as Jackson does; what Jackson may read differently it
refuses, and ``json_reader`` has the last word. Bodies of many megabytes are
decoded in steps, since the decoder in C lets no other thread run meanwhile.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json.scanner import py_make_scanner  # type: ignore[attr-defined] # typeshed lacks it
from typing import NoReturn, TypeAlias

from esinfer.json_scanner import MAX_DEPTH, MAX_NUMBER_LENGTH, RUN, WireFloat

_Container: TypeAlias = dict[str, object] | list[object]
_Scan: TypeAlias = Callable[[str, int], tuple[object, int]]

_IN_ONE_GO = 512 * 1024
"""Up to this many bytes; they take milliseconds."""


def decode(data: bytes) -> _Container:
    """The object or array that the bytes begin with; ValueError where Jackson's may differ."""
    text = data.decode()
    start = 0 if text.startswith("{") else len(text) - len(text.lstrip(" \t\r\n"))
    if not text.startswith(("{", "["), start):
        # Of a number or literal Jackson also reads what follows it.
        raise ValueError("neither an object nor an array")
    decoder = _DECODER if len(data) <= _IN_ONE_GO else _PATIENT_DECODER
    value: _Container = decoder.raw_decode(text, start)[0]
    if b"\\ud" in data or b"\\uD" in data:
        # Refuses unpaired surrogates, which the reader words as an error.
        json.dumps(value, ensure_ascii=False, check_circular=False).encode()
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_too_deep(value):
        raise ValueError("nested too deep")
    return value


def _is_too_deep(value: _Container) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


# -- the hooks of the decoder --


def _unique(members: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(members)
    if len(value) != len(members):
        raise ValueError("duplicate field")
    return value


def _int(text: str) -> int:
    if len(text) > MAX_NUMBER_LENGTH:
        raise ValueError("number too long")
    return int(text)


def _float(text: str) -> WireFloat:
    if len(text) > MAX_NUMBER_LENGTH:
        raise ValueError("number too long")
    return WireFloat(text)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(text)


_SPACE = re.compile(r"[ \t\r\n]*+")
_RUN = re.compile(RUN, re.DOTALL)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _array(text_and_at: tuple[str, int], scan_once: _Scan) -> tuple[list[object], int]:
    """An array from behind its bracket on: simple elements in runs, the others each."""
    text, at = text_and_at
    values: list[object] = []
    at = _skip(text, at)
    if text.startswith("]", at):
        return values, at + 1
    while True:
        value, at = scan_once(text, at)
        values.append(value)
        while run := _RUN.match(text, at):
            values += _DECODER.decode(f"[{run[0].lstrip()[1:]}]")
            at = run.end()
        at = _skip(text, at)
        if text.startswith("]", at):
            return values, at + 1
        if not text.startswith(",", at):
            raise ValueError("neither a comma nor the end of the array")
        at = _skip(text, at + 1)


class _Decoder(json.JSONDecoder):
    """In C."""

    def __init__(self) -> None:
        super().__init__(
            object_pairs_hook=_unique,
            parse_int=_int,
            parse_float=_float,
            parse_constant=_refuse_constant,
        )


class _PatientDecoder(_Decoder):
    """In Python, from value to value or run to run."""

    def __init__(self) -> None:
        super().__init__()
        self.parse_array = _array
        self.scan_once = py_make_scanner(self)


_DECODER = _Decoder()
_PATIENT_DECODER = _PatientDecoder()
