"""What a provider is: a value with plain functions, no subclass, no I/O.

A task that a service does not support is an absent key of ``Service.tasks``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from esinfer.endpoints import InferenceEndpoint, ServiceSettings
from esinfer.services.settings import (
    NO_TASK_SETTINGS,
    ServiceSettingsParser,
    TaskSettingsSchema,
    UpdateParser,
)
from esinfer.sse import Event
from esinfer.tasks import Request, Result, TaskType
from esinfer.upstream import UpstreamRequest, UpstreamResponse


class EventReader(Protocol):
    """Turns the events of one stream into what a caller is sent."""

    def read(self, event: Event) -> Iterator[bytes]:
        """JSON to pass on for an event, on one line each; raises what ends the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """How a task streams: the request, and a new reader for each stream."""

    build: Callable[[InferenceEndpoint, Any], UpstreamRequest]
    reader: Callable[[InferenceEndpoint], EventReader]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunking:
    """How a task takes the inputs of chunked inference.

    ``batch_size`` is how many chunks one request holds, None for any number;
    ``whole`` tells that an input is never cut, so that it is its only chunk.
    """

    batch_size: int | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task of a service.

    ``settings`` and ``update`` read ``service_settings`` of a PUT and of an
    ``_update``. ``probe`` is the request of the validation call. ``measure``
    completes the settings with what the validation call's result shows.
    ``accept`` refuses requests before anything is sent; ``check`` raises for
    an error status; ``parse`` turns a good answer into a result.
    ``character_limit`` is the length in UTF-16 units to which each text is
    cut before sending, None for no cut. ``task_settings`` reads the section
    of that name. ``probe_streams`` tells that
    the validation call only looks whether a stream begins. ``chunking`` is
    None for tasks without chunked inference; ``chunking_settings`` are read
    where ``has_chunking_settings``.
    """

    settings: ServiceSettingsParser
    update: UpdateParser
    probe: Request
    accept: Callable[[InferenceEndpoint, Any], None]
    build: Callable[[InferenceEndpoint, Any], UpstreamRequest]
    check: Callable[[InferenceEndpoint, UpstreamResponse], None]
    parse: Callable[[InferenceEndpoint, Any, UpstreamResponse], Result]
    character_limit: Callable[[InferenceEndpoint], int | None] = lambda _endpoint: None
    measure: Callable[[ServiceSettings, Result], ServiceSettings] = lambda settings, _result: (
        settings
    )
    task_settings: TaskSettingsSchema = NO_TASK_SETTINGS
    streaming: Streaming | None = None
    probe_streams: bool = False
    chunking: Chunking | None = None
    has_chunking_settings: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A provider integration.

    ``label`` is its display name, ``provider`` the name that errors use;
    ``hidden`` services work but are not listed by ``_services``.
    """

    name: str
    label: str
    provider: str
    tasks: Mapping[TaskType, Task]
    hidden: bool = False

    @property
    def streaming_tasks(self) -> list[TaskType]:
        """The task types that ``_stream`` answers."""
        return [task_type for task_type, task in self.tasks.items() if task.streaming]
