"""How many short texts a second one process embeds: vectors alone, and the twin's answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from itertools import count
from statistics import median

import orjson

from esinfer.twin.embedders import EMBEDDERS, Embedder
from esinfer.twin.servers import Kind
from esinfer.twin.tei import Twin

_BATCH = 32
_DIMENSIONS = 384
_LEAST = 10_000
_JSON = {"content-type": "application/json"}
_TEXT = (
    "river bank market doctor engine music winter garden letter school window planet "
    "bread castle tiger answer signal coffee bridge forest painter island ticket valley"
)
_WORDS = _TEXT.split()


def report(seconds: float, rounds: int) -> Generator[str]:
    """A table; each number is the median of ``rounds`` rounds of so many seconds."""
    yield (
        f"| embedder, batches of {_BATCH} texts of 8 words | vectors, texts/s "
        f"| whole answers, texts/s | bar | |"
    )
    yield "|---|--:|--:|--:|---|"
    for name, least in (("static", _LEAST), ("hash", 0)):
        bare = _rate(_vectors(EMBEDDERS[name](_DIMENSIONS)), seconds, rounds)
        whole = _rate(_answers(Twin(embedder=EMBEDDERS[name])), seconds, rounds)
        mark = "ok" if min(bare, whole) >= least else "below"
        bar = f"≥ {least} | {mark}" if least else " | "
        yield f"| {name} | {bare:.0f} | {whole:.0f} | {bar} |"


def _rate(embed: Callable[[Sequence[str]], object], seconds: float, rounds: int) -> float:
    batches = map(_batch, count())
    embed(next(batches))  # loads the embedder
    rates = []
    for _ in range(rounds):
        began, batch_count = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < seconds:
            embed(next(batches))
            batch_count += 1
        rates.append(batch_count * _BATCH / passed)
    return median(rates)


def _batch(number: int) -> list[str]:
    """Texts that no batch has had before, so that no cache has them."""
    words = [[_WORDS[(number + index * step) % len(_WORDS)] for step in range(7)]
             for index in range(_BATCH)]  # fmt: skip
    return [" ".join([*chosen, f"{number}x{index}"]) for index, chosen in enumerate(words)]


def _vectors(embedder: Embedder) -> Callable[[Sequence[str]], object]:
    def embed(texts: Sequence[str]) -> object:
        opening, closing = embedder.opening, embedder.closing
        return embedder.dense([[*opening, *embedder.split(text), *closing] for text in texts])

    return embed


def _answers(twin: Twin) -> Callable[[Sequence[str]], object]:
    def embed(texts: Sequence[str]) -> object:
        return twin.run(Kind.EMBED, _JSON, orjson.dumps({"inputs": texts}))

    return embed
