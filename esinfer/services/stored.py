"""Endpoints as text for a durable store, and back: the ``Codec`` of ``stores.rows``.

The settings of a service are a dataclass, and its declaration is all that is
needed: each field is written as JSON and read as the type that is declared.
So a new provider is stored without a line here. A field that is not stored
takes its default, an unknown one is refused: a newer esinfer wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from esinfer.chunking import settings as chunking
from esinfer.endpoints import InferenceEndpoint, Secret, SecretSettings
from esinfer.errors import ElasticsearchError
from esinfer.services.base import Task
from esinfer.services.registry import ServiceRegistry
from esinfer.stores.rows import Record
from esinfer.tasks import TaskType


class EndpointCodec:
    """Writes and reads the endpoints of a registry's services."""

    def __init__(self, registry: ServiceRegistry) -> None:
        self._registry = registry

    def dump(self, endpoint: InferenceEndpoint) -> Record:
        """The endpoint as text; TypeError for what could not be read back."""
        kind = self._task(endpoint.service, endpoint.task_type).settings.make
        if type(endpoint.service_settings) is not kind:
            raise TypeError(f"settings of {endpoint.service} must be {kind.__name__}")
        if type(endpoint.secret_settings) is not SecretSettings:
            raise TypeError("there is no way yet to store other secret settings")
        chunking_settings = endpoint.chunking_settings
        configuration = {
            "task_type": endpoint.task_type,
            "service": endpoint.service,
            "service_settings": _dump(endpoint.service_settings),
            "task_settings": _dump(endpoint.task_settings),
            "chunking_settings": chunking_settings and chunking_settings.to_wire(),
        }
        return Record(
            inference_id=endpoint.inference_id,
            configuration=_text(configuration),
            secrets=_text(_dump(endpoint.secret_settings)),
        )

    def load(self, record: Record) -> InferenceEndpoint:
        """The endpoint; ValueError for a text that is none, which it does not quote."""
        try:
            return self._load(
                record.inference_id, json.loads(record.configuration), json.loads(record.secrets)
            )
        except (TypeError, LookupError, AttributeError, ElasticsearchError) as error:
            raise ValueError("not the text of an endpoint") from error

    def _load(self, inference_id: str, stored: Any, secrets: object) -> InferenceEndpoint:
        task_type = TaskType(stored["task_type"])
        task = self._task(stored["service"], task_type)
        chunking_settings = stored["chunking_settings"]
        return InferenceEndpoint(
            inference_id=inference_id,
            task_type=task_type,
            service=stored["service"],
            service_settings=_load(task.settings.make, stored["service_settings"]),
            secret_settings=_load(SecretSettings, secrets),
            task_settings=_load(dict[str, object], stored["task_settings"]),
            chunking_settings=chunking_settings and chunking.load(chunking_settings),
        )

    def _task(self, service: str, task_type: TaskType) -> Task:
        return self._registry.task(self._registry.service(service), task_type)


def _text(value: object) -> str:
    """JSON in ASCII, so that a half of a surrogate pair survives as well."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _dump(value: object) -> object:
    """A value of a setting as JSON has it; TypeError if JSON has not."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Secret):
        return value.reveal()
    if is_dataclass(value):
        return {each.name: _dump(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _dump(member) for name, member in value.items()}
    if isinstance(value, Sequence):
        return [_dump(member) for member in value]
    raise TypeError(f"no setting may be {type(value).__name__}")


def _load(kind: Any, value: Any) -> Any:
    """The inverse of ``_dump`` for a value declared as ``kind``; TypeError if it is none."""
    if kind is object:
        return value
    if kind is Secret:
        return Secret(_load(str, value))
    if get_origin(kind) is not None:
        return _load_composite(get_origin(kind), get_args(kind), value)
    if is_dataclass(kind):
        return _load_dataclass(kind, value)
    if issubclass(kind, Enum):
        return kind(value)
    if type(value) is not kind:
        raise TypeError("another type was declared")
    return value


def _load_composite(origin: Any, kinds: Sequence[Any], value: Any) -> object:
    if origin in (Union, UnionType):
        return _load_union(kinds, value)
    if issubclass(origin, Mapping):
        return {name: _load(kinds[1], member) for name, member in value.items()}
    return tuple(_load(kinds[0], member) for member in value)


def _load_union(kinds: Sequence[Any], value: object) -> object:
    """The value as the one type beside None that may be declared."""
    if value is None and NoneType in kinds:
        return None
    (kind,) = (each for each in kinds if each is not NoneType)
    return _load(kind, value)


_hints = cache(get_type_hints)


def _load_dataclass(kind: Any, value: Mapping[str, object]) -> object:
    hints = _hints(kind)
    return kind(**{name: _load(hints[name], member) for name, member in value.items()})
