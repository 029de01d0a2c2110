"""What TEI counts, as Prometheus reads it from ``GET /metrics``.

Known differences: there are no histograms, and a batch of one counts as a
single input. Source: text-embeddings-inference 1.9 ``server.rs``; upstream.md
section 1a.
"""

from __future__ import annotations

from collections import Counter
from threading import Lock
from typing import Final

from esinfer.twin.answers import TEXT, Failure, TwinAnswer

_COUNT: Final = ("te_request_count", "method")
_SUCCESS: Final = ("te_request_success", "method")
_FAILURE: Final = ("te_request_failure", "err")
_ERRORS: Final = {
    "Validation": "validation",
    "Empty": "validation",
    "Tokenizer": "tokenization",
    "Overloaded": "overloaded",
    "Backend": "model_type",
}
_QUEUE: Final = "# TYPE te_queue_size gauge\nte_queue_size 0\n"
"""Nothing ever waits here."""


class TeiMetrics:
    """The counters of one server. Safe to share between threads."""

    __slots__ = ("_counts", "_lock")

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._lock = Lock()

    def begin(self, inputs: int) -> None:
        """Count a request of so many inputs, whatever becomes of it."""
        self._add(*_COUNT, _method(inputs))

    def succeed(self, inputs: int) -> None:
        """Count a request that was answered."""
        self._add(*_SUCCESS, _method(inputs))

    def fail(self, error: Failure) -> None:
        """Count a request that was refused, by the reason; a chat is no matter of TEI's."""
        reason = _ERRORS.get(error.error_type)
        if reason is not None:
            too_many = error.error.startswith("batch size")
            self._add(*_FAILURE, "batch_size" if too_many else reason)

    def answer(self) -> TwinAnswer:
        """``GET /metrics``: what has been counted, in the form of text."""
        with self._lock:
            counts = sorted(self._counts.items())
        lines = []
        for name, label in (_COUNT, _SUCCESS, _FAILURE):
            found = [(value, n) for (counter, _, value), n in counts if counter == name]
            if found:
                samples = "".join(f'{name}{{{label}="{value}"}} {n}\n' for value, n in found)
                lines.append(f"# TYPE {name} counter\n{samples}\n")
        return TwinAnswer(status=200, content_type=TEXT, body="".join([*lines, _QUEUE]).encode())

    def _add(self, name: str, label: str, value: str) -> None:
        with self._lock:
            self._counts[name, label, value] += 1


def _method(inputs: int) -> str:
    return "single" if inputs == 1 else "batch"
