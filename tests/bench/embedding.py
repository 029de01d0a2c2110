"""How many short texts a second one process embeds: vectors alone, and the twin's answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from functools import cache
from itertools import count
from random import Random
from statistics import median

import orjson

from esinfer.twin.embedders import EMBEDDERS, Embedder
from esinfer.twin.servers import Kind
from esinfer.twin.tei import Twin
from esinfer.twin.wordpiece import MODELS

_BATCH = 32
_DIMENSIONS = 384
_LEAST = 10_000
_JSON = {"content-type": "application/json"}
_WORDS = 20_000
"""So many different words, since an embedder remembers those that it has seen."""


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
        passed, done = 0.0, 0
        while passed < seconds:
            texts = next(batches)
            began = time.perf_counter()
            embed(texts)
            passed += time.perf_counter() - began
            done += len(texts)
        rates.append(done / passed)
    return median(rates)


def _batch(number: int) -> list[str]:
    """Texts that no batch has had before, so that no cache has them."""
    vocabulary = _vocabulary()
    chosen = Random(number)  # noqa: S311 -- no secret
    return [" ".join(chosen.choices(vocabulary, k=8)) for _ in range(_BATCH)]


@cache
def _vocabulary() -> list[str]:
    """Whole words of the model's, the commonest first, each as likely as any other."""
    words = (MODELS / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return [word for word in words if word.isascii() and word.isalpha()][:_WORDS]


def _vectors(embedder: Embedder) -> Callable[[Sequence[str]], object]:
    def embed(texts: Sequence[str]) -> object:
        opening, closing = embedder.opening, embedder.closing
        return embedder.dense([[*opening, *embedder.split(text), *closing] for text in texts])

    return embed


def _answers(twin: Twin) -> Callable[[Sequence[str]], object]:
    def embed(texts: Sequence[str]) -> object:
        return twin.run(Kind.EMBED, _JSON, orjson.dumps({"inputs": texts}))

    return embed
