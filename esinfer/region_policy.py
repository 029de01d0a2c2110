"""The region policy, and where it is kept.

It says where Elastic's own inference service may run a request. esinfer has no
endpoint of that service, so the policy is kept and shown, and binds nobody.
Source: rest.md section 9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

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
    """The policy and when it came; ``updated_at`` is None until it is replaced."""

    region_policy: RegionPolicy
    created_at: datetime
    updated_at: datetime | None = None

    def to_wire(self) -> dict[str, object]:
        """The object that PUT and GET answer with.

        Elasticsearch adds who did it only where security is on.
        """
        wire: dict[str, object] = {
            "region_policy": self.region_policy.to_wire(),
            "created_at": _instant(self.created_at),
        }
        if self.updated_at is not None:
            wire["updated_at"] = _instant(self.updated_at)
        return wire


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _now() -> datetime:
    return datetime.now(UTC)


class RegionPolicyStore:
    """Keeps the one region policy, for the life of the process.

    No method awaits, so the event loop sees each as a single step: of many
    first PUTs exactly one creates, and none is lost. ``clock`` gives the time
    in UTC.
    """

    def __init__(self, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        self._stored: StoredRegionPolicy | None = None

    def put(self, policy: RegionPolicy) -> StoredRegionPolicy:
        """Store a policy, or replace the one there is; it keeps its ``created_at``."""
        now = self._clock()
        if self._stored is None:
            stored = StoredRegionPolicy(region_policy=policy, created_at=now)
        else:
            stored = replace(self._stored, region_policy=policy, updated_at=now)
        self._stored = stored
        return stored

    def get(self) -> StoredRegionPolicy:
        """The policy; NoRegionPolicy if there is none."""
        if self._stored is None:
            raise NoRegionPolicy
        return self._stored

    def delete(self) -> None:
        """Forget the policy; NoRegionPolicy if there is none."""
        if self._stored is None:
            raise NoRegionPolicy
        self._stored = None
