# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bundle says about a halt, put in order: the one reading that verdict, plan, guards and recovery share."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ..._path.evidence.bundle import Bundle
from ..._path.text import clean
from .. import power as _power
from ..node import NodeEvidence, Problem
from ..variables import ADDRESS
from .blocks import Chain, Looks, Source, believable, gather, read_chain, set_aside, sources
from .rows import ABSENT, UNKNOWN, VOTING, rows
from .state import LAG_BLOCKS, Situation, State, alive_state, down_or_held, runs, unreachable_state
from .trust import SUPPORT, corroborated_age, trusted
from .types import Node, Reading, View, Witness
from .votes import VoteBook, agreed_set, outside_peers, read_votes, references

# Kinds of the problem of a host that only declares an address (it is neither seen nor sought), and of one of which the
# bundle holds nothing: neither says that it cannot be reached.
NOT_ASKED = "not_asked"
NOTHING_HEARD = "absent"


@dataclass
class _Sight:
    """Everything that is seen before the hosts are judged one by one."""

    bundle: Bundle
    looks: Looks
    aside: dict[str, str]
    by_look: list[list[Source]]
    known: Situation
    notes: list[str]
    rpc_only: bool


def read(bundle: Bundle) -> Reading:
    """Read a bundle that ``bundle.check`` accepted (or that ``bundle.new`` and ``add`` made). Never raises on one.

    Of the looks the newest two are read. The order of the observations does not matter.
    """
    sight = _sight(bundle)
    nodes = {host: _node(host, entry, sight) for host, entry in sorted(bundle["inventory"].items())}
    return _reading(sight, nodes)


def _sight(bundle: Bundle) -> _Sight:
    notes: list[str] = []
    looks = gather(bundle)
    unseen = [clean(host, 40) for host in bundle["not_looked_at"]]
    if unseen:
        more = f" and {len(unseen) - 6} more" if len(unseen) > 6 else ""
        notes.append(f"Not looked at, so a copy of a key there is not seen: {', '.join(unseen[:6])}{more}.")
    chain_id, aside = set_aside(bundle, looks, notes)
    observed = any(entry["observed"] for entry in bundle["inventory"].values())
    rpc_only = not observed or (bool(looks.references) and not looks.evidence)
    by_look: list[list[Source]] = []
    doubtful = False
    for number in looks.numbers:
        own_notes = notes if number == looks.numbers[-1] else []
        heard = trusted(sources(looks, number, chain_id, aside, rpc_only), own_notes)
        kept, doubt = believable(heard, own_notes)
        by_look.append(kept)
        doubtful = doubtful or doubt
    chain = read_chain(chain_id, by_look, float(bundle["min_seconds_between_looks"]), notes)
    chain.split = chain.split or doubtful
    corroborated = corroborated_age(by_look[-1], chain.height or 0) if by_look and rpc_only else None
    if corroborated is not None:
        chain.age_s, chain.block_time = corroborated
    chosen = agreed_set(by_look[-1] if by_look else [], chain.height, notes)
    if not chosen and len(by_look) == 2:
        chosen = agreed_set(by_look[0], chain.height, [])
        if chosen:
            notes.append("No node shows the validator set now; the one of the look before is taken.")
    # One node outside the inventory may lie about votes without being believed.
    support = SUPPORT if rpc_only and by_look and len(by_look[-1]) >= SUPPORT else 1
    book = read_votes(by_look, chosen, chain.height, support)
    notes.extend(
        f"Two different votes of validator {address[:12]} at height, round, step {hrs}: double signing?"
        for address, hrs in sorted(book.conflicts)[:5]
    )
    known = Situation(chain, book, dict(chosen), len(looks.numbers))
    return _Sight(bundle, looks, aside, by_look, known, notes, rpc_only)


def _outside(sight: _Sight) -> tuple[Witness, ...]:
    """What nodes that are not ours know of the votes."""
    if not sight.by_look:
        return ()
    own: set[str] = set()
    unnamed = 0
    for host in sight.looks.observed:
        shown = sight.looks.evidence.get(host, {}).values()
        ids = {node_id for node in shown if (node_id := node.rpc.status.text("node_id")) is not None}
        own.update(ids)
        # A node that does not run is nobody's peer.
        unnamed += not ids and not _is_down(shown)
    known = sight.known
    return (
        *references(sight.by_look[-1], known.book, frozenset(known.members), _all_outside(sight)),
        *outside_peers(sight.by_look[-1], known.book, (own, unnamed), known.chain.age_s),
    )


