# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who votes and who does not: one row for each validator, ours or not, and the sums of power. PRIVATE to the reading."""

from __future__ import annotations

import typing as t

from ..._path.evidence.values import stamp
from .. import power as _power
from .state import Situation, State
from .types import Node, ValidatorRow, Witness

# Of several hosts of ours with one address, the row shows the one that is most alive; a host that is down comes after
# one that cannot be seen, for the key may be running there.
_ALIVE = ("voting", "not_voting", "busy", "frozen")
_ORDER = (*_ALIVE, "unreachable", "unknown", "crashed", "stopped")

VOTING, ABSENT, UNKNOWN = "voting", "absent", "unknown"


def _theirs(address: str, known: Situation, outside: tuple[Witness, ...]) -> tuple[State, str]:
    """State of a validator that is not ours, and what its power counts as."""
    book = known.book
    vote, newest = book.present(address), book.newest(address)
    since = newest.at if newest is not None else None
    if known.fresh(address):
        return State("voting", since, f"voted at {stamp(since) or 'an unknown time'}"), VOTING
    if known.coming and book.commits:
        return State("not_voting", since, f"in none of the newest {len(book.commits)} blocks"), ABSENT
    if known.coming or book.height is None:
        return State("unknown", since, "nothing shows who votes"), UNKNOWN
    if known.decided:
        detail = f"block {book.height} is decided and nobody begins the next: nothing shows who would vote"
        return State("unknown" if since is None else "voted_at", since, detail), UNKNOWN
    if vote is not None:
        detail = f"voted at {stamp(vote.at) or 'an unknown time'}, nothing newer is known"
        return State("voted_at", vote.at, detail), UNKNOWN
    return _without_vote(address, since, known, outside)


def _without_vote(
    address: str, since: t.Optional[float], known: Situation, outside: tuple[Witness, ...]
) -> tuple[State, str]:
    """Not seen from inside: missing, or we are cut off. Only a node outside can tell."""
    holders = [witness.name for witness in outside if address in witness.votes_of]
    if holders:
        detail = f"its vote reached {holders[0]}, but none of our nodes: is the network split?"
        return State("unknown", since, detail), UNKNOWN
    lacking = [witness.name for witness in outside if address in witness.lacks]
    where = f"no vote at height {known.book.height}"
    if lacking:
        return State("not_voting", since, f"{where}, neither here nor at {lacking[0]}"), ABSENT
    detail = f"{where} in our views, not corroborated outside the inventory: we may be cut off"
    return State("unknown", since, detail), UNKNOWN


def counts_as(node: Node, known: Situation, elsewhere: bool) -> str:
    """What the power of our validator counts as: established absence, a vote now, or neither.

    ``elsewhere``: see ``_may_be_elsewhere``. Then votes that are missing here tell nothing.
    """
    if node.state in ("stopped", "crashed", "frozen"):
        return ABSENT
    if node.state == "voting":
        return VOTING
    if node.address is None or node.state not in ("unreachable", "unknown") or (node.state == "unknown" and node.ok):
        return UNKNOWN
    if known.fresh(node.address):
        return VOTING
    seen = bool(known.book.commits) if known.coming else known.book.height is not None and not known.decided
    missing = node.state == "unreachable" and seen and known.book.present(node.address) is None
    return ABSENT if missing and not elsewhere else UNKNOWN


def _may_be_elsewhere(holders: dict[str, list[Node]], known: Situation) -> bool:
    """Whether power that is neither on a host that answers nor seen voting at this height could make blocks alone.

    Then our hosts that answer may be the ones that are cut off.
    """
    here = sum(
        power
        for address, power in known.members.items()
        if any(node.ok for node in holders.get(address, [])) or known.book.present(address) is not None
    )
    total = sum(known.members.values())
    return not known.coming and total - here >= _power.quorum(total)


def speaks_for(hosts: list[Node], address: str) -> Node:
    """Which of several hosts with one address stands in the row."""
    alive = [node for node in hosts if node.state in _ALIVE and address in (node.rpc_address, node.key_address)]
    declared = [node for node in hosts if node.declared == address]
    return min(
        alive or declared or hosts,
        key=lambda node: (_ORDER.index(node.state) if node.state in _ORDER else 99, node.host),
    )


def rows(
    nodes: dict[str, Node], known: Situation, outside: tuple[Witness, ...]
) -> tuple[tuple[ValidatorRow, ...], dict[str, int]]:
    """The rows, greatest power first, and the sums of what their power counts as."""
    holders: dict[str, list[Node]] = {}
    for holder in nodes.values():
        for mine in {holder.declared, holder.key_address, holder.rpc_address} - {None}:
            holders.setdefault(t.cast(str, mine), []).append(holder)
    elsewhere = _may_be_elsewhere(holders, known)
    # Where no host is asked, what RPCs outside the inventory show of a validator of ours is all there is.
    only_outside = not any(node.observed for node in nodes.values())
    made = []
    sums = {VOTING: 0, ABSENT: 0, UNKNOWN: 0}
    for address, power in known.members.items():
        ours = holders.get(address, [])
        node = speaks_for(ours, address) if ours else None
        if node is not None and (node.observed or not only_outside):
            state, kind = State(node.state, node.since, node.detail), counts_as(node, known, elsewhere)
        else:
            state, kind = _theirs(address, known, outside)
        name = (_moniker(node) or node.host) if node is not None else address[:12]
        sums[kind] += power
        made.append(
            ValidatorRow(
                address,
                power,
                "ours" if ours else "theirs",
                tuple(sorted(entry.host for entry in ours)),
                node.host if node is not None else None,
                name,
                state.word,
                state.since,
                state.detail,
                known.book.newest(address),
                kind,
            )
        )
    return tuple(sorted(made, key=lambda row: (-row.power, row.address))), sums


def _moniker(node: Node) -> t.Optional[str]:
    for look in (node.data, node.before):
        if look is not None and (moniker := look.rpc.status.text("moniker")):
            return moniker
    return None
