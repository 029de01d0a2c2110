import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from esinfer.twin import static
from esinfer.twin.embedders import Token
from esinfer.twin.static import StaticEmbedder
from esinfer.twin.wordpiece import MODELS

FOX = "The quick brown fox jumps over the lazy dog."
FOX_SHA256 = "967d3588062e1b64c052cddc3e5658b746207a5578efb5a172bc0190354abe0a"
EMBEDDER = StaticEmbedder(384)

TEXTS = [FOX, "a", "A physician examined the patient", "don't stop!!! 3.14€", "!", "   ", "☃"]


def framed(text: str) -> list[Token]:
    return [101, *EMBEDDER.split(text), 102]


def embed(texts: Sequence[str], embedder: StaticEmbedder = EMBEDDER) -> NDArray[np.float32]:
    return embedder.dense([framed(text) for text in texts])


def cosine(one: str, other: str) -> float:
    left, right = embed([one, other]).astype(np.float64)
    return float(left @ right)


def norms(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.linalg.norm(rows.astype(np.float64), axis=1)
    return lengths


def digest(vectors: NDArray[np.float32]) -> str:
    return hashlib.sha256(vectors.astype("<f4").tobytes()).hexdigest()


# Meaning


@pytest.mark.parametrize(
    ("text", "like", "unlike"),
    [
        ("king", "queen", "banana"),
        ("The film was boring", "That movie was dull", "The plane was late"),
        ("She bought a car", "He purchased an automobile", "She bought a cat"),
        ("The doctor examined the patient", "A physician sees someone ill", "Bake a cake"),
    ],
)
def test_what_means_the_same_is_nearer(text: str, like: str, unlike: str) -> None:
    assert cosine(text, like) > cosine(text, unlike) + 0.1


def test_the_order_of_words_makes_a_small_difference() -> None:
    assert 0.99 < cosine("the dog bites the man", "the man bites the dog") < 0.99999


def test_case_and_accents_make_none() -> None:
    assert np.array_equal(*embed(["A NAÏVE fox", "a naive fox"]))


# The same bits everywhere


def test_vectors_stay_the_same_from_release_to_release() -> None:
    assert embed([FOX])[0, :4].tolist() == [
        -0.0519038587808609,
        0.12877826392650604,
        0.0732898935675621,
        0.20265205204486847,
    ]
    assert digest(embed([FOX])) == FOX_SHA256


@pytest.mark.parametrize("threads", ["1", "2"])
def test_another_process_gives_the_same_vectors(threads: str) -> None:
    code = (
        "import hashlib; from esinfer.twin.static import StaticEmbedder;"
        f"embedder = StaticEmbedder(384); tokens = [101, *embedder.split({FOX!r}), 102];"
        "print(hashlib.sha256(embedder.dense([tokens]).astype('<f4').tobytes()).hexdigest())"
    )
    ran = subprocess.run(  # noqa: S603 -- our own interpreter
        [sys.executable, "-W", "error", "-c", code],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": threads},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.strip() == FOX_SHA256


@pytest.mark.parametrize("size", [1, 2, 7, 32])
def test_the_batch_does_not_change_a_vector(size: int) -> None:
    texts = [f"{FOX} number {index} {'again ' * index}" for index in range(32)]
    alone = np.vstack([embed([text]) for text in texts])
    batches = [embed(texts[start : start + size]) for start in range(0, 32, size)]
    assert np.array_equal(np.vstack(batches), alone)


def test_long_texts_are_summed_exactly_too(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "some words that come again and again " * 8
    narrow = embed([text])
    monkeypatch.setattr(static, "_FEW_TOKENS", 0)
    assert np.array_equal(embed([text], StaticEmbedder(384)), narrow)


def test_one_hundred_thousand_words_give_a_unit_vector() -> None:
    assert norms(embed(["word " * 100_000])) == pytest.approx([1], abs=1e-6)


# Length


@pytest.mark.parametrize("dimensions", [1, 2, 3, 100, 255, 256, 257, 384, 1024, 4096])
def test_vectors_of_any_legal_length_have_length_one(dimensions: int) -> None:
    rows = embed(TEXTS, StaticEmbedder(dimensions))
    assert rows.shape == (len(TEXTS), dimensions)
    assert rows.dtype == np.float32
    assert norms(rows) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)


@pytest.mark.parametrize("dimensions", [257, 384, 768, 1000, 4096])
def test_longer_vectors_have_the_cosines_of_the_native_ones(dimensions: int) -> None:
    native = embed(TEXTS, StaticEmbedder(256)).astype(np.float64)
    longer = embed(TEXTS, StaticEmbedder(dimensions)).astype(np.float64)
    assert longer @ longer.T == pytest.approx(native @ native.T, abs=1e-6)


@pytest.mark.parametrize("dimensions", [-1, 0, 4097])
def test_other_lengths_are_refused(dimensions: int) -> None:
    with pytest.raises(ValueError, match=r"^dimensions must be between 1 and 4096$"):
        StaticEmbedder(dimensions)


@pytest.mark.parametrize("cut", [1, 64, 256, 300, 384])
def test_cut_vectors_are_the_head_of_full_ones_normalised(cut: int) -> None:
    [tokens] = [framed(FOX)]
    head = EMBEDDER.dense([tokens])[:, :cut].astype(np.float64)
    expected = head / np.linalg.norm(head)
    assert EMBEDDER.dense([tokens], dimensions=cut) == pytest.approx(expected, abs=1e-6)


def test_the_mean_of_the_token_vectors_is_the_text_before_it_is_normalised() -> None:
    tokens = framed("a quick ☃ fox, unbelievably quick")
    rows = EMBEDDER.token_vectors(tokens)
    assert rows.shape == (len(tokens), 384)
    assert (norms(rows) > 0).all()
    [raw] = EMBEDDER.dense([tokens], normalize=False)
    assert rows.mean(axis=0) == pytest.approx(raw, abs=1e-6)
    [unit] = EMBEDDER.dense([tokens])
    assert raw / np.linalg.norm(raw) == pytest.approx(unit, abs=1e-6)


def test_no_text_gives_no_rows_and_no_token_a_row_like_any() -> None:
    assert EMBEDDER.dense([]).shape == (0, 384)
    assert norms(EMBEDDER.dense([[]])) == pytest.approx([1], abs=1e-6)
    assert not EMBEDDER.dense([[]], normalize=False).any()


# Texts that the table knows little of


@given(st.text())
def test_any_text_gives_a_finite_unit_vector(text: str) -> None:
    rows = embed([text])
    assert np.isfinite(rows).all()
    assert norms(rows) == pytest.approx([1], abs=1e-6)


def test_texts_of_other_scripts_and_of_no_words_differ() -> None:
    words = "привет ривпет 東京 京都 مرحبا שלום สวัสดี 안녕하세요 नमस्ते ሰላም ☃ 🚀 🚀🚀 ! ? ..."
    texts = [*words.split(), "привет мир", "мир привет", "", "x" * 101, "y" * 101]
    rows = embed(texts).astype(np.float64)
    assert norms(rows.astype(np.float32)) == pytest.approx(np.ones(len(texts)), abs=1e-6)
    likeness = rows @ rows.T - np.eye(len(texts))
    assert likeness.max() < 1 - 1e-5


def test_unknown_words_that_look_alike_are_nearer() -> None:
    one, other, third = "ሰላምታ", "ሰላም", "ኢትዮጵያ"
    assert cosine(one, other) > cosine(one, third) + 0.1


def test_a_sum_that_cancels_leaves_a_unit_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EMBEDDER, "_scales", np.zeros_like(EMBEDDER._scales))
    rows = EMBEDDER.dense([[4419], [3899]])
    assert norms(rows) == pytest.approx([1, 1], abs=1e-6)
    assert not np.array_equal(rows[0], rows[1])


# What is shipped


def test_what_is_shipped_is_small_and_says_whose_it_is() -> None:
    files = [path for path in MODELS.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8_000_000
    notice = (MODELS / "NOTICE").read_text(encoding="utf-8")
    for name in ("static.npy", "scales.npy", "vocab.txt", "all-MiniLM-L6-v2", "Apache License"):
        assert name in notice
