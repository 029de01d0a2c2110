"""The body of an embed request, dense or sparse: a value, or the error that TEI answers.

Source: text-embeddings-inference 1.9 ``types.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import orjson

from esinfer.twin.serde import Deserializer
from esinfer.twin.tokenizer import DIRECTIONS, Input, Truncation

_MAX_ID: Final = 2**32
_MAX_SIZE: Final = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest(Truncation):
    """What is to be embedded, and how. A single input is a batch of one."""

    inputs: Sequence[Input]
    prompt_name: str | None = None
    normalize: bool = True
    dimensions: int | None = None


def load_embed_request(body: bytes) -> EmbedRequest:
    """Read a body; MalformedBody with TEI's words if it is none of an embed request."""
    return _read_quickly(body, _DENSE) or _read_slowly(body, "EmbedRequest", _DENSE)


def load_sparse_request(body: bytes) -> EmbedRequest:
    """Read the body of a sparse embed request, which has fewer fields; MalformedBody as above."""
    return _read_quickly(body, _SPARSE) or _read_slowly(body, "EmbedSparseRequest", _SPARSE)


def load_all_request(body: bytes) -> EmbedRequest:
    """Read the body of a request for every token's vector; MalformedBody as above."""
    return _read_quickly(body, _SPARSE) or _read_slowly(body, "EmbedAllRequest", _SPARSE)


def _read_quickly(body: bytes, names: Collection[str]) -> EmbedRequest | None:
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
    options = {name: fields[name] for name in names if name in fields}
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
    if is_ids(value):
        return [value]
    return value if all(isinstance(item, str) or is_ids(item) for item in value) else None


def is_ids(value: object) -> TypeGuard[list[int]]:
    """Whether it is a list of token numbers."""
    return isinstance(value, list) and all(
        type(item) is int and 0 <= item < _MAX_ID for item in value
    )


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < _MAX_SIZE


_OPTIONS: Final[Mapping[str, Callable[[object], bool]]] = {
    "truncate": lambda value: value is None or isinstance(value, bool),
    "truncation_direction": lambda value: isinstance(value, str) and value in DIRECTIONS,
    "prompt_name": lambda value: value is None or isinstance(value, str),
    "normalize": lambda value: isinstance(value, bool),
    "dimensions": lambda value: value is None or _is_size(value),
}
"""Whether a value fits the field."""


def read_inputs(source: Deserializer) -> list[Input]:
    """TEI's ``Input``: a single one is a list of one."""
    return source.untagged("Input", _fit_inputs)


_READERS: Final[Mapping[str, Callable[[Deserializer], object]]] = {
    "inputs": read_inputs,
    "truncate": lambda source: source.option(Deserializer.boolean),
    "truncation_direction": lambda source: source.variant(DIRECTIONS),
    "prompt_name": lambda source: source.option(Deserializer.string),
    "normalize": Deserializer.boolean,
    "dimensions": lambda source: source.option(Deserializer.size),
}

_SPARSE: Final = ("truncate", "truncation_direction", "prompt_name")
_DENSE: Final = tuple(_OPTIONS)


def _read_slowly(body: bytes, name: str, names: Collection[str]) -> EmbedRequest:
    readers = {field: _READERS[field] for field in ("inputs", *names)}
    fields: dict[str, Any] = Deserializer(body).struct(name, readers, ("inputs",))
    return EmbedRequest(**fields)
