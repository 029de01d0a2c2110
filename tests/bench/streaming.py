"""A chat stream through ``esinfer serve`` beside a bare aiohttp pass-through of the same stream.

The bare servers are here too: ``upstream`` streams chunks of a chat
completion, ``proxy`` passes on what it reads. Each prints the address it
listens on: ``python -m tests.bench.streaming upstream``. The time at which
the upstream writes an event stands in the event, in nanoseconds of the
monotonic clock, which all processes of a computer share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlsplit

import aiohttp
import orjson
from aiohttp import web

from tests.bench.processes import BenchError, Server, running

CHUNKS = 2_000
MOST_TIMES = 2.0
MOST_DELAY = 5.0
"""Milliseconds from the upstream's writing of an event until it is at the client."""

_PAUSE = 0.005
_EVENTS = 50
_PATIENCE = 30.0
_READ = 2**16
_NO_LIMIT = 60_000_000_000
_ENDPOINT = "/_inference/chat_completion/{}"
_OPTIONS = (
    "--port=0",
    "--set=logging.level=warn",
    "--set=server.shutdown_timeout=1s",
    "--set=store.kind=memory",
)
_BODY = json.dumps({"messages": [{"role": "user", "content": "How far is it?"}]}).encode()
_STAMP = re.compile(rb'"content":"(\d+) ')
_DONE = b"data: [DONE]\n\n"
_SESSION = web.AppKey("session", aiohttp.ClientSession)
_EVENT_STREAM = {"Content-Type": "text/event-stream"}


# -- the bare servers -------------------------------------------------------


