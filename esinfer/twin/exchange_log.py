"""What reached an upstream and what it answered: the last so many, no secret among them.

Bytes are kept as they went by, up to a limit each; keys are taken out when
somebody reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from esinfer.twin.answers import TwinAnswer
from esinfer.twin.received import Received

_MASK: Final = "***"
_SHORTEST_SECRET: Final = 8
"""One so short that it may stand anywhere by chance is masked in headers only."""
_SECRET_HEADERS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"}
)
_OVERHEAD: Final = 1024
"""Bytes that an entry takes beside its bodies, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """``entries`` and, of all bodies together, ``size`` bytes at most; of each ``body_size``."""

    entries: int = 1000
    body_size: int = 64 * 1024
    size: int = 64 * 1024 * 1024


class _Kept:
    """The beginning of a body, and how long it was."""

    __slots__ = ("data", "limit", "size")

    def __init__(self, limit: int) -> None:
        self.data = b""
        self.size = 0
        self.limit = limit

    def add(self, data: bytes) -> int:
        """Take more; how many bytes were kept."""
        self.size += len(data)
        part = data[: self.limit - len(self.data)]
        self.data += part
        return len(part)

    def to_wire(self, secrets: Sequence[str]) -> dict[str, object]:
        text = self.data.decode("utf-8", "backslashreplace")
        truncated = self.size > len(self.data)
        shown = _without(text, secrets, cut=truncated)
        return {"body": shown, "body_size": self.size, "truncated": truncated}


def _without(text: str, secrets: Sequence[str], *, cut: bool = False) -> str:
    """The text without secrets; where it was ``cut``, without what may be the beginning of one."""
    for secret in secrets:
        text = text.replace(secret, _MASK)
        if cut:
            begun = next((n for n in range(len(secret), 0, -1) if text.endswith(secret[:n])), 0)
            text = text[: len(text) - begun]
    return text


class Entry:
    """One exchange; the answer is there once it has begun."""

    __slots__ = (
        "_log",
        "_received",
        "_sent",
        "_taken",
        "answer",
        "ending",
        "faults",
        "sequence",
        "time",
    )

    def __init__(self, log: ExchangeLog, received: Received, sequence: int, time: float) -> None:
        self.sequence = sequence
        self.time = time
        self.faults: Sequence[str] = ()
        self.answer: TwinAnswer | None = None
        self.ending: str | None = None
        self._log = log
        self._received = received
        self._taken = _Kept(log.limits.body_size)
        self._sent = _Kept(log.limits.body_size)

    def take(self) -> None:
        """Keep the request's body."""
        self._log.grow(self, _OVERHEAD + self._taken.add(self._received.request.body))

    def send(self, part: bytes) -> None:
        """Keep a part of the answer's body."""
        self._log.grow(self, self._sent.add(part))

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        return _OVERHEAD + len(self._taken.data) + len(self._sent.data)

    def to_wire(self, secrets: Iterable[str]) -> dict[str, object]:
        """The entry for whoever reads the log; ``secrets`` are those of the upstream."""
        received = self._received
        hidden = [s for s in {received.bearer, *secrets} if len(s) >= _SHORTEST_SECRET]
        caller = {"inference_id": received.inference_id, "task_type": received.task_type}
        return {
            "sequence": self.sequence,
            "time": self.time,
            **{name: value for name, value in caller.items() if value is not None},
            "request": {
                "method": received.request.method,
                "url": _without(_USER.sub(rf"//{_MASK}@", received.url), hidden),
                "headers": _shown(received.headers, hidden),
                **self._taken.to_wire(hidden),
            },
            "faults": list(self.faults),
            "answer": self._answer_to_wire(hidden),
            "ending": self.ending,
        }

    def _answer_to_wire(self, hidden: Sequence[str]) -> dict[str, object] | None:
        answer = self.answer
        if answer is None:
            return None
        headers = dict(answer.headers)
        if answer.content_type is not None:
            headers["content-type"] = answer.content_type
        return {
            "status": answer.status,
            "headers": _shown(headers, hidden),
            **self._sent.to_wire(hidden),
        }


_USER: Final = re.compile(r"//[^/?#]*@")


def _shown(headers: Mapping[str, str], hidden: Sequence[str]) -> dict[str, str]:
    return {
        name.lower(): _masked(value) if name.lower() in _SECRET_HEADERS else _without(value, hidden)
        for name, value in headers.items()
    }


def _masked(credentials: str) -> str:
    scheme, space, _ = credentials.partition(" ")
    return f"{scheme} {_MASK}" if space else _MASK


class ExchangeLog:
    """The last exchanges of one upstream, the oldest first."""

    __slots__ = ("_entries", "_size", "limits")

    def __init__(self, limits: LogLimits) -> None:
        self.limits = limits
        self._entries: dict[int, Entry] = {}
        self._size = 0

    def open(self, received: Received, sequence: int, time: float) -> Entry:
        """A new entry; ``sequence`` tells it from all others, ``time`` is in seconds."""
        entry = Entry(self, received, sequence, time)
        if self.limits.entries:
            self._entries[sequence] = entry
            entry.take()
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
