"""JSON Schemas of inference endpoints, made from the settings that the services declare.

What ``schemas`` and ``lifecycle`` check step by step is here said as a whole,
a service and task at a time. Source: rest.md sections 2 and 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

from aiohttp import web

from esinfer.api import answers
from esinfer.api.keys import REGISTRY
from esinfer.api.schemas import ChangeSchema, ConfigurationSchema
from esinfer.chunking.settings import JSON_SCHEMA as CHUNKING_SETTINGS
from esinfer.endpoints import RateLimit, ServiceSettings
from esinfer.json_schema import Json, Named, any_of, array, const, object_schema, record
from esinfer.services.base import Service, Task
from esinfer.tasks import TaskType

_NULL: Json = {"type": "null"}


def _tasks(app: web.Application) -> Iterator[tuple[Service, TaskType, Task]]:
    for service in app[REGISTRY].services:
        for task_type, task in service.tasks.items():
            yield service, task_type, task


def _name(service: Service, task_type: TaskType, what: str) -> str:
    words = f"{service.name}_{task_type}_{what}".split("_")
    return "".join(word.capitalize() for word in words)


# -- bodies -----------------------------------------------------------------


def configurations(app: web.Application) -> Json:
    """The body of a PUT."""
    return any_of(*(_configuration(*each) for each in _tasks(app)))


def _configuration(service: Service, task_type: TaskType, task: Task) -> Named:
    members: dict[str, Any] = {
        **object_schema(ConfigurationSchema())["properties"],
        "task_type": {**const(task_type), "description": "Where the path does not name it."},
        "service": const(service.name),
        "service_settings": task.settings,
        "task_settings": any_of(task.task_settings, _NULL),
        "chunking_settings": any_of(CHUNKING_SETTINGS, _NULL),
    }
    if not task.has_chunking_settings:
        del members["chunking_settings"]
    required = {name: members.pop(name) for name in ("service", "service_settings")}
    return Named(_name(service, task_type, "configuration"), record(required, members))


def changes(app: web.Application) -> Json:
    """The body of an ``_update``."""
    tasks = [task for *_, task in _tasks(app)]
    updates = {type(task.update): task.update for task in tasks}
    task_settings = {type(task.task_settings): task.task_settings for task in tasks}
    described = object_schema(ChangeSchema())
    members = {
        **described["properties"],
        "service_settings": any_of(*updates.values(), _NULL),
        "task_settings": any_of(*task_settings.values(), _NULL),
        "chunking_settings": any_of(CHUNKING_SETTINGS, _NULL),
    }
    return {**described, "properties": members, "minProperties": 1}


# -- answers ----------------------------------------------------------------


def endpoint(app: web.Application) -> Named:
    """The endpoint that PUT, GET and ``_update`` show: without secrets, with all defaults."""
    return Named("InferenceEndpoint", any_of(*(_shown(*each) for each in _tasks(app))))


def endpoints(app: web.Application) -> Json:
    """The answer of every GET."""
    return record({"endpoints": array(endpoint(app))})


def _shown(service: Service, task_type: TaskType, task: Task) -> Named:
    task_settings = object_schema(task.task_settings)["properties"]
    optional: dict[str, object] = {}
    if task_settings:
        optional["task_settings"] = record({}, task_settings)
    if task.has_chunking_settings:
        optional["chunking_settings"] = CHUNKING_SETTINGS
    members = {
        "inference_id": answers.TEXT,
        "task_type": const(task_type),
        "service": const(service.name),
        "service_settings": _settings(task.settings.make),
    }
    return Named(_name(service, task_type, "endpoint"), record(members, optional))


_JSON_TYPES: dict[object, Json] = {
    int: answers.INTEGER,
    int | None: answers.INTEGER,
    str: answers.TEXT,
    str | None: answers.TEXT,
    RateLimit: record({"requests_per_minute": answers.INTEGER}),
}


def _settings(make: type[ServiceSettings]) -> Json:
    """A settings value as it is shown; what is not set is left out."""
    hints = get_type_hints(make)
    members = {each.name: _JSON_TYPES[hints[each.name]] for each in fields(make)}
    optional = {each.name for each in fields(make) if each.default is not MISSING}
    return record(
        {name: schema for name, schema in members.items() if name not in optional},
        {name: schema for name, schema in members.items() if name in optional},
    )
