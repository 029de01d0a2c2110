"""What was acknowledged, what was under way, and whether a store agrees.

The state of an id is a number: 0 is "not there", n is the one endpoint that
``endpoint_of`` makes of n, settings and secret alike, or the policy of n. So
half a change has no number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from esinfer.chunking import settings as chunking
from esinfer.endpoints import InferenceEndpoint, RateLimit, Secret, SecretSettings
from esinfer.region_policy import RegionPolicy, StoredRegionPolicy
from esinfer.services.hugging_face import EmbeddingSettings
from esinfer.stores.opening import OpenStore
from esinfer.tasks import TaskType

POLICY = "the region policy"
URL = "http://upstream.example"


class LossError(Exception):
    """A store is not as it was acknowledged."""


def api_key(number: int) -> str:
    return f"key-{number}-" + "x" * (number % 50)


def endpoint_of(inference_id: str, number: int) -> InferenceEndpoint:
    return InferenceEndpoint(
        inference_id=inference_id,
        task_type=TaskType.TEXT_EMBEDDING,
        service="hugging_face",
        service_settings=EmbeddingSettings(
            url=URL,
            rate_limit=RateLimit(requests_per_minute=number),
            max_input_tokens=number,
        ),
        secret_settings=SecretSettings(api_key=Secret(api_key(number))),
        chunking_settings=chunking.DEFAULT,
    )


def policy_of(number: int) -> RegionPolicy:
    return RegionPolicy(allowed_geos=tuple(f"geo-{number}-{n}" for n in range(number % 5 + 1)))


def number_of(endpoint: InferenceEndpoint) -> int:
    number = endpoint.service_settings.rate_limit.requests_per_minute
    if endpoint != endpoint_of(endpoint.inference_id, number):
        raise LossError(f"half a change: {endpoint}")
    return number


def number_of_policy(stored: StoredRegionPolicy) -> int:
    number = int((stored.region_policy.allowed_geos or ("0-0-0",))[0].split("-")[1])
    if stored.region_policy != policy_of(number):
        raise LossError(f"half a change: {stored}")
    return number


async def found_in(store: OpenStore) -> dict[str, int]:
    """The state of all that is in a store."""
    found = {each.inference_id: number_of(each) for each in await store.endpoints.list()}
    policy = await store.region_policy.get_region_policy()
    return found if policy is None else found | {POLICY: number_of_policy(policy)}


@dataclass(slots=True)
class Ledger:
    """The states that were acknowledged last, and those that were asked for since."""

    known: dict[str, int] = field(default_factory=dict)
    under_way: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0

    def begin(self, inference_id: str, number: int) -> None:
        self.under_way[inference_id] = number

    def done(self, inference_id: str, number: int) -> None:
        del self.under_way[inference_id]
        self.known[inference_id] = number
        self.acknowledged += 1

    def settle(self, found: Mapping[str, int]) -> None:
        """Compare with what is there now, and go on from it; LossError if they differ."""
        for each in self.known.keys() | self.under_way.keys() | found.keys():
            known = self.known.get(each, 0)
            allowed = {known, self.under_way.get(each, known)}
            if found.get(each, 0) not in allowed:
                raise LossError(f"[{each}] is {found.get(each, 0)}, and should be in {allowed}")
        self.known = dict(found)
        self.under_way.clear()
