# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a halt: start what is stopped, thaw what is frozen, cure what can be cured, leave the rest alone. PRIVATE.

Order: sentries and full nodes first, so that a validator finds peers; then validators, the most power first; and last
what runs and has to dial its peers. A node whose vote is heard is never touched: it holds this height's votes in memory.
A node that runs is restarted only where steps take its reason away (``_halt_plan_cures``): else its evidence would be
lost, and it comes up with the same fault.
"""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards.signer import needs_relaxing
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.reading import read
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import (
    Node,
    Reading,
    ValidatorRow,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import plan_remedies
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.builder import (
    NO_RISK_OF_START,
    RISK_OF_START,
    Builder,
    Texts,
    Weighed,
    not_for_us,
    undo_of_start,
    what,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes.signing import (
    KEY_ON_TWO_HOSTS,
    runs_for_another,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.guards import (
    START,
    THAW,
    start_guards,
    thaw_guards,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.messages import messages
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.remedies import (
    DOUBLE_SIGN_CHECK,
    NONE,
    PEERS_AWAY,
    ailment,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as _plan

_ACTION_FOR = {"stopped": START, "crashed": START, "frozen": THAW}

_LEFT_ALONE = {
    "unreachable": "It cannot be reached. Look at the machine itself. Never start its key on another machine.",
    "busy": "The process runs and is silent: it may replay blocks, migrate or wait for its disk. Wait, do not restart "
    "it.",
    "not_voting": "It runs and does not vote. A restart would lose its evidence. Find the reason first.",
    "unknown": "What it is doing cannot be told, so nothing is done to it.",
}


_STATED = "Its journal states the reason ({0}). A restart does not cure that, and would lose its evidence."


def plan(bundle: dict[str, t.Any], verdict: dict[str, t.Any], break_glass_reason: str | None) -> dict[str, t.Any]:
    """The plan that ``verdict`` (made from ``bundle``) justifies; the same evidence gives the same plan.

    Steps come only from a confirmed halt, only on hosts of the target, and only where all guards are clear.
    ``break_glass_reason``: a person's words for going on where a guard cannot exclude harm; one that shows harm holds
    all the same. ``decision`` says what is left to a person: why there are no steps, or what the steps do not bring.
    """
    reading = read(bundle)
    built = Builder(reading, verdict, bool(break_glass_reason))
    notes: list[dict[str, t.Any]] = []
    if verdict["status"] == "incident" and verdict["confirmed"]:
        if _stopped_by(reading, verdict) is None:
            _fill(built)
        notes = messages(reading, verdict["causes"])
    made = {
        "schema": _plan.SCHEMA,
        "incident": verdict["incident"],
        "chain_id": verdict["chain_id"],
        "height": verdict["height"],
        "last_block_hash": verdict["last_block_hash"],
        "steps": built.steps,
        "withheld": built.withheld,
        "messages": notes,
        "decision": _decision(reading, verdict, built, notes),
    }
    made["digest"] = _plan.digest(made)
    return made


def _stopped_by(reading: Reading, verdict: dict[str, t.Any]) -> str | None:
    """Why no automation may act at all, or None: one key runs on two hosts, or may."""
    found = (cause["decide"] for cause in verdict["causes"] if cause["id"] == KEY_ON_TWO_HOSTS.id)
    return next(found, None) or runs_for_another(reading)


def _fill(built: Builder) -> None:
    """Add the steps, and what is withheld with the reason for each."""
    rows = {row.address: row for row in built.reading.validators}
    nodes = [(node, _row(node, rows), ailment(built.reading, node)) for node in built.reading.nodes.values()]
    for node, row, ill in sorted(nodes, key=_order):
        action = _ACTION_FOR.get(node.state)
        if ill is not None:
            plan_remedies.add(built, node, row, ill)
        elif action is not None:
            _bring_back(built, node, row, action)
        elif row is not None and node.state in _LEFT_ALONE:
            stated = node.reason.kind.replace("_", " ") if node.reason is not None else None
            built.withhold(node, row, START, _STATED.format(stated) if stated else _LEFT_ALONE[node.state])
    built.restore()
    built.mark_waits({node.host for node, _row, ill in nodes if ill == PEERS_AWAY})


def _bring_back(built: Builder, node: Node, row: ValidatorRow | None, action: str) -> None:
    """Start what is down, thaw what is frozen."""
    reason = not_for_us(built.reading, node, row, built.taken)
    if reason:
        built.withhold(node, row, action, reason)
        return
    relaxing = action == START and node.data is not None and needs_relaxing(node, node.data)
    cures = frozenset({DOUBLE_SIGN_CHECK}) if relaxing else NONE
    guards = thaw_guards(built.reading, node) if action == THAW else start_guards(built.reading, node, cures)
    weighed = built.weigh(node, row, (action,), guards)
    if weighed.why is not None:
        built.withhold(node, row, action, weighed.why, weighed.break_glass)
        return
    if relaxing:
        built.relax(node, row, weighed.keys)
    built.add(action, node, row, _texts(action, node, row, weighed), weighed.keys)
    if action == THAW:
        built.withhold(node, row, START, _AFTER_THAW)


_AFTER_THAW = (
    "Only if the thaw fails. Then a person stops the frozen process, sees that it is gone, and diagnoses again: the "
    "start is a plan of its own."
)


def _row(node: Node, rows: dict[str, ValidatorRow]) -> ValidatorRow | None:
    return rows.get(node.address) if node.in_set and node.address is not None else None


def _order(listed: tuple[Node, ValidatorRow | None, str | None]) -> tuple[bool, bool, int, str]:
    """What is down comes back before a node is stopped for new dials; of those a validator comes last, for others may dial
    it.
    """
    node, row, ill = listed
    return (ill == PEERS_AWAY, row is not None, -row.power if row is not None else 0, node.host)


def _texts(action: str, node: Node, row: ValidatorRow | None, weighed: Weighed) -> Texts:
    if action == THAW:
        return {
            "why": f"{node.host} is {what(row)} and its process is frozen. The same process goes on where it was.",
            "undo": "None is needed: nothing is changed, the process goes on.",
            "risk": weighed.risk("If it does not run afterwards, the run stops and nothing more is done."),
        }
    return {
        "why": f"{node.host} is {what(row)} and is {node.state} ({node.detail}).",
        "undo": undo_of_start(node, row),
        "risk": weighed.risk(RISK_OF_START if row is not None else NO_RISK_OF_START),
    }


def _decision(
    reading: Reading,
    verdict: dict[str, t.Any],
    built: Builder,
    notes: list[dict[str, t.Any]],
) -> str | None:
    """What only a person can decide, or None where the steps are enough."""
    if (stopped := _stopped_by(reading, verdict)) is not None:
        return stopped
    if verdict["status"] == "unknown":
        return (
            "The evidence does not say what holds the chain up, so nothing is planned. Do what the verdict names next."
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
    return " ".join([_what_is_lacking(reading, built, notes, lacking), *_left_to_people(verdict, built)])


def _left_to_people(verdict: dict[str, t.Any], built: Builder) -> list[str]:
    """Of the roots that no step is about: why no automatic act is right, and what a person must decide."""
    acted = {step["host"] for step in built.steps}
    return [
        cause["decide"]
        for cause in verdict["causes"]
        if cause["decide"] and cause["role"] == "root" and not acted & set(cause["hosts"])
    ]


def _what_is_lacking(reading: Reading, built: Builder, notes: list[dict[str, t.Any]], lacking: int) -> str:
    acted = {step["host"] for step in built.steps}
    held = sorted({entry["host"] for entry in built.withheld if entry["host"] not in acted})
    parts = []
    if built.steps:
        parts.append(
            f"These steps bring the voting power to {built.online} of {reading.total}; {reading.quorum} is needed."
        )
    else:
        parts.append("There is nothing here that an automation may do.")
    if lacking > 0:
        parts.append(f"Voting power {lacking} more is needed.")
    if held:
        shown = ", ".join(held[:6]) + (f" and {len(held) - 6} more" if len(held) > 6 else "")
        parts.append(f"A person must look at {shown}: the reasons stand with what was withheld.")
    power = sum(row.power for row in reading.validators if row.owner == "theirs" and row.state != "voting")
    if notes and power:
        parts.append(f"Validators of others hold {power} of which no fresh vote is seen: send them the message.")
    return " ".join(parts)
