# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From an incident's causes and one reading to the lists of a verdict: what holds, is refuted, cannot be told."""

from __future__ import annotations

import typing as t

from ..text import clean
from .cause import HOLDS, REFUTED, Cause, Finding

# A reason may quote several hosts and journal lines; beyond this nobody reads it.
BECAUSE_LIMIT = 600


def judge(causes: t.Sequence[Cause], ask: t.Callable[[Cause], Finding]) -> dict[str, list[dict[str, t.Any]]]:
    """Ask every cause; the others than those that hold come in their own order.

    Of those that hold roots come first. Among these the lasting ones, which are an incident of their own in any state,
    stand before what belongs to this incident only; then it is by what they cost.
    """
    holding: list[dict[str, t.Any]] = []
    refuted: list[dict[str, t.Any]] = []
    undecided: list[dict[str, t.Any]] = []
    for cause in causes:
        finding = ask(cause)
        because = clean(finding.because, BECAUSE_LIMIT)
        if finding.answer == HOLDS:
            holding.append(_held(cause, finding, because))
        elif finding.answer == REFUTED:
            refuted.append({**_named(cause), "because": because})
        else:
            undecided.append({**_named(cause), "missing": because})
    lasting = {cause.id for cause in causes if cause.lasting}
    holding.sort(
        key=lambda entry: (
            entry["role"] != "root",
            entry["role"] == "root" and entry["id"] not in lasting,
            -entry["weight"],
        )
    )
    return {"causes": holding, "refuted": refuted, "cannot_tell": undecided}


def _named(cause: Cause) -> dict[str, str]:
    return {"id": cause.id, "title": cause.title, "statement": cause.statement}


def _held(cause: Cause, finding: Finding, because: str) -> dict[str, t.Any]:
    return {
        **_named(cause),
        "role": "symptom" if finding.symptom else "root",
        "explained": finding.explained,
        "because": because,
        "weight": finding.weight,
        "hosts": list(finding.hosts),
        "runbook_step": cause.runbook_step,
        "severity": cause.severity,
        "justifies": list(cause.justifies if finding.justifies is None else finding.justifies),
        "forbids": list(cause.forbids if finding.forbids is None else finding.forbids),
        "by_hand": list(cause.by_hand),
        "next": cause.next,
        "decide": cause.decide,
    }


def filled(text: str, entry: dict[str, t.Any], values: t.Mapping[str, t.Any]) -> str:
    """A text of a cause with its hosts, and ``values``, in place of their names in braces."""
    hosts = ", ".join(clean(host, 40) for host in entry["hosts"][:8])
    more = f" and {len(entry['hosts']) - 8} more" if len(entry["hosts"]) > 8 else ""
    for name, value in {"hosts": hosts + more or "the hosts named above", **values}.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def duration(seconds: float) -> str:
    """A length of time as people say it: "45 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"."""
    whole = max(0, int(seconds))
    for size, name, smaller, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name} {rest} {part}" if rest else f"{whole // size} {name}"
    return f"{whole} s"
