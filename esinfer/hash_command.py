"""``esinfer hash``: what the credentials file keeps of a password, API key or token.

The secret is read from standard input or asked for, never taken from the
command line, where others on the machine can see it.
"""

from __future__ import annotations

import argparse
import sys

DESCRIPTION = """\
Print the hash of a password, or with --key of an API key or token, as the
credentials file of [security] credentials wants it. The secret is the first
line of standard input; on a terminal it is asked for and not shown."""
EXAMPLES = """\
examples:
  esinfer hash < password.txt
  openssl rand -hex 24 | tee key.txt | esinfer hash --key"""


class SecretError(Exception):
    """There is no secret to hash, or one that is too easy to guess; the text is one line."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key", action="store_true", help="the secret is an API key or token, long and random"
    )


def run(args: argparse.Namespace) -> int:
    """Print the hash. Raises SecretError."""
    from esinfer.security.hashes import MIN_KEY_LENGTH, hash_key, hash_password  # noqa: PLC0415

    secret = _read("Key: " if args.key else "Password: ")
    if not secret:
        raise SecretError("there is no secret on standard input")
    if args.key and len(secret) < MIN_KEY_LENGTH:
        raise SecretError(f"a key must have {MIN_KEY_LENGTH} characters or more, at random")
    print((hash_key if args.key else hash_password)(secret))  # noqa: T201 -- what was asked for
    return 0


def _read(prompt: str) -> bytes:
    if sys.stdin.isatty():
        import getpass  # noqa: PLC0415 -- for those at a terminal

        return getpass.getpass(prompt).encode()
    return sys.stdin.buffer.readline().rstrip(b"\r\n")
