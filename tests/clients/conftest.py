"""What the checks of elasticsearch-py share: live servers, and a client of either kind.

This also runs where esinfer is not installed, beside a release of the client
that is not the project's: then the servers are others' and only told of.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest
from elasticsearch import AsyncElasticsearch, Elasticsearch

from tests.clients.servers import Servers, live_servers

Connect = Callable[..., Elasticsearch]


class Blocking:
    """An async client whose calls block, so that one test serves both kinds of client."""

    def __init__(self, wrapped: Any, runner: asyncio.Runner) -> None:
        self._wrapped = wrapped
        self._runner = runner

    def __getattr__(self, name: str) -> Blocking:
        return Blocking(getattr(self._wrapped, name), self._runner)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        answer = self._wrapped(*args, **kwargs)
        if inspect.iscoroutine(answer):
            return self._runner.run(answer)
        return Blocking(answer, self._runner)  # options(), which gives another client


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers that we are told of, else our own."""
    with ExitStack() as stack:
        yield Servers.told(os.environ) or stack.enter_context(live_servers())


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Make clients, of the one kind and then of the other; they are closed with the test."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def connect_one(url: str, **options: Any) -> Elasticsearch:
            if request.param == "sync":
                return stack.enter_context(Elasticsearch(url, **options))
            client = AsyncElasticsearch(url, **options)
            stack.callback(lambda: runner.run(client.close()))
            return cast("Elasticsearch", Blocking(client, runner))

        yield connect_one


@pytest.fixture
def es(connect: Connect, servers: Servers) -> Elasticsearch:
    """A client of a mock without endpoints."""
    client = connect(servers.mock)
    delete_endpoints(client)
    return client


def delete_endpoints(es: Elasticsearch) -> None:
    """Leave nothing of the tests before."""
    for endpoint in es.inference.get()["endpoints"]:
        es.inference.delete(inference_id=endpoint["inference_id"], force=True)
