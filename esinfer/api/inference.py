"""``POST /_inference/…``: one inference.

Where the path names the task type the body is read before the endpoint is
looked up, so that a bad body wins over 404; without it the endpoint comes
first. Source: rest.md section 6.1.
"""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from esinfer.api import body
from esinfer.api.keys import INFERENCE, REGISTRY, STORE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.responses import SHAPE, respond
from esinfer.api.schemas import load_embedding_request
from esinfer.endpoints import InferenceEndpoint
from esinfer.errors import (
    EndpointNotFound,
    IncompatibleTaskType,
    NotImplementedHere,
    ServiceDoesNotStream,
    StreamingNotAllowed,
)
from esinfer.inference import default_timeout
from esinfer.services.base import Service
from esinfer.tasks import EmbeddingRequest, TaskType

EMBEDDING_TASKS = frozenset({TaskType.TEXT_EMBEDDING, TaskType.SPARSE_EMBEDDING})


async def infer(request: web.Request) -> web.StreamResponse:
    """``POST /_inference/[{task_type}/]{inference_id}``."""
    endpoint, inputs, timeout = await _read(request)
    service = request.app[REGISTRY].service(endpoint.service)
    seconds = timeout or default_timeout(endpoint.task_type)
    result = await request.app[INFERENCE].run(service, endpoint, inputs, seconds)
    return respond(request, result.to_json())


async def stream(request: web.Request) -> web.StreamResponse:
    """``POST …/_stream``: refused, in an event, for tasks that do not stream."""
    request[SHAPE] = replace(request[SHAPE], is_stream=True)
    endpoint, _, _ = await _read(request)
    service = request.app[REGISTRY].service(endpoint.service)
    _check_streams(service, endpoint.task_type)
    raise NotImplementedHere(method=request.method, path=request.path)


async def _read(
    request: web.Request,
) -> tuple[InferenceEndpoint, EmbeddingRequest, float | None]:
    """The endpoint, its request and the timeout; nothing has been sent yet."""
    requested = TaskType.parse(request.match_info.get("task_type", TaskType.ANY))
    parameters = request[PARAMETERS]
    timeout = parameters.time("timeout")
    data = await body.required_bytes(request)
    parameters.reject_unknown()
    if requested is TaskType.ANY:
        endpoint = await _find(request)
        return endpoint, _load(request, data, endpoint.task_type, from_url=False), timeout
    inputs = _load(request, data, requested, from_url=True)
    endpoint = await _find(request)
    request.app[REGISTRY].service(endpoint.service)
    if endpoint.task_type is not requested:
        raise IncompatibleTaskType(requested=requested, stored=endpoint.task_type)
    return endpoint, inputs, timeout


def _load(
    request: web.Request, data: bytes, task_type: TaskType, *, from_url: bool
) -> EmbeddingRequest:
    if task_type not in EMBEDDING_TASKS:
        raise NotImplementedHere(method=request.method, path=request.path)
    return load_embedding_request(body.parse(request, data), task_type, from_url=from_url)


async def _find(request: web.Request) -> InferenceEndpoint:
    inference_id = request.match_info["inference_id"]
    endpoint = await request.app[STORE].get(inference_id)
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
