"""The twin over a real connection."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, AppRunner, Request, TCPSite
from pytest_aiohttp import AiohttpClient

from esinfer.twin.answers import TwinAnswer, TwinRequest
from esinfer.twin.app import make_twin_app, make_upstreams_app
from esinfer.twin.pauses import Interrupted, Pauses
from esinfer.twin.protocol import make_runner
from esinfer.twin.servers import Kind
from esinfer.twin.tei import Twin
from esinfer.twin.upstreams import Upstreams, UpstreamSettings, single

JSON = {"Content-Type": "application/json"}
Client = TestClient[Request, Application]


@pytest.fixture
async def client(aiohttp_client: AiohttpClient) -> Client:
    return await aiohttp_client(make_twin_app(Twin()))


@pytest.fixture
async def locked(aiohttp_client: AiohttpClient) -> Client:
    return await aiohttp_client(make_twin_app(Twin(api_key="key")))


@pytest.mark.parametrize("path", ["/", "/embed"])
async def test_embed(client: Client, path: str) -> None:
    async with client.post(path, json={"inputs": ["a fox", "a dog"]}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["x-compute-type"] == "gpu+optimized"
        assert response.headers["x-compute-tokens"] == "8"
        body = b'{"inputs": ["a fox", "a dog"]}'
        assert await response.read() == Twin().run(Kind.EMBED, JSON, body).body


async def test_elser(client: Client) -> None:
    async with client.post("/elser", json={"inputs": ["a fox"]}) as response:
        assert response.status == 200
        assert await response.json() == [{"fox": 0.9609375, "a": 0.0625}]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/health"])
async def test_health(client: Client, method: str, path: str) -> None:
    async with client.request(method, path) as response:
        assert response.status == 200
        assert await response.read() == b""


async def test_info(client: Client) -> None:
    async with client.get("/info") as response:
        assert response.status == 200
        assert (await response.json())["version"] == "1.9.3"


async def test_rerank(client: Client) -> None:
    async with client.post("/rerank", json={"query": "fox", "texts": ["dog", "fox"]}) as response:
        assert response.status == 200
        assert response.headers["x-compute-characters"] == "12"
        assert [rank["index"] for rank in await response.json()] == [1, 0]


async def test_embed_sparse(client: Client) -> None:
    async with client.post("/embed_sparse", json={"inputs": "a fox"}) as response:
        assert response.status == 200
        [weights] = await response.json()
        assert sorted(weight["value"] for weight in weights) == [0.0625, 0.9609375]


ASK = {"messages": [{"role": "user", "content": "Hello there!"}]}
STREAM = {**ASK, "stream": True}


async def test_chat(client: Client) -> None:
    async with client.post("/v1/chat/completions", json=ASK) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json"
        [choice] = (await response.json())["choices"]
        assert choice["message"] == {
            "role": "assistant",
            "content": 'esinfer twin: you said "Hello there!" (1 message)',
        }


async def test_a_streamed_chat_comes_event_by_event(aiohttp_client: AiohttpClient) -> None:
    twin = Twin(now=lambda: 0.0)
    client = await aiohttp_client(make_twin_app(twin))
    async with client.post("/v1/chat/completions", json=STREAM) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["Transfer-Encoding"] == "chunked"
        parts = [part async for part, _ in response.content.iter_chunks()]
    expected = twin.run(Kind.CHAT, JSON, orjson.dumps(STREAM))
    assert parts == list(expected.chunks)
    assert parts[-1] == b"data: [DONE]\n\n"


async def test_an_invalid_request_for_a_stream_is_an_event(client: Client) -> None:
    async with client.post("/v1/chat/completions", json={**STREAM, "n": 2}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert await response.read() == (
            b'data: {"error":{"message":"Input validation error: `n` != 1 is not allowed for '
            b'this endpoint","http_status_code":422}}\n\ndata: [DONE]\n\n'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedTwin(Twin):
    """Streams what it is given."""

    events: Iterable[bytes]

    def answer(self, _request: TwinRequest) -> TwinAnswer:
        return TwinAnswer(status=200, content_type="text/event-stream", events=self.events)


async def test_others_have_their_turn_between_two_events(aiohttp_client: AiohttpClient) -> None:
    turns: list[str] = []

    def events() -> Iterator[bytes]:
        asyncio.get_running_loop().call_soon(turns.append, "other")
        yield b"data: 1\n\n"
        turns.append("stream")
        yield b"data: 2\n\n"

    client = await aiohttp_client(make_twin_app(ScriptedTwin(events=events())))
    async with client.post("/") as response:
        assert await response.read() == b"data: 1\n\ndata: 2\n\n"
    assert turns == ["other", "stream"]


async def test_a_client_that_leaves_ends_its_stream_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = asyncio.Event()

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            try:
                yield from itertools.repeat(b"data: {}\n\n")
            finally:
                ended.set()

    # A test server would cancel the handler, which a real one does not.
    runner = AppRunner(make_twin_app(ScriptedTwin(events=Endless())))
    await runner.setup()
    site = TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"data: {}")
    writer.close()
    async with asyncio.timeout(10):
        await ended.wait()
    await runner.cleanup()
    assert caplog.records == []


async def test_unknown_path_is_an_empty_404(client: Client) -> None:
    async with client.post("/v1/a%20b/c", json={}) as response:
        assert response.status == 404
        assert await response.read() == b""


async def test_wrong_method_is_an_empty_405_with_allow(client: Client) -> None:
    async with client.put("/", json={}) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET,HEAD,POST"
        assert await response.read() == b""


async def test_an_error_is_text_or_json_as_in_tei(client: Client) -> None:
    async with client.post("/embed", data=b"{", headers=JSON) as response:
        assert response.status == 400
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await response.text() == (
            "Failed to parse the request body as JSON: "
            "EOF while parsing an object at line 1 column 1"
        )
    async with client.post("/embed", json={"inputs": ""}) as response:
        assert response.status == 400
        assert response.headers["Content-Type"] == "application/json"
        assert await response.json() == {
            "error": "Input validation error: `inputs` cannot be empty",
            "error_type": "Empty",
        }


async def test_a_missing_content_type_is_415(client: Client) -> None:
    skip = ["Content-Type"]
    async with client.post("/embed", data=b"{}", skip_auto_headers=skip) as response:
        assert response.status == 415


async def test_the_key_is_asked_for(locked: Client) -> None:
    async with locked.post("/embed", json={"inputs": "a"}) as response:
        assert response.status == 401
        assert await response.read() == b""
    headers = {"Authorization": "Bearer key"}
    async with locked.post("/embed", json={"inputs": "a"}, headers=headers) as response:
        assert response.status == 200
    async with locked.get("/health") as response:
        assert response.status == 200


async def test_a_large_body_is_answered(client: Client) -> None:
    async with client.post("/embed", json={"inputs": ["word " * 1_000] * 32}) as response:
        assert response.status == 200
        assert len(await response.json()) == 32


async def test_a_chunked_body_is_answered(client: Client) -> None:
    async def body() -> AsyncIterator[bytes]:
        for part in (b'{"inputs"', b':"a', b' fox"}'):
            yield part
            await asyncio.sleep(0)

    async with client.post("/embed", data=body(), headers=JSON) as response:
        assert response.status == 200
        assert len((await response.json())[0]) == 384


async def test_a_body_over_the_limit_is_413(aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(make_twin_app(Twin(payload_limit=100_000)))
    body = orjson.dumps({"inputs": "a" * 100_000})
    async with client.post("/embed", data=body, headers=JSON) as response:
        assert response.status == 413
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await response.read() == b"Failed to buffer the request body: length limit exceeded"


async def test_a_key_is_asked_for_before_the_size_is_looked_at(
    aiohttp_client: AiohttpClient,
) -> None:
    client = await aiohttp_client(make_twin_app(Twin(payload_limit=10, api_key="key")))
    async with client.post("/embed", data=b"x" * 100, headers=JSON) as response:
        assert response.status == 401


async def test_many_at_once_are_answered_each_with_its_own(client: Client) -> None:
    async def tokens(count: int) -> str:
        text = "word " * count
        async with client.post("/embed", json={"inputs": [text] * 20}) as response:
            await response.read()
            return response.headers["x-compute-tokens"]

    counts = [1, 400, 2, 300, 3, 200]
    expected = [str(20 * (count + 2)) for count in counts]
    assert await asyncio.gather(*map(tokens, counts)) == expected


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - nobody sets an event for a test
            await asyncio.sleep(0.001)


@asynccontextmanager
async def stalled(settings: object) -> AsyncIterator[tuple[AppRunner, Upstreams, int]]:
    """A twin that is set so, behind its own runner."""
    upstreams = single(Twin())
    runner = make_runner(make_upstreams_app(upstreams, UpstreamSettings()), shutdown_timeout=60.0)
    await runner.setup()
    site = TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{site.port}/__twin/upstreams/default"
    async with ClientSession() as session, session.put(url, json=settings) as response:
        assert response.status == 200
    yield runner, upstreams, site.port
    await runner.cleanup()


def ending(upstreams: Upstreams) -> object:
    (entry,) = upstreams.get("default").log.to_wire(())
    return entry["ending"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "stall", "duration": "1h"},
        {"kind": "stall", "at": "after_headers", "duration": "1h"},
        {"kind": "stall", "at": "mid_body", "duration": "1h"},
        {"kind": "latency", "delay": "1h"},
        {"kind": "drip", "size": 1, "pause": "1h"},
    ],
    ids=str,
)
@pytest.mark.parametrize("stops", [True, False], ids=["the twin stops", "the client leaves"])
async def test_nobody_waits_for_one_that_stalls(
    fault: object, stops: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with stalled({"faults": [fault]}) as (runner, upstreams, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 14\r\n\r\n{"inputs":"a"}'
        )
        await until(lambda: bool(upstreams.pauses.waiting))
        async with asyncio.timeout(5):
            if stops:
                await runner.cleanup()
                await reader.read()
        writer.close()
        await until(lambda: not upstreams.pauses.waiting)
        await until(lambda: ending(upstreams) == "abandoned")
    assert [record for record in caplog.records if record.levelname != "INFO"] == []
    assert len(asyncio.all_tasks()) == 1


async def test_a_delay_takes_the_time_of_the_sleep_that_is_given() -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    pauses = Pauses(sleep)
    await pauses.pause(3600.0)
    await pauses.pause(0.0)
    assert slept == [3600.0]
    pauses.end()
    with pytest.raises(Interrupted):
        await pauses.pause(3600.0)


async def test_who_waits_is_woken_at_the_end_and_a_cancelled_one_is_cancelled() -> None:
    pauses = Pauses()
    woken, cancelled = (asyncio.create_task(pauses.pause(3600.0)) for _ in range(2))
    await until(lambda: pauses.waiting == 2)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    pauses.end()
    with pytest.raises(Interrupted):
        await woken
