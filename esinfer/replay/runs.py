"""The answers that the same request got, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from esinfer.replay.answers import ByText, Recorded, from_wire, to_wire
from esinfer.replay.problems import Misfit

_TIMES: Final = "times"


@dataclass(slots=True)
class Runs:
    """A sequence of answers, each with how many times in a row it came; the last repeats."""

    answers: list[tuple[Recorded, int]] = field(default_factory=list)

    def add(self, answer: Recorded) -> None:
        """Note the next answer."""
        if self.answers and self.answers[-1][0] == answer:
            self.answers[-1] = (answer, self.answers[-1][1] + 1)
        else:
            self.answers.append((answer, 1))

    @property
    def tells_nothing(self) -> bool:
        """Whether the texts of the batch tell it all."""
        return all(isinstance(answer, ByText) for answer, _ in self.answers)

    def at(self, position: int) -> Recorded:
        """The answer to the request when it comes again, 0 for the first time."""
        for answer, times in self.answers:
            position -= times
            if position < 0:
                return answer
        return self.answers[-1][0]

    def to_wire(self) -> list[dict[str, Any]]:
        """The answers for a recording; how often the last came says nothing."""
        *before, (last, _) = self.answers
        wires = [
            to_wire(answer) | ({_TIMES: times} if times > 1 else {}) for answer, times in before
        ]
        return [*wires, to_wire(last)]

    @classmethod
    def from_wire(cls, wires: Any) -> Runs:
        """The sequence that ``to_wire`` wrote; Misfit says what is wrong with another."""
        if not isinstance(wires, Sequence) or isinstance(wires, str) or not wires:
            raise Misfit("[answers] must be a list of one or more")
        return cls([_read(wire) for wire in wires])


def _read(wire: Any) -> tuple[Recorded, int]:
    if not isinstance(wire, dict):
        raise Misfit("an answer must be an object")
    times = wire.pop(_TIMES, 1)
    if type(times) is not int or times < 1:
        raise Misfit("[times] must be a whole number from 1 on")
    return from_wire(wire), times
