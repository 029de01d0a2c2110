"""JSON as serde_json 1.0 reads it behind axum 0.7: the reason and the place of every error.

As in axum 0.7, what follows the first value is ignored, and the path that
serde_path_to_error adds stands before the reason.

Known difference: unknown fields are held to the same depth as known ones.
Source: upstream.md section 1a; serde_json ``read.rs``, ``de.rs``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import isinf
from typing import Final, NoReturn, Self, TypeVar

import orjson

_Value = TypeVar("_Value")

_MAX_DEPTH: Final = 127
MAX_U64: Final = 2**64 - 1
_MAX_DIGITS: Final = len(str(-MAX_U64))

_SPACE: Final = re.compile(rb"[ \n\t\r]*")
_DIGITS: Final = re.compile(rb"[0-9]*")
_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?![0-9.eE])")
_PLAIN: Final = re.compile(rb'[^"\\\x00-\x1f]*')
NUMBER_HEADS: Final = frozenset(b"%c" % byte for byte in b"-0123456789")
_LITERALS: Final = {b"t": (b"true", True), b"f": (b"false", False), b"n": (b"null", None)}
_HEADS: Final = frozenset({b'"', b"[", b"{", *NUMBER_HEADS, *_LITERALS})
_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")
_HIGH_SURROGATES: Final = range(0xD800, 0xDC00)
_LOW_SURROGATES: Final = range(0xDC00, 0xE000)

_NO_KEY: Final = "?"
_NOT_JSON: Final = "Failed to parse the request body as JSON"
_NOT_THE_SHAPE: Final = "Failed to deserialize the JSON body into the target type"
EOF_VALUE: Final = "EOF while parsing a value"
_EOF_STRING: Final = "EOF while parsing a string"
_LONE_SURROGATE: Final = "lone leading surrogate in hex escape"


class MalformedBody(Exception):
    """A body that is not JSON (400) or has the wrong shape (422); ``str`` is the answer's body.

    ``reason`` is what serde itself says, without the place.
    """

    def __init__(self, status: int, text: str, reason: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason


class JsonReader:
    """Reads one body from its start. Each method reads one value or raises MalformedBody."""

    __slots__ = ("_at", "_body", "_path")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0
        self._path: list[str | int] = []

    def refuse(self, reason: str) -> NoReturn:
        """A value read to here is JSON, but does not fit."""
        raise self._malformed(422, _NOT_THE_SHAPE, reason, self._at)

    def content(self) -> object:
        """Any value."""
        head = self._peek()
        if head not in _HEADS:
            self._fail_behind(self._eof_or("expected value"))
        if head == b'"':
            return self._string()
        if head == b"[":
            return self._items(JsonReader.content)
        if head == b"{":
            return self._map()
        if head in NUMBER_HEADS:
            return self._number()
        return self._literal(head)

    def _items(self, read: Callable[[Self], _Value]) -> list[_Value]:
        items: list[_Value] = []
        self._open()
        while self._more(b"]", "a list", first=not items):
            self._path.append(len(items))
            items.append(read(self))
            self._path.pop()
        return items

    def _map(self) -> dict[str, object]:
        values: dict[str, object] = {}
        for key in self._keys():
            self._colon()
            self._path.append(key)
            values[key] = self.content()
            self._path.pop()
        return values

    def _keys(self) -> Iterator[str]:
        """The keys of an object; who asks for the next one has read colon and value."""
        self._open()
        first = True
        self._path.append(_NO_KEY)
        while self._more(b"}", "an object", first=first):
            if self._peek() != b'"':
                self._fail_behind("key must be a string")
            key = self._string()
            self._path.pop()
            yield key
            first = False
            self._path.append(_NO_KEY)
        self._path.pop()

    def _open(self) -> None:
        if len(self._path) >= _MAX_DEPTH:
            self._fail_behind("recursion limit exceeded")
        self._at += 1

    def _more(self, end: bytes, name: str, *, first: bool) -> bool:
        """Whether another element follows: then it is next; else the end has been read."""
        head = self._peek()
        if head == end:
            self._at += 1
            return False
        if not head:
            self._fail_behind(f"EOF while parsing {name}")
        if first:
            return True
        if head != b",":
            self._fail_behind(f"expected `,` or `{end.decode()}`")
        self._at += 1
        if self._peek() in {end, b""}:
            self._fail_behind(self._eof_or("trailing comma"))
        return True

    def _colon(self) -> None:
        if self._peek() != b":":
            self._fail_behind("expected `:`" if self._head() else "EOF while parsing an object")
        self._at += 1

    def _literal(self, head: bytes) -> bool | None:
        word, value = _LITERALS[head]
        for expected in word:
            if self._next(EOF_VALUE) != expected:
                self._fail("expected ident")
        return value

    def _number(self) -> int | float:
        match = _NUMBER.match(self._body, self._at)
        if match is None:
            return self._doubtful_number()
        self._at = match.end()
        return self._value_of(match[0], whole=match.lastindex is None)

    def _doubtful_number(self) -> int | float:
        """What is no number, byte by byte to the fault; or a number before other faults."""
        start = self._at
        self._accept(b"-")
        if not self._accept(b"0"):
            self._some_digits()
        elif self._head().isdigit():
            self._fail_behind("invalid number")
        whole = self._at
        if self._accept(b".") and not self._digits():
            self._fail_behind(self._eof_or("invalid number"))
        if self._accept(b"eE"):
            self._accept(b"+-")
            self._some_digits()
        return self._value_of(self._body[start : self._at], whole=whole == self._at)

    def _value_of(self, number: bytes, *, whole: bool) -> int | float:
        if whole and len(number) <= _MAX_DIGITS and abs(int(number)) <= MAX_U64:
            return int(number)
        if isinf(float(number)):
            self._fail("number out of range")
        return float(number)

    def _accept(self, bytes_: bytes) -> bool:
        accepted = self._head() != b"" and self._head() in bytes_
        self._at += accepted
        return accepted

    def _some_digits(self) -> None:
        if not chr(self._next(EOF_VALUE)).isdecimal():
            self._fail("invalid number")
        self._digits()

    def _digits(self) -> bool:
        start, self._at = self._at, _end(_DIGITS, self._body, self._at)
        return self._at > start

    def _string(self) -> str:
        start = self._at
        self._at += 1
        while True:
            self._at = _end(_PLAIN, self._body, self._at)
            byte = self._next(_EOF_STRING)
            if byte == ord('"'):
                break
            if byte != ord("\\"):
                self._fail("control character (\\u0000-\\u001F) found while parsing a string")
            self._escape()
        try:
            return str(orjson.loads(self._body[start : self._at]))
        except orjson.JSONDecodeError:
            self._fail("invalid unicode code point")

    def _escape(self) -> None:
        letter = self._next(_EOF_STRING)
        if letter in b'"\\/bfnrt':
            return
        if letter != ord("u"):
            self._fail("invalid escape")
        code = self._hex()
        if code in _LOW_SURROGATES:
            self._fail(_LONE_SURROGATE)
        if code in _HIGH_SURROGATES:
            for expected in b"\\u":
                if self._next(_EOF_STRING) != expected:
                    self._fail("unexpected end of hex escape")
            if self._hex() not in _LOW_SURROGATES:
                self._fail(_LONE_SURROGATE)

    def _hex(self) -> int:
        digits = self._body[self._at : self._at + 4]
        if len(digits) < 4:
            self._at = len(self._body)
            self._fail(_EOF_STRING)
        for digit in digits:
            self._at += 1
            if digit not in _HEX_DIGITS:
                self._fail("invalid escape")
        return int(digits, 16)

    def _peek(self) -> bytes:
        """The next byte that is not space, ``b""`` at the end."""
        self._at = _end(_SPACE, self._body, self._at)
        return self._head()

    def _head(self) -> bytes:
        return self._body[self._at : self._at + 1]

    def _next(self, at_end: str) -> int:
        if self._at == len(self._body):
            self._fail(at_end)
        self._at += 1
        return self._body[self._at - 1]

    def _eof_or(self, reason: str) -> str:
        return reason if self._head() else EOF_VALUE

    def _fail(self, reason: str) -> NoReturn:
        """The byte just read is not JSON."""
        raise self._malformed(400, _NOT_JSON, reason, self._at)

    def _fail_behind(self, reason: str) -> NoReturn:
        """The byte to be read next is not JSON."""
        raise self._malformed(400, _NOT_JSON, reason, min(self._at + 1, len(self._body)))

    def _malformed(self, status: int, what: str, reason: str, index: int) -> MalformedBody:
        line_start = self._body.rfind(b"\n", 0, index) + 1
        line = 1 + self._body.count(b"\n", 0, line_start)
        place = f"at line {line} column {index - line_start}"
        return MalformedBody(status, f"{what}: {_prefix(self._path)}{reason} {place}", reason)


def _end(pattern: re.Pattern[bytes], body: bytes, start: int) -> int:
    match = pattern.match(body, start)
    return match.end() if match else start


def _prefix(path: list[str | int]) -> str:
    if all(part == _NO_KEY for part in path):
        return ""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".") + ": "