def _all_outside(sight: _Sight) -> bool:
    """Two nodes outside the inventory corroborate each other; a single one may be the one that is cut off."""
    return sight.rpc_only and len(sight.by_look[-1]) >= SUPPORT


def _is_down(shown: t.Iterable[NodeEvidence]) -> bool:
    answers = [runs(node) for node in shown]
    return bool(answers) and all(answer is False for answer in answers)


def _outside_quorum(sight: _Sight) -> bool:
    """Whether references show a commit near the top that more than two thirds of the known power signed."""
    heard, members = sight.known.book.heard, sight.known.members
    newest = sight.known.chain.height
    if heard is None or newest is None:
        return False
    signed = sum(power for address, power in members.items() if heard.signed.get(address, -1) >= newest - LAG_BLOCKS)
    return bool(members) and signed >= _power.quorum(sum(members.values()))


def _stands_still(chain: Chain, idle: bool) -> t.Optional[bool]:
    old = chain.age_s is not None and chain.age_s > chain.threshold_s
    if chain.split:
        return None
    if old and chain.same_height and not idle:
        return True
    return False if chain.moved and not old and chain.age_s is not None else None


def standing(reading: Reading) -> t.Optional[bool]:
    """Whether the chain is halted: True also after one look that shows it clearly, None where nobody can tell."""
    if reading.stands_still is not None:
        return reading.stands_still
    old = reading.age_s is not None and reading.age_s > reading.threshold_s
    return True if old and not (reading.moved or reading.idle or reading.split) else None


def _reading(sight: _Sight, nodes: dict[str, Node]) -> Reading:
    chain, book, notes = sight.known.chain, sight.known.book, sight.notes
    outside = _outside(sight)
    newest = sight.by_look[-1] if sight.by_look else []
    validators, sums = rows(nodes, sight.known, outside)
    total = sum(sight.known.members.values())
    differ = _app_hashes(nodes, notes)
    notes.extend(_processes_beside(nodes))
    idle = not sight.known.coming and _idle(nodes, book)
    if idle:
        notes.append("The chain makes no blocks without transactions (create_empty_blocks): no block may be due.")
    return Reading(
        bundle=sight.bundle,
        chain_id=chain.chain_id,
        height=chain.height,
        last_block_hash=chain.block_hash,
        last_block_at=chain.block_time,
        now=chain.now,
        interval_s=chain.interval_s,
        threshold_s=chain.threshold_s,
        age_s=chain.age_s,
        stands_still=_stands_still(chain, idle),
        moved=chain.moved and not chain.split,
        total=total,
        quorum=_power.quorum(total),
        voting=sums[VOTING],
        absent=sums[ABSENT],
        unknown=sums[UNKNOWN],
        looks=sight.looks.numbers,
        confirmed=chain.apart,
        nodes=nodes,
        views=tuple(View(entry.name, entry.at, entry.rpc) for entry in newest if entry.ours),
        rpc_only=sight.rpc_only,
        validators=validators,
        outside=outside,
        voters=tuple(sorted(row.host for row in validators if row.state == "voting" and row.host is not None)),
        votes={address: book.votes(address) for address in book.raw},
        heard={address: book.heard.votes(address) for address in book.heard.raw} if book.heard is not None else {},
        movers=chain.movers,
        outside_movers=chain.outside_movers,
        outside_standing=chain.outside_standing,
        outside_quorum=_outside_quorum(sight),
        ahead=chain.ahead,
        notes=tuple(dict.fromkeys(clean(note) for note in notes)),
        conflicts=frozenset(address for address, _hrs in book.conflicts),
        disputed=book.disputed(),
        commits_seen=bool(book.commits),
        most_seen=book.most_seen,
        votes_height=book.height,
        rounds_grow=book.rounds_grow,
        idle=idle,
        split=chain.split,
        app_hashes_differ=differ,
    )


