"""All stubs of one twin: which of them answers which input of a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from threading import Lock
from typing import Final, NamedTuple

from esinfer.twin.delivery import Call, Delivery
from esinfer.twin.received import Received
from esinfer.twin.stubs.splicing import say, splice
from esinfer.twin.stubs.stub import Answer, ArmedStub, Stub, Value

MOST_STUBS: Final = 10_000


class Taken(NamedTuple):
    """A stub's answer to the inputs at some places of a request."""

    name: str
    answer: Answer
    places: Sequence[int]


class Stubs:
    """Named stubs. Of those that fit an input, the one put last answers.

    Safe to share between threads, since large requests are answered in one.
    """

    def __init__(self) -> None:
        self._stubs: dict[str, ArmedStub] = {}
        self._by_input: dict[str | None, dict[int, ArmedStub]] = {}
        self._numbers = count(1)
        self._lock = Lock()

    def put(self, name: str, stub: Stub) -> ArmedStub:
        """Set a stub, which counts from 0 on and comes before all others."""
        with self._lock:
            self._drop(name)
            armed = ArmedStub(name, next(self._numbers), stub)
            self._stubs[name] = armed
            self._by_input.setdefault(stub.match.input, {})[armed.number] = armed
            return armed

    def free_name(self) -> str:
        """A name that no stub has."""
        names = (f"stub-{number}" for number in count(1))
        return next(name for name in names if name not in self._stubs)

    def get(self, name: str) -> ArmedStub:
        """The stub of that name; KeyError if there is none."""
        return self._stubs[name]

    def delete(self, name: str) -> None:
        """Forget a stub; KeyError if there is none."""
        with self._lock:
            self._stubs[name]
            self._drop(name)

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._stubs.clear()
            self._by_input.clear()

    def __iter__(self) -> Iterator[ArmedStub]:
        return iter(list(self._stubs.values()))

    def __len__(self) -> int:
        return len(self._stubs)

    def __contains__(self, name: object) -> bool:
        return name in self._stubs

    def _drop(self, name: str) -> None:
        old = self._stubs.pop(name, None)
        if old is None:
            return
        same = self._by_input[old.stub.match.input]
        del same[old.number]
        if not same:
            del self._by_input[old.stub.match.input]

    def take(self, received: Received) -> list[Taken]:
        """The answers to the inputs of a request; each is counted."""
        texts = received.texts
        if not texts or not self._stubs:
            return []
        waiting = dict(enumerate(texts))
        taken = []
        with self._lock:
            for armed in self._candidates(texts):
                if not _may_answer(armed.stub, received):
                    continue
                fits = armed.stub.match.fits_input
                places = [place for place, text in waiting.items() if fits(text)]
                answer = armed.strike() if places else None
                if answer is not None:
                    taken.append(Taken(armed.name, answer, places))
                    waiting = {at: text for at, text in waiting.items() if at not in places}
        return taken

    def _candidates(self, texts: Sequence[str]) -> list[ArmedStub]:
        """The stubs that may fit one of the texts, the one put last first."""
        found = {
            number: armed
            for text in {None, *texts}
            for number, armed in self._by_input.get(text, {}).items()
        }
        return [found[number] for number in sorted(found, reverse=True)]


def _may_answer(stub: Stub, received: Received) -> bool:
    task = received.task_type
    return (not stub.tasks or task in stub.tasks) and stub.match.fits(
        received.inference_id, task, received.query
    )


def deliver(taken: Sequence[Taken], call: Call, task_type: str | None) -> Delivery:
    """The server's answer with what was taken in it; the first effect among it is the answer."""
    for _, answer, _ in taken:
        if answer.effect is not None:
            return answer.effect(call)
    own = call.answer()
    if own.status != 200:
        return Delivery(answer=own)
    said = next((answer.said for _, answer, _ in taken if answer.said is not None), None)
    if said is not None:
        return Delivery(answer=say(own, said))
    values: dict[int, Value] = {
        place: answer.value
        for _, answer, places in taken
        for place in places
        if answer.value is not None
    }
    if not values:
        return Delivery(answer=own)
    return Delivery(answer=replace(own, body=splice(own.body, values, task_type)))
