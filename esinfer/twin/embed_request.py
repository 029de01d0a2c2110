"""The body of an embed request: from bytes to a value, or the error that TEI answers.

Source: text-embeddings-inference 1.9 ``types.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from esinfer.twin.serde import Deserializer

Input: TypeAlias = str | list[int]
"""A text, or a text that has been cut into token ids already."""

_LEFT: Final = ("Left", "left")
_RIGHT: Final = ("Right", "right")
_DIRECTIONS: Final = (*_LEFT, *_RIGHT)
_MAX_ID: Final = 2**32
_MAX_SIZE: Final = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest:
    """What is to be embedded, and how. A single input is a batch of one."""

    inputs: Sequence[Input]
    truncate: bool | None = None
    truncation_direction: str = "right"
    prompt_name: str | None = None
    normalize: bool = True
    dimensions: int | None = None

    @property
    def keeps_end(self) -> bool:
        """Whether too long an input loses its start."""
        return self.truncation_direction in _LEFT


def load_embed_request(body: bytes) -> EmbedRequest:
    """Read a body; MalformedBody with TEI's words if it is none of an embed request."""
    return _read_quickly(body) or _read_slowly(body)


def _read_quickly(body: bytes) -> EmbedRequest | None:
    """The request, unless something is wrong or a field may stand twice."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    inputs = _fit_inputs(fields.get("inputs"))
    if inputs is None or body.count(b'"inputs"') > 1:
        return None
    options = {name: value for name, value in fields.items() if name in _OPTIONS}
    if not all(_fits_once(body, name, value) for name, value in options.items()):
        return None
    return EmbedRequest(inputs=inputs, **options)


def _fits_once(body: bytes, name: str, value: object) -> bool:
    return _OPTIONS[name](value) and body.count(b'"%b"' % name.encode()) == 1


def _fit_inputs(value: object) -> list[Input] | None:
    """The variants of TEI's ``Input``: a text, one text as ids, or a list of both."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return None
    if _is_ids(value):
        return [value]
    return value if all(isinstance(item, str) or _is_ids(item) for item in value) else None


def _is_ids(value: object) -> bool:
    return isinstance(value, list) and all(
        type(item) is int and 0 <= item < _MAX_ID for item in value
    )


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < _MAX_SIZE


_OPTIONS: Final[Mapping[str, Callable[[object], bool]]] = {
    "truncate": lambda value: value is None or isinstance(value, bool),
    "truncation_direction": lambda value: isinstance(value, str) and value in _DIRECTIONS,
    "prompt_name": lambda value: value is None or isinstance(value, str),
    "normalize": lambda value: isinstance(value, bool),
    "dimensions": lambda value: value is None or _is_size(value),
}
"""Whether a value fits the field."""

_READERS: Final[Mapping[str, Callable[[Deserializer], object]]] = {
    "inputs": lambda source: source.untagged("Input", _fit_inputs),
    "truncate": lambda source: source.option(Deserializer.boolean),
    "truncation_direction": lambda source: source.variant(_DIRECTIONS),
    "prompt_name": lambda source: source.option(Deserializer.string),
    "normalize": Deserializer.boolean,
    "dimensions": lambda source: source.option(Deserializer.size),
}


def _read_slowly(body: bytes) -> EmbedRequest:
    fields: dict[str, Any] = Deserializer(body).struct("EmbedRequest", _READERS, ("inputs",))
    return EmbedRequest(**fields)
