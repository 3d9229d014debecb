# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes inside the node: consensus dead, application hash, panic, an application that does not come back."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._cause import (
    HOLDS,
    Cause,
    Finding,
    cannot_tell,
    refuted,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_reading_types import Node
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_state import refuses, refuses_block
from ansible_collections.virtengine.incident.plugins.plugin_utils.halt_causes._halt import (
    DOWN,
    NO_HOST,
    Halt,
    Unclear,
    current,
    names,
    open_on,
    quoted,
    reason_is,
    with_set,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils.halt_causes._hashes import (
    Sides,
    comparable,
    compare,
    contradicted,
    powers,
)

_WRONG_HASH = "Block.Header.AppHash"
# What has no cause of its own: the journal's words are all there is.
_OTHER_REASONS = ("handshake_failed", "too_many_open_files", "invalid_block", "conflicting_vote", "evidence")


def _diverged(node: Node) -> t.Optional[str]:
    """The node itself says that its application hash is not that of the block."""
    other = reason_is(node, ("invalid_block",))
    return reason_is(node, ("wrong_app_hash",)) or (other if other is not None and _WRONG_HASH in other else None)


def _app_hash(halt: Halt) -> Finding:
    """By what the nodes say of themselves, and by comparing at one height."""
    told = [node for node in halt.reading.nodes.values() if _diverged(node) is not None]
    unclear = halt.unclear[APP_HASH_DIVERGENCE.id]
    sides = compare(halt.reading)
    if sides is not None:
        return _of_sides(halt, sides)
    if told:
        rows = [row for row in halt.rows.values() if row.host in {node.host for node in told}]
        hosts = tuple(sorted(node.host for node in told))
        words = f"on {', '.join(hosts[:6])}: {_diverged(told[0])}"
        if rows and halt.reading.total > 0:
            return halt.judged(rows, words, hosts, struck=True)
        return Finding(HOLDS, f"{words}; no voting power is lost by that", 0, hosts, symptom=halt.standing is not False)
    if restarted := halt.struck[DIVERGED_AND_RESTARTED.id]:
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
        return cannot_tell(f"the application hash of {names(halt.unread)}")
    return refuted("the nodes that can be compared have the same application hash")


def _of_sides(halt: Halt, sides: Sides) -> Finding:
    reading = halt.reading
    weight = powers(reading)
    weights = {digest: sum(weight.get(host, 0) for host in hosts) for digest, hosts in sides.hosts.items()}
    ordered = sorted(sides.hosts, key=lambda digest: (digest != sides.right, -weights[digest], digest))
    said = "; ".join(
        f"{', '.join(sides.hosts[digest][:6])} (power {weights[digest]}) have {digest[:12]}" for digest in ordered[:4]
    )
    words = f"after block {sides.height}: {said}"
    if sides.right is not None:
        wrong = [digest for digest in ordered if digest != sides.right]
        named = sorted(host for digest in wrong for host in sides.hosts[digest])
        hosts = tuple(host for host in named if host in reading.nodes)
        words += f". Block {sides.height + 1} was committed with {sides.right[:12]}: {', '.join(named[:6])} diverged"
        rows = [row for row in halt.rows.values() if row.host in hosts]
        restarted = {one.node.host for one in halt.struck[DIVERGED_AND_RESTARTED.id]}
        if hosts and set(hosts) <= restarted:
            power = sum(row.power for row in rows)
            return Finding(HOLDS, f"{words}; it was restarted since", power, hosts, symptom=True, explained=True)
        if rows and reading.total > 0:
            return halt.judged(rows, words, hosts, struck=True)
        return Finding(HOLDS, words, 0, hosts, symptom=halt.standing is not False)
    hosts = tuple(sorted(host for found in sides.hosts.values() for host in found if host in reading.nodes))
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


def _consensus_failure(halt: Halt) -> Finding:
    """Alive, answering, and dead in its consensus: a symptom wherever the journal says of what."""
    reading = halt.reading
    dead = [
        node
        for node in reading.nodes.values()
        if node.state == "not_voting" and current(node.data, "consensus_failure") is not None
    ]
    if dead:
        bare = [node for node in dead if node.reason is None or node.reason.kind == "consensus_failure"]
        bare = [node for node in bare if _panics(halt, node) is None]
        told = bare or dead
        hosts = tuple(sorted(node.host for node in told))
        rows = [row for row in halt.rows.values() if row.host in hosts]
        words = f"on {', '.join(hosts[:6])}: the process lives and answers, its consensus ended with CONSENSUS FAILURE"
        if bare and rows and reading.total > 0:
            return halt.judged(rows, words, hosts, struck=True)
        known = "; the reason is known" if not bare else "; no voting power is lost by that"
        power = sum(row.power for row in rows)
        return Finding(
            HOLDS, words + known, power, hosts, True, explained=not bare, justifies=(), forbids=None if bare else ()
        )
    if halt.unread:
        return cannot_tell(f"the journal of {names(halt.unread)}")
    if not halt.seen:
        return cannot_tell(NO_HOST)
    alive = [
        node.host
        for node in reading.nodes.values()
        if current(node.data, "consensus_failure") is not None and (node.state not in DOWN or _answers(node))
    ]
    if alive:
        return cannot_tell(f"whether {', '.join(alive[:6])} still runs with the consensus that failed in this run")
    return refuted("no journal that can be read has CONSENSUS FAILURE of the present run")


def _answers(node: Node) -> bool:
    return node.data is not None and node.data.rpc.status.ok


def _strikes_consensus_failure(halt: Halt, node: Node) -> t.Optional[str]:
    """So that its power counts as held, beside the predicate above that says the rest."""
    bare = node.reason is not None and node.reason.kind == "consensus_failure"
    return quoted(node.reason.text, 120) if bare and node.reason is not None else None


def _panics(_halt: Halt, node: Node) -> t.Optional[str]:
    """Executing a block ends in a panic: alive with the block stored and not executed, or dead at every start."""
    if node.reason is None or node.data is None:
        return None
    if node.reason.kind == "panic" and node.state in DOWN:
        return quoted(node.reason.text, 140)
    if node.reason.kind != "consensus_failure":
        return None
    height = node.data.rpc.status.integer("height")
    refused = f"block {height} is stored and not executed" if refuses_block(node.data) else None
    return f"{refused}: {quoted(node.reason.text, 140)}" if refused else None


def _block_not_executed(halt: Halt) -> Finding:
    """What every refusal of a block looks like from outside, whatever its reason: upgrade, halt height, panic, disk."""
    reading = halt.reading
    refusing = [
        view for view in reading.views if view.rpc.status.integer("height") == reading.height and refuses(view.rpc)
    ]
    if halt.standing is False:
        return refuted("new blocks come")
    if refusing and halt.standing:
        named = {view.name for view in refusing}
        addresses = {view.rpc.status.address("address") for view in refusing}
        power = sum(row.power for row in reading.validators if row.address in addresses or row.host in named)
        hosts = tuple(sorted(named & set(reading.nodes)))
        known = bool(hosts) and set(hosts) <= halt.explained
        because = f"block {reading.height} is stored and not executed at {', '.join(sorted(named)[:6])}"
        more = f" and {len(named) - 6} more" if len(named) > 6 else ""
        enough = reading.total - reading.absent - power < reading.quorum
        words = f"{because}{more}, power {power} of {reading.total}" + ("; the reason is known" if known else "")
        return Finding(
            HOLDS, words, power, hosts, symptom=known or not enough, explained=known, forbids=() if known else None
        )
    told = [view for view in reading.views if view.rpc.status.ok and view.rpc.abci_info.ok and view.rpc.consensus.ok]
    if not told or halt.standing is None:
        return cannot_tell("the heights of chain and application on one node that stands still")
    if halt.unread:
        return cannot_tell(f"the heights of {names(halt.unread)}")
    return refuted("those that answer have executed the newest block they stored")


def _stuck(halt: Halt, node: Node) -> t.Optional[str]:
    """Inside a call to its application: /status answers, what needs the application or its lock does not."""
    data = node.data
    if data is None or node.state != "busy":
        return None
    if not data.rpc.status.ok:
        return Unclear("its RPC is silent, so what its application does cannot be seen")
    late = [part.error is not None and part.error.kind == "late" for part in (data.rpc.abci_info, data.rpc.consensus)]
    if not late[0]:
        return None
    waits = "neither the application nor consensus answers" if all(late) else "the application does not answer"
    waiting = data.rpc.mempool.integer("txs")
    return waits + (f"; {waiting} transactions wait" if waiting else "")


def _other_reason(_halt: Halt, node: Node) -> t.Optional[str]:
    if node.reason is None:
        return None
    words = reason_is(node, _OTHER_REASONS)
    return f"{node.reason.kind.replace('_', ' ')}: {words}" if words else None


APP_HASH_DIVERGENCE = Cause(
    "app_hash_divergence",
    "application hashes diverge",
    "Nodes computed different application states from the same blocks",
    "1. Chain Halted, Resolution Step 3",
    "SEV-1",
    _app_hash,
    strikes=lambda _halt, node: _diverged(node),
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
    message="Nodes disagree about the application state after a block ({because}). Please do not restart, roll back or reset. "
    "Tell us what your node says: curl -s http://127.0.0.1:26657/abci_info, the SHA-256 of your binary, and the line with "
    "wrong Block.Header.AppHash in its log, if there is one.",
)
DIVERGED_AND_RESTARTED = Cause(
    "diverged_and_restarted",
    "diverged, and looks like catching up",
    "Nodes of ours diverged and were restarted: they look as if they catch up, and never will",
    "1. Chain Halted, Resolution Step 3",
    "SEV-1",
    strikes=_diverged_and_restarted,
    forbids=("start_node", "thaw_node"),
    signs='catching_up is true and does not end: block sync logs "Error in validation" with "wrong '
    'Block.Header.AppHash" for every block it is sent.',
    by_hand=(
        "curl -s http://127.0.0.1:26657/status | jq -c '.result.sync_info | [.latest_block_height, .catching_up]'   # twice",
        "journalctl -u virtengine.service --no-pager | grep -F 'Error in validation' | tail -3",
    ),
    next="Do not wait for {hosts} to catch up, and do not restart it again: its state has to be rolled back or replaced.",
    decide="Its last block was executed to another state. A rollback of one block under the right binary, or a restore, is a "
    "fleet action that a person starts.",
)
CONSENSUS_FAILURE = Cause(
    "consensus_failure",
    "alive, and its consensus is dead",
    "Nodes of ours run and answer, and their consensus has ended: they do not vote until they are started again",
    "1. Chain Halted, Quick Diagnosis 4",
    "SEV-1",
    _consensus_failure,
    strikes=_strikes_consensus_failure,
    forbids=("start_node", "thaw_node"),
    signs="The journal has CONSENSUS FAILURE!!! of the present run; the process lives and answers, its height "
    "and round stand. A symptom wherever the journal says of what.",
    by_hand=(
        "journalctl -u virtengine.service --no-pager | grep -F 'CONSENSUS FAILURE!!!' | tail -1",
        "curl -s http://127.0.0.1:26657/consensus_state | jq -r '.result.round_state.\"height/round/step\"'   # twice: frozen",
    ),
    next="Read the CONSENSUS FAILURE line on {hosts} before anything is restarted: a restart runs into the same, and then "
    "nothing answers any more.",
    decide="The reason has to be found and removed on each node first.",
)
APPLICATION_PANICS = Cause(
    "application_panics",
    "the application fails at a block",
    "The application of nodes of ours fails when it executes a block, and does so again at every start",
    "1. Chain Halted, Quick Diagnosis 4",
    "SEV-1",
    strikes=_panics,
    forbids=("start_node", "thaw_node"),
    signs="The newest block is stored and not executed (/status is one above /abci_info, step 8) on a node that "
    "lives, and the journal has no other reason; or the journal of one that is down ends in a panic.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/status | jq -r .result.sync_info.latest_block_height",
        "curl -s http://127.0.0.1:26657/abci_info | jq -r .result.response.last_block_height   # one lower, twice",
        "journalctl -u virtengine.service --no-pager | grep -E 'panic:|CONSENSUS FAILURE' | tail -3",
    ),
    next="Send the panic of {hosts} to the developers. Do not restart and do not roll back: the same block fails again.",
    decide="A binary that executes the block is needed, on more than two thirds of the power at the same height. A rollback "
    "changes nothing here: the block is stored and not executed.",
    message="The application fails at block {height} on our nodes ({because}). Does yours? Please do not restart or roll back; "
    "tell us the last lines of your log.",
)
BLOCK_NOT_EXECUTED = Cause(
    "block_not_executed",
    "a block is stored and not executed",
    "The newest block is decided and stored, and applications do not execute it",
    "1. Chain Halted, Quick Diagnosis 1",
    "SEV-1",
    with_set(_block_not_executed),
    forbids=("start_node", "thaw_node"),
    signs="/status is one block above /abci_info at step 8, in two looks: what every refused block looks like "
    "from outside. A symptom where the journals of these hosts say why; from RPC alone it is all that can "
    "be said.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/status | jq -r .result.sync_info.latest_block_height",
        "curl -s http://127.0.0.1:26657/abci_info | jq -r .result.response.last_block_height   # one lower, twice",
        "curl -s http://127.0.0.1:26657/consensus_state | jq -r '.result.round_state.\"height/round/step\"'   # step 8",
    ),
    next="Look into the journals of the nodes: an upgrade that waits for its binary, a halt height, a panic or a full disk.",
    decide="From RPC alone nobody can say why: it may be an upgrade that is due, a halt that was agreed on, a panic or a disk. "
    "Nothing is restarted before that is known.",
    message="Block {height} is stored and not executed on nodes that we see ({because}). Please tell us the CONSENSUS FAILURE "
    "line of your log, and do not restart or roll back.",
)
APPLICATION_STUCK = Cause(
    "application_stuck",
    "the application does not come back",
    "The application of nodes of ours works on a call and does not come back: a long block, a migration or a dead lock",
    "1. Chain Halted, Quick Diagnosis 2",
    "SEV-1",
    strikes=_stuck,
    forbids=("start_node", "thaw_node"),
    signs="/status answers, /abci_info comes too late, often /consensus_state as well; the journal states no reason.",
    by_hand=(
        "curl -s -m 5 http://127.0.0.1:26657/status | jq -r .result.sync_info.latest_block_height   # answers",
        "curl -s -m 5 http://127.0.0.1:26657/abci_info; echo $?   # 28: no answer in time",
        "curl -s http://127.0.0.1:6060/debug/pprof/goroutine?debug=2 > goroutines.txt   # what it waits for",
    ),
    next="Take a goroutine dump of {hosts} and look whether it works or waits. Do not kill a migration.",
    decide="A long block ends by itself. Only where the dump shows a dead lock is one node restarted, by a person, to try.",
)
NODE_DEAD_FOR_REASON = Cause(
    "node_dead_for_reason",
    "nodes of ours fail for a stated reason",
    "Nodes of ours are dead, crash-looping or unable to vote for a reason that their journal states",
    "1. Chain Halted, Quick Diagnosis 4",
    "SEV-1",
    strikes=_other_reason,
    forbids=("start_node", "thaw_node"),
    signs="The rest: a handshake that failed, too many open files, a block that is called invalid, a "
    "conflicting vote of its own, evidence of double signing.",
    by_hand=("journalctl -u virtengine.service -n 100 --no-pager",),
    next="Cure the stated reason on {hosts} before any start.",
    decide="A restart does not cure the stated reason.",
)

CAUSES = (
    APP_HASH_DIVERGENCE,
    DIVERGED_AND_RESTARTED,
    APPLICATION_PANICS,
    CONSENSUS_FAILURE,
    BLOCK_NOT_EXECUTED,
    APPLICATION_STUCK,
    NODE_DEAD_FOR_REASON,
)
