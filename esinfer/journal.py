"""The journal: what clients asked, what they were answered, what that caused upstream.

A request's ``Entry`` is open while it is answered and found by all that works
for it through ``CURRENT``; every inference adds a ``Run`` with its attempts.
Bodies are kept as they went by; they are read, and keys taken out, when
somebody looks. Times are seconds of the namespace's clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import Final, NamedTuple

import orjson

from esinfer.attempts import UNRECORDED, Run, round_seconds, times_to_wire
from esinfer.endpoints import InferenceEndpoint
from esinfer.masking import Kept, long_enough, secrets_in, shown_headers, shown_url, without
from esinfer.shown_bodies import answer_to_wire, find_keys, read, request_to_wire
from esinfer.wildcards import fits

_OVERHEAD: Final = 2048
"""Bytes that an entry takes beside its bodies, about; an attempt takes as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLimits:
    """``entries`` and ``size`` bytes at most; of each body ``body_size``."""

    entries: int = 10_000
    body_size: int = 64 * 1024
    size: int = 64 * 1024 * 1024


class Entry:
    """One request of a client."""

    __slots__ = (
        "_clock",
        "_limit",
        "duration",
        "headers",
        "inference_id",
        "method",
        "path",
        "query",
        "received",
        "reply_headers",
        "runs",
        "sent",
        "sequence",
        "started",
        "status",
        "task_type",
    )

    def __init__(self, call: Call, sequence: int, clock: Callable[[], float], limit: int) -> None:
        self.sequence = sequence
        self.method = call.method
        self.path = call.path
        self.query = call.query
        self.headers = call.headers
        self.inference_id = call.inference_id
        self.task_type = call.task_type
        self.started = clock()
        self.duration: float | None = None
        self.received = Kept(limit)
        self.status: int | None = None
        self.reply_headers: Mapping[str, str] = {}
        self.sent = Kept(limit)
        self.runs: list[Run] = []
        self._clock = clock
        self._limit = limit

    def take(self, body: bytes) -> None:
        """The request's body, unpacked."""
        if not self.received.size:
            self.received.add(body)

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """The answer, or how it begins."""
        self.status = status
        self.reply_headers = headers
        self.sent.add(body)

    def run(self, endpoint: InferenceEndpoint) -> Run:
        """An inference begins that this request asked for."""
        run = Run(endpoint, self._clock, self._limit)
        self.runs.append(run)
        return run

    def end(self) -> None:
        """The answer is complete, as far as it ever will be."""
        self.duration = self._clock() - self.started

    @property
    def asked_task_type(self) -> str | None:
        """The task type that the path names, else that of the endpoint."""
        if self.task_type is None and self.runs:
            return self.runs[0].endpoint.task_type
        return self.task_type

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        size = _OVERHEAD + len(self.received.data) + len(self.sent.data)
        for run in self.runs:
            for one in run.attempts:
                size += _OVERHEAD + len(one.sent.data) + len(one.answer.data)
        return size

    def to_wire(self) -> dict[str, object]:
        """The entry for whoever reads the journal."""
        is_yaml = "yaml" in self.headers.get("Content-Type", "").lower()
        received = read(self.received, is_yaml=is_yaml)
        secrets = self._secrets(received)
        answer: dict[str, object] | None = None
        if self.status is not None:
            headers = shown_headers(self.reply_headers, secrets)
            headers.pop("date", None)  # of the time outside
            answer = {
                "status": self.status,
                "headers": headers,
                **answer_to_wire(self.sent, secrets),
            }
        about = {"inference_id": self.inference_id, "task_type": self.asked_task_type}
        return {
            "sequence": self.sequence,
            **times_to_wire(self.started, self.duration),
            **{name: without(text, secrets) for name, text in about.items() if text is not None},
            "request": {
                "method": self.method,
                "path": without(self.path, secrets),
                "query": shown_url(f"?{self.query}", secrets)[1:],
                "headers": shown_headers(self.headers, secrets),
                **request_to_wire(self.received, secrets, received),
            },
            "answer": answer,
            "waited": round_seconds(sum(run.waited for run in self.runs)),
            "attempts": [
                {"inference": number, **attempt.to_wire(secrets)}
                for number, run in enumerate(self.runs)
                for attempt in run.attempts
            ],
        }

    def _secrets(self, received: object) -> list[str]:
        """The keys that this request had to do with."""
        endpoints = [run.endpoint for run in self.runs]
        found = [endpoint.secret_settings.api_key.reveal() for endpoint in endpoints]
        found += find_keys(self.received, received)
        for url in (*(each.service_settings.url for each in endpoints), f"?{self.query}"):
            found += secrets_in(url)
        return long_enough(found)


