"""How an answer goes out: the few effects that a connection knows, as a value.

A fault makes one without any I/O; ``app`` carries it out on a socket,
``transport`` in process, where the caller sees the same errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from esinfer.twin.answers import TwinAnswer


class Ending(StrEnum):
    """What comes after the last byte of the answer."""

    WHOLE = "whole"
    """The answer ends as it should."""
    CLOSED = "closed"
    """The connection is closed in good order, but too early."""
    RESET = "reset"
    """The connection is reset."""
    STALLED = "stalled"
    """Nothing, for a time; then the connection is closed."""
    REFUSED = "refused"
    """There is no answer: Elasticsearch itself fails, with a ``Refusal``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error of Elasticsearch's, word by word."""

    type: str
    reason: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An answer and its way out.

    The answer holds no more than what is sent. ``begins`` tells whether status
    and headers are; ``length`` is the Content-Length that an answer without
    events claims, its own if None. ``pause`` seconds pass between two parts,
    ``hold`` seconds before a stalled connection is closed. A ``refusal`` is what
    the caller sees where the ending is ``REFUSED``.
    """

    answer: TwinAnswer
    ending: Ending = Ending.WHOLE
    begins: bool = True
    length: int | None = None
    pause: float = 0.0
    hold: float = 0.0
    refusal: Refusal | None = None


class Dialect(StrEnum):
    """Who words an answer."""

    TEI = "tei"
    TGI = "tgi"
    TOOLKIT = "toolkit"
    SERVERLESS = "serverless"
    VLLM = "vllm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a fault has to do with: who speaks, and the answer there would be without it."""

    dialect: Dialect
    model: str
    answer: Callable[[], TwinAnswer]


Effect = Callable[[Call], Delivery]
"""What a fault makes of a call."""
