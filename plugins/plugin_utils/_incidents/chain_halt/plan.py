# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a halt: start what is stopped, thaw what is frozen, remedy what can be, leave the rest alone. PRIVATE.

Order: sentries and full nodes first, so that a validator finds peers; then validators, the most power first; and last
what runs and has to reconnect its peers. A node whose vote is heard is never touched: it holds this height's votes in
memory. A node that runs is restarted only where steps take its reason away (``remedies``): else its evidence would be lost,
and it comes up with the same fault.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ..._chain.guards.case import Case, row_of
from ..._chain.peers import reachable_peers
from ..._chain.reading.reading import read
from ..._chain.reading.types import Node, Reading, ValidatorRow
from ..._path.plan.guard import CLEAR, Guard
from . import builder, guards
from .actions import START, STOP, THAW
from .causes import signing
from .messages import messages
from .remedies import halt_height, reconnect_peers, stop, table
from .remedies.remedy import Remedy, Texts, start_texts, what

Data = dict[str, t.Any]

_ACTION_FOR = {"stopped": START, "crashed": START, "frozen": THAW}

_LEFT_ALONE = {
    "unreachable": "It cannot be reached. Look at the machine itself. Never start its key on another machine.",
    "busy": "The process runs and is silent: it may replay blocks, migrate or wait for its disk. Wait, do not restart "
    "it.",
    "not_voting": "It runs and does not vote. A restart would lose its evidence. Find the reason first.",
    "unknown": "What it is doing cannot be told, so nothing is done to it.",
}
_STATED = "Its journal states the reason ({0}). A restart does not remove that, and would lose its evidence."
_AFTER_THAW = (
    "Only if the thaw fails. Then stop the frozen process by hand, see that it is gone, and diagnose again: the start is "
    "a plan of its own."
)


def plan(bundle: Data, verdict: Data, break_glass_reason: str | None) -> Data:
    """The draft of the plan that ``verdict`` (made from ``bundle``) justifies; the same evidence gives the same one.

    Steps come only from a confirmed halt, only on hosts of the target, and only where all guards are clear.
    ``break_glass_reason``: why the operator goes on where a guard cannot exclude harm; one that shows harm holds all the
    same. ``decision`` is the operator decision that is left: why there are no steps, or what the steps do not reach.
    """
    reading = read(bundle)
    built = builder.Builder(reading, verdict, bool(break_glass_reason))
    notes: list[Data] = []
    if verdict["status"] == "incident" and verdict["confirmed"]:
        if signing.stops_automation(reading, verdict) is None:
            _fill(built)
        notes = messages(reading, verdict["causes"])
    return {
        "scopes": [guards.scope(reading.chain_id)] if reading.chain_id is not None else [],
        "basis": {"height": reading.height, "last_block_hash": reading.last_block_hash},
        "steps": built.steps,
        "put_back": built.put_back,
        "stopped_by": signing.stops_automation(reading, verdict),
        "withheld": built.withheld,
        "messages": notes,
        "decision": _decision(reading, verdict, built, notes),
    }


class _Host(t.NamedTuple):
    node: Node
    row: ValidatorRow | None
    case: Case | None
    remedy: Remedy | None

    @property
    def reconnects(self) -> bool:
        return self.remedy is not None and self.remedy.blocker == reconnect_peers.MISSING_PEERS


def _fill(built: builder.Builder) -> None:
    """Add the steps, and what is withheld with the reason for each."""
    for host in sorted((_host(built.reading, node) for node in built.reading.nodes.values()), key=_order):
        node, action = host.node, _ACTION_FOR.get(host.node.state)
        if host.case is not None and host.remedy is not None:
            _remedy(built, host.case, host.remedy)
        elif host.case is not None and action is not None:
            _bring_back(built, host.case, action)
        elif host.row is not None and node.state in _LEFT_ALONE:
            stated = node.reason.kind.replace("_", " ") if node.reason is not None else None
            built.withhold(node, START, _STATED.format(stated) if stated else _LEFT_ALONE[node.state])
    built.restore()


def _host(reading: Reading, node: Node) -> _Host:
    case = Case(reading, node, node.data, reading.height) if node.data is not None else None
    return _Host(node, row_of(reading, node), case, table.remedy_of(case) if case is not None else None)


def _order(host: _Host) -> tuple[bool, bool, int, str]:
    """What is down comes back before a node is stopped to reconnect its peers; of those a validator comes last, for others
    may dial it.
    """
    row = host.row
    return (host.reconnects, row is not None, -row.power if row is not None else 0, host.node.host)


def _bring_back(built: builder.Builder, case: Case, action: str) -> None:
    """Start what is down, thaw what is frozen."""
    reason = builder.not_for_us(case, built.taken)
    if reason:
        built.withhold(case.node, action, reason)
        return
    relaxing = action == START and table.BEFORE_START.blocks(case)
    planned = {table.BEFORE_START.blocker} if relaxing else set()
    asked = guards.ask(THAW, case) if action == THAW else guards.start_guards(case, planned)
    weighed = built.weigh(case, (action,), asked)
    if weighed.why is not None:
        built.withhold(case.node, action, weighed.why, weighed.break_glass)
        return
    if relaxing:
        built.relax(case, weighed.keys)
    built.add(action, case, weighed.worded(_texts(action, case)), weighed.keys)
    if action == THAW:
        built.withhold(case.node, START, _AFTER_THAW)


