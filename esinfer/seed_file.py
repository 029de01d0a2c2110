"""A seed file, TOML or JSON: its values, and the line on which each stands.

Neither reader tells where a value stood, so the place is looked for when there
is something to say of it: in JSON by the reader of request bodies, in TOML by
how many lines of the file it takes until the value is there.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from esinfer.errors import ElasticsearchError
from esinfer.json_reader import locate, read_first_value

Steps = tuple[str | int, ...]
"""The way to a value: names of members, indexes of elements."""


class SeedError(Exception):
    """A seed cannot be sown; the text is one line that names the file and the line in it."""


@dataclass(frozen=True, slots=True)
class SeedFile:
    """What a file holds; ``line_of`` gives the line of the value that some steps lead to."""

    path: Path
    document: Mapping[str, Any]
    line_of: Callable[[Steps], int]

    def fail(self, problem: str, steps: Steps = ()) -> SeedError:
        """What to raise for a problem with the value there."""
        label = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps).lstrip(".")
        return _error(self.path, self.line_of(steps), f"{label}: {problem}" if label else problem)


def _error(path: Path, line: int, problem: str) -> SeedError:
    text = f"{path}:{line}: {problem}"
    return SeedError(text if text.isprintable() else ascii(text)[1:-1])


def read_seed_file(path: Path) -> SeedFile:
    """Read a file; SeedError if it cannot be read or holds no table."""
    readers = {".toml": _read_toml, ".json": _read_json}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise _error(path, 1, "a seed is a file that ends with .toml or .json")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _error(path, error.object.count(b"\n", 0, error.start) + 1, "not UTF-8") from error
    except OSError as error:
        raise SeedError(f"{path}: cannot read the file: {error.strerror}") from error
    found = read(path, text)
    for steps, value in _walk(found.document, ()):
        problem = _foreign(value)
        if problem is not None:
            raise found.fail(problem, steps)
    return found


def _read_json(path: Path, text: str) -> SeedFile:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise _error(path, error.lineno, f"not valid JSON: {error.msg}") from error
    if not isinstance(document, dict):
        raise _error(path, 1, "expected an object")
    data = text.encode()
    try:
        read_first_value(data)  # which sees names that stand twice, and NaN
    except ElasticsearchError as error:
        place, _, problem = error.reason.partition("] ")
        line = int(place[1:].partition(":")[0])
        raise _error(path, line, f"not valid JSON: {problem.partition(': ')[0]}") from error

    def line_of(steps: Steps) -> int:
        for length in range(len(steps), 0, -1):
            try:
                return locate(data, steps[:length])[0].line
            except LookupError:
                continue
        return 1

    return SeedFile(path, document, line_of)


_LINE: Final = re.compile(r" \(at line (\d+), column \d+\)$| \(at end of document\)$")


def _read_toml(path: Path, text: str) -> SeedFile:
    import tomllib  # noqa: PLC0415 -- for those who have a file

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        problem = _LINE.sub("", str(error))
        raise _error(path, line, f"not valid TOML: {problem}") from error
    lines = text.splitlines(keepends=True)

    def is_there(steps: Steps, count: int) -> bool:
        """Whether so many lines hold it; where they end within a text, fewer."""
        while count:
            for closing in _CLOSINGS:
                try:
                    return _holds(tomllib.loads("".join(lines[:count]) + closing), steps)
                except tomllib.TOMLDecodeError:
                    continue
            count -= 1
        return False

    def line_of(steps: Steps) -> int:
        known = next(steps[:n] for n in range(len(steps), -1, -1) if _holds(document, steps[:n]))
        return bisect_left(range(len(lines)), True, lo=1, key=partial(is_there, known))

    return SeedFile(path, document, line_of)


_CLOSINGS: Final = ("", "]", "]]", "}", "}]", "]}", "]}]", "]]}")
"""What may be open at the end of a line."""


def _holds(document: Any, steps: Steps) -> bool:
    value = document
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _walk(value: object, steps: Steps) -> Iterator[tuple[Steps, object]]:
    yield steps, value
    items: Sequence[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for step, item in items:
        yield from _walk(item, (*steps, step))


def _foreign(value: object) -> str | None:
    """Why a value is none of JSON's."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"expected a number but got {value}"
    if value is None or isinstance(value, str | bool | int | float | list | dict):
        return None
    return f"expected a text, such as {json.dumps(str(value))}"
