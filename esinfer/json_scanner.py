"""The words of a JSON body as Jackson reads them: strings, numbers, literals, space.

The lower half of ``json_reader``. Methods take the offset at which something
starts, and return the offset behind it or raise what jackson-core 2.17 raises,
in its words and at its place. Known differences, all in bodies that no client
means to send: invalid UTF-8 in a field name or right behind a literal is
reported where it stands; overlong forms and code points that UTF-8 does not
have, which Jackson decodes to something, are errors; UTF-16 and UTF-32 are not
recognized.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import NoReturn

from esinfer.errors import JsonEofError, JsonParseError, XContentEofError, XContentParseError

# Jackson's StreamReadConstraints. Elasticsearch answers 500 to what breaks
# them; it is the caller's mistake like any other, so here it is a parse error.
MAX_DEPTH = 1000
MAX_NUMBER_LENGTH = 1000
_MAX_WORD_LENGTH = 256  # Jackson's ErrorReportConfiguration

_SPACE = re.compile(rb"[ \t\r\n]*+")
_LINE_COMMENT = re.compile(rb"[^\r\n]*+")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_CHARS = re.compile(rb'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+')
_STRING = re.compile(b'"' + _CHARS.pattern + b'"')
_HEX_DIGITS = re.compile(rb"[0-9a-fA-F]{0,3}")
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?+([eE][+-]?[0-9]++)?+")
# Matches stop after some hundred words, so that no single one takes long.
RUN_LENGTH = 500
_TEXT = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT_OBJECT = r'\{(?:[^"\[\]{}/]*+' + _TEXT + r'){0,50}+[^"\[\]{}/]*+\}'
_SIMPLE = rf"(?:{_TEXT}|[-+.0-9A-Za-z]++|{_FLAT_OBJECT})"
_ELEMENT = rf"[ \t\r\n]*+,[ \t\r\n]*+{_SIMPLE}(?=[ \t\r\n]*+[,\]])"
RUN = f"(?:{_ELEMENT}){{8,{RUN_LENGTH}}}+"
"""Each a comma and what looks like a scalar or an object of scalars, and seems to end there."""

_RUN = re.compile(RUN.encode(), re.DOTALL)
_WHOLE_RUN = re.compile(f"(?:{_ELEMENT}){{{RUN_LENGTH}}}+".encode(), re.DOTALL)
_NO_BRACKETS = re.compile(
    rf'(?:[^"\[\]{{}}/]++|{_TEXT}|//[^\r\n]*+|/\*.*?\*/){{0,{RUN_LENGTH}}}+'.encode(), re.DOTALL
)
_MAY_GO_ON = frozenset(b"%c" % byte for byte in b".eE0123456789")
_NON_NUMBER = re.compile(rb"NaN|[+-]?Infinity|[+-]INF")

_WORD_START = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Pc", "Sc"})
_WORD_PART = _WORD_START | {"Nd", "Mn", "Mc", "Cf"}

_IGNORABLE = frozenset(map(chr, (*range(9), *range(0x0E, 0x1C), *range(0x7F, 0xA0))))

_REDACTED = "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)"
_EXPECTED_WORD = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token starts; both count from 1, the column in bytes."""

    line: int
    column: int


class WireFloat(float):
    """A JSON number with a fraction or an exponent, that remembers its text."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def source(line: int, column: int | None = None) -> str:
    """A place as Jackson's messages write it; the root has no column."""
    suffix = "" if column is None else f", column: {column}"
    return f"[Source: {_REDACTED}; line: {line}{suffix}]"


