"""What the server says of itself; nothing of it is configured twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

Mode = Literal["serve", "mock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Names and versions; ids derive from the names, so that they are stable."""

    mode: Mode
    version: str
    cluster_name: str
    node_name: str

    @property
    def cluster_uuid(self) -> str:
        return _id(f"cluster {self.cluster_name}")

    @property
    def node_id(self) -> str:
        return _id(f"node {self.cluster_name} {self.node_name}")


def _id(seed: str) -> str:
    """22 characters, as Elasticsearch's ids have."""
    return hashlib.blake2b(seed.encode(), digest_size=11).hexdigest()
