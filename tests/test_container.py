"""The container image: what its Dockerfile says, and its command in the environments it meets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import trustme

from esinfer.cli import read_config
from esinfer.container_health import find_server, host_to_ask
from esinfer.remote import basic

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
HADOLINT = shutil.which("hadolint", path=f"{BIN}{os.pathsep}{os.environ['PATH']}")

JAVA_WAITS_FOR = r'(?s).*("message":\s?"started[\s?|"].*|] started\n$)'
GO_WAITS_FOR = r'.*("message":\s?"started(\s|")?.*|]\sstarted\n)'

SINGLE_NODE = {"discovery.type": "single-node", "ELASTIC_PASSWORD": "changeme"}
DOTNET = ("xpack.security.enabled", "xpack.security.http.ssl.enabled", "stack.templates.enabled")
"""What README tells users of .NET to switch off."""
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
    | {"ingest.geoip.downloader.enabled": "false"}
    | dict.fromkeys(DOTNET, "false"),
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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file of a server's certificate and key."""
    path = tmp_path_factory.mktemp("pem") / "server.pem"
    trustme.CA().issue_cert("example.com").private_key_and_cert_chain_pem.write_to_path(path)
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


async def check_health(pid: int, environ: dict[str, str]) -> tuple[int | None, str]:
    """What the image's health check says, which in a container looks at all processes."""
    (argument,) = final_stage()["HEALTHCHECK"]
    _, *check = json.loads(argument[argument.index("[") :])
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, *check, str(pid)),
        env=environment() | environ,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await child.communicate()
    return child.returncode, said.decode()


HEALTHY = (0, "")
STOPPING = (1, "the server is not ready: it answers with status 503\n")
GONE = (1, "the server is not ready: there is none\n")


def dotnet_waits_for(environ: dict[str, str]) -> list[str]:
    """What the module asks until it gets 200, of an image tagged ``latest`` or 9.5 and later.

    Source: ElasticsearchBuilder.cs, ElasticsearchConfiguration.cs of testcontainers-dotnet, whose
    older releases ask for no templates.
    """

    def is_off(name: str) -> bool:
        return environ.get(name, "").lower() == "false"

    is_plain = is_off("xpack.security.enabled") and is_off("xpack.security.http.ssl.enabled")
    kinds = () if is_off("stack.templates.enabled") else ("logs", "metrics", "traces")
    templates = [f"/_index_template/{kind}-otel@template" for kind in kinds]
    scheme = "http" if is_plain else "https"
    return [f"{scheme}://{path}" for path in ("/_cluster/health", *templates)]


def test_the_module_for_dotnet_needs_all_that_readme_names() -> None:
    assert dotnet_waits_for(MODULES["dotnet"]) == ["http:///_cluster/health"]
    for name in DOTNET:
        others = {key: value for key, value in MODULES["dotnet"].items() if key != name}
        assert dotnet_waits_for(others) != ["http:///_cluster/health"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in DOTNET if f'.WithEnvironment("{name}", "false")' not in readme] == []


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc here")
@pytest.mark.parametrize(
    "command",
    [
        "mock --port {port}",
        "serve --set server.port={port}",
        "serve --port={port} --workers 2",
        "twin --port {port} --profile toolkit",
        "twin --port {port} --set twin.api_key=secret",
        "mock --port {port} --set server.certificate={pem}",
        "twin --port {port} --set server.certificate={pem}",
        "mock --port {port} --set server.certificate={pem} --set server.client_ca={pem}",
    ],
)
async def test_the_health_check_knows_what_was_started(
    tmp_path: Path, certificate: Path, command: str
) -> None:
    environ = {
        "ESINFER_SERVER__HOST": "127.0.0.1",
        "ESINFER_STORE__PATH": str(tmp_path / "endpoints.db"),
    }
    arguments = command.format(port=free_port(), pem=certificate).split()
    async with container(tmp_path, environ, *arguments) as child:
        assert await address_of(child)
        assert await check_health(child.pid, environ) == HEALTHY
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0
    assert await check_health(child.pid, environ) == GONE


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="no /proc here")
async def test_a_server_that_is_stopping_is_not_healthy(tmp_path: Path) -> None:
    environ = {"ESINFER_SERVER__HOST": "127.0.0.1", "ESINFER_SERVER__SHUTDOWN_DELAY": "20s"}
    async with container(tmp_path, environ, "mock", f"--port={free_port()}") as child:
        assert await address_of(child)
        assert await check_health(child.pid, environ) == HEALTHY
        child.send_signal(signal.SIGTERM)
        while (health := await check_health(child.pid, environ)) == HEALTHY:
            pass
        assert health == STOPPING


@pytest.mark.parametrize(
    ("commands", "found"),
    [
        ([["python", "/opt/esinfer/bin/esinfer", "mock", "--port", "1"]], ["mock", "--port", "1"]),
        ([["docker-init", "--", "esinfer", "serve"]], ["serve"]),
        ([["python", "-m", "esinfer", "twin"]], ["twin"]),
        ([["python", "-X", "dev", "-m", "esinfer", "serve"]], ["serve"]),
        ([["tini", "-g", "--", "nice", "-n", "5", "/bin/esinfer", "mock"]], ["mock"]),
        ([["chpst", "-u", "esinfer", "/bin/esinfer", "serve"]], ["serve"]),
        ([["sh", "-c", "esinfer mock"], ["python", "/bin/esinfer", "mock"]], ["mock"]),
        ([["python", "/bin/esinfer", "serve"], ["python", "/bin/esinfer", "twin"]], ["serve"]),
        ([["python", "/bin/esinfer", "endpoints", "list"]], None),
        ([["python", "-m", "esinfer.container_health"], [], ["esinfer"]], None),
    ],
)
def test_the_command_that_started_the_server_is_found(
    commands: list[list[str]], found: list[str] | None
) -> None:
    assert find_server(commands) == found


@pytest.mark.parametrize(
    ("bound", "asked"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.1", "10.0.0.1")]
)
def test_a_server_on_all_addresses_is_asked_on_loopback(bound: str, asked: str) -> None:
    assert host_to_ask(bound) == asked


def test_the_image_listens_where_it_says() -> None:
    own = environment()
    ports = {command: read_config([command], own)[1].server.port for command in ("mock", "serve")}
    assert own["ESINFER_SERVER__HOST"] == "0.0.0.0"
    assert [*map(str, {*ports.values()})] == final_stage()["EXPOSE"]
    assert read_config(["twin"], own)[1].server.port == 8080, "as README and --help say"
    assert own["ESINFER_LOGGING__FORMAT"] == "json", "the started line of text is another"
