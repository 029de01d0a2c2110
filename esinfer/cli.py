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
from typing import TYPE_CHECKING, NoReturn

from esinfer import __version__, chunk_command, endpoints_command, hash_command, logs
from esinfer.config import COMMAND_DEFAULTS, Config, ConfigError, load
from esinfer.server_options import SERVERS, SETTINGS, add_options
from esinfer.transfer import TransferError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from aiohttp import web

    from esinfer.serving import Post

_NEW_OBJECTS = 50_000
"""So many more objects than went are there when young garbage is looked for; CPython: 700."""

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
    for name, summary, description in SERVERS:
        command = _add_command(commands, name, summary, description, SETTINGS)
        add_options(command, name)
        command.set_defaults(run=_run_server, defaults=COMMAND_DEFAULTS[name])
    for name, summary, tool in (
        ("chunk", "cut a text into chunks as Elasticsearch does", chunk_command),
        ("endpoints", "list, export and import endpoints of a running server", endpoints_command),
        ("hash", "hash a password, API key or token for the credentials file", hash_command),
    ):
        command = _add_command(commands, name, summary, tool.DESCRIPTION, tool.EXAMPLES)
        tool.add_options(command)
        command.set_defaults(run=_run_endpoints if tool is endpoints_command else tool.run)
    return parser


def _add_command(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    summary: str,
    description: str,
    epilog: str,
) -> _Parser:
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(parser=command)
    return command


def read_config(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[str, Config]:
    """The server that a command line starts, and how; the arguments are known to be good."""
    args = _parser().parse_args(argv)
    return args.command, _config(args, environ)


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
    gc.disable()  # until all is loaded: of what start-up makes hardly anything is garbage
    try:
        return _run_configured(args.command, _config(args, os.environ))
    finally:
        gc.enable()


def _run_configured(command: str, config: Config) -> int:
    logs.configure(config.logging.format, config.logging.level)

    import asyncio  # noqa: PLC0415 -- heavy, as below

    from esinfer.refusals import REFUSALS  # noqa: PLC0415

    try:
        if config.server.workers > 1:
            from esinfer import worker_command  # noqa: PLC0415 -- for those who want several

            return worker_command.run(command, config, _serve)
        asyncio.run(_serve(command, config))
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
    from esinfer.descriptors import fit  # noqa: PLC0415
    from esinfer.serving import serve  # noqa: PLC0415
    from esinfer.stopping import STOP_SIGNALS  # noqa: PLC0415

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
            connections=fit(
                config.server.max_connections, upstream=config.inference.max_total_connections
            ),
            headers=config.server.max_headers,
            receive_timeout=config.server.receive_timeout,
            send_timeout=config.server.send_timeout,
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
    gc.enable()


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
    return status
