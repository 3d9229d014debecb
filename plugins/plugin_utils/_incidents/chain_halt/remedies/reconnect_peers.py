# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that waits between two dials although the network is open again: one that is started dials at once.

A full node is stopped for that unless it may be the only peer of a validator of ours; what may be a validator only where
no other node receives its votes, and while no other one is down.
"""

from __future__ import annotations

import typing as t

from ...._chain import peers
from ...._chain.guards.case import Case
from ...._chain.reading.blocks import VOTE_TIME_TOLERANCE_S
from ...._chain.reading.reading import standing
from ...._chain.reading.types import DOWN
from ...._chain.stated import is_dead
from ...._path.plan.guard import Guard, clear, refused
from .remedy import Remedy, Texts, unit, what
from .stop import halted

MISSING_PEERS = "missing_peers"

# Sooner than this it dials by itself before a restart would have helped.
SOON_S = 60.0


def _signs_nothing(case: Case) -> bool:
    return peers.signs_nothing(case.reading, case.node)


def _waits(case: Case) -> bool:
    """Whether a node that runs lacks persistent peers and waits longer and longer before it dials them."""
    node = case.node
    runs = node.state in ("voting", "not_voting", "running") and not is_dead(node)
    lacks = runs and bool(peers.missing_peers(case.data)) and peers.backing_off(case.data) is not None
    return lacks and standing(case.reading) is True


def network(case: Case) -> Guard:
    """Open both ways: a plain connection from here reaches a peer that is missing, and others reach this host."""
    name, reachable = "network", peers.reachable_peers(case.node)
    if not reachable:
        tried = sorted(
            {f"{peers.place(peer)}: {peer.text('dial') or 'not tried'}" for peer in peers.missing_peers(case.data)}
        )
        return refused(
            name,
            f"No plain connection from {case.host} reaches a persistent peer that it lacks ({', '.join(tried[:3])}). A "
            "restart repairs no network.",
        )
    towards = peers.dials_to(case.reading, case.node)
    closed = [f"{host}: {word or 'not tried'}" for host, word in towards if word != "open"]
    if closed:
        return refused(
            name,
            f"{case.host} is not reached from {', '.join(closed[:3])}: its network is open one way only. First open port "
            "26656 towards it.",
        )
    if not towards:
        return refused(
            name,
            f"No other host of ours names {case.host} as a persistent peer and lacks it, so it is not proven that its "
            f"network is open both ways: {peers.dial_words(case.data)}.",
        )
    return clear(name, f"{case.host} reaches {reachable[0]}, and {towards[0][0]} reaches {case.host}.")


def next_dial(case: Case) -> Guard:
    """It would wait longer than a restart takes."""
    name, dial, now = "next_dial", peers.due(case.data), case.data.now
    if peers.backing_off(case.data) is None:
        return refused(
            name, f"The journal of {case.host} shows no back-off: it dials every few seconds. Wait for that."
        )
    if dial is not None and now is not None and dial[0] - now < SOON_S:
        return refused(
            name, f"Soon {case.host} dials by itself: {peers.dial_words(case.data)}. Wait for that, and run again."
        )
    return clear(name, f"{case.host} would wait: {peers.dial_words(case.data)}.")


def sole_peer(case: Case) -> Guard:
    """A node that signs nothing may be the only peer of a validator."""
    name, own = "sole_peer", case.data.rpc.status.text("node_id") or ""
    for other in case.reading.nodes.values():
        shown = other.data.rpc.net_info if other.data is not None and other.in_set and other.host != case.host else None
        if shown is None or not shown.ok:
            continue
        listed = shown.mappings("peers")
        one = shown.integer("count") == 1 or len(listed) == 1
        if one and (not listed or any(peers.is_peer(peer, own) for peer in listed)):
            return refused(name, f"{case.host} may be the only peer of {other.host}, which would lose it.")
    return clear(name, "It is not the only peer of a validator of ours.")


def isolated(case: Case) -> Guard:
    """No other node receives its votes, in two looks."""
    name = "isolated"
    before = case.node.before.rpc.net_info if case.node.before is not None else None
    if before is not None and before.integer("count") == 0 and peers.unheard(case.reading, case.node):
        return clear(name, "It has no peer in two looks, and nobody shows it as one: no other node receives its votes.")
    return refused(
        name,
        f"{case.host} may be a validator, and two looks do not show that its votes reach no other node: a node that "
        "votes is never stopped.",
    )


def votes_elsewhere(case: Case) -> Guard:
    """Its votes since it lost its peers are known to itself alone."""
    name, mark = "votes_elsewhere", peers.backing_off(case.data)
    since = mark.last_at if mark is not None else None
    late = since is None or any(vote.at is not None and vote.at > since + VOTE_TIME_TOLERANCE_S for vote in case.votes)
    if late or case.node.address is None:
        return refused(
            name,
            f"A vote of {case.host} that is later than its last peer is seen or cannot be excluded: another machine may sign "
            "with its key.",
        )
    return clear(name, "No vote of it is later than its last peer.")


def own_log(case: Case) -> Guard:
    """The write-ahead log holds the votes of the present height: it ends with the newest block and was written to since."""
    name, wal, status = "wal", case.data.wal, case.data.rpc.status
    written, block = wal.time("newest_at"), status.time("block_time")
    ends, stored = wal.integer("last_end_height"), status.integer("height")
    whole = wal.ok and wal.flag("present") is True and ends is not None and ends == stored
    if whole and written is not None and block is not None and written >= block:
        return clear(name, f"Its write-ahead log ends with {ends}, its newest block, and was written to since.")
    return refused(
        name,
        f"It is not shown that the write-ahead log of {case.host} holds its votes of this height (it ends with {ends}, the "
        f"newest block is {stored}). A start without them forgets what the node is locked on.",
    )


def held_by(down: t.Sequence[str]) -> str:
    """Why no other validator is stopped, in words."""
    return f"{', '.join(down[:3])} is down or cannot be seen: no other validator is stopped before it is back."


def down_beside(case: Case) -> list[str]:
    """Other validators of ours that are down, or may be: while one is, none is stopped. Unreachable counts as lost."""
    if _signs_nothing(case):
        return []
    return sorted(
        other.host
        for other in case.reading.nodes.values()
        if other.host != case.host
        and (other.in_set or (other.declared is not None and case.reading.total <= 0))
        and (other.state in (*DOWN, "frozen", "busy", "unreachable", "unknown") or is_dead(other))
    )


def _texts(case: Case) -> Texts:
    return Texts(
        f"{case.host} is {what(case)} and lacks peers that its host reaches ({', '.join(peers.reachable_peers(case.node)[:3])}): "
        f"{peers.dial_words(case.data)}. A node that is started dials at once.",
        f"systemctl start {unit(case)} on {case.host}.",
        "No other node receives its votes, so no power is lost, and its own log gives it its votes back at the start. It is "
        "passed over if it has a peer by then."
        if case.row is not None
        else "Its RPC is silent for some seconds, and its peers lose it for that time.",
    )


def _remedy(blocks: t.Callable[[Case], bool], *guards: t.Callable[[Case], Guard]) -> Remedy:
    return Remedy(
        blocker=MISSING_PEERS,
        blocks=blocks,
        removed=lambda case, planned: False,
        starts="and dials its peers at once",
        stop_guards=(halted, network, next_dial, *guards),
        stop_texts=_texts,
        stop_parameters={"reconnect": True},
    )


FULL_NODE = _remedy(lambda case: _signs_nothing(case) and _waits(case), sole_peer)
# What may be a validator and has a peer votes for others: that vote is not taken away.
VALIDATOR = _remedy(
    lambda case: not _signs_nothing(case) and peers.peerless(case.node) and _waits(case),
    isolated,
    votes_elsewhere,
    own_log,
)
