"""``/_inference``: create, read, update and delete inference endpoints.

Source: rest.md sections 2 to 5.
"""

from __future__ import annotations

from aiohttp import web

from esinfer.api import body
from esinfer.api.keys import NAMESPACE
from esinfer.api.middleware import PARAMETERS
from esinfer.api.responses import respond_json
from esinfer.api.schemas import load_change, load_configuration
from esinfer.errors import BodyNotSupported
from esinfer.lifecycle import check_inference_id
from esinfer.tasks import TaskType

_ALL = frozenset({"_all", "*"})


def _task_type(request: web.Request) -> TaskType:
    return TaskType.parse(request.match_info.get("task_type", TaskType.ANY))


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


async def get_all(request: web.Request) -> web.StreamResponse:
    """``GET /_inference`` and ``GET /_inference/_all``."""
    reject_body(request)
    return await _list(request, TaskType.ANY)


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


async def delete(request: web.Request) -> web.StreamResponse:
    """``DELETE /_inference/[{task_type}/]{inference_id}?force&dry_run``."""
    task_type = _task_type(request)
    request[PARAMETERS].boolean("force")
    dry_run = request[PARAMETERS].boolean("dry_run")
    reject_body(request)
    inference_id = request.match_info["inference_id"]
    await request[NAMESPACE].lifecycle.delete(inference_id, task_type, dry_run=dry_run)
    answer: dict[str, object] = {"acknowledged": not dry_run, "pipelines": [], "indexes": []}
    if dry_run:
        answer["error_message"] = ""
    return await respond_json(request, answer)


def reject_body(request: web.Request) -> None:
    """Refuse unknown parameters, then a body where none is read."""
    request[PARAMETERS].reject_unknown()
    if request[body.HAS_BODY]:
        raise BodyNotSupported(method=request.method, path=request[PARAMETERS].path)
