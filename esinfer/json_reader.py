"""JSON as Elasticsearch reads it: from the bytes of a body to tokens or a value.

Elasticsearch reads JSON with Jackson: duplicate fields are refused, comments
are allowed, and reading stops at the end of the first value. Python's decoder
gives the same value for every body that both take, so ``read_first_value``
lets it try; ``JsonReader`` reads what it refuses, and words the errors.

The text of the errors, and the words of JSON, are in ``json_scanner``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from esinfer.json_decoder import decode
from esinfer.json_scanner import MAX_DEPTH, RUN_LENGTH, JsonScanner, Place, WireFloat, source

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "NOTHING",
    "JsonReader",
    "Place",
    "Token",
    "WireFloat",
    "locate",
    "locate_end",
    "read_first_value",
    "token_of",
]

NOTHING: Final = object()
"""What ``read_first_value`` gives for a body of nothing but space and comments."""

Scalar: TypeAlias = str | int | WireFloat | bool | None
_Container: TypeAlias = dict[str, object] | list[object]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Token(StrEnum):
    """A step of ``JsonReader``, named as in Elasticsearch's XContentParser."""

    START_OBJECT = "START_OBJECT"
    END_OBJECT = "END_OBJECT"
    START_ARRAY = "START_ARRAY"
    END_ARRAY = "END_ARRAY"
    FIELD_NAME = "FIELD_NAME"
    VALUE_STRING = "VALUE_STRING"
    VALUE_NUMBER = "VALUE_NUMBER"
    VALUE_BOOLEAN = "VALUE_BOOLEAN"
    VALUE_NULL = "VALUE_NULL"


_TOKENS = {
    type(None): Token.VALUE_NULL,
    bool: Token.VALUE_BOOLEAN,
    str: Token.VALUE_STRING,
    dict: Token.START_OBJECT,
    list: Token.START_ARRAY,
}


def token_of(value: object) -> Token:
    """The token that a JSON value starts with; numbers may be of classes of their own."""
    return _TOKENS.get(type(value), Token.VALUE_NUMBER)


_LAST_TOKENS = _TOKENS | {dict: Token.END_OBJECT}
_STARTS = frozenset({Token.START_OBJECT, Token.START_ARRAY})
_ENDS = frozenset({Token.END_OBJECT, Token.END_ARRAY})
_OPENING = {
    ord('"'): Token.VALUE_STRING,
    ord("{"): Token.START_OBJECT,
    ord("["): Token.START_ARRAY,
}
_ROOT_SPACE = frozenset({b"", b" ", b"\t", b"\r", b"\n"})
_CLOSING = {ord("}"): Token.END_OBJECT, ord("]"): Token.END_ARRAY}
_LITERALS = {
    ord("t"): (Token.VALUE_BOOLEAN, b"true", True),
    ord("f"): (Token.VALUE_BOOLEAN, b"false", False),
    ord("n"): (Token.VALUE_NULL, b"null", None),
}


class _Scope:
    """An object or array that is being read; ``names`` are an object's fields so far."""

    __slots__ = ("end", "filled", "kind", "names", "start")

    def __init__(self, token: Token, start: int) -> None:
        is_object = token is Token.START_OBJECT
        self.start = start
        self.kind = "Object" if is_object else "Array"
        self.end = Token.END_OBJECT if is_object else Token.END_ARRAY
        self.names: set[str] | None = set() if is_object else None
        self.filled = False


