"""The router of Hugging Face's Inference Providers, and ``hf-inference`` behind it.

It serves every model by its name in the path. Models of embeddings stand on
TEI there, chats come from some provider in OpenAI's form, which here is TGI's.

Known differences: what the router says of a path that it does not know, and
how many bytes it takes, are not documented. What a model declares to be for is
guessed from its name.
Source: upstream.md section 1c.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter, time
from typing import ClassVar, Final

from esinfer.twin.answers import TEXT, Refused, TwinAnswer, TwinRequest, json
from esinfer.twin.axum import answered, lower
from esinfer.twin.chat_request import load_chat_request
from esinfer.twin.effort import is_quick, is_short
from esinfer.twin.embedders import Embedder, static_embedder
from esinfer.twin.known_models import DEFAULT_MODEL, model_named
from esinfer.twin.permits import Hold
from esinfer.twin.servers import Kind
from esinfer.twin.tei import Twin
from esinfer.twin.tei_task import Task
from esinfer.twin.tgi import Tgi

_CHAT: Final = "/v1/chat/completions"
_MODEL: Final = re.compile(
    r"/hf-inference/models/(?P<model>[^/]+(?:/[^/]+)?)"
    r"(?P<rest>/pipeline/[a-z-]+|/v1/chat/completions)?"
)
_PIPELINES: Final[Mapping[str, Task]] = {
    "/pipeline/feature-extraction": Task.EMBEDDING,
    "/pipeline/sentence-similarity": Task.SENTENCE_SIMILARITY,
    "/pipeline/text-ranking": Task.RERANKER,
    "/pipeline/text-classification": Task.CLASSIFIER,
}
_NO_SENTENCES: Final = (
    "SentenceSimilarityPipeline.__call__() missing 1 required positional argument: 'sentences'"
)
_TASKS: Final[Mapping[Kind, Task]] = {Kind.RERANK: Task.RERANKER}
_TASK_TYPES: Final[Mapping[Task, str | None]] = {
    Task.EMBEDDING: "text_embedding",
    Task.SENTENCE_SIMILARITY: "text_embedding",
    Task.RERANKER: "rerank",
    Task.CLASSIFIER: None,
}
_RERANKER: Final = re.compile(r"rerank|cross-encoder", re.IGNORECASE)
_SIMILARITY: Final = re.compile(r"sentence-transformers/|intfloat/")
"""Whose models declare ``sentence-similarity`` for their pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serverless:
    """The router. ``dimensions`` are those of every model if given, else each has its own."""

    has_cors: ClassVar[bool] = False
    model_id: str = DEFAULT_MODEL
    dimensions: int | None = None
    api_key: str | None = field(default=None, repr=False)
    payload_limit: int = 2_000_000
    embedder: Callable[[int], Embedder] = static_embedder
    clock: Callable[[], float] = perf_counter
    now: Callable[[], float] = time

    def answer(self, request: TwinRequest) -> TwinAnswer:
        """Answer a request by its path and method."""
        return answered(lambda: self._answer(request))

    def run(
        self,
        kind: Kind,
        headers: Mapping[str, str],
        body: bytes,
        *,
        path: str = "",
        hold: Hold | None = None,
    ) -> TwinAnswer:
        """What the path asks for, if it is one of the router's own.

        Else a chat, a ranking, or the vectors of ``model_id``: there are no sparse ones.
        """
        del hold  # each model has servers of its own behind the router
        is_own = path == _CHAT or _MODEL.fullmatch(path)
        asked = path if is_own else _CHAT
        request = TwinRequest(method="POST", path=asked, headers=headers, body=body)
        if is_own:
            return self.answer(request)

        def respond() -> TwinAnswer:
            self._authorize(request)
            if kind is Kind.CHAT:
                return self._chat(request, self.model_id)
            return self._infer(request, self.model_id, _TASKS.get(kind, Task.EMBEDDING))

        return answered(respond)

    def task_of(self, method: str, path: str) -> str | None:
        """Chat's, or that of the pipeline or the model in the path."""
        found = _MODEL.fullmatch(path)
        if method != "POST" or (found is None and path != _CHAT):
            return None
        if found is None or found["rest"] == _CHAT:
            return "chat_completion"
        if found["rest"] is not None and found["rest"] not in _PIPELINES:
            return None
        return _TASK_TYPES[_task(found["model"], found["rest"])]

    def is_quick(self, path: str, body: bytes) -> bool:
        """By the number of the texts and the dimensions of the model in the path."""
        if path.endswith(_CHAT):
            return is_short(body)
        found = _MODEL.fullmatch(path)
        name = found["model"] if found else self.model_id
        return is_quick(body, model_named(name, self.dimensions).dimensions)

    def _answer(self, request: TwinRequest) -> TwinAnswer:
        self._authorize(request)
        found = _MODEL.fullmatch(request.path)
        if found is None and request.path != _CHAT:
            raise Refused(json(404, {"error": "Not Found"}))
        if request.method != "POST":
            raise Refused(json(405, {"error": "Method Not Allowed"}, {"allow": "POST"}))
        if found is None or found["rest"] == _CHAT:
            return self._chat(request, found["model"] if found else self.model_id)
        return self._infer(request, found["model"], _task(found["model"], found["rest"]))

    def _authorize(self, request: TwinRequest) -> None:
        if self.api_key is None:
            return
        key = lower(request.headers).get("authorization")
        if key is None:
            raise Refused(json(401, {"error": "Invalid username or password."}))
        if key != f"Bearer {self.api_key}":
            raise Refused(json(401, {"error": "Invalid credentials in Authorization header"}))

    def _infer(self, request: TwinRequest, name: str, task: Task) -> TwinAnswer:
        model = model_named(name, self.dimensions)
        server = Twin(
            dimensions=model.dimensions,
            model_id=model.name,
            pooling=model.pooling,
            prompts=model.prompts,
            task=task,
            max_input_length=model.max_input_length,
            payload_limit=self.payload_limit,
            embedder=self.embedder,
            clock=self.clock,
        )
        answer = server.answer(replace(request, path="/"))
        misshapen = answer.status == 422 and answer.content_type == TEXT
        if task is Task.SENTENCE_SIMILARITY and misshapen:
            return json(400, {"error": _NO_SENTENCES})
        return answer

    def _chat(self, request: TwinRequest, served: str) -> TwinAnswer:
        server = Tgi(
            model_id=served, payload_limit=self.payload_limit, clock=self.clock, now=self.now
        )
        return server.post(_converse, request.headers, request.body)


def model_in(path: str) -> str | None:
    """The model that a path names, whatever else is in it."""
    found = _MODEL.match(path)
    return None if found is None else found["model"]


def _converse(server: Tgi, body: bytes) -> TwinAnswer:
    """Chat with a model that may be named with its provider, ``model:provider``."""
    request = load_chat_request(body)
    model = None if request.model is None else request.model.partition(":")[0]
    return server.converse(replace(request, model=model))


def _task(model: str, pipeline: str | None) -> Task:
    """What a model does: unless told, what it declares, which here its name has to tell."""
    if pipeline is None:
        if _RERANKER.search(model):
            return Task.RERANKER
        return Task.SENTENCE_SIMILARITY if _SIMILARITY.match(model) else Task.EMBEDDING
    task = _PIPELINES.get(pipeline)
    if task is None:
        name = pipeline.rpartition("/")[2]
        raise Refused(json(400, {"error": f"Task {name} is not supported for model {model}"}))
    return task
