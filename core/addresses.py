"""Which addresses that a user names may be asked: judged by how they are written, and by number.

Nothing is looked up here, so that the web tier can refuse at once what is obviously forbidden. What a name
leads to is judged by the worker, with `allows`, when it connects.
"""

from __future__ import annotations

import re
import socket
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Self
from urllib.parse import urlsplit

from config import Settings
from core.errors import AddressNotAllowed

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST = 4_096
"""Characters of an address; signed ones of object stores have about 2,000."""
PORTS = {"http": 80, "https": 443}
UNFIT = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
"""What no address holds, and parsers disagree about."""
NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.ASCII)
"""A last label that makes the whole host an IPv4 address, https://url.spec.whatwg.org/#ends-in-a-number-checker."""

# Not left to `ipaddress`, which differs between releases of Python.
# https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-special-registry
FORBIDDEN_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # between carriers and customers
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # the metadata of Azure
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
PUBLIC_V6 = IPv6Network("2000::/3")
"""All that is handed out; so loopback, private, link-local, site-local, multicast, NAT64 and IPv4-mapped
addresses are out."""
FORBIDDEN_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocols, among them Teredo and ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address
        "3fff::/20",  # documentation
    )
)
LOOPBACK: tuple[Address, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


@dataclass(frozen=True, slots=True)
class Target:
    """Where an address leads, as it is written."""

    scheme: str
    host: str
    """In lower case, without brackets."""
    port: int


@dataclass(frozen=True, slots=True)
class AddressRules:
    """What an operator allows beyond public addresses, and the ports that may be asked."""

    networks: Sequence[Network] = ()
    ports: Sequence[range] = (range(80, 81), range(443, 444))

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The rules that the settings name."""
        return cls(settings.outbound_networks, settings.outbound_ports)

    def check(self, url: str) -> Target:
        """Where this http(s) address leads, as far as its text tells. Raises AddressNotAllowed."""
        target = _target(url)
        if not any(target.port in ports for ports in self.ports):
            raise AddressNotAllowed(f"Port {target.port} is not allowed in addresses.")
        if not all(self.allows(address) for address in _written(target.host)):
            raise AddressNotAllowed("The address is not a public one.")
        return target

    def allows(self, address: Address) -> bool:
        """Whether connections to this address are allowed: it is public, or in an allowed network."""
        return self.lists(address) or _is_public(address)

    def lists(self, address: Address) -> bool:
        """Whether the operator named a network that this address is in."""
        return any(address in network for network in self.networks)


def _target(url: str) -> Target:
    if len(url) > LONGEST:
        raise AddressNotAllowed(f"An address may have at most {LONGEST:,} characters.")
    if UNFIT.search(url):
        raise AddressNotAllowed("An address holds no blanks, control characters or backslashes.")
    try:
        url.encode()  # an unpaired surrogate cannot even be stored
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        raise AddressNotAllowed("This is not an address that can be read.") from None
    if scheme not in PORTS:
        raise AddressNotAllowed("An address begins with http:// or https://.")
    if "@" in parts.netloc:
        raise AddressNotAllowed("An address may not hold a user name or password.")
    if not host:
        raise AddressNotAllowed("The address names no host.")
    return Target(scheme, host, PORTS[scheme] if port is None else port)


def _written(host: str) -> tuple[Address, ...]:
    """The addresses that a host says by itself, in whichever spelling; none for a name."""
    if ":" in host:
        return (_v6(host),)
    name = unicodedata.normalize("NFKC", host).replace("\u3002", ".").lower().rstrip(".")
    if not name or "%" in name:
        raise AddressNotAllowed("The address names no host.")
    last = name.rpartition(".")[2]
    if last == "localhost":
        return LOOPBACK
    return (_v4(name),) if NUMBER.fullmatch(last) else ()


def _v4(text: str) -> IPv4Address:
    """Of every spelling that the C library takes: octal, hexadecimal, whole, with parts left out."""
    try:
        return IPv4Address(socket.inet_aton(text))
    except OSError:
        raise AddressNotAllowed("The address ends in a number, but is none.") from None


def _v6(text: str) -> IPv6Address:
    try:
        address = IPv6Address(text)
    except ValueError:
        raise AddressNotAllowed("The address is no IPv6 address.") from None
    if address.scope_id is not None:
        raise AddressNotAllowed("An address may not name a network interface.")
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in FORBIDDEN_V4)
    if address.scope_id is not None or address not in PUBLIC_V6:
        return False
    return not any(address in network for network in FORBIDDEN_V6)
