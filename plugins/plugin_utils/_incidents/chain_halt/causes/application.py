# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes inside the node: consensus dead, a panic, a block that is not executed, an application that hangs."""

from __future__ import annotations

import re
import typing as t

from ...._chain.reading.state import refuses_block
from ...._chain.reading.types import DOWN, Node
from ...._path.verdict.cause import HOLDS, Finding, cannot_tell, refuted
from .context import NO_HOST, Halt, HaltCause, Unclear, current, quoted, reason_is, with_set

# What has no cause of its own: the journal's words are all there is.
_OTHER_REASONS = ("handshake_failed", "too_many_open_files", "invalid_block", "conflicting_vote", "panic")


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
        failed = bare or dead
        hosts = tuple(sorted(node.host for node in failed))
        rows = [row for row in halt.rows.values() if row.host in hosts]
        words = f"on {', '.join(hosts[:6])}: the process lives and answers, its consensus ended with CONSENSUS FAILURE"
        if bare and rows and reading.total > 0:
            return halt.judged(rows, words, hosts, held=True)
        known = "; the reason is known" if not bare else "; no voting power is lost by that"
        power = sum(row.power for row in rows)
        return Finding(
            HOLDS, words + known, power, hosts, True, explained=not bare, justifies=(), forbids=None if bare else ()
        )
    if halt.unread:
        return cannot_tell(f"the journal of {halt.unread}")
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


def _detect_consensus_failure(halt: Halt, node: Node) -> t.Optional[str]:
    """So that its power counts as held, beside the predicate above that says the rest."""
    bare = node.reason is not None and node.reason.kind == "consensus_failure" and node.state not in DOWN
    return quoted(node.reason.text, 120) if bare and node.reason is not None else None


def _panics(halt: Halt, node: Node) -> t.Optional[str]:
    """Executing a block ends in a panic: alive with the block stored and not executed, or dead at every start."""
    if node.reason is None or node.data is None:
        return None
    if node.reason.kind == "panic" and node.state in DOWN:
        return quoted(node.reason.text, 140) if _at_a_block(halt, node.reason.text) else None
    if node.reason.kind != "consensus_failure":
        return None
    height = node.data.rpc.status.integer("height")
    refused = f"block {height} is stored and not executed" if refuses_block(node.data.rpc) else None
    return f"{refused}: {quoted(node.reason.text, 140)}" if refused else None