def _texts(action: str, case: Case) -> Texts:
    kind, node = what(case), case.node
    if action == START:
        return start_texts(case, f"{case.host} is {kind} and is {node.state} ({node.detail}).")
    return Texts(
        f"{case.host} is {kind} and its process is frozen. The same process goes on where it was.",
        "None is needed: nothing is changed, the process goes on.",
        "If it does not run afterwards, the run stops and nothing more is done.",
    )


def _remedy(built: builder.Builder, case: Case, remedy: Remedy) -> None:
    """Add the steps of a remedy, or what is withheld and why.

    The steps of one host follow each other, so that a run that is killed leaves a tail of its plan.
    """
    reconnects = remedy.blocker == reconnect_peers.MISSING_PEERS
    # Of a full node that lacks a peer which nobody reaches nothing is said.
    if reconnects and not (built.about_peers and (case.row is not None or reachable_peers(case.node))):
        return
    change = remedy.change if remedy.change is not None and not remedy.change.is_done(case) else None
    stopping = stop.is_up(case) is not False
    actions = [*([STOP] if stopping else []), *([change.action] if change is not None else []), START]
    named = change.action if change is not None else STOP if reconnects and stopping else START
    reason = builder.not_for_us(case, built.taken, unheard=reconnects)
    if reason is None and reconnects and stopping:
        down = [host for host in reconnect_peers.down_beside(case) if host not in built.restarted]
        reason = reconnect_peers.held_by(down) if down else None
    if reason:
        built.withhold(case.node, named, reason)
        return
    relaxing = table.BEFORE_START.blocks(case)
    # What only prepares the start of a node that is down is asked for where the start is. A stop is asked for by name.
    weighed = built.weigh(case, actions if stopping else [START], _guards(case, remedy, actions, relaxing))
    if weighed.why is not None:
        built.withhold(case.node, named, weighed.why, weighed.break_glass)
        return
    if stopping:
        built.add(STOP, case, weighed.worded(remedy.stop_texts(case)), weighed.keys, **remedy.stop_parameters)
    if change is not None:
        built.add(change.action, case, weighed.worded(change.texts(case)), weighed.keys, **change.parameters(case))
    if relaxing:
        built.relax(case, weighed.keys)
    why = f"{case.host} is {what(case)}. It starts {remedy.starts} and takes part again."
    built.add(START, case, weighed.worded(start_texts(case, why)), weighed.keys)


def _guards(case: Case, remedy: Remedy, actions: t.Sequence[str], relaxing: bool) -> list[Guard]:
    """All guards of all these steps, as if each step before had been taken."""
    stopping = STOP in actions
    asked = [*guards.ask(STOP, case)] if stopping else []
    planned = {table.BEFORE_START.blocker} if relaxing else set()
    if remedy.change is not None and remedy.change.action in actions:
        asked += guards.ask(remedy.change.action, replace(case, stopping=stopping))
        planned.add(remedy.blocker)
    elif remedy is halt_height.REMEDY:
        # A halt that nobody called over is that also where its height is cleared already.
        asked.append(halt_height.is_over(case))
    # The journal of a halt that is not called over would only say the same again.
    if remedy is halt_height.REMEDY and halt_height.is_over(case).state != CLEAR:
        return asked
    return [*asked, *(guards.start_after_stop if stopping else guards.start_guards)(case, planned)]


def _decision(reading: Reading, verdict: Data, built: builder.Builder, notes: list[Data]) -> str | None:
    """What is left as an operator decision, or None where the steps are enough."""
    if (stopped := signing.stops_automation(reading, verdict)) is not None:
        return stopped
    if verdict["status"] == "unknown":
        return (
            "The evidence does not show why the chain is halted, so nothing is planned. Do what the verdict names next."
        )
    if verdict["status"] == "healthy":
        return "The chain runs: nothing is to be done."
    if verdict["status"] == "degraded":
        return (
            "The chain runs, so this plan for a halt has no steps. Do by hand what the verdict names next, on one host at "
            "a time, and see each validator sign before the next."
        )
    if not verdict["confirmed"]:
        return "One look is not enough to act on. Take the second look, then plan."
    lacking = reading.quorum - built.online
    if built.steps and lacking <= 0:
        return None
    acted = {step["hosts"][0] for step in built.steps}
    return " ".join([*_what_is_lacking(reading, built, notes, acted), *_left_to_people(verdict, acted)])


def _left_to_people(verdict: Data, acted: set[str]) -> list[str]:
    """Of the roots that no step is about: why no automatic act is right, and which operator decision is left."""
    return [
        cause["decide"]
        for cause in verdict["causes"]
        if cause["decide"] and cause["role"] == "root" and not acted & set(cause["hosts"])
    ]


def _what_is_lacking(reading: Reading, built: builder.Builder, notes: list[Data], acted: set[str]) -> list[str]:
    lacking, parts = reading.quorum - built.online, []
    held = sorted({entry["hosts"][0] for entry in built.withheld} - acted)
    if built.steps:
        parts.append(
            f"These steps raise the voting power to {built.online} of {reading.total}; {reading.quorum} needed."
        )
    else:
        parts.append("Nothing here may be done by automation.")
    if lacking > 0:
        parts.append(f"Another {lacking} of voting power is needed.")
    if held:
        shown = ", ".join(held[:6]) + (f" and {len(held) - 6} more" if len(held) > 6 else "")
        parts.append(f"Look at {shown} by hand: the reasons stand with what was withheld.")
    power = sum(row.power for row in reading.validators if row.owner == "theirs" and row.state != "voting")
    if notes and power:
        parts.append(f"Validators of others hold {power} of which no fresh vote is seen: send them the message.")
    return parts
