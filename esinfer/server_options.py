"""The options of ``esinfer serve``, ``mock`` and ``twin``, and what their help says."""

from __future__ import annotations

import argparse
from pathlib import Path

from esinfer.mock_sections import TWIN_PROFILES

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
SETTINGS = """\
Settings come from, the later the stronger: built-in defaults, the file given
with --conf, environment variables ESINFER_SECTION__KEY, --set, and the other
options. conf/esinfer.toml lists them all.

SIGTERM and SIGINT stop the server: requests in flight finish first. Exit
status: 0 when stopped so, 2 for a wrong option, a wrong configuration, an
address that cannot be listened on, a store that cannot be opened or a seed
that cannot be sown."""
SERVERS = (
    ("serve", "run the inference server", _SERVE),
    ("mock", "run the inference server for tests, with the twin behind it", _MOCK),
    ("twin", "run the Hugging Face twin alone", _TWIN),
)
"""Each command with its summary and its description."""


def add_options(parser: argparse.ArgumentParser, command: str) -> None:
    """The options of a command, and which settings they stand for."""
    _add_server_options(parser, 8080 if command == "twin" else 9200)
    if command == "serve":
        _add_workers(parser)
    else:
        _add_profile(parser)
    _add_replay_options(parser, command)
    if command != "twin":
        parser.add_argument(
            "--seed", metavar="FILE", help="TOML or JSON file with what is there at the start"
        )


def _host(text: str) -> str:
    if not text or not text.isprintable() or " " in text:
        raise argparse.ArgumentTypeError(f"must be an address or host name, got {text!r}")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 65535, got {text!r}")
    return int(text)


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
