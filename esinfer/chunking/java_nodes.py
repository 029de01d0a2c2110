"""The tree of a Java regex, free of flags, and what Java reckons about its length."""

from __future__ import annotations

from dataclasses import dataclass

from esinfer.chunking.java_chars import Set


@dataclass(frozen=True, slots=True)
class Assertion:
    r"""Something with a name of its own: an edge of a line, word or text; ``\R``; ``\X``."""

    name: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alternation:
    """The first branch that lets the rest match."""

    branches: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """``least`` to ``most`` times, None without end; ``kind`` is lazy ``?``, possessive ``+``."""

    body: Node
    least: int
    most: int | None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A group; with a ``number``, it captures."""

    body: Node
    number: int | None = None
    atomic: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """A look-ahead or look-behind."""

    body: Node
    negative: bool
    behind: bool = False


@dataclass(frozen=True, slots=True)
class BackReference:
    """What the group of that number captured."""

    number: int
    ignore_case: bool


Node = Set | Assertion | Sequence | Alternation | Repeat | Group | Look | BackReference


# -- the length of a look-behind, in Java's arithmetic ------------------------

_LARGEST = 2**31 - 1


@dataclass(slots=True)
class Reach:
    r"""How far a look-behind looks: to ``most`` characters; None if Java cannot tell.

    Java takes its largest number for a set without end. ``wrapped`` if a sum went beyond
    that number, after which Java's look-behind finds by chance, as it does with ``\X``, whose
    length Java takes for none. ``steady`` if the length is
    the same whatever it finds.
    """

    most: int | None = 0
    steady: bool = True
    wrapped: bool = False

    def add(self, most: int | None, *, steady: bool = True, wrapped: bool = False) -> None:
        known = self.most is not None and most is not None
        total = (self.most or 0) + (most or 0)
        self.most = total if known else None
        self.steady = self.steady and steady
        self.wrapped = self.wrapped or wrapped or total > _LARGEST


def reach(node: Node) -> Reach:
    """How far a node reaches by itself."""
    found = Reach()
    _extend(node, found)
    return found


def _extend(node: Node, found: Reach) -> None:
    match node:
        case Sequence(items):
            for item in items:
                _extend(item, found)
        case Alternation(branches):
            _extend_widest([reach(branch) for branch in branches], found)
        case Group(body):
            _extend(body, found)
        case Repeat():
            _extend_repeated(node, reach(node.body), found)
        case BackReference():
            found.add(None)
        case Set():
            found.add(1)
        case Assertion("linebreak"):
            found.add(2)
        case Assertion("grapheme"):
            found.add(0, steady=False, wrapped=True)
        case _:
            pass


def _extend_widest(branches: list[Reach], found: Reach) -> None:
    lengths = [branch.most for branch in branches if branch.most is not None]
    most = max(lengths) if len(lengths) == len(branches) else None
    found.add(most, steady=False, wrapped=any(branch.wrapped for branch in branches))


def _extend_repeated(node: Repeat, body: Reach, found: Reach) -> None:
    if (node.least, node.most) == (0, 1):
        found.add(body.most, steady=False, wrapped=body.wrapped)
    elif node.most is None and not node.kind and isinstance(node.body, Set):
        found.add(_LARGEST, steady=False)
    elif not repeated_alone(node):
        found.add(None, steady=False)
    else:
        _extend_times(node, body, found)


def _extend_times(node: Repeat, body: Reach, found: Reach) -> None:
    """Java looks after its sums here, but only for what wraps to a smaller number."""
    times = _LARGEST if node.most is None else node.most
    before = found.most or 0
    total = before + (body.most or 0) * times
    shrunk = (total + 2**31) % 2**32 - 2**31 < before
    most = None if body.most is None or shrunk else total - before
    steady = body.steady and node.least == node.most
    found.add(most, steady=steady, wrapped=body.wrapped)


def repeated_alone(node: Repeat) -> bool:
    """Whether Java matches each repetition by itself, never to come back to it.

    So it does but for a group that has a choice inside, and for an optional group.
    """
    if not isinstance(node.body, Group) or node.kind == "+":
        return True
    return (node.least, node.most) != (0, 1) and reach(node.body).steady
