# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verdict, a plan and a record of an incident that is nobody's: a pool of web servers serves less than it has to."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Incident, Source
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as plans
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.action import Action, Call
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict import verdict as verdicts
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict.verdict import (
    Column,
    Gauge,
    Row,
    Table,
    View,
)

Data = dict[str, t.Any]

STARTED_AT = "2026-05-04T10:02:03Z"
NOW = "2026-05-04T10:04:10.400000Z"
HOSTILE = '\x1b[31m{{ lookup("pipe","id") }}<script>alert(1)</script>\u202e| `x` & "\u5bbf\u820d'
NEEDED = 67

ACTIONS = {
    name: Action(words, (Call("virtengine.incident.pool_member", name),), undoes)
    for name, words, undoes in (
        ("start", "start the server on", None),
        ("resume", "resume the server on", None),
        ("relax", "lower the limit on", None),
        ("restore", "restore the limit on", "relax"),
    )
}


def pool(**changes: t.Any) -> Incident:
    """The incident, as far as a plan asks it anything."""

    def never(*_given: t.Any) -> Data:
        raise AssertionError

    given = {"assess": never, "plan": never, "check_step": never, "recovered": never, "actions": ACTIONS, **changes}
    return Incident("pool", "incident", {"pool_info": Source()}, **given)


def row(name: str, weight: int, looks: str, state: str, what: str = "", **more: t.Any) -> Row:
    ours = more.setdefault("ours", True)
    cells = (name, f"{name}-0123456789abcdef", str(weight), "ours" if ours else "theirs", f"{state}{what}")
    return Row(cells, looks, state, weight, name=name, **more)


def small_rows() -> list[Row]:
    down = " since 2026-05-04 10:02:05: web.service is inactive (dead)"
    today = row("web1", 34, "stopped", "STOPPED", down.replace("2026-05-04 ", "")).cells
    return [
        row("web1", 34, "stopped", "STOPPED", down, short=today),
        row("web3", 12, "frozen", "FROZEN", ": process 812 is stopped by a signal (state T)"),
        row("partner-5", 12, "stale", "served, may be old", ": served at 10:02:04, it may be gone since", ours=False),
        row("partner-4", 22, "good", "serving", ours=False),
        row("web2", 20, "good", "serving"),
    ]


def large_rows(count: int = 200) -> list[Row]:
    """Every third one does not serve, and one has a hostile name."""
    rows = []
    for number in range(1, count + 1):
        name = HOSTILE if number == 3 else f"member-{number}"
        weight, ours = 1_000_000 - 4_321 * number, number % 5 == 0
        if number % 3:
            rows.append(row(name, weight, "good", "serving", ours=ours))
        elif ours:
            rows.append(row(name, weight, "stopped", "STOPPED", ": no answer", ours=True))
        else:
            rows.append(row(name, weight, "unknown", "cannot tell", ": no answer", ours=False))
    return sorted(rows, key=lambda one: (one.looks == "good", -one.weight))


def table(rows: list[Row] | None = None, **changes: t.Any) -> Table:
    columns = (Column("server"), Column("id", "id", 8), Column("load", "number"), Column("whose", most=6))
    given: Data = {
        "title": "Who serves and who does not",
        "columns": (*columns, Column("what it does (times in UTC)")),
        "rows": tuple(small_rows() if rows is None else rows),
        "unit": "load",
        "after": ("Not in the pool: web8 STOPPED, 1 running (web9).",),
        "empty": "No server shows the pool, so its load cannot be counted.",
        **changes,
    }
    return Table(**given)


def gauge(rows: list[Row], needed: int = NEEDED, **changes: t.Any) -> Gauge:
    total, serving = (sum(one.weight for one in some) for some in (rows, [r for r in rows if r.looks == "good"]))
    given: Data = {
        "title": "Load that is served",
        "total": total,
        "needed": needed,
        "value": serving,
        "unknown": sum(one.weight for one in rows if one.looks in ("stale", "unknown")),
        "words": f"{serving} of {total} served, {needed} needed",
        "line": "needed load",
        "legend": "# served, ? cannot be told, | what is needed",
        "unit": "load",
        "table": 0,
        **changes,
    }
    return Gauge(**given)


