"""Bodies as the journal shows them: what is taken for a key, and that nothing takes long."""

from __future__ import annotations

import time

import pytest

from esinfer.masking import Kept, long_enough
from esinfer.shown_bodies import answer_to_wire, find_keys, read, request_to_wire


def kept(text: str, limit: int = 64 * 1024) -> Kept:
    body = Kept(limit)
    body.add(text.encode())
    return body


def keys(text: str, limit: int = 64 * 1024) -> list[str]:
    body = kept(text, limit)
    return list(find_keys(body, read(body)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"api_key": "one", "token": ["two", {"x": 3}]}', {"one", "two", "x", "3"}),
        ('{"api_key": null, "url": "http://u:p@h/?key=k"}', {"None", "u", "p", "k"}),
        ('{"api_key": /* why */ "a \\u0062"} more', {"a b"}),
        ('{"api_key": "a b", "input": "c"', {"a", "b"}),
        ("{\"apikey\": ['a', b], url: 'http://u:p@h'", {"a", "b", "u", "p"}),
        ("{'api\\u005fkey': a", {"a"}),
        ("no key", set()),
        ('{"api_key" "one", "input": "c"', {"one"}),
        ("api_key: one:two, input: c", {"one", "two"}),
        (r'"{\"api_key\":\"one\",\"input\":\"c\"}"', {"one"}),
        ('{"x": ["api_key", "one", {"a": "two"}]}', {"one", "a", "two"}),
        ('{"api_key:one": 1}', {"one", "1"}),
        ('{"input": "a password: b, api_key: one"}', {"one"}),
    ],
)
def test_keys_are_found_in_what_a_client_sent(text: str, found: set[str]) -> None:
    assert set(keys(text)) == found


def test_of_many_keys_some_are_looked_for() -> None:
    assert len(keys("[" + '{"token":"a"},' * 1000 + "1]")) == 100


def test_an_answer_may_speak_of_tokens() -> None:
    body = kept('data: {"token": "a"}')
    assert answer_to_wire(body, []) == {"body": 'data: {"token": "a"}'}
    assert request_to_wire(body, [], read(body)) == {"body": 'data: {"token***'}


@pytest.mark.parametrize(
    "unit",
    ["a", "?", "?&", "/", "//", "token:", "apikey ", "\\u005f", "api_key" + " " * 50, "hf_"],
)
@pytest.mark.parametrize("scheme", ["", "http://"])
def test_no_text_takes_long(unit: str, scheme: str) -> None:
    body = kept(scheme + unit * (60_000 // len(unit)))
    started = time.process_time()
    value = read(body)
    request_to_wire(body, long_enough(find_keys(body, value)), value)
    assert time.process_time() - started < 1
