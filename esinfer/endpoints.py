"""Inference endpoints and where they are kept.

``EndpointStore`` is what the durable stores in ``stores`` implement;
``MemoryStore`` keeps endpoints for the life of the process. Semantics: rest.md
section 10.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Protocol

from esinfer import java
from esinfer.chunking.settings import ChunkingSettings
from esinfer.errors import EndpointAlreadyExists, UpdateInProgress
from esinfer.tasks import TaskType


class Secret:
    """A secret text: only ``reveal`` gives it away, no ``repr`` or ``str`` does."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({java.MASK})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How many requests a minute the upstream is sent."""

    requests_per_minute: int

    def to_wire(self) -> dict[str, object]:
        return {"requests_per_minute": self.requests_per_minute}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Settings that every service over HTTP has; a provider adds its own.

    The wire form has the fields in the order in which ``wire_order`` names
    them, without those that are not set.
    """

    url: str = field(repr=False)  # it may have a user and a password
    rate_limit: RateLimit

    def to_wire(self) -> dict[str, object]:
        members = {name: getattr(self, name) for name in self.wire_order()}
        return {
            name: value.to_wire() if isinstance(value, RateLimit) else value
            for name, value in members.items()
            if value is not None
        }

    def wire_order(self) -> Sequence[str]:
        """``url``, then the provider's fields, ``rate_limit`` last."""
        own = [f.name for f in fields(self) if f.name not in ("url", "rate_limit")]
        return ["url", *own, "rate_limit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSettings:
    """What is stored apart and never shown."""

    api_key: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceEndpoint:
    """One configured inference: which service, which settings."""

    inference_id: str
    task_type: TaskType
    service: str
    service_settings: ServiceSettings
    secret_settings: SecretSettings = field(repr=False)
    task_settings: Mapping[str, object] = field(default_factory=dict)
    chunking_settings: ChunkingSettings | None = None

    def to_wire(self) -> dict[str, object]:
        """The object that PUT and GET answer with; secrets are no part of it."""
        wire: dict[str, object] = {
            "inference_id": self.inference_id,
            "task_type": self.task_type,
            "service": self.service,
            "service_settings": self.service_settings.to_wire(),
        }
        if self.task_settings:
            wire["task_settings"] = dict(self.task_settings)
        if self.chunking_settings is not None:
            wire["chunking_settings"] = self.chunking_settings.to_wire()
        return wire

    @property
    def rate_limit_group(self) -> RateLimitGroup:
        """Endpoints with the same address, key and limit share one pace."""
        settings = self.service_settings
        return _group(settings.url, self.secret_settings.api_key, settings.rate_limit)


@lru_cache(maxsize=1024)  # asked for with every request
def _group(url: str, api_key: Secret, rate_limit: RateLimit) -> RateLimitGroup:
    account = f"{url}\0{api_key.reveal()}"
    digest = hashlib.blake2b(account.encode(), digest_size=16).hexdigest()
    return RateLimitGroup(account=digest, requests_per_minute=rate_limit.requests_per_minute)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitGroup:
    """Key of a pace: a digest of address and key, and the limit."""

    account: str
    requests_per_minute: int


class EndpointStore(Protocol):
    """Keeps inference endpoints; an answered change is there for every later read."""

    async def get(self, inference_id: str) -> InferenceEndpoint | None:
        """The endpoint of that id, or None."""

    async def list(self) -> Sequence[InferenceEndpoint]:
        """All endpoints, ascending by id in plain code unit order."""

    async def create(self, endpoint: InferenceEndpoint) -> None:
        """Store a new endpoint; EndpointAlreadyExists if its id is taken."""

    async def replace(self, endpoint: InferenceEndpoint, *, stored: InferenceEndpoint) -> bool:
        """Store a changed endpoint in place of ``stored``; False if that id is gone.

        UpdateInProgress if another one is there by now: someone who shares the
        store was faster, and what they were told is stored must stay so.
        """

    async def delete(self, inference_id: str) -> bool:
        """Forget an endpoint; False if there was none."""


class MemoryStore:
    """An EndpointStore in memory."""

    def __init__(self) -> None:
        self._endpoints: dict[str, InferenceEndpoint] = {}

    async def get(self, inference_id: str) -> InferenceEndpoint | None:
        return self._endpoints.get(inference_id)

    async def list(self) -> Sequence[InferenceEndpoint]:
        return [self._endpoints[key] for key in sorted(self._endpoints)]

    async def create(self, endpoint: InferenceEndpoint) -> None:
        if endpoint.inference_id in self._endpoints:
            raise EndpointAlreadyExists(inference_id=endpoint.inference_id)
        self._endpoints[endpoint.inference_id] = endpoint

    async def replace(self, endpoint: InferenceEndpoint, *, stored: InferenceEndpoint) -> bool:
        current = self._endpoints.get(endpoint.inference_id)
        if current is None:
            return False
        if current != stored:
            raise UpdateInProgress(inference_id=endpoint.inference_id)
        self._endpoints[endpoint.inference_id] = endpoint
        return True

    async def delete(self, inference_id: str) -> bool:
        return self._endpoints.pop(inference_id, None) is not None
