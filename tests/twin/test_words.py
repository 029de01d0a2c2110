import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.twin.words import pieces, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ", [" "]),
        ("?!", ["?!"]),
        ("word", ["word"]),
        (" Two, words. ", [" Two,", " words. "]),
        ('He said: "It\'s 9:30"', ["He", " said:", " \"It'", "s", " 9:", '30"']),
        ("東京へ", ["東", "京", "へ"]),
        ("w" * 40, ["w" * 32, "w" * 8]),
    ],
)
def test_a_piece_holds_a_word_the_space_before_and_the_punctuation_behind_it(
    text: str, expected: list[str]
) -> None:
    assert pieces(text) == expected


@given(st.text())
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert all(pieces(text))


@given(st.text(st.characters(max_codepoint=127), min_size=1))
def test_a_plain_text_has_a_piece_for_each_word(text: str) -> None:
    assert len(pieces(text)) == max(len(words(text)), 1)