def view(rows: list[Row] | None = None, **changes: t.Any) -> View:
    shown = small_rows() if rows is None else rows
    needed = NEEDED if rows is None else 2 * sum(one.weight for one in shown) // 3 + 1
    given: Data = {
        "headline": "THE POOL IS SHORT",
        "brief": ("Not seen serving: web1 34 STOPPED, web3 12 FROZEN, partner-5 12 served, may be old.",),
        "facts": (("Pool", "web"), ("Release", "42")),
        "tables": (table(shown),),
        "gauges": (gauge(shown, needed),) if shown else (),
        **changes,
    }
    return View(**given)


def cause(**changes: t.Any) -> Data:
    return {
        "id": "processes_down",
        "title": "processes are down",
        "statement": "Servers of ours are stopped or frozen",
        "role": "root",
        "explained": False,
        "because": "stopped or frozen: web1 (34), web3 (12). At most 54 can be served; 67 of 100 are needed",
        "weight": 46,
        "hosts": ["web1", "web3"],
        "runbook_step": "7. Pool, Resolution Step 2",
        "severity": "SEV-1",
        "justifies": ["start", "resume"],
        "forbids": [],
        "by_hand": ["systemctl status web.service", "journalctl -u web.service -n 50 | tail  # the last lines"],
        "next": "Stopped or frozen on web1, web3: read the plan and approve it.",
        "decide": "",
        **changes,
    }


def judged(**changes: t.Any) -> Data:
    return {
        "causes": [cause()],
        "refuted": [
            {
                "id": "not_short",
                "title": "the pool is not short",
                "statement": "The pool serves what it has to",
                "because": "it serves 42, 67 is needed",
            },
            {
                "id": "hosts_unreachable",
                "title": "hosts of ours are unreachable",
                "statement": "Hosts of ours are off or cannot be reached",
                "because": "all of our hosts answer",
            },
        ],
        "cannot_tell": [
            {
                "id": "partners_missing",
                "title": "partners do not serve",
                "statement": "Servers of partners do not serve",
                "missing": "what a host outside our inventory sees",
            }
        ],
        **changes,
    }


def verdict(rows: list[Row] | None = None, **changes: t.Any) -> Data:
    """A confirmed incident over the given rows (default: five). ``changes``: of what ``verdict.made`` takes."""
    given: Data = {
        "incident": "pool",
        "subject": "pool web",
        "status": "incident",
        "severity": "SEV-1",
        "confirmed": True,
        "judged": judged(),
        "summary": "Pool web serves 42 of 100, 67 is needed, in two looks. Servers of ours are stopped or frozen.",
        "next_lines": [cause()["next"], "Give another host to look from, and run again."],
        "started_at": STARTED_AT,
        "view": view(rows),
        "details": {"nobody": "looks into this"},
        "notes": ["web2: the clock is 3 s ahead of the others"],
        **changes,
    }
    return verdicts.made(**given)


def step(action: str, hosts: t.Sequence[str], before: int = 0, after: int = 0, **more: t.Any) -> Data:
    """A step of a draft; it brings load where ``before`` and ``after`` differ."""
    impact = {"label": "load seen served", "before": before, "after": after, "needed": NEEDED}
    words: Data = {
        "why": f"{', '.join(hosts)} has to serve {after - before} and is stopped.",
        "undo": f"systemctl stop web.service on {', '.join(hosts)}. It takes the load away again: ask first.",
        "risk": "It serves again at once.",
        "impact": impact if before != after else None,
        **more,
    }
    return plans.step(action, f"{ACTIONS[action].words} {', '.join(hosts)}", hosts, **words)


def steps() -> list[Data]:
    return [
        step("start", ["web8"]),
        step("relax", ["web1"]),
        step("start", ["web1"], 42, 76),
        step("resume", ["web3"], 76, 88),
        step("restore", ["web1"]),
    ]


