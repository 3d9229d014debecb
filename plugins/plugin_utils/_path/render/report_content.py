# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says, before it is HTML or Markdown: blocks of plain text. PRIVATE to the collection.

Both forms are made from the same blocks, so that they say the same. No text in a block is escaped yet, and none of it
is trusted.
"""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import table as _screen_table
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import undo
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import timeline
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import runbook, screen_plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render.layout import (
    moment,
    number,
    sentence,
    tidy,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render.screen import headline

Record = dict[str, t.Any]

_WHAT_IT_DOES = "What it does (times in UTC)"
# Voting validators beyond so many are folded away in HTML: the missing ones are what is looked for.
MOST_VOTING = 20

OUTCOMES = {
    "diagnosed": "Diagnosed, nothing was done",
    "planned": "A plan is ready, nothing has been done",
    "recovered": "Recovered",
    "not_recovered": "NOT recovered",
    "refused": "Refused, nothing was done",
}

# Run in the record's directory. Kept free of everything but the standard library: it must not need this collection.
CHECK = r"""python3 -c '
import hashlib, json
prev = ""
for seq, text in enumerate(open("journal.jsonl"), 1):
    entry = json.loads(text)
    named = entry.pop("hash")
    body = json.dumps(entry, sort_keys=True, separators=(",", ":"))
    fits = named == hashlib.sha256(body.encode()).hexdigest() and (prev, seq) == (entry["prev"], entry["seq"])
    print(seq, entry["at"], entry["kind"], "fits" if fits else "DOES NOT FIT")
    prev = named
print("head", prev)
'"""


class Heading(t.NamedTuple):
    text: str


class Paragraph(t.NamedTuple):
    text: str


class Items(t.NamedTuple):
    lines: list[str]


class Table(t.NamedTuple):
    header: tuple[str, ...]
    rows: t.Sequence[tuple[str, ...]]
    folded: str | None = None  # what stands on the fold, where the table is folded away


class Verbatim(t.NamedTuple):
    """Text to be copied as it is."""

    text: str


class Picture(t.NamedTuple):
    verdict: dict[str, t.Any]


class Links(t.NamedTuple):
    """Names and addresses of our own; never an address out of evidence."""

    links: tuple[tuple[str, str], ...]


Block = Heading | Paragraph | Items | Table | Verbatim | Picture | Links


def title(record: Record) -> str:
    """The first line of a report."""
    return f"Incident {tidy(record['id'], 120)}"


def blocks(record: Record) -> list[Block]:
    """The whole report. ``record``: id, entries (of the journal, oldest first), verdict, plan or None, head."""
    verdict, plan, entries = record["verdict"], record["plan"], record["entries"]
    made: list[Block] = [*_top(verdict, entries), *_table(verdict), *_why(verdict, plan)]
    made += _plan(undo.told(plan, entries), verdict) if plan is not None else []
    made += [*_actions(entries), *_clocks(verdict, entries), *_history(entries), *_help(), *_check(record)]
    return made


def _top(verdict: dict[str, t.Any], entries: list[dict[str, t.Any]]) -> list[Block]:
    ended = timeline.outcome(entries)
    first = f"{OUTCOMES.get(ended, tidy(ended, 30))}. " if ended else ""
    said = headline(verdict).lower()
    said = f"At the diagnosis: {said}" if ended == "recovered" else said.capitalize()
    facts = [
        f"Chain: {tidy(verdict.get('chain_id'), 60) or 'unknown'}, height {number(verdict.get('height'))}",
        f"Last block: {moment(verdict.get('last_block_at')) or 'unknown'}, {tidy(verdict.get('last_block_hash'), 80)}",
        f"Severity: {tidy(verdict.get('severity'), 10) or 'none'}",
        f"Confirmed by a second look: {'yes' if verdict.get('confirmed') else 'NO'}",
    ]
    made: list[Block] = [Paragraph(f"{first}{said}."), Paragraph(tidy(verdict["summary"], 2000)), Items(facts)]
    proof = [timeline.describe(entry) for entry in entries if entry.get("kind") == "verified"]
    return [*made, Paragraph(proof[-1])] if proof else made


