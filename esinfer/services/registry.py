"""Every service by name. A new provider is one import and one entry here."""

from __future__ import annotations

from collections.abc import Mapping

from esinfer.errors import UnknownService, UnsupportedTask
from esinfer.services import hugging_face, hugging_face_elser
from esinfer.services.base import Service, Task
from esinfer.tasks import TaskType

SERVICES: Mapping[str, Service] = {
    service.name: service for service in (hugging_face.SERVICE, hugging_face_elser.SERVICE)
}


class ServiceRegistry:
    """Looks services and their tasks up, with Elasticsearch's errors for what is missing."""

    def __init__(self, services: Mapping[str, Service] = SERVICES) -> None:
        self._services = services

    @property
    def services(self) -> list[Service]:
        """All services, the hidden ones too."""
        return list(self._services.values())

    def service(self, name: str) -> Service:
        if name not in self._services:
            raise UnknownService(service=name)
        return self._services[name]

    def task(self, service: Service, task_type: TaskType) -> Task:
        if task_type not in service.tasks:
            raise UnsupportedTask(service=service.name, task_type=task_type)
        return service.tasks[task_type]

    def listed(self, task_type: TaskType = TaskType.ANY) -> list[Service]:
        """The services of the catalogue, by name; with a task type, those that support it."""
        return sorted(
            (
                service
                for service in self._services.values()
                if not service.hidden and (task_type is TaskType.ANY or task_type in service.tasks)
            ),
            key=lambda service: service.name,
        )
