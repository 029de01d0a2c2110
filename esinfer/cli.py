"""The command line: ``serve``, ``mock`` and ``twin``, ``chunk``, ``endpoints`` and ``hash``.

What a command needs to run is imported when it runs, so that ``--help`` and a
wrong option are answered at once.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from esinfer import __version__, chunk_command, endpoints_command, hash_command, logs
from esinfer.config import COMMAND_DEFAULTS, Config, ConfigError, load
from esinfer.mock_sections import TWIN_PROFILES
from esinfer.transfer import TransferError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from aiohttp import web

    from esinfer.serving import Post

_NEW_OBJECTS = 50_000
"""So many more objects than went are there when young garbage is looked for; CPython: 700."""

_SERVE = """\
Run the inference server: Elasticsearch's inference API over HTTP. It calls the
real url of every inference endpoint, and keeps the endpoints in a SQLite file
unless settings say otherwise."""
_MOCK = """\
Run the inference server for tests: the same API, but nothing leaves the
process. The built-in Hugging Face twin answers every upstream request,
whatever its url."""
_TWIN = """\
Run the Hugging Face twin alone, over HTTP: an offline stand-in for a Hugging
Face endpoint, a text-embeddings-inference server or another one (--profile)."""
_SETTINGS = """\
Settings come from, the later the stronger: built-in defaults, the file given
with --conf, environment variables ESINFER_SECTION__KEY, --set, and the other
options. conf/esinfer.toml lists them all.

SIGTERM and SIGINT stop the server: requests in flight finish first. Exit
status: 0 when stopped so, 2 for a wrong option, a wrong configuration, an
address that cannot be listened on, a store that cannot be opened or a seed
that cannot be sown."""
_EXAMPLES = """\
examples:
  esinfer mock                               the server for tests, on port 9200
  esinfer serve --host 0.0.0.0 --port 9300   the server, reachable from outside
  esinfer mock --set inference.retry_initial_delay=10ms
  esinfer twin --profile toolkit             a stand-in for the Inference Toolkit
  esinfer chunk README.md --strategy sentence --max-chunk-size 60
  esinfer endpoints export > endpoints.json  the endpoints of a running server

`esinfer COMMAND --help` explains a command's options."""


class _Parser(argparse.ArgumentParser):
    """Answers a wrong option with one line and where to read on."""

    def error(self, message: str) -> NoReturn:
        line = f"{self.prog}: {message} (see `{self.prog} --help`)"
        self.exit(2, f"{line if line.isprintable() else ascii(line)[1:-1]}\n")


def _host(text: str) -> str:
    if not text or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError(f"must be an address or host name, got {text!r}")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 65535, got {text!r}")
    return int(text)


def _parser() -> _Parser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="esinfer",
        description="Elasticsearch's inference API as a standalone server.",
        epilog=_EXAMPLES,
        formatter_class=raw,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"esinfer {__version__}")
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    servers = [
        ("serve", "run the inference server", _SERVE, 9200),
        ("mock", "run the inference server for tests, with the twin behind it", _MOCK, 9200),
        ("twin", "run the Hugging Face twin alone", _TWIN, 8080),
    ]
    for name, summary, description, port in servers:
        command = commands.add_parser(
            name,
            help=summary,
            description=description,
            epilog=_SETTINGS,
            formatter_class=raw,
            allow_abbrev=False,
        )
        _add_server_options(command, port)
        if name == "serve":
            _add_workers(command)
        else:
            _add_profile(command)
        _add_replay_options(command, name)
        if name != "twin":
            command.add_argument(
                "--seed", metavar="FILE", help="TOML or JSON file with what is there at the start"
            )
        command.set_defaults(parser=command, run=_run_server, defaults=COMMAND_DEFAULTS[name])
    command = commands.add_parser(
        "chunk",
        help="cut a text into chunks as Elasticsearch does",
        description=chunk_command.DESCRIPTION,
        epilog=chunk_command.EXAMPLES,
        formatter_class=raw,
        allow_abbrev=False,
    )
    chunk_command.add_options(command)
    command.set_defaults(parser=command, run=chunk_command.run)
    command = commands.add_parser(
        "endpoints",
        help="list, export and import the endpoints of a running server",
        description=endpoints_command.DESCRIPTION,
        epilog=endpoints_command.EXAMPLES,
        formatter_class=raw,
        allow_abbrev=False,
    )
    command.set_defaults(parser=command, run=_run_endpoints)
    endpoints_command.add_options(command)
    command = commands.add_parser(
        "hash",
        help="hash a password, API key or token for the credentials file",
        description=hash_command.DESCRIPTION,
        formatter_class=raw,
        allow_abbrev=False,
    )
    hash_command.add_options(command)
    command.set_defaults(parser=command, run=hash_command.run)
    return parser


def _add_server_options(parser: argparse.ArgumentParser, port: int) -> None:
    parser.add_argument("--host", type=_host, help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=_port, help=f"port to listen on, 0 for any free one (default: {port})"
    )
    parser.add_argument(
        "--conf", type=Path, metavar="FILE", help="TOML file with settings (default: none)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="one setting, such as server.shutdown_timeout=5s; may be repeated",
    )
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        help="of the started line and of the log on standard error (default: text)",
    )


