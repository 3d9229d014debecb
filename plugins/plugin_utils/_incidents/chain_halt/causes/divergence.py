# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes by which nodes compute different states from the same blocks."""

from __future__ import annotations

import typing as t

from ...._chain.reading.types import DOWN, Node
from ...._path.verdict.cause import HOLDS, Finding, cannot_tell, refuted
from .context import Halt, HaltCause, Unclear, current, open_on, quoted, reason_is
from .hashes import Sides, comparable, compare, contradicted, powers

_WRONG_HASH = "Block.Header.AppHash"


def _diverged(node: Node) -> t.Optional[str]:
    """The node itself says that its application hash is not that of the block."""
    other = reason_is(node, ("invalid_block",))
    return reason_is(node, ("wrong_app_hash",)) or (other if other is not None and _WRONG_HASH in other else None)


def _app_hash(halt: Halt) -> Finding:
    """By what the nodes say of themselves, and by comparing at one height."""
    diverged = [node for node in halt.reading.nodes.values() if _diverged(node) is not None]
    unclear = halt.unclear[APP_HASH_DIVERGENCE.id]
    sides = compare(halt.reading)
    if sides is not None:
        return _of_sides(halt, sides)
    if diverged:
        rows = [row for row in halt.rows.values() if row.host in {node.host for node in diverged}]
        hosts = tuple(sorted(node.host for node in diverged))
        words = f"on {', '.join(hosts[:6])}: {_diverged(diverged[0])}"
        if rows and halt.reading.total > 0:
            return halt.judged(rows, words, hosts, held=True)
        return halt.powerless(words, hosts)
    if restarted := halt.matches[DIVERGED_AND_RESTARTED.id]:
        power = sum(one.row.power for one in restarted if one.row is not None)
        hosts = tuple(sorted(one.node.host for one in restarted))
        because = f"on {', '.join(hosts[:6])}: it refuses the blocks of the others for their hash"
        return Finding(HOLDS, because, power, hosts, symptom=True, explained=True)
    aside = [node.host for node in halt.reading.nodes.values() if node.data is not None and not node.chain_ok]
    if aside:
        return cannot_tell(f"what {', '.join(aside[:6])} computed: of another genesis or chain, so it is not compared")
    if contradicted(halt.reading):
        return cannot_tell("which application hash the chain has: headers of one height contradict each other")
    if not comparable(halt.reading):
        return cannot_tell("application hashes of two nodes at one height")
    if unclear:
        return cannot_tell(open_on(unclear))
    if halt.unread:
        return cannot_tell(f"the application hash of {halt.unread}")
    return refuted("the nodes that can be compared have the same application hash")


def _of_sides(halt: Halt, sides: Sides) -> Finding:
    reading = halt.reading
    weight = powers(reading)
    weights = {digest: sum(weight.get(host, 0) for host in hosts) for digest, hosts in sides.hosts.items()}
    ordered = sorted(sides.hosts, key=lambda digest: (digest != sides.right, -weights[digest], digest))
    sums = "; ".join(
        f"{', '.join(sides.hosts[digest][:6])} (power {weights[digest]}) have {digest[:12]}" for digest in ordered[:4]
    )
    words = f"after block {sides.height}: {sums}"
    if sides.right is not None:
        wrong = [digest for digest in ordered if digest != sides.right]
        named = sorted(host for digest in wrong for host in sides.hosts[digest])
        hosts = tuple(host for host in named if host in reading.nodes)
        words += f". Block {sides.height + 1} was committed with {sides.right[:12]}: {', '.join(named[:6])} diverged"
        rows = [row for row in halt.rows.values() if row.host in hosts]
        restarted = {one.node.host for one in halt.matches[DIVERGED_AND_RESTARTED.id]}
        if hosts and set(hosts) <= restarted:
            power = sum(row.power for row in rows)
            return Finding(HOLDS, f"{words}; it was restarted since", power, hosts, symptom=True, explained=True)
        if rows and reading.total > 0:
            return halt.judged(rows, words, hosts, held=True)
        return Finding(HOLDS, words, 0, hosts, symptom=halt.standing is not False)
    hosts = tuple(sorted(host for side in sides.hosts.values() for host in side if host in reading.nodes))
    largest = max(weights.values())
    # The other validators are on one of the sides, nobody can see on which.
    unseen = reading.total - sum(weights.values())
    if largest >= reading.quorum > 0:
        words += f". The first has a quorum ({reading.quorum}): the others diverged"
        hosts = tuple(sorted(host for digest in ordered[1:] for host in sides.hosts[digest] if host in reading.nodes))
        power = sum(weights[digest] for digest in ordered[1:])
        beside = power == 0 or reading.voting >= reading.quorum
        return Finding(HOLDS, words, power, hosts, symptom=bool(halt.standing) and beside)
    words += f". No side has {reading.quorum} of {reading.total}" + (
        f" (power {unseen} is not seen)" if unseen > 0 else ""
    )
    words += ": counting does not say who is right"
    power = sum(weights.values()) - largest
    # Where no validator is on another side, and votes are missing, it is those that stop the chain.
    beside = power == 0 and reading.voting < reading.quorum
    return Finding(HOLDS, words, power, hosts, symptom=halt.standing is not True or beside)


