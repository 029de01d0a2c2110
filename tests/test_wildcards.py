"""Patterns of urls: what fits, and that nothing takes long."""

from __future__ import annotations

import re
import time
from itertools import product

import pytest

from esinfer.wildcards import fits, specificity


def test_a_pattern_fits_what_its_regular_expression_fits() -> None:
    patterns = ["".join(letters) for n in range(6) for letters in product("ab*", repeat=n)]
    urls = ["".join(letters) for n in range(6) for letters in product("ab", repeat=n)]
    for pattern in patterns:
        expected = re.compile(".*".join(pattern.split("*")))
        assert [fits(pattern, url) for url in urls] == [
            expected.fullmatch(url) is not None for url in urls
        ]


def test_a_line_end_is_a_letter_like_others() -> None:
    assert fits("a*b", "a\n.b")
    assert not fits("a.b", "a\nb")


@pytest.mark.parametrize("stars", [8, 100])
def test_a_hopeless_url_is_soon_refused(stars: int) -> None:
    """A regular expression takes 8 s for 60 letters and 8 stars."""
    started = time.perf_counter()
    assert not fits("*a" * stars + "*b", "a" * 50_000)
    assert time.perf_counter() - started < 1


def test_fixed_letters_say_more_and_a_whole_url_the_most() -> None:
    assert sorted(["*", "a*", "ab", "a*b", "abc*"], key=specificity) == [
        "*",
        "a*",
        "a*b",
        "ab",
        "abc*",
    ]
