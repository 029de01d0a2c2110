"""vLLM's OpenAI server as a function: chat, and the routes around it.

Known differences: what is wrong with a body's shape is said in serde's words,
not in pydantic's; ``n`` has no effect; of vLLM's checks only those of the model,
the messages and the sampling parameters are here.

Source: vLLM ``entrypoints/openai/chat_completion``, ``engine/protocol.py``;
upstream.md section 1d.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from time import time
from typing import ClassVar, Final

from esinfer.twin.answers import EVENT_STREAM, JSON, Failure, Refused, TwinAnswer, TwinRequest, json
from esinfer.twin.axum import answered, lower
from esinfer.twin.chat import called_tool, complete
from esinfer.twin.chat_forms import Said, spoken
from esinfer.twin.chat_request import ChatRequest, load_chat_request
from esinfer.twin.effort import is_short
from esinfer.twin.known_models import DEFAULT_MODEL
from esinfer.twin.permits import Hold
from esinfer.twin.serde import MalformedBody
from esinfer.twin.servers import UNLIMITED, Kind
from esinfer.twin.vllm_forms import Ended, Head, VllmEvents, ended, whole

_CHAT: Final = "/v1/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vllm:
    """A vLLM server; ``now`` gives seconds since 1970."""

    has_cors: ClassVar[bool] = False
    model_id: str = DEFAULT_MODEL
    api_key: str | None = field(default=None, repr=False)
    payload_limit: int = UNLIMITED
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
        """Answer a body as a chat: a model of chats has no other route for it."""
        del kind, path, hold
        return self.answer(TwinRequest(method="POST", path=_CHAT, headers=headers, body=body))

    def task_of(self, method: str, path: str) -> str | None:
        """There is chat alone."""
        return "chat_completion" if (method, path) == ("POST", _CHAT) else None

    def is_quick(self, path: str, body: bytes) -> bool:
        """There is little to do but to read."""
        del path
        return is_short(body)

    def chat(self, request: TwinRequest) -> TwinAnswer:
        """``POST /v1/chat/completions``."""
        try:
            asked = load_chat_request(request.body)
            tool = called_tool(asked)
        except MalformedBody as error:
            raise refusal(400, error.reason) from error
        except Failure as error:
            raise refusal(400, error.error.removeprefix("Tool error: ")) from error
        self._check(asked)
        completion = complete(asked, tool)
        head = Head(_id(request.body), self.model_id, int(self.now()))

        def say(said: Said) -> TwinAnswer:
            told = ended(spoken(said, completion.prompt_tokens), ())
            return replace(_answer(told, asked, head), say=say)

        return replace(_answer(ended(completion, asked.stop), asked, head), say=say)

    def models(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /v1/models``: the only one."""
        model = {"id": self.model_id, "object": "model", "created": int(self.now())}
        return json(200, {"object": "list", "data": [{**model, "owned_by": "vllm"}]})

    def health(self, _request: TwinRequest) -> TwinAnswer:
        """``GET /health``."""
        return TwinAnswer(status=200)

    def _answer(self, request: TwinRequest) -> TwinAnswer:
        if request.path.startswith("/v1") and not self._admits(request.headers):
            return json(401, {"error": "Unauthorized"})
        methods = _ROUTES.get(request.path)
        if methods is None:
            return json(404, {"detail": "Not Found"})
        respond = methods.get(request.method)
        if respond is None:
            return json(405, {"detail": "Method Not Allowed"}, {"allow": ", ".join(methods)})
        return respond(self, request)

    def _admits(self, headers: Mapping[str, str]) -> bool:
        return self.api_key is None or lower(headers).get("authorization") == (
            f"Bearer {self.api_key}"
        )

    def _check(self, request: ChatRequest) -> None:
        if request.model not in {None, self.model_id}:
            said = f"The model `{request.model}` does not exist."
            raise refusal(404, said, "NotFoundError")
        for wrong, reason in _FAULTS:
            if wrong(request):
                raise refusal(400, reason.format(request=request))


def _answer(end: Ended, asked: ChatRequest, head: Head) -> TwinAnswer:
    if not asked.stream:
        return TwinAnswer(status=200, content_type=JSON, body=whole(end, head))
    events = VllmEvents(end, head, with_usage=asked.include_usage)
    content_type = f"{EVENT_STREAM}; charset=utf-8"
    return TwinAnswer(status=200, content_type=content_type, events=events)


def refusal(status: int, message: str, kind: str = "BadRequestError") -> Refused:
    """An error as vLLM writes it: an object, with its status as a number."""
    error = {"message": message, "type": kind, "param": None, "code": status}
    return Refused(json(status, {"error": error}))


def _id(body: bytes) -> str:
    return blake2b(body, digest_size=16).hexdigest()


_FAULTS: Final[Sequence[tuple[Callable[[ChatRequest], bool], str]]] = (
    (lambda it: not it.messages, "You must provide at least one message."),
    (
        lambda it: (it.temperature or 0) < 0,
        "temperature must be non-negative, got {request.temperature}.",
    ),
    (
        lambda it: it.top_p is not None and not 0 < it.top_p <= 1,
        "top_p must be in (0, 1], got {request.top_p}.",
    ),
    (lambda it: it.max_tokens == 0, "max_tokens must be at least 1, got {request.max_tokens}."),
    (
        lambda it: abs(it.presence_penalty or 0) > 2,
        "presence_penalty must be in [-2, 2], got {request.presence_penalty}.",
    ),
    (
        lambda it: abs(it.frequency_penalty or 0) > 2,
        "frequency_penalty must be in [-2, 2], got {request.frequency_penalty}.",
    ),
)

_ROUTES: Final[Mapping[str, Mapping[str, Callable[[Vllm, TwinRequest], TwinAnswer]]]] = {
    _CHAT: {"POST": Vllm.chat},
    "/v1/models": {"GET": Vllm.models},
    "/health": {"GET": Vllm.health},
    "/ping": {"GET": Vllm.health, "POST": Vllm.health},
}
