# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guards of a halt's actions, as a whole, and the check just before a step. PRIVATE to the collection.

Guards stop a step; they never start one. A host that does not answer counts as lost here, whatever the verdict made of
its last vote.
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import replace

from ..._chain.guards import host, signer
from ..._chain.guards.case import NONE, Case
from ..._chain.peers import peerless
from ..._chain.reading.reading import read
from ..._chain.reading.types import DOWN, Node, Reading
from ..._chain.stated import consensus_failed
from ..._path.plan.guard import OPEN, REFUSED, Check, Guard, blocking, check, refused
from .actions import RELAX, RESTORE, START, STOP, THAW
from .causes import signing
from .remedies import disk_space, double_sign_check, reconnect_peers, stop, table, write_ahead_log
from .simulate_stop import stopped_now
from .verdict import of_reading

# What has to be so before each action. What a remedy changes is asked for beside the start that follows; a stop by what
# proves that the node takes no part, which depends on the reason (``stop_guards`` of each remedy).
GUARDS: t.Mapping[str, stop.Guards] = {
    START: (
        signer.address,
        signer.signer,
        signer.key_elsewhere,
        signer.no_equivocation,
        signer.votes_after_stop,
        signer.signing_state,
        signer.double_sign_check,
        host.other_process,
        host.unit,
        host.same_chain,
        host.same_binary,
        host.disk,
        write_ahead_log.log_is_there,
        host.journal,
    ),
    # It is the same process with its own memory, so nothing is loaded anew: what is asked is whether its key signed
    # elsewhere in the meantime, and whether it would vote at all.
    THAW: (
        signer.address,
        signer.signer,
        signer.key_elsewhere,
        signer.no_equivocation,
        signer.votes_after_freeze,
        signer.signing_state,
        host.other_process,
        host.journal,
    ),
    STOP: stop.GUARDS,
    **{action: change.guards for action, (_remedy, change) in table.CHANGES.items()},
    # It makes nothing run.
    RESTORE: (),
}

# Actions that bring a node back, and so voting power.
RESTORES_POWER = (START, THAW)

# With these a node may run and sign until a step stops it: its start is asked for as it would be after that stop.
_LIVES_ON = (reconnect_peers.MISSING_PEERS, disk_space.NO_SPACE)

# A node that is started dials its persistent peers at once, and one of them may take two tries.
DIALS_S = 20.0

_RUNS = ("voting", "not_voting", "running", "busy")

Step = dict[str, t.Any]
Plan = dict[str, t.Any]


def ask(action: str, case: Case) -> tuple[Guard, ...]:
    """What all guards of an action say."""
    remedy = table.remedy_of(case) if action == STOP else None
    guards = remedy.stop_guards if remedy is not None else GUARDS[action]
    return tuple(guard(case) for guard in guards)


def start_guards(case: Case, planned: t.Container[str] = NONE) -> tuple[Guard, ...]:
    """All guards of a start: one key on one machine, a signing state never behind its votes, a fit host.

    ``planned``: blockers that steps before it take away. Without them only what the evidence shows counts.
    """
    return ask(START, replace(case, removed=table.removed(case, planned)))


def start_after_stop(case: Case, planned: t.Container[str] = NONE) -> tuple[Guard, ...]:
    """All guards of the start that follows a stop; arguments as of ``start_guards``.

    A node that answers shows blocks, and one that takes some part votes, that nobody may show once it is stopped. So its
    start is asked for on the evidence without it: else it would be stopped and then not be started. None is open then:
    nobody stops such a node on a question.
    """
    node, reading, stands_at = case.node, case.reading, case.stands_at
    if node.state in DOWN:
        return start_guards(case, planned)
    after = read(stopped_now(reading.bundle, node.host))
    blind = after.chain_id != reading.chain_id or after.height is None or after.height < (stands_at or 0) or after.split
    if blind or (node.in_set and not signer.shows_votes(after)):
        why = (
            f"Once {node.host} is stopped, no other node of ours shows block {stands_at} and the votes after it: its start "
            "could not be checked."
        )
        return (refused("block", why),)
    remedy, then = table.remedy_of(case), after.nodes[node.host]
    if consensus_failed(case.data) or remedy is None or remedy.blocker not in _LIVES_ON or then.data is None:
        return start_guards(case, planned)
    # What it shows itself may be one of two votes in one place.
    guards = (signer.no_equivocation(case), *start_guards(Case(after, then, then.data, stands_at), planned))
    return tuple(replace(guard, state=REFUSED) if guard.state == OPEN else guard for guard in guards)


def scope(chain_id: str) -> str:
    """What a run that acts on this chain locks."""
    return f"chain:{chain_id}"


