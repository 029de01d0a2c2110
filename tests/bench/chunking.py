"""How fast texts are chunked, and in how much memory; beside ICU's word boundaries alone.

``python -m tests.bench.chunking`` prints the figures of one process as JSON:
the table comes from a process of its own, whose memory is not that of others.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from statistics import median

from icu4py.breakers import WordBreaker

from esinfer.chunking import settings
from esinfer.chunking.chunker import chunk

SIZE = 5_000_000
"""Characters of English, as many bytes."""
LEAST_SPEED = 12.0
"""MB/s of sentence 250/1."""
MOST_MEMORY = 12.0
"""Times the text."""
STRATEGIES: Mapping[str, Mapping[str, object]] = {
    "sentence 250/1": {},
    "sentence 250/0": {"strategy": "sentence", "max_chunk_size": 250, "sentence_overlap": 0},
    "word 250/100": {"strategy": "word", "max_chunk_size": 250, "overlap": 100},
    "recursive 250, plaintext": {"strategy": "recursive", "max_chunk_size": 250},
    "recursive 250, markdown": {
        "strategy": "recursive",
        "max_chunk_size": 250,
        "separator_group": "markdown",
    },
    "none": {"strategy": "none"},
}
_FREQUENT = (
    "a about after all and are as at be because been before between but by can children could"
    " different do each even every first for from government great had has have he her him his"
    " house if important in information into is it its just know language like little long made"
    " many may more most much must national never new no not now number of on one only or other"
    " our out over own people place public right said same school see she should small so some"
    " state still such system take than that the their them then there these they thing this"
    " through time to two under university up us use very was water way we well were what when"
    " where which while who will with without work world would year you"
)


def english(size: int) -> str:
    """Prose in form: sentences and paragraphs of frequent words."""
    pick = random.Random(1)  # noqa: S311 - no secret
    frequent = _FREQUENT.split()
    parts: list[str] = []
    length = 0
    while length < size:
        words = pick.choices(frequent, k=pick.randint(5, 30))
        ending = "\n\n" if pick.random() < 0.1 else " "
        parts.append(" ".join(words).capitalize() + "." + ending)
        length += len(parts[-1])
    return "".join(parts)[:size]


def measure(name: str) -> dict[str, float]:
    """Seconds of one strategy and of the boundaries alone in turn, and kilobytes above before."""
    text = english(SIZE)
    loaded = settings.load(STRATEGIES[name])
    chunk("Warm up.", loaded)
    before = _resident()
    chunk(text, loaded)
    grown = _resident() - before
    pairs = [(_timed(lambda: chunk(text, loaded)), _timed(lambda: _bare(text))) for _ in range(5)]
    return {
        "seconds": median(ours for ours, _ in pairs),
        "bare": median(bare for _, bare in pairs),
        "ratio": median(ours / bare for ours, bare in pairs),
        "kilobytes": grown,
    }


def _bare(text: str) -> int:
    return sum(1 for _ in WordBreaker(text, ""))


def _timed(step: Callable[[], object]) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def _resident() -> float:
    """The most memory that the process has had, in kilobytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 1024 if sys.platform == "darwin" else size


def report() -> Generator[str]:
    """The lines of a table."""
    yield (
        f"| chunking {SIZE / 1e6:.0f} MB of English | MB/s | CPU s | ICU's boundaries alone, s"
        " | ratio | memory, times the text | bars | |"
    )
    yield "|---|" + "--:|" * 5 + "---|---|"
    for name in STRATEGIES:
        command = [sys.executable, "-m", __spec__.name, name]
        done = subprocess.run(command, capture_output=True, check=True, timeout=300)  # noqa: S603 - our own
        yield _row(name, json.loads(done.stdout))


def _row(name: str, found: Mapping[str, float]) -> str:
    speed = SIZE / 1e6 / max(found["seconds"], 1e-6)
    times = found["kilobytes"] * 1024 / SIZE
    good = speed >= LEAST_SPEED and times <= MOST_MEMORY
    is_measured = name == next(iter(STRATEGIES))
    bars = f"≥ {LEAST_SPEED:.0f} MB/s, ≤ {MOST_MEMORY:.0f} times" if is_measured else ""
    remark = ("ok" if good else "missed") if is_measured else ""
    return (
        f"| {name} | {speed:.1f} | {found['seconds']:.3f} | {found['bare']:.3f}"
        f" | {found['ratio']:.2f} | {times:.1f} | {bars} | {remark} |"
    )


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))  # noqa: T201 - the table's process reads it
