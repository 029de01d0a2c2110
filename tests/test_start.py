"""What starting costs: how much memory, and which modules are loaded before the first request."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

LOAD = """
import sys
from esinfer import cli, serving
from esinfer.config import load
cli._application(sys.argv[1], load(None, {}, []))
print(*sys.modules)
"""

AT_NEED = {
    "numpy",
    "tokenizers",
    "yaml",
    "tomllib",
    "esinfer.demo",
    "esinfer.api.openapi",
    "sqlite3",
    "asyncpg",
    "cryptography",
    "prometheus_client",
    "esinfer.tls",
    "esinfer.security.credentials",
}
"""For the first text embedding, YAML body, configuration file, durable store, key, question for
metrics and look at the documentation, for TLS and for credentials; and what is a program itself."""

FOR_TESTS = {"_pytest", "aioresponses", "aiohttp.test_utils", "hypothesis", "pytest", "unittest"}


async def run(*argv: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", *argv, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )


@pytest.mark.parametrize("command", ["serve", "mock", "twin"])
async def test_what_is_not_needed_at_once_is_not_loaded(command: str) -> None:
    child = await run("-c", LOAD, command)
    async with asyncio.timeout(30):
        out, _ = await child.communicate()
    loaded = set(out.decode().split())
    assert child.returncode == 0
    assert "esinfer.app" in loaded
    assert not loaded & (AT_NEED | FOR_TESTS)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
async def test_mock_takes_less_than_80_mb() -> None:
    child = await run("-m", "esinfer", "mock", "--port", "0")
    assert child.stdout is not None
    try:
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            url = (await child.stdout.readline()).decode().split()[-1]
            async with session.get(url) as response:
                assert response.status == 200
            assert resident_kib(child.pid) < 80 * 1024
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        await child.communicate()
    assert child.returncode == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
async def test_embedding_takes_less_than_30_mb_more() -> None:
    child = await run("-m", "esinfer", "twin", "--port", "0")
    assert child.stdout is not None
    try:
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            url = (await child.stdout.readline()).decode().split()[-1]
            async with session.get(f"{url}/info"):
                before = own_kib(child.pid)
            for number in range(0, 20_000, 2000):
                inputs = [" ".join(common_words(number + 60 * n)) for n in range(32)]
                async with session.post(f"{url}/embed", json={"inputs": inputs}) as response:
                    assert len(await response.json()) == 32
            assert own_kib(child.pid) - before < 30 * 1024
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        await child.communicate()


def common_words(start: int) -> list[str]:
    """Eight words of the model's vocabulary, spread over its table."""
    vocabulary = (ROOT / "esinfer/twin/models/vocab.txt").read_text(encoding="utf-8").split()
    return vocabulary[2000 + start : 2008 + start]


def resident_kib(pid: int, kind: str = "VmRSS") -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields[kind].removesuffix("kB"))


def own_kib(pid: int) -> int:
    """Without the pages of files: how many of a library's are mapped is the system's mood."""
    return resident_kib(pid, "RssAnon")


INTERRUPT = """
import os, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "esinfer.config":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("program", [[BIN / "esinfer"], [sys.executable, "-m", "esinfer"]])
async def test_an_interrupt_while_it_loads_ends_it_without_a_trace(
    tmp_path: Path, program: list[str | Path]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT, encoding="utf-8")
    child = await asyncio.create_subprocess_exec(
        *program,
        "--version",
        env={"PYTHONPATH": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        said, _ = await child.communicate()
    assert (child.returncode, said) == (130, b"")
