"""A Hugging Face endpoint as a function: one request to one answer, no I/O.

What it answers, in which order it checks and how it words an error are those
of text-embeddings-inference 1.9, and for ``/v1/chat/completions`` those of
text-generation-inference 3.3; its vectors are made by an embedder of our own.
It is every kind of model at once. ``/elser`` is no route of TEI's: it is the
custom handler that Elasticsearch's ``sparse_embedding`` expects behind its
``url``.

Source: upstream.md sections 1a and 1d; https://huggingface.github.io/text-embeddings-inference
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter, time
from typing import Final

import orjson

from esinfer.twin.answers import JSON, Refused, TwinAnswer, TwinRequest, text
from esinfer.twin.chat import chat
from esinfer.twin.chat_forms import Label
from esinfer.twin.chat_request import ChatRequest, load_chat_request
from esinfer.twin.embed import Form, embed, indexed_weights, vectors, weights
from esinfer.twin.embed_request import EmbedRequest, load_embed_request, load_sparse_request
from esinfer.twin.embedders import MAX_DIMENSIONS, Embedder, static_embedder
from esinfer.twin.rerank import RerankRequest, load_rerank_request, rerank
from esinfer.twin.serde import MalformedBody
from esinfer.twin.tokenize import (
    DecodeRequest,
    TokenizeRequest,
    decode,
    load_decode_request,
    load_tokenize_request,
    tokenize,
)
from esinfer.twin.tokenizer import Tokenizer

VERSION: Final = "1.9.3"
"""The release of TEI that the twin follows."""

_JSON_TYPE: Final = re.compile(r"application/(?:json|[^\s;,]+\+json)\s*(?:;.*)?", re.IGNORECASE)
_TOO_LARGE: Final = "Failed to buffer the request body: length limit exceeded"


class Kind(StrEnum):
    """What is asked for, and the form of its answer."""

    EMBED = "embed"
    """A list of numbers for each input."""
    EMBED_SPARSE = "embed_sparse"
    """A list of weighted token numbers for each input."""
    ELSER = "elser"
    """An object of weighted tokens for each input."""
    RERANK = "rerank"
    """The places of the texts, best first, with their scores."""
    TOKENIZE = "tokenize"
    """The tokens of each input."""
    DECODE = "decode"
    """The text of each list of token numbers."""
    CHAT = "chat"
    """A chat completion, whole or as a stream of events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A server with its settings, which are named as on TEI's command line.

    ``embedder`` is called, with the dimensions, when a first text is to be
    embedded; ``clock`` gives seconds from any start, ``now`` those since 1970.
    """

    dimensions: int = 384
    model_id: str = "sentence-transformers/all-MiniLM-L6-v2"
    api_key: str | None = field(default=None, repr=False)
    max_input_length: int = 512
    max_client_batch_size: int = 32
    auto_truncate: bool = True
    payload_limit: int = 2_000_000
    embedder: Callable[[int], Embedder] = static_embedder
    clock: Callable[[], float] = perf_counter
    now: Callable[[], float] = time

    def __post_init__(self) -> None:
        if not 1 <= self.dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"dimensions must be between 1 and {MAX_DIMENSIONS}")

    def answer(self, request: TwinRequest) -> TwinAnswer:
        """Answer a request by its path and method."""
        methods = _ROUTES.get(request.path)
        if methods is None:
            return TwinAnswer(status=404)
        respond = methods.get(request.method)
        if respond is None:
            return TwinAnswer(status=405, headers={"allow": ",".join(methods)})
        if isinstance(respond, Kind):
            return self.run(respond, request.headers, request.body)
        return respond(self, request)

    def run(self, kind: Kind, headers: Mapping[str, str], body: bytes) -> TwinAnswer:
        """Answer a body as the POST route of ``kind`` does, whatever its path."""
        try:
            self._admit(_lower(headers), body)
            return self._respond(kind, body)
        except Refused as refused:
            return refused.answer
        except MalformedBody as error:
            return text(error.status, str(error))

    def health(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /health``: ready, and open to all."""
        return TwinAnswer(status=200)

    def info(self, request: TwinRequest) -> TwinAnswer:
        """``GET /info``: the model and the settings."""
        try:
            self._authorize(_lower(request.headers))
        except Refused as refused:
            return refused.answer
        return TwinAnswer(status=200, content_type=JSON, body=orjson.dumps(self._info()))

    def _respond(self, kind: Kind, body: bytes) -> TwinAnswer:
        if kind is Kind.CHAT:
            return self._chat(load_chat_request(body))
        if kind is Kind.RERANK:
            return self._rerank(load_rerank_request(body))
        if kind is Kind.TOKENIZE:
            return self._tokenize(load_tokenize_request(body))
        if kind is Kind.DECODE:
            return self._decode(load_decode_request(body))
        load, form = _EMBEDDINGS[kind]
        return self._embed(load(body), form)

    def _embed(self, request: EmbedRequest, form: Form) -> TwinAnswer:
        limit = self.max_client_batch_size
        return embed(request, self._tokenizer(), form, max_batch=limit, clock=self.clock)

    def _rerank(self, request: RerankRequest) -> TwinAnswer:
        limit = self.max_client_batch_size
        return rerank(request, self._tokenizer(), max_batch=limit, clock=self.clock)

    def _tokenize(self, request: TokenizeRequest) -> TwinAnswer:
        embedder = self.embedder(self.dimensions)
        return tokenize(request, embedder, max_batch=self.max_client_batch_size)

    def _decode(self, request: DecodeRequest) -> TwinAnswer:
        embedder = self.embedder(self.dimensions)
        return decode(request, embedder, max_batch=self.max_client_batch_size)

    def _chat(self, request: ChatRequest) -> TwinAnswer:
        label = Label(model=request.model_or(self.model_id), created=int(self.now()))
        return chat(request, label, clock=self.clock)

    def _tokenizer(self) -> Tokenizer:
        return Tokenizer(
            embedder=self.embedder(self.dimensions),
            max_input_length=self.max_input_length,
            auto_truncate=self.auto_truncate,
        )

    def _info(self) -> dict[str, object]:
        return {
            "model_id": self.model_id,
            "model_sha": None,
            "model_dtype": "float32",
            "served_model_name": self.model_id,
            "model_type": {"embedding": {"pooling": "mean"}},
            "max_concurrent_requests": 512,
            "max_input_length": self.max_input_length,
            "max_batch_tokens": 16384,
            "max_batch_requests": None,
            "max_client_batch_size": self.max_client_batch_size,
            "auto_truncate": self.auto_truncate,
            "tokenization_workers": 1,
            "version": VERSION,
            "sha": None,
            "docker_label": None,
        }

    def _admit(self, headers: Mapping[str, str], body: bytes) -> None:
        self._authorize(headers)
        content_type = headers.get("content-type", "")
        if content_type != JSON and not _JSON_TYPE.fullmatch(content_type):
            raise Refused(text(415, "Expected request with `Content-Type: application/json`"))
        if len(body) > self.payload_limit:
            raise Refused(text(413, _TOO_LARGE))

    def _authorize(self, headers: Mapping[str, str]) -> None:
        if self.api_key is not None and headers.get("authorization") != f"Bearer {self.api_key}":
            raise Refused(TwinAnswer(status=401))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


_EMBEDDINGS: Final[Mapping[Kind, tuple[Callable[[bytes], EmbedRequest], Form]]] = {
    Kind.EMBED: (load_embed_request, vectors),
    Kind.EMBED_SPARSE: (load_sparse_request, indexed_weights),
    Kind.ELSER: (load_sparse_request, weights),
}

_ROUTES: Final[Mapping[str, Mapping[str, Kind | Callable[[Twin, TwinRequest], TwinAnswer]]]] = {
    "/": {"GET": Twin.health, "HEAD": Twin.health, "POST": Kind.EMBED},
    "/embed": {"POST": Kind.EMBED},
    "/embed_sparse": {"POST": Kind.EMBED_SPARSE},
    "/elser": {"POST": Kind.ELSER},
    "/rerank": {"POST": Kind.RERANK},
    "/tokenize": {"POST": Kind.TOKENIZE},
    "/decode": {"POST": Kind.DECODE},
    "/v1/chat/completions": {"POST": Kind.CHAT},
    "/health": {"GET": Twin.health, "HEAD": Twin.health},
    "/info": {"GET": Twin.info, "HEAD": Twin.info},
}
