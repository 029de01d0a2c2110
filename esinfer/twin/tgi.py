"""text-generation-inference as a function: chat, and the routes around it.

``POST /`` is TGI's own route of generation, whole; neither its ``parameters``
nor ``/generate`` and its stream are here.

Source: TGI 3.3 ``server.rs``, ``lib.rs``: the routes, what asks for the key and how it is
compared; upstream.md section 1d.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter, time
from typing import Any, ClassVar, Final

from esinfer.twin.answers import TEXT, Refused, TwinAnswer, TwinRequest, failure, json
from esinfer.twin.axum import admit, answered, find, lower
from esinfer.twin.chat import chat, complete
from esinfer.twin.chat_forms import VERSION, Label
from esinfer.twin.chat_request import ChatRequest, Message, load_chat_request
from esinfer.twin.effort import is_short
from esinfer.twin.known_models import DEFAULT_MODEL
from esinfer.twin.permits import Hold, Permits, within
from esinfer.twin.serde import Deserializer
from esinfer.twin.servers import Kind

MAX_CONCURRENT_REQUESTS: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Tgi:
    """A TGI server; ``clock`` gives seconds from any start, ``now`` those since 1970."""

    has_cors: ClassVar[bool] = True
    model_id: str = DEFAULT_MODEL
    api_key: str | None = field(default=None, repr=False)
    permits: Permits = field(default_factory=partial(Permits, MAX_CONCURRENT_REQUESTS))
    payload_limit: int = 2_000_000
    clock: Callable[[], float] = perf_counter
    now: Callable[[], float] = time

    def answer(self, request: TwinRequest) -> TwinAnswer:
        """Answer a request by its path and method."""
        return answered(lambda: find(_ROUTES, request)(self, request))

    def run(
        self,
        kind: Kind,
        headers: Mapping[str, str],
        body: bytes,
        *,
        path: str = "",
        hold: Hold | None = None,
    ) -> TwinAnswer:
        """A chat; to what is no chat, what ``POST /`` says, since its ``url`` names no route."""
        del path
        respond = Tgi.chat if kind is Kind.CHAT else Tgi.generate
        return self.post(respond, headers, body, hold)

    def is_quick(self, path: str, body: bytes) -> bool:
        """There is little to do but to read."""
        del path
        return is_short(body)

    def task_of(self, method: str, path: str) -> str | None:
        """Chat's, or where a text goes on without one ``completion``."""
        return _TASK_TYPES.get(path) if method == "POST" else None

    def post(
        self,
        respond: Callable[[Tgi, bytes], TwinAnswer],
        headers: Mapping[str, str],
        body: bytes,
        hold: Hold | None = None,
    ) -> TwinAnswer:
        """What ``respond`` makes of a body that is let through to it."""

        def admitted() -> TwinAnswer:
            given = lower(headers)
            self._authorize(given)
            admit(given, body, self.payload_limit)
            with within(hold) as held:
                return self.admit(respond(self, body), held)

        return answered(admitted)

    def admit(self, answer: TwinAnswer, hold: Hold) -> TwinAnswer:
        """The answer, for which there has to be a permit until the last of its events is out.

        TGI takes it before it looks at the parameters; what is wrong with them shows here first.
        """
        if not hold.take(self.permits, 1):
            raise failure(429, "Model is overloaded", "overloaded")
        return answer

    def _authorize(self, headers: Mapping[str, str]) -> None:
        """TGI, unlike TEI, compares without case."""
        if self.api_key is None:
            return
        if headers.get("authorization", "").lower() != f"bearer {self.api_key.lower()}":
            raise Refused(TwinAnswer(status=401))

    def chat(self, body: bytes) -> TwinAnswer:
        """``POST /v1/chat/completions``; may raise Refused or MalformedBody."""
        return self.converse(load_chat_request(body))

    def converse(self, request: ChatRequest) -> TwinAnswer:
        """Continue a conversation."""
        label = Label(model=request.model_or(self.model_id), created=int(self.now()))
        return chat(request, label, clock=self.clock)

    def generate(self, body: bytes) -> TwinAnswer:
        """``POST /``: a text, and what the twin says to it."""
        fields: dict[str, Any] = Deserializer(body).struct("CompatGenerateRequest", _TEXT, _TEXT)
        said = complete(ChatRequest(messages=[Message("user", fields["inputs"])]), None)
        return json(200, [{"generated_text": "".join(said.tokens)}])

    def health(self, _request: TwinRequest) -> TwinAnswer:
        """Ready, and open to all."""
        return TwinAnswer(status=200)

    def metrics(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /metrics``: nothing ever waits here."""
        body = b"# TYPE tgi_queue_size gauge\ntgi_queue_size 0\n"
        return TwinAnswer(status=200, content_type=TEXT, body=body)

    def models(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /v1/models``: the only one."""
        model = {"id": self.model_id, "object": "model", "created": 0, "owned_by": self.model_id}
        return json(200, {"object": "list", "data": [model]})

    def info(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /info``: the model and the settings, open to all."""
        return json(
            200,
            {
                "model_id": self.model_id,
                "model_sha": None,
                "model_pipeline_tag": "text-generation",
                "max_concurrent_requests": self.permits.most,
                "max_best_of": 2,
                "max_stop_sequences": 4,
                "max_input_tokens": 4095,
                "max_total_tokens": 4096,
                "max_batch_total_tokens": 16000,
                "max_waiting_tokens": 20,
                "max_batch_size": None,
                "validation_workers": 2,
                "max_client_batch_size": 4,
                "version": VERSION,
                "sha": None,
                "docker_label": None,
            },
        )


_TEXT: Final = {"inputs": Deserializer.string}

_TASK_TYPES: Final[Mapping[str, str]] = {
    "/": "completion",
    "/invocations": "completion",
    "/v1/chat/completions": "chat_completion",
}

_Route = Callable[[Tgi, TwinRequest], TwinAnswer]


def _get(respond: _Route) -> Mapping[str, _Route]:
    return {"GET": respond, "HEAD": respond}


def _post(respond: Callable[[Tgi, bytes], TwinAnswer]) -> Mapping[str, _Route]:
    return {
        "POST": lambda tgi, request: tgi.post(respond, request.headers, request.body, request.hold)
    }


_ROUTES: Final[Mapping[str, Mapping[str, _Route]]] = {
    "/": {**_get(Tgi.health), **_post(Tgi.generate)},
    "/invocations": _post(Tgi.generate),
    "/v1/chat/completions": _post(Tgi.chat),
    "/v1/models": _get(Tgi.models),
    "/health": _get(Tgi.health),
    "/ping": _get(Tgi.health),
    "/info": _get(Tgi.info),
    "/metrics": _get(Tgi.metrics),
}