def _diverged_and_restarted(_halt: Halt, node: Node) -> t.Optional[str]:
    if node.data is None or current(node.data, "consensus_failure") is not None:
        return None
    mark = current(node.data, "sync_refuses_block")
    if mark is None or _WRONG_HASH not in mark.text:
        return None
    catching_up = node.data.rpc.status.flag("catching_up")
    if catching_up is None and node.state not in DOWN:
        return Unclear("it refused blocks that it was sent, and whether it catches up cannot be seen")
    words = f"it says that it catches up and refuses every block it is sent: {quoted(mark.text, 120)}"
    return words if catching_up else None


APP_HASH_DIVERGENCE = HaltCause(
    "app_hash_divergence",
    "application hashes diverge",
    "Nodes computed different application states from the same blocks",
    "1. Chain Halted, Resolution Step 3",
    predicate=_app_hash,
    detect=lambda _halt, node: _diverged(node),
    forbids=("start_node", "thaw_node"),
    signs="Nodes at one application height have other hashes in /abci_info, or one has another than the next "
    'block\'s header, which more than two thirds signed; or the journal has "wrong Block.Header.AppHash". '
    "/status hides it. Other heights are never compared. A side with a quorum is right; with none, nobody "
    "is by counting.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/abci_info | jq -c '.result.response | [.last_block_height, .last_block_app_hash]'"
        "   # on each node; compare only at equal height",
        "curl -s 'http://127.0.0.1:26657/block_results?height=H' | jq -r .result.app_hash   # base64; H on every node",
        "journalctl -u virtengine.service --no-pager | grep -F 'wrong Block.Header.AppHash'   # Expected: this node's own",
    ),
    next="Freeze {hosts}: no restart, no rollback. Collect versions, checksums of binaries and configurations of both sides.",
    decide="A minority under a right binary is rolled back once, or restored, one by one (a fleet action). Where no side has a "
    "quorum, nobody is right by counting: developers find the non-determinism first, for a rollback that executes the same "
    "code again may split further.",
    message="Nodes disagree about the application state after block {height}. Please do not restart, roll back or reset. "
    "Tell us what your node says: curl -s http://127.0.0.1:26657/abci_info, the SHA-256 of your binary, and the line with "
    "wrong Block.Header.AppHash in its log, if there is one.",
)
DIVERGED_AND_RESTARTED = HaltCause(
    "diverged_and_restarted",
    "diverged, and looks like catching up",
    "Nodes of ours diverged and were restarted: they look as if they catch up, and never will",
    "1. Chain Halted, Resolution Step 3",
    detect=_diverged_and_restarted,
    forbids=("start_node", "thaw_node"),
    signs='catching_up is true and does not end: block sync logs "Error in validation" with "wrong '
    'Block.Header.AppHash" for every block it is sent.',
    by_hand=(
        "curl -s http://127.0.0.1:26657/status | jq -c '.result.sync_info | [.latest_block_height, .catching_up]'   # twice",
        "journalctl -u virtengine.service --no-pager | grep -F 'Error in validation' | tail -3",
    ),
    next="Do not wait for {hosts} to catch up, and restart nothing there again: the state has to be rolled back or replaced.",
    decide="The last block there was executed to another state. A rollback of one block under the right binary, or a restore, "
    "is a fleet action that an operator starts.",
)
CAUSES = (APP_HASH_DIVERGENCE, DIVERGED_AND_RESTARTED)
