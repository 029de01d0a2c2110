"""text-embeddings-inference as a function: one request to one answer, no I/O.

What it answers, in which order it checks and how it words an error are those
of TEI 1.9 or 1.8; its vectors are made by an embedder of our own. Unless it is
told the one task that its model has, it is every kind of model at once, and
has two routes that TEI has not: ``/v1/chat/completions``, that of TGI, and
``/elser``, the custom handler that Elasticsearch's ``sparse_embedding``
expects behind its ``url``.

Source: upstream.md section 1a; https://huggingface.github.io/text-embeddings-inference
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, time
from typing import ClassVar, Final, NamedTuple

from esinfer.twin import tei_about
from esinfer.twin.answers import Failure, Refused, TwinAnswer, TwinRequest, json
from esinfer.twin.axum import admit, answered, authorize, find, lower
from esinfer.twin.effort import is_quick
from esinfer.twin.embedders import Embedder, check_dimensions, static_embedder
from esinfer.twin.known_models import DEFAULT_MODEL
from esinfer.twin.permits import Hold, Permits, within
from esinfer.twin.servers import Kind
from esinfer.twin.tei_metrics import TeiMetrics
from esinfer.twin.tei_model import TeiModel
from esinfer.twin.tei_task import Task, model_type
from esinfer.twin.tgi import Tgi
from esinfer.twin.tokenizer import Tokenizer


class Release(NamedTuple):
    """What has changed between releases of TEI."""

    version: str
    invalid_status: int
    """The status of an answer to an input that is not valid."""
    auto_truncate: bool
    """Whether too long an input is cut if the request does not say."""


MAX_CONCURRENT_REQUESTS: Final = 512
_CHAT: Final = "/v1/chat/completions"

TEI_1_9: Final = Release("1.9.3", 422, auto_truncate=True)
TEI_1_8: Final = Release("1.8.3", 413, auto_truncate=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A TEI server with its settings, which are named as on TEI's command line.

    ``embedder`` is called, with the dimensions, when a first text is to be
    embedded; ``clock`` gives seconds from any start, ``now`` those since 1970.
    ``auto_truncate`` is the release's own if ``None``; of the ``permits``, of which
    there are ``max_concurrent_requests``, each input takes one.
    """

    has_cors: ClassVar[bool] = True
    dimensions: int = 384
    model_id: str = DEFAULT_MODEL
    pooling: str = "mean"
    prompts: Mapping[str, str] = field(default_factory=dict)
    task: Task | None = None
    api_key: str | None = field(default=None, repr=False)
    max_input_length: int = 512
    max_client_batch_size: int = 32
    permits: Permits = field(default_factory=partial(Permits, MAX_CONCURRENT_REQUESTS))
    counts: TeiMetrics = field(default_factory=TeiMetrics, repr=False, compare=False)
    auto_truncate: bool | None = None
    payload_limit: int = 2_000_000
    release: Release = TEI_1_9
    embedder: Callable[[int], Embedder] = static_embedder
    clock: Callable[[], float] = perf_counter
    now: Callable[[], float] = time

    def __post_init__(self) -> None:
        check_dimensions(self.dimensions)

    def answer(self, request: TwinRequest) -> TwinAnswer:
        """Answer a request by its path and method."""
        return answered(lambda: find(self._routes, request)(self, request))

    def run(
        self,
        kind: Kind,
        headers: Mapping[str, str],
        body: bytes,
        *,
        path: str = "",
        hold: Hold | None = None,
    ) -> TwinAnswer:
        """Answer a body as the POST route of ``kind`` does, whatever its path."""
        del path
        return self.answer(
            TwinRequest(method="POST", path=_PATHS[kind], headers=headers, body=body, hold=hold)
        )

    def is_quick(self, path: str, body: bytes) -> bool:
        """By the number of the texts; of a vector for each token, by their length."""
        by_token = path == "/embed_all"
        return path == _CHAT or is_quick(body, self.dimensions, by_token=by_token)

    def task_of(self, method: str, path: str) -> str | None:
        """The task type of a route; ``/`` and the like do what the model is for."""
        if method != "POST" or path not in self._routes:
            return None
        return _TASK_TYPES[self.task] if path in _MODELS_OWN else _ROUTE_TASK_TYPES.get(path)

    def health(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /health``: ready, and open to all."""
        return TwinAnswer(status=200)

    def info(self, request: TwinRequest) -> TwinAnswer:
        """``GET /info``: the model and the settings."""
        authorize(lower(request.headers), self.api_key)
        return json(200, self._info())

    def metrics(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /metrics``."""
        return self.counts.answer()

    def docs(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /docs``."""
        return tei_about.docs()

    def openapi(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /api-doc/openapi.json``."""
        return tei_about.openapi(self.release.version, self._routes)

    def post(self, respond: _Respond, words: _Words, request: TwinRequest) -> TwinAnswer:
        """What ``respond`` makes of a body that is let through, a failure put in ``words``."""
        headers = lower(request.headers)
        authorize(headers, self.api_key)
        admit(headers, request.body, self.payload_limit)
        try:
            with within(request.hold) as hold:
                return respond(self, request.body, hold)
        except Failure as error:
            self.counts.fail(error)
            invalid = error.error_type == "Validation"
            status = self.release.invalid_status if invalid else error.answer.status
            raise Refused(json(status, words(error, status))) from error

    def chat(self, body: bytes, hold: Hold) -> TwinAnswer:
        """``POST /v1/chat/completions``, as TGI answers it."""
        tgi = Tgi(model_id=self.model_id, permits=self.permits, clock=self.clock, now=self.now)
        return tgi.admit(tgi.chat(body), hold)

    def model(self, hold: Hold) -> TeiModel:
        """The model; its embedder is loaded with the first text."""
        tokenizer = Tokenizer(
            load=partial(self.embedder, self.dimensions),
            max_input_length=self.max_input_length,
            auto_truncate=self._truncates,
            prompts=self.prompts,
        )
        return TeiModel(
            name=self.model_id,
            task=self.task,
            tokenizer=tokenizer,
            max_batch=self.max_client_batch_size,
            take=partial(hold.take, self.permits),
            counts=self.counts,
            clock=self.clock,
        )

    @property
    def _routes(self) -> Mapping[str, Mapping[str, _Route]]:
        return _ALL_ROUTES if self.task is None else _ROUTES

    @property
    def _truncates(self) -> bool:
        own = self.release.auto_truncate
        return own if self.auto_truncate is None else self.auto_truncate

    def _info(self) -> dict[str, object]:
        return {
            "model_id": self.model_id,
            "model_sha": None,
            "model_dtype": "float32",
            "served_model_name": self.model_id,
            "model_type": model_type(self.task, self.pooling),
            "max_concurrent_requests": self.permits.most,
            "max_input_length": self.max_input_length,
            "max_batch_tokens": 16384,
            "max_batch_requests": None,
            "max_client_batch_size": self.max_client_batch_size,
            "auto_truncate": self._truncates,
            "tokenization_workers": 1,
            "version": self.release.version,
            "sha": None,
            "docker_label": None,
        }


_Route = Callable[[Twin, TwinRequest], TwinAnswer]
_Respond = Callable[[Twin, bytes, Hold], TwinAnswer]
_Words = Callable[[Failure, int], Mapping[str, object]]


def _own_words(error: Failure, _status: int) -> Mapping[str, object]:
    return {"error": error.error, "error_type": error.error_type}


def _openai_words(error: Failure, status: int) -> Mapping[str, object]:
    return {"message": error.error, "code": status, "type": error.error_type}


def _get(respond: _Route) -> Mapping[str, _Route]:
    return {"GET": respond, "HEAD": respond}


def _post(respond: _Respond, words: _Words = _own_words) -> Mapping[str, _Route]:
    return {"POST": lambda twin, request: twin.post(respond, words, request)}


def _of_model(
    method: Callable[[TeiModel, bytes], TwinAnswer], words: _Words = _own_words
) -> Mapping[str, _Route]:
    return _post(lambda twin, body, hold: method(twin.model(hold), body), words)


_ROUTES: Final[Mapping[str, Mapping[str, _Route]]] = {
    "/": {**_get(Twin.health), **_of_model(TeiModel.default)},
    "/invocations": _of_model(TeiModel.default),
    "/embed": _of_model(TeiModel.embed),
    "/embed_all": _of_model(TeiModel.embed_all),
    "/embed_sparse": _of_model(TeiModel.embed_sparse),
    "/predict": _of_model(TeiModel.predict),
    "/rerank": _of_model(TeiModel.rerank),
    "/tokenize": _of_model(TeiModel.tokenize),
    "/decode": _of_model(TeiModel.decode),
    "/similarity": _of_model(TeiModel.similarity),
    "/embeddings": _of_model(TeiModel.openai, _openai_words),
    "/v1/embeddings": _of_model(TeiModel.openai, _openai_words),
    "/vertex": _of_model(TeiModel.vertex),
    "/health": _get(Twin.health),
    "/ping": _get(Twin.health),
    "/info": _get(Twin.info),
    "/metrics": _get(Twin.metrics),
    "/docs": _get(Twin.docs),
    "/api-doc/openapi.json": _get(Twin.openapi),
}
_ALL_ROUTES: Final[Mapping[str, Mapping[str, _Route]]] = {
    **_ROUTES,
    "/elser": _of_model(TeiModel.elser),
    _CHAT: _post(Twin.chat),
}
_ROUTE_TASK_TYPES: Final[Mapping[str, str]] = {
    "/embed": "text_embedding",
    "/embed_all": "text_embedding",
    "/similarity": "text_embedding",
    "/embeddings": "text_embedding",
    "/v1/embeddings": "text_embedding",
    "/embed_sparse": "sparse_embedding",
    "/elser": "sparse_embedding",
    "/rerank": "rerank",
    "/v1/chat/completions": "chat_completion",
}
_MODELS_OWN: Final = ("/", "/invocations", "/vertex")
_TASK_TYPES: Final[Mapping[Task | None, str | None]] = {
    None: "text_embedding",
    Task.EMBEDDING: "text_embedding",
    Task.SENTENCE_SIMILARITY: "text_embedding",
    Task.SPLADE: "sparse_embedding",
    Task.RERANKER: "rerank",
    Task.CLASSIFIER: None,
}
_PATHS: Final[Mapping[Kind, str]] = {
    Kind.EMBED: "/embed",
    Kind.EMBED_SPARSE: "/embed_sparse",
    Kind.ELSER: "/elser",
    Kind.RERANK: "/rerank",
    Kind.CHAT: _CHAT,
}
