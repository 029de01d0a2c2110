"""``/_inference``: create, read, update and delete inference endpoints.

Source: rest.md sections 2 to 5.
"""

from __future__ import annotations

from aiohttp import web

from esinfer.api import body, endpoint_schemas
from esinfer.api.answers import FLAG, TEXT
from esinfer.api.keys import NAMESPACE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.operation import BOOLEAN, TIME, Parameter, documented
from esinfer.api.responses import respond_json
from esinfer.api.schemas import load_change, load_configuration
from esinfer.errors import BodyNotSupported
from esinfer.json_schema import array, record
from esinfer.lifecycle import check_inference_id
from esinfer.tasks import TaskType

_ALL = frozenset({"_all", "*"})

TIMEOUT = Parameter(
    name="timeout",
    description="How long it may take: 30s, for completion and chat_completion 120s.",
    schema=TIME,
)
_EXAMPLE = {
    "service": "hugging_face",
    "service_settings": {"api_key": "hf_any", "url": "https://example.com"},
}


def _task_type(request: web.Request) -> TaskType:
    return TaskType.parse(request.match_info.get("task_type", TaskType.ANY))


@documented(
    "Create an inference endpoint",
    description="Calls the upstream once; what goes wrong there is a 400.",
    parameters=[TIMEOUT],
    bodies=[endpoint_schemas.configurations],
    body_examples={
        "the least": _EXAMPLE | {"task_type": "text_embedding"},
        "with chunks and a rate limit": {
            "service": "hugging_face",
            "task_type": "text_embedding",
            "service_settings": {
                "api_key": "hf_any",
                "url": "https://example.com",
                "rate_limit": {"requests_per_minute": 120},
            },
            "chunking_settings": {"strategy": "word", "max_chunk_size": 10, "overlap": 2},
        },
    },
    answer=endpoint_schemas.endpoint,
    answer_examples={
        "text_embedding": {
            "inference_id": "my-embeddings",
            "task_type": "text_embedding",
            "service": "hugging_face",
            "service_settings": {
                "url": "https://example.com",
                "similarity": "cosine",
                "dimensions": 384,
                "rate_limit": {"requests_per_minute": 3000},
            },
            "chunking_settings": {
                "strategy": "sentence",
                "max_chunk_size": 250,
                "sentence_overlap": 1,
            },
        }
    },
    errors=[500],
)
async def put(request: web.Request) -> web.StreamResponse:
    """``PUT /_inference/[{task_type}/]{inference_id}``."""
    inference_id = request.match_info["inference_id"]
    task_type = _task_type(request)
    timeout = request[PARAMETERS].time("timeout")
    data = await body.required_bytes(request)
    request[PARAMETERS].reject_unknown()
    check_inference_id(inference_id)
    configuration = await body.load_map(request, data, load_configuration)
    endpoint = await request[NAMESPACE].lifecycle.create(
        inference_id, task_type, configuration, timeout
    )
    return await respond_json(request, endpoint.to_wire())


@documented(
    "Change an inference endpoint",
    description="Settings are merged, `chunking_settings` replaced.",
    parameters=[
        TIMEOUT,
        Parameter(name="master_timeout", description="Without effect.", schema=TIME),
    ],
    bodies=[endpoint_schemas.changes],
    body_examples={
        "rate limit": {"service_settings": {"rate_limit": {"requests_per_minute": 120}}},
        "key": {"service_settings": {"api_key": "hf_another"}},
    },
    answer=endpoint_schemas.endpoint,
    errors=[404, 409, 500],
)
async def update(request: web.Request) -> web.StreamResponse:
    """``PUT /_inference/[{task_type}/]{inference_id}/_update``."""
    inference_id = request.match_info["inference_id"]
    task_type = _task_type(request)
    timeout = request[PARAMETERS].time("timeout")
    request[PARAMETERS].time("master_timeout")
    data = await body.required_bytes(request)
    request[PARAMETERS].reject_unknown()
    check_inference_id(inference_id)
    change = await body.load_map(request, data, load_change)
    endpoint = await request[NAMESPACE].lifecycle.update(inference_id, task_type, change, timeout)
    return await respond_json(request, endpoint.to_wire())


@documented("List all inference endpoints", answer=endpoint_schemas.endpoints)
async def get_all(request: web.Request) -> web.StreamResponse:
    """``GET /_inference`` and ``GET /_inference/_all``."""
    reject_body(request)
    return await _list(request, TaskType.ANY)


@documented(
    "Show an inference endpoint",
    description="`_all` or `*` as its id shows all of the task type.",
    parameters=[
        Parameter(name="return_minimal_config", description="Without effect.", schema=BOOLEAN)
    ],
    answer=endpoint_schemas.endpoints,
    errors=[404],
)
async def get(request: web.Request) -> web.StreamResponse:
    """``GET /_inference/[{task_type}/]{inference_id}``; ``_all`` and ``*`` mean all."""
    task_type = _task_type(request)
    request[PARAMETERS].boolean("return_minimal_config")
    reject_body(request)
    inference_id = request.match_info["inference_id"]
    if inference_id in _ALL:
        return await _list(request, task_type)
    endpoint = await request[NAMESPACE].lifecycle.get(inference_id, task_type)
    return await respond_json(request, {"endpoints": [endpoint.to_wire()]})


async def _list(request: web.Request, task_type: TaskType) -> web.StreamResponse:
    endpoints = await request[NAMESPACE].lifecycle.list_endpoints(task_type)
    return await respond_json(
        request, {"endpoints": [endpoint.to_wire() for endpoint in endpoints]}
    )


@documented(
    "Delete an inference endpoint",
    parameters=[
        Parameter(
            name="force", description="Even if it is in use or cannot be read.", schema=BOOLEAN
        ),
        Parameter(name="dry_run", description="Only tell what uses it.", schema=BOOLEAN),
    ],
    answer=record(
        {"acknowledged": FLAG, "pipelines": array(TEXT), "indexes": array(TEXT)},
        {"error_message": {**TEXT, "description": "With `dry_run`."}},
    ),
    errors=[404, 409],
)
async def delete(request: web.Request) -> web.StreamResponse:
    """``DELETE /_inference/[{task_type}/]{inference_id}?force&dry_run``."""
    task_type = _task_type(request)
    force = request[PARAMETERS].boolean("force")
    dry_run = request[PARAMETERS].boolean("dry_run")
    reject_body(request)
    inference_id = request.match_info["inference_id"]
    lifecycle = request[NAMESPACE].lifecycle
    await lifecycle.delete(inference_id, task_type, dry_run=dry_run, force=force)
    answer: dict[str, object] = {"acknowledged": not dry_run, "pipelines": [], "indexes": []}
    if dry_run:
        answer["error_message"] = ""
    return await respond_json(request, answer)


def reject_body(request: web.Request) -> None:
    """Refuse unknown parameters, then a body where none is read."""
    request[PARAMETERS].reject_unknown()
    if request[body.HAS_BODY]:
        raise BodyNotSupported(method=request.method, path=request[PARAMETERS].path)
