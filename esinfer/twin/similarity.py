"""The similarity route: how near each of some sentences is to another one.

Source: text-embeddings-inference 1.9 ``types.rs``, ``server.rs``; upstream.md section 1a.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from esinfer.twin.answers import failure
from esinfer.twin.embed import Texts
from esinfer.twin.embed_request import EmbedRequest
from esinfer.twin.embedders import Embedder
from esinfer.twin.rerank import cosines
from esinfer.twin.serde import Deserializer
from esinfer.twin.tokenizer import DIRECTIONS

_INPUTS: Final[Mapping[str, Callable[[Deserializer], object]]] = {
    "source_sentence": Deserializer.string,
    "sentences": lambda source: source.sequence(Deserializer.string),
}
_PARAMETERS: Final[Mapping[str, Callable[[Deserializer], object]]] = {
    "truncate": lambda source: source.option(Deserializer.boolean),
    "truncation_direction": lambda source: source.variant(DIRECTIONS),
    "prompt_name": lambda source: source.option(Deserializer.string),
}
_REQUEST: Final[Mapping[str, Callable[[Deserializer], object]]] = {
    "inputs": lambda source: source.struct("SimilarityInput", _INPUTS, tuple(_INPUTS)),
    "parameters": lambda source: source.option(
        lambda inner: inner.struct("SimilarityParameters", _PARAMETERS, ())
    ),
}


def load_similarity_request(body: bytes) -> EmbedRequest:
    """Read a body, the source first among the inputs; MalformedBody, or Refused if none follows."""
    fields: dict[str, Any] = Deserializer(body).struct("SimilarityRequest", _REQUEST, ("inputs",))
    inputs = fields["inputs"]
    if not inputs["sentences"]:
        raise failure(400, "`inputs.sentences` cannot be empty", "Empty")
    parameters = fields.get("parameters") or {}
    return EmbedRequest(inputs=[inputs["source_sentence"], *inputs["sentences"]], **parameters)


def similarities(embedder: Embedder, texts: Texts, _request: EmbedRequest) -> bytes:
    """The cosine of the first text and each other one."""
    found = cosines(embedder, texts)
    from numpy import float32  # noqa: PLC0415 (the vectors have loaded it)

    scores = [float32(cosine) for cosine in found]
    return orjson.dumps(scores, option=orjson.OPT_SERIALIZE_NUMPY)