class JsonScanner:
    """The bytes of one body, and the rules for the words in them."""

    __slots__ = ("_counted", "data", "last", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        # The last token and its value, which some of Jackson's messages name.
        self.last: tuple[str, object] = ("null", None)
        # An offset, its line and where that line starts: lines are counted on
        # from here, so that asking for the place of every token stays linear.
        self._counted = (0, 1, 0)

    # -- places and errors --

    def place(self, at: int) -> Place:
        data = self.data
        start, line, line_start = self._counted if at >= self._counted[0] else (0, 1, 0)
        newlines = data.count(b"\n", start, at) + data.count(b"\r", start, at)
        if newlines:
            line += newlines - data.count(b"\r\n", start, at)
            line_start = max(data.rfind(b"\n", start, at), data.rfind(b"\r", start, at)) + 1
        self._counted = (at, line, line_start)
        return Place(line, at - line_start + 1)

    def fail(self, problem: str, at: int, beyond: int = 0) -> NoReturn:
        """Raise the problem at the place ``beyond`` columns behind that of ``at``."""
        place = self.place(at)
        place = Place(place.line, place.column + beyond)
        text = f"{problem}\n at {source(place.line, place.column)}"
        error = XContentParseError(line=place.line, column=place.column, problem=text)
        raise error from JsonParseError(reason=text)

    def fail_at_end(self, problem: str) -> NoReturn:
        place = self.place(self.size)
        text = f"Unexpected end-of-input{problem}\n at {source(place.line, place.column)}"
        error = XContentEofError(line=place.line, column=place.column)
        raise error from JsonEofError(reason=text)

    def unexpected(self, at: int, expectation: str) -> NoReturn:
        # Jackson shows the byte, not the character that it begins.
        self.fail(f"Unexpected character ({_describe(chr(self.data[at]))}): {expectation}", at)

    def _unexpected_in_number(self, at: int, problem: str) -> NoReturn:
        char = _describe(chr(self.data[at]))
        self.fail(f"Unexpected character ({char}) in numeric value: {problem}", at)

    # -- space --

    def skip(self, at: int) -> int:
        """Where the next word starts, behind spaces and comments; ``size`` if there is none."""
        while True:
            if at < self.size and self.data[at] <= ord(" "):
                at = self._end(_SPACE, at)
            if at == self.size:
                return at
            byte = self.data[at]
            if byte < ord(" "):
                self._refuse_control(at)
            if byte != ord("/"):
                return at
            at = self._skip_comment(at)

    def _skip_comment(self, at: int) -> int:
        kind = self.data[at + 1 : at + 2]
        if kind not in {b"/", b"*", b""}:
            self.unexpected(at + 1, "was expecting either '*' or '/' for a comment")
        if kind == b"/":
            end = self._end(_LINE_COMMENT, at)
            self._check_comment(at, end)
            return end
        end = self.data.find(b"*/", at + 2)
        self._check_comment(at, end if end >= 0 else self.size)
        if end < 0:
            self.fail_at_end(" in a comment")
        return end + 2

    def _check_comment(self, start: int, end: int) -> None:
        control = _CONTROL.search(self.data, start, end)
        self._check_utf8(start, control.start() if control else end)
        if control:
            self._refuse_control(control.start())

    def _refuse_control(self, at: int) -> NoReturn:
        self.fail(
            f"Illegal character ((CTRL-CHAR, code {self.data[at]})): only regular white space"
            r" (\r, \n, \t) is allowed between tokens",
            at,
            beyond=1,
        )

    # -- many words at once --

    def run(self, at: int) -> tuple[bytes, int] | None:
        """Some further elements of an array, from a comma on; they are to be decoded yet."""
        found = _RUN.match(self.data, at)
        return found and (found[0], found.end())

    def whole_run(self, at: int) -> int | None:
        """The end of ``RUN_LENGTH`` such elements of an array that is known to be valid."""
        found = _WHOLE_RUN.match(self.data, at)
        return found and found.end()

    def container(self, at: int) -> int:
        """The end of an object or array that is known to be valid."""
        depth = 0
        while True:
            at = self._end(_NO_BRACKETS, at)
            byte = self.data[at]
            if byte in b"[{":
                depth += 1
                at += 1
            elif byte in b"]}":
                depth -= 1
                at += 1
                if not depth:
                    return at

    # -- strings --

    def name(self, at: int) -> tuple[str, int]:
        """The field name that has to be at ``at``."""
        if self.data[at] != ord('"'):
            char, end = self._char(at)
            expectation = "was expecting double-quote to start field name"
            self.fail(f"Unexpected character ({_describe(char)}): {expectation}", end - 1)
        return self.string(at, is_name=True)

    def string(self, at: int, *, is_name: bool = False) -> tuple[str, int]:
        """The string whose opening quote is at ``at``."""
        found = _STRING.match(self.data, at)
        text = _unquote(found[0]) if found else None
        if found is None or text is None:
            self._refuse_string(at, is_name=is_name)
        return text, found.end()

    def _refuse_string(self, start: int, *, is_name: bool) -> NoReturn:
        unfinished = " in field name" if is_name else " in VALUE_STRING"
        at = self._end(_CHARS, start + 1)
        self._check_utf8(start + 1, at, unfinished)
        if at == self.size:
            is_bare = is_name and at == start + 1
            self.fail_at_end(": was expecting closing '\"' for name" if is_bare else unfinished)
        byte = self.data[at]
        if byte == ord("\\"):
            self._refuse_escape(at)
        if byte == ord('"'):
            # Elasticsearch takes these, but what we hand the body to writes
            # UTF-8, which has no form for half a character.
            self.fail("Unpaired surrogate in a JSON string", start)
        self.fail(
            f"Illegal unquoted character ((CTRL-CHAR, code {byte})): has to be escaped"
            f" using backslash to be included in {'name' if is_name else 'string value'}",
            at,
        )

    def _refuse_escape(self, start: int) -> NoReturn:
        if self.data[start + 1 : start + 2] not in {b"u", b""}:
            char, end = self._char(start + 1)
            self.fail(f"Unrecognized character escape {_describe(char)}", end - 1)
        at = self._end(_HEX_DIGITS, start + 2)
        if at >= self.size:
            self.fail_at_end(" in character escape sequence")
        self.unexpected(at, "expected a hex-digit for character escape sequence")

    def _char(self, at: int) -> tuple[str, int]:
        """One character, decoded."""
        first = self.data[at]
        end = min(at + 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0), self.size)
        self._check_utf8(at, end)
        return self.data[at:end].decode(), end

    def _check_utf8(self, start: int, end: int, unfinished: str | None = None) -> None:
        try:
            self.data[start:end].decode()
        except UnicodeDecodeError as error:
            at = start + error.start
            first = self.data[at]
            if not 0xC2 <= first <= 0xF4:
                self.fail(f"Invalid UTF-8 start byte 0x{first:x}", at, beyond=1)
            at = start + error.end
            if at == self.size:
                self.fail_at_end(unfinished or f" in {self._last_token()}")
            self.fail(f"Invalid UTF-8 middle byte 0x{self.data[at]:x}", at, beyond=1)

    # -- numbers --

    def number(self, at: int) -> tuple[int | WireFloat, int]:
        found = _NUMBER.match(self.data, at)
        if found is None:
            self._refuse_minus(at)
        end = found.end()
        if self.data[end : end + 1] in _MAY_GO_ON:
            self._check_number_end(found)
        text = found[0].decode()
        if len(text) > MAX_NUMBER_LENGTH:
            self._check_number_length(text, at)
        return (int(text) if found.lastindex is None else WireFloat(text)), end

    def _refuse_minus(self, at: int) -> NoReturn:
        if at + 1 == self.size:
            self.fail_at_end(f" in {self._last_token()}")
        if self.data[at + 1] == ord("."):
            self.unexpected(at + 1, f"expected a valid value {_EXPECTED_WORD}")
        bad = self._skip_infinity(at)
        problem = "expected digit (0-9) to follow minus sign, for valid numeric value"
        self._unexpected_in_number(bad, problem)

    def _refuse_plus(self, at: int) -> NoReturn:
        if at + 1 == self.size:
            self.fail_at_end(" in a Number value")
        bad = self._skip_infinity(at)
        self.fail(
            "Unexpected character ('+' (code 43)) in numeric value: JSON spec does not allow"
            " numbers to have plus signs: enable"
            " `JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow",
            at,
            beyond=bad - at,
        )

    def _skip_infinity(self, at: int) -> int:
        """The offset of what follows a sign; refuses infinities and words that begin like one."""
        self._refuse_non_number(at)
        if self.data[at + 1] != ord("I"):
            return at + 1
        if at + 2 == self.size:
            self.fail_at_end(" in a Number value")
        if self.data[at + 2] in b"Nn":
            self._refuse_word(at)
        return at + 2

    def _refuse_non_number(self, at: int) -> None:
        found = _NON_NUMBER.match(self.data, at)
        if found and not self._word_goes_on(found.end()):
            self.fail(
                f"Non-standard token '{found[0].decode()}': enable"
                " `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow",
                found.end(),
            )

    def _check_number_end(self, found: re.Match[bytes]) -> None:
        """Refuse what Jackson takes for the rest of the number; anything else comes after it."""
        at = found.end()
        fraction, exponent = found.groups()
        byte = self.data[at : at + 1]
        if byte.isdigit():
            self.fail("Invalid numeric value: Leading zeroes not allowed", at)
        if byte == b"." and fraction is None and exponent is None:
            # At the end of input Jackson still holds the point itself.
            bad = min(at + 1, self.size - 1)
            self._unexpected_in_number(bad, "Decimal point not followed by a digit")
        if byte != b"." and exponent is None:
            at += 2 if self.data[at + 1 : at + 2] in {b"+", b"-"} else 1
            if at == self.size:
                self.fail_at_end(f" in {self._last_token()}")
            self._unexpected_in_number(at, "Exponent indicator not followed by a digit")

    def _check_number_length(self, text: str, at: int) -> None:
        length = sum(map(str.isdigit, text))
        if length > MAX_NUMBER_LENGTH:
            self.fail(
                f"Number value length ({length}) exceeds the maximum allowed"
                f" ({MAX_NUMBER_LENGTH}, from `StreamReadConstraints.getMaxNumberLength()`)",
                at,
            )

    # -- literals --

    def literal(self, at: int, word: bytes) -> int:
        """The end of ``word``, whose first letter is known to be at ``at``."""
        end = at + len(word)
        if not self.data.startswith(word, at) or self._word_goes_on(end):
            self._refuse_word(at)
        return end

    def refuse_value(self, at: int, *, misplaced: bytes) -> NoReturn:
        """No value starts at ``at``; ``misplaced`` are the marks that Jackson knows as such."""
        byte = self.data[at]
        if byte in misplaced:
            self.unexpected(at, "expected a value")
        if byte == ord("+"):
            self._refuse_plus(at)
        self._refuse_non_number(at)
        if unicodedata.category(chr(byte)) in _WORD_START:
            self._refuse_word(at)
        self.unexpected(at, f"expected a valid value {_EXPECTED_WORD}")

    def _word_goes_on(self, at: int) -> bool:
        # Jackson looks no closer at what sorts before the digits, "$" included.
        return at < self.size and self.data[at] >= ord("0") and _is_word_part(self._char(at)[0])

    def _refuse_word(self, start: int) -> NoReturn:
        # Jackson has read one character beyond the word when it fails, and
        # places the error behind that one.
        at = start + 1
        word = chr(self.data[start])
        while at < self.size and len(word) < _MAX_WORD_LENGTH:
            char, at = self._char(at)
            if not _is_word_part(char):
                break
            word += char
        if len(word) == _MAX_WORD_LENGTH:
            word += "..."
        problem = f"Unrecognized token '{word}': was expecting {_EXPECTED_WORD}"
        self.fail(problem, start, beyond=at - start)

    def _last_token(self) -> str:
        """The last token by Jackson's name for it."""
        name, value = self.last
        if name == "VALUE_NUMBER":
            return "VALUE_NUMBER_FLOAT" if isinstance(value, float) else "VALUE_NUMBER_INT"
        if name == "VALUE_BOOLEAN":
            return "VALUE_TRUE" if value else "VALUE_FALSE"
        return name

    def _end(self, pattern: re.Pattern[bytes], at: int) -> int:
        found = pattern.match(self.data, at)
        return found.end() if found else at


def _unquote(literal: bytes) -> str | None:
    """What a well-formed JSON string means; None if it has bad UTF-8 or an unpaired surrogate."""
    try:
        text = literal.decode()
        if "\\" not in text:
            return text[1:-1]
        unescaped: str = json.loads(text)
        unescaped.encode()
    except ValueError:
        return None
    return unescaped


def _is_word_part(char: str) -> bool:
    """Java's isJavaIdentifierPart."""
    return unicodedata.category(char) in _WORD_PART or char in _IGNORABLE


def _describe(char: str) -> str:
    code = ord(char)
    if unicodedata.category(char) == "Cc":
        return f"(CTRL-CHAR, code {code})"
    return f"'{char}' (code {code})" if code <= 0xFF else f"'{char}' (code {code} / 0x{code:x})"
