"""java.net.URI's verdict on urls; every row was read off a JDK."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.services.uri import syntax_error

ACCEPTED = [
    "",
    "url",
    "//x",
    "/",
    "///p",
    "//?q",
    "//#f",
    "http://#f",
    "?q",
    "#f",
    "#",
    "ftp://x",
    "http:x",
    "mailto:a@b",
    "x:%41?[]",
    "http://h",
    "http://h:80/p;a=b?q=%20&r=[]#f",
    "http://h:",
    "http://h:port/",
    "http://a_b:99999999999/",
    "http://user:pw@h/",
    "http://münchen.example/é?é#é",
    "http://h/😀",
    "http://h%41/",
    "http://[::1]",
    "http://[::1]:",
    "http://[::1]:80/x",
    "http://u:p@[::ffff:1.2.3.4]/",
    "http://[fe80::1%eth0]/",
    "a+b-c.1:x",
]

REFUSED = {
    " ": "Illegal character in path",
    "a b": "Illegal character in path",
    "^^": "Illegal character in path",
    "a\u3000b": "Illegal character in path",
    "a\u00a0b": "Illegal character in path",
    "a\u0085b": "Illegal character in path",
    "a\u007fb": "Illegal character in path",
    "http://h/{}": "Illegal character in path",
    "http://h/|": "Illegal character in path",
    "http://h/\\": "Illegal character in path",
    'http://h/"': "Illegal character in path",
    "http://h/<": "Illegal character in path",
    "http://h/>": "Illegal character in path",
    "http://h/`": "Illegal character in path",
    "http://h/[": "Illegal character in path",
    "http://h?^": "Illegal character in query",
    "http://h?{a}": "Illegal character in query",
    "http://h#^": "Illegal character in fragment",
    "http://h##": "Illegal character in fragment",
    "https://www.abc^.com": "Illegal character in authority",
    "http://a b/": "Illegal character in authority",
    "http://{host}/": "Illegal character in authority",
    "http://\u2003/": "Illegal character in authority",
    "mailto:a b": "Illegal character in opaque part",
    "http:": "Expected scheme-specific part",
    "http:#f": "Expected scheme-specific part",
    ":x": "Expected scheme name",
    "1a:x": "Illegal character in scheme name",
    "a_b:x": "Illegal character in scheme name",
    "é:x": "Illegal character in scheme name",
    "http://": "Expected authority",
    "//": "Expected authority",
    "%": "Malformed escape pair",
    "http://h/%4": "Malformed escape pair",
    "http://h/%zz": "Malformed escape pair",
    "http://%zz/": "Malformed escape pair",
    "http://h?%": "Malformed escape pair",
    "http://h#%4g": "Malformed escape pair",
    "http://]%zz": "Malformed escape pair",
    "http://[::1": "Expected closing bracket for IPv6 address",
    "http://[]/": "Expected closing bracket for IPv6 address",
    "http://[1.2.3.4]/": "Malformed IPv6 address",
    "http://[::1]x": "Expected port number",
    "http://[::1]:8a/": "Illegal character in port number",
    "http://h:[": "Illegal character in port number",
    "http://1.2.3.4:]": "Illegal character in port number",
    "http://a]b/": "Illegal character in hostname",
    "http://1.2.3:]": "Illegal character in hostname",
    "http://:[": "Expected hostname",
    "http://u[@h/": "Illegal character in user info",
}


@pytest.mark.parametrize("url", ACCEPTED)
def test_uri_is_accepted(url: str) -> None:
    assert syntax_error(url) is None


@pytest.mark.parametrize(("url", "reason"), REFUSED.items())
def test_uri_is_refused_with_javas_reason(url: str, reason: str) -> None:
    assert syntax_error(url) == reason


@pytest.mark.parametrize("character", ' ^{}|\\"<>`')
@pytest.mark.parametrize(
    "url", ["http://a{}b", "http://h/{}", "http://h?{}", "http://h#{}", "x:{}"]
)
def test_character_that_no_part_may_hold_is_refused_in_all(url: str, character: str) -> None:
    reason = syntax_error(url.replace("{}", character))
    assert reason is not None
    assert reason.startswith("Illegal character in ")


@given(st.text())
def test_every_text_has_a_verdict(text: str) -> None:
    assert syntax_error(text) is None or isinstance(syntax_error(text), str)


@given(st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=1))
def test_letters_and_digits_of_any_script_are_a_path(text: str) -> None:
    assert syntax_error(f"http://h/{text}") is None