def _table(verdict: dict[str, t.Any]) -> list[Block]:
    rows = [row for row in verdict["validators"] if isinstance(row, dict)]
    missing, voting = _screen_table.by_need(rows)
    header = ("Validator", "Address", "Power", "Share", "Whose", _WHAT_IT_DOES)
    made: list[Block] = [Heading("Who votes and who does not"), Picture(verdict)]
    shown = missing if len(voting) > MOST_VOTING else missing + voting
    if shown:
        made.append(Table(header, [_row(row) for row in shown]))
    if len(voting) > MOST_VOTING:
        power = sum(_screen_table.power_of(row) for row in voting)
        fold = f"{len(voting)} validators that vote, power {number(power)}"
        made.append(Table(header, [_row(row) for row in voting], fold))
    nodes = [node for node in verdict.get("nodes") or [] if isinstance(node, dict)]
    if nodes:
        made.append(
            Table(
                ("Our hosts that are no validators" if rows else "Our hosts", _WHAT_IT_DOES),
                [(tidy(node.get("host"), 80), _screen_table.what_it_does(node, None)) for node in nodes],
            )
        )
    return made


def _row(row: dict[str, t.Any]) -> tuple[str, ...]:
    return (
        tidy(_screen_table.subject(row), 80),
        tidy(row.get("address"), 40),
        number(row.get("power")),
        f"{tidy(row.get('share_percent'), 8)} %",
        tidy(row.get("owner"), 10),
        tidy(_screen_table.what_it_does(row, None)),
    )


def _why(verdict: dict[str, t.Any], plan: dict[str, t.Any] | None) -> list[Block]:
    causes = [
        f"{sentence(cause.get('statement'))} {sentence(cause.get('because'))} "
        f"(runbook: {tidy(cause.get('runbook_step'), 80)})"
        for cause in verdict["causes"]
    ]
    refuted = [f"{tidy(entry.get('statement'))}: {tidy(entry.get('because'), 700)}" for entry in verdict["refuted"]]
    open_ = [
        f"{tidy(entry.get('statement'))}: missing is {tidy(entry.get('missing'), 700)}"
        for entry in verdict["cannot_tell"]
    ]
    next_ = [tidy(line, 400) for line in screen_plan.next_lines(verdict, plan)]
    made: list[Block] = [Heading("Why")]
    for name, lines in (
        ("What holds:", causes),
        ("Ruled out:", refuted),
        ("Cannot be told:", open_),
        ("Worth knowing:", [tidy(note) for note in verdict["notes"]]),
        ("What to do next, beside the plan:" if plan and plan["steps"] else "What to do next:", next_),
    ):
        made += [Paragraph(name), Items(lines)] if lines else []
    for cause in verdict["causes"]:
        typed = [tidy(command) for command in cause.get("by_hand") or []]
        if typed:
            made += [Paragraph(f"To see by hand: {tidy(cause.get('title'), 60)}"), Verbatim("\n".join(typed))]
    return made


def _plan(plan: dict[str, t.Any], verdict: dict[str, t.Any]) -> list[Block]:
    made: list[Block] = [Heading("Plan")]
    if plan["steps"]:
        made.append(Paragraph(f"Digest: {tidy(plan.get('digest'), 60)}"))
        made.append(
            Table(("Step", "What", "Why", "Power seen voting", "Undo", "Risk"), [_step(s) for s in plan["steps"]])
        )
        made += [Paragraph(undo.LEGEND)] if undo.has_mark(plan) else []
    else:
        made.append(Paragraph("No step is planned."))
    if plan.get("decision"):
        made.append(Paragraph(tidy(plan["decision"], 1000)))
    if plan["withheld"]:
        made += [Paragraph("Not done, and why:"), Items([_withheld(entry, verdict) for entry in plan["withheld"]])]
    if plan["messages"]:
        made.append(Heading("Messages to the operators of other validators"))
        for message in plan["messages"]:
            to = ", ".join(
                f"{tidy(who.get('name'), 60)} {tidy(who.get('address'), 40)} (power {number(who.get('power'))})"
                for who in message.get("to") or []
            )
            about = f", about: {tidy(message['about'], 40)}" if message.get("about") else ""
            made += [Paragraph(f"To {to}{about}:"), Verbatim(tidy(message.get("text"), 20000))]
    return made


