"""Rows: what is read of them is remembered, each endpoint once."""

from __future__ import annotations

import gc
from collections import Counter

from esinfer.endpoints import InferenceEndpoint
from esinfer.services.registry import ServiceRegistry
from esinfer.services.stored import EndpointCodec
from esinfer.stores.rows import Rows
from esinfer.stores.sealing import Keys
from tests.stores.contract import endpoint


def held() -> int:
    """How many endpoints there are, garbage aside."""
    gc.collect()
    return Counter(type(each) for each in gc.get_objects())[InferenceEndpoint]


def test_an_unchanged_row_is_read_once() -> None:
    rows = Rows(EndpointCodec(ServiceRegistry()), Keys())
    old, new = (rows.to_row(endpoint(dimensions=number)) for number in (1, 2))
    first = rows.to_endpoint(old)
    assert rows.to_endpoint(rows.to_row(first)) is first
    assert rows.to_endpoint(new) == endpoint(dimensions=2)
    assert rows.to_endpoint(old) == first


def test_what_an_endpoint_was_before_is_let_go() -> None:
    rows = Rows(EndpointCodec(ServiceRegistry()), Keys())
    before = held()
    for number in range(1, 50):
        rows.to_endpoint(rows.to_row(endpoint(dimensions=number)))
    assert held() == before + 1
