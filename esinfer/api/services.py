"""``GET /_inference/_services``: the service catalogue, made from the settings' declarations.

Source: rest.md section 3.3.
"""

from __future__ import annotations

from aiohttp import web

from esinfer.api.answers import SERVICES
from esinfer.api.endpoints import reject_body
from esinfer.api.keys import REGISTRY
from esinfer.api.operation import documented
from esinfer.api.responses import respond_json
from esinfer.services.base import Service
from esinfer.tasks import TaskType


@documented("List the services and their settings", answer=SERVICES)
async def catalogue(request: web.Request) -> web.StreamResponse:
    """``GET /_inference/_services[/{task_type}]``."""
    task_type = TaskType.parse(request.match_info.get("task_type", TaskType.ANY))
    reject_body(request)
    services = request.app[REGISTRY].listed(task_type)
    return await respond_json(request, [describe(service) for service in services])


def describe(service: Service) -> dict[str, object]:
    """A service's entry; a setting lists the task types whose declaration has it."""
    configurations: dict[str, dict[str, object]] = {}
    supported: dict[str, list[TaskType]] = {}
    task_types = [task_type for task_type in TaskType if task_type in service.tasks]
    for task_type in task_types:
        for name, about in service.tasks[task_type].settings.configurations():
            configurations[name] = about
            supported.setdefault(name, []).append(task_type)
    return {
        "service": service.name,
        "name": service.label,
        "task_types": task_types,
        "configurations": {
            name: configurations[name] | {"supported_task_types": supported[name]}
            for name in sorted(configurations)
        },
    }
