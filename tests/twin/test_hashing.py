import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from esinfer.twin import hashing
from esinfer.twin.embedders import NoVocabulary
from esinfer.twin.hashing import HashingEmbedder
from esinfer.twin.words import words

FOX = "The quick brown fox jumps over the lazy dog."
FOX_SHA256 = "9baceb099ef15dd8f1c0fd26fcceff605fbfe4b9429ed1cca427687544ca3e0e"
EMBEDDER = HashingEmbedder()

WORDLESS = ["", " ", "   ", "\n", "!", "!!!", "...", "?!", "\N{GRINNING FACE}", "\N{ROCKET}", "_"]


def embed(text: str) -> NDArray[np.float32]:
    vector: NDArray[np.float32] = EMBEDDER.embed([text])[0]
    return vector


def cosine(left: str, right: str) -> float:
    return float(embed(left).astype(np.float64) @ embed(right).astype(np.float64))


def norm(vector: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(vector.astype(np.float64)))


def test_vectors_stay_the_same_from_release_to_release() -> None:
    assert embed(FOX)[:8].tolist() == [
        0.13678359985351562,
        -0.013299332931637764,
        0.0,
        0.0,
        -0.13678359985351562,
        0.0,
        0.00494237570092082,
        0.02350967936217785,
    ]
    assert hashlib.sha256(embed(FOX).astype("<f4").tobytes()).hexdigest() == FOX_SHA256


def test_short_vectors_stay_the_same_from_release_to_release() -> None:
    assert HashingEmbedder(4).embed(["The quick brown fox"]).tolist() == [
        [-0.697590172290802, -0.3261333703994751, 0.16363628208637238, 0.6166264414787292]
    ]


def test_embeddings_are_float32_rows() -> None:
    vectors = EMBEDDER.embed(["one", "two", "three"])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32


def test_no_text_gives_no_rows() -> None:
    assert EMBEDDER.embed([]).shape == (0, 384)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_gives_the_same_vectors(seed: str) -> None:
    """Whatever order its sets and dictionaries of strings have."""
    code = (
        "import hashlib; from esinfer.twin.hashing import HashingEmbedder;"
        f"vector = HashingEmbedder().embed([{FOX!r}]).astype('<f4');"
        "print(hashlib.sha256(vector.tobytes()).hexdigest())"
    )
    ran = subprocess.run(  # noqa: S603 -- our own interpreter
        [sys.executable, "-W", "error", "-c", code],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.strip() == FOX_SHA256


@pytest.mark.parametrize("size", [1, 2, 7, 32])
def test_the_batch_does_not_change_a_vector(size: int) -> None:
    texts = [f"{FOX} number {index} {'again ' * index}" for index in range(32)]
    alone = np.vstack([HashingEmbedder().embed([text]) for text in texts])
    batches = [EMBEDDER.embed(texts[start : start + size]) for start in range(0, 32, size)]
    assert np.array_equal(np.vstack(batches), alone)


@given(st.text())
def test_any_text_gives_a_finite_unit_vector(text: str) -> None:
    vector = embed(text)
    assert np.isfinite(vector).all()
    assert norm(vector) == pytest.approx(1, abs=1e-6)


@given(st.text(), st.text())
def test_a_text_has_one_vector_whatever_stands_beside_it(text: str, other: str) -> None:
    expected = HashingEmbedder().embed([text])[0]
    assert np.array_equal(EMBEDDER.embed([other, text])[1], expected)
    assert np.array_equal(EMBEDDER.embed([text, other])[0], expected)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_cut_into_words_as_any_other_text_is(text: str) -> None:
    assert words(text) == words(f"{text} é")[:-1]


def test_a_lone_surrogate_is_embedded_too() -> None:
    assert norm(embed("\ud800")) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5, 100, 1024, 4096])
