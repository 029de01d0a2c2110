"""The cursor over a Java pattern: reading characters, in comments mode too, and complaining.

The characters end with NULs, as Java's do: reading a little beyond the end is no error of
its own.
"""

from __future__ import annotations

from string import ascii_letters, digits, hexdigits

from esinfer.chunking.java_chars import Flag
from esinfer.errors import PatternSyntax, UnsupportedPattern

_LARGEST_INT = 2**31 - 1
_BLANKS = "\t\n\x0b\f\r "


class Cursor:
    """Where the reading stands. ``peek`` looks, ``read`` steps on, ``next`` steps on and looks.

    Those three pass over blanks and comments in comments mode; ``next_escaped`` and ``skip``
    do not.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        written = _without_quotes(pattern)
        self.length = len(written)
        self.chars: list[str] = [*written, *"\0" * 8]
        self.cursor = 0
        self.flags: Flag = Flag.MULTILINE

    def peek(self) -> str:
        if Flag.COMMENTS in self.flags:
            self._pass_comments()
        return self.chars[self.cursor]

    def next(self) -> str:
        self.cursor += 1
        return self.peek()

    def read(self) -> str:
        if Flag.COMMENTS in self.flags:
            self._pass_comments()
        self.cursor += 1
        return self.chars[self.cursor - 1]

    def next_escaped(self) -> str:
        self.cursor += 1
        return self.chars[self.cursor]

    def skip(self) -> str:
        """The character after the one at the cursor; the cursor goes behind it."""
        self.cursor += 2
        return self.chars[self.cursor - 1]

    def _pass_comments(self) -> None:
        while self.chars[self.cursor] in (*_BLANKS, "#"):
            comment = self.chars[self.cursor] == "#"
            self.cursor += 1
            if comment:
                self._pass_line()

    def _pass_line(self) -> None:
        ends = "\n" if Flag.UNIX_LINES in self.flags else "\n\r\x85\u2028\u2029"
        while self.cursor < self.length and self.chars[self.cursor] not in (*ends, "\0"):
            self.cursor += 1

    # -- one character by its escape -----------------------------------------

    def hexadecimal(self) -> int:
        r"""The code of ``\xhh`` and ``\x{h..h}``, from behind the x."""
        first = self.read()
        if first == "{" and self.peek() in hexdigits:
            return self._braced_hexadecimal()
        if first in hexdigits:
            second = self.read()
            if second in hexdigits:
                return int(first + second, 16)
        raise self.error("Illegal hexadecimal escape sequence")

    def _braced_hexadecimal(self) -> int:
        code = 0
        while (char := self.read()) in hexdigits:
            code = code * 16 + int(char, 16)
            if code > 0x10FFFF:
                raise self.error("Hexadecimal codepoint is too big")
        if char != "}":
            raise self.error("Unclosed hexadecimal escape sequence")
        return code

    def octal(self) -> int:
        r"""The code of ``\0n``, ``\0nn`` and ``\0mnn``, from behind the 0."""
        number = self.read()
        if number not in "01234567":
            raise self.error("Illegal octal escape sequence")
        for most in (2, 3):
            if len(number) + 1 == most and (most == 2 or number[0] in "0123"):
                char = self.read()
                if char not in "01234567":
                    self.cursor -= 1
                    break
                number += char
        return int(number, 8)

    def utf16(self) -> int:
        r"""The code of ``\uhhhh``, or of two that are a surrogate pair."""
        unit = self._utf16_unit()
        if 0xD800 <= unit < 0xDC00:
            behind = self.cursor
            if self.read() == "\\" and self.read() == "u":
                low = self._utf16_unit()
                if 0xDC00 <= low < 0xE000:
                    return 0x10000 + ((unit - 0xD800) << 10) + low - 0xDC00
            self.cursor = behind
        return unit

    def _utf16_unit(self) -> int:
        unit = 0
        for _ in range(4):
            char = self.read()
            if char not in hexdigits:
                raise self.error("Illegal Unicode escape sequence")
            unit = unit * 16 + int(char, 16)
        return unit

    # -- quantifiers ---------------------------------------------------------

    def bounds(self) -> tuple[int, int | None] | None:
        """How often what was read repeats; None if no quantifier follows.

        The cursor is left at the quantifier's last character.
        """
        char = self.peek()
        if char != "{":
            return {"?": (0, 1), "*": (0, None), "+": (1, None)}.get(char)
        first = self.skip()
        if first not in digits:
            raise self.error("Illegal repetition")
        least, char = self._count(first)
        most: int | None = least
        if char == ",":
            char = self.read()
            most, char = (None, char) if char == "}" else self._count(char)
        if char != "}":
            raise self.error("Unclosed counted closure")
        if most is not None and most < least:
            raise self.error("Illegal repetition range")
        self.cursor -= 1
        return least, most

    def _count(self, char: str) -> tuple[int, str]:
        """A decimal number, 0 if there is none, and the character after it."""
        number = 0
        while char in digits:
            number = number * 10 + int(char)
            if number > _LARGEST_INT:
                raise self.error("Illegal repetition range")
            char = self.read()
        return number, char

    # -- complaints ----------------------------------------------------------

    def error(self, description: str) -> PatternSyntax:
        """What Java says, where Java says it."""
        return PatternSyntax(reason=message(description, self.pattern, self.cursor - 1))

    def unsupported(self, construct: str) -> UnsupportedPattern:
        """What is right in Java and not translated."""
        description = f"esinfer does not support {construct}"
        return UnsupportedPattern(reason=message(description, self.pattern, self.cursor - 1))


def message(description: str, pattern: str, index: int) -> str:
    """The message of a PatternSyntaxException: description, pattern, and a caret below."""
    lines = [f"{description} near index {index}" if index >= 0 else description, pattern]
    units = pattern.encode("utf-16-le", "surrogatepass")
    if 0 <= index < len(units) // 2:
        tabs = [units[2 * at : 2 * at + 2] == b"\t\0" for at in range(index)]
        lines.append("".join("\t" if tab else " " for tab in tabs) + "^")
    return "\n".join(lines)


def _without_quotes(pattern: str) -> str:
    r"""The pattern with each ``\Q..\E`` spelt out by escapes, as Java does before it reads."""
    start = _first_quote(pattern)
    if start is None:
        return pattern
    written = [pattern[:start]]
    at, quoting, begun = start + 2, True, True
    while at < len(pattern):
        char, pair = pattern[at], pattern[at : at + 2]
        at += 1
        if char == "\\" and pair == ("\\E" if quoting else "\\Q"):
            at += 1
            quoting = not quoting
            if quoting:
                begun = True
                continue
        elif char == "\\" and not quoting:
            written.append(pair)
            at += 1
        else:
            written.append(_escaped(char, quoting=quoting, begun=begun))
        begun = False
    return "".join(written)


def _first_quote(pattern: str) -> int | None:
    at = pattern.find("\\")
    while 0 <= at < len(pattern) - 1:
        if pattern[at + 1] == "Q":
            return at
        at = pattern.find("\\", at + 2)
    return None


def _escaped(char: str, *, quoting: bool, begun: bool) -> str:
    if char in digits:
        return f"\\x3{char}" if begun else char
    if not quoting or not char.isascii() or char in ascii_letters:
        return char
    return "\\" + char
