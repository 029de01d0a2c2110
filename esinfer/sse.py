"""Server-sent events: bytes of an upstream's stream into events.

Incremental and pure: bytes may be cut anywhere, inside a UTF-8 character or a
line ending too. Source: the event stream format of the HTML standard,
https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from esinfer.errors import ResponseTooLarge

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_ENDS = (b"\n", b"\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name, ``message`` unless given, and its data lines joined by newlines."""

    name: str
    data: bytes


class EventParser:
    """Feed it the stream's bytes; it yields each event once its blank line has come.

    ``limit`` bounds the bytes of one event: an upstream that never ends a line
    fails with ResponseTooLarge instead of filling the memory.
    """

    __slots__ = ("_data", "_half_ended", "_limit", "_name", "_rest", "_size", "_started")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest: list[bytes] = []
        self._size = 0
        self._started = False
        self._half_ended = False  # by a carriage return, which a newline may belong to
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that ``chunk`` completes."""
        self._size += len(chunk)
        for line in self._lines(chunk):
            if not line:
                yield from self._dispatch()
            else:
                self._read(line)
        if self._size > self._limit:
            raise ResponseTooLarge(limit=self._limit)

    def end(self) -> Iterator[Event]:
        """The event that lacked only its blank line when the stream ended."""
        # A line that was cut off is no line: what it says cannot be relied on.
        yield from self._dispatch()

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        """Complete lines, without their ends; the rest waits."""
        if not chunk:
            return
        half_ended, self._half_ended = self._half_ended, chunk.endswith(b"\r")
        if half_ended:
            chunk = chunk.removeprefix(b"\n")
        if not any(end in chunk for end in _LINE_ENDS):
            self._rest.append(chunk)
            return
        lines = b"".join([*self._rest, chunk]).splitlines(keepends=True)
        self._rest = [] if lines[-1].endswith(_LINE_ENDS) else [lines.pop()]
        for line in lines:
            yield self._first(line) if not self._started else line.rstrip(b"\r\n")

    def _first(self, line: bytes) -> bytes:
        self._started = True
        return line.removeprefix(_BYTE_ORDER_MARK).rstrip(b"\r\n")

    def _read(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")

    def _dispatch(self) -> Iterator[Event]:
        data, self._data = self._data, []
        name, self._name = self._name, ""
        self._size = sum(map(len, self._rest))
        if data:
            yield Event(name or "message", b"\n".join(data))
