"""The region policy as a row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from esinfer.region_policy import CspRegion, RegionPolicy, StoredRegionPolicy

PolicyRow: TypeAlias = tuple[str, str, str | None]
"""The policy as JSON, when it was created, when it was last replaced (ISO 8601)."""


def to_row(stored: StoredRegionPolicy) -> PolicyRow:
    updated_at = stored.updated_at
    return (
        json.dumps(stored.region_policy.to_wire()),
        stored.created_at.isoformat(),
        None if updated_at is None else updated_at.isoformat(),
    )


def from_row(row: PolicyRow) -> StoredRegionPolicy:
    policy, created_at, updated_at = row
    return StoredRegionPolicy(
        region_policy=_policy(json.loads(policy)),
        created_at=datetime.fromisoformat(created_at),
        updated_at=None if updated_at is None else datetime.fromisoformat(updated_at),
    )


def _policy(wire: Mapping[str, Any]) -> RegionPolicy:
    geos, regions = wire.get("allowed_geos"), wire.get("allowed_regions")
    fallback = wire.get("fallback_region")
    return RegionPolicy(
        allowed_geos=None if geos is None else tuple(geos),
        allowed_regions=None if regions is None else tuple(CspRegion(**each) for each in regions),
        fallback_region=None if fallback is None else CspRegion(**fallback),
    )