def test_vectors_of_any_legal_length_have_length_one(dimensions: int) -> None:
    embedder = HashingEmbedder(dimensions)
    for vector in embedder.embed([FOX, "a", "", "a b", *WORDLESS]):
        assert vector.shape == (dimensions,)
        assert norm(vector) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dimensions", [-1, 0, 4097])
def test_other_lengths_are_refused(dimensions: int) -> None:
    with pytest.raises(ValueError, match=r"^dimensions must be between 1 and 4096$"):
        HashingEmbedder(dimensions)


def test_texts_without_words_differ() -> None:
    vectors = EMBEDDER.embed(WORDLESS).astype(np.float64)
    likeness = vectors @ vectors.T - np.eye(len(WORDLESS))
    assert np.abs(likeness).max() < 0.5


def test_signs_that_cancel_leave_a_unit_vector() -> None:
    """With one bucket, equal weights of both signs are common."""
    embedder = HashingEmbedder(1)
    vectors = embedder.embed([f"{left}{right}" for left in "abcdefgh" for right in "abcdefgh"])
    assert set(vectors.ravel().tolist()) == {-1.0, 1.0}


def test_long_texts_are_summed_exactly_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide sums and squares in Python's integers give what narrow ones give."""
    text = " ".join(f"word{index % 90} the" for index in range(500))
    narrow = HashingEmbedder().embed([text])
    monkeypatch.setattr(hashing, "_FEW_TERMS", 0)
    assert np.array_equal(HashingEmbedder().embed([text]), narrow)


def test_one_hundred_thousand_words_give_a_unit_vector() -> None:
    assert norm(embed("word " * 100_000)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "like", "unlike"),
    [
        (
            "the cat sat on the mat",
            "a cat is sitting on a mat",
            "stock markets fell sharply today",
        ),
        ("how do I reset my password", "password reset instructions", "how do I bake my bread"),
        ("running shoes for men", "men's running shoe", "garden furniture for women"),
        (
            "database connection timeout",
            "the connection to the database timed out",
            "the train to the airport was late",
        ),
        ("Elasticsearch inference API", "inference with Elasticsearch", "a history of Rome"),
        ("東京タワーの高さ", "東京タワーはどこですか", "今日は天気がいい"),
        ("Москва столица России", "столица России", "как испечь хлеб"),
        ("हिन्दी भाषा", "हिन्दी में लिखो", "मौसम अच्छा है"),
        ("ภาษาไทยง่าย", "เรียนภาษาไทย", "สวัสดีครับ"),
        ("مدينة القاهرة", "القاهرة مدينة كبيرة", "طعام لذيذ"),
    ],
)
def test_texts_that_share_words_are_near(text: str, like: str, unlike: str) -> None:
    assert cosine(text, like) > cosine(text, unlike) + 0.1


def test_paraphrases_rank_first_among_other_documents() -> None:
    documents = [
        "To reset your password open the account settings page.",
        "Our store opens at nine in the morning on weekdays.",
        "The server returned a timeout while connecting to the database.",
        "Bananas and apples are the most popular fruit in this shop.",
        "Flights from Berlin to Paris are delayed by heavy snow.",
        "The invoice was paid by credit card last week.",
    ]
    queries = [
        "how can I reset the password of my account",
        "when does the store open in the morning",
        "database connection timeout of the server",
        "popular fruit: apples, bananas",
        "snow delays a flight to Paris",
        "pay an invoice with a credit card",
    ]
    likeness = EMBEDDER.embed(queries) @ EMBEDDER.embed(documents).T
    assert likeness.argmax(axis=1).tolist() == list(range(len(documents)))


def test_unrelated_words_are_far_from_each_other() -> None:
    words = ["zebra", "quantum", "butter", "orchid", "mortgage", "violin", "python", "glacier"]
    pairs = itertools.combinations(words, 2)
    assert max(abs(cosine(*pair)) for pair in pairs) < 0.4


