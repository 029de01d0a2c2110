r"""Separators of the ``recursive`` strategy: Java regexes, run by the ``regex`` package.

A pattern is read as Java reads it (``java_pattern``) and written anew (``java_writer``). A plain
text is sought without regex. What would run away is stopped: Java counts the characters that a
matcher reads, which nobody can count here, so each text has a budget of time instead.
Known to differ: ``\1`` under ``(?i)`` folds more than ASCII; a look-behind of two or more
characters sees a character beyond U+FFFF as one, Java as two; Unicode properties are those of
the ``regex`` package, which is newer than Java's.
Source: chunking.md sections 1 and 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from time import process_time
from typing import TYPE_CHECKING

from esinfer.chunking.java_cursor import message
from esinfer.chunking.java_nodes import Assertion, Node
from esinfer.chunking.java_pattern import PatternReader
from esinfer.chunking.java_writer import (
    NEVER,
    Writer,
    literal,
    nodes,
    size,
)
from esinfer.errors import RegexReadLimit, UnsupportedPattern

if TYPE_CHECKING:
    from regex import Match, Pattern

MAX_LENGTH = 4_000
"""Characters of a pattern; 16,000 ranges in one class take ``regex`` 12 s to compile."""

MAX_SIZE = 30_000
"""Nodes of a pattern with its counted repetitions written out, as ``regex`` does.

A million take it 0.4 s, a thousand million all memory there is.
"""

_SLICE = 0.02
"""Seconds of matching in one go while no other thread can run."""

_MARKDOWN_RULE = r"\n(?![ \t\x0b\x0c]*(?:[\n\r\x85\u2028\u2029]|\z))[^\n\r\x85\u2028\u2029]*\n"
_LINEAR = {
    "\n" + r"^(?!\s*$).*\n-{1,}\n": _MARKDOWN_RULE + r"-+\n",
    "\n" + r"^(?!\s*$).*\n={1,}\n": _MARKDOWN_RULE + r"=+\n",
}
"""Separators of the markdown group whose time is quadratic in blank lines, as linear ones."""


class Budget:
    """The time that all finds in one text may take, in seconds of the process's CPU.

    Honest patterns read 20 to 100 million characters a second. A second to begin with and 2 µs a
    character leave them 40 times that, for machines that are slow or busy: ``regex`` counts
    the time of all threads together. Give one budget to all calls for a text, and its
    chunking as a whole ends in time.
    """

    def __init__(self, length: int) -> None:
        self.left = 1 + 2e-6 * length


class Separator(ABC):
    """A compiled separator; ``pattern`` is Java's text of it."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    @abstractmethod
    def starts(
        self, text: str, start: int = 0, end: int | None = None, budget: Budget | None = None
    ) -> list[int]:
        """Where matches begin in the piece ``text[start:end]``, in code points of ``text``.

        The piece stands alone: nothing sees what is around it. A match at its very start
        is among them. Raises RegexReadLimit when the budget, by default one for the text, is spent.
        """


class _Literal(Separator):
    def __init__(self, pattern: str, sought: str) -> None:
        super().__init__(pattern)
        self._sought = sought

    def starts(
        self,
        text: str,
        start: int = 0,
        end: int | None = None,
        budget: Budget | None = None,  # noqa: ARG002 - one pass takes none
    ) -> list[int]:
        found = []
        stop = len(text) if end is None else end
        at = text.find(self._sought, start, stop)
        while at >= 0:
            found.append(at)
            at = text.find(self._sought, at + len(self._sought), stop)
        return found


class _Regex(Separator):
    def __init__(self, pattern: str, tree: Node) -> None:
        super().__init__(pattern)
        self.first = _compiled(pattern, Writer(tree).written())
        self.after_nothing = self.first
        if any(node == Assertion("last match") for node in nodes(tree)):
            self.after_nothing = _compiled(pattern, Writer(tree, NEVER).written())

    def starts(
        self, text: str, start: int = 0, end: int | None = None, budget: Budget | None = None
    ) -> list[int]:
        finds = _Finds(self, text[start:end], budget or Budget(len(text)))
        try:
            return [start + at for at in finds.all()]
        except (TimeoutError, MemoryError):
            raise RegexReadLimit(regex=self.pattern) from None


class _Finds:
    """All finds in one piece. Raises TimeoutError or MemoryError for a runaway.

    A find that gives up the interpreter lock lets other threads run, and waits up to 5 ms for its
    turn if they do. So finds keep the lock for a slice of time, after which one gives it up.
    """

    def __init__(self, separator: _Regex, piece: str, budget: Budget) -> None:
        self._first = separator.first
        self._after_nothing = separator.after_nothing
        self._compiled = separator.first
        self._piece = piece
        self._budget = budget
        self._at = 0
        self._found: list[int] = []

    def all(self) -> list[int]:
        more = True
        while more and self._at <= len(self._piece):
            begun = process_time()
            try:
                more = not self._no_more()
            finally:
                self._budget.left -= process_time() - begun
        return self._found

    def _no_more(self) -> bool:
        """Find for a slice of time; True if there is nothing more to find."""
        try:
            return self._find_for(min(_SLICE, self._budget.left))
        except TimeoutError:
            return self._find_one(self._budget.left - _SLICE)

    def _find_for(self, seconds: float) -> bool:
        if seconds <= 0:
            raise TimeoutError
        for match in self._compiled.finditer(self._piece, self._at, timeout=seconds):
            if self._take(match):
                return False
        return True

    def _find_one(self, seconds: float) -> bool:
        if seconds <= 0:
            raise TimeoutError
        match = self._compiled.search(self._piece, self._at, timeout=seconds, concurrent=True)
        if match is not None:
            self._take(match)
        return match is None

    def _take(self, match: Match[str]) -> bool:
        """Note a match; True if the next find starts afresh.

        After a match of nothing Java goes on one further; ``regex`` first looks for something at
        the same place, which is thrown away.
        """
        start, end = match.span()
        if start < self._at:
            return True
        self._found.append(start)
        self._at = end + (start == end)
        used = self._compiled
        self._compiled = self._after_nothing if start == end else self._first
        return self._compiled is not used


@lru_cache(maxsize=256)
def separator(pattern: str) -> Separator:
    """The separator of a Java pattern.

    Raises PatternSyntax with Java's words for what Java refuses, UnsupportedPattern for what
    it does not refuse and esinfer cannot run.
    """
    if len(pattern) > MAX_LENGTH:
        raise _unsupported(f"patterns of more than {MAX_LENGTH} characters", pattern)
    try:
        tree = PatternReader(_LINEAR.get(pattern, pattern)).read_pattern()
        if size(tree) > MAX_SIZE:
            raise _unsupported("repetitions of that size", pattern)
        sought = literal(tree)
        return _Regex(pattern, tree) if sought is None else _Literal(pattern, sought)
    except RecursionError:
        raise _unsupported("nesting that deep", pattern) from None


def _compiled(pattern: str, written: str) -> Pattern[str]:
    import regex  # noqa: PLC0415 - start-up does not pay for it

    try:
        return regex.compile(written, regex.VERSION1, cache_pattern=False)
    except (regex.error, MemoryError) as error:
        raise _unsupported("this pattern", pattern) from error


def _unsupported(construct: str, pattern: str) -> UnsupportedPattern:
    return UnsupportedPattern(reason=message(f"esinfer does not support {construct}", pattern, -1))
