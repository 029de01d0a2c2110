"""The pytest plugin: the fixture ``esinfer``, a mock for each test.

One server runs a session, in a thread; each test has a namespace of it. What
is here is loaded by every pytest run where esinfer is installed, so it loads
nothing itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from esinfer.testing import Esinfer

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def esinfer_settings() -> Sequence[str]:
    """Settings of the server; a fixture of this name in your conftest.py gives others."""
    return ()


@pytest.fixture(scope="session")
def esinfer_server(esinfer_settings: Sequence[str]) -> Iterator[Esinfer]:
    """The running mock of this session, or of this worker of pytest-xdist."""
    from esinfer.testing import server  # noqa: PLC0415 - for those who use it

    with server(*esinfer_settings) as es:
        yield es


@pytest.fixture
def esinfer(esinfer_server: Esinfer, request: pytest.FixtureRequest) -> Iterator[Esinfer]:
    """A mock of Elasticsearch's inference API for this test alone."""
    test = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name).strip("-")
    with esinfer_server.namespace(f"{next(_NUMBERS)}-{test[:100]}") as es:
        yield es
