"""The options that name a running server and who asks it."""

from __future__ import annotations

import argparse
import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from esinfer.transfer import TransferError

if TYPE_CHECKING:
    from esinfer.remote import Address, Remote

API_KEY_VARIABLE = "ELASTIC_API_KEY"
_DEFAULT_URL = "http://localhost:9200"
_DEFAULT_TIMEOUT = 60.0
_LONGEST_TIMEOUT = 24 * 60 * 60
_SENDABLE = re.compile(r"[!-~]([ -~]*[!-~])?")
"""An API key that fits a header."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """None of them has a value unless it is given."""
    parser.add_argument("--url", help=f"may have credentials (default: {_DEFAULT_URL})")
    credentials = parser.add_mutually_exclusive_group()
    credentials.add_argument(
        "--user", metavar="NAME[:PASSWORD]", help="asks for the password if need be"
    )
    credentials.add_argument(
        "--api-key", help=f"(default: environment variable {API_KEY_VARIABLE})"
    )
    parser.add_argument("--ca", type=Path, metavar="FILE", help="certificates to trust, PEM")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help=f"of a request (default: {_DEFAULT_TIMEOUT:g})",
    )


def any_given(args: argparse.Namespace) -> bool:
    options = (args.url, args.user, args.api_key, args.ca, args.timeout)
    return any(option is not None for option in options)


def remote(args: argparse.Namespace) -> Remote:
    """The server, not yet asked. Raises TransferError, which quotes no secret."""
    from esinfer.remote import Address, Remote  # noqa: PLC0415 -- loads ssl

    for option, value in (("--user", args.user), ("--api-key", args.api_key)):
        if value == "":  # of a variable that is not set: it is not the same as none
            raise TransferError(f"{option} is empty")
    address = Address.parse(_DEFAULT_URL if args.url is None else args.url)
    return Remote(
        address,
        authorization=_authorization(args, address),
        certificates=args.ca,
        timeout=args.timeout or _DEFAULT_TIMEOUT,
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= _LONGEST_TIMEOUT:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most {_LONGEST_TIMEOUT}")
    return seconds


def _authorization(args: argparse.Namespace, address: Address) -> str | None:
    if address.user is not None:
        if args.user or args.api_key:
            raise TransferError("--url has credentials, so leave out --user and --api-key")
        return _basic(address.user, address.password)
    if args.user:
        user, colon, password = args.user.partition(":")
        return _basic(user, password if colon else None)
    if args.api_key:
        return _api_key(args.api_key, "--api-key")
    inherited = os.environ.get(API_KEY_VARIABLE)
    return _api_key(inherited, API_KEY_VARIABLE) if inherited else None


def _api_key(key: str, source: str) -> str:
    if not _SENDABLE.fullmatch(key):
        raise TransferError(f"{source} must be printable ASCII, without line breaks")
    return f"ApiKey {key}"


def _basic(user: str, password: str | None) -> str:
    from esinfer.remote import basic  # noqa: PLC0415

    try:
        return basic(user, _ask_password(user) if password is None else password)
    except UnicodeEncodeError:  # from None: its text would show the password
        raise TransferError("--user must be UTF-8 text") from None


def _ask_password(user: str) -> str:
    from getpass import GetPassWarning, getpass  # noqa: PLC0415 -- hardly ever

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GetPassWarning)  # says itself that it may be echoed
            return getpass(f"Password of {user}: ")
    except (EOFError, UnicodeDecodeError, OSError) as error:
        raise TransferError(f"cannot ask for the password of {user}: give NAME:PASSWORD") from error
