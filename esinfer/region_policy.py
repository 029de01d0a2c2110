"""The region policy, and where it is kept.

It says where Elastic's own inference service may run a request. esinfer has no
endpoint of that service, so the policy is kept and shown, and binds nobody.
Source: rest.md section 9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from esinfer.errors import ResourceNotFound


class NoRegionPolicy(ResourceNotFound):
    template = "No region policy is configured for this deployment"


@dataclass(frozen=True, slots=True, kw_only=True)
class CspRegion:
    """A region of a cloud service provider, such as ``us-east-1`` of ``aws``."""

    csp: str
    region: str

    def to_wire(self) -> dict[str, object]:
        return {"csp": self.csp, "region": self.region}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPolicy:
    """What is allowed: areas such as ``eu``, or single regions; None where nothing was said."""

    allowed_geos: tuple[str, ...] | None = None
    allowed_regions: tuple[CspRegion, ...] | None = None
    fallback_region: CspRegion | None = None

    def to_wire(self) -> dict[str, object]:
        wire: dict[str, object] = {}
        if self.allowed_geos is not None:
            wire["allowed_geos"] = list(self.allowed_geos)
        if self.allowed_regions is not None:
            wire["allowed_regions"] = [region.to_wire() for region in self.allowed_regions]
        if self.fallback_region is not None:
            wire["fallback_region"] = self.fallback_region.to_wire()
        return wire


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRegionPolicy:
    """The policy, when it came and who put it; ``updated_at`` is None until it is replaced.

    Who it was is None where there was no security.
    """

    region_policy: RegionPolicy
    created_at: datetime
    created_by: str | None = None
    updated_at: datetime | None = None
    updated_by: str | None = None

    def to_wire(self) -> dict[str, object]:
        """The object that PUT and GET answer with; what is not known is left out."""
        updated_at = self.updated_at
        wire: dict[str, object] = {
            "region_policy": self.region_policy.to_wire(),
            "created_at": _instant(self.created_at),
            "created_by": self.created_by,
            "updated_at": None if updated_at is None else _instant(updated_at),
            "updated_by": self.updated_by,
        }
        return {name: value for name, value in wire.items() if value is not None}


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _now() -> datetime:
    return datetime.now(UTC)


def successor(
    stored: StoredRegionPolicy | None, policy: RegionPolicy, now: datetime, by: str | None = None
) -> StoredRegionPolicy:
    """What is stored after a PUT: a policy that replaces one keeps when and by whom it came."""
    if stored is None:
        return StoredRegionPolicy(region_policy=policy, created_at=now, created_by=by)
    return replace(stored, region_policy=policy, updated_at=now, updated_by=by)


class RegionPolicyStore(Protocol):
    """Keeps the one region policy; an answered change is there for every later read."""

    async def get_region_policy(self) -> StoredRegionPolicy | None:
        """The policy, or None."""

    async def put_region_policy(
        self, policy: RegionPolicy, now: datetime, by: str | None = None
    ) -> StoredRegionPolicy:
        """Store the ``successor`` in one step: of many first PUTs exactly one creates."""

    async def delete_region_policy(self) -> bool:
        """Forget the policy; False if there was none."""


class MemoryRegionPolicyStore:
    """A RegionPolicyStore in memory. No method awaits: each is one step of the event loop."""

    def __init__(self) -> None:
        self._stored: StoredRegionPolicy | None = None

    async def get_region_policy(self) -> StoredRegionPolicy | None:
        return self._stored

    async def put_region_policy(
        self, policy: RegionPolicy, now: datetime, by: str | None = None
    ) -> StoredRegionPolicy:
        self._stored = successor(self._stored, policy, now, by)
        return self._stored

    async def delete_region_policy(self) -> bool:
        stored, self._stored = self._stored, None
        return stored is not None


class RegionPolicies:
    """The region policy as the API sees it; ``clock`` gives the time in UTC."""

    def __init__(self, store: RegionPolicyStore, clock: Callable[[], datetime] = _now) -> None:
        self._store = store
        self._clock = clock

    async def put(self, policy: RegionPolicy, by: str | None = None) -> StoredRegionPolicy:
        """Store a policy, or replace the one there is, which keeps when and by whom it came."""
        return await self._store.put_region_policy(policy, self._clock(), by)

    async def get(self) -> StoredRegionPolicy:
        """The policy; NoRegionPolicy if there is none."""
        stored = await self._store.get_region_policy()
        if stored is None:
            raise NoRegionPolicy
        return stored

    async def delete(self) -> None:
        """Forget the policy; NoRegionPolicy if there is none."""
        if not await self._store.delete_region_policy():
            raise NoRegionPolicy
