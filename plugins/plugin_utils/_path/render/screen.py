# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tired person reads: the first answer, and the one screen at the end. PRIVATE to the collection.

No colour and no drawing characters: it reads the same on a terminal, in a log file and in AWX. No line is wider than
100 columns.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from . import plan as plan_view
from . import table, why
from .layout import COLUMNS, INDENT, command, cut, fitted, gauge_bar, tidy, typed, width, wrap
from .plan import Item

Verdict = dict[str, t.Any]
Plan = dict[str, t.Any]

_TITLES = {
    "diagnosed": "DIAGNOSIS",
    "planned": "A PLAN IS READY, NOTHING HAS BEEN DONE",
    "recovered": "RECOVERED",
    "not_recovered": "NOT RECOVERED",
    "refused": "REFUSED",
}
_BEFORE_ACTING = ("planned", "refused")
_MOST_NEXT = 6
_MOST_CAUSES = 6
_MOST_RIVALS = 4
_MOST_TYPED = 6
_MOST_REASONS = 6
# Up to so many steps each gets its line; more are listed by action, no host is left out.
_MOST_STEPS = 8


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    ``outcome``: diagnosed, planned, recovered, not_recovered or refused. ``lines``: why it ended so. ``approve_command``:
    what to type to approve the plan, None where it cannot be approved. ``record_path``: the report or the record's
    directory, None where none is kept. ``advice``: what the incident says to do after this outcome.
    """

    outcome: str
    lines: t.Sequence[str] = ()
    approve_command: str | None = None
    record_path: str | None = None
    head_hash: str | None = None
    advice: t.Sequence[str] = ()


def first_answer(verdict: Verdict) -> list[str]:
    """A few lines after the first look: what it seems to be, the gauge, who is missing."""
    lines = [f"FIRST ANSWER, another look follows in a few seconds: {verdict['headline']}"]
    lines += wrap(verdict["summary"], INDENT, most=3)
    lines += [line for gauge in verdict["gauges"][:1] for line in _bar(gauge)]
    for text in verdict["brief"]:
        lines += wrap(text, INDENT, most=1)
    return [fitted(line) for line in lines]


def final(verdict: Verdict, plan: Plan | None, ended: Ended) -> list[str]:
    """The one screen at the end of a run."""
    title = f"{_TITLES.get(ended.outcome, cut(ended.outcome, 30))}: {verdict['headline']}"
    screen = [_rule(title, verdict.get("severity"))]
    for line in ended.lines:
        # Lists of differences come indented, and stay so.
        screen += wrap(line, INDENT if str(line).startswith(" ") else "", most=6)
    screen += wrap(verdict["summary"], most=5)
    screen += _pictures(verdict)
    if ended.outcome != "recovered":
        screen += ["", "WHY", *_why(verdict)]
    if plan is not None:
        screen += _plan(plan, ended)
    screen += ["", "WHAT TO DO NEXT", *_next(verdict, plan, ended)]
    screen += ["", *_record(ended)]
    return [fitted(line) for line in screen]


def _rule(title: str, severity: t.Any) -> str:
    """A line of "=" with the title in it, the severity at its end."""
    end = f" {cut(severity, 10)} ==" if severity else "=="
    start = f"== {cut(title, COLUMNS - 4 - width(end))} "
    return start + "=" * (COLUMNS - width(start) - width(end)) + end


def _pictures(verdict: Verdict) -> list[str]:
    """Each table with the gauges that its rows add up to; then gauges of their own."""
    lines: list[str] = []
    for shown, gauges in table.with_gauges(verdict):
        drawn = gauges if shown["rows"] else []
        legend = f"    ({drawn[0]['legend']})" if drawn else ""
        lines += ["", shown["title"].upper() + legend, *table.lines(shown)]
        lines += [line for gauge in drawn for line in _bar(gauge)]
    for gauge in table.own_gauges(verdict):
        lines += ["", f"{gauge['title'].upper()}    ({gauge['legend']})", *_bar(gauge)]
    return lines


def _bar(gauge: dict[str, t.Any]) -> list[str]:
    """The gauge; words that do not fit behind its bar stand below it, for half a number would be misread."""
    return wrap(gauge_bar(gauge), INDENT, most=3)


def _items(items: t.Sequence[Item]) -> list[str]:
    return [line for item in items for line in wrap(item.text, f"{INDENT}{item.lead}: ", most=item.most)]


def _why(verdict: Verdict) -> list[str]:
    held, refuted, undecided = why.causes(verdict), why.refuted(verdict), why.undecided(verdict)
    lines = _items(held[:_MOST_CAUSES])
    lines += _more(len(held) - _MOST_CAUSES, "more")
    lines += _by_hand(verdict)
    lines += _items(refuted[:_MOST_RIVALS])
    rest = ", ".join(item.text.partition(" - ")[0] for item in refuted[_MOST_RIVALS:])
    lines += wrap(rest, INDENT + "ruled out as well: ", INDENT * 2, most=3) if rest else []
    lines += _items(undecided[:_MOST_RIVALS])
    lines += _more(len(undecided) - _MOST_RIVALS, "more that cannot be told")
    lines += _items(why.notes(verdict)[:3])
    return lines or [INDENT + "Nothing was found that says why."]


def _more(count: int, words: str) -> list[str]:
    return [f"{INDENT}and {count} {words}, see the report"] if count > 0 else []


def _by_hand(verdict: Verdict) -> list[str]:
    """The commands that show the first root to a person, as many as a few lines hold; the report has all of them."""
    roots = [cause for cause in verdict["causes"] if cause.get("role") == "root"]
    # What has no severity of its own says that all is well with it; what else is the matter is the question.
    root = next((cause for cause in roots if cause.get("severity")), roots[0] if roots else None)
    if root is None or verdict.get("status") == "healthy":
        return []
    lines: list[str] = []
    for text in (root.get("by_hand") or [])[:3]:
        lines += typed(tidy(text), _MOST_TYPED - len(lines)) or []
    return [f"{INDENT}see it by hand:", *lines] if lines else []


def _plan(plan: Plan, ended: Ended) -> list[str]:
    lines: list[str] = []
    if plan["steps"]:
        title = "THE PLAN THAT WAS CARRIED OUT" if ended.outcome == "recovered" else "THE PLAN"
        until = f"    (valid until {plan['expires_at']})" if plan.get("expires_at") else ""
        lines += ["", f"{title}: {cut(plan.get('digest'), 80)}{until}", *_steps(plan["steps"])]
    if ended.outcome == "recovered":
        return lines
    held = plan_view.withheld(plan)
    decision = wrap(plan["decision"], INDENT, most=4) if plan.get("decision") else []
    if held or decision:
        lines += ([] if plan["steps"] else ["", "NO STEP IS PLANNED"]) + decision + _items(held[:_MOST_REASONS])
        lines += _more(len(held) - _MOST_REASONS, "more reasons")
    sent = _messages(plan, ended.record_path is not None)
    return lines + (["", "MESSAGES TO SEND", *sent] if sent else [])


def _steps(steps: list[dict[str, t.Any]]) -> list[str]:
    """The steps of a plan. Every host that would be touched is named, for that is what a person approves."""
    shown = [(str(step["number"]), plan_view.what_of(step), plan_view.impact_words(step)) for step in steps]
    lines: list[str] = []
    for numbers, what, impact in shown if len(steps) <= _MOST_STEPS else plan_view.grouped(steps):
        lines += wrap(what, f"{INDENT}{numbers}. ", most=60)
        if impact and width(lines[-1]) + 3 + width(impact) > COLUMNS:
            lines.append(f"{INDENT}   {impact}")
        elif impact:
            lines[-1] += f"   {impact}"
    for step in steps:
        glass = plan_view.overridden(step)
        lines += wrap(glass, INDENT + "   BREAK-GLASS ", most=4) if glass else []
    return lines


def _messages(plan: Plan, in_report: bool) -> list[str]:
    """To whom a message goes. Its text stands in the report; where there is none, it stands here."""
    lines = []
    for to, text in plan_view.messages(plan):
        lines += wrap(
            f"{to}{'. The text is in the report, ready to copy.' if in_report else ':'}", INDENT + "to ", most=3
        )
        lines += [] if in_report else wrap(text, INDENT + INDENT)
    return lines


def _next(verdict: Verdict, plan: Plan | None, ended: Ended) -> list[str]:
    if ended.outcome == "recovered":
        return _listed(
            [
                *ended.advice,
                "Look at the dashboards for some minutes.",
                "Tell the incident channel, set the status page to resolved.",
                "Set a date for the postmortem, within 48 hours. The report is its beginning.",
            ]
        )
    lines = _listed(ended.advice)
    if ended.outcome == "not_recovered":
        again = "Run the same command again, without incident_approve. It diagnoses anew and makes a plan of now."
        lines += _listed([again])
    elif plan is not None and plan["steps"] and ended.outcome in _BEFORE_ACTING:
        lines += _approval(plan, ended.approve_command)
    more = [] if ended.outcome == "not_recovered" else plan_view.next_lines(verdict, plan)[:_MOST_NEXT]
    if plan is not None and any(entry.get("break_glass") for entry in plan["withheld"]):
        more.append(
            "What is withheld because it cannot be told: whoever answers for it may add "
            "-e \"incident_break_glass_reason='...'\" and gets a plan with it."
        )
    lines += _listed(more)
    return lines or [INDENT + "Nothing."]


def _approval(plan: Plan, approve_command: str | None) -> list[str]:
    if approve_command is None:
        return wrap(
            "This plan cannot be approved: it is made from saved evidence. Run without incident_evidence for a plan of "
            "now.",
            INDENT,
        )
    lines = command(approve_command)
    if lines is None:
        words = f"Read the plan. To carry it out, run the same command again with -e incident_approve={plan['digest']}"
        return wrap(words, INDENT)
    return [INDENT + "Read the plan. To carry it out:", *lines]


def _listed(lines: t.Sequence[str]) -> list[str]:
    return [line for text in lines for line in wrap(text, INDENT + "- ", most=3)]


def _record(ended: Ended) -> list[str]:
    if ended.record_path is None:
        return ["No record of this run is kept."]
    lines = wrap(ended.record_path, "Report: ")
    return lines + wrap(ended.head_hash, "Record head (keep it elsewhere): ") if ended.head_hash else lines
