# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts, plans and records as the other rooms hand them over, small and large."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import power as _power
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as _plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain

Row = dict[str, t.Any]

HASH = "8B01023386C371778ECB6368573E539AFC3CC860EF3E9B6A1F5B3A2D0E9C1D22"
STOOD_AT = "2026-05-04T10:02:03Z"
HOSTILE = '\x1b[31m{{ lookup("pipe","id") }}<script>alert(1)</script>\u202e| `x` & "\u5bbf\u820d'


def row(number: int, power: int, owner: str, state: str, **more: t.Any) -> Row:
    made = {
        "address": f"{number:02X}" * 20,
        "power": power,
        "share_percent": "0.0",
        "owner": owner,
        "host": f"vh{number}" if owner == "ours" else None,
        "name": f"vh{number}" if owner == "ours" else f"operator-{number}",
        "state": state,
        "since": None,
        "detail": "",
    }
    return {**made, **more}


def small_rows() -> list[Row]:
    return [
        row(1, 34, "ours", "stopped", since="2026-05-04T10:02:05Z", detail="virtengine.service is inactive (dead)"),
        row(2, 20, "ours", "voting", detail="its vote of round 3 stands at this height"),
        row(3, 12, "ours", "frozen", detail="process 812 is there, but it is stopped by a signal (state T)"),
        row(4, 22, "theirs", "voting"),
        row(5, 12, "theirs", "voted_at", detail="voted at 10:02:04, it may be gone since"),
    ]


def large_rows(count: int = 200) -> list[Row]:
    rows = []
    for number in range(1, count + 1):
        owner = "ours" if number % 5 == 0 else "theirs"
        state = "voting" if number % 3 else ("stopped" if owner == "ours" else "unknown")
        name = HOSTILE if number == 3 else f"operator-{number}"
        changes: Row = {"detail": "no vote of it at height 4711"} if state != "voting" else {}
        rows.append(row(number % 256, 1_000_000 - 4_321 * number, owner, state, name=name, **changes))
    return rows


def verdict(rows: list[Row] | None = None, **changes: t.Any) -> dict[str, t.Any]:
    """A confirmed halt over the given validators (default: five)."""
    rows = small_rows() if rows is None else rows
    total = sum(one["power"] for one in rows)
    voting = sum(one["power"] for one in rows if one["state"] == "voting")
    absent = sum(one["power"] for one in rows if one["state"] in ("stopped", "frozen", "crashed"))
    quorum = _power.quorum(total)
    for one in rows:
        one["share_percent"] = _power.share_percent(one["power"], total)
    made = {
        "schema": "virtengine.incident.verdict/1",
        "incident": "chain_halt",
        "status": "incident",
        "severity": "SEV-1",
        "confirmed": True,
        "causes": [
            {
                "id": "processes_down",
                "role": "root",
                "statement": "Voting power is missing because node processes on our hosts are stopped, crashed or "
                "frozen",
                "because": f"stopped, crashed or frozen: vh1 (34), vh3 (12). At most {total - absent} can vote; "
                f"{quorum} of {total} are needed",
                "power": absent,
                "hosts": ["vh1", "vh3"],
                "runbook_step": "1. Chain Halted, Resolution Step 2",
                "severity": "SEV-1",
                "justifies": ["start_node", "thaw_node"],
                "forbids": [],
            }
        ],
        "refuted": [
            {
                "id": "not_halted",
                "title": "not halted",
                "statement": "The chain is not halted",
                "because": "the newest block on all that answer: block 4711 is 125 s old, the limit is 30 s",
            },
            {
                "id": "hosts_unreachable",
                "title": "hosts of ours are unreachable",
                "statement": "Voting power is missing because hosts of ours are off or cannot be reached",
                "because": "the hosts of all our validators answer",
            },
        ],
        "cannot_tell": [
            {
                "id": "others_missing",
                "title": "other operators do not vote",
                "statement": "Voting power is missing because validators of other operators do not vote",
                "missing": "what a node outside our inventory sees at height 4712 (set incident_reference_rpcs)",
            }
        ],
        "summary": f"Chain virtengine-1 is halted at height 4711: the newest block is 2 min 5 s old (limit 30 s), in "
        f"two looks. {voting} of {total} voting power votes, {quorum} is needed. {absent} is missing for certain. Voting "
        f"power is missing because node processes on our hosts are stopped, crashed or frozen ({absent}).",
        "next": [
            "Stopped or frozen on vh1, vh3: read the plan and approve it.",
            "Set incident_reference_rpcs to an RPC outside the inventory, and run again.",
        ],
        "notes": ["vh2: the clock is 3 s ahead of the others"],
        "chain_id": "virtengine-1",
        "height": 4711,
        "last_block_hash": HASH,
        "last_block_at": STOOD_AT,
        "halted_s": 125,
        "interval_s": 1.2,
        "threshold_s": 30,
        "power": {
            "total": total,
            "quorum": quorum,
            "voting": voting,
            "absent": absent,
            "unknown": total - voting - absent,
            "to_quorum": max(0, quorum - voting),
        },
        "validators": rows,
        "nodes": [
            {"host": "sentry1", "state": "running", "detail": ""},
            {"host": "sentry2", "state": "stopped", "detail": "virtengine.service is inactive (dead)"},
        ],
    }
    return {**made, **changes}


