# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that wait between two dials although the network is open again: when they dial by themselves. PRIVATE.

A node that lost a persistent peer dials it 20 times every 5 to 8 s, and then after pauses of 3^i s, i = 1..10, each up to
3 s longer (CometBFT p2p/switch.go, ``reconnectToPeer``). Then it gives up. A node that is started dials at once.
"""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils import _bundle
from ansible_collections.virtengine.incident.plugins.plugin_utils._evidence import Mark, NodeEvidence, Part
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_guards_signer import Guard, clear, refused
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_reading_types import Node, Reading

BACKOFF = "peers_backoff"
GIVEN_UP = "peers_given_up"

_BASE_S = 3
_TRIES = 10
_RANDOM_S = 3
# Sooner than this it dials by itself before a restart would have helped.
SOON_S = 60.0

# A dial that nobody answers takes this long (config.toml, dial_timeout) before the next pause begins.
_DIAL_S = 3


def waits(data: NodeEvidence) -> t.Optional[Mark]:
    """What its present run wrote when it began to wait between dials, or gave up; None where it did neither."""
    found = [mark for mark in data.marks if mark.current and mark.kind in (BACKOFF, GIVEN_UP)]
    return max(found, key=lambda mark: mark.last_at or 0.0, default=None)


def away(data: NodeEvidence) -> list[Part]:
    """Its persistent peers that it is not connected to."""
    return [peer for peer in data.p2p.mappings("expected") if peer.flag("connected") is False]


def peerless(node: Node) -> bool:
    """Whether it has no peer at all: nobody hears what it votes."""
    return node.data is not None and node.data.rpc.net_info.integer("count") == 0


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
    """The next dial of this node by its journal; None where it has given up, or nothing tells."""
    mark, now = waits(data), data.now
    if mark is None or mark.kind == GIVEN_UP or mark.last_at is None or now is None:
        return None
    return next_dial(mark.last_at, now)


def said(data: NodeEvidence) -> str:
    """When it dials next, in words; empty where its journal tells of no back-off."""
    mark, dial = waits(data), due(data)
    if mark is None:
        return ""
    if dial is None:
        return "it has given up dialling" if mark.kind == GIVEN_UP else "when it dials next cannot be told"
    return f"it dials next between {_bundle.stamp(dial[0])} and {_bundle.stamp(dial[1])}"


def open_from(node: Node) -> list[str]:
    """Persistent peers that it is not connected to, and whose port a plain connection from its host reached."""
    data = node.data
    return [peer.text("address") or "?" for peer in away(data) if peer.text("dial") == "open"] if data else []


def dials_to(reading: Reading, node: Node) -> list[tuple[str, t.Optional[str]]]:
    """Other hosts of ours that are told to keep this node and lack it, with what a plain connection to it came to."""
    own = node.data.rpc.status.text("node_id") if node.data is not None else None
    found = []
    for other in reading.nodes.values():
        if other.host == node.host or other.data is None or own is None:
            continue
        found += [
            (other.host, peer.text("dial"))
            for peer in away(other.data)
            if (peer.text("node_id") or "").lower() == own.lower()
        ]
    return found


def guards(reading: Reading, node: Node, data: NodeEvidence) -> tuple[Guard, ...]:
    """All guards of a restart for new dials, beside those of the start. None is ever open."""
    return (_network(reading, node, data), _waiting(node, data), _alone(node), _log(node, data))


def _network(reading: Reading, node: Node, data: NodeEvidence) -> Guard:
    """Open both ways: a plain connection from here reaches a peer that is away, and others reach this host."""
    name = "network"
    if not open_from(node):
        tried = sorted({f"{peer.text('address') or '?'}: {peer.text('dial') or 'not tried'}" for peer in away(data)})
        return refused(
            name,
            f"No plain connection from {node.host} reaches a persistent peer that it lacks ({', '.join(tried[:3])}). A "
            "restart makes no network.",
        )
    towards = dials_to(reading, node)
    closed = [f"{host}: {word or 'not tried'}" for host, word in towards if word != "open"]
    if closed:
        return refused(
            name,
            f"{node.host} is not reached from {', '.join(closed[:3])}: its network is open one way only. First open port "
            "26656 towards it.",
        )
    if not towards:
        return refused(
            name,
            f"No other host of ours is told to keep {node.host} as its peer and lacks it, so that its network is open both "
            f"ways is not proven. Wait: {said(data)}.",
        )
    return clear(name, f"{node.host} reaches {open_from(node)[0]}, and {towards[0][0]} reaches {node.host}.")


def _waiting(node: Node, data: NodeEvidence) -> Guard:
    name = "next_dial"
    mark, dial = waits(data), due(data)
    if mark is None:
        return refused(
            name, f"The journal of {node.host} shows no back-off: it dials every few seconds. Wait for that."
        )
    if dial is not None and data.now is not None and dial[0] - data.now < SOON_S:
        return refused(name, f"{node.host} dials by itself soon: {said(data)}. Wait for that, and run again.")
    return clear(name, f"{node.host} would wait: {said(data)}.")


def _alone(node: Node) -> Guard:
    name = "alone"
    if not node.in_set:
        return clear(name, "It is no validator of the set: it signs nothing.")
    before = node.before
    if peerless(node) and before is not None and before.rpc.net_info.integer("count") == 0:
        return clear(name, "It has no peer in two looks: nobody hears what it votes.")
    return refused(
        name,
        f"{node.host} has a peer, or it is not seen in two looks that it has none: a node that votes is never stopped.",
    )


def _log(node: Node, data: NodeEvidence) -> Guard:
    name = "wal"
    if not node.in_set or (data.wal.ok and data.wal.flag("present") is True):
        return clear(name, "Its write-ahead log is in its place.")
    return refused(
        name, f"The write-ahead log of {node.host} is not seen. A start without it forgets what the node is locked on."
    )
