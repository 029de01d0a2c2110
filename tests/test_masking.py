"""Bytes that are kept, and shown without secrets."""

from __future__ import annotations

import pytest

from esinfer.masking import (
    Kept,
    bears_key,
    is_api_key,
    long_enough,
    secrets_in,
    shown_headers,
    shown_url,
    without,
)

KEY = "hf_secret_key"
TOKEN = "hf_abcdefghijKLMNOP0123"


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


def test_headers_that_are_no_utf_8_can_be_written() -> None:
    headers = {"X-Other": "a\udcff", "Authorization": "\udcff x"}
    assert shown_headers(headers, []) == {"x-other": "a\ufffd", "authorization": "***"}


def test_a_url_is_shown_without_its_user() -> None:
    assert shown_url(f"https://me:word@h/x?k={KEY}", [KEY]) == "https://***@h/x?k=***"


@pytest.mark.parametrize("length", range(3, len(TOKEN) + 1))
def test_what_has_the_form_of_a_token_is_never_shown(length: int) -> None:
    kept = Kept(3 + length)
    kept.add(f"a: {TOKEN}, b".encode())
    assert kept.text([]) == ("a: ***" if length >= 19 else "a: ")
    assert without(f"{TOKEN}, hf_hub_download", []) == "***, hf_hub_download"


def test_a_secret_is_found_as_json_spells_it() -> None:
    text = r'{"a": "caf\u00e9\"key", "b": "café\"key", "c": '
    assert without(text + 'caf\u00e9"key', long_enough(['caf\u00e9"key'])) == (
        '{"a": "***", "b": "***", "c": ***'
    )


def test_parameters_are_known_by_their_decoded_names() -> None:
    url = "https://h/x?a=b?c&api%5Fkey=one%20key&apikye=another&monkey=c"
    assert shown_url(url, []) == "https://h/x?a=b?c&api%5Fkey=***&apikye=***&monkey=c"
    assert set(secrets_in(url)) == {"one%20key", "one key", "another"}


@pytest.mark.parametrize(
    "name", ["api_key", "API_KEY", "apiKey", "api-key", "api_keyy", "apy_key", "ai_key", "api_kye"]
)
def test_a_slip_in_api_key_is_overlooked(name: str) -> None:
    assert is_api_key(name)
    assert bears_key(name)


@pytest.mark.parametrize("name", ["token", "key", "secret_key", "access_key", "hf_token"])
def test_other_names_bear_keys_too(name: str) -> None:
    assert (bears_key(name), is_api_key(name)) == (True, False)


@pytest.mark.parametrize("name", ["", "input", "max_tokens", "hotkey", "keys", "a" * 100_000])
def test_names_that_bear_no_key(name: str) -> None:
    assert not bears_key(name)