def check_step(bundle: dict[str, t.Any], plan: Plan, step: Step) -> Check:
    """Whether ``step`` of the approved ``plan`` may be taken now, from a look that is seconds old.

    Its impact counts what does not answer as lost. Where a block has to come after the step it gives ``block_above``, the
    newest block now, and ``rpc``, where the host is asked for it.
    """
    reading = read(bundle)
    (name,) = step["hosts"]
    node = reading.nodes.get(name)
    impact = _impact(reading, step)
    say = functools.partial(check, impact=impact)
    if node is None or node.data is None or not node.ok:
        return say(wait=node is not None, because=f"{name} does not answer.")
    if unfit := _unfit(reading, node, plan, step):
        return say(because=unfit)
    # What holds back a plan holds back what is left of one: a clone may have come up since.
    if step["action"] != RESTORE and (stopped_by := signing.stops_automation(reading, of_reading(reading))):
        return say(because=stopped_by)
    stands_at = plan["basis"]["height"]
    moving = reading.height is not None and stands_at is not None and reading.height > stands_at
    case = Case(reading, node, node.data, stands_at, moving=moving)
    needed, because = _needed(case, step["action"])
    if needed is not True:
        # A node that is busy for a moment is looked at again before anything is made of it.
        wait = needed is None and node.state == "busy" and _of_remedy(step["action"])
        return say(needed=needed is None, wait=wait, because=because)
    waiting = _not_yet(case, plan, step) or _live_guard(case, plan, step)
    if waiting is not None:
        return say(wait=waiting[0], because=waiting[1])
    guards = _guards_of(case, plan, step)
    if stops := blocking(guards, step["overrides"]):
        return say(because=" ".join(guard.because for guard in stops), guards=guards)
    return say(
        ok=True,
        because="No guard refuses it." if step["overrides"] else "All guards are clear.",
        guards=guards,
        give=_block_to_come(case) if _block_is_due(case, plan, step) else {},
    )


def _guards_of(case: Case, plan: Plan, step: Step) -> tuple[Guard, ...]:
    """The guards of a step: its own and, where a start follows on the same host, those of that start.

    What is changed before a start, and a stop before it, is done only where the start itself would be clear then.
    """
    action = step["action"]
    if action in (RESTORE, THAW):
        return ask(action, case)
    ahead = [other for other in plan["steps"] if other["hosts"] == step["hosts"] and other["number"] >= step["number"]]
    planned = {table.CHANGES[other["action"]][0].blocker for other in ahead if other["action"] in table.CHANGES}
    if action != STOP:
        own = ask(action, replace(case, approved=step["parameters"])) if action != START else ()
        return (*own, *start_guards(case, planned))
    # A node that is stopped and cannot be started again has lost its evidence for nothing.
    changes = [
        guard
        for other in ahead
        if other["action"] in table.CHANGES
        for guard in ask(other["action"], replace(case, stopping=True, approved=other["parameters"]))
    ]
    return (*ask(STOP, case), *changes, *start_after_stop(case, planned))


def _of_remedy(action: str) -> bool:
    """Whether it stops a node or takes its reason away; a start and what only prepares it is asked for otherwise."""
    return action == STOP or (action in table.CHANGES and action != RELAX)


def _needed(case: Case, action: str) -> tuple[bool | None, str]:
    """True: still to be done. False: done already. None: the host is in a state that the plan was not made for."""
    node, name = case.node, case.host
    if _of_remedy(action):
        return _remedy_needed(case, action)
    if action == RESTORE:
        return not table.BEFORE_START.blocks(case), f"double_sign_check_height on {name} is restored."
    if node.state in _RUNS:
        return False, f"The node on {name} already runs."
    if action == THAW:
        frozen = node.state == "frozen"
        return True if frozen else None, f"The process on {name} is no longer frozen: {node.state}."
    if node.state not in DOWN:
        return None, f"The node on {name} is no longer down: {node.state}."
    relaxed = action == RELAX and double_sign_check.CHANGE.is_done(case)
    return not relaxed, double_sign_check.CHANGE.done.format(host=name)


def _remedy_needed(case: Case, action: str) -> tuple[bool | None, str]:
    node, name, remedy = case.node, case.host, table.remedy_of(case)
    if action == STOP and remedy is not None and remedy.blocker == reconnect_peers.MISSING_PEERS:
        return True, ""
    if node.state == "voting":
        return False, f"The validator on {name} votes again."
    runs = node.state in ("not_voting", "running")
    if not runs and node.state not in DOWN:
        return None, f"What the node on {name} does cannot be told: {node.state} ({node.detail})."
    if runs and remedy is None:
        still = " It has no peer yet, and is left to dial by itself." if peerless(node) else ""
        return False, f"The node on {name} runs, and the reason that the plan was made for is gone.{still}"
    if runs and case.moving and remedy is not None and remedy.heals:
        return False, remedy.heals.format(host=name)
    if action != STOP:
        change = table.CHANGES[action][1]
        return not change.is_done(case), change.done.format(host=name)
    if stop.is_up(case) is False:
        return False, f"The node on {name} is stopped."
    if remedy is None:
        return None, f"The node on {name} is down for another reason: {node.detail}."
    return True, ""


