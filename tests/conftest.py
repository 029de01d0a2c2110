"""What the tests share: esinfer on loopback, and an upstream that answers as told."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from yarl import URL

from esinfer.api.about import Mode
from esinfer.api.protocol import make_runner
from esinfer.app import make_app
from esinfer.config import COMMAND_DEFAULTS, load

GOOD_EMBEDDING = [[0.1, 0.2]]
PROBES = {
    "text_embedding": GOOD_EMBEDDING,
    "sparse_embedding": [{"a": 0.5}],
    "rerank": [{"index": 0, "score": 0.5}],
    "completion": {"choices": [{"message": {"content": "big"}}]},
    "chat_completion": "",  # a validation call looks no further than that a stream begins
}
"""Good answers to validation calls."""


@dataclass(slots=True)
class Answer:
    """What the upstream says to one request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: object, status: int = 200) -> Answer:
        return cls(status, json.dumps(value).encode(), headers={"Content-Type": "application/json"})


@dataclass(slots=True)
class Upstream:
    """A Hugging Face endpoint on loopback: scripted answers, recorded requests.

    The last answer is repeated when the script is at its end.
    """

    url: str = ""
    script: list[Answer] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    def answers(self, *answers: Answer) -> None:
        """Set the script, and forget what was asked before."""
        self.script = list(answers)
        self.requests.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append(
            {"path": request.path_qs, "headers": dict(request.headers), "body": body}
        )
        if self.handler is not None:
            return await self.handler(request)
        index = min(len(self.requests), len(self.script)) - 1
        answer = self.script[index] if self.script else Answer.json(GOOD_EMBEDDING)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    @property
    def bodies(self) -> list[Any]:
        return [orjson.loads(request["body"]) for request in self.requests]


@asynccontextmanager
async def run_app(app: web.Application, *, ours: bool = True) -> AsyncIterator[str]:
    """Serve an app on a free loopback port; its address."""
    make: Callable[..., web.AppRunner] = make_runner if ours else web.AppRunner
    runner = make(app, shutdown_timeout=1.0, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Reply:
    """A whole answer of the server."""

    status: int
    headers: Any
    raw: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def text(self) -> str:
        return self.raw.decode()


@dataclass(slots=True)
class Client:
    """Speaks to a running esinfer; bodies go out as JSON unless they are bytes."""

    url: str
    session: aiohttp.ClientSession

    async def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        sent |= headers or {}
        skip = () if "Content-Type" in sent else ("Content-Type",)
        async with self.session.request(
            method,
            URL(self.url + path, encoded=True),
            data=data,
            headers={name: value for name, value in sent.items() if value},
            skip_auto_headers=(*skip, *(name for name, value in sent.items() if not value)),
            allow_redirects=False,
        ) as response:
            return Reply(response.status, response.headers.copy(), await response.read())


@pytest.fixture(autouse=True, scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Durable stores of servers that are told no other place stay out of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


StartServer = Callable[..., Awaitable[Client]]


@pytest.fixture
def root_logger() -> Iterator[None]:
    """For those who run commands: logging is afterwards as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


QUICK = ("inference.retry_initial_delay=1ms", "inference.retry_max_delay_bound=2ms")
"""Settings with which retries cost no time."""


@pytest.fixture
async def start() -> AsyncIterator[StartServer]:
    """Start servers; each stops with the test."""
    async with AsyncExitStack() as stack:

        async def start_one(*overrides: str, mode: Mode = "serve") -> Client:
            defaults = {**COMMAND_DEFAULTS[mode], "store.kind": "memory"}  # not in anybody's home
            config = load(None, {}, [*QUICK, *overrides], defaults)
            url = await stack.enter_async_context(run_app(make_app(config, mode)))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Client(url, session)

        yield start_one


@pytest.fixture
async def client(start: StartServer) -> Client:
    """A server that calls real upstreams."""
    return await start()


@pytest.fixture
async def mock(start: StartServer) -> Client:
    """A server whose upstream is the twin in process."""
    return await start(mode="mock")


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """An upstream on loopback."""
    served = Upstream()
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", served.handle)
    async with run_app(app, ours=False) as url:
        served.url = f"{url}/x"
        yield served


@pytest.fixture
async def embedder(client: Client, upstream: Upstream) -> Client:
    """The server with a text_embedding endpoint ``id``; the upstream's record is empty."""
    await create(client, upstream)
    return client


async def create(
    client: Client,
    upstream: Upstream,
    inference_id: str = "id",
    task_type: str = "text_embedding",
    task_settings: object = None,
    **service_settings: object,
) -> Reply:
    """Create an endpoint at the upstream and forget the validation call."""
    upstream.answers(Answer.json(PROBES[task_type]))
    settings = {"url": upstream.url, "api_key": "secret"} | service_settings
    body: dict[str, object] = {"service": "hugging_face", "service_settings": settings}
    if task_settings is not None:
        body["task_settings"] = task_settings
    reply = await client("PUT", f"/_inference/{task_type}/{inference_id}", body)
    assert reply.status == 200, reply.text
    upstream.answers()
    return reply


def envelope(
    kind: str, reason: str, status: int = 400, *, caused_by: object = None, root: object = None
) -> dict[str, object]:
    """The body of an error."""
    error: dict[str, object] = {
        "root_cause": [root or {"type": kind, "reason": reason}],
        "type": kind,
        "reason": reason,
    }
    if caused_by is not None:
        error["caused_by"] = caused_by
    return {"error": error, "status": status}