def _add_profile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile",
        choices=TWIN_PROFILES,
        help=f"server that the twin imitates (default: {TWIN_PROFILES[0]})",
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=_workers,
        metavar="N",
        help="processes that serve the port, on one durable store (default: 1)",
    )


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 256, got {text!r}")
    return int(text)


def _add_replay_options(parser: argparse.ArgumentParser, command: str) -> None:
    """Those of ``[replay]``; each is called as its destination says."""
    if command == "serve":
        parser.add_argument(
            "--record",
            metavar="DIR",
            dest="replay.record",
            help="record exchanges with upstreams in this directory (default: do not)",
        )
        parser.add_argument(
            "--record-mode",
            choices=("once", "new", "all", "none"),
            dest="replay.record_mode",
            help="call upstreams and record: once, if there is no file yet; new, what the file"
            " lacks; all; or none, the file alone answers (default: once)",
        )
    elif command == "mock":
        parser.add_argument(
            "--replay",
            metavar="DIR",
            dest="replay.play",
            help="answer from the recordings in this directory (default: the twin answers)",
        )
        parser.add_argument(
            "--on-miss",
            choices=("error", "twin"),
            dest="replay.on_miss",
            help="what answers a request that was not recorded (default: error)",
        )


def _config(args: argparse.Namespace, environ: Mapping[str, str]) -> Config:
    options = {
        "server.host": args.host,
        "server.port": args.port,
        "logging.format": args.log_format,
        "server.workers": getattr(args, "workers", None),
        "twin.profile": getattr(args, "profile", None),
        "store.seed": getattr(args, "seed", None),
        **{name: value for name, value in vars(args).items() if name.startswith("replay.")},
    }
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    return load(args.conf, environ, [*args.set, *given], args.defaults)


def _run_server(args: argparse.Namespace) -> int:
    config = _config(args, os.environ)
    logs.configure(config.logging.format, config.logging.level)

    import asyncio  # noqa: PLC0415 -- heavy, as below

    from esinfer.refusals import REFUSALS  # noqa: PLC0415

    try:
        if config.server.workers > 1:
            from esinfer import worker_command  # noqa: PLC0415 -- for those who want several

            return worker_command.run(args.command, config, _serve)
        asyncio.run(_serve(args.command, config))
    except REFUSALS as error:
        return _refuse(error)
    _leave_unfinished()
    return 0


def _run_endpoints(args: argparse.Namespace) -> int:
    if not getattr(args, "secrets", False):
        return endpoints_command.run(args, None)
    config = load(args.conf, os.environ, args.set, COMMAND_DEFAULTS["serve"])
    logs.configure(config.logging.format, "error")

    from esinfer.app import store_settings  # noqa: PLC0415 -- heavy

    return endpoints_command.run(args, store_settings(config))


def _leave_unfinished() -> None:
    """End now if a thread still works for a request that had its time; Python would wait for it."""
    from esinfer import threads  # noqa: PLC0415 -- the server has loaded it

    if threads.is_busy():
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


async def _serve(command: str, config: Config, post: Post | None = None) -> None:
    from esinfer.connection import ConnectionLimits  # noqa: PLC0415
    from esinfer.serving import STOP_SIGNALS, serve  # noqa: PLC0415

    tls = _tls(config)
    app, make_runner = _application(command, config, post)
    _collect_less_often()
    await serve(
        app,
        command=command,
        host=config.server.host,
        port=config.server.port,
        shutdown_delay=config.server.shutdown_delay,
        shutdown_timeout=config.server.shutdown_timeout,
        log_format=config.logging.format,
        make_runner=make_runner,
        post=post,
        tls=tls,
        limits=ConnectionLimits(
            connections=config.server.max_connections,
            headers=config.server.max_headers,
            receive_timeout=config.server.receive_timeout,
        ),
    )
    # Whoever signals twice must not kill what is already on its way to status 0.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def _tls(config: Config) -> ssl.SSLContext | None:
    from esinfer.tls import TlsFiles, make_context  # noqa: PLC0415

    server = config.server
    return make_context(
        TlsFiles(
            certificate=server.certificate,
            key=server.key,
            key_password=server.key_password,
            client_ca=server.client_ca,
        )
    )


def _collect_less_often() -> None:
    """Spare requests the search for garbage where there is none.

    What start-up made lives as long as the process, and requests leave few
    cycles behind: worth a tenth of a request's time.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 20, 50)


def _application(
    command: str, config: Config, post: Post | None = None
) -> tuple[web.Application, Callable[..., web.AppRunner]]:
    """The application of a command, and what makes its runner."""
    from esinfer.app import make_app, make_twin  # noqa: PLC0415

    if command == "twin":
        from esinfer.twin import protocol as twin  # noqa: PLC0415

        return make_twin(config), twin.make_runner

    from esinfer.api import protocol as api  # noqa: PLC0415

    slot = post.slot if post else None
    app = make_app(config, mode="mock" if command == "mock" else "serve", slot=slot)
    return app, api.make_runner


def _refuse(error: Exception) -> int:
    print(f"esinfer: {error}", file=sys.stderr)  # noqa: T201 -- for whoever typed the command
    return 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status. A wrong option raises SystemExit(2), as argparse does."""
    parser = _parser()
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        status: int = args.run(args)
    except (
        ConfigError,
        chunk_command.InputError,
        hash_command.SecretError,
        TransferError,
    ) as error:
        return _refuse(error)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status
