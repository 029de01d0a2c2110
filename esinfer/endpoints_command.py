"""``esinfer endpoints list|export|import``: endpoints of a running server, or of Elasticsearch."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from esinfer import remote_options, transfer
from esinfer.progress import Progress
from esinfer.transfer import PLACEHOLDER, VARIABLE, Portable, TransferError, from_wire

if TYPE_CHECKING:
    from esinfer.stores.opening import StoreSettings

DESCRIPTION = """\
List the inference endpoints of a running server, export them as JSON or as a
curl script, and import such JSON. It asks through the public API, so the
server may as well be Elasticsearch."""
EXAMPLES = f"""\
A server does not tell keys. An export has the placeholder {PLACEHOLDER} in their
place, and importing it takes the key from the environment variable
{VARIABLE}. With --secrets an export reads the store itself (--conf and
--set as for `esinfer serve`) and has the keys: keep it safe.

Exit status: 0, 1 if some endpoints could not be imported, 2 if nothing could
be done.

examples:
  esinfer endpoints list --url http://localhost:9200
  esinfer endpoints export > endpoints.json
  esinfer endpoints export --format curl > endpoints.sh
  esinfer endpoints export --secrets --set store.path=endpoints.db -o backup.json
  esinfer endpoints import endpoints.json --url https://es.example.com --api-key …"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The three actions and their options."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    listing = actions.add_parser("list", help="print id, task type and service of each")
    exporting = actions.add_parser("export", help="print all as JSON or as a curl script")
    exporting.add_argument("--format", choices=("json", "curl"), default="json")
    exporting.add_argument("-o", "--output", type=Path, metavar="FILE", help="instead of printing")
    exporting.add_argument(
        "--secrets", action="store_true", help="read keys, from the store itself"
    )
    exporting.add_argument("--conf", type=Path, metavar="FILE", help="with --secrets: settings")
    exporting.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="the same"
    )
    importing = actions.add_parser("import", help="create what an export in JSON holds")
    importing.add_argument("file", metavar="FILE", help="the export; - is standard input")
    importing.add_argument(
        "--existing",
        choices=("fail", "skip", "replace"),
        default="fail",
        help="what becomes of those that are there; replace changes them, or where that cannot"
        " be deletes and creates them (default: fail)",
    )
    for action in (listing, exporting, importing):
        action.set_defaults(parser=action)
        remote_options.add_options(action)


def run(args: argparse.Namespace, store: StoreSettings | None) -> int:
    """Do it; the exit status. ``store`` is for an export with keys. Raises TransferError."""
    if args.action == "import":
        return _import(args)
    if args.action == "export":
        _check_source(args)
    endpoints = _from_server(args) if store is None else _from_store(store)
    if args.action == "list":
        _print(_table(endpoints))
        return 0
    exported = [each if store else each.with_placeholder() for each in endpoints]
    text = transfer.to_json(exported) if args.format == "json" else transfer.to_curl(exported)
    if args.output is None:
        _print(text)
    else:
        _write(args.output, text)
    return 0


def _check_source(args: argparse.Namespace) -> None:
    """An export is made of a server or of a store, and none of the options is in vain."""
    if args.secrets and remote_options.any_given(args):
        args.parser.error(
            "--secrets reads the store, so leave out --url, --user, --api-key, --ca and --timeout"
        )
    if not args.secrets and (args.conf or args.set):
        args.parser.error("--conf and --set want --secrets")


def _from_server(args: argparse.Namespace) -> list[Portable]:
    with closing(remote_options.remote(args)) as remote:
        return remote.list()


def _from_store(settings: StoreSettings) -> list[Portable]:
    """The endpoints with their keys. Servers that use the store are not disturbed."""
    import asyncio  # noqa: PLC0415 -- heavy, as below

    from esinfer.errors import EndpointUnreadable  # noqa: PLC0415
    from esinfer.services.registry import ServiceRegistry  # noqa: PLC0415
    from esinfer.services.stored import EndpointCodec  # noqa: PLC0415
    from esinfer.stores.errors import StoreError  # noqa: PLC0415
    from esinfer.stores.opening import read_store  # noqa: PLC0415

    reading = read_store(settings, EndpointCodec(ServiceRegistry()), os.environ)
    try:
        endpoints = asyncio.run(reading)
    except (StoreError, EndpointUnreadable) as error:
        raise TransferError(str(error)) from error
    return [
        from_wire(each.to_wire()).with_key(each.secret_settings.api_key.reveal())
        for each in endpoints
    ]


def _table(endpoints: Sequence[Portable]) -> str:
    rows = [(each.inference_id, each.task_type, str(each.body["service"])) for each in endpoints]
    rows.insert(0, ("INFERENCE ID", "TASK TYPE", "SERVICE"))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{a:{widths[0]}}  {b:{widths[1]}}  {c}" for a, b, c in rows]
    return "\n".join(lines) + "\n"


def _import(args: argparse.Namespace) -> int:
    from esinfer.endpoints_import import Import  # noqa: PLC0415 -- loads ssl

    endpoints = _ready(_read(args.file))
    with closing(remote_options.remote(args)) as remote:
        return Import(remote, args.existing, Progress(sys.stderr, len(endpoints))).run(endpoints)


def _ready(endpoints: Iterable[Portable]) -> list[Portable]:
    """With a key each; TransferError, before any is created, if one is missing."""
    key = os.environ.get(VARIABLE)
    ready = [each if each.has_key or not key else each.with_key(key) for each in endpoints]
    for endpoint in ready:
        if not endpoint.has_key:
            raise TransferError(
                f"endpoint [{endpoint.inference_id}] has {PLACEHOLDER} in place of its key:"
                f" write it there, or set {VARIABLE}"
            )
    return ready


def _read(file: str) -> list[Portable]:
    name = "standard input" if file == "-" else file
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return transfer.read(data.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        raise TransferError(f"{name} is not UTF-8 text: see byte {error.start}") from error
    except OSError as error:
        raise TransferError(f"cannot read {name}: {error.strerror}") from error


def _write(path: Path, text: str) -> None:
    from esinfer import private_file  # noqa: PLC0415 -- loads tempfile

    try:
        private_file.write(path, text)
    except OSError as error:
        raise TransferError(f"cannot write {path}: {error.strerror}") from error


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
