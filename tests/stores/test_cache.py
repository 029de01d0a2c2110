"""The cache answers what was read last, and never what a change has overtaken."""

from __future__ import annotations

from esinfer.stores.cache import EndpointCache
from tests.stores.contract import endpoint


def test_what_was_read_is_answered_until_it_changes() -> None:
    cache = EndpointCache()
    for inference_id in ("a", "b"):
        cache.keep(endpoint(inference_id), cache.generation)
    cache.forget("a")
    assert cache.get("a") is None
    assert cache.get("b") == endpoint("b")
    cache.clear()
    assert cache.get("b") is None


def test_what_was_read_before_a_change_is_not_kept() -> None:
    cache = EndpointCache()
    before = cache.generation
    cache.forget("another")
    cache.keep(endpoint(), before)
    assert cache.get("id") is None
    before = cache.generation
    cache.clear()
    cache.keep(endpoint(), before)
    assert cache.get("id") is None