class Call(NamedTuple):
    """A request as it begins; ``query`` without its question mark."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    inference_id: str | None
    task_type: str | None

    def __repr__(self) -> str:
        return f"Call(method={self.method!r}, path={self.path!r})"  # what it leaves out holds keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which entries are asked for: those that fit all that is said, the newest ``size``.

    In ``path`` a ``*`` is any text; ``text`` stands anywhere in the request's
    body; ``since`` is the sequence number after which it begins.
    """

    method: str | None = None
    path: str | None = None
    inference_id: str | None = None
    task_type: str | None = None
    status: int | None = None
    text: str | None = None
    since: int = 0
    size: int

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is asked for."""
        return (
            entry.sequence > self.since
            and self.method in (None, entry.method)
            and self.inference_id in (None, entry.inference_id)
            and self.task_type in (None, entry.asked_task_type)
            and self.status in (None, entry.status)
            and (self.path is None or fits(self.path, entry.path))
            and (self.text is None or _has_text(entry.received.data, self.text))
        )


def _has_text(body: bytes, text: str) -> bool:
    found = text.encode(errors="replace")
    if found in body:
        return True
    if b"\\" not in body:
        return False
    try:
        return text in orjson.dumps(orjson.loads(body)).decode()
    except orjson.JSONDecodeError:
        return False


class Recording:
    """The time in which a request is answered: its entry is the current one."""

    __slots__ = ("_entry", "_journal", "_token")

    def __init__(self, journal: Journal, entry: Entry) -> None:
        self._journal = journal
        self._entry = entry

    def __enter__(self) -> Entry:
        self._journal.open(self._entry)
        self._token = CURRENT.set(self._entry)
        return self._entry

    def __exit__(self, *_exception: object) -> None:
        CURRENT.reset(self._token)
        self._journal.close(self._entry)


class Journal:
    """The last requests of one namespace, the oldest first."""

    def __init__(self, limits: JournalLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._sequence = count(1)
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._size = 0
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._entries)

    def record(self, call: Call) -> Recording:
        """A context in which the entry of a request is open."""
        entry = Entry(call, next(self._sequence), self._clock, self._limits.body_size)
        return Recording(self, entry)

    def open(self, entry: Entry) -> None:
        """Keep an entry from now on."""
        self._entries[entry.sequence] = entry
        self._forget()

    def close(self, entry: Entry) -> None:
        """The entry grows no more."""
        entry.end()
        if entry.sequence in self._entries:
            self._size += entry.size
            self._forget()

    def _forget(self) -> None:
        """Let the oldest go while there is too much."""
        while len(self._entries) > self._limits.entries or (
            self._size > self._limits.size and self._entries
        ):
            _, oldest = self._entries.popitem(last=False)
            self.forgotten += 1
            if oldest.duration is not None:
                self._size -= oldest.size

    def get(self, sequence: int) -> Entry | None:
        """The entry of that number."""
        return self._entries.get(sequence)

    def __iter__(self) -> Iterator[Entry]:
        """All of them, the oldest first."""
        return iter(self._entries.values())

    def find(self, query: Query) -> tuple[int, list[Entry]]:
        """How many entries fit, and the newest of them, the newest last."""
        return search(tuple(self), query)

    def clear(self) -> None:
        """Forget all that was; numbers go on."""
        self._entries.clear()
        self._size = 0
        self.forgotten = 0


def search(entries: Sequence[Entry], query: Query) -> tuple[int, list[Entry]]:
    """How many of the entries fit, and the newest of them; a thread may look through a copy."""
    fitting = [entry for entry in entries if query.fits(entry)]
    return len(fitting), fitting[max(len(fitting) - query.size, 0) :]


CURRENT: Final[ContextVar[Entry | None]] = ContextVar("journal entry", default=None)
"""The entry of the request for which the current task works; None if none is kept."""


def open_run(endpoint: InferenceEndpoint, clock: Callable[[], float]) -> Run:
    """A run in the current entry; without one it is kept nowhere."""
    entry = CURRENT.get()
    return Run(endpoint, clock, UNRECORDED) if entry is None else entry.run(endpoint)
