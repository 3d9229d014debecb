# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the on-call runbook fixes for every incident: its clocks. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ..evidence.values import seconds as seconds_of
from ..evidence.values import stamp
from .layout import clock, moment

MINUTE = 60
HOUR = 3600

# Severity classification of the runbook: time to the first response, seconds.
RESPONSE_S = {"SEV-1": 5 * MINUTE, "SEV-2": 15 * MINUTE, "SEV-3": HOUR, "SEV-4": 24 * HOUR}
# "Update incident channel every 15 minutes"
UPDATE_S = 15 * MINUTE
UPDATES_SHOWN = 4
# "Schedule postmortem (within 48 hours)", counted from the resolution
POSTMORTEM_S = 48 * HOUR
# Escalation contacts of the runbook: when, after how long (seconds), whom.
ESCALATION = (
    ("It is not diagnosed", 15 * MINUTE, "Secondary on-call"),
    ("It is not resolved", HOUR, "Engineering lead"),
    ("Customers are still hit", 2 * HOUR, "VP Engineering"),
)


def clocks(severity: t.Any, start: t.Any, resolved: t.Any) -> list[tuple[str, str, str]]:
    """What is due, after how long, and until when, counted from ``start`` (RFC 3339; "?" where it is not known).

    ``severity``: SEV-1 to SEV-4; anything else is treated as SEV-1 until somebody knows better. ``resolved``: RFC 3339
    of the proven recovery, or None while it goes on.
    """
    response = RESPONSE_S.get(str(severity), RESPONSE_S["SEV-1"])
    updates = ", ".join(_after(start, UPDATE_S * count, start) for count in range(1, UPDATES_SHOWN + 1))
    rows = [
        ("First response, alert acknowledged", _long(response), _after(start, response)),
        ("Update of the incident channel", f"every {_long(UPDATE_S)}", f"{updates}, ..."),
    ]
    rows += [(f"{when}: call {whom}", _long(after), _after(start, after)) for when, after, whom in ESCALATION]
    due = _after(resolved, POSTMORTEM_S) if resolved else "48 h after it is resolved"
    return [*rows, ("Postmortem", f"{_long(POSTMORTEM_S)} after it is resolved", due)]


def _long(seconds: int) -> str:
    return f"{seconds // HOUR} h" if seconds % HOUR == 0 else f"{seconds // MINUTE} min"


def _after(start: t.Any, seconds: int, day: t.Any = None) -> str:
    """So long after ``start``; without the date where ``day`` is given and is the same."""
    begun = seconds_of(start)
    due = stamp(begun + seconds) if begun is not None else None
    return (clock(due, day) if day else moment(due)) or "?"
