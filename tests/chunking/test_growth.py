"""The time of chunking grows with the text, not faster, whatever the text."""

from __future__ import annotations

import time

import pytest

from esinfer.chunking.chunker import spans
from esinfer.chunking.settings import (
    ChunkingSettings,
    NoneSettings,
    RecursiveSettings,
    SentenceSettings,
    SeparatorGroup,
    WordSettings,
)

TIMES = 8
"""The longer text, beside the shorter."""

TEXTS = {
    "prose": ("The quick brown fox jumps over the lazy dog. " * 3 + "Is it? Yes!\n\n", 40_000),
    "no spaces": ("a", 200_000),
    "only newlines": ("\n", 40_000),
    "blank lines": ("\n\n", 40_000),
    "one giant sentence": ("word, ", 60_000),
    "combining marks": ("\u0301", 25_000),
    "connectors": ("_ ", 10_000),
    "thai": ("ดีดี ", 20_000),
    "han": ("中文字", 20_000),
    "han marks": ("々", 10_000),
    "emoji": ("\U0001f600\ufe0f", 10_000),
    "headings": ("# a\nb\n---\n", 40_000),
    "rulers": ("a-", 40_000),
    "one ruler": ("-", 100_000),
    "spaces": (" ", 100_000),
    "full stops": ("a. ", 30_000),
    "paragraphs of one word": ("a\n\n", 40_000),
}
STRATEGIES: list[ChunkingSettings] = [
    WordSettings(max_chunk_size=10, overlap=5),
    SentenceSettings(max_chunk_size=20, sentence_overlap=1),
    RecursiveSettings(max_chunk_size=10, separators=SeparatorGroup.PLAINTEXT.value),
    RecursiveSettings(max_chunk_size=10, separators=SeparatorGroup.MARKDOWN.value),
    NoneSettings(),
]


def seconds(text: str, settings: ChunkingSettings) -> float:
    """Processor time, the least of three: what disturbs only adds."""
    taken = []
    for _ in range(3):
        start = time.thread_time()
        spans(text, settings)
        taken.append(time.thread_time() - start)
    return min(taken)


@pytest.mark.parametrize("settings", STRATEGIES, ids=str)
@pytest.mark.parametrize("name", TEXTS)
def test_time_grows_linearly(name: str, settings: ChunkingSettings) -> None:
    unit, length = TEXTS[name]
    text = unit * (length // len(unit))
    short, long = seconds(text, settings), seconds(text * TIMES, settings)
    # Quadratic growth would be 64 times; below a millisecond there is nothing to compare.
    assert long < 2.5 * TIMES * max(short, 0.001)
