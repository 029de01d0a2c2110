"""The syntax of java.util.regex: from the text of a pattern to a tree, or Java's complaint.

The reader keeps Java's cursor, as the index in Java's messages is the cursor's
place. Flags are settled while reading, so that the tree has none.
Source: the documentation of ``java.util.regex.Pattern`` and the behaviour of JDK 25.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from string import ascii_letters, digits

from esinfer.chunking.java_chars import Flag, Set
from esinfer.chunking.java_class import CLASS_ESCAPES, ClassReader
from esinfer.chunking.java_nodes import (
    Alternation,
    Assertion,
    BackReference,
    Group,
    Look,
    Node,
    Repeat,
    Sequence,
    reach,
)

MAX_NESTING = 50
"""Groups in groups; Java itself reads thousands. More would exhaust Python's stack."""

_FLAG_LETTERS = {
    "i": Flag.IGNORE_CASE,
    "m": Flag.MULTILINE,
    "s": Flag.DOT_ALL,
    "d": Flag.UNIX_LINES,
    "u": Flag.UNICODE_CASE,
    "c": Flag.CANON_EQ,
    "x": Flag.COMMENTS,
    "U": Flag.UNICODE_CLASS | Flag.UNICODE_CASE,
}
_ASSERTIONS = {
    "A": "begin",
    "G": "last match",
    "R": "linebreak",
    "X": "grapheme",
    "z": "end",
}