def many(count: int, action: str = "start") -> list[Data]:
    return [step(action, [f"host{number}"], number, number + 1) for number in range(1, count + 1)]


def withheld(host: str = "web3", why: str = "Only if it cannot be resumed.", **more: t.Any) -> Data:
    what = f"start the server on {host}"
    return {"action": "start", "what": what, "hosts": [host], "why": why, "break_glass": False, **more}


def message(text: str = "Pool web is short. Please look whether your server runs.", **more: t.Any) -> Data:
    return {"to": [{"name": "partner-5", "detail": "load 12"}], "text": text, **more}


def plan(incident: Incident | None = None, **changes: t.Any) -> Data:
    """A finished plan. ``changes``: of the draft."""
    draft: Data = {
        "scopes": ["pool:web"],
        "basis": {"release": 42},
        "steps": steps(),
        "withheld": [withheld()],
        "messages": [message()],
        "decision": None,
        **changes,
    }
    return plans.finish(incident or pool(), verdict(), draft, NOW)


def entries(outcome: str = "recovered", reason: str | None = None) -> list[Data]:
    """The journal of a run over ``plan()`` that ended so."""
    approved = plan()
    told: list[tuple[str, str, t.Any]] = [
        ("10:04:10.100000", "run_started", {"who": "ops@laptop", "at": "2026-05-04T10:04:00Z", "target": "web"}),
        ("10:04:10.200000", "evidence", {"file": "evidence-run-1.json", "sha256": "ab" * 32}),
        ("10:04:10.300000", "verdict", {key: verdict()[key] for key in ("status", "severity", "causes", "summary")}),
        ("10:04:10.400000", "plan", {key: approved[key] for key in ("digest", "expires_at", "steps", "withheld")}),
    ]
    if outcome != "planned":
        used = {"digest": approved["digest"], "resumed": False, "break_glass_reason": reason}
        lock = {"scopes": ["pool:web"], "taken_on": ["web1", "web2"], "held_on": [], "not_taken": []}
        told.append(("10:05:00.000000", "lock", lock))
        told.append(("10:05:00.100000", "approved", {"who": "ops@laptop", **used}))
        for one in approved["steps"]:
            named = {"step": one["number"], **{key: one[key] for key in ("action", "what", "hosts")}}
            times = {"started_at": "2026-05-04T10:05:02.000000Z", "finished_at": "2026-05-04T10:05:04.500000Z"}
            checked = {"ok": True, "needed": True, "because": "all guards are clear", "guards": [], "give": {}}
            told.append(("10:05:01.000000", "guard", {**named, **checked}))
            told.append(("10:05:02.000000", "action_started", {**named, "undo": one["undo"]}))
            told.append(("10:05:05.000000", "action_finished", {**named, **times, "ok": True, "problem": None}))
        told.append(("10:05:30.000000", "verified", {"recovered": True, "because": "The pool serves 88 again."}))
    told.append(("10:05:31.000000", "run_finished", {"outcome": outcome, "because": []}))
    made: list[Data] = []
    for seq, (at, kind, data) in enumerate(told, start=1):
        before = made[-1]["hash"] if made else ""
        made.append(hash_chain.entry(before, seq, f"2026-05-04T{at}Z", "run-1", kind, data))
    return made


DASHBOARDS = [
    {"name": "Pool health", "url": "https://grafana.example.net/d/pool", "incidents": ["pool"]},
    {"name": "Everything", "url": "https://grafana.example.net/d/all?from=now-1h&to=now"},
    {"name": "Other", "url": "https://grafana.example.net/d/other", "incidents": ["other"]},
]
CONTACTS = [{"who": "Secondary on-call", "how": "page the schedule web-2"}]


def record(outcome: str = "recovered", **changes: t.Any) -> Data:
    """What a report is made of."""
    made = entries(outcome)
    whole = {"id": "pool-pool_web-20260504T100203Z", "entries": made, "verdict": verdict(), "plan": plan()}
    return {**whole, "head": made[-1]["hash"], "contacts": CONTACTS, "dashboards": DASHBOARDS, **changes}
