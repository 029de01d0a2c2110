"""What the twin is asked and answers, and the forms that its refusals share.

Source: text-embeddings-inference 1.9, upstream.md section 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from esinfer.twin.chat_forms import Said
from esinfer.twin.permits import Hold

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinRequest:
    """A request as it came; the names of its headers in any case.

    ``path`` is decoded; ``query`` is what stood behind the question mark. The
    permits that it takes are held by ``hold``, else while the answer is made.
    What may hold a key is not printed.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    query: str = field(default="", repr=False)
    hold: Hold | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinAnswer:
    """A response; where there is no body there is no ``content_type``.

    A stream has ``events`` instead of a ``body``: the chunks to be written one
    by one, made as they are asked for, the same however often. That of a chat
    can ``say`` something else in its place, in the same form.
    """

    status: int
    content_type: str | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    events: Iterable[bytes] | None = None
    say: Callable[[Said], TwinAnswer] | None = field(default=None, repr=False, compare=False)

    @property
    def chunks(self) -> Iterable[bytes]:
        """The body in the parts in which it goes out."""
        if self.events is not None:
            return self.events
        return (self.body,) if self.body else ()


class Refused(Exception):
    """The request ends here, with this answer."""

    def __init__(self, answer: TwinAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Failure(Refused):
    """What TEI and TGI refuse themselves. A route or a release may write it in another form."""

    def __init__(self, status: int, error: str, error_type: str) -> None:
        super().__init__(json(status, {"error": error, "error_type": error_type}))
        self.error = error
        self.error_type = error_type


class Tokenized(NamedTuple):
    """An input that passed every check, cut to what the model takes."""

    tokens: Sequence[int | str]
    characters: int


def text(status: int, reason: str) -> TwinAnswer:
    """An answer in plain text."""
    return TwinAnswer(status=status, content_type=TEXT, body=reason.encode())


def json(status: int, value: object, headers: Mapping[str, str] | None = None) -> TwinAnswer:
    """An answer in JSON."""
    body = orjson.dumps(value)
    return TwinAnswer(status=status, content_type=JSON, body=body, headers=headers or {})


def failure(status: int, error: str, error_type: str = "Validation") -> Failure:
    """What the server itself answers."""
    return Failure(status, error, error_type)


def invalid(reason: str) -> Failure:
    """TEI's answer to an input that it does not take."""
    return failure(422, f"Input validation error: {reason}")


def empty_input() -> Failure:
    """TEI's answer to an input of nothing."""
    return failure(400, "Input validation error: `inputs` cannot be empty", "Empty")


def backend_failure(reason: str) -> Failure:
    """TEI's answer where the model cannot do what is asked."""
    return failure(424, f"Backend error: {reason}", "Backend")


def check_batch(size: int, limit: int) -> None:
    """Refuse more inputs than the server takes at once."""
    if size > limit:
        raise failure(422, f"batch size {size} > maximum allowed batch size {limit}")


def success(
    body: bytes, inputs: Sequence[Tokenized], *, tokenization: float, inference: float
) -> TwinAnswer:
    """TEI's answer to ``inputs``, with its account: whole milliseconds, for the parts the mean."""
    total = str(int((tokenization + inference) * 1000))
    headers = {
        "x-compute-type": "gpu+optimized",  # TEI says so on a CPU, too
        "x-compute-time": total,
        "x-compute-characters": str(sum(item.characters for item in inputs)),
        "x-compute-tokens": str(sum(len(item.tokens) for item in inputs)),
        "x-total-time": total,
        "x-tokenization-time": str(int(tokenization * 1000 / len(inputs))),
        "x-queue-time": "0",
        "x-inference-time": str(int(inference * 1000 / len(inputs))),
    }
    return TwinAnswer(status=200, content_type=JSON, body=body, headers=headers)
