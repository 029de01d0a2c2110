"""Bytes that are kept, and shown without secrets."""

from __future__ import annotations

from esinfer.masking import Kept, long_enough, shown_headers, shown_url, without

KEY = "hf_secret_key"


def test_of_a_body_the_beginning_is_kept_and_how_long_it_was() -> None:
    kept = Kept(5)
    assert [kept.add(part) for part in (b"abc", b"def", b"ghi")] == [3, 2, 0]
    assert kept.to_wire([]) == {"body": "abcde", "body_size": 9, "truncated": True}


def test_a_secret_that_was_cut_is_not_shown_either() -> None:
    kept = Kept(12)
    kept.add(b"a key: " + KEY.encode())
    assert kept.text([KEY]) == "a key: "
    assert without(f"{KEY}, {KEY}", [KEY]) == "***, ***"


def test_short_secrets_are_looked_for_in_no_text() -> None:
    assert long_enough(["any", KEY, KEY + "2", KEY]) == [KEY + "2", KEY]


def test_of_credentials_the_scheme_is_shown() -> None:
    headers = {"Authorization": "Bearer x", "API-Key": "x", "X-Other": f"about {KEY}"}
    shown = {"authorization": "Bearer ***", "api-key": "***", "x-other": "about ***"}
    assert shown_headers(headers, [KEY]) == shown


def test_a_url_is_shown_without_its_user() -> None:
    assert shown_url(f"https://me:word@h/x?k={KEY}", [KEY]) == "https://***@h/x?k=***"