class PatternReader(ClassReader):
    """One reading of one pattern; ``read_pattern`` gives the tree."""

    def __init__(self, pattern: str) -> None:
        super().__init__(pattern)
        self.groups = 0
        self.names: dict[str, int] = {}
        self._nesting = 0
        self._behind = 0
        self._hidden: set[int] = set()

    def read_pattern(self) -> Node:
        """The tree of the whole pattern.

        Raises PatternSyntax for what Java refuses, and for what esinfer does not support.
        """
        tree = self._alternatives()
        if self.cursor != self.length:
            if self.peek() == ")":
                raise self.error("Unmatched closing ')'")
            if self.cursor == self.length + 1 and self.chars[self.length - 1] == "\\":
                raise self.error("Unescaped trailing backslash")
            raise self.error("Unexpected internal error")
        return tree

    # -- structure ----------------------------------------------------------

    def _alternatives(self) -> Node:
        branches = [self._sequence()]
        while self.peek() == "|":
            self.next()
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else Alternation(tuple(branches))

    def _sequence(self) -> Node:
        items: list[Node] = []
        while True:
            char = self.peek()
            if char in ("|", ")") or (char == "\0" and self.cursor >= self.length):
                return items[0] if len(items) == 1 else Sequence(tuple(items))
            if char in ("?", "*", "+"):
                self.next()
                raise self.error(f"Dangling meta character '{char}'")
            if char == "(":
                group = self._group()
                if group is not None:
                    items.append(group)
            else:
                items.append(self._repeated(self._item(char)))

    def _item(self, char: str) -> Node:
        """What stands at the cursor; a brace repeats nothing, which Java lets pass."""
        match char:
            case "[":
                return self.read_class()
            case "\\":
                return self._escape()
            case "{":
                return Sequence(())
        self.next()
        return self._dot() if char == "." else self._edge_or_letter(char)

    def _edge_or_letter(self, char: str) -> Node:
        if char == "^":
            return Assertion(self._line_start())
        if char == "$":
            return Assertion(self._line_end(multiline=Flag.MULTILINE in self.flags))
        return self.single(ord(char))

    def _line_start(self) -> str:
        if Flag.MULTILINE not in self.flags:
            return "begin"
        return "unix line start" if Flag.UNIX_LINES in self.flags else "line start"

    def _line_end(self, *, multiline: bool) -> str:
        unix = "unix " if Flag.UNIX_LINES in self.flags else ""
        return f"{unix}line end" if multiline else f"{unix}last line end"

    def _dot(self) -> Set:
        if Flag.DOT_ALL in self.flags:
            return Set.all()
        if Flag.UNIX_LINES in self.flags:
            return Set.of("\\n").negated()
        return Set.of("\\n\\r\\x85\\u2028\\u2029").negated()

    # -- escapes ------------------------------------------------------------

    def _escape(self) -> Node:
        char = self.next_escaped()
        if char in ("p", "P"):
            return self.property()
        self.cursor += 1
        if char in CLASS_ESCAPES:
            return self.class_escape(char)
        if char == "k" or char in "123456789":
            return self._named_reference() if char == "k" else self._reference(int(char))
        return self._assertion(char) or self.single(self.character_escape(char))

    def _assertion(self, char: str) -> Node | None:
        if char in ("b", "B"):
            return self._word_edge(char)
        if char == "Z":
            return Assertion(self._line_end(multiline=False))
        if char == "G" and self._behind:
            raise self.unsupported("\\G in a look-behind")
        return Assertion(_ASSERTIONS[char]) if char in _ASSERTIONS else None

    def _word_edge(self, char: str) -> Node:
        if char == "b" and self.peek() == "{":
            if self.skip() == "g":
                if self.read() != "}":
                    raise self.error("Illegal/unsupported escape sequence")
                raise self.unsupported("\\b{g}")
            self.cursor -= 2
        unicode = "unicode " if Flag.UNICODE_CLASS in self.flags else ""
        return Assertion(f"{'no ' if char == 'B' else ''}{unicode}word edge")

    def _reference(self, number: int) -> Node:
        while (char := self.peek()) in digits and number * 10 + int(char) <= self.groups:
            number = number * 10 + int(char)
            self.read()
        return self._refer(number)

    def _named_reference(self) -> Node:
        if self.read() != "<":
            raise self.error("\\k is not followed by '<' for named capturing group")
        name = self._group_name(self.read())
        if name not in self.names:
            raise self.error(f"named capturing group <{name}> does not exist")
        return self._refer(self.names[name])

    def _refer(self, number: int) -> Node:
        if number in self._hidden and not self._behind:
            raise self.unsupported("a back reference to a group in a look-behind")
        return BackReference(number, ignore_case=Flag.IGNORE_CASE in self.flags)

    # -- groups -------------------------------------------------------------

    def _group(self) -> Node | None:
        """A group with its quantifier; None if it is an inline modifier only."""
        before = self.flags
        if self.next() != "?":
            self.groups += 1
            return self._close(before, self._capture(self.groups))
        kind = self.skip()
        if kind in (":", ">", "=", "!"):
            return self._close(before, self._plain_group(kind))
        if kind == "<":
            return self._close(before, self._angle_group())
        if kind in ("$", "@"):
            raise self.error("Unknown group type")
        self.cursor -= 1
        self._modifiers()
        end = self.read()
        if end == ")":
            return None
        if end != ":":
            raise self.error("Unknown inline modifier")
        return self._close(before, Group(self._inside()))

    def _close(self, flags: Flag, group: Node) -> Node:
        if self.read() != ")":
            raise self.error("Unclosed group")
        self.flags = flags
        return self._repeated(group)

    def _inside(self) -> Node:
        with self._deeper():
            return self._alternatives()

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise self.unsupported(f"more than {MAX_NESTING} groups in one another")
        yield
        self._nesting -= 1

    def _capture(self, number: int) -> Node:
        if self._behind:
            self._hidden.add(number)
        return Group(self._inside(), number=number)

    def _plain_group(self, kind: str) -> Node:
        if kind == ">" and self._behind:
            raise self.unsupported("an atomic group in a look-behind")
        if kind in ("=", "!"):
            return Look(self._inside(), negative=kind == "!")
        return Group(self._inside(), atomic=kind == ">")

    def _angle_group(self) -> Node:
        char = self.read()
        if char in ("=", "!"):
            return self._look_behind(negative=char == "!")
        name = self._group_name(char)
        if name in self.names:
            raise self.error(f"Named capturing group <{name}> is already defined")
        self.groups += 1
        self.names[name] = self.groups
        return self._capture(self.groups)

    def _look_behind(self, *, negative: bool) -> Node:
        self._behind += 1
        body = self._inside()
        self._behind -= 1
        found = reach(body)
        if found.wrapped:
            raise self.unsupported("a look-behind that long")
        if found.most is None:
            raise self.error("Look-behind group does not have an obvious maximum length")
        return Look(body, negative=negative, behind=True)

    def _group_name(self, first: str) -> str:
        if first not in ascii_letters:
            raise self.error("capturing group name does not start with a Latin letter")
        name = first
        while (char := self.read()) in ascii_letters + digits:
            name += char
        if char != ">":
            raise self.error("named capturing group is missing trailing '>'")
        return name

    def _modifiers(self) -> None:
        char = self.peek()
        off = False
        while char in _FLAG_LETTERS or (char == "-" and not off):
            if char == "-":
                off = True
            elif off:
                self.flags &= ~_FLAG_LETTERS[char]
            else:
                self.flags |= _FLAG_LETTERS[char]
            char = self.next()
        if Flag.CANON_EQ in self.flags:
            raise self.unsupported("canonical equivalence, (?c)")

    # -- quantifiers --------------------------------------------------------

    def _repeated(self, node: Node) -> Node:
        bounds = self.bounds()
        if bounds is None:
            return node
        least, most = bounds
        kind = self.next()
        if kind not in ("?", "+"):
            return Repeat(node, least, most)
        self.next()
        if kind == "+" and self._behind:
            raise self.unsupported("a possessive quantifier in a look-behind")
        return Repeat(node, least, most, kind)
