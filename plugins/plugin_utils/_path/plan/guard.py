# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards: what must be so before a step. They stop a step; they never start one. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

CLEAR = "clear"
REFUSED = "refused"  # shown: nobody may go on, break-glass or not
OPEN = "open"  # cannot be excluded: a person may go on with a reason

Check = dict[str, t.Any]


@dataclass(frozen=True)
class Guard:
    """One thing that must be so before a step. ``because`` is the observation that says so, in a sentence."""

    name: str
    state: str
    because: str
    subject: str = ""  # what exactly is open, where one name can be open for several things

    @property
    def key(self) -> str:
        """What a person overrides with break-glass: this open question and no other."""
        return f"{self.name}:{self.subject}" if self.subject else self.name


def clear(name: str, because: str) -> Guard:
    return Guard(name, CLEAR, because)


def refused(name: str, because: str) -> Guard:
    return Guard(name, REFUSED, because)


def undecided(name: str, because: str, subject: str = "") -> Guard:
    return Guard(name, OPEN, because, subject)


def blocking(guards: t.Iterable[Guard], overrides: t.Container[str] = ()) -> list[Guard]:
    """The guards that stand in the way; what is shown comes before what cannot be excluded.

    ``overrides``: keys of open guards that a person overrides with break-glass. What is shown stays refused.
    """
    guards = list(guards)
    return [guard for guard in guards if guard.state == REFUSED] + [
        guard for guard in guards if guard.state == OPEN and guard.key not in overrides
    ]


def check(
    *,
    ok: bool = False,
    needed: bool = True,
    wait: bool = False,
    because: str = "",
    guards: t.Sequence[Guard] = (),
    impact: t.Optional[dict[str, t.Any]] = None,
    give: t.Optional[dict[str, t.Any]] = None,
) -> Check:
    """What the check just before a step says.

    ``ok``: take it. ``needed`` False: it is done already, pass over it. ``wait``: not now, but a later look may allow it.
    ``because``: a sentence. ``impact``: as of a step, from fresh observations, where what does not answer counts as lost.
    ``give``: values for the step's tasks that only this look knows.
    """
    return {
        "ok": ok,
        "needed": needed,
        "wait": wait,
        "because": because,
        "guards": [{"name": guard.name, "state": guard.state, "because": guard.because} for guard in guards],
        "impact": impact,
        "give": dict(give or {}),
    }
