"""The embed routes: the inputs of a body as vectors or as weighted tokens.

Source: text-embeddings-inference 1.9 ``infer.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import orjson

from esinfer.twin.answers import (
    Tokenized,
    TwinAnswer,
    empty_input,
    invalid,
    success,
)
from esinfer.twin.embed_request import EmbedRequest
from esinfer.twin.embedders import Embedder, Token
from esinfer.twin.json_rows import join, write_rows
from esinfer.twin.tokenizer import Input, Tokenizer

Texts: TypeAlias = Sequence[Sequence[Token]]
Form: TypeAlias = Callable[[Embedder, Texts, EmbedRequest], bytes]
"""Writes what becomes of texts, given as tokens."""

_VOCABULARY: Final = 30522
"""As many tokens as BERT has."""


def embed(
    request: EmbedRequest,
    tokenizer: Tokenizer,
    form: Form,
    *,
    clock: Callable[[], float],
) -> TwinAnswer:
    """The inputs in ``form``; Refused as TEI refuses them. ``clock`` gives seconds."""
    start = clock()
    inputs = [_tokenize(tokenizer, request, item) for item in request.inputs]
    middle = clock()
    body = form(tokenizer.embedder, [item.tokens for item in inputs], request)
    end = clock()
    return success(body, inputs, tokenization=middle - start, inference=end - middle)


def _tokenize(tokenizer: Tokenizer, request: EmbedRequest, item: Input) -> Tokenized:
    """Check in TEI's order, so that the first fault of the first faulty input is told."""
    if request.dimensions == 0:
        raise invalid("`dimensions` should be positive")
    if not item:
        raise empty_input()
    prompted = tokenizer.prompted(item, request.prompt_name)
    tokenizer.check_characters(len(item), request)
    tokens = tokenizer.split(prompted)
    tokenizer.check_tokens(tokens.size, request)
    if request.dimensions is not None and request.dimensions > tokenizer.embedder.dimensions:
        raise invalid("`dimensions` should be smaller than the maximum embedding dimension.")
    return Tokenized(tokenizer.cut(tokens, request), len(item))


def vectors(embedder: Embedder, texts: Texts, request: EmbedRequest) -> bytes:
    """``/embed``: a list of numbers for each text."""
    return write_rows(
        embedder.dense(texts, dimensions=request.dimensions, normalize=request.normalize)
    )


def token_vectors(embedder: Embedder, texts: Texts, _request: EmbedRequest) -> bytes:
    """``/embed_all``: a list of numbers for each token of each text, as the model has them."""
    return join(write_rows(embedder.token_vectors(tokens)) for tokens in texts)


def sparse_vectors(embedder: Embedder, texts: Texts, request: EmbedRequest) -> bytes:
    """``/embed`` of a SPLADE model: a number for each token of the vocabulary."""
    found = [
        {item["index"]: item["value"] for item in _by_index(embedder, tokens)} for tokens in texts
    ]
    length = request.dimensions or _VOCABULARY
    return orjson.dumps([[row.get(index, 0.0) for index in range(length)] for row in found])


def weights(embedder: Embedder, texts: Texts, _request: EmbedRequest) -> bytes:
    """``/elser``: an object of weighted tokens for each text."""
    return orjson.dumps([embedder.weigh(tokens) for tokens in texts])


def indexed_weights(embedder: Embedder, texts: Texts, _request: EmbedRequest) -> bytes:
    """``/embed_sparse``: a list of weighted token numbers for each text, by number."""
    return orjson.dumps([_by_index(embedder, tokens) for tokens in texts])


def _by_index(embedder: Embedder, tokens: Sequence[Token]) -> list[dict[str, float]]:
    # Weights are exact in float32, and so are their sums, in any order.
    values: defaultdict[int, float] = defaultdict(float)
    for token, weight in embedder.weigh(tokens).items():
        values[embedder.index(token)] += weight
    return [{"index": index, "value": value} for index, value in sorted(values.items())]
