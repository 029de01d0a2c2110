"""A text-embeddings-inference server as a function: one request to one answer, no I/O.

What it answers, in which order it checks and how it words an error are those
of TEI 1.9; its vectors are made by an embedder of our own. ``/elser`` is no
route of TEI's: it is the custom handler that Elasticsearch's
``sparse_embedding`` expects behind its ``url``.

Source: upstream.md section 1a; https://huggingface.github.io/text-embeddings-inference
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter
from typing import Final, NamedTuple, TypeAlias

import orjson

from esinfer.twin.embed_request import EmbedRequest, Input, load_embed_request
from esinfer.twin.embedders import MAX_DIMENSIONS, Embedder, hashing_embedder
from esinfer.twin.serde import MalformedBody

VERSION: Final = "1.9.3"
"""The release of TEI that the twin follows."""

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_JSON_TYPE: Final = re.compile(r"application/(?:json|[^\s;,]+\+json)\s*(?:;.*)?", re.IGNORECASE)
_TOO_LARGE: Final = "Failed to buffer the request body: length limit exceeded"
_CHARACTERS_PER_TOKEN: Final = 250

_Texts: TypeAlias = Sequence[Sequence[str]]


class Kind(StrEnum):
    """The form of an answer."""

    EMBED = "embed"
    """A list of numbers for each input."""
    ELSER = "elser"
    """An object of weighted tokens for each input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinRequest:
    """A request as it came; the names of its headers in any case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinAnswer:
    """A response; where there is no body there is no ``content_type``."""

    status: int
    content_type: str | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class _Refused(Exception):
    """The request ends here, with this answer."""

    def __init__(self, answer: TwinAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Tokenized(NamedTuple):
    """An input that passed every check, cut to what the model takes."""

    terms: Sequence[str]
    characters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A server with its settings, which are named as on TEI's command line.

    ``embedder`` is called, with the dimensions, when a first text is to be
    embedded; ``clock`` gives seconds.
    """

    dimensions: int = 384
    model_id: str = "sentence-transformers/all-MiniLM-L6-v2"
    api_key: str | None = field(default=None, repr=False)
    max_input_length: int = 512
    max_client_batch_size: int = 32
    auto_truncate: bool = True
    payload_limit: int = 2_000_000
    embedder: Callable[[int], Embedder] = hashing_embedder
    clock: Callable[[], float] = perf_counter

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
        return respond(self, request)

    def embed(self, request: TwinRequest) -> TwinAnswer:
        """``POST /embed``: vectors."""
        return self.run(Kind.EMBED, request.headers, request.body)

    def elser(self, request: TwinRequest) -> TwinAnswer:
        """``POST /elser``: weighted tokens."""
        return self.run(Kind.ELSER, request.headers, request.body)

    def health(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /health``: ready, and open to all."""
        return TwinAnswer(status=200)

    def info(self, request: TwinRequest) -> TwinAnswer:
        """``GET /info``: the model and the settings."""
        try:
            self._authorize(_lower(request.headers))
        except _Refused as refused:
            return refused.answer
        return TwinAnswer(status=200, content_type=_JSON, body=orjson.dumps(self._info()))

    def run(self, kind: Kind, headers: Mapping[str, str], body: bytes) -> TwinAnswer:
        """Answer the body of an embed request in the form ``kind``, whatever its path."""
        start = self.clock()
        try:
            self._admit(_lower(headers), body)
            request = load_embed_request(body)
            embedder = self.embedder(self.dimensions)
            inputs = self._tokenize(embedder, request, dense=kind is Kind.EMBED)
        except _Refused as refused:
            return refused.answer
        except MalformedBody as error:
            return _text(error.status, str(error))
        middle = self.clock()
        answer = _FORMS[kind](embedder, [item.terms for item in inputs], request)
        end = self.clock()
        return TwinAnswer(
            status=200,
            content_type=_JSON,
            body=answer,
            headers=_compute_headers(inputs, tokenization=middle - start, inference=end - middle),
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
        if content_type != _JSON and not _JSON_TYPE.fullmatch(content_type):
            raise _Refused(_text(415, "Expected request with `Content-Type: application/json`"))
        if len(body) > self.payload_limit:
            raise _Refused(_text(413, _TOO_LARGE))

    def _authorize(self, headers: Mapping[str, str]) -> None:
        if self.api_key is not None and headers.get("authorization") != f"Bearer {self.api_key}":
            raise _Refused(TwinAnswer(status=401))

    def _tokenize(
        self, embedder: Embedder, request: EmbedRequest, *, dense: bool
    ) -> list[_Tokenized]:
        size, limit = len(request.inputs), self.max_client_batch_size
        if size > limit:
            raise _failure(422, f"batch size {size} > maximum allowed batch size {limit}")
        return [self._tokenize_one(embedder, request, item, dense=dense) for item in request.inputs]

    def _tokenize_one(
        self, embedder: Embedder, request: EmbedRequest, item: Input, *, dense: bool
    ) -> _Tokenized:
        """Check in TEI's order, so that the first fault of the first faulty input is told."""
        wanted = request.dimensions if dense else None
        if wanted == 0:
            raise _invalid("`dimensions` should be positive")
        if not item:
            raise _failure(400, "Input validation error: `inputs` cannot be empty", "Empty")
        if request.prompt_name is not None:
            raise _invalid(_no_prompts(request.prompt_name))
        terms = self._terms(embedder, request, item)
        if wanted is not None and wanted > self.dimensions:
            raise _invalid("`dimensions` should be smaller than the maximum embedding dimension.")
        return _Tokenized(terms, len(item))

    def _terms(self, embedder: Embedder, request: EmbedRequest, item: Input) -> Sequence[str]:
        truncate = self.auto_truncate if request.truncate is None else request.truncate
        longest = self.max_input_length * _CHARACTERS_PER_TOKEN
        if len(item) > longest and not truncate:
            raise _too_long(longest, "characters", len(item))
        # The twin cannot know what an id stands for, so an id is a term itself.
        terms = embedder.terms(item[:longest]) if isinstance(item, str) else item
        limit = self.max_input_length
        if len(terms) > limit and not truncate:
            raise _too_long(limit, "tokens", len(terms))
        kept = terms[-limit:] if request.keeps_end else terms[:limit]
        return [str(term) for term in kept]


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _text(status: int, text: str) -> TwinAnswer:
    """What axum answers before TEI sees the request."""
    return TwinAnswer(status=status, content_type=_TEXT, body=text.encode())


def _failure(status: int, error: str, error_type: str = "Validation") -> _Refused:
    """What TEI itself answers."""
    body = orjson.dumps({"error": error, "error_type": error_type})
    return _Refused(TwinAnswer(status=status, content_type=_JSON, body=body))


def _invalid(reason: str) -> _Refused:
    return _failure(422, f"Input validation error: {reason}")


def _too_long(limit: int, unit: str, given: int) -> _Refused:
    return _invalid(f"`inputs` must have less than {limit} {unit}. Given: {given}")


def _no_prompts(name: str) -> str:
    return (
        f"`default-prompt-name` is set to `{name}` but no prompts were found in the "
        "Sentence Transformers configuration"
    )


def _compute_headers(
    inputs: Sequence[_Tokenized], *, tokenization: float, inference: float
) -> dict[str, str]:
    """TEI's account of a success: whole milliseconds, for the parts the mean of the inputs."""
    total = str(int((tokenization + inference) * 1000))
    return {
        "x-compute-type": "gpu+optimized",  # TEI says so on a CPU, too
        "x-compute-time": total,
        "x-compute-characters": str(sum(item.characters for item in inputs)),
        "x-compute-tokens": str(sum(len(item.terms) for item in inputs)),
        "x-total-time": total,
        "x-tokenization-time": str(int(tokenization * 1000 / len(inputs))),
        "x-queue-time": "0",
        "x-inference-time": str(int(inference * 1000 / len(inputs))),
    }


def _vectors(embedder: Embedder, texts: _Texts, request: EmbedRequest) -> bytes:
    rows = embedder.dense(texts, dimensions=request.dimensions, normalize=request.normalize)
    return orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)


def _weights(embedder: Embedder, texts: _Texts, _request: EmbedRequest) -> bytes:
    return orjson.dumps([embedder.weigh(terms) for terms in texts])


_FORMS: Final[Mapping[Kind, Callable[[Embedder, _Texts, EmbedRequest], bytes]]] = {
    Kind.EMBED: _vectors,
    Kind.ELSER: _weights,
}

_ROUTES: Final[Mapping[str, Mapping[str, Callable[[Twin, TwinRequest], TwinAnswer]]]] = {
    "/": {"GET": Twin.health, "HEAD": Twin.health, "POST": Twin.embed},
    "/embed": {"POST": Twin.embed},
    "/elser": {"POST": Twin.elser},
    "/health": {"GET": Twin.health, "HEAD": Twin.health},
    "/info": {"GET": Twin.info, "HEAD": Twin.info},
}
