"""The live servers that a suite speaks to: processes of their own, on free ports."""

from __future__ import annotations

import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from typing import IO, Self

_ADDRESS = re.compile(r"https?://\S+")
_PATIENCE = 15.0
_VARIABLE = "ESINFER_SUITE_{}"


class ServerError(Exception):
    """A server did not start, or has logged that something in it went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The addresses of servers, by what a suite calls them."""

    @property
    def environment(self) -> dict[str, str]:
        """The addresses as a suite in a process of its own is told them."""
        return {_VARIABLE.format(name.upper()): url for name, url in asdict(self).items()}

    @classmethod
    def told(cls, environ: Mapping[str, str]) -> Self | None:
        """What the environment says, if it says it."""
        variables = {item.name: _VARIABLE.format(item.name.upper()) for item in fields(cls)}
        if not environ.keys() >= set(variables.values()):
            return None
        return cls(**{name: environ[variable] for name, variable in variables.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers(Addresses):
    """A mock, and a server for whose endpoints there is a twin behind HTTP."""

    mock: str
    serve: str
    twin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins(Addresses):
    """Twins of several profiles; ``similarity`` is a TEI that compares sentences."""

    tei: str
    tei_1_8: str
    similarity: str
    toolkit: str
    serverless: str
    tgi: str
    vllm: str


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
def live_twins() -> Iterator[Twins]:
    """As above, twins alone; their key is ``hf_secret``, and those of chats serve ``chat``."""
    chat = ("--set", "twin.model_id=chat")
    options: Mapping[str, Sequence[str]] = {
        "tei": ("--profile", "tei-1.9"),
        "tei_1_8": ("--profile", "tei-1.8"),
        "similarity": ("--set", "twin.task=sentence-similarity"),
        "toolkit": ("--profile", "toolkit"),
        "serverless": ("--profile", "serverless"),
        "tgi": ("--profile", "tgi", *chat),
        "vllm": ("--profile", "vllm", *chat),
    }
    key = ("--set", "twin.api_key=hf_secret")
    with ExitStack() as stack:
        yield Twins(
            **{
                name: stack.enter_context(running("twin", *key, *own))
                for name, own in options.items()
            }
        )


@contextmanager
def running(command: str, *options: str) -> Iterator[str]:
    """A server until the block is left; its address. Raises ServerError, as above."""
    quiet = ("--set", "logging.level=error", "--set", "store.kind=memory")
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
