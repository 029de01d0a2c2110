"""``POST /_inference/…``: one inference.

Where the path names the task type the body is read before the endpoint is
looked up, so that a bad body wins over 404; without it the endpoint comes
first. Source: rest.md section 6.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from aiohttp import web

from esinfer.api import answers, body
from esinfer.api.chat_schemas import ChatParser, load_chat_request
from esinfer.api.endpoints import TIMEOUT
from esinfer.api.keys import NAMESPACE, REGISTRY, WHOLE_CHAT
from esinfer.api.middleware import PARAMETERS
from esinfer.api.operation import documented
from esinfer.api.rerank_schemas import RerankParser, load_rerank_request
from esinfer.api.responses import SHAPE, respond
from esinfer.api.schemas import (
    InferenceParser,
    load_completion_request,
    load_embedding_request,
)
from esinfer.api.streaming import protocol_of, send_events
from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import (
    ChatOnlyStreams,
    EndpointNotFound,
    IncompatibleTaskType,
    ServiceDoesNotStream,
    StreamingNotAllowed,
    UnsupportedTask,
)
from esinfer.inference import default_timeout
from esinfer.services.base import Service
from esinfer.tasks import Request, TaskType

LOADERS: Mapping[TaskType, Callable[..., Request]] = {
    TaskType.TEXT_EMBEDDING: load_embedding_request,
    TaskType.SPARSE_EMBEDDING: load_embedding_request,
    TaskType.COMPLETION: load_completion_request,
    TaskType.RERANK: lambda read, *_, **__: load_rerank_request(read),
    TaskType.CHAT_COMPLETION: lambda read, *_, **__: load_chat_request(read),
}
"""How the body of each task is read; a task without a reader has no endpoint either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One inference, read and checked; nothing has been sent yet."""

    service: Service
    endpoint: InferenceEndpoint
    request: Request
    timeout: float


_BODIES = (InferenceParser(), RerankParser(), ChatParser())
UPSTREAM_ERRORS = (404, 429, 500, "3XX", "4XX")
"""An error of the upstream's has its status, or 400 for one that Elasticsearch has no name for."""


@documented(
    "Run an inference",
    description="The body is that of the endpoint's task type, and so is the answer.",
    parameters=[TIMEOUT],
    bodies=_BODIES,
    answer=answers.INFERENCE,
    answer_examples={
        "text_embedding": {"text_embedding": [{"embedding": [0.25, -0.5]}]},
        "sparse_embedding": {
            "sparse_embedding": [{"is_truncated": False, "embedding": {"fox": 1.5}}]
        },
        "rerank": {"rerank": [{"index": 1, "relevance_score": 0.75, "text": "the dog is lazy"}]},
        "completion": {"completion": [{"result": "Hello."}]},
    },
    errors=UPSTREAM_ERRORS,
    error=answers.INFERENCE_ERROR,
)
async def infer(request: web.Request) -> web.StreamResponse:
    """``POST /_inference/[{task_type}/]{inference_id}``."""
    call = await _read(request)
    if call.endpoint.task_type is TaskType.CHAT_COMPLETION and not request.app[WHOLE_CHAT]:
        raise ChatOnlyStreams
    result = await request[NAMESPACE].inference.run(
        call.service, call.endpoint, call.request, call.timeout
    )
    return await respond(request, result.to_json())


@documented(
    "Run an inference, answered as server-sent events",
    description="Each `event: message` holds a part as JSON, the last one `[DONE]`. An error is an "
    "`event: error`, with its status if nothing has been sent yet, or else within the stream.",
    parameters=[TIMEOUT],
    bodies=_BODIES,
    answer_examples={
        "completion": 'event: message\ndata: {"completion":[{"delta":"Hello."}]}\n\n'
        "event: message\ndata: [DONE]\n\n"
    },
    is_event_stream=True,
    errors=(405, *UPSTREAM_ERRORS),
    error=answers.INFERENCE_ERROR,
)
async def stream(request: web.Request) -> web.StreamResponse:
    """``POST …/_stream``: the answer as events; refused for tasks that do not stream."""
    request[SHAPE] = replace(request[SHAPE], is_stream=True)
    call = await _read(request)
    _check_streams(call.service, call.endpoint.task_type)
    inference = request[NAMESPACE].inference
    with protocol_of(request).cancel_on_loss():
        async with inference.stream(
            call.service, call.endpoint, call.request, call.timeout
        ) as batches:
            return await send_events(request, batches)


async def _read(request: web.Request) -> Call:
    """The call; where the path names the task type, the body is read first."""
    requested = TaskType.parse(request.match_info.get("task_type", TaskType.ANY))
    _shape_errors(request, requested)
    parameters = request[PARAMETERS]
    timeout = parameters.time("timeout")
    data = await body.required_bytes(request)
    parameters.reject_unknown()
    loaded = await _load(request, data, requested, from_url=True)
    endpoint = await find_endpoint(request)
    service = request.app[REGISTRY].service(endpoint.service)
    if requested not in (TaskType.ANY, endpoint.task_type):
        raise IncompatibleTaskType(requested=requested, stored=endpoint.task_type)
    if loaded is None:
        _shape_errors(request, endpoint.task_type)
        loaded = await _load(request, data, endpoint.task_type, from_url=False)
    if loaded is None:
        raise UnsupportedTask(service=service.name, task_type=endpoint.task_type)
    body.check_inputs(request, getattr(loaded, "inputs", ()))  # a chat has messages
    return Call(
        service=service,
        endpoint=endpoint,
        request=loaded,
        timeout=timeout or default_timeout(endpoint.task_type),
    )


def _shape_errors(request: web.Request, task_type: TaskType) -> None:
    """From here on errors take the task's form."""
    if task_type is TaskType.CHAT_COMPLETION:
        request[SHAPE] = replace(request[SHAPE], is_chat=True)


async def _load(
    request: web.Request, data: bytes, task_type: TaskType, *, from_url: bool
) -> Request | None:
    """The task's request, None for a task without a reader."""
    load = LOADERS.get(task_type)
    if load is None:
        return None
    return await body.load(request, data, partial(load, task_type=task_type, from_url=from_url))


async def find_endpoint(request: web.Request) -> InferenceEndpoint:
    """The endpoint that the path names; EndpointNotFound if there is none."""
    inference_id = request.match_info["inference_id"]
    endpoint = await request[NAMESPACE].store.get(inference_id)
    if endpoint is None:
        raise EndpointNotFound(inference_id=inference_id)
    return endpoint


def _check_streams(service: Service, task_type: TaskType) -> None:
    supported = service.streaming_tasks
    if not supported:
        raise ServiceDoesNotStream(service=service.name)
    if task_type not in supported:
        raise StreamingNotAllowed(
            service=service.name, task_type=task_type, supported=",".join(supported)
        )
