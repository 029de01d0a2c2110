"""What a route is for: the description of an operation, beside the handler that carries it out.

``documented`` puts an ``Operation`` on a handler; ``openapi`` makes the
document out of those of all routes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from aiohttp import web
from marshmallow import Schema

from esinfer.json_schema import Json, Named

Described: TypeAlias = Schema | Named | Json
Source: TypeAlias = Described | Callable[[web.Application], Described]
"""A schema, or what makes it of an app's own parts, such as its services."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
H = TypeVar("H", bound=Handler)


_NONE: Final[Json] = MappingProxyType({})
_TEXT: Final[Json] = MappingProxyType({"type": "string"})


class Parameter(NamedTuple):  # as Operation: a dataclass would cost start-up more
    """A query parameter, or more than is known anyway of a parameter in the path."""

    name: str
    description: str
    schema: Json = _TEXT


BOOLEAN: Json = {"enum": ["true", "false", ""]}
"""A parameter that is true when it has no value."""
TIME: Json = {"type": "string", "examples": ["30s", "500ms"]}


class Operation(NamedTuple):
    """What an operation takes and answers.

    ``bodies`` are the schemas of which the request's body fits one; examples
    that they bear themselves need not be given. ``answer`` is what a 200
    holds, None for nothing; an event stream has none, and its errors are
    events. ``text_forms`` are the media types of a 200 that is text.
    ``errors`` are the statuses beside those that every operation has, such as
    404 or ``4XX``; each body is an ``error``.
    """

    summary: str
    description: str = ""
    parameters: Sequence[Parameter] = ()
    bodies: Sequence[Source] = ()
    body_examples: Mapping[str, object] = _NONE
    answer: Source | None = None
    answer_examples: Mapping[str, object] = _NONE
    errors: Sequence[int | str] = ()
    error: Named | None = None
    is_event_stream: bool = False
    text_forms: Sequence[str] = ()


_OPERATIONS: dict[Handler, Operation] = {}


def documented(summary: str, **members: Any) -> Callable[[H], H]:
    """Describe the handler; ``members`` are those of ``Operation``."""
    operation = Operation(summary=summary, **members)

    def describe(handler: H) -> H:
        _OPERATIONS[handler] = operation
        return handler

    return describe


def operation_of(handler: Handler) -> Operation:
    """The description of a handler; KeyError if it has none."""
    return _OPERATIONS[handler]
