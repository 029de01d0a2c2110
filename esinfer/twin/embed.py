"""The embed routes: the inputs of a body as vectors or as weighted tokens.

Source: text-embeddings-inference 1.9 ``infer.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final, TypeAlias

import orjson

from esinfer.twin.answers import (
    Tokenized,
    TwinAnswer,
    check_batch,
    empty_input,
    invalid,
    success,
)
from esinfer.twin.embed_request import EmbedRequest
from esinfer.twin.embedders import Embedder
from esinfer.twin.tokenizer import Input, Tokenizer

Texts: TypeAlias = Sequence[Sequence[str]]
Form: TypeAlias = Callable[[Embedder, Texts, EmbedRequest], bytes]
"""Writes what becomes of texts, given as terms."""

VOCABULARY: Final = 30522
"""How many tokens the sparse form tells apart: BERT's vocabulary."""


def embed(
    request: EmbedRequest,
    tokenizer: Tokenizer,
    form: Form,
    *,
    max_batch: int,
    clock: Callable[[], float],
) -> TwinAnswer:
    """The inputs in ``form``; Refused as TEI refuses them. ``clock`` gives seconds."""
    start = clock()
    check_batch(len(request.inputs), max_batch)
    inputs = [_tokenize(tokenizer, request, item) for item in request.inputs]
    middle = clock()
    body = form(tokenizer.embedder, [item.terms for item in inputs], request)
    end = clock()
    return success(body, inputs, tokenization=middle - start, inference=end - middle)


def _tokenize(tokenizer: Tokenizer, request: EmbedRequest, item: Input) -> Tokenized:
    """Check in TEI's order, so that the first fault of the first faulty input is told."""
    if request.dimensions == 0:
        raise invalid("`dimensions` should be positive")
    if not item:
        raise empty_input()
    if request.prompt_name is not None:
        raise invalid(_no_prompts(request.prompt_name))
    tokenizer.check_characters(len(item), request)
    terms = tokenizer.split(item)
    tokenizer.check_terms(len(terms), request)
    if request.dimensions is not None and request.dimensions > tokenizer.embedder.dimensions:
        raise invalid("`dimensions` should be smaller than the maximum embedding dimension.")
    return Tokenized(tokenizer.cut(terms, request), len(item))


def _no_prompts(name: str) -> str:
    return (
        f"`default-prompt-name` is set to `{name}` but no prompts were found in the "
        "Sentence Transformers configuration"
    )


def vectors(embedder: Embedder, texts: Texts, request: EmbedRequest) -> bytes:
    """``/embed``: a list of numbers for each text."""
    rows = embedder.dense(texts, dimensions=request.dimensions, normalize=request.normalize)
    return orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)


def token_vectors(embedder: Embedder, texts: Texts, _request: EmbedRequest) -> bytes:
    """``/embed_all``: a list of numbers for each token of each text, as the model has them."""
    rows = [embedder.token_vectors(terms) for terms in texts]
    return orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)


def sparse_vectors(embedder: Embedder, texts: Texts, request: EmbedRequest) -> bytes:
    """``/embed`` of a SPLADE model: a number for each token of the vocabulary."""
    found = [
        {item["index"]: item["value"] for item in _by_index(embedder.weigh(terms))}
        for terms in texts
    ]
    length = request.dimensions or VOCABULARY
    return orjson.dumps([[row.get(index, 0.0) for index in range(length)] for row in found])


def weights(embedder: Embedder, texts: Texts, _request: EmbedRequest) -> bytes:
    """``/elser``: an object of weighted tokens for each text."""
    return orjson.dumps([embedder.weigh(terms) for terms in texts])


def indexed_weights(embedder: Embedder, texts: Texts, _request: EmbedRequest) -> bytes:
    """``/embed_sparse``: a list of weighted token numbers for each text, by number."""
    return orjson.dumps([_by_index(embedder.weigh(terms)) for terms in texts])


def token_index(token: str) -> int:
    """The number of a token; a hash stands in for a vocabulary, so two tokens may share one."""
    digest = blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % VOCABULARY


def _by_index(weighed: Mapping[str, float]) -> list[dict[str, float]]:
    # Weights are 128ths, so neither sum nor float32 rounds them, in any order.
    values: defaultdict[int, float] = defaultdict(float)
    for token, weight in weighed.items():
        values[token_index(token)] += weight
    return [{"index": index, "value": value} for index, value in sorted(values.items()) if value]
