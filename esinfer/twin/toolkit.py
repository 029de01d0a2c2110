"""The pipelines of the Inference Toolkit for text that becomes vectors or scores.

What sentence-transformers or transformers would raise is worded as they do.

Source: huggingface-inference-toolkit 0.5.6 ``sentence_transformers_utils.py``;
upstream.md section 1b.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from struct import pack, unpack
from typing import Any, Final

import orjson

from esinfer.twin.container import Container, PipelineError
from esinfer.twin.embedders import Embedder, Token
from esinfer.twin.json_rows import DOUBLE, join, write_rows
from esinfer.twin.known_models import Model
from esinfer.twin.predict import probabilities
from esinfer.twin.rerank import cosines, logit
from esinfer.twin.servers import UNLIMITED
from esinfer.twin.tokenizer import Tokenizer, Truncation

_FROM_THE_START: Final = Truncation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """A model as sentence-transformers loads it: too long a text loses its end without a word."""

    model: Model
    embedder: Callable[[int], Embedder]

    @property
    def loaded(self) -> Embedder:
        """The embedder for the model's dimensions."""
        return self.embedder(self.model.dimensions)

    def terms(self, text: object) -> Sequence[Token]:
        """The tokens that the model takes of a text; PipelineError if it is none."""
        if not isinstance(text, str):
            raise PipelineError(f"'{type(text).__name__}' object is not subscriptable")
        return self.cut(text, self.model.max_input_length)

    def cut(self, text: str, limit: int) -> Sequence[Token]:
        """The first tokens of a text, ``limit`` at most."""
        tokenizer = Tokenizer(load=lambda: self.loaded, max_input_length=limit, auto_truncate=True)
        return tokenizer.cut(tokenizer.split(text), _FROM_THE_START)

    def cosines(self, texts: Sequence[object]) -> list[float]:
        """Of the first text and each other."""
        tokens = [self.terms(text) for text in texts]
        return cosines(self.loaded, tokens)


def sentence_embeddings(encoder: Encoder, inputs: Any, _parameters: object) -> bytes:
    """A vector a text; of a single text the vector itself."""
    if isinstance(inputs, dict):
        _check_arguments(
            "SentenceEmbeddingPipeline.__call__", ("sentences",), ("sentences",), inputs
        )
        inputs = inputs["sentences"]
    texts = inputs if isinstance(inputs, list) else [inputs]
    tokens = [encoder.terms(text) for text in texts]
    before, after = (b"[", b"]") if isinstance(inputs, list) else (b"", b"")
    return write_rows(
        encoder.loaded.dense(tokens), DOUBLE, before=b'{"embeddings":' + before, after=after + b"}"
    )


def sentence_similarity(encoder: Encoder, inputs: Any, _parameters: object) -> bytes:
    """How near each sentence is to the source."""
    given = inputs if isinstance(inputs, dict) else {"source_sentence": inputs}
    _check_arguments("SentenceSimilarityPipeline.__call__", _SIMILARITY, _SIMILARITY, given)
    sentences = given["sentences"]
    texts = sentences if isinstance(sentences, list) else [sentences]
    if not texts:
        shapes = f"(1x{encoder.model.dimensions} and 0x1)"
        raise PipelineError(f"mat1 and mat2 shapes cannot be multiplied {shapes}")
    found = encoder.cosines([given["source_sentence"], *texts])
    return orjson.dumps({"similarities": [_single(cosine) for cosine in found]})


def sentence_ranking(encoder: Encoder, inputs: Any, _parameters: object) -> bytes:
    """The score of a pair, or of each of several; of a query, its texts, best first."""
    if isinstance(inputs, dict):
        return orjson.dumps(_ranks(encoder, inputs))
    if isinstance(inputs, list) and inputs and all(map(_is_pair, inputs)):
        return orjson.dumps({"scores": [_scores(encoder, pair)[0] for pair in inputs]})
    if _is_pair(inputs):
        return orjson.dumps({"scores": _scores(encoder, inputs)[0]})
    raise PipelineError(_NO_TEXT)