def _chunk() -> bytes:
    """An event as text-generation-inference writes it, with the time in its text."""
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": f"{time.monotonic_ns()} word"},
        "logprobs": None,
        "finish_reason": None,
    }
    chunk = {
        "object": "chat.completion.chunk",
        "id": "chatcmpl-5d2f9f0e",
        "created": 1_700_000_000,
        "model": "HuggingFaceTB/SmolLM3-3B",
        "system_fingerprint": "3.3.6-native",
        "choices": [choice],
        "usage": None,
    }
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def make_upstream() -> web.Application:
    """``/`` streams without a pause, ``/slow`` waits before each event."""

    def streamer(
        count: int, pause: float
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def stream(request: web.Request) -> web.StreamResponse:
            await request.read()
            response = web.StreamResponse(headers=_EVENT_STREAM)
            await response.prepare(request)
            with suppress(ConnectionError):  # a validation call leaves early
                for _ in range(count):
                    await asyncio.sleep(pause)
                    await response.write(_chunk())
                await response.write(_DONE)
            return response

        return stream

    app = web.Application()
    app.router.add_post("/", streamer(CHUNKS, 0))
    app.router.add_post("/slow", streamer(_EVENTS, _PAUSE))
    return app


def make_proxy(upstream: str) -> web.Application:
    """Passes a request on to the upstream, and what comes back as it comes."""

    async def session(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as app[_SESSION]:
            yield

    async def forward(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {"Content-Type": request.content_type}
        address = upstream + request.path
        async with request.app[_SESSION].post(address, data=body, headers=headers) as answer:
            response = web.StreamResponse(status=answer.status, headers=_EVENT_STREAM)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response

    app = web.Application()
    app.router.add_post("/{path:.*}", forward)
    app.cleanup_ctx.append(session)
    return app


def main() -> None:
    """Serve one of the bare servers until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.streaming", description=__doc__)
    parser.add_argument("peer", choices=("upstream", "proxy"))
    parser.add_argument("--upstream", default="", help="where the proxy passes requests on to")
    args = parser.parse_args()
    app = make_upstream() if args.peer == "upstream" else make_proxy(args.upstream)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    print(f"{args.peer} listening on http://127.0.0.1:{port}", flush=True)  # noqa: T201
    web.run_app(app, sock=listener, access_log=None, print=None)


# -- the client -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """esinfer or the pass-through, and where it streams quickly and slowly."""

    server: Server
    quick: str
    slow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One stream: seconds from the request to its end, processor time of the server."""

    seconds: float
    cpu: float


def read(server: Server, path: str) -> Iterator[bytes]:
    """What comes back on the socket, as it comes; the request asks for no second one."""
    host, _, port = urlsplit(server.address).netloc.partition(":")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=_PATIENCE) as connection:
        connection.sendall(head.encode() + _BODY)
        while received := connection.recv(_READ):
            yield received


def run(side: Side) -> Run:
    """One quick stream, which has to be whole."""
    before, began = side.server.cpu_seconds or 0.0, time.perf_counter()
    answer = b"".join(read(side.server, side.quick))
    seconds = time.perf_counter() - began
    cpu = (side.server.cpu_seconds or 0.0) - before
    if len(_STAMP.findall(answer)) != CHUNKS or _DONE not in answer:
        raise BenchError(f"POST {side.quick} is answered {answer[:500]!r}")
    return Run(seconds=seconds, cpu=cpu)


def delays(side: Side) -> list[float]:
    """Milliseconds that the events of one slow stream were under way; the first one's first."""
    found = []
    for received in read(side.server, side.slow):
        now = time.monotonic_ns()
        found += [(now - int(stamp)) / 1e6 for stamp in _STAMP.findall(received)]
    if len(found) != _EVENTS:
        raise BenchError(f"POST {side.slow} sends {len(found)} events")
    return found


# -- what is measured -------------------------------------------------------


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    with (
        running("tests.bench.streaming", "upstream") as upstream,
        running("tests.bench.streaming", "proxy", f"--upstream={upstream.address}") as proxy,
        running("esinfer", "serve", *_OPTIONS) as esinfer,
    ):
        for name, path in (("quick", "/"), ("slow", "/slow")):
            _create_endpoint(esinfer, name, upstream.address + path)
        ours = Side(
            server=esinfer,
            quick=_ENDPOINT.format("quick/_stream"),
            slow=_ENDPOINT.format("slow/_stream"),
        )
        yield ours, Side(server=proxy, quick="/", slow="/slow")


def _create_endpoint(esinfer: Server, name: str, url: str) -> None:
    settings = {
        "url": url,
        "api_key": "secret",
        "rate_limit": {"requests_per_minute": _NO_LIMIT},
    }
    body = {"service": "hugging_face", "service_settings": settings}
    esinfer.request("PUT", _ENDPOINT.format(name), json.dumps(body).encode())


def report(times: int) -> Generator[str]:
    """The lines of a table; each side streams ``times`` times, in turn."""
    with _sides() as (ours, bare):
        for side in (ours, bare):
            run(side)
        runs = [(run(ours), run(bare)) for _ in range(times)]
        under_way = [(delays(ours), delays(bare)) for _ in range(times)]
    yield "| stream | esinfer serve | pass-through | ratio | least–most | bar | |"
    yield "|---|--:|--:|--:|--:|--:|---|"
    yield _times([(o.seconds, b.seconds) for o, b in runs])
    yield _processor_times([(o.cpu, b.cpu) for o, b in runs])
    yield _delays("first event, ms", [(o[0], b[0]) for o, b in under_way])
    every = [pair for o, b in under_way for pair in zip(o, b, strict=True)]
    yield _delays("every event, ms", every)


def _times(pairs: Sequence[tuple[float, float]]) -> str:
    ratios = [ours / bare for ours, bare in pairs]
    ratio = median(ratios)
    mark = "ok" if ratio <= MOST_TIMES else "above"
    return (
        f"| {CHUNKS} chunks, ms | {_median_ms(pairs, 0):.0f} | {_median_ms(pairs, 1):.0f}"
        f" | {ratio:.2f} | {min(ratios):.2f}–{max(ratios):.2f} | ≤ {MOST_TIMES:.0f} | {mark} |"
    )


def _processor_times(pairs: Sequence[tuple[float, float]]) -> str:
    return (
        f"| processor time of the server then, ms | {_median_ms(pairs, 0):.0f}"
        f" | {_median_ms(pairs, 1):.0f} | | | | |"
    )


def _median_ms(pairs: Sequence[tuple[float, float]], side: int) -> float:
    return median(pair[side] for pair in pairs) * 1000


def _delays(name: str, pairs: Sequence[tuple[float, float]]) -> str:
    ours, bare = zip(*pairs, strict=True)
    mark = "ok" if median(ours) <= MOST_DELAY else "above"
    return (
        f"| {name} | {median(ours):.2f} | {median(bare):.2f} |"
        f" | {min(ours):.2f}–{max(ours):.2f} | ≤ {MOST_DELAY:.0f} | {mark} |"
    )


if __name__ == "__main__":
    main()
