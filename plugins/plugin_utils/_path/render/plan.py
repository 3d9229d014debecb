# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in words: its steps, what was withheld, what to send to whom. PRIVATE to the collection.

Screen, report and the lines of a run say it with the same words.
"""

from __future__ import annotations

import itertools
import re
import typing as t

from .layout import COLUMNS, cut, number, tidy

Data = dict[str, t.Any]

MOST_WHAT = 4000
_NAMES = re.compile(r"[\s,]+")


class Item(t.NamedTuple):
    """A line with what leads it. ``most``: lines that the screen gives it."""

    lead: str
    text: str
    most: int = 3


def impact_words(step: Data) -> str:
    """What a step takes or brings, against what is needed; empty where it changes nothing that is counted."""
    impact = step.get("impact") or {}
    before, after = impact.get("before"), impact.get("after")
    if before == after:
        return ""
    return f"{cut(impact.get('label'), 40)} {number(before)} -> {number(after)} ({number(impact.get('needed'))} needed)"


def what_of(step: Data) -> str:
    """What a step does, with all of its hosts: that is what a person approves."""
    what = tidy(step.get("what"), MOST_WHAT)
    named = set(_NAMES.split(what))
    left = [host for host in (cut(host, 100) for host in step["hosts"]) if host not in named]
    return what + (f" ({', '.join(left)})" if left else "")


def step_line(step: Data, state: str, plan: Data) -> str:
    """One line while a step runs: ``[step 2/4] start db2: done, replicas 1 -> 2 (2 needed)``."""
    words = impact_words(step)
    line = f"[step {number(step.get('number'))}/{len(plan['steps'])}] {tidy(step.get('what'), 60)}: {cut(state, 20)}"
    return cut(line + (f", {words}" if words else ""), COLUMNS)


def grouped(steps: t.Sequence[Data]) -> list[tuple[str, str, str]]:
    """Many steps by action, no host is left out: numbers, what is done to whom, and what all of them come to."""
    lines = []
    for _action, group in itertools.groupby(steps, key=lambda step: step.get("action")):
        same = list(group)
        first, last = number(same[0].get("number")), number(same[-1].get("number"))
        hosts = ", ".join(cut(host, 40) for step in same[1:] for host in step["hosts"])
        what = what_of(same[0]) + (f", {hosts}" if hosts else "")
        counted = [step["impact"] for step in same if step.get("impact")]
        impact = dict(counted[-1], before=counted[0].get("before")) if counted else None
        lines.append((first if first == last else f"{first}-{last}", what, impact_words({"impact": impact})))
    return lines


def overridden(step: Data) -> str:
    """What a person overrides with break-glass for this step; empty where it is nothing."""
    return f"({tidy(step.get('what'), 80)}) {tidy(step.get('risk'), 600)}" if step.get("overrides") else ""


def withheld(plan: Data) -> list[Item]:
    """What is not done and why; hosts with the same reason share it."""
    reasons: dict[tuple[t.Any, str], list[Data]] = {}
    for entry in plan["withheld"]:
        reasons.setdefault((entry.get("action"), tidy(entry.get("why"), 800)), []).append(entry)
    items = []
    for (_action, why), entries in reasons.items():
        rest = ", ".join(cut(host, 40) for entry in entries[1:7] for host in entry["hosts"])
        more = f" and {len(entries) - 7} more" if len(entries) > 7 else ""
        what = tidy(entries[0].get("what"), 100) + (f", {rest}{more}" if rest else "")
        glass = " Break-glass, with a reason, would make it a step." if entries[0].get("break_glass") else ""
        items.append(Item("not done", f"{what}: {why}{glass}"))
    return items


def messages(plan: Data) -> list[tuple[str, str]]:
    """To whom a message goes and about what, and its text."""
    texts = []
    for message in plan["messages"]:
        to = [who for who in message.get("to") or [] if isinstance(who, dict)]
        names = ", ".join(f"{cut(who.get('name'), 40)} ({tidy(who.get('detail'), 80)})" for who in to)
        about = f", about: {cut(message['about'], 40)}" if message.get("about") else ""
        texts.append((f"{names}{about}", tidy(message.get("text"), 20000)))
    return texts


def next_lines(verdict: Data, plan: Data | None) -> list[str]:
    """What the verdict says to do next, without what the plan does already.

    A line goes where the plan acts on every host of its cause, by an action that this cause justifies. A verdict knows no
    plan, and next to one that is ready "start it by hand" would be bad advice.
    """
    steps = plan["steps"] if plan is not None else []
    taken = {(step.get("action"), host) for step in steps for host in step["hosts"]}
    done = {
        cause.get("next")
        for cause in verdict["causes"]
        if cause["hosts"]
        and all(any((action, host) in taken for action in cause["justifies"]) for host in cause["hosts"])
    }
    handed = [
        f"Run {tidy(entry.get('incident'), 40)}.yml: {tidy(entry.get('because'), 300)}"
        for entry in verdict["hand_over"]
    ]
    return [*handed, *(tidy(line, 400) for line in verdict["next"] if line not in done)]
