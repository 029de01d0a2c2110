"""Several processes on one port: real ones, started as a user does."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from esinfer.ports import SPREADS, Port
from tests.conftest import Upstream
from tests.stores import postgres

ROOT = Path(__file__).parent.parent
COUNT = 3


class Workers:
    """A running ``esinfer serve --workers``."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and body of an answer, on a connection of its own: to any of the workers."""
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(method, self.url + path, json=body) as response,
        ):
            return response.status, await response.json()

    async def text(self, path: str) -> str:
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(self.url + path) as response,
        ):
            return await response.text()

    async def pids(self) -> set[int]:
        """The processes that answer; asked often enough to meet them all."""
        return {(await self.ask("GET", "/_esinfer/health"))[1]["pid"] for _ in range(60)}

    async def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit status and log."""
        with suppress(ProcessLookupError):
            while self.process.returncode is None:  # further ones change no status
                os.kill(self.process.pid, number)
                await asyncio.sleep(0)
        _, log = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, log.decode()


@asynccontextmanager
async def starting(
    *options: str, run: Sequence[str] = ("-m", "esinfer"), stdout: int = asyncio.subprocess.PIPE
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", *run, *options),
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(40):
            yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@asynccontextmanager
async def workers(
    tmp_path: Path, *options: str, run: Sequence[str] = ("-m", "esinfer")
) -> AsyncIterator[Workers]:
    store = f"--set=store.path={tmp_path / 'endpoints.db'}"
    async with starting(
        "serve", "--port=0", f"--workers={COUNT}", store, *options, run=run
    ) as process:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        assert line.startswith("esinfer serve listening on http://127.0.0.1:")
        yield Workers(process, line.split()[-1])
        assert await process.stdout.read() == b"", "one line, whatever the number of workers"


async def refused(*options: str) -> tuple[int | None, str, str]:
    async with starting(*options) as process:
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_all_workers_serve_one_port_and_stop_with_status_0(tmp_path: Path) -> None:
    async with workers(tmp_path) as server:
        pids = await server.pids()
        assert len(pids) == COUNT
        assert server.process.pid not in pids
        status, log = await server.stop()
    assert status == 0
    assert log.count("stored unencrypted") == 1
    assert log.count("stopping") == COUNT


async def test_a_change_is_seen_by_every_worker_at_once(tmp_path: Path, upstream: Upstream) -> None:
    path = "/_inference/text_embedding/id"
    settings = {"url": upstream.url, "api_key": "secret"}
    async with workers(tmp_path, "--set=inference.skip_validate_and_start=true") as server:
        for round_ in range(5):
            body = {"service": "hugging_face", "service_settings": settings}
            assert (await server.ask("PUT", path, body))[0] == 200
            found = {(await server.ask("POST", path, {"input": "a"}))[0] for _ in range(20)}
            assert found == {200}, round_
            assert (await server.ask("DELETE", path))[0] == 200
            gone = {(await server.ask("POST", path, {"input": "a"}))[0] for _ in range(20)}
            assert gone == {404}, round_
        assert await server.stop(signal.SIGINT) == (0, ANY_LOG)


@pytest.mark.skipif(postgres.programs() is None, reason=postgres.HOW_TO_GET_IT)
async def test_workers_share_a_postgresql_and_say_when_it_is_gone(
    tmp_path: Path, upstream: Upstream
) -> None:
    programs = postgres.programs()
    assert programs is not None
    path = "/_inference/text_embedding/id"
    settings = {"url": upstream.url, "api_key": "secret"}
    body = {"service": "hugging_face", "service_settings": settings}

    async def answers(path: str) -> set[int]:
        return {(await server.ask("GET", path))[0] for _ in range(20)}

    with postgres.running(programs) as database:
        store = ("--set=store.kind=postgresql", f"--set=store.url={database.url()}")
        async with workers(tmp_path, *store) as server:
            assert (await server.ask("PUT", path, body))[0] == 200
            assert await answers(path) == {200}
            assert (await server.ask("DELETE", path))[0] == 200
            while await answers(path) != {404}:  # within milliseconds
                pass
            assert await answers("/_esinfer/ready") == {200}
            database.stop()
            assert await answers("/_esinfer/ready") == {503}
            assert await answers("/_esinfer/health") == {200}
            database.start()
            while await answers("/_esinfer/ready") != {200}:
                pass
            assert (await server.stop())[0] == 0


class _Anything(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    def __hash__(self) -> int:
        return 0


ANY_LOG = _Anything()


async def test_a_worker_that_died_is_replaced(tmp_path: Path) -> None:
    async with workers(tmp_path) as server:
        before = await server.pids()
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        assert server.process.stderr is not None
        async for line in server.process.stderr:
            if b"another starts in 0.1 seconds" in line:
                break
        assert f"(process {victim}) was ended by SIGKILL".encode() in line
        while len(after := await server.pids() - {victim}) < COUNT:
            pass
        assert len(after - before) == 1
        assert (await server.stop())[0] == 0


async def test_a_successor_that_cannot_start_is_tried_again_later(tmp_path: Path) -> None:
    async with workers(tmp_path) as server:
        victim = next(iter(await server.pids()))
        junk = tmp_path / "junk"
        junk.write_bytes(b"no database" * 1000)
        junk.replace(tmp_path / "endpoints.db")
        os.kill(victim, signal.SIGKILL)
        assert server.process.stderr is not None
        found = []
        async for line in server.process.stderr:
            found.append(line.decode())
            if "0.4 seconds" in found[-1]:
                break
        tries = [line for line in found if "cannot start: store.path: cannot use" in line]
        assert len(tries) == 2
        assert "ended with status 2; another starts in 0.2 seconds" in "".join(found)
        assert len(await server.pids()) == COUNT - 1, "the others go on"
        assert (await server.stop())[0] == 0


SEED = """\
[[endpoints]]
inference_id = "seeded"
task_type = "text_embedding"
service = "hugging_face"
service_settings = {{ url = "{url}", api_key = "k" }}
"""


async def successor(server: Workers, victim: int) -> None:
    """Kill that worker, and wait until another has its place."""
    os.kill(victim, signal.SIGKILL)
    while len(await server.pids() - {victim}) < COUNT:
        pass


async def test_a_seed_is_sown_once(tmp_path: Path, upstream: Upstream) -> None:
    """One validation call, whatever the number of workers; who dies brings nothing back."""
    (tmp_path / "seed.toml").write_text(SEED.format(url=upstream.url))
    async with workers(tmp_path, f"--seed={tmp_path / 'seed.toml'}") as server:
        assert {(await server.ask("GET", "/_inference/seeded"))[0] for _ in range(20)} == {200}
        assert (await server.ask("DELETE", "/_inference/seeded"))[0] == 200
        for victim in await server.pids():
            await successor(server, victim)
        assert await server.ask("GET", "/_inference") == (200, {"endpoints": []})
        assert (await server.stop())[0] == 0
    assert len(upstream.requests) == 1


async def test_nobody_answers_before_the_seed_is_sown(tmp_path: Path, upstream: Upstream) -> None:
    with Port("127.0.0.1", 0) as port:
        number = port.number
    refusals = []

    async def ask_the_server(_: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        with pytest.raises(ConnectionRefusedError) as refused:
            await asyncio.open_connection("127.0.0.1", number)
        refusals.append(refused.type)
        return aiohttp.web.json_response([[0.5]])

    upstream.handler = ask_the_server
    (tmp_path / "seed.toml").write_text(SEED.format(url=upstream.url))
    options = f"--seed={tmp_path / 'seed.toml'}", f"--port={number}"
    async with workers(tmp_path, *options) as server:
        assert refusals == [ConnectionRefusedError]
        assert (await server.stop())[0] == 0


async def test_a_seed_that_cannot_be_sown_is_one_line_and_status_2(tmp_path: Path) -> None:
    seed = tmp_path / "seed.toml"
    seed.write_text("\n[[stubs]]\nanswer.score = 1\n")
    store = f"--set=store.path={tmp_path / 'endpoints.db'}"
    ran = await refused("serve", "--port=0", "--workers=2", store, f"--seed={seed}")
    problem = "stubs: is for esinfer mock: esinfer serve calls real upstreams"
    line = f"{seed}:2: {problem}\n"
    assert (ran[0], ran[1], ran[2].splitlines(keepends=True)[-1]) == (2, "", f"esinfer: {line}")


async def test_a_successor_has_the_keys_that_the_server_started_with(tmp_path: Path) -> None:
    """Or one death would encrypt what the others can then not read."""
    first, second = (base64.b64encode(bytes([n] * 32)).decode() for n in (1, 2))
    keys = tmp_path / "keys"
    keys.write_text(f"{first}\n")
    path = "/_inference/text_embedding/id"
    body = {"service": "hugging_face", "service_settings": {"url": "http://x/", "api_key": "k"}}
    options = f"--set=store.key_file={keys}", "--set=inference.skip_validate_and_start=true"
    async with workers(tmp_path, *options) as server:
        assert (await server.ask("PUT", path, body))[0] == 200
        keys.write_text(f"{second}\n{first}\n")
        await successor(server, next(iter(await server.pids())))
        assert {(await server.ask("GET", path))[0] for _ in range(20)} == {200}
        keys.unlink()
        await successor(server, next(iter(await server.pids())))
        assert {(await server.ask("GET", path))[0] for _ in range(20)} == {200}
        assert (await server.stop())[0] == 0


@pytest.mark.parametrize("content", [None, "no key\n"])
async def test_a_key_file_that_will_not_do_is_one_line_and_status_2(
    tmp_path: Path, content: str | None
) -> None:
    keys = tmp_path / "keys"
    if content is not None:
        keys.write_text(content)
    ran = await refused("serve", "--port=0", "--workers=2", f"--set=store.key_file={keys}")
    problem = (
        f"store.key_file: cannot read {keys}: No such file or directory"
        if content is None
        else f"store.key_file {keys}: key 1 must be 32 bytes in base64, as"
        " `openssl rand -base64 32` prints them"
    )
    assert ran == (2, "", f"esinfer: {problem}\n")


FAILING = """\
import errno, os, sys
from esinfer import cli, workers
call, left = os.{call}, [{good}, 2]

