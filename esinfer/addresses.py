"""Which upstreams may be called: rules about host names and about the addresses they stand for.

The rules are asked about the addresses that are about to be connected to, so
that a name cannot stand for one address when it is checked and for another
when it is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # "this host", and with it the unspecified address
        "169.254.0.0/16",  # link-local, and the metadata service of most clouds
        "100.100.100.200/32",  # metadata service of Alibaba Cloud
        "168.63.129.16/32",  # metadata and DNS of Azure's hosts
        "192.0.0.192/32",  # metadata service of Oracle Cloud Classic
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast address
        "::/128",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "fd00:ec2::/32",  # metadata service of AWS, among others
        "fd20:ce::254/128",  # metadata service of Google Cloud
        "fd00:42::42/128",  # metadata service of Scaleway
    )
)
"""No upstream lives there, and what does must not be reached through us."""

_PRIVATE = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "::1/128",
        "fc00::/7",
    )
)

_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_COMPATIBLE = ip_network("::/96")

_NAME = re.compile(
    r"(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.?"
)


def _network(entry: str) -> Network | None:
    """The network of an entry that is an address or a CIDR; ValueError for a broken one."""
    bare = entry[1:-1] if entry.startswith("[") and entry.endswith("]") else entry
    if ":" in bare or "/" in bare or re.fullmatch(r"[\d.]+", bare):
        return ip_network(bare)
    return None


def check_entry(entry: str) -> None:
    """ValueError if no host name, ``*.`` pattern, address or CIDR."""
    if _network(entry) is None and not _NAME.fullmatch(entry.lower()):
        raise ValueError(entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """What may be called.

    Without ``names`` and ``networks`` that is everything but what no upstream
    should be; with them only what they list. A network that is listed is
    allowed whatever it is; a name that is listed still must not stand for a
    link-local, metadata, multicast or unspecified address. ``private`` tells
    whether loopback and private networks are allowed unlisted, or by name.
    """

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    private: bool = True

    def allows(self, host: str, address: str) -> bool:
        """Whether ``address``, which ``host`` stands for, may be connected to."""
        embedded = tuple(_meanings(ip_address(address.partition("%")[0])))
        if all(_within(one, self.networks) for one in embedded):
            return True
        if any(_within(one, _NEVER) for one in embedded):
            return False
        if not self.private and any(_within(one, _PRIVATE) for one in embedded):
            return False
        lists = bool(self.names or self.networks)
        return not lists or self._lists_name(host)

    def _lists_name(self, host: str) -> bool:
        name = host.lower().removesuffix(".")
        if name in self.names:
            return True
        _, dot, domain = name.partition(".")
        while dot:
            if f"*.{domain}" in self.names:
                return True
            _, dot, domain = domain.partition(".")
        return False


def make_rules(allow: tuple[str, ...], *, private: bool) -> AddressRules:
    """The rules of a list of entries that ``check_entry`` has passed."""
    networks = {entry: _network(entry) for entry in allow}
    return AddressRules(
        names=frozenset(
            entry.lower().removesuffix(".") for entry, own in networks.items() if own is None
        ),
        networks=tuple(own for own in networks.values() if own is not None),
        private=private,
    )


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _meanings(address: Address) -> Iterator[Address]:
    """The address, or where it is one in the other family's clothes, both."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:  # the kernel connects to this one
        yield address.ipv4_mapped
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield address.teredo[1]
    if any(address in network for network in _NAT64) or (
        address in _COMPATIBLE and int(address) > 1
    ):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
