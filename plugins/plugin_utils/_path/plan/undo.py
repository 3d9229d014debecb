# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of kept files in the undo of a step, once a run has kept them. PRIVATE to the collection.

What a step replaces is kept as ``<name>.incident-<run>``. A plan is made before it has a run, so its texts say RUN. A
step can be begun by one run, cut off, and ended by another: the record says whose name the file has.
"""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record.timeline import Entry, data_of

MARK = ".incident-RUN"
LEGEND = "RUN in the name of a file stands for the name of the run that takes the step, such as run-5f0c2b9a."

Step = dict[str, t.Any]


def makers(entries: t.Iterable[Entry], digest: t.Any, step: Step) -> list[str]:
    """The runs whose name a file that ``step`` kept has: the one that says so, else all that may have been cut off in it.

    ``entries``: of the journal, oldest first. ``digest``: of the plan; a run that did not use it took no step of it.
    Empty where the step was not begun, or ended without keeping anything.
    """
    used: set[str] = set()
    certain: str | None = None
    possible: list[str] = []
    for entry in entries:
        run, kind, data = str(entry.get("run")), entry.get("kind"), data_of(entry)
        if kind == "approved" and data.get("digest") == digest:
            used.add(run)
        if run not in used or not _is_of(data, step):
            continue
        if kind == "action_started" and run not in possible:
            possible.append(run)
        elif kind == "action_finished":
            kept = any(f".incident-{run}" in str(words) for words in _list(data.get("did")))
            certain = run if kept else certain
            possible = [one for one in possible if one != run or not (kept or data.get("ok") is True)]
    return [certain] if certain is not None else possible


def begun(entries: t.Iterable[Entry], digest: t.Any) -> list[list[str]]:
    """The steps of the plan with that digest that any run began, as [action, host]; ``entries`` of the journal."""
    used: set[str] = set()
    found: list[list[str]] = []
    for entry in entries:
        run, kind, data = str(entry.get("run")), entry.get("kind"), data_of(entry)
        if kind == "approved" and data.get("digest") == digest:
            used.add(run)
        elif kind == "action_started" and run in used:
            found.append([str(data.get("action")), str(data.get("host"))])
    return found


def named(step: Step, runs: t.Collection[str]) -> Step:
    """The step with the names of these runs in its undo, for RUN; as it is where there are none."""
    if not runs:
        return step
    names = " or ".join(f".incident-{run}" for run in dict.fromkeys(runs))
    return dict(step, undo=str(step.get("undo") or "").replace(MARK, names))


def told(plan: dict[str, t.Any], entries: t.Sequence[Entry]) -> dict[str, t.Any]:
    """The plan as the journal says it was carried out: the undo of each step that was begun names the files there are."""
    steps = [named(step, makers(entries, plan.get("digest"), step)) for step in plan["steps"]]
    return dict(plan, steps=steps)


def has_mark(plan: dict[str, t.Any]) -> bool:
    """Whether the undo of a step still says RUN, so that LEGEND has to be said with it."""
    return any(MARK in str(step.get("undo")) for step in plan["steps"])


def _is_of(data: dict[str, t.Any], step: Step) -> bool:
    given = (data.get("step"), data.get("action"), data.get("host"))
    return given == (step.get("number"), step.get("action"), step.get("host"))


def _list(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else []
