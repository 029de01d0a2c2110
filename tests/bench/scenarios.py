"""What is measured: pairs of esinfer and a bare peer that do the same work, and the start."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median

from tests.bench.load import CONNECTIONS, Client, Job, Sample
from tests.bench.processes import BenchError, Server, running

_TEXT = "The quick brown fox jumps over the lazy dog near the bank of the river"
_PATH = "/_inference/text_embedding/bench"
_MANY_INPUTS = 32
_EMBEDDINGS = 200
_NO_LIMIT = 60_000_000_000
"""Requests a minute: one a nanosecond."""

OPTIONS = (
    "--port=0",
    "--set=logging.level=warn",
    "--set=server.shutdown_timeout=1s",
    "--set=store.kind=memory",
)
_CONNECTIONS = (
    f"--set=inference.max_total_connections={CONNECTIONS}",
    f"--set=inference.max_route_connections={CONNECTIONS}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One side of a pair: where to post what, and how a right answer begins."""

    server: Server
    path: str
    body: str
    prefix: bytes

    def answer(self) -> bytes:
        """The answer to one request; BenchError if it is not right."""
        content = self.server.request("POST", self.path, self.body.encode())
        if not content.startswith(self.prefix):
            raise BenchError(f"POST {self.path} is answered {content[:100]!r}")
        return content

    def load(self, client: Client, seconds: int) -> Sample:
        """One round, with the processor time that it cost the server."""
        before = self.server.cpu_seconds
        sample = client(Job(url=self.server.address + self.path, body=self.body, seconds=seconds))
        after = self.server.cpu_seconds
        if before is None or after is None or not sample.requests:
            return sample
        return replace(sample, cpu=(after - before) * 1e6 / sample.requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """esinfer and its bare peer; ``least`` is the bar for the ratio of their rates.

    ``is_short`` says that a request has one input, for which p99 has a bar, too.
    """

    name: str
    ours: Target
    bare: Target
    least: float
    is_short: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """The samples of a pair, one of each side a round."""

    ours: Sequence[Sample]
    bare: Sequence[Sample]

    @property
    def ratios(self) -> list[float]:
        """Of the rates, round by round: what disturbs a round disturbs both sides."""
        return [
            o.rate / b.rate if b.rate else 0.0 for o, b in zip(self.ours, self.bare, strict=True)
        ]


def compare(pair: Pair, client: Client, seconds: int, rounds: int) -> Rounds:
    """Check both sides, warm them up and load them in turn."""
    for target in (pair.ours, pair.bare):
        target.answer()
        target.load(client, 1)
    turns = [
        (pair.ours.load(client, seconds), pair.bare.load(client, seconds)) for _ in range(rounds)
    ]
    return Rounds(ours=[ours for ours, _ in turns], bare=[bare for _, bare in turns])


# -- pairs ------------------------------------------------------------------


@contextmanager
def live() -> Iterator[list[Pair]]:
    """``esinfer serve`` and a proxy before the same upstream."""
    with (
        running("tests.bench.peers", "upstream") as upstream,
        running("tests.bench.peers", "proxy", f"--upstream={upstream.address}") as proxy,
        running("esinfer", "serve", *OPTIONS, *_CONNECTIONS) as esinfer,
    ):
        create_endpoint(esinfer, upstream.address)
        yield [
            _live_pair(esinfer, proxy, "live, 1 input", [_TEXT], 0.8),
            _live_pair(
                esinfer,
                proxy,
                f"live, {_MANY_INPUTS} inputs",
                [f"{_TEXT} {number}" for number in range(_MANY_INPUTS)],
                0.4,
            ),
        ]


def _live_pair(
    esinfer: Server, proxy: Server, name: str, inputs: Sequence[str], least: float
) -> Pair:
    return Pair(
        name=name,
        ours=ours(esinfer, inputs),
        bare=Target(server=proxy, path="/", body=json.dumps({"inputs": inputs}), prefix=b"[["),
        least=least,
        is_short=len(inputs) == 1,
    )


@contextmanager
def mock() -> Iterator[list[Pair]]:
    """``esinfer mock`` and a handler whose answer has the same size."""
    with running("esinfer", "mock", *OPTIONS) as esinfer:
        create_endpoint(esinfer, "http://embedder.example")
        own = ours(esinfer, [_TEXT])
        size = len(own.answer())
        with running("tests.bench.peers", "handler", f"--size={size}") as handler:
            bare = Target(server=handler, path="/", body=own.body, prefix=b'{"text_embedding":')
            yield [Pair(name="mock, 1 input", ours=own, bare=bare, least=0.6)]


def ours(esinfer: Server, inputs: Sequence[str]) -> Target:
    """esinfer's side of a pair: embeddings of these inputs."""
    return Target(
        server=esinfer,
        path=_PATH,
        body=json.dumps({"input": inputs}),
        prefix=b'{"text_embedding":[{"embedding":[',
    )


def endpoint(url: str) -> dict[str, object]:
    """The body that creates an endpoint which its rate limit never holds back."""
    settings = {
        "url": url,
        "api_key": "secret",
        "rate_limit": {"requests_per_minute": _NO_LIMIT},
    }
    return {"service": "hugging_face", "service_settings": settings}


def create_endpoint(esinfer: Server, url: str) -> None:
    """Create the endpoint that ``ours`` asks."""
    esinfer.request("PUT", _PATH, json.dumps(endpoint(url)).encode())


# -- start ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Seconds to the first good answer and bytes held then and after the embeddings."""

    seconds: float
    resident: int | None
    resident_used: int | None


def start_of_mock(times: int) -> Start:
    """``esinfer mock``, timed ``times`` times, its memory taken the last time."""
    command = ("esinfer", "mock", *OPTIONS)
    seconds = median_start(command, times)
    with running(*command) as esinfer:
        esinfer.request("GET", "/")
        resident = esinfer.resident_bytes
        create_endpoint(esinfer, "http://embedder.example")
        for number in range(_EMBEDDINGS):
            ours(esinfer, [f"{_TEXT}, text number {number}"]).answer()
        return Start(seconds=seconds, resident=resident, resident_used=esinfer.resident_bytes)


def start_of_handler(times: int) -> Start:
    """The bare handler, for comparison."""
    command = ("tests.bench.peers", "handler")
    seconds = median_start(command, times)
    with running(*command) as handler:
        handler.request("GET", "/")
        resident = handler.resident_bytes
        for _ in range(_EMBEDDINGS):
            handler.request("POST", "/", b"{}")
        return Start(seconds=seconds, resident=resident, resident_used=handler.resident_bytes)


def median_start(command: Sequence[str], times: int) -> float:
    """Seconds from starting a command to its first good answer."""
    return median(_time_start(command) for _ in range(times))


def _time_start(command: Sequence[str]) -> float:
    began = time.perf_counter()
    with running(*command) as server:
        server.request("GET", "/")
        return time.perf_counter() - began
