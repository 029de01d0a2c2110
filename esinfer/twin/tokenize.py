"""The routes about tokens: a text as the model reads it, and back.

Source: text-embeddings-inference 1.9 ``server.rs``, ``types.rs`` and
``tokenization.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson

from esinfer.twin.answers import JSON, TwinAnswer, check_batch, empty_input, failure
from esinfer.twin.embed_request import is_ids
from esinfer.twin.embedders import Embedder, NoVocabulary
from esinfer.twin.serde import Deserializer
from esinfer.twin.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizeRequest:
    """The texts that are to be cut; a single one is a batch of one."""

    inputs: Sequence[str]
    add_special_tokens: bool = True
    prompt_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeRequest:
    """The lists of token numbers that are to be texts; a single one is a batch of one."""

    ids: Sequence[Sequence[int]]
    skip_special_tokens: bool = True


def load_tokenize_request(body: bytes) -> TokenizeRequest:
    """Read a body; MalformedBody with TEI's words if it is none of a tokenize request."""
    fields: dict[str, Any] = Deserializer(body).struct("TokenizeRequest", _TEXTS, ("inputs",))
    return TokenizeRequest(**fields)


def load_decode_request(body: bytes) -> DecodeRequest:
    """Read a body; MalformedBody with TEI's words if it is none of a decode request."""
    fields: dict[str, Any] = Deserializer(body).struct("DecodeRequest", _IDS, ("ids",))
    return DecodeRequest(**fields)


def tokenize(request: TokenizeRequest, tokenizer: Tokenizer, *, max_batch: int) -> TwinAnswer:
    """For each text its tokens, uncut; Refused as TEI refuses them."""
    if not request.inputs:
        raise failure(400, "`inputs` cannot be empty", "Empty")
    check_batch(len(request.inputs), max_batch)
    return _json([_tokens(request, tokenizer, text) for text in request.inputs])


def decode(request: DecodeRequest, tokenizer: Tokenizer, *, max_batch: int) -> TwinAnswer:
    """For each list of numbers its text; Refused as TEI refuses them.

    A model without a vocabulary answers what TEI answers when its tokenizer fails.
    """
    check_batch(len(request.ids), max_batch)
    if not all(request.ids):
        raise failure(400, "Input validation error: `input_ids` cannot be empty", "Empty")
    try:
        decode_ids = partial(tokenizer.embedder.decode, skip_special=request.skip_special_tokens)
        texts = list(map(decode_ids, request.ids))
    except NoVocabulary as error:
        raise failure(422, f"tokenizer error {error}", "Tokenizer") from error
    return _json(texts)


def _tokens(request: TokenizeRequest, tokenizer: Tokenizer, text: str) -> list[dict[str, object]]:
    if not text:
        raise empty_input()
    prompted = str(tokenizer.prompted(text, request.prompt_name))
    embedder = tokenizer.embedder
    own = _own_tokens(embedder, prompted)
    if not request.add_special_tokens:
        return own
    return [*_special(embedder, embedder.opening), *own, *_special(embedder, embedder.closing)]


def _own_tokens(embedder: Embedder, text: str) -> list[dict[str, object]]:
    """With their places in bytes, as Rust counts."""
    tokens: list[dict[str, object]] = []
    before = at = 0
    for index, start, stop in embedder.locate(text):
        at += len(text[before:start].encode())
        piece = text[start:stop]
        end = at + len(piece.encode())
        tokens.append({"id": index, "text": piece, "special": False, "start": at, "stop": end})
        before, at = stop, end
    return tokens


def _special(embedder: Embedder, ids: Sequence[int]) -> list[dict[str, object]]:
    return [
        {"id": index, "text": embedder.name(index), "special": True, "start": None, "stop": None}
        for index in ids
    ]


def _json(value: object) -> TwinAnswer:
    return TwinAnswer(status=200, content_type=JSON, body=orjson.dumps(value))


def _fit_texts(value: object) -> list[str] | None:
    """The variants of TEI's ``TokenizeInput``."""
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        return texts
    return None


def _fit_ids(value: object) -> list[list[int]] | None:
    """The variants of TEI's ``InputIds``; an empty list is one list without numbers."""
    if is_ids(value):
        return [value]
    if isinstance(value, list) and all(map(is_ids, value)):
        return value
    return None


_TEXTS: Final[Mapping[str, Callable[[Deserializer], object]]] = {
    "inputs": lambda source: source.untagged("TokenizeInput", _fit_texts),
    "add_special_tokens": Deserializer.boolean,
    "prompt_name": lambda source: source.option(Deserializer.string),
}
_IDS: Final[Mapping[str, Callable[[Deserializer], object]]] = {
    "ids": lambda source: source.untagged("InputIds", _fit_ids),
    "skip_special_tokens": Deserializer.boolean,
}