def failing():
    if left[0]:
        left[0] -= 1
    elif left[1]:
        left[1] -= 1
        raise OSError(errno.EAGAIN, "too much is going on")
    return call()

class System:
    def __getattr__(self, name):
        return failing if name == "{call}" else getattr(os, name)

workers.os = System()
sys.exit(cli.main())
"""


@pytest.mark.parametrize(("call", "good"), [("fork", COUNT), ("pipe", COUNT + 1)])
async def test_a_successor_that_the_system_will_not_start_is_tried_again_later(
    tmp_path: Path, call: str, good: int
) -> None:
    async with workers(tmp_path, run=("-c", FAILING.format(call=call, good=good))) as server:
        await successor(server, next(iter(await server.pids())))
        status, log = await server.stop()
    assert status == 0
    said = re.findall(r"worker . cannot start: .*", log)
    assert [line.partition(": ")[2] for line in said] == [
        "too much is going on; tried again in 0.2 seconds",
        "too much is going on; tried again in 0.4 seconds",
    ]
    assert "Traceback" not in log


@pytest.mark.parametrize(("call", "good"), [("fork", 1), ("pipe", 2)])
async def test_a_worker_that_the_system_will_not_start_ends_the_start(
    tmp_path: Path, call: str, good: int
) -> None:
    store = f"--set=store.path={tmp_path / 'endpoints.db'}"
    script = FAILING.format(call=call, good=good)
    run = ("-c", script)
    async with starting("serve", "--port=0", "--workers=2", store, run=run) as process:
        out, err = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    line = err.decode().splitlines()[-1]
    assert line == "esinfer: worker 2 cannot start: too much is going on"
    assert b"Traceback" not in err


FAILING_AT_THE_END = """\
import sys
from esinfer import cli
from esinfer.stores.errors import StoreError
serve = cli._serve

