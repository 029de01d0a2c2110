r"""Characters of a Java regex: escapes, bracketed classes, ``\p{…}``."""

from __future__ import annotations

import unicodedata

from esinfer.chunking.java_chars import Flag, Set, single, span
from esinfer.chunking.java_cursor import Cursor
from esinfer.chunking.java_property import named_set, valued_set

_CLASSES = {
    "d": Set.of("0-9"),
    "s": Set.of(r"\t-\r\x20"),
    "w": Set.of("0-9A-Z_a-z"),
    "h": Set.of(r"\t\x20\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000"),
    "v": Set.of(r"\n-\r\x85\u2028\u2029"),
}
_UNICODE_CLASSES = {
    "d": Set.of(r"\p{Nd}"),
    "s": Set.of(r"\p{Z}\t-\r\x85"),
    "w": Set.of(r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d"),
}
CLASS_ESCAPES = frozenset("dDsSwWhHvV")
_SIMPLE_ESCAPES = {"a": 0x07, "e": 0x1B, "f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09}
_RESERVED = frozenset("CEFIJKLMOPQTUYABGRXZbgijklmopqyz123456789")


class ClassReader(Cursor):
    """Reads what stands for one character."""

    def single(self, code: int) -> Set:
        return single(code, self.flags)

    def class_escape(self, letter: str) -> Set:
        r"""The set of ``\d`` and its like."""
        lower = letter.lower()
        found = _CLASSES[lower]
        if Flag.UNICODE_CLASS in self.flags:
            found = _UNICODE_CLASSES.get(lower, found)
        return found.negated() if letter.isupper() else found

    def character_escape(self, letter: str) -> int:
        """The code of the character that an escape stands for; the cursor is behind its letter."""
        readers = {
            "0": self.octal,
            "x": self.hexadecimal,
            "u": self.utf16,
            "c": self._control,
            "N": self._named,
        }
        if letter in readers:
            return readers[letter]()
        if letter in _RESERVED:
            raise self.error("Illegal/unsupported escape sequence")
        return _SIMPLE_ESCAPES.get(letter, ord(letter))

    def _control(self) -> int:
        if self.cursor >= self.length:
            raise self.error("Illegal control escape sequence")
        return ord(self.read()) ^ 64

    def _named(self) -> int:
        if self.read() != "{":
            raise self.error("Illegal character name escape sequence")
        start = self.cursor
        while self.read() != "}":
            if self.cursor >= self.length:
                raise self.error("Unclosed character name escape sequence")
        name = "".join(self.chars[start : self.cursor - 1])
        try:
            return ord(unicodedata.lookup(name.strip()))
        except (KeyError, TypeError):
            raise self.error(f"Unknown character name [{name}]") from None

    # -- classes -------------------------------------------------------------

    def read_class(self, *, whole: bool = True) -> Set:
        """A class from its bracket on; with ``whole``, the closing bracket is read too.

        The right side of ``&&`` is a class without brackets: it ends before the closing
        bracket. Java's order of joining is kept: what stands after the last ``&&`` is
        met with all that stands before.
        """
        char = self.next()
        negative = char == "^" and self.chars[self.cursor - 1] == "["
        if negative:
            char = self.next()
        parts = _Parts()
        while True:
            if char == "]" and not parts.empty:
                if whole:
                    self.next()
                found = parts.all()
                return found.negated() if negative else found
            char = self._class_part(char, parts)

    def _class_part(self, char: str, parts: _Parts) -> str:
        """Read one part of a class; gives the character after it."""
        if char == "[":
            parts.join(self.read_class())
            return self.peek()
        if char == "&":
            if self.next() == "&":
                self._intersection(parts)
                return self.peek()
            self.cursor -= 1
        if char == "\0" and self.cursor >= self.length:
            raise self.error("Unclosed character class")
        self._member(parts)
        return self.peek()

    def _intersection(self, parts: _Parts) -> None:
        char = self.next()
        right: Set | None = None
        while char not in ("]", "&"):
            if char == "[":
                operand = self.read_class()
            else:
                self.cursor -= 1
                operand = self.read_class(whole=False)
            right = _union(right, operand)
            char = self.peek()
        if parts.empty and right is None:
            raise self.error("Bad class syntax")
        if not parts.meet(right):
            raise self.error("Bad intersection syntax")

    def _member(self, parts: _Parts) -> None:
        char = self.peek()
        if char == "\\":
            letter = self.next_escaped()
            if letter in ("p", "P"):
                parts.join(self.property())
                return
            dash = self.chars[self.cursor + 1] == "-"
            self.cursor += 1
            if letter in CLASS_ESCAPES and not (letter == "v" and dash):
                parts.join(self.class_escape(letter))
                return
            code = 0x0B if letter == "v" else self.character_escape(letter)
        else:
            code = ord(char)
            self.next()
        self._span_or_single(code, parts)

    def _span_or_single(self, code: int, parts: _Parts) -> None:
        if self.peek() == "-":
            after = self.chars[self.cursor + 1]
            if after not in ("[", "]"):
                parts.join(span(code, self._span_end(code), self.flags))
                return
        if _in_bits(code, self.flags):
            parts.keep(self.single(code))
        else:
            parts.join(self.single(code))

    def _span_end(self, first: int) -> int:
        char = self.next()
        if char == "\\":
            letter = self.skip()
            last = -1
            if letter == "v":
                last = 0x0B
            elif letter not in CLASS_ESCAPES:
                last = self.character_escape(letter)
        else:
            self.next()
            last = ord(char)
        if last < first:
            raise self.error("Illegal character range")
        return last

    # -- properties -----------------------------------------------------------

    def property(self) -> Set:
        r"""The set of ``\p`` or ``\P``; the cursor is at its letter."""
        negative = self.chars[self.cursor] == "P"
        name = self._property_name()
        key, equals, value = name.partition("=")
        if equals:
            found = valued_set(key.lower(), value, self.flags)
            problem = f"Unknown Unicode property {{name=<{key.lower()}>, value=<{value}>}}"
        else:
            found = named_set(name, self.flags)
            problem = f"Unknown character property name {{{name}}}"
        if found is None:
            raise self.error(problem)
        return found.negated() if negative else found

    def _property_name(self) -> str:
        if self.next() != "{":
            char = self.chars[self.cursor]
            self.read()
            return char
        self.next()
        start = self.cursor
        self.chars[self.length] = "}"
        while self.read() != "}":
            pass
        self.chars[self.length] = "\0"
        if self.cursor > self.length:
            raise self.error("Unclosed character family")
        if self.cursor - start < 2:
            raise self.error("Empty character family")
        return "".join(self.chars[start : self.cursor - 1])


def _in_bits(code: int, flags: Flag) -> bool:
    """Whether Java keeps a character of a class aside, among the first 256."""
    unicode = Flag.IGNORE_CASE in flags and Flag.UNICODE_CASE in flags
    return code < 256 and not (unicode and chr(code) in "\xff\xb5IiSsKk\xc5\xe5")


class _Parts:
    """What a class is joined from.

    Java keeps single characters below 256 aside (``bits``) for the whole class, and joins
    them when it meets ``&&`` or the end. It never clears them: those kept before a ``&&``
    come back with the ones kept after it. ``last`` is the latest part, which a ``&&`` with
    nothing on its right meets.
    """

    def __init__(self) -> None:
        self._joined: Set | None = None
        self._bits: Set | None = None
        self._loose = False
        self._last: Set | None = None

    @property
    def empty(self) -> bool:
        return self._joined is None and not self._loose

    def keep(self, one: Set) -> None:
        self._bits = _union(self._bits, one)
        self._loose = True
        self._last = None

    def join(self, other: Set) -> None:
        self._last = other
        self._joined = _union(self._joined, other)

    def all(self) -> Set:
        """All that is joined and kept."""
        kept = self._bits if self._loose else None
        self._loose = False
        self._joined = _union(self._joined, kept)
        return self._joined

    def meet(self, right: Set | None) -> bool:
        """Join what is kept, then meet it all with ``right``; False if there is nothing to meet."""
        if self.empty:
            self._joined = right
            self._last = right
            return True
        first = self._joined is None
        joined = self.all()
        if first:
            self._last = self._bits
        if right is not None:
            self._last = right
        if self._last is None:
            return False
        self._joined = joined.met(self._last)
        return True


def _union(one: Set | None, other: Set | None) -> Set:
    return Set("".join(part.members for part in (one, other) if part is not None))
