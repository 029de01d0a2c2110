"""Which addresses may be called, however they are spelled."""

from __future__ import annotations

import pytest

from esinfer.addresses import AddressRules, check_entry, make_rules

ANY = AddressRules()

NEVER = [
    "0.0.0.0",
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe:0:0:5601:5601",
]
PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd12::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
]
PUBLIC = ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("address", NEVER)
def test_where_no_upstream_lives_is_refused(address: str) -> None:
    assert not ANY.allows("x.example", address)
    assert not make_rules(("x.example",), private=True).allows("x.example", address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_and_loopback_are_allowed_unless_the_setting_says_no(address: str) -> None:
    assert ANY.allows("x.example", address)
    assert not AddressRules(private=False).allows("x.example", address)
    assert not make_rules(("x.example",), private=False).allows("x.example", address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed_without_a_list(address: str) -> None:
    assert ANY.allows("x.example", address)
    assert AddressRules(private=False).allows("x.example", address)


@pytest.mark.parametrize(
    ("entry", "host", "address", "allowed"),
    [
        ("api.example.com", "api.example.com", "8.8.8.8", True),
        ("API.example.com.", "api.EXAMPLE.com", "8.8.8.8", True),
        ("api.example.com", "api.example.com.", "8.8.8.8", True),
        ("api.example.com", "x.api.example.com", "8.8.8.8", False),
        ("api.example.com", "example.com", "8.8.8.8", False),
        ("*.example.com", "api.example.com", "8.8.8.8", True),
        ("*.example.com", "a.b.example.com", "8.8.8.8", True),
        ("*.example.com", "example.com", "8.8.8.8", False),
        ("*.example.com", "badexample.com", "8.8.8.8", False),
        ("8.8.8.8", "anything", "8.8.8.8", True),
        ("8.8.8.8", "anything", "8.8.4.4", False),
        ("8.8.8.8", "8.8.8.8", "::ffff:8.8.8.8", True),
        ("10.0.0.0/8", "anything", "10.9.9.9", True),
        ("10.0.0.0/8", "anything", "11.0.0.1", False),
        ("2001:db8::/32", "anything", "2001:db8::7", True),
        ("[2001:db8::7]", "anything", "2001:db8::7", True),
        ("localhost", "localhost", "127.0.0.1", True),
    ],
)
def test_a_list_allows_what_it_lists(entry: str, host: str, address: str, allowed: bool) -> None:
    check_entry(entry)
    assert make_rules((entry,), private=True).allows(host, address) is allowed


def test_a_listed_network_is_allowed_whatever_it_is() -> None:
    assert make_rules(("169.254.169.254/32",), private=True).allows("x", "169.254.169.254")
    assert make_rules(("10.0.0.0/8",), private=False).allows("x", "10.0.0.1")


def test_a_network_does_not_open_the_other_one_that_an_address_carries() -> None:
    rules = make_rules(("2002::/16",), private=True)
    assert not rules.allows("x", "2002:a9fe:a9fe::1")


@pytest.mark.parametrize(
    "entry", ["", "*", "a b", "10.0.0.1/8", "1.2.3", "http://a", "a:80", "*.*.com", "a..b", "::g"]
)
def test_what_is_no_entry_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        check_entry(entry)
