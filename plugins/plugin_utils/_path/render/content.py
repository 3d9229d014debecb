# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says, before it is HTML or Markdown: blocks of plain text. PRIVATE to the collection.

Both forms are made from the same blocks, so that they say the same. No text in a block is escaped yet, and none of it
is trusted.
"""

from __future__ import annotations

import typing as t

from ..record import timeline
from . import contacts, runbook, why
from . import plan as plan_view
from .layout import gauge_bar, moment, number, tidy
from .plan import Item
from .table import own_gauges, split, with_gauges

Record = dict[str, t.Any]

# Rows that are as they should be beyond so many are folded away: the others are what is looked for.
MOST_GOOD = 20

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
    items: list[Item]


class Table(t.NamedTuple):
    header: tuple[str, ...]
    rows: t.Sequence[tuple[str, ...]]
    kinds: tuple[str, ...] = ()  # of the columns: text, number, id, time or wide; text where it is empty
    folded: str | None = None  # what stands on the fold, where the table is folded away


class Verbatim(t.NamedTuple):
    """Text to be copied as it is."""

    text: str


class Picture(t.NamedTuple):
    """A gauge, and the rows that it adds up."""

    gauge: dict[str, t.Any]
    rows: list[dict[str, t.Any]]


class Links(t.NamedTuple):
    """Names and addresses of our own; never an address out of evidence."""

    links: tuple[tuple[str, str], ...]


Block = Heading | Paragraph | Items | Table | Verbatim | Picture | Links


def title(record: Record) -> str:
    """The first line of a report."""
    return f"Incident {tidy(record['id'], 120)}"


def blocks(record: Record) -> list[Block]:
    """The whole report.

    ``record``: id, entries (of the journal, oldest first), verdict, plan or None, head, contacts, dashboards.
    """
    verdict, plan, entries = record["verdict"], record["plan"], record["entries"]
    made: list[Block] = [*_top(verdict, entries), *_pictures(verdict), *_why(verdict, plan)]
    made += _plan(plan) if plan is not None else []
    made += [*_actions(entries), *_clocks(verdict, entries), *_history(entries), *_help(record), *_check(record)]
    return made


def _top(verdict: dict[str, t.Any], entries: list[dict[str, t.Any]]) -> list[Block]:
    ended = timeline.outcome(entries)
    first = f"{OUTCOMES.get(ended, tidy(ended, 30))}. " if ended else ""
    headline = tidy(verdict["headline"], 120).lower()
    headline = f"At the diagnosis: {headline}" if ended == "recovered" else headline.capitalize()
    facts = [("About", verdict["subject"]), *verdict["facts"]]
    facts += [
        ("Severity", tidy(verdict.get("severity"), 10) or "none"),
        ("Confirmed by a second look", "yes" if verdict.get("confirmed") else "NO"),
    ]
    listed = Items([Item(tidy(name, 60), tidy(value, 300)) for name, value in facts])
    made: list[Block] = [Paragraph(f"{first}{headline}."), Paragraph(tidy(verdict["summary"], 2000)), listed]
    proof = [timeline.describe(entry) for entry in entries if entry.get("kind") == "verified"]
    return [*made, Paragraph(proof[-1])] if proof else made


def _pictures(verdict: dict[str, t.Any]) -> list[Block]:
    """Each table with the gauges that its rows add up to; then gauges of their own."""
    made: list[Block] = []
    for shown, gauges in with_gauges(verdict):
        made.append(Heading(tidy(shown["title"], 100)))
        made += [Picture(gauge, shown["rows"]) for gauge in gauges]
        made += _table(shown)
    for gauge in own_gauges(verdict):
        made += [Heading(tidy(gauge["title"], 100)), Picture(gauge, [])]
    return made


def _table(shown: dict[str, t.Any]) -> list[Block]:
    if not shown["rows"]:
        return [Paragraph(tidy(line)) for line in (shown["empty"], *shown["after"]) if line]
    header = tuple(tidy(column["name"], 40).capitalize() for column in shown["columns"])
    kinds = tuple(column["kind"] for column in shown["columns"])
    bad, good = split(shown["rows"])
    fold = len(good) > MOST_GOOD
    made: list[Block] = []
    for rows, folded in ((bad if fold else bad + good, None), (good if fold else [], f"{len(good)} more")):
        cells = [tuple(tidy(cell, 300) for cell in row["cells"]) for row in rows]
        made += [Table(header, cells, kinds, folded)] if cells else []
    return [*made, *(Paragraph(tidy(line)) for line in shown["after"])]


def _why(verdict: dict[str, t.Any], plan: dict[str, t.Any] | None) -> list[Block]:
    held = [
        item._replace(text=f"{item.text} (runbook: {tidy(cause.get('runbook_step'), 80)})")
        for item, cause in zip(why.causes(verdict), verdict["causes"], strict=True)
    ]
    reasons = [*held, *why.refuted(verdict), *why.undecided(verdict), *why.notes(verdict)]
    made: list[Block] = [Heading("Why"), Items(reasons) if reasons else Paragraph("Nothing was found that says why.")]
    for name, typed in why.by_hand(verdict):
        made += [Paragraph(f"To see by hand: {name}"), Verbatim("\n".join(typed))]
    next_ = plan_view.next_lines(verdict, plan)
    title_ = "What to do next, beside the plan:" if plan and plan["steps"] else "What to do next:"
    return [*made, Paragraph(title_), Items([Item("", line) for line in next_])] if next_ else made


def _plan(plan: dict[str, t.Any]) -> list[Block]:
    made: list[Block] = [Heading("Plan")]
    if plan["steps"]:
        until = f", valid until {tidy(plan['expires_at'], 30)}" if plan.get("expires_at") else ""
        made.append(Paragraph(f"Digest: {tidy(plan.get('digest'), 80)}{until}"))
        header = ("Step", "What", "Why", "Changes", "Undo", "Risk")
        made.append(Table(header, [_step(step) for step in plan["steps"]], ("number", "wide")))
    else:
        made.append(Paragraph("No step is planned."))
    made += [Paragraph(tidy(plan["decision"], 1000))] if plan.get("decision") else []
    held = plan_view.withheld(plan)
    made += [Items(held)] if held else []
    sent = plan_view.messages(plan)
    made += [Heading("Messages to send")] if sent else []
    for to, text in sent:
        made += [Paragraph(f"To {to}:"), Verbatim(text)]
    return made


def _step(step: dict[str, t.Any]) -> tuple[str, ...]:
    broken = " [break-glass]" if step.get("overrides") else ""
    return (
        number(step.get("number")),
        plan_view.what_of(step) + broken,
        tidy(step.get("why"), 400),
        plan_view.impact_words(step) or "nothing that is counted",
        tidy(step.get("undo"), 400),
        tidy(step.get("risk"), 600),
    )


def _actions(entries: list[dict[str, t.Any]]) -> list[Block]:
    rows = [
        (tidy(one.run, 30), one.step, one.what, _time(one.started_at), _time(one.finished_at), one.result)
        for one in timeline.done(entries)
    ]
    made: list[Block] = [Heading("What was done")]
    header, kinds = ("Run", "Step", "What", "Begun", "Ended", "Result"), ("time", "number", "wide", "time", "time")
    made.append(Table(header, rows, kinds) if rows else Paragraph("Nothing was done."))
    for entry in timeline.break_glass(entries):
        data = timeline.data_of(entry)
        who, reason = tidy(data.get("who"), 80), tidy(data["break_glass_reason"], 1000)
        made.append(Paragraph(f"Break-glass by {who}, reason given: {reason}"))
    return made


def _clocks(verdict: dict[str, t.Any], entries: list[dict[str, t.Any]]) -> list[Block]:
    if verdict.get("status") == "healthy":
        return []
    begun = next((timeline.data_of(entry).get("at") or entry.get("at") for entry in entries), None)
    start = verdict.get("started_at") or begun
    counted = "the start of the incident" if verdict.get("started_at") else "the start of the first run"
    rows = runbook.clocks(verdict.get("severity"), start, timeline.recovered_at(entries))
    return [
        Heading("Clocks"),
        Paragraph(f"Counted from {counted}, {_time(start)}. Limits as the on-call runbook gives them."),
        Table(("What", "Within", "Until"), rows, ("wide", "time")),
    ]


def _history(entries: list[dict[str, t.Any]]) -> list[Block]:
    rows = [(_time(e.get("at")), tidy(e.get("run"), 30), timeline.describe(e)) for e in entries]
    return [Heading("Timeline"), Table(("Time", "Run", "What happened"), rows, ("time", "time"))]


def _help(record: Record) -> list[Block]:
    """The team's own dashboards and contacts, where its variables name any."""
    known = contacts.dashboards_of(record["verdict"]["incident"], record["dashboards"])
    links = tuple((tidy(entry["name"], 80), entry["url"]) for entry in known)
    rows = [(tidy(entry["who"], 80), tidy(entry["how"], 200)) for entry in record["contacts"]]
    made: list[Block] = [Heading("Dashboards and contacts")] if links or rows else []
    made += [Links(links)] if links else []
    return [*made, Table(("Who", "How"), rows)] if rows else made


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
    return [*made, Table(("Evidence file", "SHA-256"), files, ("text", "id"))] if files else made


def gauge_text(picture: Picture) -> str:
    """A gauge where nothing can be drawn."""
    return f"{gauge_bar(picture.gauge)}\n{tidy(picture.gauge['legend'])}"


def _time(stamp: t.Any) -> str:
    return moment(stamp) or tidy(stamp, 40) or "?"
