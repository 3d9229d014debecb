# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a halt: start what is stopped, thaw what is frozen, leave everything else alone. PRIVATE.

Order: sentries and full nodes first, so that a validator finds peers; then validators, the most power first. A node
that votes is never touched: it holds this height's votes in memory. A node that runs and does not vote is not
restarted: its evidence would be lost, and it comes up with the same fault.
"""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils import _plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_guards import (
    RELAX,
    RESTORE,
    START,
    THAW,
    blocking,
    start_guards,
    thaw_guards,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_guards_signer import (
    OPEN,
    REFUSED,
    Guard,
    needs_relaxing,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_messages import messages
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_reading import read
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_reading_types import Node, Reading, ValidatorRow

_ACTION_FOR = {"stopped": START, "crashed": START, "frozen": THAW}

_LEFT_ALONE = {
    "unreachable": "It cannot be reached. Look at the machine itself. Never start its key on another machine.",
    "busy": "The process runs and is silent: it may replay blocks, migrate or wait for its disk. Wait, do not restart "
    "it.",
    "not_voting": "It runs and does not vote. A restart would lose its evidence. Find the reason first.",
    "unknown": "What it is doing cannot be told, so nothing is done to it.",
}


_STATED = "Its journal states the reason ({0}). A restart does not cure that, and would lose its evidence."


class _Builder:
    """Steps in order, with the voting power before and after each."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.online = reading.voting
        self.steps: list[dict[str, t.Any]] = []

    def add(
        self, action: str, node: Node, row: ValidatorRow | None, texts: dict[str, str], taken_over: t.Sequence[str] = ()
    ) -> None:
        brings = row.power if row is not None and action in (START, THAW) and row.counts_as != "voting" else 0
        self.steps.append(
            {
                "number": len(self.steps) + 1,
                "action": action,
                "host": node.host,
                "address": row.address if row is not None else None,
                "power": row.power if row is not None else 0,
                "why": texts["why"],
                "power_online_before": self.online,
                "power_online_after": self.online + brings,
                "quorum": self.reading.quorum,
                "undo": texts["undo"],
                "risk": texts["risk"],
                "break_glass": bool(taken_over),
                "taken_over": sorted(taken_over),
            }
        )
        self.online += brings


def plan(bundle: dict[str, t.Any], verdict: dict[str, t.Any], break_glass_reason: str | None) -> dict[str, t.Any]:
    """The plan that ``verdict`` (made from ``bundle``) justifies; the same evidence gives the same plan.

    Steps come only from a confirmed halt, only on hosts of the target, and only where all guards are clear.
    ``break_glass_reason``: a person's words for going on where a guard cannot exclude harm; one that shows harm holds
    all the same. ``decision`` says what is left to a person: why there are no steps, or what the steps do not bring.
    """
    reading = read(bundle)
    built = _Builder(reading)
    withheld: list[dict[str, t.Any]] = []
    notes: list[dict[str, t.Any]] = []
    if verdict["status"] == "incident" and verdict["confirmed"]:
        withheld = _fill(built, verdict, bool(break_glass_reason))
        notes = messages(reading)
    made = {
        "schema": _plan.SCHEMA,
        "incident": verdict["incident"],
        "chain_id": verdict["chain_id"],
        "height": verdict["height"],
        "last_block_hash": verdict["last_block_hash"],
        "steps": built.steps,
        "withheld": withheld,
        "messages": notes,
        "decision": _decision(reading, verdict, built, withheld, notes),
    }
    made["digest"] = _plan.digest(made)
    return made


def _fill(built: _Builder, verdict: dict[str, t.Any], break_glass: bool) -> list[dict[str, t.Any]]:
    """Add the steps; return what was withheld, with the reason for each."""
    reading = built.reading
    rows = {row.address: row for row in reading.validators}
    withheld: list[dict[str, t.Any]] = []
    relaxed: list[tuple[Node, ValidatorRow | None, list[str]]] = []
    taken: set[str] = set()
    for node, row in sorted(((node, _row(node, rows)) for node in reading.nodes.values()), key=_order):
        action = _ACTION_FOR.get(node.state)
        if action is None:
            if row is not None and node.state in _LEFT_ALONE:
                why = (
                    _LEFT_ALONE[node.state]
                    if node.reason is None
                    else _STATED.format(node.reason.kind.replace("_", " "))
                )
                withheld.append(_withheld(node, row, START, why, False))
            continue
        reason = _not_for_us(node, row, taken)
        if reason:
            withheld.append(_withheld(node, row, action, reason, False))
            continue
        relaxing = action == START and node.data is not None and needs_relaxing(node, node.data)
        guards = thaw_guards(reading, node) if action == THAW else start_guards(reading, node, relaxing)
        stops = blocking(guards)
        if stops and (not break_glass or any(guard.state == REFUSED for guard in stops)):
            why = " ".join(guard.because for guard in stops)
            can_break = all(guard.state != REFUSED for guard in stops)
            withheld.append(_withheld(node, row, action, why, can_break))
            continue
        doubt = _doubt(built, node, row, action, verdict)
        if doubt is not None and (doubt.state == REFUSED or not break_glass):
            withheld.append(_withheld(node, row, action, doubt.because, doubt.state != REFUSED))
            continue
        open_ones = [*stops, *([doubt] if doubt is not None else [])]
        names = [guard.key for guard in open_ones]
        if relaxing:
            built.add(RELAX, node, row, _relax_texts(node), names)
            relaxed.append((node, row, names))
        built.add(action, node, row, _texts(action, node, row, open_ones), names)
        if row is not None:
            taken.add(row.address)
        if action == THAW:
            withheld.append(_withheld(node, row, START, _AFTER_THAW, False))
    for node, row, names in relaxed:
        built.add(RESTORE, node, row, _restore_texts(node), names)
    return withheld


