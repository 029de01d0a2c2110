"""The store in memory keeps what every store promises."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import pytest

from esinfer.services.registry import ServiceRegistry
from esinfer.services.stored import EndpointCodec
from esinfer.stores.opening import OpenStore, StoreSettings, open_store
from tests.stores.contract import Opening, StoreContract


class TestMemory(StoreContract):
    @pytest.fixture
    def opening(self) -> Opening:
        def open_memory(key: str = "") -> AbstractAsyncContextManager[OpenStore]:
            settings = StoreSettings(kind="memory", key=key)
            return open_store(settings, EndpointCodec(ServiceRegistry()), {})

        return open_memory