def feature_extraction(encoder: Encoder, inputs: Any, parameters: Any) -> bytes:
    """A vector a token, in a list of one text; of several texts, a list of such lists."""
    if not isinstance(parameters, dict):
        kind = type(parameters).__name__
        raise PipelineError(f"{_PIPELINE} argument after ** must be a mapping, not {kind}")
    _check_arguments("FeatureExtractionPipeline._sanitize_parameters", _EXTRACTION, (), parameters)
    truncate = bool(parameters.get("truncation"))
    if isinstance(inputs, str):
        return join([_token_rows(encoder, inputs, truncate=truncate)])
    if isinstance(inputs, list) and all(isinstance(text, str) for text in inputs):
        return join(join([_token_rows(encoder, text, truncate=truncate)]) for text in inputs)
    raise PipelineError(_NO_TEXT)


def _token_rows(encoder: Encoder, text: str, *, truncate: bool) -> bytes:
    tokens = encoder.cut(text, encoder.model.max_input_length if truncate else UNLIMITED)
    if len(tokens) > _POSITIONS:
        raise PipelineError(
            f"The size of tensor a ({len(tokens)}) must match the size of tensor b ({_POSITIONS}) "
            "at non-singleton dimension 1"
        )
    return write_rows(encoder.loaded.token_vectors(tokens), DOUBLE)


def _ranks(encoder: Encoder, inputs: Mapping[str, Any]) -> list[dict[str, object]]:
    _check_arguments("SentenceRankingPipeline.__call__", _RANKING, (), inputs)
    query, texts = inputs.get("query"), inputs.get("texts")
    if not isinstance(query, str):
        said = f"Provided {query=} but a non-empty string should be provided instead."
        raise PipelineError(said)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        said = f"Provided {texts=}, but a list of non-empty strings should be provided instead."
        raise PipelineError(said)
    scores = _scores(encoder, [query, *texts])
    order = sorted(range(len(texts)), key=scores.__getitem__, reverse=True)
    named = inputs.get("return_documents")
    return [
        {"score": scores[index], "index": index, **({"text": texts[index]} if named else {})}
        for index in order
    ]


def _scores(encoder: Encoder, texts: Sequence[object]) -> list[float]:
    return [_single(probabilities([logit(cosine)])[0]) for cosine in encoder.cosines(texts)]


def _single(value: float) -> float:
    """The value in float32, which Python's JSON writes with all digits."""
    (rounded,) = unpack("<f", pack("<f", value))
    return float(rounded)


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value)
    )


def _check_arguments(
    name: str, known: Sequence[str], required: Sequence[str], inputs: Mapping[str, object]
) -> None:
    """Raise what Python raises where a call's arguments do not fit."""
    for argument in inputs:
        if argument not in known:
            raise PipelineError(f"{name}() got an unexpected keyword argument '{argument}'")
    missing = [f"'{argument}'" for argument in required if argument not in inputs]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        raise PipelineError(
            f"{name}() missing {len(missing)} required positional argument{plural}: "
            + " and ".join(missing)
        )


_NO_TEXT: Final = (
    "text input must be of type `str` (single example), `List[str]` (batch or single "
    "pretokenized example) or `List[List[str]]` (batch of pretokenized examples)."
)
_PIPELINE: Final = (
    "<transformers.pipelines.feature_extraction.FeatureExtractionPipeline object at 0x7f1c2a3b4d50>"
)
_SIMILARITY: Final = ("source_sentence", "sentences")
_RANKING: Final = ("sentences", "query", "texts", "return_documents")
_EXTRACTION: Final = ("tokenize_kwargs", "truncation", "return_tensors")
_POSITIONS: Final = 512

TASKS: Final[Mapping[str, Callable[[Encoder, Any, Any], bytes]]] = {
    "sentence-embeddings": sentence_embeddings,
    "sentence-similarity": sentence_similarity,
    "sentence-ranking": sentence_ranking,
    "feature-extraction": feature_extraction,
}
"""The tasks by the names that the container's ``HF_TASK`` takes, the usual one first."""


def make_toolkit(task: str, model: Model, embedder: Callable[[int], Embedder]) -> Container:
    """A container whose model does ``task``."""
    task_type = "rerank" if task == "sentence-ranking" else "text_embedding"
    pipeline = partial(TASKS[task], Encoder(model=model, embedder=embedder))
    by_token = TASKS[task] is feature_extraction
    return Container(pipeline, task_type, model.dimensions, by_token=by_token)
