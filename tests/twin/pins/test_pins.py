"""Pins that can hold together do, to ±0.001, and nothing else moves; others are refused."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from esinfer.twin.answers import Failure
from esinfer.twin.embedders import Embedder, hashing_embedder, static_embedder
from esinfer.twin.pins.pins import MOST_TOGETHER, Contradiction, Pin, Pins, group, pinned

WORDS = ("fox", "dog", "cheap flight", "Zürich", "🦊", "a b c", "run", "Fox", "tea", "the")
EMBEDDERS = {"static": static_embedder, "hash": hashing_embedder}


def made(*pins: tuple[str, str, float]) -> Pins:
    return Pins().plus(Pin(*pin) for pin in pins)


def vectors(
    embedder: Embedder, texts: Sequence[str], dimensions: int | None = None, *, unit: bool = True
) -> NDArray[np.float64]:
    tokens = [[*embedder.opening, *embedder.split(text), *embedder.closing] for text in texts]
    rows = embedder.dense(tokens, dimensions=dimensions, normalize=unit)
    return rows.astype(np.float64)


def check(pins: Pins, embedder: Embedder, dimensions: int | None = None) -> None:
    texts = list(pins.groups)
    rows = dict(zip(texts, vectors(embedder, texts, dimensions), strict=True))
    for one, other, cosine in pins:
        assert rows[one] @ rows[other] == pytest.approx(cosine, abs=1e-3)
    for row in rows.values():
        assert np.linalg.norm(row) == pytest.approx(1, abs=1e-6)


@st.composite
def feasible(draw: st.DrawFn) -> list[tuple[str, str, float]]:
    """Some of the cosines that some vectors have."""
    size = draw(st.integers(2, len(WORDS)))
    rank = draw(st.integers(1, size))
    seed = draw(st.integers(0, 2**32 - 1))
    rows = np.random.default_rng(seed).normal(size=(size, rank))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = draw(st.lists(st.sampled_from(list(combinations(range(size), 2))), min_size=1))
    return [
        (WORDS[i], WORDS[j], float(np.clip(rows[i] @ rows[j], -1, 1)))
        for i, j in dict.fromkeys(pairs)
    ]


@pytest.mark.parametrize("name", EMBEDDERS)
@given(told=feasible(), spare=st.integers(0, 200))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_cosines_that_some_vectors_have_hold(
    name: str, told: list[tuple[str, str, float]], spare: int
) -> None:
    pins = made(*told)
    least = max(len(each.texts) for each in pins.groups.values())
    check(pins, pinned(pins, EMBEDDERS[name])(384))
    check(pins, pinned(pins, EMBEDDERS[name])(least + spare))
    check(pins, pinned(pins, EMBEDDERS[name])(384), least)


@given(st.floats(-0.99, 0.99), st.floats(-0.99, 0.99), st.floats(0.01, 1), st.sampled_from((-1, 1)))
@settings(deadline=None, max_examples=60)
def test_a_triangle_that_cannot_be_is_refused(
    first: float, second: float, beyond: float, side: int
) -> None:
    """Of three vectors the angles are at most as wide as the other two together."""
    room = np.sqrt((1 - first**2) * (1 - second**2))
    third = first * second + side * (room + beyond)
    if abs(third) > 1:
        third = side * 1.001
    with pytest.raises(Contradiction):
        made(("a", "b", first), ("b", "c", second), ("a", "c", third))


@pytest.mark.parametrize(
    ("pins", "problem"),
    [
        (
            [("a", "b", 1), ("b", "c", 1), ("a", "c", -1)],
            "the cosine of [a] and [c] cannot be [-1]: the others leave it from [1] to [1]",
        ),
        (
            [("a", "b", 0.9), ("x", "y", 0), ("b", "c", 0.9), ("c", "a", 0.1), ("c", "d", 0.5)],
            "the cosine of [c] and [a] cannot be [0.1]: the others leave it from [0.62] to [1]",
        ),
        (
            [("a", "b", 0.9), ("b", "c", -0.9), ("c", "a", 0.1)],
            "the cosine of [c] and [a] cannot be [0.1]: the others leave it from [-1] to [-0.62]",
        ),
        ([("a", "b", 1.1)], "the cosine of [a] and [b] must be from [-1] to [1], got [1.1]"),
        (
            [("a", "b", float("nan"))],
            "the cosine of [a] and [b] must be from [-1] to [1], got [nan]",
        ),
        (
            [("a", "b", 0.5), ("b", "a", 0.4)],
            "the cosine of [b] and [a] is [0.5] already, it cannot be [0.4] too",
        ),
        ([("a", "a", 1)], "[a] is always as near to itself as can be"),
        (
            [("a", f"{number}", 0.5) for number in range(MOST_TOGETHER)],
            "[33] texts hang together by their similarities, expected [32] at most",
        ),
        (
            [("a" * 99, "b", 2)],
            f"the cosine of [{'a' * 57}...] and [b] must be from [-1] to [1], got [2]",
        ),
    ],
)
def test_the_pair_that_breaks_it_is_named(pins: list[tuple[str, str, float]], problem: str) -> None:
    with pytest.raises(Contradiction) as raised:
        made(*pins)
    assert str(raised.value) == problem


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esinfer.twin.pins.pins.MOST_PINS", 1)
    with pytest.raises(Contradiction, match=r"\[2\] similarities, expected \[1\] at most"):
        made(("a", "b", 0), ("c", "d", 0))


def test_what_is_refused_changes_nothing_and_the_same_twice_is_once() -> None:
    pins = made(("a", "b", 0.5), ("b", "a", 0.5))
    with pytest.raises(Contradiction):
        pins.plus([Pin("b", "c", 1), Pin("a", "c", 0)])
    assert list(pins) == [Pin("a", "b", 0.5)]
    assert len(pins) == 1


def test_texts_that_hang_together_are_a_group() -> None:
    found = group([Pin("a", "b", 0), Pin("c", "d", 0), Pin("e", "d", 1), Pin("f", "b", 0.5)])
    assert [each.texts for each in found] == [("a", "b", "f"), ("c", "d", "e")]
    assert found[1].cosines == ((0, 1, 0), (2, 1, 1))


@pytest.mark.parametrize("name", EMBEDDERS)
def test_what_is_not_pinned_stays_bit_by_bit(name: str) -> None:
    own = EMBEDDERS[name](384)
    embedder = pinned(made(("fox", "dog", 0.9)), EMBEDDERS[name])(384)
    for text in ("a fox", "FOX", "cat", " fox"):
        for unit in (True, False):
            assert (vectors(embedder, [text], unit=unit) == vectors(own, [text], unit=unit)).all()
    both = [*embedder.split("fox"), *embedder.split("dog")]
    assert (embedder.dense([both]) == own.dense([both])).all(), "no pinned text, but two"
    tokens = embedder.split("fox")
    assert (embedder.token_vectors(tokens) == own.token_vectors(tokens)).all()
    assert embedder.weigh(tokens) == own.weigh(tokens)
    assert embedder.locate("fox") == own.locate("fox")
    assert embedder.index("fox") == own.index("fox")
    assert embedder.dimensions == own.dimensions


def test_what_numbers_stand_for_stays_too() -> None:
    embedder = pinned(made(("fox", "dog", 0.9)), static_embedder)(384)
    (number,) = [piece.id for piece in embedder.locate("fox")]
    assert embedder.name(number) == "fox"
    assert embedder.decode([number], skip_special=True) == "fox"


def test_a_group_does_not_move_another_and_batches_do_not_matter() -> None:
    few = pinned(made(("fox", "dog", 0.3)), static_embedder)(384)
    more = pinned(made(("tea", "run", -1), ("fox", "dog", 0.3)), static_embedder)(384)
    texts = ["dog", "tea", "fox"]
    together = vectors(more, texts)
    alone = np.concatenate([vectors(more, [text]) for text in texts])
    assert (together == alone).all()
    assert (vectors(few, ["dog", "fox"]) == together[[0, 2]]).all()


def test_they_move_little() -> None:
    """A pair that is as near as it is to be hardly moves; other cosines of a group stay about."""
    texts = ["a cat sat", "the dog ran", "green tea"]
    own = vectors(static_embedder(384), texts)
    natural = float(own[0] @ own[1])
    pins = made((texts[0], texts[1], natural), (texts[1], texts[2], float(own[1] @ own[2]) + 0.1))
    moved = vectors(pinned(pins, static_embedder)(384), texts)
    assert abs(moved @ moved.T - own @ own.T).max() < 0.11
    assert (moved * own).sum(axis=1).min() > 0.98
    still = vectors(pinned(made((texts[0], texts[1], natural)), static_embedder)(384), texts)
    assert abs(still - own).max() < 1e-3


def test_a_vector_that_is_not_normalised_keeps_its_length() -> None:
    embedder = pinned(made(("fox", "dog", 0.9)), static_embedder)(384)
    own = vectors(static_embedder(384), ["fox", "dog"], unit=False)
    rows = vectors(embedder, ["fox", "dog"], unit=False)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.linalg.norm(own, axis=1), rel=1e-5)
    assert rows[0] @ rows[1] / np.prod(np.linalg.norm(rows, axis=1)) == pytest.approx(0.9, abs=1e-3)


def test_texts_of_the_same_tokens_are_told_apart() -> None:
    pins = made(("Fox", "fox", -0.5))
    check(pins, pinned(pins, static_embedder)(384))


def test_fewer_dimensions_than_texts_are_refused() -> None:
    pins = made(("a", "b", 0.5), ("b", "c", 0.5))
    embedder = pinned(pins, static_embedder)(384)
    check(pins, embedder, 3)
    with pytest.raises(Failure) as raised:
        vectors(embedder, ["a"], 2)
    assert raised.value.error == (
        "Backend error: 3 texts hang together by pinned similarities, which takes as many"
        " dimensions, not 2"
    )


def test_without_pins_the_embedder_is_the_same_object() -> None:
    assert pinned(Pins(), static_embedder)(384) is static_embedder(384)


def test_the_bits_are_these_on_every_machine() -> None:
    embedder = pinned(made(("fox", "dog", 0.9)), static_embedder)(384)
    rows = vectors(embedder, ["fox", "dog"])
    digest = blake2b(rows.astype("<f4").tobytes(), digest_size=8).hexdigest()
    assert digest == "42252da47aeb250a"


def test_equations_that_repeat_each_other_are_solved() -> None:
    """Every pair of ten texts, which all mean the same or its opposite."""
    signs = [1, -1, 1, 1, -1, -1, 1, -1, 1, 1]
    pairs = combinations(range(len(signs)), 2)
    pins = made(*[(WORDS[i], WORDS[j], float(signs[i] * signs[j])) for i, j in pairs])
    check(pins, pinned(pins, static_embedder)(384))


def test_among_very_many_only_the_pair_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esinfer.twin.pins.pins._MOST_REFINED", 1)
    with pytest.raises(Contradiction) as raised:
        made(("a", "b", 1), ("b", "c", 1), ("a", "c", -1))
    assert str(raised.value) == "the cosine of [a] and [c] cannot be [-1] with the others"