def _step(step: dict[str, t.Any]) -> tuple[str, ...]:
    broken = " [break-glass]" if step.get("break_glass") else ""
    return (
        number(step.get("number")),
        screen_plan.what(step) + broken,
        tidy(step.get("why"), 400),
        screen_plan.power_words(step) or "unchanged",
        tidy(step.get("undo"), 400),
        tidy(step.get("risk"), 600),
    )


def _withheld(entry: dict[str, t.Any], verdict: dict[str, t.Any]) -> str:
    broken = " Break-glass, with a reason, would make it a step." if entry.get("break_glass") else ""
    alone = screen_plan.left_alone(entry, verdict)
    words = f"leave {tidy(entry.get('host'), 40)} alone" if alone else screen_plan.what(entry)
    return f"{words}: {tidy(entry.get('why'), 800)}{broken}"


def _actions(entries: list[dict[str, t.Any]]) -> list[Block]:
    rows = [
        (tidy(one.run, 30), one.step, one.what, _time(one.started_at), _time(one.finished_at), one.result)
        for one in timeline.done(entries)
    ]
    made: list[Block] = [Heading("What was done")]
    made.append(
        Table(("Run", "Step", "What", "Begun", "Ended", "Result"), rows) if rows else Paragraph("Nothing was done.")
    )
    for entry in timeline.break_glass(entries):
        data = timeline.data_of(entry)
        made.append(
            Paragraph(
                f"Break-glass by {tidy(data.get('who'), 80)}, reason given: {tidy(data['break_glass_reason'], 1000)}"
            )
        )
    return made


def _clocks(verdict: dict[str, t.Any], entries: list[dict[str, t.Any]]) -> list[Block]:
    if verdict.get("status") == "healthy":
        return []
    halted = verdict.get("last_block_at") if verdict.get("status") == "incident" else None
    begun = next((timeline.data_of(entry).get("at") or entry.get("at") for entry in entries), None)
    start = halted or begun
    counted = "the last block" if halted else "the start of the first run"
    rows = runbook.clocks(verdict.get("severity"), start, timeline.recovered_at(entries))
    return [
        Heading("Clocks"),
        Paragraph(f"Counted from {counted}, {_time(start)}. Limits as the on-call runbook gives them."),
        Table(("What", "Within", "Until"), rows),
    ]


def _history(entries: list[dict[str, t.Any]]) -> list[Block]:
    rows = [(_time(e.get("at")), tidy(e.get("run"), 30), timeline.describe(e)) for e in entries]
    return [Heading("Timeline"), Table(("Time", "Run", "What happened"), rows)]


def _help() -> list[Block]:
    return [
        Heading("Dashboards and contacts"),
        Links(runbook.DASHBOARDS),
        Table(("Who", "How"), list(runbook.CONTACTS)),
    ]


def _check(record: Record) -> list[Block]:
    files = [
        (tidy(data.get("file"), 100), tidy(data.get("sha256"), 64))
        for entry in record["entries"]
        if entry.get("kind") == "evidence" and (data := timeline.data_of(entry))
    ]
    made: list[Block] = [
        Heading("How to verify this record"),
        Paragraph(
            "Every entry of journal.jsonl names the hash of the one before it. In the directory of this report, this "
            "prints whether each fits, and the head:"
        ),
        Verbatim(CHECK),
        Paragraph(
            f"The head when this report was written: {tidy(record.get('head'), 64) or 'none'}. A run prints it and "
            "hands it out as record_head. Compare it with that copy: a cut end shows only there."
        ),
    ]
    return [*made, Table(("Evidence file", "SHA-256"), files)] if files else made


def _time(stamp: t.Any) -> str:
    return moment(stamp) or tidy(stamp, 40) or "?"
