"""What every store promises; the tests of a store inherit it.

A durable one also promises what ``DurableContract`` says. Source: rest.md
sections 9 and 10.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias

import pytest

from esinfer.chunking import settings as chunking
from esinfer.endpoints import (
    InferenceEndpoint,
    RateLimit,
    Secret,
    SecretSettings,
)
from esinfer.errors import (
    EndpointAlreadyExists,
    EndpointSealed,
    EndpointUnreadable,
    RegionPolicyUnreadable,
    StoreSealed,
    UpdateInProgress,
)
from esinfer.region_policy import CspRegion, RegionPolicy, StoredRegionPolicy
from esinfer.services.hugging_face import EmbeddingSettings
from esinfer.services.registry import ServiceRegistry
from esinfer.services.stored import EndpointCodec
from esinfer.stores.errors import StoreError
from esinfer.stores.opening import OpenStore, StoreSettings, read_store
from esinfer.tasks import TaskType

KEY = "A" * 43 + "="
OTHER_KEY = "B" * 42 + "A="
API_KEY = "hf_sEcReT0123456789"
NOON = datetime(2026, 1, 2, 12, 0, 0, 123_456, tzinfo=UTC)
EUROPE = RegionPolicy(allowed_geos=("eu",))
VIRGINIA = CspRegion(csp="aws", region="us-east-1")


def endpoint(inference_id: str = "id", *, dimensions: int | None = None) -> InferenceEndpoint:
    return InferenceEndpoint(
        inference_id=inference_id,
        task_type=TaskType.TEXT_EMBEDDING,
        service="hugging_face",
        service_settings=EmbeddingSettings(
            url="http://h/ä", rate_limit=RateLimit(requests_per_minute=7), dimensions=dimensions
        ),
        secret_settings=SecretSettings(api_key=Secret(API_KEY)),
        chunking_settings=chunking.DEFAULT,
    )


class Opening(Protocol):
    """Opens the store under test; the same one each time within a test."""

    def __call__(self, key: str = "") -> AbstractAsyncContextManager[OpenStore]: ...


Open: TypeAlias = Callable[..., AbstractAsyncContextManager[OpenStore]]


class StoreContract:
    """Inherited by the tests of every store; they provide the fixture ``opening``."""

    @pytest.fixture
    async def store(self, opening: Opening) -> AsyncIterator[OpenStore]:
        async with opening() as store:
            yield store

    async def test_what_was_created_is_got_whole(self, store: OpenStore) -> None:
        assert await store.endpoints.get("id") is None
        await store.endpoints.create(endpoint())
        for _ in range(2):
            assert await store.endpoints.get("id") == endpoint()
        assert await store.endpoints.list() == [endpoint()]

    async def test_an_id_is_taken_once(self, store: OpenStore) -> None:
        await store.endpoints.create(endpoint())
        with pytest.raises(EndpointAlreadyExists, match=r"^Inference endpoint \[id\] already"):
            await store.endpoints.create(endpoint(dimensions=3))
        assert await store.endpoints.get("id") == endpoint()

    async def test_of_many_creates_of_one_id_one_wins(self, store: OpenStore) -> None:
        async def create(dimensions: int) -> int | None:
            try:
                await store.endpoints.create(endpoint(dimensions=dimensions))
            except EndpointAlreadyExists:
                return None
            return dimensions

        created = await asyncio.gather(*map(create, range(1, 21)))
        (winner,) = (dimensions for dimensions in created if dimensions)
        assert await store.endpoints.get("id") == endpoint(dimensions=winner)

    async def test_the_list_is_in_code_unit_order(self, store: OpenStore) -> None:
        assert await store.endpoints.list() == []
        for inference_id in ("b", "a10", "a-", "a1", "a_", "a.b", "0"):
            await store.endpoints.create(endpoint(inference_id))
        listed = [each.inference_id for each in await store.endpoints.list()]
        assert listed == ["0", "a-", "a.b", "a1", "a10", "a_", "b"]

    async def test_a_replaced_endpoint_is_the_new_one(self, store: OpenStore) -> None:
        old, new = endpoint(), endpoint(dimensions=3)
        rekeyed = replace(new, secret_settings=SecretSettings(api_key=Secret("other")))
        await store.endpoints.create(old)
        assert await store.endpoints.get("id") == old
        assert await store.endpoints.replace(new, stored=old)
        assert await store.endpoints.get("id") == new
        assert await store.endpoints.replace(rekeyed, stored=new)
        assert await store.endpoints.get("id") == rekeyed
        assert await store.endpoints.list() == [rekeyed]

    async def test_what_is_gone_is_not_replaced(self, store: OpenStore) -> None:
        assert not await store.endpoints.replace(endpoint(dimensions=3), stored=endpoint())
        assert await store.endpoints.list() == []

    async def test_what_has_changed_meanwhile_is_not_replaced(self, store: OpenStore) -> None:
        await store.endpoints.create(endpoint(dimensions=1))
        with pytest.raises(UpdateInProgress):
            await store.endpoints.replace(endpoint(dimensions=3), stored=endpoint(dimensions=2))
        assert await store.endpoints.get("id") == endpoint(dimensions=1)

    async def test_a_deleted_id_is_free_again(self, store: OpenStore) -> None:
        await store.endpoints.create(endpoint())
        await store.endpoints.create(endpoint("other"))
        assert await store.endpoints.get("id") == endpoint()
        assert await store.endpoints.delete("id")
        assert not await store.endpoints.delete("id")
        assert await store.endpoints.get("id") is None
        assert await store.endpoints.list() == [endpoint("other")]
        await store.endpoints.create(endpoint(dimensions=3))
        assert await store.endpoints.get("id") == endpoint(dimensions=3)

    async def test_a_policy_keeps_when_it_was_created(self, store: OpenStore) -> None:
        regions = RegionPolicy(allowed_regions=(VIRGINIA,), fallback_region=VIRGINIA)
        first = StoredRegionPolicy(region_policy=EUROPE, created_at=NOON)
        later = NOON + timedelta(microseconds=1)
        second = StoredRegionPolicy(region_policy=regions, created_at=NOON, updated_at=later)
        policies = store.region_policy
        assert await policies.get_region_policy() is None
        assert await policies.put_region_policy(EUROPE, NOON) == first
        assert await policies.get_region_policy() == first
        assert await policies.put_region_policy(regions, later) == second
        assert await policies.get_region_policy() == second
        assert await policies.delete_region_policy()
        assert await policies.get_region_policy() is None
        assert not await policies.delete_region_policy()

    async def test_a_policy_keeps_who_created_it(self, store: OpenStore) -> None:
        put, get = store.region_policy.put_region_policy, store.region_policy.get_region_policy
        stored = await put(EUROPE, NOON, by="me")
        assert (stored.created_by, stored.updated_by) == ("me", None)
        assert await get() == stored
        for by in ("you", None):
            stored = await put(EUROPE, NOON, by=by)
            assert (stored.created_by, stored.updated_by) == ("me", by)
            assert await get() == stored

    async def test_of_many_first_policies_one_creates(self, store: OpenStore) -> None:
        put = store.region_policy.put_region_policy
        moments = [NOON + timedelta(seconds=n) for n in range(10)]
        stored = await asyncio.gather(*(put(EUROPE, moment) for moment in moments))
        assert len([each for each in stored if each.updated_at is None]) == 1
        assert len({each.created_at for each in stored}) == 1


class DurableContract(StoreContract):
    """Inherited by the tests of stores that outlive the process and are shared."""

    @pytest.fixture
    async def pair(self, opening: Opening) -> AsyncIterator[tuple[OpenStore, OpenStore]]:
        """Two servers at the same store."""
        async with opening() as one, opening() as other:
            yield one, other

    async def raw(self) -> bytes:
        """All that the database holds, as somebody finds it who gets hold of it."""
        raise NotImplementedError

    async def tamper(self, statement: str) -> None:
        """Run an SQL statement past the store."""
        raise NotImplementedError

    def settings(self, key: str = "") -> StoreSettings:
        """Those of the store under test."""
        raise NotImplementedError

    async def read(self, key: str = "") -> Sequence[InferenceEndpoint]:
        """What is stored, as somebody reads it who is no server."""
        return await read_store(self.settings(key), EndpointCodec(ServiceRegistry()), {})

    async def test_all_is_there_after_a_restart(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            await store.endpoints.create(endpoint("gone"))
            await store.endpoints.delete("gone")
            await store.endpoints.replace(endpoint(dimensions=3), stored=endpoint())
            stored = await store.region_policy.put_region_policy(EUROPE, NOON)
        async with opening() as store:
            assert await store.endpoints.list() == [endpoint(dimensions=3)]
            assert await store.endpoints.get("id") == endpoint(dimensions=3)
            assert await store.region_policy.get_region_policy() == stored

    async def test_stores_that_open_at_the_same_time_do_not_meet(self, opening: Opening) -> None:
        async with AsyncExitStack() as stack:
            openings = [stack.enter_async_context(opening()) for _ in range(6)]
            first, *_, last = await asyncio.gather(*openings)
            await first.endpoints.create(endpoint())
            assert await last.endpoints.get("id") == endpoint()

    async def test_of_two_who_change_the_same_endpoint_one_is_refused(
        self, pair: tuple[OpenStore, OpenStore]
    ) -> None:
        one, other = pair
        await one.endpoints.create(endpoint())
        assert await other.endpoints.get("id") == endpoint()
        assert await one.endpoints.replace(endpoint(dimensions=1), stored=endpoint())
        with pytest.raises(UpdateInProgress):
            await other.endpoints.replace(endpoint(dimensions=2), stored=endpoint())
        assert await one.endpoints.get("id") == endpoint(dimensions=1)

    async def test_secrets_are_in_the_database_only_sealed(self, opening: Opening) -> None:
        async with opening(KEY) as store:
            await store.endpoints.create(endpoint())
        raw = await self.raw()
        assert b"hugging_face" in raw
        assert API_KEY.encode() not in raw
        async with opening(KEY) as store:
            assert await store.endpoints.get("id") == endpoint()

    async def test_without_a_key_a_warning_is_logged_once(
        self, opening: Opening, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            await store.endpoints.list()
        (warning,) = (each for each in caplog.records if each.levelno >= logging.WARNING)
        assert "stored unencrypted" in warning.getMessage()
        caplog.clear()
        async with opening(KEY):
            assert not [each for each in caplog.records if each.levelno >= logging.WARNING]

    async def test_a_new_key_seals_again_what_is_there(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
        assert API_KEY.encode() in await self.raw()
        async with opening(KEY) as store:
            assert await store.endpoints.get("id") == endpoint()
        assert API_KEY.encode() not in await self.raw()
        async with opening(f"{OTHER_KEY},{KEY}") as store:
            await store.endpoints.create(endpoint("new"))
        async with opening(OTHER_KEY) as store:
            assert await store.endpoints.list() == [endpoint(), endpoint("new")]

    @pytest.mark.parametrize(("key", "problem"), [("", "are encrypted;"), (OTHER_KEY, "another")])
    async def test_a_wrong_key_is_refused_and_nothing_changed(
        self, opening: Opening, key: str, problem: str
    ) -> None:
        async with opening(KEY) as store:
            await store.endpoints.create(endpoint())
        with pytest.raises(StoreError, match=problem) as caught:
            async with opening(key):
                pass
        assert "\n" not in str(caught.value)
        assert key not in str(caught.value) or not key
        async with opening(KEY) as store:
            assert await store.endpoints.list() == [endpoint()]

    async def test_a_secret_moved_to_another_id_is_refused(
        self, opening: Opening, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with opening(KEY) as store:
            await store.endpoints.create(endpoint("mine"))
            await store.endpoints.create(endpoint("theirs"))
        await self.tamper(
            "UPDATE esinfer_secret SET content ="
            " (SELECT content FROM esinfer_secret WHERE inference_id = 'mine')"
            " WHERE inference_id = 'theirs'"
        )
        async with opening(KEY) as store:
            assert await store.endpoints.get("mine") == endpoint("mine")
            reason = r"^Failed to read stored inference endpoint \[theirs\]; DELETE it with force"
            with pytest.raises(EndpointUnreadable, match=reason):
                await store.endpoints.get("theirs")
            with pytest.raises(EndpointUnreadable, match=reason):
                await store.endpoints.list()
        assert "[theirs] cannot be read: UnsealError" in caplog.text

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"task_type":"none"}', "null"])
    async def test_a_damaged_row_is_told_without_its_secret(
        self, opening: Opening, caplog: pytest.LogCaptureFixture, text: str
    ) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            statement = f"UPDATE esinfer_endpoint SET configuration = '{text}'"  # noqa: S608 -- ours
            await self.tamper(statement)
        async with opening() as store:
            with pytest.raises(EndpointUnreadable):
                await store.endpoints.get("id")
        assert API_KEY not in caplog.text

    async def test_a_damaged_secret_keeps_keys_from_being_changed_and_is_named(
        self, opening: Opening
    ) -> None:
        async with opening(KEY) as store:
            await store.endpoints.create(endpoint("good"))
            await store.endpoints.create(endpoint("bad"))
        await self.tamper("UPDATE esinfer_secret SET content = 'x' WHERE inference_id = 'bad'")
        with pytest.raises(StoreError, match=r"endpoint \[bad\] cannot be decrypted") as caught:
            async with opening(f"{OTHER_KEY},{KEY}"):
                pass
        assert "\n" not in str(caught.value)
        async with opening(KEY) as store:
            assert await store.endpoints.delete("bad")
        async with opening(f"{OTHER_KEY},{KEY}") as store:
            assert await store.endpoints.list() == [endpoint("good")]

    async def test_an_endpoint_without_its_secret_is_there_and_unreadable(
        self, opening: Opening
    ) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
            await self.tamper("DELETE FROM esinfer_secret")
        async with opening() as store:
            with pytest.raises(EndpointUnreadable):
                await store.endpoints.get("id")
            with pytest.raises(EndpointUnreadable):
                await store.endpoints.list()
            with pytest.raises(EndpointUnreadable):
                await store.endpoints.replace(endpoint(dimensions=3), stored=endpoint())
            with pytest.raises(EndpointAlreadyExists):
                await store.endpoints.create(endpoint())
            assert await store.endpoints.delete("id")
            await store.endpoints.create(endpoint())
            assert await store.endpoints.get("id") == endpoint()

    @pytest.mark.parametrize("key", ["", OTHER_KEY])
    async def test_who_has_not_the_key_of_the_store_writes_no_more(
        self, opening: Opening, key: str
    ) -> None:
        async with opening(key) as old, opening(f"{KEY},{key}" if key else KEY) as new:
            await old.endpoints.create(endpoint())
            await new.endpoints.create(endpoint("new"))
            for change in (
                old.endpoints.create(endpoint("other")),
                old.endpoints.replace(endpoint(dimensions=3), stored=endpoint()),
            ):
                with pytest.raises(StoreSealed, match="a key that this server does not have"):
                    await change
            with pytest.raises(EndpointSealed, match=r"\[new\] was encrypted with a key that"):
                await old.endpoints.get("new")
            with pytest.raises(EndpointSealed):
                await old.endpoints.list()
            assert await new.endpoints.list() == [endpoint(), endpoint("new")]

    @pytest.mark.parametrize("damage", ["policy = '{'", "policy = '[]'", "created_at = 'x'"])
    async def test_a_damaged_policy_is_told_and_can_be_replaced(
        self, opening: Opening, caplog: pytest.LogCaptureFixture, damage: str
    ) -> None:
        later = NOON + timedelta(seconds=1)
        async with opening() as store:
            policies = store.region_policy
            await policies.put_region_policy(EUROPE, NOON)
            await self.tamper(f"UPDATE esinfer_region_policy SET {damage}")  # noqa: S608 -- ours
            with pytest.raises(RegionPolicyUnreadable, match=r"^Failed to read the stored region"):
                await policies.get_region_policy()
            assert "the stored region policy cannot be read" in caplog.text
            stored = await policies.put_region_policy(EUROPE, later)
            assert stored == StoredRegionPolicy(region_policy=EUROPE, created_at=later)
            assert await policies.get_region_policy() == stored

    async def test_reading_a_store_changes_nothing(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint("b"))
            await store.endpoints.create(endpoint("a"))
            assert await self.read() == [endpoint("a"), endpoint("b")]
            assert await self.read(KEY) == [endpoint("a"), endpoint("b")]
            assert await store.endpoints.get("a") == endpoint("a")
        before = await self.raw()
        assert await self.read(KEY) == [endpoint("a"), endpoint("b")]
        assert await self.raw() == before

    async def test_reading_a_store_wants_its_key(self, opening: Opening) -> None:
        async with opening(KEY) as store:
            await store.endpoints.create(endpoint())
        assert await self.read(f"{OTHER_KEY},{KEY}") == [endpoint()]
        with pytest.raises(StoreError, match="encrypted with another key"):
            await self.read(OTHER_KEY)

    async def test_reading_a_newer_store_is_refused(self, opening: Opening) -> None:
        async with opening():
            pass
        await self.tamper("INSERT INTO esinfer_migration VALUES (99)")
        with pytest.raises(StoreError, match=r"newer esinfer: its schema is version 99"):
            await self.read()

    async def test_a_newer_schema_is_refused(self, opening: Opening) -> None:
        async with opening() as store:
            await store.endpoints.create(endpoint())
        await self.tamper("INSERT INTO esinfer_migration VALUES (99)")
        with pytest.raises(StoreError, match=r"newer esinfer: its schema is version 99"):
            async with opening():
                pass
        await self.tamper("DELETE FROM esinfer_migration WHERE number = 99")
        async with opening() as store:
            assert await store.endpoints.list() == [endpoint()]
