"""The live servers that a suite speaks to: processes of their own, on free ports."""

from __future__ import annotations

import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO

_ADDRESS = re.compile(r"https?://\S+")
_PATIENCE = 15.0
_VARIABLE = "ESINFER_SUITE_{}"


class ServerError(Exception):
    """A server did not start, or has logged that something in it went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Their addresses: a mock, and a server for whose endpoints there is a twin behind HTTP."""

    mock: str
    serve: str
    twin: str

    @property
    def environment(self) -> dict[str, str]:
        """The addresses as a suite in a process of its own is told them."""
        return {_VARIABLE.format(name.upper()): url for name, url in asdict(self).items()}

    @classmethod
    def told(cls, environ: Mapping[str, str]) -> Servers | None:
        """What the environment says, if it says it."""
        variables = {name: _VARIABLE.format(name.upper()) for name in cls.__slots__}
        if not environ.keys() >= set(variables.values()):
            return None
        return cls(**{name: environ[variable] for name, variable in variables.items()})


@contextmanager
def live_servers() -> Iterator[Servers]:
    """Start all; they are stopped when the block is left, however that is.

    Raises ServerError, also at the end, for an error in a log.
    """
    with (
        running("mock") as mock,
        running("serve") as serve,
        running("twin", "--set", "twin.api_key=secret") as twin,
    ):
        yield Servers(mock=mock, serve=serve, twin=twin)


@contextmanager
def running(command: str, *options: str) -> Iterator[str]:
    """A server until the block is left; its address. Raises ServerError, as above."""
    quiet = ("--set", "logging.level=error")
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(  # noqa: S603 -- our own interpreter
            [sys.executable, "-m", "esinfer", command, "--port", "0", *quiet, *options],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is ours; we stop what we have started
        )
        try:
            yield _address(process.stdout)
        finally:
            _stop(process)
            log.seek(0)
            errors = log.read()
            if errors:
                raise ServerError(f"esinfer {command} logged:\n{errors}")


def _address(output: IO[str] | None) -> str:
    ready = output is not None and select.select([output], [], [], _PATIENCE)[0]
    found = _ADDRESS.search(output.readline()) if output is not None and ready else None
    if found is None:
        raise ServerError(f"a server did not start within {_PATIENCE:g} s")
    return found[0]


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise ServerError("a server did not stop when it was told to") from None