def step(number: int, action: str, host: str, before: int, after: int, **more: t.Any) -> dict[str, t.Any]:
    made = {
        "number": number,
        "action": action,
        "host": host,
        "address": "01" * 20,
        "power": after - before,
        "why": f"{host} is a validator with voting power {after - before} and is stopped.",
        "power_online_before": before,
        "power_online_after": after,
        "quorum": 67,
        "undo": f"systemctl stop virtengine.service on {host}. It takes the votes away again: ask first.",
        "risk": "It signs again with its key. The guards saw no other machine with it.",
        "break_glass": False,
        "taken_over": [],
    }
    return {**made, **more}


def plan(**changes: t.Any) -> dict[str, t.Any]:
    made = {
        "schema": "virtengine.incident.plan/1",
        "incident": "chain_halt",
        "chain_id": "virtengine-1",
        "height": 4711,
        "last_block_hash": HASH,
        "steps": [
            step(1, "start_node", "sentry2", 42, 42, address=None),
            step(2, "relax_double_sign_check", "vh1", 42, 42),
            step(3, "start_node", "vh1", 42, 76),
            step(4, "thaw_node", "vh3", 76, 88),
            step(5, "restore_double_sign_check", "vh1", 88, 88),
        ],
        "withheld": [
            {
                "host": "vh3",
                "address": "03" * 20,
                "action": "start_node",
                "why": "Only if the thaw fails. Then a person stops the frozen process, sees that it is gone, and "
                "diagnoses again: the start is a plan of its own.",
                "break_glass": False,
            }
        ],
        "messages": [
            {
                "to": [{"address": "05" * 20, "name": "operator-5", "power": 12}],
                "text": "The chain virtengine-1 stands still at height 4711. Please look whether your node runs.",
            }
        ],
        "decision": None,
    }
    made.update(changes)
    made["digest"] = _plan.digest(made)
    return made


def entries(outcome: str = "recovered", reason: str | None = None) -> list[dict[str, t.Any]]:
    """The journal of a run over ``plan()`` that ended so."""
    approved = plan()
    told: list[tuple[str, str, t.Any]] = [
        ("10:04:10.100000", "run_started", {"who": "ops@laptop", "at": "2026-05-04T10:04:00Z", "target": "validators"}),
        ("10:04:10.200000", "evidence", {"file": "evidence-run-1.json", "sha256": "ab" * 32}),
        ("10:04:10.300000", "verdict", {key: verdict()[key] for key in ("status", "severity", "causes", "summary")}),
        ("10:04:10.400000", "plan", {key: approved[key] for key in ("digest", "steps", "withheld")}),
    ]
    if outcome != "planned":
        used = {"digest": approved["digest"], "resumed": False, "break_glass_reason": reason}
        told.append(("10:05:00.000000", "lock", {"taken_on": ["vh1", "vh2"], "held_on": [], "not_taken": []}))
        told.append(("10:05:00.100000", "approved", {"who": "ops@laptop", **used}))
        for one in approved["steps"]:
            named = {"step": one["number"], "host": one["host"], "action": one["action"]}
            times = {"started_at": "2026-05-04T10:05:02.000000Z", "finished_at": "2026-05-04T10:05:04.500000Z"}
            checked = {"ok": True, "needed": True, "because": "all guards are clear", "guards": [], "moving": False}
            told.append(("10:05:01.000000", "guard", {**named, **checked}))
            told.append(("10:05:02.000000", "action_started", named))
            told.append(("10:05:05.000000", "action_finished", {**named, **times, "ok": True, "problem": None}))
        told.append(
            ("10:05:30.000000", "verified", {"recovered": True, "because": "Blocks come again (9 new).", "blocks": 9})
        )
    told.append(("10:05:31.000000", "run_finished", {"outcome": outcome, "because": []}))
    made: list[dict[str, t.Any]] = []
    for seq, (at, kind, data) in enumerate(told, start=1):
        before = made[-1]["hash"] if made else ""
        made.append(hash_chain.entry(before, seq, f"2026-05-04T{at}Z", "run-1", kind, data))
    return made


def record(outcome: str = "recovered", **changes: t.Any) -> dict[str, t.Any]:
    made = entries(outcome)
    whole = {"id": "virtengine-1-4711-8B010233", "entries": made, "verdict": verdict(), "plan": plan()}
    return {**whole, "head": made[-1]["hash"], **changes}
