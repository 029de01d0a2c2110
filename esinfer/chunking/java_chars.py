"""Sets of characters of a Java regex, written for the ``regex`` package.

A set is text for the inside of brackets in the package's version 1 syntax,
where members stand side by side and ``&&`` intersects. No flag of the package
takes part: Java's cases are spelt out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Flag as EnumFlag
from enum import auto
from functools import lru_cache
from string import ascii_letters, digits


class Flag(EnumFlag):
    """The flags of java.util.regex.Pattern that a pattern can switch."""

    IGNORE_CASE = auto()
    UNICODE_CASE = auto()
    UNICODE_CLASS = auto()
    MULTILINE = auto()
    DOT_ALL = auto()
    UNIX_LINES = auto()
    COMMENTS = auto()
    CANON_EQ = auto()


def quoted(code: int) -> str:
    """A character that means itself, in and out of brackets."""
    if code < 128 and chr(code) in ascii_letters + digits:
        return chr(code)
    return f"\\x{code:02x}" if code < 256 else f"\\U{code:08x}"


@dataclass(frozen=True, slots=True)
class Set:
    """A set of characters; ``literal`` if it is one single character."""

    members: str
    literal: str | None = None

    @classmethod
    def of(cls, members: str) -> Set:
        return cls(members)

    @classmethod
    def all(cls) -> Set:
        return cls(r"\x00-\U0010ffff")

    def written(self) -> str:
        return quoted(ord(self.literal)) if self.literal else f"[{self.members}]"

    def negated(self) -> Set:
        return Set(f"[^{self.members}]")

    def met(self, other: Set) -> Set:
        return Set(f"[[{self.members}]&&[{other.members}]]")


def single(code: int, flags: Flag) -> Set:
    """One character, with its other cases if they count."""
    if Flag.IGNORE_CASE not in flags:
        return Set(quoted(code), chr(code))
    if Flag.UNICODE_CASE in flags:
        has_cases = _upper(code) != _folded(code)
        cases = {code, *_alike().get(_folded(code), ())} if has_cases else {code}
    else:
        cases = {code, ord(chr(code).swapcase())} if code < 128 else {code}
    return Set("".join(map(quoted, sorted(cases))), chr(code) if len(cases) == 1 else None)


def span(first: int, last: int, flags: Flag) -> Set:
    """The characters from ``first`` to ``last``, with their other cases if they count."""
    members = f"{quoted(first)}-{quoted(last)}"
    if Flag.IGNORE_CASE not in flags:
        return Set(members)
    cased = _cased() if Flag.UNICODE_CASE in flags else range(128)
    return Set(members + "".join(quoted(code) for code in _strays(cased, first, last, flags)))


def _strays(cased: range | tuple[int, ...], first: int, last: int, flags: Flag) -> Iterator[int]:
    """The characters outside that have a case inside."""
    for code in cased:
        if first <= code <= last:
            continue
        if Flag.UNICODE_CASE in flags:
            cases = {_upper(code), _folded(code)}
        else:
            cases = {ord(chr(code).upper()), ord(chr(code).lower())}
        if any(first <= case <= last for case in cases):
            yield code


# -- simple case mapping, as java.lang.Character has it -----------------------


def _upper(code: int) -> int:
    upper = chr(code).upper()
    if len(upper) > 1:
        upper = chr(code).title()
    return ord(upper) if len(upper) == 1 else code


def _folded(code: int) -> int:
    """The lower case of the upper case."""
    return ord(chr(_upper(code)).lower()[0])


@lru_cache(maxsize=1)
def _cased() -> tuple[int, ...]:
    """The characters that another case belongs to."""
    every = range(0x1E944)
    return tuple(code for code in every if chr(code).upper() != chr(code).lower())


@lru_cache(maxsize=1)
def _alike() -> dict[int, list[int]]:
    alike: dict[int, list[int]] = {}
    for code in _cased():
        alike.setdefault(_folded(code), []).append(code)
    return alike
