# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that a node lacks, and when it dials them by itself.

A node that lost a persistent peer dials it 20 times every 5 to 8 s, and then after pauses of 3^i s, i = 1..10, each up to
3 s longer (CometBFT p2p/switch.go, ``reconnectToPeer``). Then it gives up. A node that is started dials at once.
"""

from __future__ import annotations

import typing as t

from .._path.evidence.values import stamp
from .._path.text import clean
from .node import Mark, NodeEvidence, Part
from .reading.types import Node, Reading
from .signer import is_remote

BACKOFF = "peers_backoff"
GIVEN_UP = "peers_given_up"

_BASE_S = 3
_TRIES = 10
_RANDOM_S = 3
# A dial that nobody answers takes this long (config.toml, dial_timeout) before the next pause begins.
_DIAL_S = 3


def backing_off(data: NodeEvidence) -> t.Optional[Mark]:
    """What its present run wrote last when it began to wait between dials, or gave up; None where it did neither.

    Only what it wrote after its newest block: a node that has had blocks since was connected, and dials every few seconds.
    """
    return max(_since(data, data.rpc.status.time("block_time")), key=lambda mark: mark.last_at or 0.0, default=None)


def was_backing_off(reading: Reading, data: NodeEvidence) -> bool:
    """Whether the last run of a node that is down waited between dials since the newest block, or had given up."""
    return bool(_since(data, reading.last_block_at))


def _since(data: NodeEvidence, block: t.Optional[float]) -> list[Mark]:
    """What a run wrote of its back-off after a block and before the look; nothing where one of the times is not known."""
    now = data.now
    return [
        mark
        for mark in data.marks
        if mark.current and mark.kind in (BACKOFF, GIVEN_UP)
        if None not in (block, mark.last_at, now)
        if t.cast(float, block) < t.cast(float, mark.last_at) <= t.cast(float, now)
    ]


def missing_peers(data: NodeEvidence) -> list[Part]:
    """Its persistent peers that it is not connected to."""
    return [peer for peer in data.p2p.mappings("expected") if peer.flag("connected") is False]


def signs_nothing(reading: Reading, node: Node) -> bool:
    """Whether it is known to be no validator: the set is known and its address is not in it, or it has no key."""
    data = node.data
    if data is None or node.in_set or reading.total <= 0 or is_remote(data) is not False:
        return False
    return node.address is not None or data.signer.flag("key_file") is False


def peerless(node: Node) -> bool:
    """Whether its RPC shows no peer."""
    shown = node.data.rpc.net_info if node.data is not None else None
    return shown is not None and shown.integer("count") == 0 and not shown.items("peers")


def unheard(reading: Reading, node: Node) -> bool:
    """Whether nobody hears what it votes: it shows no peer, and no other node shows it as one."""
    data = node.data
    own = data.rpc.status.text("node_id") if data is not None else None
    if data is None or own is None or not peerless(node):
        return False
    if any(peer.flag("connected") is not False for peer in data.p2p.mappings("expected")):
        return False
    others = (view.rpc.net_info for view in reading.views if view.name != node.host)
    return not any(is_peer(peer, own) for shown in others for peer in shown.mappings("peers"))


def is_peer(peer: Part, node_id: str) -> bool:
    return (peer.text("node_id") or "").lower() == node_id.lower()


def next_dial(began: float, now: float) -> t.Optional[tuple[float, float]]:
    """The next dial of a node whose back-off began then: the earliest and the latest time; None: it has given up.

    All are seconds since the epoch.
    """
    earliest = latest = began
    for attempt in range(1, _TRIES + 1):
        pause = _BASE_S**attempt
        earliest, latest = earliest + pause, latest + pause + _RANDOM_S
        if latest >= now:
            return max(earliest, now), latest
        latest += _DIAL_S
    return None


def due(data: NodeEvidence) -> t.Optional[tuple[float, float]]:
    """The next dial of this node by its journal; None where it has given up, or its journal tells of no back-off."""
    mark, now = backing_off(data), data.now
    if mark is None or mark.kind == GIVEN_UP or mark.last_at is None or now is None:
        return None
    return next_dial(mark.last_at, now)


def dial_words(data: NodeEvidence) -> str:
    """When it dials next, in words; empty where its journal tells of no back-off."""
    dial = due(data)
    if backing_off(data) is None:
        return ""
    if dial is None:
        return "it has given up dialling"
    return f"it dials next between {stamp(dial[0])} and {stamp(dial[1])}"


def reachable_peers(node: Node) -> list[str]:
    """Persistent peers that it is not connected to, and whose port a plain connection from its host reached."""
    data = node.data
    return [place(peer) for peer in missing_peers(data) if peer.text("dial") == "open"] if data is not None else []


def place(peer: Part) -> str:
    return clean(peer.text("address"), 50) or "?"


def dials_to(reading: Reading, node: Node) -> list[tuple[str, t.Optional[str]]]:
    """Other hosts of ours that name this node as a persistent peer and lack it, with what a plain connection to it came to."""
    own = node.data.rpc.status.text("node_id") if node.data is not None else None
    return [
        (other.host, peer.text("dial"))
        for other in reading.nodes.values()
        if other.host != node.host and other.data is not None and own is not None
        for peer in missing_peers(other.data)
        if is_peer(peer, own)
    ]
