"""Suggestions for names that are nearly right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer import similar
from esinfer.similar import did_you_mean, edit_distance, similarity

WORDS = st.text("abc", max_size=7)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "abc", 0),
        ("kitten", "sitting", 3),
        ("timout", "timeout", 1),
        ("ab", "ba", 2),
    ],
)
def test_distance_counts_single_edits(one: str, other: str, distance: int) -> None:
    assert edit_distance(one, other) == edit_distance(other, one) == distance


@given(WORDS, WORDS)
def test_distance_keeps_within_its_bounds(one: str, other: str) -> None:
    distance = edit_distance(one, other)
    assert distance == edit_distance(other, one)
    assert abs(len(one) - len(other)) <= distance <= max(len(one), len(other))
    assert (distance == 0) == (one == other)


@given(WORDS, WORDS, WORDS)
def test_distance_over_a_third_word_is_no_shorter(one: str, other: str, third: str) -> None:
    assert edit_distance(one, other) <= edit_distance(one, third) + edit_distance(third, other)


def test_similarity_is_one_for_the_same_and_zero_for_nothing_in_common() -> None:
    assert similarity("", "") == similarity("abc", "abc") == 1.0
    assert similarity("abc", "xyz") == 0.0
    assert similarity("timout", "timeout") == pytest.approx(6 / 7)


@pytest.mark.parametrize(
    ("name", "candidates", "hint"),
    [
        ("quer", ["query", "input"], "did you mean [query]?"),
        ("abcd", ["abxx"], ""),  # one half is not enough
        ("abc", ["abx", "axc", "zzz"], "did you mean any of [abx, axc]?"),
        ("timeouts", ["timeou", "timeout"], "did you mean any of [timeout, timeou]?"),
        ("x", [], ""),
        ("abc", ["abx", "abx"], "did you mean [abx]?"),
    ],
)
def test_near_names_are_suggested_the_nearest_first(
    name: str, candidates: list[str], hint: str
) -> None:
    assert did_you_mean(name, candidates) == hint


@given(WORDS, st.lists(WORDS, max_size=5, unique=True))
def test_every_candidate_above_one_half_is_suggested(name: str, candidates: list[str]) -> None:
    near = [known for known in candidates if similarity(name, known) > 0.5]
    near.sort(key=lambda known: (-similarity(name, known), known))
    quoted = f"any of [{', '.join(near)}]" if len(near) > 1 else f"[{''.join(near)}]"
    assert did_you_mean(name, candidates) == (f"did you mean {quoted}?" if near else "")


def test_a_name_far_longer_or_shorter_than_a_candidate_is_not_compared_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[str] = []

    def record(_: str, other: str) -> int:
        compared.append(other)
        return 0

    monkeypatch.setattr(similar, "edit_distance", record)
    did_you_mean("x" * 10, ["x" * length for length in (0, 1, 5, 6, 10, 19, 20, 10**6)])
    assert sorted(map(len, compared)) == [6, 10, 19]
