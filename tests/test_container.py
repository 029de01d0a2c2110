"""The container image: what its Dockerfile says, and its command in the environments it meets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from esinfer.remote import basic

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
HADOLINT = shutil.which("hadolint", path=f"{BIN}{os.pathsep}{os.environ['PATH']}")

JAVA_WAITS_FOR = r'(?s).*("message":\s?"started[\s?|"].*|] started\n$)'
GO_WAITS_FOR = r'.*("message":\s?"started(\s|")?.*|]\sstarted\n)'

SINGLE_NODE = {"discovery.type": "single-node", "ELASTIC_PASSWORD": "changeme"}
MODULES = {
    "java": SINGLE_NODE | {"xpack.security.enabled": "false"},
    "go": SINGLE_NODE
    | {
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        "xpack.security.enabled": "false",
    },
    "node": SINGLE_NODE | {"xpack.security.http.ssl.enabled": "false"},
    "python": {
        "transport.host": "127.0.0.1",
        "http.host": "0.0.0.0",
        "xpack.security.enabled": "false",
    },
    "dotnet": SINGLE_NODE
    | {"ingest.geoip.downloader.enabled": "false", "xpack.security.enabled": "false"},
    "spring": SINGLE_NODE | {"ES_JAVA_OPTS": "-Xms512m -Xmx512m", "cluster.name": "docker-cluster"},
}
"""What Testcontainers' modules for Elasticsearch set, with what their users are told to set."""


def instructions() -> list[tuple[str, str]]:
    """Those of the Dockerfile, each with its argument in one line."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def final_stage() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, argument in instructions():
        if name == "FROM":
            found.clear()
        found.setdefault(name, []).append(argument)
    return found


def environment() -> dict[str, str]:
    (argument,) = final_stage()["ENV"]
    return dict(pair.split("=", 1) for pair in shlex.split(argument))


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_the_dockerfile_is_clean() -> None:
    assert HADOLINT is not None
    ran = subprocess.run(  # noqa: S603 -- a linter
        [HADOLINT, "Dockerfile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_image_is_small_and_its_user_nobody_special() -> None:
    stages = [argument for name, argument in instructions() if name == "FROM"]
    stage = final_stage()
    assert len(stages) == 2
    assert all(re.fullmatch(r"python:3\.\d+-slim( AS build)?", each) for each in stages)
    assert stage["USER"] == ["1000:0"]
    assert stage["STOPSIGNAL"] == ["SIGTERM"]
    assert stage["EXPOSE"] == ["9200"]
    assert not re.search(r"\b(pip|apt-get|gcc|make)\b", " ".join(stage["RUN"]))
    assert stage["COPY"] == ["--from=build /opt/esinfer /opt/esinfer"]


def test_all_that_is_copied_is_let_in() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    let_in = [line.removeprefix("!") for line in lines if line.startswith("!")]
    copied = [
        source
        for name, argument in instructions()
        if name == "COPY" and not argument.startswith("--from")
        for source in argument.split()[:-1]
    ]
    assert sorted(copied) == sorted(let_in)
    assert all((ROOT / source).exists() for source in copied)


@asynccontextmanager
async def container(
    tmp_path: Path, environ: dict[str, str], *command: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """What the engine would run, but for paths, address and port."""
    (entry,) = final_stage()["ENTRYPOINT"]
    (default,) = final_stage()["CMD"]
    program, *options = json.loads(entry)
    own = environment() | {
        "PATH": f"{BIN}:/usr/bin:/bin",
        "ESINFER_SERVER__HOST": "127.0.0.1",
        "ESINFER_SERVER__PORT": "0",
        "ESINFER_STORE__PATH": str(tmp_path / "endpoints.db"),
    }
    child = await asyncio.create_subprocess_exec(
        *(BIN / program, *options, *(command or json.loads(default))),
        env=own | environ,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.communicate()


async def address_of(child: asyncio.subprocess.Process) -> tuple[str, str]:
    """The started line and what it says."""
    assert child.stdout is not None
    line = (await child.stdout.readline()).decode()
    return line, json.loads(line)["address"]


@pytest.mark.parametrize("module", MODULES)
async def test_testcontainers_see_it_start(tmp_path: Path, module: str) -> None:
    headers = {"Authorization": basic("elastic", "changeme")}
    async with container(tmp_path, MODULES[module]) as child, aiohttp.ClientSession() as session:
        line, url = await address_of(child)
        assert re.fullmatch(JAVA_WAITS_FOR, line)
        assert re.search(GO_WAITS_FOR, line)
        async with session.get(f"{url}/", headers=headers) as response:
            assert response.status == 200
            assert (await response.json())["tagline"] == "You Know, for Search"
        async with session.get(f"{url}/_cluster/health", headers=headers) as response:
            assert (await response.json())["status"] == "green"
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0


async def test_the_health_check_knows_when_to_ask(tmp_path: Path) -> None:
    (argument,) = final_stage()["HEALTHCHECK"]
    _, *check = json.loads(argument[argument.index("[") :])

    async def healthy(port: str) -> bool:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *check,
            env={"ESINFER_SERVER__PORT": port},
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await child.wait() == 0

    async with container(tmp_path, {}, "serve") as child:
        _, url = await address_of(child)
        port = url.rpartition(":")[2]
        assert await healthy(port)
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0
    assert not await healthy(port)
    assert (tmp_path / "endpoints.db").exists()


def test_the_image_listens_where_it_says() -> None:
    own = environment()
    assert own["ESINFER_SERVER__HOST"] == "0.0.0.0"
    assert [own["ESINFER_SERVER__PORT"]] == final_stage()["EXPOSE"]
    assert own["ESINFER_LOGGING__FORMAT"] == "json", "the started line of text is another"
