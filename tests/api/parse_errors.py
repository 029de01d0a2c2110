"""Bodies with marks for places, and the errors that name those places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from esinfer.api.body import Body
from esinfer.api.responses import error_body
from esinfer.errors import ElasticsearchError
from esinfer.json_reader import read_first_value

MARKS = "①②③"
PARSE_ERROR = "x_content_parse_exception"
STATUS = "status_exception"

Link = tuple[str, str]
"""Type and reason of one error in a chain; marks in the reason stand for places."""


def parse(mark: str, parser: str, problem: str) -> Link:
    return PARSE_ERROR, f"[{mark}] [{parser}] {problem}"


def unplaced(problem: str) -> Link:
    return PARSE_ERROR, problem


def illegal(reason: str) -> Link:
    return "illegal_argument_exception", reason


def status(reason: str) -> Link:
    return STATUS, reason


def body(marked: str) -> Body:
    """The body without its marks."""
    data = marked.translate({ord(mark): None for mark in MARKS}).encode()
    return Body(read_first_value(data), lambda: data)


def refusal(load: Callable[[Body], object], marked: str) -> dict[str, Any]:
    """The whole error body with which a loader refuses the marked body."""
    with pytest.raises(ElasticsearchError) as raised:
        load(body(marked))
    return error_body(raised.value)


def refused(marked: str, links: Sequence[Link]) -> dict[str, Any]:
    """The error body of a chain of causes, the outermost first."""
    places = _places(marked)
    errors = [{"type": kind, "reason": _fill_in(reason, places)} for kind, reason in links]
    outermost: dict[str, Any] = {}
    for error in reversed(errors):
        outermost = {**error, **({"caused_by": outermost} if outermost else {})}
    informative = [error for error in errors[1:] if error["type"] in (PARSE_ERROR, STATUS)]
    root = informative[-1] if informative else errors[0]
    return {"error": {"root_cause": [root], **outermost}, "status": 400}


def _places(marked: str) -> dict[str, str]:
    places = {}
    line, column = 1, 1
    for char in marked:
        if char in MARKS:
            places[char] = f"{line}:{column}"
        elif char == "\n":
            line, column = line + 1, 1
        else:
            column += len(char.encode())
    return places


def _fill_in(reason: str, places: dict[str, str]) -> str:
    for mark, place in places.items():
        reason = reason.replace(mark, place)
    return reason
