"""The region policy as a row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from esinfer.region_policy import CspRegion, RegionPolicy, StoredRegionPolicy

PolicyRow: TypeAlias = tuple[str, str, str | None, str | None, str | None]
"""The policy as JSON, when it was created and last replaced (ISO 8601), and who did that."""


def to_row(stored: StoredRegionPolicy) -> PolicyRow:
    updated_at = stored.updated_at
    return (
        json.dumps(stored.region_policy.to_wire()),
        stored.created_at.isoformat(),
        None if updated_at is None else updated_at.isoformat(),
        stored.created_by,
        stored.updated_by,
    )


def from_row(row: PolicyRow) -> StoredRegionPolicy:
    policy, created_at, updated_at, created_by, updated_by = row
    return StoredRegionPolicy(
        region_policy=_policy(json.loads(policy)),
        created_at=datetime.fromisoformat(created_at),
        created_by=created_by,
        updated_at=None if updated_at is None else datetime.fromisoformat(updated_at),
        updated_by=updated_by,
    )


def _policy(wire: Mapping[str, Any]) -> RegionPolicy:
    geos, regions = wire.get("allowed_geos"), wire.get("allowed_regions")
    fallback = wire.get("fallback_region")
    return RegionPolicy(
        allowed_geos=None if geos is None else tuple(geos),
        allowed_regions=None if regions is None else tuple(CspRegion(**each) for each in regions),
        fallback_region=None if fallback is None else CspRegion(**fallback),
    )