def _unfit(reading: Reading, node: Node, plan: Plan, step: Step) -> str | None:
    """Why this is no longer the chain and the host that the step was made for, or None."""
    address = step["parameters"]["address"]
    if not node.target:
        return f"{node.host} is no host that this run may act on."
    if address is not None and address != node.address:
        return f"{node.host} no longer holds the key of {address}."
    return _basis_changed(reading, plan)


def _basis_changed(reading: Reading, plan: Plan) -> str | None:
    """Why the plan is not for the chain that is seen now, or None. That it moved on is no change."""
    height, block = plan["basis"]["height"], plan["basis"]["last_block_hash"]
    if reading.chain_id is None or reading.height is None:
        return "No node shows the chain any more."
    if reading.split:
        return "The nodes show two different blocks at one height. Nothing may be done on that."
    if scope(reading.chain_id) not in plan["scopes"]:
        return f"The chain is now {reading.chain_id}, the plan was made for {plan['subject']}."
    if reading.height < height:
        return f"The newest block is now {reading.height}, the plan was made at {height}."
    hashes = {reading.last_block_hash} if reading.height == height else _hashes_at(reading, height)
    other = sorted(digest for digest in hashes if digest and block and digest != block)
    if other:
        return f"Block {height} is now {other[0]}, the plan was made for {block}."
    return None


def _hashes_at(reading: Reading, height: int) -> set[str | None]:
    hashes: set[str | None] = set()
    for node in reading.nodes.values():
        commits = node.data.rpc.commits.mappings("commits") if node.data is not None and node.chain_ok else []
        hashes.update(commit.text("block_hash") for commit in commits if commit.integer("height") == height)
    return hashes


def _restarted_before(plan: Plan, step: Step) -> list[Step]:
    """The steps before this one that bring a node back, on other hosts."""
    return [
        other
        for other in plan["steps"]
        if other["number"] < step["number"] and other["action"] in RESTORES_POWER and other["hosts"] != step["hosts"]
    ]


def _live_guard(case: Case, plan: Plan, step: Step) -> tuple[bool, str] | None:
    """On a chain that moves: why the step must not be taken now, and whether waiting helps; None where it may be.

    A plan dies with its incident: a chain that moves before the plan brought anything back was mended by somebody else.
    After that one validator of ours joins at a time: the one before must vote.
    """
    if not case.moving or step["action"] == RESTORE:
        return None
    if step["action"] != STOP and [STOP, case.host] in plan.get("begun", ()):
        # This plan stopped it: it is not left down, whoever made the chain move.
        return None
    earlier = _restarted_before(plan, step)
    if not earlier:
        return False, "The chain moves again, and no step of this plan did that. Diagnose again."
    voting = {row.address for row in case.reading.validators if row.state == "voting"}
    for other in earlier:
        if other["parameters"]["address"] not in (None, *voting):
            return (
                True,
                f"The validator on {other['hosts'][0]} was started before and does not vote yet. One joins at a time.",
            )
    return None


def _not_yet(case: Case, plan: Plan, step: Step) -> tuple[bool, str] | None:
    """Why a node is not stopped now to reconnect its peers, and whether waiting helps; None where nothing speaks against."""
    remedy = table.remedy_of(case) if step["action"] == STOP else None
    if remedy is None or remedy.blocker != reconnect_peers.MISSING_PEERS:
        return None
    restarted = sorted(other["hosts"][0] for other in _restarted_before(plan, step))
    for name in restarted:
        data = case.reading.nodes[name].data if name in case.reading.nodes else None
        at = data.unit.time("started_at") if data is not None else None
        if data is not None and at is not None and data.now is not None and abs(data.now - at) < DIALS_S:
            return True, f"{name} was started a moment ago: what it dials is seen first."
    down = reconnect_peers.down_beside(case)
    return (set(down) <= set(restarted), reconnect_peers.held_by(down)) if down else None


def _block_to_come(case: Case) -> dict[str, t.Any]:
    return {"block_above": case.reading.height, "rpc": case.data.paths.text("rpc")}


def _block_is_due(case: Case, plan: Plan, step: Step) -> bool:
    """Whether a block has to come after the step: the chain moves, or the plan has quorum back, and nobody to reconnect."""
    if step["action"] not in RESTORES_POWER:
        return False
    later = (other for other in plan["steps"] if other["number"] > step["number"])
    to_reconnect = any(other["action"] == STOP and other["parameters"].get("reconnect") for other in later)
    return case.moving or (step["impact"]["after"] >= step["impact"]["needed"] and not to_reconnect)


def _impact(reading: Reading, step: Step) -> dict[str, t.Any]:
    online = sum(row.power for row in reading.validators if row.state == "voting")
    row = next((row for row in reading.validators if row.address == step["parameters"]["address"]), None)
    change = 0
    if row is not None and step["action"] in RESTORES_POWER and row.state != "voting":
        change = row.power
    elif row is not None and step["action"] == STOP and row.state == "voting":
        change = -row.power
    return {**step["impact"], "before": online, "after": online + change, "needed": reading.quorum}
