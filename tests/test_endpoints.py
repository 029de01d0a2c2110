"""Endpoints and requests keep their secret, and the store its promises."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.endpoints import (
    InferenceEndpoint,
    MemoryStore,
    RateLimit,
    Secret,
    SecretSettings,
    ServiceSettings,
)
from esinfer.errors import EndpointAlreadyExists
from esinfer.services.hugging_face import build_embedding
from esinfer.tasks import EmbeddingRequest, TaskType

# The mark at the front is in no name or text of ours, so that no key is there by chance.
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12).map("§{}".format)


def endpoint_with(key: str, inference_id: str = "id", per_minute: int = 3000) -> InferenceEndpoint:
    return InferenceEndpoint(
        inference_id=inference_id,
        task_type=TaskType.TEXT_EMBEDDING,
        service="hugging_face",
        service_settings=ServiceSettings(
            url="http://h", rate_limit=RateLimit(requests_per_minute=per_minute)
        ),
        secret_settings=SecretSettings(api_key=Secret(key)),
    )


@given(KEYS)
def test_key_is_in_no_text_of_what_holds_it(key: str) -> None:
    endpoint = endpoint_with(key)
    request = build_embedding(endpoint, EmbeddingRequest(inputs=("a",)))
    holders = [
        endpoint,
        endpoint.secret_settings,
        endpoint.secret_settings.api_key,
        endpoint.rate_limit_group,
        endpoint.to_wire(),
        request,
        replace(endpoint, inference_id="other"),
        copy.copy(endpoint.secret_settings),
    ]
    for holder in holders:
        assert key not in f"{holder!r} {holder} {[holder]}"
    assert request.headers["Authorization"] == f"Bearer {key}"


def test_secrets_are_equal_by_their_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_group_is_address_key_and_limit() -> None:
    group = endpoint_with("k").rate_limit_group
    assert endpoint_with("k", "other").rate_limit_group == group
    assert endpoint_with("other").rate_limit_group != group
    assert endpoint_with("k", per_minute=5).rate_limit_group != group


async def test_store_lists_by_id() -> None:
    store = MemoryStore()
    for inference_id in ("b", "a10", "a-", "a1", "a_"):
        await store.create(endpoint_with("k", inference_id))
    assert [e.inference_id for e in await store.list()] == ["a-", "a1", "a10", "a_", "b"]


async def test_store_creates_once_and_replaces_only_what_is_there() -> None:
    store = MemoryStore()
    first, second = endpoint_with("k"), endpoint_with("k", per_minute=5)
    assert await store.get("id") is None
    assert not await store.replace(second, stored=first)
    await store.create(first)
    with pytest.raises(EndpointAlreadyExists, match=r"^Inference endpoint \[id\] already exists$"):
        await store.create(second)
    assert await store.get("id") == first
    assert await store.replace(second, stored=first)
    assert await store.get("id") == second
    assert await store.delete("id")
    assert not await store.delete("id")
