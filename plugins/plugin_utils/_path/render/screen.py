# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tired person reads: the first answer, the lines of a running plan, and the one screen at the end. PRIVATE.

No colour and no drawing characters: it reads the same on a terminal, in a log file and in AWX. No line is wider than
100 columns.
"""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import table as _screen_table
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import screen_plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render.layout import (
    COLUMNS,
    INDENT,
    command,
    cut,
    fitted,
    number,
    power_bar,
    sentence,
    tidy,
    typed,
    width,
    wrap,
)

Verdict = dict[str, t.Any]
Plan = dict[str, t.Any]

step_line = screen_plan.step_line

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
_NO_CAUSE = "cannot_tell"
_NO_HALT = "not_halted"
# What stands above everything else, whether the chain runs or not.
_ALARMS = {"key_on_two_hosts": "ONE KEY RUNS ON TWO HOSTS: SECURITY INCIDENT"}


def headline(verdict: Verdict) -> str:
    """The verdict in a few words: few enough that neither the first answer nor the last screen cuts them."""
    status = verdict.get("status")
    for cause, said in _ALARMS.items():
        if any(entry.get("id") == cause for entry in verdict["causes"]):
            return said
    if status == "incident":
        return "THE CHAIN IS HALTED" if verdict.get("confirmed") else "THE CHAIN SEEMS HALTED, NOT CONFIRMED YET"
    if status == "unknown" and verdict.get("severity") is None:
        return "NO HALT SEEN SO FAR, NOT CONFIRMED YET"
    known = {"degraded": "THE CHAIN RUNS, SOMETHING OF OURS IS MISSING", "healthy": "THE CHAIN RUNS"}
    return known.get(str(status), "CANNOT TELL WHETHER THE CHAIN RUNS")


def first_answer(verdict: Verdict) -> list[str]:
    """3 to 6 lines after the first look: what it seems to be, the power, who is missing."""
    drawn = power_bar(verdict["power"])
    missing, _voting = _screen_table.by_need(row for row in verdict["validators"] if isinstance(row, dict))
    lines = [f"FIRST ANSWER, a second look follows in a few seconds: {headline(verdict)}"]
    lines += wrap(verdict["summary"], INDENT, most=3)
    lines += [INDENT + drawn] if drawn else []
    if missing:
        names = [
            f"{cut(_screen_table.subject(row), 20)} {number(row.get('power'))} {_screen_table.what_state(row)}"
            for row in missing[:4]
        ]
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        lines += wrap(f"Not seen voting: {', '.join(names)}{more}.", INDENT, most=1)
    return [fitted(line) for line in lines]


def final(
    verdict: Verdict,
    plan: Plan | None,
    *,
    approve_command: str | None,
    record_path: str | None,
    head_hash: str | None,
    outcome: str,
    lines: t.Sequence[str] = (),
) -> list[str]:
    """The one screen at the end of a run.

    ``approve_command``: what to type to approve the plan, None where it cannot be approved. ``record_path``: the report
    or the record's directory, None where none is kept. ``outcome``: how the run ended (diagnosed, planned, recovered,
    not_recovered, refused). ``lines``: why it ended so.
    """
    screen = [_rule(f"{_TITLES.get(outcome, cut(outcome, 30))}: {headline(verdict)}", verdict.get("severity"))]
    for line in lines:
        # Lists of differences come indented, and stay so.
        screen += wrap(line, INDENT if str(line).startswith(" ") else "", most=6)
    screen += wrap(verdict["summary"], most=5)
    screen += ["", "WHO VOTES AND WHO DOES NOT    (# votes, ? cannot tell, . does not vote, | needed)"]
    screen += _screen_table.table(verdict)
    if outcome != "recovered":
        screen += ["", "WHY", *_why(verdict)]
    if plan is not None:
        screen += _plan(verdict, plan, outcome, record_path is not None)
    screen += ["", "WHAT TO DO NEXT", *_next(verdict, plan, approve_command, outcome)]
    screen += ["", *_record(record_path, head_hash)]
    return [fitted(line) for line in screen]


def _rule(title: str, severity: t.Any) -> str:
    """A line of "=" with the title in it, the severity at its end."""
    end = f" {cut(severity, 10)} ==" if severity else "=="
    start = f"== {cut(title, COLUMNS - 4 - width(end))} "
    return start + "=" * (COLUMNS - width(start) - width(end)) + end


def _why(verdict: Verdict) -> list[str]:
    lines = []
    for cause in verdict["causes"][:_MOST_CAUSES]:
        lead = "because: " if cause.get("role") == "root" else "and also: "
        lines += wrap(f"{sentence(cause.get('statement'))} {sentence(cause.get('because'))}", INDENT + lead, most=4)
    more = len(verdict["causes"]) - _MOST_CAUSES
    lines += [f"{INDENT}and {more} more, see the report"] if more > 0 else []
    lines += _by_hand(verdict)
    # That a cause was found is no news under the causes that were found.
    refuted = [entry for entry in verdict["refuted"] if entry.get("id") != _NO_CAUSE]
    for entry in refuted[:_MOST_RIVALS]:
        lines += wrap(f"{_title(entry)} - {tidy(entry.get('because'))}", INDENT + "ruled out: ", most=1)
    rest = ", ".join(_title(entry) for entry in refuted[_MOST_RIVALS:])
    lines += wrap(rest, INDENT + "ruled out as well: ", INDENT * 2, most=3) if rest else []
    lines += _undecided(verdict["cannot_tell"])
    for note in verdict["notes"][:3]:
        lines += wrap(note, INDENT + "note: ", most=2)
    return lines or [INDENT + "Nothing was found that says why."]


def _by_hand(verdict: Verdict) -> list[str]:
    """The commands that show the first root to a person, as many as a few lines hold; the report has all of them."""
    roots = [cause for cause in verdict["causes"] if cause.get("role") == "root"]
    # That blocks come is seen; what else is the matter is the question.
    root = next((cause for cause in roots if cause.get("id") != _NO_HALT), roots[0] if roots else None)
    if root is None or verdict.get("status") == "healthy":
        return []
    lines: list[str] = []
    for text in (root.get("by_hand") or [])[:3]:
        lines += typed(tidy(text), _MOST_TYPED - len(lines)) or []
    return [f"{INDENT}see it by hand:", *lines] if lines else []


def _undecided(entries: list[dict[str, t.Any]]) -> list[str]:
    """Causes that cannot be told, together where the same is missing for them."""
    by_missing: dict[str, list[str]] = {}
    for entry in entries:
        by_missing.setdefault(tidy(entry.get("missing")), []).append(_title(entry))
    lines: list[str] = []
    for missing, titles in list(by_missing.items())[:_MOST_RIVALS]:
        named = ", ".join(titles[:3]) + (f" and {len(titles) - 3} more" if len(titles) > 3 else "")
        lines += wrap(f"{named} - missing: {missing}", INDENT + "cannot tell: ", most=2)
    more = sum(len(titles) for titles in list(by_missing.values())[_MOST_RIVALS:])
    return lines + ([f"{INDENT}cannot tell: {more} more causes, see the report"] if more else [])


def _title(entry: dict[str, t.Any]) -> str:
    return tidy(entry.get("title") or entry.get("statement"), 60)


def _plan(verdict: Verdict, plan: Plan, outcome: str, in_report: bool) -> list[str]:
    lines: list[str] = []
    if plan["steps"]:
        title = "THE PLAN THAT WAS CARRIED OUT" if outcome == "recovered" else "THE PLAN"
        lines += ["", f"{title}: {cut(plan.get('digest'), 60)}", *screen_plan.steps(plan)]
    if outcome != "recovered":
        held = screen_plan.withheld(plan, verdict)
        decision = wrap(plan["decision"], INDENT, most=4) if plan.get("decision") else []
        if held or decision:
            lines += ([] if plan["steps"] else ["", "NO STEP IS PLANNED"]) + decision + held
        sent = screen_plan.messages(plan, in_report)
        lines += ["", "MESSAGES TO SEND", *sent] if sent else []
    return lines


def _next(verdict: Verdict, plan: Plan | None, approve_command: str | None, outcome: str) -> list[str]:
    if outcome == "recovered":
        return _listed(
            [
                "Look at the Chain Health dashboard for some minutes.",
                "Tell the incident channel, set the status page to resolved.",
                "Set a date for the postmortem, within 48 hours. The report is its beginning.",
            ]
        )
    lines: list[str] = []
    if outcome == "not_recovered":
        lines += _listed(
            [
                "Restart nothing by hand: nodes that vote hold their votes in memory.",
                "Run the same command again, without incident_approve. It diagnoses anew and makes a plan of now.",
            ]
        )
    elif plan is not None and plan["steps"] and outcome in _BEFORE_ACTING:
        lines += _approval(plan, approve_command)
    said = [] if outcome == "not_recovered" else screen_plan.next_lines(verdict, plan)
    listed = [tidy(line) for line in said[:_MOST_NEXT]]
    if plan is not None and any(entry.get("break_glass") for entry in plan["withheld"]):
        listed.append(
            "What is withheld because it cannot be told: whoever answers for it may add "
            "-e \"incident_break_glass_reason='...'\" and gets a plan with it."
        )
    lines += _listed(listed)
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
        said = f"Read the plan. To carry it out, run the same command again with -e incident_approve={plan['digest']}"
        return wrap(said, INDENT)
    return [INDENT + "Read the plan. To carry it out:", *lines]


def _listed(lines: t.Sequence[str]) -> list[str]:
    return [line for text in lines for line in wrap(text, INDENT + "- ", most=3)]


def _record(record_path: str | None, head_hash: str | None) -> list[str]:
    if record_path is None:
        return ["No record of this run is kept."]
    lines = wrap(record_path, "Report: ")
    return lines + wrap(head_hash, "Record head (keep it elsewhere): ") if head_hash else lines
