"""Which addresses a URL from a request may reach.

Only globally reachable unicast addresses are open to everyone; an IPv6 address that carries an IPv4 one (mapped,
NAT64, 6to4, Teredo) is judged by both. Sources: the IANA special-purpose address registries, RFC 6052, RFC 8215.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

GLOBAL_UNICAST = ip_network("2000::/3")
NAT64 = ip_network("64:ff9b::/96")
NAT64_LOCAL = ip_network("64:ff9b:1::/48")

# Where clouds hand out a machine's credentials: open only to a network of this one address.
CREDENTIALS = frozenset(ip_address(text) for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200"))

# What a server that only its own machine can reach opens to receivers.
LOOPBACK_NETWORKS: tuple[IpNetwork, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

# What `allow_private_urls` opens: no link-local addresses.
PRIVATE_NETWORKS: tuple[IpNetwork, ...] = tuple(
    ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7")
)


def refusal(text: str, allow: tuple[IpNetwork, ...] = ()) -> str | None:
    """Why a connection to this address (as getaddrinfo gives it) is refused, in a word or two; None: it is open."""
    try:
        address = ip_address(text)
    except ValueError:
        return "not an address"
    if address in NAT64_LOCAL:
        return "a local translation address"
    for one in (address, *carried(address)):
        word = _closed(one)
        if word is not None and not any(_holds(network, one) for network in allow):
            return word
    return None


def remedy(texts: Iterable[str]) -> str:
    """How an operator opens the way to these addresses."""
    addresses = {carried(one)[0] if carried(one) else one for one in map(ip_address, texts)}
    named = " ".join(f"--allow-receiver {one}/{one.max_prefixlen}" for one in sorted(addresses, key=str))
    return f"Start the server with {named} if its requests and notifications may go there."


def carried(address: IpAddress) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses inside an IPv6 one."""
    if isinstance(address, IPv4Address):
        return ()
    if address in NAT64:
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)
    found = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
    return tuple(one for one in found if one is not None)


def _closed(address: IpAddress) -> str | None:
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address in NAT64):
        return None  # the IPv4 address inside decides
    words = {
        "unspecified": address.is_unspecified,
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "reserved": address.is_reserved,
        "private": address.is_private,
        "not public": not address.is_global or (address.version == 6 and address not in GLOBAL_UNICAST),
    }
    return next((word for word, applies in words.items() if applies), None)


def _holds(network: IpNetwork, address: IpAddress) -> bool:
    if address.version != network.version or address not in network:
        return False
    return address not in CREDENTIALS or network.num_addresses == 1
