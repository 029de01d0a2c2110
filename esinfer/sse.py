"""Server-sent events: bytes of an upstream's stream into events.

Incremental and pure: bytes may be cut anywhere, inside a UTF-8 character or a
line ending too. Source: the event stream format of the HTML standard,
https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from esinfer.errors import ConnectionClosed, ResponseTooLarge

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_ENDS = (b"\n", b"\r")


_FIELDS = frozenset({b"data", b"event", b"id", b"retry", b""})  # the last begins a comment
_ENDING = re.compile(rb"data: ?\[done\] *", re.IGNORECASE)
"""The line that ends a stream: it counts without its newline too."""


def _field(line: bytes) -> bytes:
    return line.partition(b":")[0]


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

    __slots__ = (
        "_data",
        "_dispatched",
        "_half_ended",
        "_limit",
        "_name",
        "_rest",
        "_size",
        "_started",
        "_stray",
    )

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest: list[bytes] = []
        self._size = 0
        self._started = False
        self._half_ended = False  # by a carriage return, which a newline may belong to
        self._name = ""
        self._data: list[bytes] = []
        self._stray: bytes | None = None  # the first line that is none of an event stream's
        self._dispatched = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that ``chunk`` completes."""
        if not chunk:
            return
        self._size += len(chunk)
        for line in self._lines(chunk):
            if not line:
                yield from self._dispatch()
            else:
                self._read(line)
        if self._size > self._limit:
            raise ResponseTooLarge(limit=self._limit)

    def end(self) -> Iterator[Event]:
        """The event that lacked only its blank line when the stream ended.

        Bytes that held no event at all come as one, for whoever reads it to
        refuse. Raises ConnectionClosed if the stream ended within a data line.
        """
        rest = b"".join(self._rest)
        if _ENDING.fullmatch(rest):
            self._read(rest)
        yield from self._dispatch()
        if rest.startswith(b"data:") and not _ENDING.fullmatch(rest):
            raise ConnectionClosed(reason="The stream ended within an event")
        stray = self._stray or rest
        if not self._dispatched and stray and _field(stray) not in _FIELDS:
            yield Event("message", stray)

    def _lines(self, chunk: bytes) -> list[bytes]:
        """Complete lines, without their ends; the rest waits."""
        half_ended, self._half_ended = self._half_ended, chunk.endswith(b"\r")
        if half_ended:
            chunk = chunk.removeprefix(b"\n")
        if b"\n" not in chunk and b"\r" not in chunk:
            self._rest.append(chunk)
            return []
        text = b"".join([*self._rest, chunk])
        lines = text.splitlines()
        self._rest = [] if text.endswith(_LINE_ENDS) else [lines.pop()]
        if not self._started:
            self._started = True
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        return lines

    def _read(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        elif name not in _FIELDS and self._stray is None:
            self._stray = line

    def _dispatch(self) -> Iterator[Event]:
        data, self._data = self._data, []
        name, self._name = self._name, ""
        self._size = sum(map(len, self._rest))
        if data:
            self._dispatched = True
            yield Event(name or "message", b"\n".join(data))
