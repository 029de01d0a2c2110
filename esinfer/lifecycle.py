"""The life of inference endpoints: create, update, delete.

Each function of ``Lifecycle`` keeps Elasticsearch's order of checks, since
that order decides which error a caller sees. Source: rest.md sections 2, 4,
5 and 10, hugging_face.md section 8.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from esinfer import java
from esinfer.chunking import settings as chunking
from esinfer.endpoints import EndpointStore, InferenceEndpoint
from esinfer.errors import (
    ActionRequestValidation,
    ConflictingTaskTypes,
    DeleteDuringUpdate,
    ElasticsearchError,
    EndpointNotFound,
    EndpointToUpdateNotFound,
    EndpointUnreadable,
    InvalidTaskType,
    MissingService,
    MissingServiceSettings,
    MissingTaskType,
    TaskTypeMismatch,
    TaskTypeMustMatch,
    UnknownSettings,
    UpdateInProgress,
    ValidationCallFailed,
)
from esinfer.inference import Inference, default_timeout
from esinfer.services.registry import ServiceRegistry
from esinfer.services.settings import load_secrets, update_secrets
from esinfer.tasks import TaskType
from esinfer.threads import run_beside

if TYPE_CHECKING:
    from esinfer.services.base import Service

_INFERENCE_ID = re.compile(r"[a-z0-9](?:[a-z0-9_\-.]*[a-z0-9])?")


def check_inference_id(inference_id: str) -> None:
    """Refuse an id that no endpoint may have; on create and update only."""
    if inference_id == "_all" or not _INFERENCE_ID.fullmatch(inference_id):
        raise ActionRequestValidation(
            [
                f"Invalid inference_id; '{inference_id}' can contain lowercase alphanumeric"
                " (a-z and 0-9), hyphens or underscores; must start and end with alphanumeric"
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The body of a PUT: what it says, what was read of it, what is wrong with some of it."""

    body: Mapping[str, object] = field(repr=False)
    members: Mapping[str, Any] = field(repr=False)
    problems: Mapping[str, ElasticsearchError]

    def get(self, name: str) -> Any:
        """A member, None if absent; raises what is wrong with it, now that it is wanted."""
        if name in self.problems:
            raise self.problems[name]
        return self.members[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The body of an ``_update``."""

    task_type: TaskType | None
    service_settings: Mapping[str, object]
    task_settings: Mapping[str, object]
    chunking_settings: Mapping[str, object]


class Lifecycle:
    """Creates, changes and removes endpoints of one store."""

    def __init__(
        self,
        store: EndpointStore,
        registry: ServiceRegistry,
        inference: Inference,
        *,
        skip_validation: bool = False,
    ) -> None:
        self._store = store
        self._registry = registry
        self._inference = inference
        self._skip_validation = skip_validation
        self._updating: set[str] = set()

    # -- create

    async def create(
        self,
        inference_id: str,
        url_task_type: TaskType,
        configuration: Configuration,
        timeout: float | None,
    ) -> InferenceEndpoint:
        """Validate, call the upstream once, store; the stored endpoint.

        That an id is taken shows only in the store, after the call.
        """
        task_type = resolve_task_type(url_task_type, configuration.get("task_type"))
        name = configuration.get("service")
        if name is None:
            raise MissingService
        service = self._registry.service(name)
        read = partial(self._read, inference_id, task_type, service, configuration)
        endpoint = await run_beside(read)
        endpoint = await self._validated(service, endpoint, timeout)
        await self._store.create(endpoint)
        return endpoint

    def _read(
        self, inference_id: str, task_type: TaskType, service: Service, body: Configuration
    ) -> InferenceEndpoint:
        service_settings = body.get("service_settings")
        if service_settings is None:
            raise MissingServiceSettings
        task_settings = body.get("task_settings") or {}
        task = self._registry.task(service, task_type)
        chunking_settings = _chunking(body) if task.has_chunking_settings else None
        read = _READ_ALWAYS | {"chunking_settings"} if task.has_chunking_settings else _READ_ALWAYS
        endpoint = InferenceEndpoint(
            inference_id=inference_id,
            task_type=task_type,
            service=service.name,
            service_settings=task.settings.parse(service_settings, lambda: _json(service_settings)),
            secret_settings=load_secrets(service_settings),
            task_settings=task.task_settings.read(task_settings),
            chunking_settings=chunking_settings,
        )
        _refuse({name: body.body[name] for name in body.body if name not in read}, service)
        _refuse(task.task_settings.unknown_in(task_settings), service)
        return endpoint

    async def _validated(
        self, service: Service, endpoint: InferenceEndpoint, timeout: float | None
    ) -> InferenceEndpoint:
        """The endpoint with what its validation call measured."""
        if self._skip_validation:
            return endpoint
        task = service.tasks[endpoint.task_type]
        seconds = timeout or default_timeout(endpoint.task_type)
        try:
            if task.probe_streams:
                async with self._inference.stream(service, endpoint, task.probe, seconds):
                    return endpoint
            result = await self._inference.run(service, endpoint, task.probe, seconds)
        except ElasticsearchError as error:
            raise ValidationCallFailed from error
        return replace(endpoint, service_settings=task.measure(endpoint.service_settings, result))

    # -- read

    async def get(self, inference_id: str, task_type: TaskType) -> InferenceEndpoint:
        """The endpoint of that id, which must be of that task type."""
        endpoint = await self._store.get(inference_id)
        if endpoint is None:
            raise EndpointNotFound(inference_id=inference_id)
        if task_type not in (TaskType.ANY, endpoint.task_type):
            raise TaskTypeMismatch(requested=task_type, stored=endpoint.task_type)
        return endpoint

    async def list_endpoints(self, task_type: TaskType) -> Sequence[InferenceEndpoint]:
        """All endpoints of a task type, by id."""
        endpoints = await self._store.list()
        if task_type is TaskType.ANY:
            return endpoints
        return [endpoint for endpoint in endpoints if endpoint.task_type is task_type]

    # -- update

    async def update(
        self, inference_id: str, url_task_type: TaskType, change: Change, timeout: float | None
    ) -> InferenceEndpoint:
        """Merge a change into a stored endpoint; the endpoint as it is afterwards.

        A change that changes nothing is neither validated nor written.
        """
        requested = resolve_task_type(url_task_type, change.task_type)
        async with self._exclusively(inference_id):
            stored = await self._store.get(inference_id)
            if stored is None:
                raise EndpointToUpdateNotFound(inference_id=inference_id)
            if requested is not stored.task_type:
                raise TaskTypeMustMatch
            service = self._registry.service(stored.service)
            merged = await run_beside(partial(self._merge, stored, service, change))
            if merged == stored:
                return stored
            merged = await self._validated(service, merged, timeout)
            if not await self._store.replace(merged, stored=stored):
                raise EndpointToUpdateNotFound(inference_id=inference_id)
        return merged

    def _merge(
        self, stored: InferenceEndpoint, service: Service, change: Change
    ) -> InferenceEndpoint:
        task = self._registry.task(service, stored.task_type)
        if change.chunking_settings and not task.has_chunking_settings:
            _refuse({"chunking_settings": change.chunking_settings}, service)
        _refuse(task.task_settings.unknown_in(change.task_settings), service)
        members = task.update.parse(change.service_settings, lambda: _json(change.service_settings))
        return replace(
            stored,
            service_settings=replace(stored.service_settings, **members),
            task_settings=task.task_settings.merge(stored.task_settings, change.task_settings),
            secret_settings=update_secrets(stored.secret_settings, change.service_settings),
            chunking_settings=chunking.load(change.chunking_settings)
            if change.chunking_settings
            else stored.chunking_settings,
        )

    @asynccontextmanager
    async def _exclusively(self, inference_id: str) -> AsyncIterator[None]:
        if inference_id in self._updating:
            raise UpdateInProgress(inference_id=inference_id)
        self._updating.add(inference_id)
        try:
            yield
        finally:
            self._updating.discard(inference_id)

    # -- delete

    async def delete(
        self, inference_id: str, task_type: TaskType, *, dry_run: bool, force: bool = False
    ) -> None:
        """Remove an endpoint, or with ``dry_run`` only make sure that it is there.

        Nothing can refer to an endpoint here, so ``force`` overrides only that
        what is stored cannot be read; then nobody knows its task type, either.
        """
        try:
            await self.get(inference_id, task_type)
        except EndpointUnreadable:
            if not (force or dry_run):  # this is the order of Elasticsearch's checks
                raise
        if dry_run:
            return
        if inference_id in self._updating:
            raise DeleteDuringUpdate
        if not await self._store.delete(inference_id):
            raise EndpointNotFound(inference_id=inference_id)


def resolve_task_type(url: TaskType, body: str | None) -> TaskType:
    """The task type of a PUT from its path and its body, which may not contradict."""
    if url is TaskType.ANY:
        if body is None:
            raise MissingTaskType
        resolved = TaskType.parse(body)
        if resolved is TaskType.ANY:
            raise InvalidTaskType(task_type=resolved)
        return resolved
    if body is not None and TaskType.parse(body) is not url:
        raise ConflictingTaskTypes(url=url, body=body)
    return url


def _json(section: Mapping[str, object]) -> bytes:
    """The text in which the places of a section's errors are counted.

    The standard library's, since a section may hold numbers that orjson refuses.
    """
    text = json.dumps(section, ensure_ascii=False, separators=(",", ":"))
    if "Infinity" in text:  # of 1e999, and no JSON; Jackson quotes it
        text = json.dumps(json.loads(text, parse_constant=str), ensure_ascii=False)
    return text.encode()


_READ_ALWAYS = frozenset({"task_type", "service", "service_settings", "task_settings"})


def _chunking(body: Configuration) -> chunking.ChunkingSettings:
    return chunking.load(body.get("chunking_settings") or {})


def _refuse(leftover: Mapping[str, object] | None, service: Service) -> None:
    """Refuse settings that nobody has read."""
    if leftover:
        raise UnknownSettings(settings=java.text(leftover), service=service.name)
