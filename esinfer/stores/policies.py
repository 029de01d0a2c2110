"""The region policy as a row."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from esinfer.errors import RegionPolicyUnreadable
from esinfer.region_policy import CspRegion, RegionPolicy, StoredRegionPolicy, successor
from esinfer.stores import texts

_LOGGER = logging.getLogger(__name__)
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
    """The policy; RegionPolicyUnreadable if the row is damaged."""
    try:
        return _stored(row)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        problem = type(error).__name__
        _LOGGER.error("the stored region policy cannot be read: %s", problem)  # noqa: TRY400
        raise RegionPolicyUnreadable from None  # the log has said it


def after(
    row: PolicyRow | None, policy: RegionPolicy, now: datetime, by: str | None
) -> StoredRegionPolicy:
    """The ``successor`` of a row; a damaged one counts for nothing."""
    try:
        stored = None if row is None else from_row(row)
    except RegionPolicyUnreadable:
        stored = None
    return successor(stored, policy, now, by)


def _stored(row: PolicyRow) -> StoredRegionPolicy:
    for text in row:
        texts.check(text or "")
    policy, created_at, updated_at, created_by, updated_by = row
    return StoredRegionPolicy(
        region_policy=_policy(json.loads(policy)),
        created_at=datetime.fromisoformat(created_at),
        updated_at=None if updated_at is None else datetime.fromisoformat(updated_at),
        created_by=created_by,
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