async def serve_and_fail(*given):
    await serve(*given)
    raise StoreError("it was there a moment ago")

cli._serve = serve_and_fail
sys.exit(cli.main())
"""


async def test_what_fails_after_the_start_is_logged(tmp_path: Path) -> None:
    async with workers(tmp_path, run=("-c", FAILING_AT_THE_END)) as server:
        status, log = await server.stop()
    assert status == 0
    said = re.findall(r"worker . failed: .*", log)
    assert sorted(said) == [f"worker {n} failed: it was there a moment ago" for n in (1, 2, 3)]
    assert "Traceback" not in log


LEAVING = """\
import sys
from esinfer import cli

async def leave(*_):
    raise SystemExit(3)

cli._serve = leave
try:
    sys.exit(cli.main())
finally:
    sys.stderr.write("the end of a process\\n")
"""


async def test_a_worker_that_leaves_does_not_go_on_as_the_supervisor(tmp_path: Path) -> None:
    store = f"--set=store.path={tmp_path / 'endpoints.db'}"
    async with starting("serve", "--port=0", "--workers=2", store, run=("-c", LEAVING)) as process:
        _, err = await process.communicate()
    assert process.returncode == 2
    assert err.decode().count("the end of a process") == 1
    assert "worker 1 failed" in err.decode()


async def test_a_stop_does_not_wait_for_the_seed(tmp_path: Path, upstream: Upstream) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def hold(_: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        asked.set()
        await answer.wait()
        return aiohttp.web.json_response([[0.5]])

    upstream.handler = hold
    (tmp_path / "seed.toml").write_text(SEED.format(url=upstream.url))
    options = f"--seed={tmp_path / 'seed.toml'}", f"--set=store.path={tmp_path / 'endpoints.db'}"
    for count in (1, 2):
        asked.clear()
        async with starting("serve", "--port=0", f"--workers={count}", *options) as process:
            await asked.wait()
            process.terminate()
            out, err = await process.communicate()
        assert (process.returncode, out) == (0, b"")
        assert b"Traceback" not in err
    answer.set()


@pytest.mark.parametrize("count", [1, 2])
async def test_a_server_whose_started_line_nobody_reads_goes_on(tmp_path: Path, count: int) -> None:
    options = f"--workers={count}", f"--set=store.path={tmp_path / 'endpoints.db'}"
    reader, writer = os.pipe()
    os.close(reader)
    async with starting("serve", "--port=0", *options, stdout=writer) as process:
        os.close(writer)
        assert process.stderr is not None
        async for line in process.stderr:
            assert b"Traceback" not in line
            if b" esinfer.serving " in line:
                break
        said = re.escape("standard output cannot be written to (Broken pipe): esinfer serve")
        found = re.search(rf"WARN  esinfer.serving {said} listening on (\S+)\n", line.decode())
        assert found is not None
        assert (await Workers(process, found[1]).ask("GET", "/_esinfer/ready"))[0] == 200
        process.terminate()
        _, log = await process.communicate()
    assert process.returncode == 0
    assert re.fullmatch(rf"(\S+ INFO  esinfer.serving stopping: .*\n){{{count}}}", log.decode())


async def test_metrics_are_those_of_all_workers_and_outlive_them(tmp_path: Path) -> None:
    async def counted() -> int:
        text = await server.text("/_esinfer/metrics")
        found = re.search(
            r'requests_total{[^}]*route="/_inference/{inference_id}"[^}]*} (.*)', text
        )
        assert found is not None, text
        return int(float(found[1]))

    async with workers(tmp_path) as server:
        for _ in range(40):
            assert (await server.ask("GET", "/_inference/x"))[0] == 404
        assert {await counted() for _ in range(20)} == {40}
        text = await server.text("/_esinfer/metrics")
        if sys.platform == "linux":
            numbers = re.findall(r'process_resident_memory_bytes{worker="(.)"}', text)
            assert numbers == ["0", "1", "2"]
        await successor(server, next(iter(await server.pids())))
        assert {await counted() for _ in range(20)} == {40}
        in_flight = r"(?m)^esinfer_http_requests_in_flight 1.0$"
        assert re.search(in_flight, await server.text("/_esinfer/metrics"))
        await server.stop()


PATH = "/_inference/text_embedding/id"
STOPPING = "stopping: requests in flight"


@asynccontextmanager
async def one_in_flight(
    tmp_path: Path, upstream: Upstream, number: int = signal.SIGINT, *, to_all: bool = False
) -> AsyncIterator[tuple[Workers, asyncio.Task[tuple[int, Any]], asyncio.Event]]:
    """A server that was told to stop, its last request, and what lets that go on.

    The signal goes to the supervisor, and then ``to_all`` workers too.
    """
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def hold(_: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        begun.set()
        await go_on.wait()
        return aiohttp.web.json_response([[0.5]])

    settings = {"url": upstream.url, "api_key": "secret"}
    options = "--set=inference.skip_validate_and_start=true", "--set=server.shutdown_timeout=60s"
    async with workers(tmp_path, *options) as server:
        await server.ask("PUT", PATH, {"service": "hugging_face", "service_settings": settings})
        pids = await server.pids() if to_all else set()
        upstream.handler = hold
        asked = asyncio.create_task(server.ask("POST", PATH, {"input": "a"}))
        await begun.wait()
        server.process.send_signal(number)
        assert server.process.stderr is not None
        for _ in range(COUNT):
            while STOPPING not in (await server.process.stderr.readline()).decode():
                pass
        for pid in pids:
            with suppress(ProcessLookupError):  # it had nothing in flight
                os.kill(pid, number)
        yield server, asked, go_on
        go_on.set()


async def test_requests_in_flight_finish_whatever_other_signal_comes(
    tmp_path: Path, upstream: Upstream
) -> None:
    async with one_in_flight(tmp_path, upstream) as (server, asked, go_on):
        server.process.send_signal(signal.SIGTERM)  # a parent's; no second word of the user
        go_on.set()
        assert await asked == (200, {"text_embedding": [{"embedding": [0.5]}]})
        assert await server.process.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_all_processes_is_none_repeated(
    tmp_path: Path, upstream: Upstream, number: int
) -> None:
    """As systemd and terminals send it; the supervisor passes it on all the same."""
    stopping = one_in_flight(tmp_path, upstream, number, to_all=True)
    async with stopping as (server, asked, go_on):
        go_on.set()
        assert await asked == (200, {"text_embedding": [{"embedding": [0.5]}]})
        _, log = await server.process.communicate()
    assert server.process.returncode == 0
    assert "asked again" not in log.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_same_signal_again_cuts_off_what_is_in_flight(
    tmp_path: Path, upstream: Upstream, number: int
) -> None:
    async with one_in_flight(tmp_path, upstream, number) as (server, asked, _):
        server.process.send_signal(number)
        _, log = await server.process.communicate()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await asked
    assert server.process.returncode == 0
    assert "asked again to stop: requests in flight are cut off" in log.decode()
    assert f"POST {PATH} was cut off by the stop" in log.decode()


async def test_workers_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    async with workers(tmp_path) as server:
        status, log = await server.stop(signal.SIGKILL)  # waits for all who hold its output
    assert status == -signal.SIGKILL
    assert log.count("stopping") == COUNT


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            ["serve", "--set=store.kind=memory"],
            "server.workers is 2, but store.kind is memory, which each process has for itself:"
            " choose sqlite or postgresql",
        ),
        (
            ["mock", "--set=server.workers=2"],
            "server.workers is 2, but `esinfer mock` has one process: its state is in memory",
        ),
        (
            ["serve", "--set=store.path=/dev/null/x"],
            "store.path: cannot create /dev/null/x: /dev/null: File exists",
        ),
        (
            ["serve", "--host=no.such.host.invalid"],
            "cannot listen on no.such.host.invalid:0: the host name cannot be resolved"
            " (choose one with --host)",
        ),
    ],
)
async def test_what_cannot_start_is_one_line_and_status_2(options: list[str], line: str) -> None:
    command, *rest = options
    count = [] if command == "mock" else ["--workers=2"]
    ran = await refused(command, "--port=0", *count, *rest)
    assert ran == (2, "", f"esinfer: {line}\n")


async def test_a_port_in_use_is_refused_even_if_its_user_would_share(tmp_path: Path) -> None:
    async with workers(tmp_path) as server:
        port = server.url.rpartition(":")[2]
        status, out, err = await refused("serve", f"--port={port}", "--workers=2")
        await server.stop()
    assert (status, out) == (2, "")
    assert re.fullmatch(rf"esinfer: cannot listen on 127.0.0.1:{port}: .* already in use.*\n", err)


@pytest.mark.parametrize("count", ["0", "257", "two"])
async def test_a_wrong_number_of_workers_is_refused(count: str) -> None:
    status, _, err = await refused("serve", f"--workers={count}")
    assert status == 2
    assert f"must be a whole number from 1 to 256, got '{count}'" in err


@pytest.mark.parametrize("spread", [True, False])
def test_a_port_gives_every_process_what_it_listens_on(*, spread: bool) -> None:
    if spread and not hasattr(socket, "SO_REUSEPORT"):
        pytest.skip("no SO_REUSEPORT here")
    with Port("127.0.0.1", 0, spread=spread) as port:
        sockets = [each for _ in range(3) for each in port.sockets()]
        assert {bound.getsockname() for bound in sockets} == {("127.0.0.1", port.number)}
        for bound in sockets:
            bound.listen()
        with socket.create_connection(("127.0.0.1", port.number), timeout=5):
            pass
        for bound in sockets:
            bound.close()
    with Port("127.0.0.1", port.number, spread=spread) as again:
        assert again.number == port.number


def test_a_port_in_use_is_an_error() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
    ):
        Port("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("spread", [True, False])
def test_a_port_is_held_before_anybody_listens(*, spread: bool) -> None:
    """Against those who would share it, those who would not, and those on all addresses."""
    if spread and not SPREADS:
        pytest.skip("connections are not spread here")
    with Port("127.0.0.1", 0, spread=spread) as port:
        for taker in (
            partial(Port, "127.0.0.1", port.number, spread=spread),
            partial(Port, "0.0.0.0", port.number, spread=spread),
            partial(socket.create_server, ("127.0.0.1", port.number)),
        ):
            with pytest.raises(OSError, match="in use"):
                taker()
        bound = port.sockets()
        for each in bound:
            each.listen()
        with socket.create_connection(("127.0.0.1", port.number), timeout=5):
            pass
        for each in bound:
            each.close()
    with Port("127.0.0.1", port.number, spread=spread):
        pass


@pytest.mark.skipif(not SPREADS, reason="connections are not spread here")
def test_of_many_that_want_a_port_at_once_one_has_it() -> None:
    with Port("127.0.0.1", 0) as port:
        number = port.number
    gate = threading.Barrier(6)

    def take(_: int) -> Port | None:
        gate.wait(timeout=10)
        try:
            return Port("127.0.0.1", number)
        except OSError:
            return None

    with ThreadPoolExecutor(max_workers=6) as threads:
        for _ in range(30):
            held = [port for port in threads.map(take, range(6)) if port]
            assert len(held) == 1
            held[0].close()


async def test_workers_that_share_a_socket_serve_too(tmp_path: Path) -> None:
    """As where the system does not spread connections over sockets."""
    script = "from esinfer import cli, ports; ports.SPREADS = False; cli.main()"
    async with workers(tmp_path, run=("-c", script)) as server:
        assert {(await server.ask("GET", "/_esinfer/ready"))[0] for _ in range(10)} == {200}
        victim = next(iter(await server.pids()))
        os.kill(victim, signal.SIGKILL)
        assert victim not in await server.pids()
        assert (await server.stop())[0] == 0
