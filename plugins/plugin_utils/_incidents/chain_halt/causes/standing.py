# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes that say it is no halt: blocks come, the chain waits for transactions, only our nodes are behind."""

from __future__ import annotations

from ...._chain.reading.state import LAG_BLOCKS
from ...._chain.reading.trust import SUPPORT
from ...._chain.reading.types import Reading
from ...._path.text import clean
from ...._path.verdict.cause import HOLDS, Finding, cannot_tell, refuted
from .context import Halt, HaltCause, lives_outside


def _not_halted(halt: Halt) -> Finding:
    reading = halt.reading
    if reading.height is None or reading.age_s is None:
        return cannot_tell("the newest block and its age: no RPC that counts answers")
    age = f"block {reading.height} is {int(reading.age_s)} s old"
    if halt.standing is False:
        return Finding(HOLDS, f"new blocks came between the looks, and {age}")
    if halt.standing is True:
        looks = "and no new one came between the looks" if reading.stands_still else "a second look has to confirm it"
        return refuted(f"the newest block on all that answer: {age}, the limit is {reading.threshold_s:.0f} s; {looks}")
    return cannot_tell(_undecided_age(reading, age))


def _undecided_age(reading: Reading, age: str) -> str:
    if reading.split:
        return "which chain is the true one: the nodes contradict each other (see the notes)"
    if reading.idle:
        return f"whether a block is due: {age}, and this chain makes none without transactions"
    if reading.moved and reading.movers == 0:
        return f"whether height {reading.height} is true: {SUPPORT} RPCs and a quorum's votes have to show it"
    if reading.moved:
        return f"a young block: heights grow, but {age}; old blocks are being caught up, or it begins to move"
    return f"a new block between two looks: {age}, the limit is {reading.threshold_s:.0f} s"


# Every step of CometBFT's consensus.
_STEPS = frozenset(range(1, 9))


def _idle_chain(halt: Halt) -> Finding:
    reading = halt.reading
    steps = {view.rpc.consensus.integer("step") for view in reading.views}
    if not reading.idle and halt.standing is not False and not steps & _STEPS:
        # Without a step nobody knows whether nodes wait to begin a block; votes that are there make it due all the same.
        return cannot_tell("whether a block is due: no RPC that counts shows a step of consensus")
    if not reading.idle and halt.standing is not False and steps & {1, 2}:
        return cannot_tell("whether a block is due: nodes wait to begin it, and votes for it are there")
    if not reading.idle:
        return refuted(
            "a block is due: the chain makes blocks without transactions, or votes for the next one are there"
        )
    if reading.age_s is None:
        return cannot_tell("whether blocks stopped coming: no clock says how old the newest one is")
    waiting = {
        node.host: node.data.rpc.mempool.integer("txs")
        for node in reading.nodes.values()
        if node.data is not None and node.chain_ok and node.data.rpc.mempool.ok
    }
    if not waiting:
        return cannot_tell("whether transactions wait: no RPC shows its mempool")
    full = [f"{clean(host, 40)} ({count})" for host, count in sorted(waiting.items()) if count]
    if full:
        return cannot_tell(f"why no block comes although transactions wait on {', '.join(full[:6])}")
    return Finding(HOLDS, "it makes no empty blocks, no transaction waits, and no vote for a next block is there")


def _node_behind(halt: Halt) -> Finding:
    """The network lives, and nodes of ours do not have its newest blocks."""
    reading = halt.reading
    if halt.standing is True:
        return refuted("no node, ours or outside, has a newer block")
    behind = sorted(
        node.host
        for node in reading.nodes.values()
        if node.height is not None and reading.height is not None and node.height < reading.height - LAG_BLOCKS
    )
    if reading.height is None or halt.standing is None:
        if reading.rpc_only:
            return cannot_tell(
                "whether the network makes blocks: no host of ours is looked at, and the RPCs do not show it"
            )
        return cannot_tell("whether the network makes blocks that ours do not have (set incident_reference_rpcs)")
    if behind and (lives_outside(reading) or reading.movers > 0):
        heights = ", ".join(f"{clean(host, 40)} at {reading.nodes[host].height}" for host in behind[:6])
        power = sum(row.power for row in reading.validators if row.host in behind)
        known = set(behind) <= halt.explained
        because = f"the chain is at {reading.height} and moves; {heights}" + ("; the reason is known" if known else "")
        return Finding(HOLDS, because, power, tuple(behind), symptom=known, explained=known)
    if behind:
        return cannot_tell(f"whether height {reading.height} is true: {SUPPORT} RPCs have to show it")
    return refuted("all nodes of ours that answer have the newest blocks")


NOT_HALTED = HaltCause(
    "not_halted",
    "not halted",
    "The chain is not halted",
    "1. Chain Halted, Quick Diagnosis 1",
    None,
    _not_halted,
    forbids=("start_node", "thaw_node", "relax_double_sign_check"),
    signs="Height and time of the newest block on every node that answers, in two looks. It holds when new "
    "blocks came between them and the newest is younger than the limit, and is refuted when that is older "
    "than the limit.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/status | jq '.result.sync_info | .latest_block_height, .latest_block_time'   # twice,"
        " ten seconds apart",
        "date -u",
    ),
)
IDLE_CHAIN = HaltCause(
    "idle_chain",
    "idle, waiting for transactions",
    "The chain makes no empty blocks and waits for transactions",
    "1. Chain Halted, Quick Diagnosis 1",
    None,
    _idle_chain,
    forbids=("start_node", "thaw_node", "relax_double_sign_check"),
    signs="create_empty_blocks is false, or nodes wait in step 2; nobody votes for a next block, and no mempool "
    "holds a transaction. Where transactions wait it cannot be told.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/num_unconfirmed_txs | jq -r .result.total   # 0 on every node",
        "grep -F create_empty_blocks ~virtengine/.virtengine/config/config.toml",
        "curl -s http://127.0.0.1:26657/consensus_state | jq -r '.result.round_state.\"height/round/step\"'   # step 1 or 2",
    ),
    next="Send a transaction of your own to prove that the chain works: a block has to come within seconds.",
)
NODE_BEHIND = HaltCause(
    "node_behind",
    "only nodes of ours are behind",
    "The network makes blocks, and nodes of ours do not have the newest ones: nodes out of sync, not a halt",
    "7. Node Out of Sync",
    "SEV-3",
    _node_behind,
    forbids=("start_node", "thaw_node", "relax_double_sign_check"),
    signs="Nodes of ours more than a few blocks below the newest height, while others of ours move, or two RPCs "
    "outside show new blocks with a quorum in their commits. On a chain that stands it is refuted.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/status | jq -c '.result.sync_info | [.latest_block_height, .catching_up]'   # twice",
        "curl -s REFERENCE/status | jq -r .result.sync_info.latest_block_height   # two RPCs of others",
    ),
    next="{hosts}: go on with runbook 7, Node Out of Sync.",
)

CAUSES = (NOT_HALTED, IDLE_CHAIN, NODE_BEHIND)
