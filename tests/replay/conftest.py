"""A serve that records at a twin on loopback, and a mock that replays what it recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from esinfer.app import make_twin
from esinfer.config import load
from tests.conftest import Client, Reply, StartServer, run_app

KEY = "hf_sEcReT0123456789/+x"
PATHS = {
    "text_embedding": "/embed",
    "sparse_embedding": "/elser",
    "rerank": "/rerank",
    "completion": "/v1/chat/completions",
    "chat_completion": "/v1/chat/completions",
}


@dataclass(slots=True)
class Kit:
    """Starts servers that record and replay in ``directory``; the upstream stands at ``url``."""

    start: StartServer
    url: str
    directory: Path

    async def record(self, mode: str = "new", *overrides: str) -> Client:
        settings = (f"replay.record={self.directory}", f"replay.record_mode={mode}")
        return await self.start(*settings, *overrides)

    async def replay(self, *overrides: str) -> Client:
        return await self.start(f"replay.play={self.directory}", *overrides, mode="mock")

    async def create(self, client: Client, task: str, **settings: object) -> Reply:
        """Create the endpoint that is named as its task."""
        service_settings = {"url": self.url + PATHS[task], "api_key": KEY} | settings
        body = {"service": "hugging_face", "service_settings": service_settings}
        return await client("PUT", f"/_inference/{task}/{task}", body)

    @property
    def file(self) -> Path:
        return self.directory / "default.json"

    def entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = orjson.loads(self.file.read_bytes())["entries"]
        return entries

    def answers(self, task: str) -> list[tuple[Any, list[dict[str, Any]]]]:
        """What was recorded of a task, the validation call left out."""
        return [
            (entry["request"], entry["answers"])
            for entry in self.entries()
            if entry["task_type"] == task and b"how big" not in orjson.dumps(entry["request"])
        ]


@pytest.fixture
async def twin() -> AsyncIterator[Client]:
    """The twin on loopback."""
    app = make_twin(load(None, {}, ["twin.dimensions=8"]))
    async with run_app(app, ours=False) as url, aiohttp.ClientSession() as session:
        yield Client(url, session)


@pytest.fixture
def kit(start: StartServer, twin: Client, tmp_path: Path) -> Kit:
    return Kit(start, twin.url, tmp_path / "recordings")


async def fault(twin: Client, *faults: dict[str, object]) -> None:
    """Have the twin's upstream fail so."""
    reply = await twin("PUT", "/__twin/upstreams/default", {"faults": list(faults)})
    assert reply.status == 200, reply.text
