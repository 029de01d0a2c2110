"""The load: many connections that post one body as fast as they are answered.

``wrk`` makes it where it is installed, otherwise the client here, which is a
process of its own: ``python -m tests.bench.load`` reads a job from standard
input and prints what it measured.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.processes import BenchError

CONNECTIONS = 32
_GRACE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to post, where to, and for how many seconds; 0 is one request a connection.

    What is under way at the end has ``patience`` more seconds.
    """

    url: str
    body: str
    seconds: int
    connections: int = CONNECTIONS
    patience: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one job measured.

    ``rate`` is requests a second, latencies are milliseconds, ``cpu`` is the
    server's processor time in microseconds a request, None where it is unknown.
    """

    requests: int
    rate: float
    p50: float
    p99: float
    failed: int
    cpu: float | None = None


Client = Callable[[Job], Sample]


def choose_client(name: str) -> Client:
    """``own``, ``wrk`` or ``auto``: wrk if it is there."""
    has_wrk = shutil.which("wrk") is not None
    if name == "own" or (name == "auto" and not has_wrk):
        return run_own
    if not has_wrk:
        raise BenchError("wrk is not on PATH")
    return run_wrk


# -- wrk --------------------------------------------------------------------

_SCRIPT = """\
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[%s]==]

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests": %%d, "rate": %%f, "p50": %%f, "p99": %%f, "failed": %%d}\\n',
    summary.requests,
    summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout
  ))
end
"""


def run_wrk(job: Job) -> Sample:
    """Let wrk do the job, with one thread."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(_SCRIPT % job.body, encoding="utf-8")
        options = ["-t1", f"-c{job.connections}", f"-d{job.seconds}s", "-s", str(script)]
        return _measure(["wrk", *options, job.url], "", job.seconds)


def run_own(job: Job) -> Sample:
    """Let the client below do the job, in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.load"]
    return _measure(command, json.dumps(asdict(job)), job.seconds + job.patience)


def _measure(command: Sequence[str], given: str, seconds: int) -> Sample:
    """Run a client; the last line that it prints is the sample."""
    try:
        ran = subprocess.run(  # noqa: S603 -- wrk, or our own interpreter
            command,
            input=given,
            capture_output=True,
            text=True,
            timeout=seconds + _GRACE,
            check=True,
        )
    except subprocess.SubprocessError as error:
        detail = getattr(error, "stderr", None) or ""
        raise BenchError(f"{command[0]}: {error} {detail}") from error
    return Sample(**json.loads(ran.stdout.splitlines()[-1]))


# -- our own client ---------------------------------------------------------

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_GOOD = b"HTTP/1.1 200 "


@dataclass(slots=True)
class _Tally:
    """What all connections have seen so far; latencies in seconds."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    def sample(self, elapsed: float) -> Sample:
        ordered = sorted(self.latencies) or [0.0]
        return Sample(
            requests=len(self.latencies),
            rate=len(self.latencies) / elapsed,
            p50=_percentile(ordered, 0.50) * 1000,
            p99=_percentile(ordered, 0.99) * 1000,
            failed=self.failed,
        )


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class _Connection(asyncio.Protocol):
    """One request after another until ``deadline``; answers tell their length."""

    def __init__(self, request: bytes, deadline: float, tally: _Tally) -> None:
        self._request = request
        self._deadline = deadline
        self._tally = tally
        self._received: list[bytes] = []
        self._missing: int | None = None
        self._sent_at = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a connection is a stream")
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        if self._missing is None:
            self._missing = self._read_head()
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self._finish()

    def connection_lost(self, _exc: Exception | None) -> None:
        if time.perf_counter() < self._deadline:
            self._tally.failed += 1
        self.closed.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)

    def _read_head(self) -> int | None:
        """Bytes of the body that are still to come, None while the head is not whole."""
        head, end, content = b"".join(self._received).partition(_HEAD_END)
        if not end:
            return None
        length = _LENGTH.search(head)
        if length is None:
            self._transport.abort()  # counts as failed
            return None
        return int(length[1]) - len(content)

    def _finish(self) -> None:
        now = time.perf_counter()
        self._tally.latencies.append(now - self._sent_at)
        self._tally.failed += not self._received[0].startswith(_GOOD)
        self._received.clear()
        self._missing = None
        if now < self._deadline:
            self._send()
        else:
            self._transport.close()


async def drive(job: Job) -> Sample:
    """Do a job in this process."""
    url = urlsplit(job.url)
    body = job.body.encode()
    head = (
        f"POST {url.path or '/'} HTTP/1.1\r\nHost: {url.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    tally = _Tally()
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: _Connection(head.encode() + body, began + job.seconds, tally),
            url.hostname or "127.0.0.1",
            url.port or 80,
        )
        for _ in range(job.connections)
    ]
    await asyncio.wait(
        [connection.closed for _, connection in made], timeout=job.seconds + job.patience
    )
    return tally.sample(time.perf_counter() - began)


def main() -> None:
    """Do the job that standard input describes."""
    job = Job(**json.load(sys.stdin))
    print(json.dumps(asdict(asyncio.run(drive(job)))))  # noqa: T201


if __name__ == "__main__":
    main()
