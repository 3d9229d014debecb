# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The peers a node is told to keep, and whether a connection to those it lacks can be made. PRIVATE to the collection."""

from __future__ import annotations

import errno
import ipaddress
import re
import selectors
import socket
import time
import typing as t

from .._host.parts import PartError, clean

PEERS = 20
DIAL_S = 1.0
# Left after the dials, to hand over what they gave.
_MARGIN_S = 0.2

_PEER = re.compile(r"([0-9a-fA-F]{40})@(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):([0-9]{1,5})")
_WORDS = {
    0: "open",
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "refused",
    errno.ETIMEDOUT: "timeout",
    # The last two: a route or a rule of this host forbids it.
    **dict.fromkeys(
        (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EACCES, errno.EPERM),
        "unreachable",
    ),
}
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK)


class Peer(t.NamedTuple):
    """An entry of ``persistent_peers``. ``ip`` is None where a name stands, or what is no address of one host."""

    node_id: str
    address: str
    ip: str | None
    port: int


def read(
    laddr: str | None, peers: dict[str, t.Any], rpc: dict[str, dict[str, t.Any]], runs: bool | None, until: float
) -> dict[str, t.Any]:
    """The contract's ``p2p`` data.

    ``peers`` is the setting ``persistent_peers`` in full, ``rpc`` what the node's RPC gave, ``runs`` whether a process
    of the node does (None: cannot tell), ``until`` a reading of ``time.monotonic()``. Dials only addresses of the
    setting whose node the RPC does not list, and only where a whole second is left for it. Raises PartError
    ``cannot_tell``.
    """
    if peers["value"] is None:
        raise PartError("cannot_tell", f"p2p: the persistent peers cannot be read: {peers['why']}")
    wanted = parse(peers["value"])
    if rpc["status"]["ok"]:
        # A list that is the same on every host names the host itself, too; the node passes that entry over.
        own = rpc["status"]["data"]["node_id"].lower()
        wanted = [peer for peer in wanted if peer.node_id != own]
    wanted = wanted[:PEERS]
    seen: set[str] | None = None
    if rpc["net_info"]["ok"]:
        seen = {peer["node_id"].lower() for peer in rpc["net_info"]["data"]["peers"]}
    missing = [] if seen is None or runs is False else [peer for peer in wanted if peer.node_id not in seen]
    dialled = dial([(peer.ip, peer.port) for peer in missing if peer.ip is not None], until)
    return {
        "laddr": laddr,
        "expected": [
            {
                "node_id": peer.node_id,
                "address": peer.address,
                "connected": None if seen is None else peer.node_id in seen,
                # A connected peer may share its address with one that is missing.
                "dial": dialled.get((peer.ip or "", peer.port)) if peer in missing else None,
            }
            for peer in wanted
        ],
    }


def parse(text: str) -> list[Peer]:
    """The entries ``id@host:port`` of a list with commas, each once. What is of another form is left out."""
    peers: dict[Peer, None] = {}
    for word in text.split(","):
        match = _PEER.fullmatch(word.strip(" "))
        if match is None or not 0 < int(match.group(3)) < 65536:
            continue
        host, port = match.group(2), int(match.group(3))
        peers[Peer(match.group(1).lower(), clean(f"{host}:{port}"), _literal(host), port)] = None
    return list(peers)


def _literal(host: str) -> str | None:
    """An IP address in its usual form. Names are not asked for: who answers would choose where to connect to."""
    try:
        ip = ipaddress.IPv6Address(host[1:-1]) if host.startswith("[") else ipaddress.IPv4Address(host)
    except ValueError:
        return None
    broadcast = ipaddress.IPv4Address("255.255.255.255")
    return None if ip.is_unspecified or ip.is_multicast or ip == broadcast else str(ip)


def dial(targets: t.Iterable[tuple[str, int]], until: float) -> dict[tuple[str, int], str]:
    """Connect to all at once over TCP, and hang up. What could not be tried is left out."""
    end = time.monotonic() + DIAL_S
    if end + _MARGIN_S > until:
        return {}
    answers: dict[tuple[str, int], str] = {}
    with selectors.DefaultSelector() as selector:
        for target in dict.fromkeys(targets):
            connection = _start(target, answers)
            if connection is not None:
                selector.register(connection, selectors.EVENT_WRITE, target)
        while selector.get_map() and time.monotonic() < end:
            for key, _events in selector.select(max(end - time.monotonic(), 0)):
                connection = t.cast(socket.socket, key.fileobj)
                selector.unregister(connection)
                _note(key.data, connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), answers)
                connection.close()
        for key in list(selector.get_map().values()):
            answers[key.data] = "timeout"
            t.cast(socket.socket, key.fileobj).close()
    return answers


def _start(target: tuple[str, int], answers: dict[tuple[str, int], str]) -> socket.socket | None:
    """A connection that is under way; None where the answer came at once."""
    try:
        connection = socket.socket(socket.AF_INET6 if ":" in target[0] else socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return None
    connection.setblocking(False)
    code = connection.connect_ex(target)
    if code in _UNDER_WAY:
        return connection
    connection.close()
    _note(target, code, answers)
    return None


def _note(target: tuple[str, int], code: int, answers: dict[tuple[str, int], str]) -> None:
    word = _WORDS.get(code)
    if word is not None:
        answers[target] = word
