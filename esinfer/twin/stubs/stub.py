"""A stub as a value, and at work with its counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from esinfer.twin.chat_forms import Said
from esinfer.twin.delivery import Effect
from esinfer.twin.received import CHAT_TASKS

Value: TypeAlias = Sequence[float] | Mapping[str, float] | float
"""A vector, the weights of tokens, or a score: what stands for one input in an answer."""

TASKS_OF: Final[Mapping[str, frozenset[str]]] = {
    "vector": frozenset({"text_embedding"}),
    "weights": frozenset({"sparse_embedding"}),
    "score": frozenset({"rerank"}),
    "text": CHAT_TASKS,
    "deltas": CHAT_TASKS,
    "tool_calls": CHAT_TASKS,
    "error": frozenset(),
    "respond": frozenset(),
    "fault": frozenset(),
}
"""The forms of an answer, and the task types that each belongs to: none is all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: a ``value`` for an input, what is ``said``, or an ``effect`` on the request.

    ``form`` is one of ``TASKS_OF``.
    """

    form: str
    value: Value | None = None
    said: Said | None = None
    effect: Effect | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which inputs a stub answers: those that fit all that is said.

    ``input`` is the whole of an input, ``contains`` a part of one, ``finds``
    looks into it; ``query`` is that of a rerank. ``call`` n is the nth request
    alone that fits the rest, retries counted.
    """

    input: str | None = None
    contains: str | None = None
    finds: Callable[[str], bool] | None = None
    query: str | None = None
    inference_id: str | None = None
    task_type: str | None = None
    call: int | None = None

    def fits(self, inference_id: str | None, task_type: str | None, query: str | None) -> bool:
        """Whether inputs of such a request may fit."""
        return (
            self.inference_id in (None, inference_id)
            and self.task_type in (None, task_type)
            and self.query in (None, query)
        )

    def fits_input(self, text: str) -> bool:
        """Whether the input is one of those."""
        return (
            self.input in (None, text)
            and (self.contains is None or self.contains in text)
            and (self.finds is None or self.finds(text))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """Answers, one for each request that fits, in their order.

    When they have all been given the last is repeated, or if the stub
    ``ends``, the twin answers again; so it does after ``times`` requests.
    ``wire`` is how the stub was declared, for whoever reads it back.
    """

    answers: Sequence[Answer]
    match: Match = Match()
    times: int | None = None
    ends: bool = False
    wire: Mapping[str, object] = field(default_factory=dict)

    @property
    def tasks(self) -> frozenset[str]:
        """The task types that all its answers belong to; none is all of them."""
        return frozenset().union(*(TASKS_OF[answer.form] for answer in self.answers))


class ArmedStub:
    """A stub at work. ``calls`` are the requests that fitted, ``hits`` those it answered."""

    __slots__ = ("calls", "hits", "name", "number", "stub")

    def __init__(self, name: str, number: int, stub: Stub) -> None:
        self.name = name
        self.number = number
        self.stub = stub
        self.calls = 0
        self.hits = 0

    @property
    def is_spent(self) -> bool:
        """Whether it has answered as often as it may."""
        stub = self.stub
        most = len(stub.answers) if stub.ends else self.hits + 1
        return self.hits >= (most if stub.times is None else min(most, stub.times))

    def strike(self) -> Answer | None:
        """The answer to a request that fits; None if it is not this stub's turn."""
        self.calls += 1
        if self.is_spent or self.stub.match.call not in (None, self.calls):
            return None
        self.hits += 1
        return self.stub.answers[min(self.hits, len(self.stub.answers)) - 1]

    def to_wire(self) -> dict[str, object]:
        """As declared, with its name and the counts there have been."""
        return {"name": self.name, **self.stub.wire, "calls": self.calls, "hits": self.hits}