def _node(host: str, entry: dict[str, t.Any], sight: _Sight) -> Node:
    numbers, known, aside = sight.looks.numbers, sight.known, sight.aside.get(host)
    seen = sight.looks.evidence.get(host, {})
    data = seen.get(numbers[-1]) if numbers else None
    before = seen.get(numbers[0]) if len(numbers) == 2 else None
    key_address = _first(look.signer.address("address") for look in (data, before) if look is not None)
    rpc_address = _first(
        look.rpc.status.address("address") for look in (data, before) if look is not None and not aside
    )
    declared = entry["declared"].get(ADDRESS)
    # Of the addresses it answers to, the one the chain knows: a remote signer's node has a key file it does not use.
    mine = [address for address in (key_address, rpc_address, declared) if address]
    address = _first(candidate for candidate in mine if candidate in known.members) or _first(mine)
    newest = sight.looks.observed.get(host, {}).get(numbers[-1]) if numbers else None
    error = _error(newest, entry["observed"])
    state = _silent(error, address, known) if data is None else _shown(data, before, address, aside, known)
    return Node(
        host=host,
        observed=entry["observed"],
        target=entry["target"],
        ok=data is not None,
        error=error,
        chain_ok=aside is None,
        state=state.word,
        since=state.since,
        detail=clean(state.detail),
        address=address,
        declared=declared,
        key_address=key_address,
        rpc_address=rpc_address,
        in_set=address is not None and address in known.members,
        data=data,
        before=before,
        height=data.rpc.status.integer("height") if data is not None and aside is None else None,
        reason=state.reason,
    )


def _first(addresses: t.Iterable[t.Optional[str]]) -> t.Optional[str]:
    return next((address for address in addresses if address), None)


def _error(observation: t.Optional[dict[str, t.Any]], observed: bool) -> t.Optional[Problem]:
    if not observed:
        return Problem(NOT_ASKED, "nobody looked at it in this run")
    if observation is None:
        return Problem(NOTHING_HEARD, "nothing came from it in this look")
    if observation["ok"]:
        return None
    error = observation["error"]
    return Problem(clean(error["kind"], 40) or "failed", clean(error["text"], 160) or "no reason given")


def _silent(error: t.Optional[Problem], address: t.Optional[str], known: Situation) -> State:
    text = f"{error.kind.replace('_', ' ')}: {error.text}" if error is not None else "no evidence"
    state = unreachable_state(text, address, known)
    return replace(state, word="unknown") if error is not None and error.kind in (NOT_ASKED, NOTHING_HEARD) else state


def _shown(
    data: NodeEvidence,
    before: t.Optional[NodeEvidence],
    address: t.Optional[str],
    aside: t.Optional[str],
    known: Situation,
) -> State:
    held = down_or_held(data, before)
    if held is not None:
        return held
    if aside is None:
        return alive_state(data, before, address, known)
    member = address is not None and address in known.members
    if address is not None and member and known.fresh(address):
        return State("voting", None, f"{aside}; its votes are seen by the others")
    return State("unknown" if member or runs(data) is None else "running", None, aside)


def _idle(nodes: dict[str, Node], book: VoteBook) -> bool:
    """No vote for the next block, every view in step 1 or 2, and a node that says it waits for transactions."""
    if not book.steps or max(book.steps) > 2 or book.at_height:
        return False
    shown = [node.data for node in nodes.values() if node.data is not None and node.chain_ok]
    return 2 in book.steps or any(data.setting("create_empty_blocks") is False for data in shown)


def _processes_beside(nodes: dict[str, Node]) -> t.Iterator[str]:
    """Nodes that run without the unit, or beside it: nobody may start the unit there."""
    for node in nodes.values():
        others = node.data.process.mappings("others") if node.data is not None else []
        if others and node.data is not None:
            how = "beside its unit" if node.data.process.inner("main") is not None else "without its unit"
            pids = ", ".join(str(other.integer("pid")) for other in others[:3])
            yield f"On {node.host} the node's binary runs {how} (process {pids})."


def _app_hashes(nodes: dict[str, Node], notes: list[str]) -> bool:
    """Compare application hashes, only at equal application height: a node that is behind has another one rightly."""
    by_height: dict[int, dict[str, list[str]]] = {}
    for node in nodes.values():
        if node.data is None or not node.chain_ok:
            continue
        height, digest = node.data.rpc.abci_info.integer("height"), node.data.rpc.abci_info.text("app_hash")
        if height is not None and height > 0 and digest:
            by_height.setdefault(height, {}).setdefault(digest.upper(), []).append(node.host)
    differ = {height: hashes for height, hashes in by_height.items() if len(hashes) > 1}
    for height, hashes in sorted(differ.items())[:3]:
        sides = "; ".join(f"{', '.join(hosts[:6])} have {digest[:12]}" for digest, hosts in sorted(hashes.items())[:4])
        notes.append(f"The applications differ at height {height}: {sides}.")
    return bool(differ)
