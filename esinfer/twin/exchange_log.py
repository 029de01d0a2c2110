"""What reached an upstream and what it answered: the last so many, no secret among them.

Bytes are kept as they went by, up to a limit each; keys are taken out, by
``masking``, when somebody reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from esinfer.masking import (
    Kept,
    long_enough,
    secrets_in,
    secrets_of,
    shown_headers,
    shown_url,
    without,
)
from esinfer.twin.answers import TwinAnswer
from esinfer.twin.received import Received

_OVERHEAD: Final = 1024
"""Bytes that an entry takes beside what it keeps, about."""
_TEXT: Final = 80
"""The same of a text and its place in a mapping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """``entries`` and, of all together, ``size`` bytes at most; of each body ``body_size``."""

    entries: int = 1000
    body_size: int = 64 * 1024
    size: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Head:
    """What precedes a body, without anything that holds one."""

    about: Mapping[str, object] = field(repr=False)
    """What it says of itself beside its headers."""
    headers: Mapping[str, str] = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        texts = chain(self.headers, self.headers.values(), map(str, self.about.values()))
        return _TEXT * (len(self.headers) + len(self.about)) + sum(map(len, texts))


class Entry:
    """One exchange; the answer is there once it has begun."""

    __slots__ = (
        "_answer",
        "_caller",
        "_log",
        "_request",
        "_sent",
        "_taken",
        "ending",
        "faults",
        "sequence",
        "size",
        "stubs",
        "time",
    )

    def __init__(self, log: ExchangeLog, sequence: int, time: float) -> None:
        self.sequence = sequence
        self.time = time
        self.faults: list[str] = []
        self.stubs: Sequence[str] = ()
        self.ending: str | None = None
        self.size = _OVERHEAD
        """Bytes that it takes in memory, about."""
        self._log = log
        self._caller: Mapping[str, str] = {}
        self._request = _Head({}, {})
        self._answer: _Head | None = None
        self._taken = Kept(log.limits.body_size)
        self._sent = Kept(log.limits.body_size)

    def take(self, received: Received) -> None:
        """Keep the request; of its body no more than the beginning stays in memory."""
        caller = {"inference_id": received.inference_id, "task_type": received.task_type}
        self._caller = {name: value for name, value in caller.items() if value is not None}
        about = {"method": received.request.method, "url": received.url}
        self._request = _Head(about, received.headers)
        self._grow(self._request.size + self._taken.add(received.request.body))

    def begin(self, answer: TwinAnswer) -> None:
        """Keep how the answer begins."""
        headers = dict(answer.headers)
        if answer.content_type is not None:
            headers["content-type"] = answer.content_type
        self._answer = _Head({"status": answer.status}, headers)
        self._grow(self._answer.size)

    def send(self, part: bytes) -> None:
        """Keep a part of the answer's body."""
        self._grow(self._sent.add(part))

    def _grow(self, size: int) -> None:
        self.size += size
        self._log.grow(self, size)

    def to_wire(self, secrets: Iterable[str]) -> dict[str, object]:
        """The entry for whoever reads the log; ``secrets`` are those of the upstream."""
        about, headers = self._request.about, self._request.headers
        url = str(about["url"])
        hidden = long_enough({*secrets, *secrets_of(headers), *secrets_in(url)})
        return {
            "sequence": self.sequence,
            "time": self.time,
            **{name: without(text, hidden) for name, text in self._caller.items()},
            "request": {
                **about,
                "url": shown_url(url, hidden),
                "headers": shown_headers(headers, hidden),
                **self._taken.to_wire(hidden),
            },
            "faults": list(self.faults),
            **({"stubs": list(self.stubs)} if self.stubs else {}),
            "answer": self._answer_to_wire(hidden),
            "ending": self.ending,
        }

    def _answer_to_wire(self, hidden: Sequence[str]) -> dict[str, object] | None:
        if self._answer is None:
            return None
        return {
            **self._answer.about,
            "headers": shown_headers(self._answer.headers, hidden),
            **self._sent.to_wire(hidden),
        }


class ExchangeLog:
    """The last exchanges of one upstream, the oldest first."""

    __slots__ = ("_entries", "_size", "limits")

    def __init__(self, limits: LogLimits) -> None:
        self.limits = limits
        self._entries: dict[int, Entry] = {}
        self._size = 0

    def open(self, received: Received, sequence: int, time: float) -> Entry:
        """A new entry; ``sequence`` tells it from all others, ``time`` is in seconds."""
        entry = Entry(self, sequence, time)
        if self.limits.entries:
            self._entries[sequence] = entry
            self._size += entry.size
            entry.take(received)
        return entry

    def grow(self, entry: Entry, size: int) -> None:
        """Count what an entry keeps; the oldest go when it is too much."""
        if entry.sequence not in self._entries:
            return
        self._size += size
        while len(self._entries) > self.limits.entries or (
            self._size > self.limits.size and self._entries
        ):
            oldest = self._entries.pop(next(iter(self._entries)))
            self._size -= oldest.size

    def clear(self) -> None:
        """Forget all that was; exchanges that go on are forgotten too."""
        self._entries.clear()
        self._size = 0

    def to_wire(
        self, secrets: Iterable[str], size: int | None = None
    ) -> Iterator[dict[str, object]]:
        """The last ``size`` entries, else all, as they are asked for, which a thread may do."""
        known = list(secrets)
        entries = list(self._entries.values())
        first = 0 if size is None else max(0, len(entries) - size)
        return (entry.to_wire(known) for entry in entries[first:])
