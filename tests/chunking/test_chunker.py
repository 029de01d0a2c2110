"""What holds of the chunks of any text (chunking.md sections 3 and 5)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.chunking.chunker import chunk, spans
from esinfer.chunking.segments import Words
from esinfer.chunking.settings import (
    DEFAULT,
    ChunkingSettings,
    NoneSettings,
    RecursiveSettings,
    SentenceSettings,
    SeparatorGroup,
    WordSettings,
)

# Letters of many scripts, marks, digits, blanks, line ends, full stops, emoji.
ALPHABET = "aB9_' .,!?:\n\r\t\u2028\u0301\u200d中々。かカー한ดีกא\U0001f600\U0001f468\U00020bb7é@#-="
TEXTS = st.text(ALPHABET, max_size=300) | st.text(max_size=100).filter(str.isprintable)

WITHOUT_OVERLAP: list[ChunkingSettings] = [
    SentenceSettings(max_chunk_size=20, sentence_overlap=0),
    RecursiveSettings(max_chunk_size=10, separators=SeparatorGroup.PLAINTEXT.value),
    RecursiveSettings(max_chunk_size=10, separators=SeparatorGroup.MARKDOWN.value),
    RecursiveSettings(max_chunk_size=10, separators=(r"[.!?]\s", "a", "")),
]
ALL: list[ChunkingSettings] = [
    *WITHOUT_OVERLAP,
    DEFAULT,
    SentenceSettings(max_chunk_size=20, sentence_overlap=1),
    WordSettings(max_chunk_size=10, overlap=1),
    WordSettings(max_chunk_size=11, overlap=5),
    NoneSettings(),
]


@pytest.mark.parametrize("settings", ALL, ids=str)
@given(text=TEXTS)
def test_chunks_are_in_order_and_inside_the_text(settings: ChunkingSettings, text: str) -> None:
    found = spans(text, settings)
    assert found
    assert all(0 <= start <= end <= len(text) for start, end in found)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(found))


@pytest.mark.parametrize("settings", WITHOUT_OVERLAP, ids=str)
@given(text=TEXTS)
def test_with_no_overlap_only_long_sentences_overlap(settings: ChunkingSettings, text: str) -> None:
    """Sentences over the size are cut by words, which repeat some and drop a tail without any."""
    found = spans(text, settings)
    assert found[0][0] == 0
    for (start, end), (following, _) in pairwise(found):
        if following < end:
            assert Words.of(text[start:end]).counts[-1] > 1
        assert not Words.of(text[end:following]).counts[-1]
    assert not Words.of(text[found[-1][1] :]).counts[-1]


@pytest.mark.parametrize("settings", ALL, ids=str)
@given(text=TEXTS)
def test_offsets_count_utf_16_units_and_lie_on_code_points(
    settings: ChunkingSettings, text: str
) -> None:
    units = text.encode("utf-16-le")
    for start, end, part in chunk(text, settings):
        # Inside a surrogate pair the decoder would fail.
        assert units[2 * start : 2 * end].decode("utf-16-le") == part


@pytest.mark.parametrize("settings", ALL, ids=str)
@given(text=TEXTS)
def test_the_same_text_has_the_same_chunks(settings: ChunkingSettings, text: str) -> None:
    assert chunk(text, settings) == chunk(text, settings)


@given(text=TEXTS)
def test_none_is_the_whole_text(text: str) -> None:
    assert chunk(text, NoneSettings()) == [(0, len(text.encode("utf-16-le")) // 2, text)]


@given(text=TEXTS, size=st.integers(10, 40))
def test_word_chunks_hold_the_words_they_should(text: str, size: int) -> None:
    overlap = size // 2
    ends = [0, *Words.of(text).word_ends.tolist()]
    *full, last = spans(text, WordSettings(max_chunk_size=size, overlap=overlap))
    step = size - overlap
    assert full == [(ends[i * step], ends[i * step + size]) for i in range(len(full))]
    assert last[0] == ends[len(full) * step]


@pytest.mark.parametrize("settings", ALL, ids=str)
@pytest.mark.parametrize("text", ["", " \n ", "x" * 5000, "!" * 5000, "\ufeff", "\u200b\u200b"])
def test_a_text_of_one_word_or_none_is_one_chunk(settings: ChunkingSettings, text: str) -> None:
    assert chunk(text, settings) == [(0, len(text), text)]
