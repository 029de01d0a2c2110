"""A Java regex's tree as a pattern of the ``regex`` package, version 1, without flags."""

from __future__ import annotations

from collections.abc import Iterator

from esinfer.chunking.java_chars import Set
from esinfer.chunking.java_nodes import (
    Alternation,
    Assertion,
    BackReference,
    Group,
    Look,
    Node,
    Repeat,
    Sequence,
    repeated_alone,
)

NEVER = "(?!)"
_ENDS = r"\n\r\x85\u2028\u2029"
_ENDS_BUT_LF = r"\r\x85\u2028\u2029"


def _word_edge(word: str) -> str:
    r"""Java's ``\b``: a non-spacing mark counts as a word character if a letter or digit bears it.

    Without a mark next to it, the edge needs no look at what bears it.
    """
    plain = rf"(?<=[{word}])(?![{word}\p{{Mn}}])|(?<![{word}\p{{Mn}}])(?=[{word}])"
    left = rf"(?<=[{word}]|[\p{{L}}\p{{Nd}}]\p{{Mn}}+)"
    not_left = left.replace("(?<=", "(?<!", 1)
    right = rf"(?:(?=[{word}])|(?=\p{{Mn}})(?<=[\p{{L}}\p{{Nd}}]\p{{Mn}}*))"
    marked = rf"(?:(?<=\p{{Mn}})|(?=\p{{Mn}}))(?:{left}(?!{right})|{not_left}{right})"
    return f"(?:{plain}|{marked})"


_WORD_EDGE = _word_edge("0-9A-Z_a-z")
_UNICODE_WORD_EDGE = _word_edge(r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d")
_ASSERTIONS = {
    "begin": r"\A",
    "end": r"\Z",
    "line start": r"(?!\Z)(?:\A|(?<=[\n\x85\u2028\u2029])|(?<=\r)(?!\n))",
    "unix line start": r"(?!\Z)(?:\A|(?<=\n))",
    "line end": rf"(?:(?<!\r)(?=\n)|(?=[{_ENDS_BUT_LF}])|\Z)",
    "unix line end": r"(?:(?=\n)|\Z)",
    "last line end": rf"(?:(?=\r\n\Z)|(?<!\r)(?=\n\Z)|(?=[{_ENDS_BUT_LF}]\Z)|\Z)",
    "unix last line end": r"(?=\n?\Z)",
    "word edge": _WORD_EDGE,
    "no word edge": f"(?!{_WORD_EDGE})",
    "unicode word edge": _UNICODE_WORD_EDGE,
    "no unicode word edge": f"(?!{_UNICODE_WORD_EDGE})",
    "linebreak": r"(?:\r\n|[\n-\r\x85\u2028\u2029])",
    "grapheme": r"\X",
}


class Writer:
    r"""Writes one tree. Groups capture only if a back reference wants them.

    ``last_match`` is what ``\G`` becomes.
    """

    def __init__(self, tree: Node, last_match: str = r"\G") -> None:
        self._tree = tree
        self._last_match = last_match
        self._wanted = {node.number for node in nodes(tree) if isinstance(node, BackReference)}
        numbers = (node.number for node in nodes(tree) if isinstance(node, Group))
        kept = sorted(number for number in numbers if number in self._wanted)
        self._renumbered = {number: place for place, number in enumerate(kept, 1)}

    def written(self) -> str:
        return self._write(self._tree)

    def _write(self, node: Node) -> str:
        match node:
            case Set():
                written = node.written()
            case Assertion(name):
                written = self._last_match if name == "last match" else _ASSERTIONS[name]
            case Sequence(items):
                written = "".join(map(self._write, items))
            case Alternation(branches):
                written = "(?:" + "|".join(map(self._write, branches)) + ")"
            case Repeat():
                written = self._repeat(node)
            case Group():
                written = self._group(node)
            case Look():
                written = self._look(node)
            case BackReference():
                written = self._reference(node)
        return written

    def _repeat(self, node: Repeat) -> str:
        body = self._write(node.body)
        if not isinstance(node.body, Set):
            body = f"(?>{body})" if _atomic(node) else f"(?:{body})"
        most = "" if node.most is None else node.most
        if node.kind == "+":
            return f"(?>{body}{{{node.least},{most}}})"
        return f"{body}{{{node.least},{most}}}{node.kind}"

    def _group(self, node: Group) -> str:
        body = self._write(node.body)
        if node.atomic:
            return f"(?>{body})"
        return f"({body})" if node.number in self._renumbered else f"(?:{body})"

    def _look(self, node: Look) -> str:
        sign = ("<" if node.behind else "") + ("!" if node.negative else "=")
        return f"(?{sign}{self._write(node.body)})"

    def _reference(self, node: BackReference) -> str:
        """A reference to a group that does not exist never matches, in Java."""
        if node.number not in self._renumbered:
            return NEVER
        name = rf"\g<{self._renumbered[node.number]}>"
        return f"(?i:{name})" if node.ignore_case else name


def _atomic(node: Repeat) -> bool:
    """Whether a repetition must not change its mind.

    Only a line break can, of what Java repeats alone without a possessive quantifier.
    """
    if not repeated_alone(node):
        return False
    return node.kind == "+" or any(part == Assertion("linebreak") for part in nodes(node.body))


def nodes(tree: Node) -> Iterator[Node]:
    """Every node of a tree."""
    yield tree
    for child in children(tree):
        yield from nodes(child)


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Sequence(parts) | Alternation(parts):
            return parts
        case Repeat(body) | Group(body) | Look(body):
            return (body,)
        case _:
            return ()


def literal(tree: Node) -> str | None:
    """The text that a tree is, if it is nothing but text."""
    items = tree.items if isinstance(tree, Sequence) else (tree,)
    letters = [item.literal for item in items if isinstance(item, Set) and item.literal]
    return "".join(letters) if len(letters) == len(items) and letters else None


def size(node: Node) -> int:
    """How many nodes the tree has when its counted repetitions are written out."""
    if isinstance(node, Repeat):
        if isinstance(node.body, Set):
            return 1 + node.least
        times = node.least if node.most is None else node.most
        return max(times, 1) * (1 + size(node.body))
    return 1 + sum(map(size, children(node)))