class JsonReader:
    """Walks a body token by token.

    Errors come up when Jackson raises them: what is wrong between a field name
    and its value, or in a number or literal after it, with the field name; what
    is wrong inside a string when its value is asked for, or when it is left.
    """

    __slots__ = (
        "_ahead",
        "_at",
        "_is_in_doubt",
        "_scan",
        "_scopes",
        "_start",
        "_unread",
        "_value",
        "token",
    )

    def __init__(self, data: bytes) -> None:
        self.token: Token | None = None
        self._scan = JsonScanner(data)
        self._scopes: list[_Scope] = []
        self._at = len(_BYTE_ORDER_MARK) if data.startswith(_BYTE_ORDER_MARK) else 0
        self._start = self._at
        self._value: Scalar = None
        self._is_in_doubt = False  # an error is near
        self._unread = False  # the current token is a string not looked into yet
        self._ahead: tuple[Token, int, Scalar, int] | None = None  # the value of the current name

    @property
    def place(self) -> Place:
        """Where the current token starts."""
        return self._scan.place(self._start)

    @property
    def value(self) -> Scalar:
        """The name, string, number or boolean; None for null, objects and arrays."""
        if self._unread:
            self._value, self._at = self._scan.string(self._start)
            self._unread = False
        return self._value

    @property
    def text(self) -> str:
        """The name or string; of other tokens what stands in the body, such as ``1.50``."""
        value = self.value
        if isinstance(value, str):
            return value
        return self._scan.data[self._start : self._at].decode()

    def next(self) -> Token | None:
        """The next token; None if the input ends where no object or array is open."""
        if self._ahead is not None:
            token, self._start, self._value, self._at = self._ahead
            self._ahead = None
            return self._enter(token)
        if self._unread:
            self._at = self._scan.string(self._start)[1]
        self._start = self._at = at = self._scan.skip(self._at)
        self._value = None
        if at == self._scan.size:
            self._end_input()
            return None
        if self._scan.data[at] in _CLOSING:
            return self._leave(at)
        if self._scopes:
            scope = self._scopes[-1]
            at = self._pass_comma(scope, at)
            if scope.names is not None:
                return self._read_name(scope.names, at)
        token, self._start, self._value, self._at = self._scan_value(at)
        return self._enter(token)

    def read_value(self) -> object:
        """The value that starts with the current token; ends on the last token of it."""
        parents: list[tuple[_Container, str]] = []
        container: _Container = []
        name = ""
        while True:
            if self.token in _STARTS:
                parents.append((container, name))
                container = {} if self.token is Token.START_OBJECT else []
            else:
                value: object = self.value
                if self.token in _ENDS:
                    value = container
                    container, name = parents.pop()
                if not parents:
                    return value
                if isinstance(container, dict):
                    container[name] = value
                else:
                    container.append(value)
                    container.extend(self._read_run())
            if self.next() is Token.FIELD_NAME:
                name = self.text
                self.next()

    def _read_run(self) -> list[object]:
        """The simple elements that follow the current one, some at a time; none if in doubt."""
        found = None if self._is_in_doubt else self._scan.run(self._at)
        if found is None:
            return []
        text, end = found
        try:
            values = list(decode(b"[%b]" % text.lstrip()[1:]))
        except ValueError:
            self._is_in_doubt = True  # next will refuse the one that is at fault
            return []
        self._at = end
        last = values[-1]
        self._scan.last = (_LAST_TOKENS.get(type(last), Token.VALUE_NUMBER), last)
        return values

    # -- in a body that is known to be valid --

    def descend(self, step: str | int) -> Place:
        """Go to a child of the current object or array; the place of its key.

        Raises LookupError if there is no such child.
        """
        index = 0
        if self.token in _STARTS:
            while self.next() not in _ENDS:
                key = self._start
                here: object = index
                if self.token is Token.FIELD_NAME:
                    here = self._value
                    self.next()
                if here == step:
                    return self._scan.place(key)
                self.leap()
                index += 1
                if isinstance(step, int):
                    index += self._pass_run(step - index)
        raise LookupError(step)

    def leap(self) -> None:
        """On the start of an object or array: go to its end, whatever is in between."""
        if self.token in _STARTS:
            self._at = self._scan.container(self._start)
            self._start = self._at - 1
            self.token = self._scopes.pop().end

    def _pass_run(self, most: int) -> int:
        """Pass many elements of an array at once, if they are simple; how many."""
        if most < RUN_LENGTH:
            return 0
        if self._unread:
            self._at = self._scan.string(self._start)[1]
            self._unread = False
        end = self._scan.whole_run(self._at)
        if end is None:
            return 0
        self._at = end
        return RUN_LENGTH

    # -- the steps of next --

    def _enter(self, token: Token) -> Token:
        self.token = token
        self._scan.last = (token, self._value)
        self._unread = token is Token.VALUE_STRING
        if token in _STARTS:
            if len(self._scopes) == MAX_DEPTH:
                self._scan.fail(
                    f"Document nesting depth ({MAX_DEPTH + 1}) exceeds the maximum allowed"
                    f" ({MAX_DEPTH}, from `StreamReadConstraints.getMaxNestingDepth()`)",
                    self._start,
                )
            self._scopes.append(_Scope(token, self._start))
        return token

    def _leave(self, at: int) -> Token:
        token = _CLOSING[self._scan.data[at]]
        if not self._scopes or self._scopes[-1].end is not token:
            self._refuse_end(token, at)
        self._scopes.pop()
        self._at = at + 1
        return self._enter(token)

    def _refuse_end(self, token: Token, at: int) -> NoReturn:
        mark, other = ("}", "]") if token is Token.END_OBJECT else ("]", "}")
        opened = f"root starting at {source(1)}"
        if self._scopes:
            scope = self._scopes[-1]
            place = self._scan.place(scope.start)
            opened = f"{scope.kind} starting at {source(place.line, place.column)}"
        self._scan.fail(f"Unexpected close marker '{mark}': expected '{other}' (for {opened})", at)

    def _end_input(self) -> None:
        if self._scopes:
            scope = self._scopes[-1]
            place = self._scan.place(scope.start)
            start = source(place.line, place.column)
            self._scan.fail_at_end(
                f": expected close marker for {scope.kind} (start marker at {start})"
            )
        self.token = None
        self._unread = False

    def _pass_comma(self, scope: _Scope, at: int) -> int:
        """Where the scope's next entry starts; ``at`` is behind the entry before, if any."""
        if not scope.filled:
            scope.filled = True
            return at
        if self._scan.data[at] != ord(","):
            self._scan.unexpected(at, f"was expecting comma to separate {scope.kind} entries")
        at = self._scan.skip(at + 1)
        if at == self._scan.size:
            # The one end of input that is a plain JsonParseException in Jackson.
            self._scan.fail(f"Unexpected end-of-input within/between {scope.kind} entries", at)
        return at

    def _read_name(self, names: set[str], at: int) -> Token:
        scan = self._scan
        name, end = scan.name(at)
        if name in names:
            scan.fail(f"Duplicate field '{name}'", end)
        names.add(name)
        self._start, self._value, self._at = at, name, end
        self._enter(Token.FIELD_NAME)
        at = scan.skip(end)
        if at < scan.size:
            if scan.data[at] != ord(":"):
                scan.unexpected(at, "was expecting a colon to separate field name and value")
            at = scan.skip(at + 1)
        if at == scan.size:
            scan.fail_at_end(" within/between Object entries")
        self._ahead = self._scan_value(at)
        return Token.FIELD_NAME

    def _scan_value(self, at: int) -> tuple[Token, int, Scalar, int]:
        """The token at ``at``, its start, value and end; strings are left for later."""
        scan = self._scan
        byte = scan.data[at]
        if byte in _OPENING:
            return _OPENING[byte], at, None, at + 1
        if byte in _LITERALS:
            token, word, value = _LITERALS[byte]
            return token, at, value, scan.literal(at, word)
        if byte not in b"-0123456789":
            in_array = bool(self._scopes) and self._scopes[-1].end is Token.END_ARRAY
            scan.refuse_value(at, misplaced=b",}]" if in_array else b",}")
        number, end = scan.number(at)
        if not self._scopes and scan.data[end : end + 1] not in _ROOT_SPACE:
            scan.unexpected(end, "Expected space separating root-level values")
        return Token.VALUE_NUMBER, at, number, end


def read_first_value(data: bytes) -> object:
    """The first JSON value of a request body, or ``NOTHING``.

    What follows the value is not looked at, as Elasticsearch stops reading
    there. Raises XContentParseError, or XContentEofError if the body breaks off.
    """
    try:
        return decode(data)
    except (ValueError, RecursionError):
        pass  # invalid, or with comments, or too deep for Python's stack
    reader = JsonReader(data)
    if reader.next() is None:
        return NOTHING
    return reader.read_value()


def locate(data: bytes, path: Sequence[str | int]) -> tuple[Place, Place]:
    """The places of the key and of the value at ``path`` in a valid body.

    An array's element is its own key, and so is the root. Raises LookupError
    if the body holds no such value.
    """
    key, reader = _go_to(data, path)
    return key, reader.place


def locate_end(data: bytes, path: Sequence[str | int]) -> Place:
    """Where the value at ``path`` in a valid body ends: its closing bracket, if it has one."""
    _, reader = _go_to(data, path)
    reader.leap()
    return reader.place


def _go_to(data: bytes, path: Sequence[str | int]) -> tuple[Place, JsonReader]:
    reader = JsonReader(data)
    reader.next()
    key = reader.place
    for step in path:
        key = reader.descend(step)
    return key, reader
