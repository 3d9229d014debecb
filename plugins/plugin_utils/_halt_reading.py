# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bundle says about a halt, put in order: the one reading that verdict, plan, guards and recovery share."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.virtengine.incident.plugins.plugin_utils import _bundle, _power
from ansible_collections.virtengine.incident.plugins.plugin_utils._evidence import NodeEvidence, Problem
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_reading_chain import (
    Chain,
    Looks,
    Source,
    ValidatorSet,
    believable,
    gather,
    read_chain,
    set_aside,
    sources,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_reading_rows import (
    ABSENT,
    UNKNOWN,
    VOTING,
    rows,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_reading_types import (
    PRECOMMIT,
    PREVOTE,
    Node,
    Reading,
    ValidatorRow,
    Vote,
    Witness,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_reading_votes import (
    VoteBook,
    agreed_set,
    read_votes,
    witnesses,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_state import (
    Situation,
    State,
    alive_state,
    down_or_held,
    runs,
    unreachable_state,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._text import clean

__all__ = ["PRECOMMIT", "PREVOTE", "Node", "Reading", "ValidatorRow", "Vote", "Witness", "read"]


def read(bundle: _bundle.Bundle) -> Reading:
    """Read a bundle that ``_bundle.check`` accepted (or that ``_bundle.new`` and ``add`` made). Never raises on one.

    Of the looks the newest two are read. The order of the observations does not matter.
    """
    notes: list[str] = []
    looks = gather(bundle)
    chain_id, aside = set_aside(bundle, looks, notes)
    by_look: list[list[Source]] = []
    doubtful = False
    for number in looks.numbers:
        own_notes = notes if number == looks.numbers[-1] else []
        kept, doubt = believable(sources(looks, number, chain_id, aside), own_notes)
        by_look.append(kept)
        doubtful = doubtful or doubt
    chain = read_chain(chain_id, by_look, float(bundle["min_seconds_between_looks"]), notes)
    chain.split = chain.split or doubtful
    chosen = agreed_set(by_look[-1] if by_look else [], chain.height, notes)
    if not chosen and len(by_look) == 2:
        chosen = agreed_set(by_look[0], chain.height, [])
        if chosen:
            notes.append("No node shows the validator set now; the one of the look before is taken.")
    book = read_votes(by_look, chosen, chain.height)
    notes.extend(
        f"Two different votes of validator {address[:12]} at height {hrs[0]}, round {hrs[1]}, step {hrs[2]}: double signing?"
        for address, hrs in sorted(book.conflicts)[:5]
    )
    known = Situation(chain, book, dict(chosen), len(looks.numbers))
    nodes = _nodes(bundle, looks, aside, known)
    outside = _outside(by_look, looks, chain, book, chosen)
    return _reading(bundle, looks, known, nodes, outside, notes)


def _outside(
    by_look: list[list[Source]], looks: Looks, chain: Chain, book: VoteBook, chosen: ValidatorSet
) -> tuple[Witness, ...]:
    if not by_look:
        return ()
    own: set[str] = set()
    unnamed = 0
    for host in looks.observed:
        ids = {node.rpc.status.text("node_id") for node in looks.evidence.get(host, {}).values()} - {None}
        own.update(t.cast(set[str], ids))
        unnamed += not ids
    return witnesses(by_look[-1], book, chosen, own, unnamed, chain.age_s)


def _reading(
    bundle: _bundle.Bundle,
    looks: Looks,
    known: Situation,
    nodes: dict[str, Node],
    outside: tuple[Witness, ...],
    notes: list[str],
) -> Reading:
    chain, book = known.chain, known.book
    validators, sums = rows(nodes, known, outside)
    differ = _app_hashes(nodes, notes)
    total = sum(known.members.values())
    old = chain.age_s is not None and chain.age_s > chain.threshold_s
    idle = old and not chain.moved and _idle(nodes, book)
    if idle:
        notes.append("The chain makes no blocks without transactions (create_empty_blocks): no block may be due.")
    if old and chain.same_height and not idle and not chain.split:
        stands_still: t.Optional[bool] = True
    elif chain.moved and not old and not chain.split:
        stands_still = False
    else:
        stands_still = None
    votes = {address: book.votes(address) for address in book.raw}
    return Reading(
        bundle=bundle,
        chain_id=chain.chain_id,
        height=chain.height,
        last_block_hash=chain.block_hash,
        last_block_at=chain.block_time,
        now=chain.now,
        interval_s=chain.interval_s,
        threshold_s=chain.threshold_s,
        age_s=chain.age_s,
        stands_still=stands_still,
        moved=chain.moved and not chain.split,
        total=total,
        quorum=_power.quorum(total),
        voting=sums[VOTING],
        absent=sums[ABSENT],
        unknown=sums[UNKNOWN],
        looks=looks.numbers,
        confirmed=chain.apart,
        nodes=nodes,
        validators=validators,
        outside=outside,
        voters=tuple(sorted(row.host for row in validators if row.state == "voting" and row.host is not None)),
        votes=votes,
        notes=tuple(dict.fromkeys(clean(note) for note in notes)),
        votes_height=book.height,
        rounds_grow=book.rounds_grow,
        idle=idle,
        split=chain.split,
        app_hashes_differ=differ,
    )


def _nodes(bundle: _bundle.Bundle, looks: Looks, aside: dict[str, str], known: Situation) -> dict[str, Node]:
    newest = looks.numbers[-1] if looks.numbers else 0
    return {
        host: _node(host, entry, looks.observed.get(host, {}).get(newest), looks, aside.get(host), known)
        for host, entry in sorted(bundle["inventory"].items())
    }


def _node(
    host: str,
    entry: dict[str, t.Any],
    observation: t.Optional[dict[str, t.Any]],
    looks: Looks,
    aside: t.Optional[str],
    known: Situation,
) -> Node:
    seen = looks.evidence.get(host, {})
    data = seen.get(looks.numbers[-1]) if looks.numbers else None
    before = seen.get(looks.numbers[0]) if len(looks.numbers) == 2 else None
    keys = [look.signer.address("address") for look in (data, before) if look is not None]
    named = [look.rpc.status.address("address") for look in (data, before) if look is not None and aside is None]
    key_address = next((address for address in keys if address), None)
    rpc_address = next((address for address in named if address), None)
    declared = entry["address"]
    # Of the addresses it answers to, the one the chain knows: a remote signer's node has a key file it does not use.
    mine = [address for address in (key_address, rpc_address, declared) if address]
    address = next((candidate for candidate in mine if candidate in known.members), mine[0] if mine else None)
    error = _error(observation, entry["observed"])
    state = _state(data, before, error, address, aside, known)
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


def _error(observation: t.Optional[dict[str, t.Any]], observed: bool) -> t.Optional[Problem]:
    if observation is None:
        return Problem(
            "absent", "nobody looked at it in this run" if not observed else "nothing was heard of it in this look"
        )
    if observation["ok"]:
        return None
    error = observation["error"]
    return Problem(clean(error["kind"], 40) or "failed", clean(error["text"], 160) or "no reason given")


def _state(
    data: t.Optional[NodeEvidence],
    before: t.Optional[NodeEvidence],
    error: t.Optional[Problem],
    address: t.Optional[str],
    aside: t.Optional[str],
    known: Situation,
) -> State:
    if data is None:
        text = f"{error.kind}: {error.text}" if error is not None else "no evidence"
        seen = unreachable_state(text, address, known)
        return replace(seen, word="unknown") if error is not None and error.text.startswith("nobody looked") else seen
    held = down_or_held(data, before)
    if held is not None:
        return held
    if aside is None:
        return alive_state(data, before, address, known)
    member = address is not None and address in known.members
    if member and known.fresh(t.cast(str, address)):
        return State("voting", None, f"{aside}; its votes are seen by the others")
    if runs(data) is None:
        return State("unknown", None, aside)
    return State("unknown" if member else "running", None, aside)


def _idle(nodes: dict[str, Node], book: VoteBook) -> bool:
    """No vote for the next block, every view in step 1 or 2, and a node that says it waits for transactions."""
    if not book.steps or max(book.steps) > 2 or book.at_height:
        return False
    waits = [
        node.data.setting("create_empty_blocks") for node in nodes.values() if node.data is not None and node.chain_ok
    ]
    return 2 in book.steps or False in waits


def _app_hashes(nodes: dict[str, Node], notes: list[str]) -> bool:
    """Compare application hashes, only at equal application height: a node that is behind has another one rightly."""
    by_height: dict[int, dict[str, list[str]]] = {}
    for node in nodes.values():
        if node.data is None or not node.chain_ok:
            continue
        height, digest = node.data.rpc.abci_info.integer("height"), node.data.rpc.abci_info.text("app_hash")
        if height is not None and height > 0 and digest:
            by_height.setdefault(height, {}).setdefault(digest.upper(), []).append(node.host)
    differ = {height: found for height, found in by_height.items() if len(found) > 1}
    for height, found in sorted(differ.items())[:3]:
        sides = "; ".join(f"{', '.join(hosts[:6])} have {digest[:12]}" for digest, hosts in sorted(found.items())[:4])
        notes.append(f"The applications differ at height {height}: {sides}.")
    return bool(differ)
