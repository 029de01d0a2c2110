"""How many connections there are descriptors for, and a server that has few of them."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from esinfer.descriptors import fit
from tests.api.sockets import head

ROOT = Path(__file__).parent.parent
FEW = 256

Limit = Callable[[int, int], list[tuple[int, int]]]


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Set what the system allows; the limits that were set then."""

    def set_limit(soft: int, hard: int) -> list[tuple[int, int]]:
        made: list[tuple[int, int]] = []
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda _, limits: made.append(limits))
        return made

    return set_limit


@pytest.mark.parametrize(
    ("wanted", "soft", "hard", "fitting", "raised"),
    [
        (1000, 2000, 2000, 1000, []),
        (1000, 1024, 5000, 1000, [(1214, 5000)]),
        (1000, 1024, resource.RLIM_INFINITY, 1000, [(1214, sys.maxsize)]),
        (1000, 512, 1024, 810, [(1024, 1024)]),
        (1000, 256, 256, 71, []),
        (1000, 64, 64, 1, []),
        (10, 140, 140, 10, []),
        (0, 1024, 5000, 4786, [(5000, 5000)]),
    ],
)
def test_connections_fit_the_limit(
    limit: Limit, wanted: int, soft: int, hard: int, fitting: int, raised: list[tuple[int, int]]
) -> None:
    made = limit(soft, hard)
    assert fit(wanted, upstream=50) == fitting
    assert made == raised


def test_a_limit_that_cannot_be_raised_stays(
    limit: Limit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    limit(1024, 5000)
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert fit(2000, upstream=50) == 810
    assert caplog.messages == [
        "server.max_connections is 2000, but the limit of open files (ulimit -n) leaves room"
        " for 810"
    ]


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head("GET", "/_esinfer/health"))
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def until_answered(port: int, status: bytes) -> None:
    while status not in await ask(port):  # noqa: ASYNC110 -- another process's affair
        await asyncio.sleep(0.05)


async def test_more_connections_than_descriptors_neither_block_nor_flood_the_log() -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "esinfer", "mock", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, FEW)),
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(30):
            port = int((await child.stdout.readline()).rpartition(b":")[2])
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2 * FEW)]
            await until_answered(port, b" 429 ")
            for _, writer in held:
                writer.close()
            await until_answered(port, b" 200 OK")
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        _, log = await child.communicate()
    assert [line.partition(b" ")[2] for line in log.splitlines()] == [
        b"WARN  esinfer.descriptors server.max_connections is 10000, but the limit of open files"
        b" (ulimit -n) leaves room for 71",
        b"WARN  esinfer.connection connections are closed without an answer: there are 71 more than"
        b" max_connections (71)",
        b"INFO  esinfer.serving stopping: requests in flight may take 30 seconds",
    ]
