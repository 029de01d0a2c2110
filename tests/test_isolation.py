"""``esinfer mock`` opens no connection and looks up no name, whatever is asked of it.

The interpreter itself tells: an audit hook, set before esinfer is imported,
writes down every attempt. What it would see of ``esinfer serve`` shows that
it sees.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import Client

ROOT = Path(__file__).parent.parent

WATCHED = """
import os, sys

def watch(event, args):
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
                 "socket.gethostbyname", "subprocess.Popen", "os.exec", "os.posix_spawn"}:
        os.write(int(sys.argv[1]), f"{event}\\n".encode())

sys.addaudithook(watch)
from esinfer.cli import main
sys.exit(main(sys.argv[2:]))
"""

TASKS: dict[str, dict[str, Any]] = {
    "text_embedding": {"input": ["a", "b"]},
    "sparse_embedding": {"input": "a"},
    "rerank": {"query": "q", "input": ["a", "b"]},
    "completion": {"input": "a"},
    "chat_completion": {"messages": [{"role": "user", "content": "a"}]},
}
URLS = ("https://x.example/v1", "http://127.0.0.1:9", "http://169.254.169.254/", "http://[::1]:9")


@asynccontextmanager
async def watched(command: str, *settings: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A server whose ways out are watched; what it tried is in the list when the block is left."""
    tried: list[str] = []
    options = [part for setting in settings for part in ("--set", setting)]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WATCHED, "2", command, "--port", "0", *options),
        *("--set", "logging.level=error"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            url = (await child.stdout.readline()).decode().split()[-1]
            yield Client(url, session), tried
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        _, err = await child.communicate()
        tried.extend(err.decode().splitlines())
    assert child.returncode == 0


async def put(client: Client, task_type: str, number: int, url: str) -> int:
    settings = {"url": url, "api_key": "k"}
    body = {"service": "hugging_face", "service_settings": settings}
    return (await client("PUT", f"/_inference/{task_type}/{task_type}-{number}", body)).status


async def use_all_of_it(client: Client) -> None:
    """Every task at every address, streamed, chunked and failing; then all the other routes."""
    for task_type, body in TASKS.items():
        for number, url in enumerate(URLS):
            assert await put(client, task_type, number, url) == 200
        path = f"/_inference/{task_type}/{task_type}-0"
        if task_type != "chat_completion":
            assert (await client("POST", path, body)).status == 200
        streams = task_type in ("completion", "chat_completion")
        assert (await client("POST", f"{path}/_stream", body)).status == (200 if streams else 405)
        change = {"service_settings": {"rate_limit": {"requests_per_minute": 9000}}}
        assert (await client("PUT", f"{path}/_update", change)).status == 200
    elser = {"service": "hugging_face_elser", "service_settings": {"url": URLS[0], "api_key": "k"}}
    assert (await client("PUT", "/_inference/sparse_embedding/elser", elser)).status == 200
    chunked = "/_esinfer/inference/text_embedding/text_embedding-1/chunked"
    assert (await client("POST", chunked, {"input": "a. b."})).status == 200
    faults = {"faults": [{"kind": "overloaded", "times": 1}, {"kind": "reset", "times": 1}]}
    assert (await client("PUT", "/_esinfer/upstreams/default", faults)).status == 200
    for path in ("text_embedding/text_embedding-2", "nothing"):
        await client("POST", f"/_inference/{path}", {"input": "a"})
    for path in ("", "_license", "_xpack", "_nodes", "_inference", "_inference/_services", "?x"):
        await client("GET", f"/{path}")
    assert (await client("DELETE", "/_inference/elser")).status == 200


async def test_mock_goes_nowhere() -> None:
    quick = ("inference.retry_initial_delay=1ms", "inference.retry_max_delay_bound=2ms")
    async with watched("mock", *quick) as (client, tried):
        await use_all_of_it(client)
    assert tried == []


@pytest.mark.parametrize(
    ("url", "event"),
    [("http://127.0.0.1:9", "socket.connect"), ("http://localhost:9", "socket.getaddrinfo")],
)
async def test_what_serve_does_would_have_been_seen(url: str, event: str) -> None:
    async with watched("serve", "inference.retry_timeout=0s") as (client, tried):
        assert await put(client, "text_embedding", 0, url) == 400
    assert event in tried


async def test_what_serve_must_not_call_it_does_not_connect_to() -> None:
    async with watched("serve", "inference.retry_timeout=0s") as (client, tried):
        assert await put(client, "text_embedding", 0, "http://169.254.169.254/latest") == 400
    assert "socket.connect" not in tried