def _block_not_executed(halt: Halt) -> Finding:
    """What every refusal of a block looks like from outside, whatever its reason: upgrade, halt height, panic, disk."""
    reading = halt.reading
    refusing = [
        view
        for view in reading.views
        if view.rpc.status.integer("height") == reading.height and refuses_block(view.rpc)
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
    whole = [view for view in reading.views if view.rpc.status.ok and view.rpc.abci_info.ok and view.rpc.consensus.ok]
    if not whole or halt.standing is None:
        return cannot_tell("the heights of chain and application on one node that stands still")
    if halt.unread:
        return cannot_tell(f"the heights of {halt.unread}")
    return refuted("those that answer have executed the newest block they stored")


def _at_a_block(halt: Halt, text: str) -> bool:
    """Whether a panic at a start is one of executing a block: it names the height that is being decided, or its call."""
    near = {str((halt.reading.height or 0) + more) for more in (0, 1)}
    return "FinalizeBlock" in text or "on replay" in text or bool(near & set(re.findall(r"\d+", text)))


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
    words = reason_is(node, (*_OTHER_REASONS, *(("consensus_failure",) if node.state in DOWN else ())))
    return f"{node.reason.kind.replace('_', ' ')}: {words}" if words else None


CONSENSUS_FAILURE = HaltCause(
    "consensus_failure",
    "alive, and its consensus is dead",
    "Nodes of ours run and answer, and their consensus has ended: they do not vote until they are started again",
    "1. Chain Halted, Quick Diagnosis 4",
    predicate=_consensus_failure,
    detect=_detect_consensus_failure,
    forbids=("start_node", "thaw_node"),
    signs="The journal has CONSENSUS FAILURE!!! of the present run; the process lives and answers, its height "
    "and round stand. A symptom wherever the journal says of what.",
    by_hand=(
        "journalctl -u virtengine.service --no-pager | grep -F 'CONSENSUS FAILURE!!!' | tail -1",
        "curl -s http://127.0.0.1:26657/consensus_state | jq -r '.result.round_state.\"height/round/step\"'   # twice: frozen",
    ),
    next="Read the CONSENSUS FAILURE line on {hosts} before anything is restarted: a restart runs into the same, and then "
    "nothing answers any more.",
    decide="The reason has to be found and removed on each node first: restarted with it still there, nodes that answered "
    "everything answer nothing. Many are restarted at once only where all consensus is dead and the reason is gone on each.",
)
APPLICATION_PANICS = HaltCause(
    "application_panics",
    "the application fails at a block",
    "The application of nodes of ours fails when it executes a block, and does so again at every start",
    "1. Chain Halted, Quick Diagnosis 4",
    detect=_panics,
    forbids=("start_node", "thaw_node"),
    signs="The newest block is stored and not executed (/status is one above /abci_info, step 8) on a node that "
    "lives, and its consensus failed for no other stated reason; or one that is down panics while it executes the "
    "block that is being decided.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/status | jq -r .result.sync_info.latest_block_height",
        "curl -s http://127.0.0.1:26657/abci_info | jq -r .result.response.last_block_height   # one lower, twice",
        "journalctl -u virtengine.service --no-pager | grep -E 'panic:|CONSENSUS FAILURE' | tail -3",
    ),
    next="Send the panic of {hosts} to the developers. Do not restart and do not roll back: the same block fails again.",
    decide="A binary that executes the block is needed, on more than two thirds of the power at the same height. A rollback "
    "changes nothing here: the block is stored and not executed. Once that binary is on each node, they may be started "
    "together; before, a start only ends what still answers.",
    message="The application fails at block {height} on our nodes. Does yours? Please do not restart or roll back; "
    "tell us the last lines of your log.",
)
BLOCK_NOT_EXECUTED = HaltCause(
    "block_not_executed",
    "a block is stored and not executed",
    "The newest block is decided and stored, and applications do not execute it",
    "1. Chain Halted, Quick Diagnosis 1",
    predicate=with_set(_block_not_executed),
    forbids=("start_node", "thaw_node"),
    signs="The chain stands, and /status is one block above /abci_info at step 8: what every refused block looks like "
    "from outside. A symptom where the journals of these hosts say why; from RPC alone it is all that can "
    "be said.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/status | jq -r .result.sync_info.latest_block_height",
        "curl -s http://127.0.0.1:26657/abci_info | jq -r .result.response.last_block_height   # one lower, twice",
        "curl -s http://127.0.0.1:26657/consensus_state | jq -r '.result.round_state.\"height/round/step\"'   # step 8",
    ),
    next="Look into the journals of the nodes: an upgrade that waits for its binary, a halt height, a panic or a full disk.",
    decide="From RPC alone the reason cannot be told: it may be an upgrade that is due, a halt that was agreed on, a "
    "panic or a disk. Nothing is restarted before that is known.",
    message="Block {height} is stored and not executed on nodes that we see. Please tell us the CONSENSUS FAILURE "
    "line of your log, and do not restart or roll back.",
)
APPLICATION_STUCK = HaltCause(
    "application_stuck",
    "the application does not come back",
    "The application of nodes of ours works on a call and does not come back: a long block, a migration or a deadlock",
    "1. Chain Halted, Quick Diagnosis 2",
    detect=_stuck,
    forbids=("start_node", "thaw_node"),
    signs="/status answers, /abci_info comes too late, often /consensus_state as well; the journal states no reason.",
    by_hand=(
        "curl -s -m 5 http://127.0.0.1:26657/status | jq -r .result.sync_info.latest_block_height   # answers",
        "curl -s -m 5 http://127.0.0.1:26657/abci_info; echo $?   # 28: no answer in time",
        "curl -s http://127.0.0.1:6060/debug/pprof/goroutine?debug=2 > goroutines.txt   # what it waits for",
    ),
    next="Take a goroutine dump of {hosts} and look whether it works or waits. Do not kill a migration.",
    decide="Operator decision: a long block ends by itself. Restart one node to try, only where the dump shows a deadlock.",
)
NODE_DEAD_FOR_REASON = HaltCause(
    "node_dead_for_reason",
    "nodes of ours fail for a stated reason",
    "Nodes of ours are dead, crash-looping or unable to vote for a reason that their journal states",
    "1. Chain Halted, Quick Diagnosis 4",
    detect=_other_reason,
    forbids=("start_node", "thaw_node"),
    signs="The rest: a handshake that failed, too many open files, a block that is called invalid, a "
    "conflicting vote of its own, a panic at a start that is not about a block.",
    by_hand=("journalctl -u virtengine.service -n 100 --no-pager",),
    next="Remove the stated reason on {hosts} before any start.",
    decide="A restart does not remove the stated reason.",
)

CAUSES = (
    APPLICATION_PANICS,
    CONSENSUS_FAILURE,
    BLOCK_NOT_EXECUTED,
    APPLICATION_STUCK,
    NODE_DEAD_FOR_REASON,
)
