"""The rerank route: texts in the order of their likeness to a query.

Source: text-embeddings-inference 1.9 ``types.rs``, ``server.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum
from operator import mul
from typing import TYPE_CHECKING, Any, Final

import orjson

from esinfer.twin.answers import (
    Tokenized,
    TwinAnswer,
    empty_input,
    failure,
    success,
)
from esinfer.twin.embedders import Embedder, Token
from esinfer.twin.serde import Deserializer
from esinfer.twin.tokenizer import DIRECTIONS, Split, Tokenizer, Truncation

if TYPE_CHECKING:
    from numpy import float32

_SLOPE: Final = 8.0
_OFFSET: Final = -3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankRequest(Truncation):
    """What is to be ranked, and how it is to be written."""

    query: str
    texts: Sequence[str]
    raw_scores: bool = False
    return_text: bool = False


_READERS: Final[Mapping[str, Callable[[Deserializer], object]]] = {
    "query": Deserializer.string,
    "texts": lambda source: source.sequence(Deserializer.string),
    "truncate": lambda source: source.option(Deserializer.boolean),
    "truncation_direction": lambda source: source.variant(DIRECTIONS),
    "raw_scores": Deserializer.boolean,
    "return_text": Deserializer.boolean,
}


def load_rerank_request(body: bytes) -> RerankRequest:
    """Read a body; MalformedBody with TEI's words if it is none of a rerank request."""
    fields: dict[str, Any] = Deserializer(body).struct(
        "RerankRequest", _READERS, ("query", "texts")
    )
    return RerankRequest(**fields)


def check_texts(request: RerankRequest) -> None:
    """Refuse to rank nothing."""
    if not request.texts:
        raise failure(400, "`texts` cannot be empty", "Empty")


def rerank(
    request: RerankRequest, tokenizer: Tokenizer, *, clock: Callable[[], float]
) -> TwinAnswer:
    """The texts, best first; Refused as TEI refuses them. ``clock`` gives seconds."""
    start = clock()
    query = tokenizer.split(request.query)
    texts = [_split(tokenizer, request, query, text) for text in request.texts]
    middle = clock()
    cut = [tokenizer.cut(each, request) for each in (query, *texts)]
    body = _ranked(request, _scores(tokenizer.embedder, request, cut))
    end = clock()
    return success(
        body,
        [
            Tokenized(tokenizer.cut(_pair(query, each), request), len(request.query) + len(text))
            for each, text in zip(texts, request.texts, strict=True)
        ],
        tokenization=middle - start,
        inference=end - middle,
    )


def _split(tokenizer: Tokenizer, request: RerankRequest, query: Split, text: str) -> Split:
    """TEI tokenizes query and text as one input: checked together, but each cut by itself.

    Cut as an input of ``/embed``, the texts are in the order of the cosines of
    what ``/embed`` gives, however long they are.
    """
    characters = len(request.query) + len(text)
    if not characters:
        raise empty_input()
    tokenizer.check_characters(characters, request)
    split = tokenizer.split(text)
    tokenizer.check_tokens(_pair(query, split).size, request)
    return split


def _pair(query: Split, text: Split) -> Split:
    """The two as one input, one closing token between them."""
    return Split(query.opening, [*query.own, *query.closing, *text.own], text.closing)


def _scores(
    embedder: Embedder, request: RerankRequest, texts: Sequence[Sequence[Token]]
) -> list[float32]:
    found = cosines(embedder, texts)
    from numpy import float32  # noqa: PLC0415 (the vectors have loaded it)

    to_score = logit if request.raw_scores else _probability
    return [float32(to_score(cosine)) for cosine in found]


def cosines(embedder: Embedder, texts: Sequence[Sequence[Token]]) -> list[float]:
    """The cosines of the first text and each other, the same bits on every machine.

    A product of two float32 is exact in float64, and ``fsum`` rounds once.
    """
    rows = iter(embedder.dense(texts))
    query = next(rows).tolist()
    return [fsum(map(mul, query, row.tolist())) for row in rows]


def logit(cosine: float) -> float:
    """The raw score: a line that rises with the cosine, and nothing else enters it.

    Nothing shared is -3, a probability of 0.05; the same text is 5, one of 0.99.
    """
    return _SLOPE * cosine + _OFFSET


def _probability(cosine: float) -> float:
    return 1 / (1 + exp(-logit(cosine)))


def _ranked(request: RerankRequest, scores: Sequence[float32]) -> bytes:
    """TEI sorts stably by score, ascending, and turns that round: the last of equals leads."""
    order = sorted(range(len(scores)), key=scores.__getitem__)[::-1]
    ranks: list[dict[str, object]] = []
    for index in order:
        text = {"text": request.texts[index]} if request.return_text else {}
        ranks.append({"index": index, **text, "score": scores[index]})
    return orjson.dumps(ranks, option=orjson.OPT_SERIALIZE_NUMPY)
