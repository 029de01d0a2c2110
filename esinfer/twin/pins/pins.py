"""The pins of one twin, and the texts that hang together by them.

A text's vector depends on the texts that it is pinned with, directly or
through others, and on nothing else; so each such group is solved by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import ceil, floor
from typing import Final, NamedTuple

from esinfer.twin.embedders import Embedder

MOST_PINS: Final = 10_000
MOST_TOGETHER: Final = 32
"""Texts of one group."""
_MOST_REFINED: Final = 150
"""Pins of one group among which it is found out what a pair might be; it takes long."""


class Pin(NamedTuple):
    """Two texts, and the cosine that their vectors are to have."""

    one: str
    other: str
    cosine: float

    @property
    def pair(self) -> tuple[str, str]:
        """The texts, in an order of their own."""
        return (self.one, self.other) if self.one < self.other else (self.other, self.one)


class Contradiction(Exception):
    """Pins that no vectors have; ``str`` is one line that names the pair that breaks it."""


class Group(NamedTuple):
    """Texts that hang together, and the pins between them as places."""

    texts: tuple[str, ...]
    cosines: tuple[tuple[int, int, float], ...]


class Pins:
    """The pins of one twin; they change all at once, or not at all."""

    def __init__(self) -> None:
        self._pins: dict[tuple[str, str], Pin] = {}
        self.groups: Mapping[str, Group] = {}
        """For each pinned text its group; a new object with every change."""

    def plus(self, more: Iterable[Pin]) -> Pins:
        """These and some more; Contradiction if they cannot hold together."""
        pins = dict(self._pins)
        for pin in more:
            _put(pins, pin)
        if len(pins) > MOST_PINS:
            raise Contradiction(f"[{len(pins)}] similarities, expected [{MOST_PINS}] at most")
        groups = group(pins.values())
        checked = set(self.groups.values())
        for each in groups:
            if each not in checked:
                check(each)
        made = Pins()
        made._pins = pins
        made.groups = {text: each for each in groups for text in each.texts}
        return made

    def become(self, others: Pins) -> None:
        """Set the pins that others are; they have been checked."""
        self._pins, self.groups = others._pins, others.groups

    def clear(self) -> None:
        """Forget all of them."""
        self.become(Pins())

    def __iter__(self) -> Iterator[Pin]:
        return iter(list(self._pins.values()))

    def __len__(self) -> int:
        return len(self._pins)


def _put(pins: dict[tuple[str, str], Pin], pin: Pin) -> None:
    if not -1 <= pin.cosine <= 1:
        raise Contradiction(
            f"the cosine of {_named(pin)} must be from [-1] to [1], got [{pin.cosine:g}]"
        )
    if pin.one == pin.other:
        raise Contradiction(f"[{_short(pin.one)}] is always as near to itself as can be")
    old = pins.setdefault(pin.pair, pin)
    if old.cosine != pin.cosine:
        raise Contradiction(
            f"the cosine of {_named(pin)} is [{old.cosine:g}] already, it cannot be"
            f" [{pin.cosine:g}] too"
        )


def group(pins: Iterable[Pin]) -> list[Group]:
    """The texts that hang together, each group in an order of its own."""
    members: dict[str, dict[str, None]] = {}
    for one, other, _ in (given := list(pins)):
        ours, theirs = members.setdefault(one, {one: None}), members.get(other, {other: None})
        if ours is not theirs:
            ours.update(theirs)
            members.update(dict.fromkeys(theirs, ours))
    own: dict[int, list[Pin]] = {}
    for pin in given:
        own.setdefault(id(members[pin.one]), []).append(pin)
    return [_placed(tuple(sorted(members[some[0].one])), some) for some in own.values()]


def _placed(texts: tuple[str, ...], pins: Sequence[Pin]) -> Group:
    places = {text: place for place, text in enumerate(texts)}
    return Group(texts, tuple((places[one], places[other], c) for one, other, c in pins))


def check(found: Group) -> None:
    """Contradiction, with the pair that breaks it, unless there are such vectors."""
    from esinfer.twin.pins.solver import interval, solve_anywhere  # noqa: PLC0415 (loads numpy)

    size, cosines = len(found.texts), found.cosines
    if size > MOST_TOGETHER:
        raise Contradiction(
            f"[{size}] texts hang together by their similarities, expected [{MOST_TOGETHER}]"
            " at most"
        )
    if solve_anywhere(size, cosines).holds:
        return
    good, bad = 0, len(cosines)  # so many pins can be had together, so many cannot
    while bad - good > 1:
        middle = (good + bad) // 2
        if solve_anywhere(size, cosines[:middle]).holds:
            good = middle
        else:
            bad = middle
    one, other, cosine = cosines[good]
    pin = Pin(found.texts[one], found.texts[other], cosine)
    if good > _MOST_REFINED:
        raise Contradiction(f"the cosine of {_named(pin)} cannot be [{cosine:g}] with the others")
    low, high = interval(size, cosines[:good], (one, other))
    raise Contradiction(
        f"the cosine of {_named(pin)} cannot be [{cosine:g}]: the others leave it"
        f" from [{ceil(low * 1000 - 0.35) / 1000:g}] to [{floor(high * 1000 + 0.35) / 1000:g}]"
    )


def _named(pin: Pin) -> str:
    return f"[{_short(pin.one)}] and [{_short(pin.other)}]"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


MakeEmbedder = Callable[[int], Embedder]


def pinned(pins: Pins, make: MakeEmbedder) -> MakeEmbedder:
    """What makes embedders that obey the pins, as they are when one is asked for."""

    def make_pinned(dimensions: int) -> Embedder:
        groups = pins.groups
        if not groups:
            return make(dimensions)
        from esinfer.twin.pins.pinned_embedder import PinnedEmbedder  # noqa: PLC0415 (numpy)

        return PinnedEmbedder(make(dimensions), groups)

    return make_pinned