def test_stop_words_count_little() -> None:
    assert cosine("violin", "the violin is in the") > 0.9
    assert cosine("the violin", "the butter") < 0.3


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("STRASSE", "straße"),
        ("ＷＩＤＥ", "wide"),
        ("user_id", "user-id"),
        ("Hello, world!", "hello world"),
        ("caf\u00e9", "cafe\u0301"),
    ],
)
def test_case_width_and_punctuation_do_not_count(left: str, right: str) -> None:
    assert np.array_equal(embed(left), embed(right))


def test_the_order_of_words_counts() -> None:
    assert not np.array_equal(embed("dog bites man"), embed("man bites dog"))
    assert cosine("dog bites man", "man bites dog") > 0.5


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, World 42!", ["hello", "world", "42"]),
        ("snake_case", ["snake", "case"]),
        ("東京 tower", ["東", "京", "tower"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("हिन्दी।", ["हिन्दी"]),
        ("ﬁne", ["fine"]),
        ("x" * 40, ["x" * 32, "x" * 8]),
        ("é" * 40, ["é" * 32, "é" * 8]),
        ("?!", []),
    ],
)
def test_words(text: str, tokens: list[str]) -> None:
    assert words(text) == tokens


def test_fewer_dimensions_are_a_cut_and_normalised_vector() -> None:
    terms = [EMBEDDER.split(FOX)]
    full = EMBEDDER.dense(terms)[0].astype(np.float64)
    cut = EMBEDDER.dense(terms, dimensions=64)[0]
    assert norm(cut) == pytest.approx(1, abs=1e-6)
    assert cut == pytest.approx(full[:64] / np.linalg.norm(full[:64]), abs=1e-6)


def test_a_vector_not_normalised_points_the_same_way() -> None:
    terms = [EMBEDDER.split(FOX)]
    raw = EMBEDDER.dense(terms, normalize=False)[0]
    assert norm(raw) > 2
    assert raw / norm(raw) == pytest.approx(EMBEDDER.dense(terms)[0], abs=1e-6)


def test_sparse_weights_fall_and_stop_words_are_light() -> None:
    weights = EMBEDDER.weigh(EMBEDDER.split("The dog and the cat and the dog"))
    assert weights == {"dog": 1.375, "cat": 1.0, "the": 0.2109375, "and": 0.171875}
    assert list(weights) == ["dog", "cat", "the", "and"]


@given(st.text())
def test_sparse_weights_are_positive_float32_numbers_of_the_words(text: str) -> None:
    weights = EMBEDDER.weigh(EMBEDDER.split(text))
    assert set(weights) == set(words(text))
    assert all(weight > 0 and float(np.float32(weight)) == weight for weight in weights.values())


@pytest.mark.parametrize("text", WORDLESS)
def test_a_text_without_words_has_no_sparse_weights(text: str) -> None:
    assert EMBEDDER.weigh(EMBEDDER.split(text)) == {}


def test_the_memory_of_words_is_bounded() -> None:
    embedder = HashingEmbedder(4096)
    embedder.embed([f"word{index}" for index in range(2000)])
    assert embedder._row.cache_info().currsize == 1024


def test_numbers_cannot_be_turned_back() -> None:
    with pytest.raises(NoVocabulary, match="token 7 is a hash, from which no text can be told"):
        EMBEDDER.name(7)
    with pytest.raises(NoVocabulary, match="token 7"):
        EMBEDDER.decode([7, 8], skip_special=True)


def test_token_vectors_are_those_of_the_words_alone() -> None:
    rows = EMBEDDER.token_vectors(["quick", "fox", 5])
    assert rows.shape == (3, 384)
    assert np.array_equal(rows[1:2], EMBEDDER.dense([["fox"]], normalize=False))


def test_a_word_in_another_form_has_the_number_of_its_folded_form() -> None:
    assert EMBEDDER.locate("a ﬁsh") == [(EMBEDDER.index("a"), 0, 1), (EMBEDDER.index("fish"), 2, 5)]
