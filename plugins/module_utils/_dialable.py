# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the addresses that a stranger names may be dialled. PRIVATE to the collection.

An RPC may name any address as its peer: that of a service on the controller, of the cloud's metadata, of a machine in
our network. Only public ones are dialled, by number and never by name, for a name may stand for any address.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

_LISTEN = re.compile(r"(?:tcp|http)://(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{0,253}):([0-9]{1,5})/?")
# What is routed on the Internet today (RFC 4291, IANA); everything else of IPv6 has a special use.
_PUBLIC_6 = ipaddress.ip_network("2000::/3")
# 6to4 and Teredo carry an IPv4 address of the sender's choice; the relays of 6to4 are anybody's.
_CARRIERS = tuple(ipaddress.ip_network(text) for text in ("2002::/16", "2001::/32", "192.88.99.0/24"))
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
        ("reserved", address.is_reserved or any(address in network for network in _CARRIERS)),
        ("private", not address.is_global),
        ("reserved", address.version == 6 and address not in _PUBLIC_6),
    ):
        if holds:
            return word
    return None


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
    found = _LISTEN.fullmatch(rpc_address or "")
    if not found:
        return None, "no_rpc"
    host, port = found.group(1).strip("[]"), int(found.group(2))
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
