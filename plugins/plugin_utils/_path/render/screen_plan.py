# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan on the screen: its steps with the power before and after, what was withheld, what to send to whom. PRIVATE."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render.layout import (
    COLUMNS,
    INDENT,
    cut,
    number,
    tidy,
    width,
    wrap,
)

Plan = dict[str, t.Any]
Step = dict[str, t.Any]

# Up to so many steps each gets its line; more are listed by action, no host is left out.
MOST_STEPS = 8
MOST_REASONS = 6

_ACTIONS = {
    "start_node": "start the node on",
    "thaw_node": "wake the frozen node on",
    "relax_double_sign_check": "set double_sign_check_height to 0 on",
    "restore_double_sign_check": "set double_sign_check_height back on",
    "stop_node": "stop the node on",
    "clear_halt_height": "take the halt height out of app.toml on",
    "put_wal_back": "put the old write-ahead log back on",
    "free_space": "compress old log files on the full disk of",
}
# States of a node that a start or a thaw may bring back.
_DOWN = ("stopped", "crashed", "frozen")


def action_words(step: Step) -> str:
    """What a step does in words, without its host; an unknown action by its name."""
    return _ACTIONS.get(str(step.get("action")), f"{cut(step.get('action'), 40)} on")


def what(step: Step) -> str:
    """What a step does and where."""
    return f"{action_words(step)} {cut(step.get('host'), 40)}"


def power_words(step: Step) -> str:
    """The power before and after a step, against what is needed; empty where a step does not change it.

    It is what is *seen* voting: votes of others grow too old to count, so a later run may see less than an earlier one.
    """
    before, after = step.get("power_online_before"), step.get("power_online_after")
    if before == after:
        return ""
    return f"power seen voting {number(before)} -> {number(after)} ({number(step.get('quorum'))} needed)"


def steps(plan: Plan) -> list[str]:
    """The steps of a plan. Every host that would be touched is named, for that is what a person approves."""
    made = plan["steps"]
    if len(made) <= MOST_STEPS:
        return [line for step in made for line in _step(step)]
    lines = []
    for words, group in itertools.groupby(made, key=action_words):
        same = list(group)
        hosts = ", ".join(cut(step.get("host"), 40) for step in same)
        first, last = number(same[0].get("number")), number(same[-1].get("number"))
        span = first if first == last else f"{first}-{last}"
        lines += wrap(f"{words} {hosts}", f"{INDENT}{span}. ", INDENT + "    ", most=60)
        power = power_words(dict(same[-1], power_online_before=same[0].get("power_online_before")))
        _add_power(lines, power)
    return lines + [line for step in made if step.get("break_glass") for line in _broken(step)]


def _step(step: Step) -> list[str]:
    power = power_words(step)
    lines = wrap(what(step), f"{INDENT}{number(step.get('number'))}. ")
    _add_power(lines, power)
    return lines + (_broken(step) if step.get("break_glass") else [])


def _add_power(lines: list[str], power: str) -> None:
    if power and width(lines[-1]) + 3 + width(power) > COLUMNS:
        lines.append(INDENT + "   " + power)
    elif power:
        lines[-1] += "   " + power


def _broken(step: Step) -> list[str]:
    return wrap(f"({cut(step.get('host'), 40)}) {step.get('risk')}", INDENT + "   BREAK-GLASS ", most=4)


def left_alone(entry: dict[str, t.Any], verdict: dict[str, t.Any]) -> bool:
    """Whether what was withheld is the start of a node that is not down, so that "start" is no word for it."""
    rows = [row for row in (*verdict["validators"], *(verdict.get("nodes") or [])) if isinstance(row, dict)]
    down = any(row.get("host") == entry.get("host") and row.get("state") in _DOWN for row in rows)
    return entry.get("action") == "start_node" and not down


def next_lines(verdict: dict[str, t.Any], plan: Plan | None) -> list[t.Any]:
    """What the verdict says to do next, without what the plan does already.

    A line goes where the plan acts on every host of its cause, by an action that this cause justifies. A verdict knows no
    plan, and next to one that is ready "start it by hand" would be bad advice.
    """
    taken = {(step.get("action"), step.get("host")) for step in plan["steps"]} if plan is not None else set()
    done = {
        cause.get("next")
        for cause in verdict["causes"]
        if cause["hosts"]
        and all(any((action, host) in taken for action in cause["justifies"]) for host in cause["hosts"])
    }
    return [line for line in verdict["next"] if line not in done]


def withheld(plan: Plan, verdict: dict[str, t.Any]) -> list[str]:
    """What is not done and why; hosts with the same reason share it."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for entry in plan["withheld"]:
        alone = left_alone(entry, verdict)
        words = "left alone: " if alone else f"not done: {_ACTIONS.get(str(entry.get('action')), 'act on')} "
        hosts = reasons.setdefault((words, tidy(entry.get("why"), 600)), [])
        hosts.append(cut(entry.get("host"), 40))
    lines = []
    for (words, why), hosts in list(reasons.items())[:MOST_REASONS]:
        shown = ", ".join(hosts[:6]) + (f" and {len(hosts) - 6} more" if len(hosts) > 6 else "")
        lead, rest = words.split(": ")
        lines += wrap(f"{rest}{shown}: {why}", f"{INDENT}{lead}: ", INDENT + "    ", most=3)
    if len(reasons) > MOST_REASONS:
        lines.append(f"{INDENT}... {len(reasons) - MOST_REASONS} more reasons are in the report.")
    return lines


def messages(plan: Plan, in_report: bool) -> list[str]:
    """To whom a message goes. Its text stands in the report; where there is none, it stands here."""
    lines = []
    for message in plan["messages"]:
        to = [who for who in message.get("to") or [] if isinstance(who, dict)]
        shown = ", ".join(f"{cut(who.get('name'), 24)} ({number(who.get('power'))})" for who in to[:6])
        shown += f" and {len(to) - 6} more" if len(to) > 6 else ""
        about = f", about: {cut(message['about'], 40)}" if message.get("about") else ""
        if in_report:
            lines += wrap(f"{shown}{about}. The text is in the report, ready to copy.", INDENT + "to ", most=3)
        else:
            lines += wrap(f"{shown}{about}:", INDENT + "to ", most=3)
            lines += wrap(message.get("text"), INDENT + INDENT)
    return lines


def step_line(step: Step, state: str, plan: Plan) -> str:
    """One line while a step runs: ``[step 2/4] start the node on vh1: done, power seen voting 32 -> 66 (67 needed)``."""
    power = power_words(step)
    line = f"[step {number(step.get('number'))}/{len(plan['steps'])}] {what(step)}: {cut(state, 20)}"
    return cut(line + (f", {power}" if power else ""), COLUMNS)
