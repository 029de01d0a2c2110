"""The predict route: how well each label of a classifier fits a text or a pair of texts.

A label fits a text as well as the text is like the label's name. A re-ranker
has one label, which fits a pair as well as ``/rerank`` says.

Source: text-embeddings-inference 1.9 ``types.rs``, ``server.rs``; upstream.md section 1a.
Known difference: every list that does not fit is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import exp
from typing import Any, Final, TypeAlias

import orjson

from esinfer.twin.answers import Tokenized, TwinAnswer, empty_input, success
from esinfer.twin.embedders import Token
from esinfer.twin.rerank import cosines, logit
from esinfer.twin.serde import Deserializer
from esinfer.twin.tokenizer import DIRECTIONS, Tokenizer, Truncation

Texts: TypeAlias = Sequence[str]
"""One text, or a pair."""

_EXPECTED: Final = (
    "a string, a pair of strings [string, string] or a batch of mixed strings and pairs "
    "[[string], [string, string], ...]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest(Truncation):
    """What is to be classified, and whether the answer is one list or a list of them."""

    inputs: Sequence[Texts]
    is_batch: bool
    raw_scores: bool = False


def _read_inputs(source: Deserializer) -> tuple[list[list[str]], bool]:
    value = source.content()
    if isinstance(value, str):
        return [[value]], False
    if not isinstance(value, list):
        source.refuse_type(value, _EXPECTED)
    if _is_sequence(value):
        return [value], False
    if not value or not all(map(_is_sequence, value)):
        source.refuse(f"invalid length {len(value)}, expected {_EXPECTED}")
    return value, True


def _is_sequence(texts: object) -> bool:
    return (
        isinstance(texts, list)
        and len(texts) in {1, 2}
        and all(isinstance(text, str) for text in texts)
    )


_READERS: Final[Mapping[str, Callable[[Deserializer], object]]] = {
    "inputs": _read_inputs,
    "truncate": lambda source: source.option(Deserializer.boolean),
    "truncation_direction": lambda source: source.variant(DIRECTIONS),
    "raw_scores": Deserializer.boolean,
}


def load_predict_request(body: bytes) -> PredictRequest:
    """Read a body; MalformedBody with TEI's words if it is none of a predict request."""
    fields: dict[str, Any] = Deserializer(body).struct("PredictRequest", _READERS, ("inputs",))
    inputs, is_batch = fields.pop("inputs")
    return PredictRequest(inputs=inputs, is_batch=is_batch, **fields)


def predict(
    request: PredictRequest,
    tokenizer: Tokenizer,
    labels: Sequence[str],
    *,
    clock: Callable[[], float],
) -> TwinAnswer:
    """The labels of each input, best first; Refused as TEI refuses it. ``clock`` gives seconds."""
    start = clock()
    split = [_split(tokenizer, request, texts) for texts in request.inputs]
    middle = clock()
    found = [_predictions(tokenizer, request, texts, labels) for texts in split]
    body = orjson.dumps(found if request.is_batch else found[0], option=orjson.OPT_SERIALIZE_NUMPY)
    end = clock()
    inputs = [
        Tokenized(list(chain.from_iterable(terms)), sum(map(len, texts)))
        for terms, texts in zip(split, request.inputs, strict=True)
    ]
    return success(body, inputs, tokenization=middle - start, inference=end - middle)


def _split(tokenizer: Tokenizer, request: PredictRequest, texts: Texts) -> list[Sequence[Token]]:
    """The tokens of each text: checked together, but each cut by itself, as in ``/rerank``."""
    characters = sum(map(len, texts))
    if not characters:
        raise empty_input()
    tokenizer.check_characters(characters, request)
    split = [tokenizer.split(text) for text in texts]
    tokenizer.check_tokens(sum(each.size for each in split), request)
    return [tokenizer.cut(each, request) for each in split]


def _predictions(
    tokenizer: Tokenizer,
    request: PredictRequest,
    texts: Sequence[Sequence[Token]],
    labels: Sequence[str],
) -> list[dict[str, object]]:
    others = [tokenizer.cut(tokenizer.split(label), request) for label in labels]
    query, *behind = texts
    if len(labels) == 1:
        others = behind or others
    elif behind:
        query = [*query, *behind[0]]
    logits = [logit(cosine) for cosine in cosines(tokenizer.embedder, [query, *others])]
    scores = logits if request.raw_scores else probabilities(logits)
    from numpy import float32  # noqa: PLC0415 (the vectors have loaded it)

    # TEI sorts stably by score, ascending, and turns that round: the last of equals leads.
    ranked = sorted(zip(map(float32, scores), labels, strict=True), key=lambda pair: pair[0])
    return [{"score": score, "label": label} for score, label in reversed(ranked)]


def probabilities(logits: Sequence[float]) -> list[float]:
    """The softmax of some logits, the sigmoid of a single one."""
    if len(logits) == 1:
        return [1 / (1 + exp(-logits[0]))]
    powers = [exp(each) for each in logits]
    return [power / sum(powers) for power in powers]
