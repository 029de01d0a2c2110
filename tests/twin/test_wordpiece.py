import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.twin.embedders import Piece, Token
from esinfer.twin.wordpiece import FIRST, UNKNOWN, WordPiece

PIECES = WordPiece()
SAMPLES = Path(__file__).parents[1] / "samples"
GOLDEN = json.loads((SAMPLES / "minilm-golden.json").read_text(encoding="utf-8"))["vectors"]
WHOLE = [golden for golden in GOLDEN if "..." not in golden["token_ids"]]


@pytest.mark.parametrize("golden", WHOLE, ids=lambda golden: repr(golden["text"]))
def test_texts_are_cut_as_the_original_cuts_them(golden: dict[str, list[int]]) -> None:
    own = PIECES.split(str(golden["text"]))
    ids = [token if isinstance(token, int) else UNKNOWN for token in own]
    assert [*PIECES.opening, *ids, *PIECES.closing] == golden["token_ids"]


def test_the_vocabulary_is_that_of_bert() -> None:
    assert len(PIECES) == 30_522
    assert [PIECES.name(index) for index in (0, 100, 101, 102, 103, 1996)] == [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "the",
    ]
    assert PIECES.index("##ing") == 2075


def test_what_the_vocabulary_lacks_is_a_token_as_it_stands_folded() -> None:
    assert [*PIECES.split("a ☃ fox")] == [1037, "☃", 4419]
    assert [*PIECES.split("Ⅷ☃")] == ["viii☃"]
    assert [*PIECES.split("x" * 101)] == ["x" * 101]
    assert PIECES.index("☃") == UNKNOWN
    assert PIECES.name(99_999) == "[UNK]"


def test_the_names_of_special_tokens_in_a_text_are_special_tokens() -> None:
    assert [*PIECES.split("[CLS] fox [MASK]")] == [101, 4419, 103]


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u200b"])
def test_a_text_of_nothing_to_see_has_no_tokens(text: str) -> None:
    assert [*PIECES.split(text)] == []


def test_a_lone_surrogate_is_a_question_mark() -> None:
    assert PIECES.split("a \ud800") == PIECES.split("a ?")


def test_the_places_of_tokens_are_those_in_the_text_as_it_stands() -> None:
    text = "Naïve ÉMBEDDINGS"
    found = PIECES.locate(text)
    assert found == [Piece(15743, 0, 5), Piece(7861, 6, 8), Piece(8270, 8, 11),
                     Piece(4667, 11, 15), Piece(2015, 15, 16)]  # fmt: skip
    assert [text[start:stop] for _, start, stop in found] == ["Naïve", "ÉM", "BED", "DING", "S"]


@given(st.text())
def test_split_and_locate_find_the_same(text: str) -> None:
    own = [token if isinstance(token, int) else UNKNOWN for token in PIECES.split(text)]
    assert [piece.id for piece in PIECES.locate(text)] == own


def test_numbers_are_turned_back_into_text() -> None:
    ids = [101, 7592, 1010, 2088, 999, 7861, 8270, 4667, 102, 2**32 - 1]
    assert PIECES.decode(ids, skip_special=True) == "hello, world! embedding"
    assert PIECES.decode(ids, skip_special=False) == "[CLS] hello, world! embedding [SEP]"


# What a token is worth


def worths(*tokens: Token) -> list[float]:
    return [PIECES.worth(PIECES.index(token) if isinstance(token, str) else token)
            for token in tokens]  # fmt: skip


def test_the_commoner_a_word_the_less_it_is_worth() -> None:
    rising = worths("the", "was", "not", "people", "fox", "penguin")
    assert rising == sorted(rising)
    assert rising[0] < 0.02
    assert rising[-1] > 0.95


def test_letters_of_other_scripts_are_worth_as_much_as_rare_words() -> None:
    assert worths("ж", "東", "ع") == [1, 1, 1]
    assert PIECES.worth("☃") == 1


def test_marks_are_worth_next_to_nothing_and_special_tokens_nothing() -> None:
    assert worths(".", "!", "?") == [1 / 64] * 3
    assert worths("[CLS]", "[SEP]", "[PAD]", "[UNK]", 7) == [0] * 5


def test_sparse_weights_are_those_of_the_words_in_the_text_the_heaviest_first() -> None:
    weights = PIECES.weigh([101, *PIECES.split("The dog, and the embeddings of ☃!"), 102])
    assert list(weights) == ["☃", "em", "##bed", "##ding", "dog", "##s", "and", "of", "the"]
    assert all(weight > 0 for weight in weights.values())


def test_a_word_that_comes_more_often_weighs_more() -> None:
    once, twice = (PIECES.weigh(PIECES.split(text))["fox"] for text in ("fox", "fox fox"))
    assert once < twice < 2 * once


def test_no_word_of_the_vocabulary_weighs_nothing() -> None:
    weights = PIECES.weigh(range(FIRST, len(PIECES)))
    assert {"the", "of", "and", "a", "fox"} <= set(weights)
    assert min(weights.values()) >= 1 / 128
    assert not {".", ",", "##!", "?", "€"} & set(weights)


def test_the_vocabulary_is_read_once() -> None:
    start = time.process_time()
    for _ in range(100):
        WordPiece()
    assert time.process_time() - start < 1  # reading takes 30 ms each time
