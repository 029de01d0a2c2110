"""HttpTransport with single answers put in aiohttp's place: no socket at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses

from esinfer.errors import ConnectionClosed, InvalidHost, ResponseTooLarge
from esinfer.tasks import TaskType
from esinfer.upstream import HttpSettings, HttpTransport, UpstreamRequest, make_session

URL = "https://example.endpoints.huggingface.cloud/"
REQUEST = UpstreamRequest(
    url=URL,
    headers={"Content-Type": "application/json", "Authorization": "Bearer secret"},
    body=b'{"inputs":["a"]}',
    task_type=TaskType.TEXT_EMBEDDING,
    inference_id="id",
)
SETTINGS = HttpSettings(
    connect_timeout=1, max_response_size=100, max_total_connections=1, max_route_connections=1
)


class Response(ClientResponse):
    """aioresponses builds responses without the writer that newer aiohttp wants."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


@pytest.fixture
def upstream() -> Iterator[aioresponses]:
    with aioresponses() as mocked:
        yield mocked


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    async with make_session(SETTINGS) as session:
        yield HttpTransport(session, SETTINGS)


async def test_status_and_body_come_back_as_they_are(
    upstream: aioresponses, transport: HttpTransport
) -> None:
    upstream.post(URL, status=503, body=b"busy", response_class=Response)
    response = await transport.send(REQUEST)
    assert (response.status, response.body) == (503, b"busy")


async def test_exactly_the_request_is_sent(
    upstream: aioresponses, transport: HttpTransport
) -> None:
    upstream.post(URL, body=b"[[0.5]]", response_class=Response)
    await transport.send(REQUEST)
    upstream.assert_called_once_with(
        URL,
        method="POST",
        data=REQUEST.body,
        headers=REQUEST.headers,
        allow_redirects=False,
    )


async def test_a_body_over_the_limit_is_refused(
    upstream: aioresponses, transport: HttpTransport
) -> None:
    upstream.post(URL, body=b"x" * 101, response_class=Response)
    with pytest.raises(ResponseTooLarge, match=r"^Maximum limit of \[100\] bytes reached$"):
        await transport.send(REQUEST)


async def test_an_unknown_host_names_the_url(
    upstream: aioresponses, transport: HttpTransport
) -> None:
    key: Any = aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None)
    upstream.post(URL, exception=aiohttp.ClientConnectorDNSError(key, OSError("no such host")))
    with pytest.raises(InvalidHost, match="huggingface"):
        await transport.send(REQUEST)


async def test_a_connection_that_closes_is_an_io_error(
    upstream: aioresponses, transport: HttpTransport
) -> None:
    upstream.post(URL, exception=aiohttp.ServerDisconnectedError())
    with pytest.raises(ConnectionClosed):
        await transport.send(REQUEST)
