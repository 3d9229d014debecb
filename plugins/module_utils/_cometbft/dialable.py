# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the addresses that a node outside the inventory names may be dialled. PRIVATE to the collection.

An RPC may name any address as its peer: that of a service on the controller, of the cloud's metadata, of a machine in
our network. Only public ones are dialled, by number and never by name, for a name may stand for any address.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import typing as t

Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

_LISTEN = re.compile(r"(?:tcp|http)://(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{0,253}):([0-9]{1,5})/?")
# What is routed on the Internet today (RFC 4291, IANA); everything else of IPv6 has a special use.
_PUBLIC_6 = ipaddress.ip_network("2000::/3")
# 6to4 and Teredo carry an IPv4 address of the sender's choice; the relays of 6to4 are anybody's.
_CARRIERS = ("2002::/16", "2001::/32", "192.88.99.0/24")
# Of special use, and global to some versions of Python or to all: protocol assignments, among them the metadata of
# Oracle's cloud; the agent of Azure's, which every machine there reaches; documentation.
_SPECIAL = ("192.0.0.0/24", "168.63.129.16/32", "3fff::/20")
_RESERVED = tuple(ipaddress.ip_network(text) for text in (*_CARRIERS, *_SPECIAL))
_ROUTED_6 = 64  # bits: what a network of one subscriber has at least, so that its hosts have addresses without end
_DISCARD = 9  # a port; nothing is sent there
# Below it are the well-known services (mail, ssh, ...): a question to one of them is a nuisance. Proxies use these two.
_LOWEST_PORT = 1024
_WEB_PORTS = (80, 443)


def refusal(address: Address) -> t.Optional[str]:
    """Why an address is not dialled, in one word of ``skipped_addresses``; None for a public one."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return refusal(address.ipv4_mapped)
    for word, holds in (
        ("unspecified", address.is_unspecified),
        ("loopback", address.is_loopback),
        ("link_local", address.is_link_local),
        ("multicast", address.is_multicast),
        # Before private, which counts them in.
        ("reserved", address.is_reserved or any(address in network for network in _RESERVED)),
        ("private", not address.is_global),
        ("reserved", address.version == 6 and address not in _PUBLIC_6),
    ):
        if holds:
            return word
    return "own" if is_own(address) else None


def is_own(address: Address) -> bool:
    """Whether an address is one of this machine's: what is sent to such a one goes out from that very one.

    A UDP socket that is connected has chosen the address it sends from, and has sent nothing.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((str(address), _DISCARD))
            return ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]) == address
    except (OSError, ValueError):
        # There is no way to it.
        return False


def neighbourhood(remote: str) -> str:
    """What one holder has for one address, however it is spelt: an IPv4 address, or a /64 of IPv6.

    remote: as ``rpc_of_peer`` takes it; a text that is no address stays as it is.
    """
    try:
        address = ipaddress.ip_address(remote)
    except ValueError:
        return remote
    plain = getattr(address, "ipv4_mapped", None) or address
    if plain.version == 4:
        return str(plain)
    return str(ipaddress.ip_network((int(plain), _ROUTED_6), strict=False))


def rpc_of_peer(remote: str, rpc_address: t.Optional[str]) -> tuple[t.Optional[str], str]:
    """Where the RPC of a peer may be: a URL and "", or None and the word that says why it is not dialled.

    remote: the address a node is connected to (``remote_ip`` of ``/net_info``); rpc_address: where the peer says that
    its RPC listens (``node_info.other.rpc_address``), of which only the port counts.
    """
    try:
        # Python takes a zone ("fe80::1%eth0") for a part of an address; it names an interface of ours.
        address = ipaddress.ip_address(remote if "%" not in remote else "")
    except ValueError:
        return None, "name"
    word = refusal(address)
    if word is not None:
        return None, word
    match = _LISTEN.fullmatch(rpc_address or "")
    if not match:
        return None, "no_rpc"
    host, port = match.group(1).strip("[]"), int(match.group(2))
    if host == "localhost" or _listens_inside(host):
        # The default of CometBFT: nobody outside can reach it.
        return None, "no_rpc"
    if not (_LOWEST_PORT <= port <= 65535 or port in _WEB_PORTS):
        return None, "port"
    plain = getattr(address, "ipv4_mapped", None) or address
    return f"http://[{plain}]:{port}" if plain.version == 6 else f"http://{plain}:{port}", ""


def _listens_inside(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
