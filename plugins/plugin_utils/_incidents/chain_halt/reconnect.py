# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that wait between two dials although the network is open again: when they dial by themselves. PRIVATE.

A node that lost a persistent peer dials it 20 times every 5 to 8 s, and then after pauses of 3^i s, i = 1..10, each up to
3 s longer (CometBFT p2p/switch.go, ``reconnectToPeer``). Then it gives up. A node that is started dials at once.
"""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards.signer import (
    Guard,
    clear,
    consensus_failed,
    is_remote,
    refused,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.node import Mark, NodeEvidence, Part
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.blocks import VOTE_TIME_TOLERANCE_S
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import DOWN, Node, Reading
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.text import clean

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
    """What its present run wrote last when it began to wait between dials, or gave up; None where it did neither.

    Only what it wrote after its newest block: a node that has had blocks since was connected, and dials every few seconds.
    """
    return max(_since(data, data.rpc.status.time("block_time")), key=lambda mark: mark.last_at or 0.0, default=None)


def waited(reading: Reading, data: NodeEvidence) -> bool:
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


def away(data: NodeEvidence) -> list[Part]:
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
    return not any(_is(peer, own) for shown in others for peer in shown.mappings("peers"))


def _is(peer: Part, node_id: str) -> bool:
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
    mark, now = waits(data), data.now
    if mark is None or mark.kind == GIVEN_UP or mark.last_at is None or now is None:
        return None
    return next_dial(mark.last_at, now)


def said(data: NodeEvidence) -> str:
    """When it dials next, in words; empty where its journal tells of no back-off."""
    dial = due(data)
    if waits(data) is None:
        return ""
    if dial is None:
        return "it has given up dialling"
    return f"it dials next between {bundle.stamp(dial[0])} and {bundle.stamp(dial[1])}"


def open_from(node: Node) -> list[str]:
    """Persistent peers that it is not connected to, and whose port a plain connection from its host reached."""
    data = node.data
    return [_place(peer) for peer in away(data) if peer.text("dial") == "open"] if data is not None else []


def _place(peer: Part) -> str:
    return clean(peer.text("address"), 50) or "?"


def dials_to(reading: Reading, node: Node) -> list[tuple[str, t.Optional[str]]]:
    """Other hosts of ours that are told to keep this node and lack it, with what a plain connection to it came to."""
    own = node.data.rpc.status.text("node_id") if node.data is not None else None
    return [
        (other.host, peer.text("dial"))
        for other in reading.nodes.values()
        if other.host != node.host and other.data is not None and own is not None
        for peer in away(other.data)
        if _is(peer, own)
    ]


def guards(reading: Reading, node: Node, data: NodeEvidence) -> tuple[Guard, ...]:
    """All guards of a restart for new dials, beside those of the start. None is ever open."""
    shared = (_network(reading, node, data), _waiting(node, data))
    if signs_nothing(reading, node):
        return (*shared, _link(reading, node))
    return (*shared, _alone(reading, node), _votes(reading, node, data), _log(node, data))


def _network(reading: Reading, node: Node, data: NodeEvidence) -> Guard:
    """Open both ways: a plain connection from here reaches a peer that is away, and others reach this host."""
    name = "network"
    if not open_from(node):
        tried = sorted({f"{_place(peer)}: {peer.text('dial') or 'not tried'}" for peer in away(data)})
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
            f"ways is not proven: {said(data)}.",
        )
    return clear(name, f"{node.host} reaches {open_from(node)[0]}, and {towards[0][0]} reaches {node.host}.")


def _waiting(node: Node, data: NodeEvidence) -> Guard:
    name = "next_dial"
    dial = due(data)
    if waits(data) is None:
        return refused(
            name, f"The journal of {node.host} shows no back-off: it dials every few seconds. Wait for that."
        )
    if dial is not None and data.now is not None and dial[0] - data.now < SOON_S:
        return refused(name, f"Soon {node.host} dials by itself: {said(data)}. Wait for that, and run again.")
    return clear(name, f"{node.host} would wait: {said(data)}.")


def _link(reading: Reading, node: Node) -> Guard:
    """A node that signs nothing may be all that joins a validator to the others."""
    name = "link"
    own = (node.data.rpc.status.text("node_id") if node.data is not None else None) or ""
    for other in reading.nodes.values():
        shown = other.data.rpc.net_info if other.data is not None and other.in_set and other.host != node.host else None
        if shown is None or not shown.ok:
            continue
        peers = shown.mappings("peers")
        one = shown.integer("count") == 1 or len(peers) == 1
        if one and (not peers or any(_is(peer, own) for peer in peers)):
            return refused(name, f"{node.host} may be the only peer of {other.host}, which would lose it.")
    return clear(name, "No validator of ours hangs on it alone.")


def _alone(reading: Reading, node: Node) -> Guard:
    name = "alone"
    before = node.before.rpc.net_info if node.before is not None else None
    if before is not None and before.integer("count") == 0 and unheard(reading, node):
        return clear(name, "It has no peer in two looks, and nobody shows it as one: nobody hears what it votes.")
    return refused(
        name,
        f"That nobody hears {node.host} is not seen in two looks, or it is not known to be no validator: a node that votes is "
        "never stopped.",
    )


def _votes(reading: Reading, node: Node, data: NodeEvidence) -> Guard:
    """Its votes since it lost its peers are known to itself alone."""
    name, mark = "votes_elsewhere", waits(data)
    since = mark.last_at if mark is not None else None
    seen = (*reading.votes.get(node.address or "", ()), *reading.heard.get(node.address or "", ()))
    late = since is None or any(vote.at is not None and vote.at > since + VOTE_TIME_TOLERANCE_S for vote in seen)
    if late or node.address is None:
        return refused(
            name,
            f"A vote of {node.host} is seen that is later than its last peer, or that there is none cannot be told: another "
            "machine may sign with its key.",
        )
    return clear(name, "No vote of it is later than its last peer.")


def _log(node: Node, data: NodeEvidence) -> Guard:
    """The write-ahead log holds the votes of the present height: it ends with the newest block and was written to since."""
    name = "wal"
    written, block = data.wal.time("newest_at"), data.rpc.status.time("block_time")
    ends, stored = data.wal.integer("last_end_height"), data.rpc.status.integer("height")
    whole = data.wal.ok and data.wal.flag("present") is True and ends is not None and ends == stored
    if whole and written is not None and block is not None and written >= block:
        return clear(name, f"Its write-ahead log ends with {ends}, its newest block, and was written to since.")
    return refused(
        name,
        f"That the write-ahead log of {node.host} holds its votes of this height is not seen (it ends with {ends}, the newest "
        f"block is {stored}). A start without them forgets what the node is locked on.",
    )


def held_by(down: list[str]) -> str:
    """Why no other validator is stopped, in words."""
    return f"{', '.join(down[:3])} is down or cannot be seen: no other validator is stopped before it is back."


def down_beside(reading: Reading, node: Node) -> list[str]:
    """Other validators of ours that are down, or may be: while one is, no other is stopped. Unreachable is lost."""
    return sorted(
        other.host
        for other in reading.nodes.values()
        if other.host != node.host
        and (other.in_set or (other.declared is not None and reading.total <= 0))
        and (
            other.state in (*DOWN, "frozen", "busy", "unreachable", "unknown")
            or (other.data is not None and other.state == "not_voting" and consensus_failed(other.data))
        )
    )