_AFTER_THAW = (
    "Only if the thaw fails. Then a person stops the frozen process, sees that it is gone, and diagnoses again: the "
    "start is a plan of its own."
)


def _row(node: Node, rows: dict[str, ValidatorRow]) -> ValidatorRow | None:
    return rows.get(node.address) if node.in_set and node.address is not None else None


def _order(pair: tuple[Node, ValidatorRow | None]) -> tuple[bool, int, str]:
    node, row = pair
    return (row is not None, -row.power if row is not None else 0, node.host)


def _not_for_us(node: Node, row: ValidatorRow | None, taken: set[str]) -> str | None:
    """Why this node is left alone whatever its guards say, or None."""
    if not node.target:
        return "It is not among the hosts this run may act on (incident_target)."
    if row is None and node.declared is not None:
        return (
            f"The inventory declares validator {node.declared[:12]} for it, which is not in the set: jailed, tombstoned or "
            "unbonded, perhaps. A person finds out first."
        )
    if row is not None and row.counts_as == "voting":
        return "This validator votes, so its key is in use elsewhere. A second node with it would sign twice."
    if row is not None and row.address in taken:
        return "Another host of this plan starts the same validator. One key signs on one machine only."
    return None


def _doubt(
    built: _Builder, node: Node, row: ValidatorRow | None, action: str, verdict: dict[str, t.Any]
) -> Guard | None:
    """Why the causes do not ask for this action, or None. Where nothing speaks against it, a person may decide."""
    name = "cause"
    if any(action in cause["forbids"] and node.host in cause["hosts"] for cause in verdict["causes"]):
        return Guard(
            name, REFUSED, "The verdict names a reason that forbids it on this host: a start would end the same way."
        )
    # A sentry costs no power, so no cause names it; it is justified where its kind of action is at all.
    if any(
        action in cause["justifies"] and (row is None or node.host in cause["hosts"]) for cause in verdict["causes"]
    ):
        return None
    brings = (
        f" It would bring {built.online} to {built.online + row.power}, {built.reading.quorum} is needed."
        if row
        else ""
    )
    return Guard(name, OPEN, f"No guard refuses it, but that it holds the chain up is not established.{brings}")


def _withheld(node: Node, row: ValidatorRow | None, action: str, why: str, break_glass: bool) -> dict[str, t.Any]:
    address = row.address if row is not None else None
    return {"host": node.host, "address": address, "action": action, "why": why, "break_glass": break_glass}


def _texts(action: str, node: Node, row: ValidatorRow | None, open_ones: list[Guard]) -> dict[str, str]:
    what = f"a validator with voting power {row.power}" if row is not None else "a sentry or full node"
    if action == THAW:
        texts = {
            "why": f"{node.host} is {what} and its process is frozen. The same process goes on where it was.",
            "undo": "None is needed: nothing is changed, the process goes on.",
            "risk": "If it does not run afterwards, the run stops and nothing more is done.",
        }
    else:
        texts = {
            "why": f"{node.host} is {what} and is {node.state} ({node.detail}).",
            "undo": f"systemctl stop {_unit(node)} on {node.host}."
            + (" It takes the votes away again: ask first." if row is not None else ""),
            "risk": "It signs again with its key. The guards saw no other machine with it."
            if row is not None
            else "None known: it signs nothing.",
        }
    if open_ones:
        texts["risk"] = "Break-glass, not excluded: " + " ".join(guard.because for guard in open_ones)
    return texts


def _relax_texts(node: Node) -> dict[str, str]:
    height = node.data.setting("double_sign_check_height") if node.data is not None else None
    return {
        "why": f"double_sign_check_height is {height}. On a halted chain the node finds its own last signature and "
        "crashes at every start. It is set to 0 for this start.",
        "undo": "The restore step of this plan. The change is also gone after a reboot.",
        "risk": "This start is without the node's own check. The guards look for the same thing before it.",
    }


def _restore_texts(node: Node) -> dict[str, str]:
    return {
        "why": f"double_sign_check_height on {node.host} gets its value back, for the next start.",
        "undo": "None is needed: this is the undo.",
        "risk": "None: the process that runs is not touched.",
    }


def _unit(node: Node) -> str:
    return (node.data.unit.text("name") if node.data is not None else None) or "the unit"


def _decision(
    reading: Reading,
    verdict: dict[str, t.Any],
    built: _Builder,
    withheld: list[dict[str, t.Any]],
    notes: list[dict[str, t.Any]],
) -> str | None:
    """What only a person can decide, or None where the steps are enough."""
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
    return _what_is_lacking(reading, built, withheld, notes, lacking)


def _what_is_lacking(
    reading: Reading, built: _Builder, withheld: list[dict[str, t.Any]], notes: list[dict[str, t.Any]], lacking: int
) -> str:
    acted = {step["host"] for step in built.steps}
    held = sorted({entry["host"] for entry in withheld if entry["host"] not in acted})
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
    if notes:
        power = sum(to["power"] for note in notes for to in note["to"])
        parts.append(f"Validators of others hold {power} of which no fresh vote is seen: send them the message.")
    return " ".join(parts)
