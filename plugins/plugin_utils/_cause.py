# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cause of an incident: one small named object, read and tested alone."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

HOLDS = "holds"
REFUTED = "refuted"
CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True)
class Finding:
    """What a cause's predicate says of one reading, with the observation that says so."""

    answer: str  # HOLDS, REFUTED or CANNOT_TELL
    because: str  # the observation; for CANNOT_TELL what is missing
    power: int = 0  # voting power this cause costs
    hosts: tuple[str, ...] = ()
    symptom: bool = False  # it holds, but alone it does not make the incident
    justifies: t.Optional[tuple[str, ...]] = None  # in place of the cause's own, where the finding knows better
    forbids: t.Optional[tuple[str, ...]] = None


@dataclass(frozen=True)
class Cause:
    """What can be the matter, and what follows from it. ``predicate`` takes the incident's reading."""

    id: str
    title: str  # a few words, at most 40 characters
    statement: str
    runbook_step: str
    severity: t.Optional[str]  # SEV-1..SEV-4 where this cause holds and the incident is there; None: none of itself
    predicate: t.Callable[[t.Any], Finding]
    justifies: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()


def refuted(because: str) -> Finding:
    return Finding(REFUTED, because)


def cannot_tell(missing: str) -> Finding:
    return Finding(CANNOT_TELL, missing)
