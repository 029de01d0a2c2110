"""Word boundaries, what is a word, and how Elasticsearch counts (chunking.md sections 2 and 7)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from esinfer.chunking.segments import Words, sentence_boundaries


def segments(text: str) -> list[tuple[str, bool]]:
    words = Words.of(text)
    steps = np.diff(words.counts).tolist()
    return [
        (text[start:end], bool(step))
        for (start, end), step in zip(pairwise(words.ends.tolist()), steps, strict=True)
    ]


def words_of(text: str) -> list[str]:
    return [segment for segment, is_word in segments(text) if is_word]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("one, two.", ["one", "two"]),
        ("3.14 is 2nd", ["3.14", "is", "2nd"]),
        ("a:b c@d", ["a:b", "c", "d"]),
        ("_ __ a_ _a", ["__", "a_", "_a"]),
        ("a_\u0301", []),
        ("_\u0301_", ["_\u0301_"]),
        ("\u0301\u0302", []),
        ("e\u0301tude", ["e\u0301tude"]),
        ("カタカナ ひらがな", ["カタカナ", "ひ", "ら", "が", "な"]),
        ("한국 한\u0301", ["한국"]),
        ("人々 語々 々", ["人々", "語", "々"]),
        ("\u3031々", ["\u3031々"]),
        ("ג' a'", ["ג'", "a"]),
        ("ג'\u0301", []),
        ("\U0001f600 \u263a\ufe0f", []),
        ("a\u200d\u2764", []),
        ("\ufeffword\u200b", ["word"]),
        ("สวัสดีครับ", ["สวัสดี", "ครับ"]),
    ],
    ids=repr,
)
def test_a_word_is_decided_by_the_last_base_character(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected


def test_the_segments_are_the_text() -> None:
    text = "Hello, world! 1,000 _x ภาษาไทย 日本語 \U0001f469\u200d\U0001f4bb."
    assert "".join(segment for segment, _ in segments(text)) == text


@pytest.mark.parametrize("text", ["ดีดี", "a ดีดี, b", "ดีดี ดีดี"])
def test_a_thai_run_of_two_short_words_is_cut(text: str) -> None:
    assert [word for word in words_of(text) if word.startswith("ดี")] == ["ดี"] * (
        2 * text.count("ดีดี")
    )


def test_a_thai_run_of_four_that_is_one_word_stays_whole() -> None:
    assert words_of("ครับ a") == ["ครับ", "a"]


@pytest.mark.parametrize("mark", ["\u30fc", "\uff70"])
def test_a_sound_mark_behind_no_kana_is_joined_with_the_han_behind_it(mark: str) -> None:
    assert words_of(f"a {mark}日本") == ["a", f"{mark}日本"]
    assert words_of(f"カ{mark}日本") == [f"カ{mark}", "日本"]


def count(text: str, start: int, end: int) -> int:
    found = Words.of(text).count(np.array([start], np.int32), np.array([end], np.int32))
    return int(found[0])


@pytest.mark.parametrize(
    ("text", "start", "end", "expected"),
    [
        ("One two. Three four.", 9, 20, 2),
        ("词。词。", 2, 4, 2),  # the full stop's segment, and 词 before it, count too
        ("foo\nbar", 4, 7, 2),
        ("done!Next", 5, 9, 2),
        ("one two", 5, 7, 1),  # inside a word
        ("", 0, 0, 0),
    ],
)
def test_words_are_counted_from_the_boundary_before_the_start(
    text: str, start: int, end: int, expected: int
) -> None:
    assert count(text, start, end) == expected


@pytest.mark.parametrize(
    ("start", "words", "expected"),
    [(4, 0, 3), (4, 1, 4), (4, 2, 8), (4, 9, 13), (0, 0, 0), (0, 1, 4)],
)
def test_skipping_words_counts_the_one_before_and_leads_behind_the_blank_that_follows(
    start: int, words: int, expected: int
) -> None:
    assert Words.of("one two three").skip(start, words) == expected


def test_sentences_end_after_their_blanks() -> None:
    assert sentence_boundaries("Dr. Smith is in. Yes!  No").tolist() == [0, 4, 17, 23, 25]


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        Words.of("a\ud800")
