# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guards of a halt's actions, as a whole, and the check just before a step. PRIVATE to the collection.

Guards stop a step; they never start one. A host that does not answer counts as lost here, whatever the verdict made of
its last vote.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards import host as host_guards
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards import signer as signer_guards
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards.signer import OPEN, REFUSED, Guard
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.reading import read
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import DOWN, Node, Reading
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import (
    guards_remedies as cure_guards,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import reconnect as redial
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import remedies as cures_
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.simulate_stop import stopped_now

START = "start_node"
THAW = "thaw_node"
RELAX = "relax_double_sign_check"
RESTORE = "restore_double_sign_check"
STOP = cure_guards.STOP
CLEAR_HALT = cure_guards.CLEAR_HALT
PUT_WAL = cure_guards.PUT_WAL
FREE = cure_guards.FREE

# Which reason against a start a step takes away before it.
REMOVES = {
    RELAX: cures_.DOUBLE_SIGN_CHECK,
    CLEAR_HALT: cures_.HALT_HEIGHT,
    PUT_WAL: cures_.WAL_MISSING,
    FREE: cures_.NO_SPACE,
}

# Actions that bring a node back, and so voting power.
BRINGING = (START, THAW)

# With these a node may run and sign until a step stops it: its start is asked for as it would be after that stop.
_LIVES_ON = (cures_.PEERS_AWAY, cures_.NO_SPACE)

# A node that is started dials its persistent peers at once, and one of them may take two tries.
DIALS_S = 20.0

_RUNS = ("voting", "not_voting", "running", "busy")

Step = dict[str, t.Any]
Plan = dict[str, t.Any]
Check = dict[str, t.Any]


def start_guards(
    reading: Reading, node: Node, cures: frozenset[str] = cures_.NONE, stands_at: int | None = None
) -> tuple[Guard, ...]:
    """All guards of a start of ``node``: one key on one machine, a signing state never behind its votes, a fit host.

    ``cures``: reasons against the start that steps before it take away (the values of REMOVES). Without them only what
    the evidence shows counts. ``stands_at``: the height of the plan, if it is not the newest block. Without evidence of
    the host there is one guard, and it is open.
    """
    data = node.data
    if data is None:
        return (_unseen(node),)
    gone = cures_.cured(reading, node, data, cures, reading.height if stands_at is None else stands_at)
    return (
        signer_guards.address(node, data),
        signer_guards.signer(node, data),
        signer_guards.key_elsewhere(reading, node),
        signer_guards.one_vote(reading, node),
        signer_guards.votes_after_stop(reading, node, data),
        signer_guards.signing_state(reading, node, data),
        signer_guards.double_sign_check(node, data, cures_.DOUBLE_SIGN_CHECK in cures),
        host_guards.other_process(node, data),
        host_guards.unit(node, data),
        host_guards.same_chain(reading, node, data),
        host_guards.same_binary(reading, node, data),
        host_guards.disk(node, data, cures_.NO_SPACE in cures),
        cures_.log_guard(reading, node, data, gone),
        host_guards.journal(reading, node, data, gone),
    )


def start_after_stop(
    reading: Reading, node: Node, cures: frozenset[str] = cures_.NONE, stands_at: int | None = None
) -> tuple[Guard, ...]:
    """All guards of the start that follows a stop of ``node``; arguments as of ``start_guards``.

    A node that answers shows blocks, and one that takes some part votes, that nobody may show once it is stopped. So its
    start is asked for on the evidence without it: else it would be stopped and then not be started. None is open then:
    nobody stops such a node on a question.
    """
    data = node.data
    if data is None or node.state in DOWN:
        return start_guards(reading, node, cures, stands_at)
    after = read(stopped_now(reading.bundle, node.host))
    stands_at = reading.height if stands_at is None else stands_at
    blind = after.chain_id != reading.chain_id or after.height is None or after.height < (stands_at or 0) or after.split
    if blind or (node.in_set and not signer_guards.shows_votes(after)):
        why = (
            f"Once {node.host} is stopped, no other node of ours shows block {stands_at} and the votes after it: its start "
            "could not be checked."
        )
        return (Guard("block", REFUSED, why),)
    if signer_guards.consensus_failed(data) or cures_.ailment(reading, node) not in _LIVES_ON:
        return start_guards(reading, node, cures, stands_at)
    # What it shows itself may be one of two votes in one place.
    found = (signer_guards.one_vote(reading, node), *start_guards(after, after.nodes[node.host], cures, stands_at))
    return tuple(replace(guard, state=REFUSED) if guard.state == OPEN else guard for guard in found)


def thaw_guards(reading: Reading, node: Node) -> tuple[Guard, ...]:
    """All guards of letting a frozen process go on.

    It is the same process with its own memory, so nothing is loaded anew: what is asked is whether its key signed
    elsewhere in the meantime, and whether it would vote at all.
    """
    data = node.data
    if data is None:
        return (_unseen(node),)
    return (
        signer_guards.address(node, data),
        signer_guards.signer(node, data),
        signer_guards.key_elsewhere(reading, node),
        signer_guards.one_vote(reading, node),
        signer_guards.votes_after_freeze(reading, node, data),
        signer_guards.signing_state(reading, node, data),
        host_guards.other_process(node, data),
        host_guards.journal(reading, node, data),
    )


def blocking(guards: t.Iterable[Guard], taken_over: t.Container[str] = ()) -> list[Guard]:
    """The guards that stand in the way; what is shown comes before what cannot be excluded.

    ``taken_over``: keys of open guards that a person has taken over with break-glass. What is shown stays refused.
    """
    guards = list(guards)
    return [guard for guard in guards if guard.state == REFUSED] + [
        guard for guard in guards if guard.state == OPEN and guard.key not in taken_over
    ]


def check_step(bundle: dict[str, t.Any], plan: Plan, step: Step) -> Check:
    """Whether ``step`` of the approved ``plan`` may be taken now, from a look that is seconds old.

    ``plan`` may say under ``begun`` which of its steps runs began, as [action, host].

    Returns ``ok`` (take it), ``needed`` (False: already done, pass over it), ``wait`` (True: not now, but a later look
    may allow it), ``because`` (a sentence), ``guards``, ``power`` (before and after; unreachable counts as lost),
    ``moving`` (the chain went on from the plan's height) and ``height`` (newest block now, or None).
    """
    reading = read(bundle)
    node = reading.nodes.get(step["host"])
    moving = reading.height is not None and plan["height"] is not None and reading.height > plan["height"]
    result: Check = {
        "ok": False,
        "needed": True,
        "wait": False,
        "because": "",
        "guards": [],
        "power": _power(reading, step),
        "moving": moving,
        "height": reading.height,
    }
    if node is None or node.data is None or not node.ok:
        return dict(result, wait=node is not None, because=f"{step['host']} does not answer.")
    unfit = _unfit(reading, node, plan, step)
    if unfit:
        return dict(result, because=unfit)
    needed, because = _needed(reading, node, step, moving, plan["height"])
    if needed is not True:
        # A node that is busy for a moment is looked at again before anything is made of it.
        wait = needed is None and node.state == "busy" and step["action"] in cure_guards.ACTIONS
        return dict(result, needed=needed is None, wait=wait, because=because)
    waiting = _not_yet(reading, node, plan, step) if step["action"] == STOP else None
    if waiting is not None:
        return dict(result, wait=waiting[0], because=waiting[1])
    live = _live_guard(reading, plan, step) if moving and step["action"] != RESTORE else None
    if live is not None:
        return dict(result, wait=live[0], because=live[1])
    guards = _guards_of(reading, node, plan, step, moving)
    result["guards"] = [{"name": guard.name, "state": guard.state, "because": guard.because} for guard in guards]
    stops = blocking(guards, step["taken_over"])
    if stops:
        return dict(result, because=" ".join(guard.because for guard in stops))
    return dict(result, ok=True, because="All guards are clear." if not step["break_glass"] else "No guard refuses it.")


def _guards_of(reading: Reading, node: Node, plan: Plan, step: Step, moving: bool) -> tuple[Guard, ...]:
    """The guards of an action. Putting back what the plan changed has none: it makes nothing run.

    What takes a reason against the start away, and a stop before it, is done only where the start itself would be clear
    then.
    """
    action, stands_at = step["action"], plan["height"]
    if action == RESTORE:
        return ()
    if action == THAW:
        return thaw_guards(reading, node)
    still = _still_to_come(plan, step)
    of_start = (start_after_stop if action == STOP else start_guards)(reading, node, still, stands_at)
    if action == STOP:
        # A node that is stopped and cannot be started again has lost its evidence for nothing.
        cures = [
            guard
            for other in plan["steps"]
            if other["host"] == step["host"] and other["number"] > step["number"]
            for guard in _cure_guards(reading, node, other, stands_at, stopping=True)
        ]
        return (*cure_guards.stop_guards(reading, node, moving), *cures, *of_start)
    return (*_cure_guards(reading, node, step, stands_at), *of_start)


def _cure_guards(
    reading: Reading, node: Node, step: Step, stands_at: int | None, stopping: bool = False
) -> tuple[Guard, ...]:
    """The guards of what this step cures; none for other steps."""
    if step["action"] == CLEAR_HALT:
        return cure_guards.clear_guards(reading, node, stands_at, stopping, step.get("expected", {}))
    if step["action"] == PUT_WAL:
        return cure_guards.put_guards(reading, node, stands_at, stopping)
    if step["action"] == FREE:
        return cure_guards.free_guards(reading, node, stopping)
    return ()


def _still_to_come(plan: Plan, step: Step) -> frozenset[str]:
    """The reasons against a start that this step and those after it take away on the same host."""
    return frozenset(
        REMOVES[other["action"]]
        for other in plan["steps"]
        if other["host"] == step["host"] and other["number"] >= step["number"] and other["action"] in REMOVES
    )


def _needed(reading: Reading, node: Node, step: Step, moving: bool, stands_at: int | None) -> tuple[bool | None, str]:
    """True: still to be done. False: done already. None: the host is in a state that the plan was not made for."""
    action, host = step["action"], node.host
    if action in cure_guards.ACTIONS and node.data is not None:
        return cure_guards.needed(reading, node, node.data, action, moving, stands_at)
    if action == RESTORE:
        relaxed = node.data is None or not signer_guards.needs_relaxing(node, node.data)
        return relaxed, f"double_sign_check_height on {host} is back."
    if node.state in _RUNS:
        return False, f"The node on {host} already runs."
    if action == THAW:
        return (
            (True, "")
            if node.state == "frozen"
            else (None, f"The process on {host} is no longer frozen: {node.state}.")
        )
    if node.state not in DOWN:
        return None, f"The node on {host} is no longer down: {node.state}."
    if action == RELAX and node.data is not None and node.data.setting("double_sign_check_height") == 0:
        return False, f"double_sign_check_height on {host} is already 0."
    return True, ""


def _unfit(reading: Reading, node: Node, plan: Plan, step: Step) -> str | None:
    """Why this is no longer the chain and the host that the step was made for, or None."""
    if not node.target:
        return f"{node.host} is no host that this run may act on."
    if step["address"] is not None and step["address"] != node.address:
        return f"{node.host} no longer holds the key of {step['address']}."
    return _world_changed(reading, plan)


def _world_changed(reading: Reading, plan: Plan) -> str | None:
    """Why the plan is not for the chain that is seen now, or None. That it moved on is no change."""
    if reading.chain_id is None or reading.height is None:
        return "No node shows the chain any more."
    if reading.split:
        return "The nodes show two different blocks at one height. Nothing may be done on that."
    if reading.chain_id != plan["chain_id"]:
        return f"The chain is now {reading.chain_id}, the plan was made for {plan['chain_id']}."
    if reading.height < plan["height"]:
        return f"The newest block is now {reading.height}, the plan was made at {plan['height']}."
    hashes = {reading.last_block_hash} if reading.height == plan["height"] else _hashes_at(reading, plan["height"])
    other = sorted(found for found in hashes if found and plan["last_block_hash"] and found != plan["last_block_hash"])
    if other:
        return f"Block {plan['height']} is now {other[0]}, the plan was made for {plan['last_block_hash']}."
    return None


def _hashes_at(reading: Reading, height: int) -> set[str | None]:
    found: set[str | None] = set()
    for node in reading.nodes.values():
        commits = node.data.rpc.commits.mappings("commits") if node.data is not None and node.chain_ok else []
        found.update(commit.text("block_hash") for commit in commits if commit.integer("height") == height)
    return found


def _live_guard(reading: Reading, plan: Plan, step: Step) -> tuple[bool, str] | None:
    """On a chain that moves: why the step must not be taken now, and whether waiting helps; None where it may be.

    A plan dies with its incident: a chain that moves before the plan brought anything back was cured by somebody else.
    After that one validator of ours joins at a time: the one before must vote.
    """
    voting = {row.address for row in reading.validators if row.state == "voting"}
    if step["action"] != STOP and [STOP, step["host"]] in plan.get("begun", []):
        # This plan stopped it: it is not left down, whoever made the chain move.
        return None
    earlier = [
        other
        for other in plan["steps"]
        if other["number"] < step["number"] and other["action"] in BRINGING and other["host"] != step["host"]
    ]
    if not earlier:
        return False, "The chain moves again, and no step of this plan did that. Diagnose again."
    for other in earlier:
        if other["address"] is not None and other["address"] not in voting:
            return (
                True,
                f"The validator on {other['host']} was started before and does not vote yet. One joins at a time.",
            )
    return None


def _not_yet(reading: Reading, node: Node, plan: Plan, step: Step) -> tuple[bool, str] | None:
    """Why a node is not stopped for new dials now, and whether waiting helps; None where nothing speaks against it."""
    if cures_.ailment(reading, node) != cures_.PEERS_AWAY:
        return None
    started = {
        other["host"] for other in plan["steps"] if other["number"] < step["number"] and other["action"] in BRINGING
    }
    for host in sorted(started - {step["host"]}):
        data = reading.nodes[host].data if host in reading.nodes else None
        at = data.unit.time("started_at") if data is not None else None
        if data is not None and at is not None and data.now is not None and abs(data.now - at) < DIALS_S:
            return True, f"{host} was started a moment ago: what it dials is seen first."
    down = [] if redial.signs_nothing(reading, node) else redial.down_beside(reading, node)
    if down:
        return set(down) <= started, redial.held_by(down)
    return None


def _power(reading: Reading, step: Step) -> dict[str, int]:
    online = sum(row.power for row in reading.validators if row.state == "voting")
    row = next((row for row in reading.validators if row.address == step["address"]), None)
    brings = 0
    if row is not None and step["action"] in BRINGING and row.state != "voting":
        brings = row.power
    elif row is not None and step["action"] == STOP and row.state == "voting":
        brings = -row.power
    return {
        "total": reading.total,
        "quorum": reading.quorum,
        "online_before": online,
        "online_after": online + brings,
    }


def _unseen(node: Node) -> Guard:
    return Guard("observed", OPEN, f"{node.host} did not answer, so nothing on it could be checked.")
