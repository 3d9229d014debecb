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
    weight: int = 0  # what this cause costs, in the unit of the incident's gauge
    hosts: tuple[str, ...] = ()
    symptom: bool = False  # it holds, but alone it does not make the incident
    explained: bool = False  # another cause that holds says why
    justifies: t.Optional[tuple[str, ...]] = None  # in place of the cause's own, where the finding knows better
    forbids: t.Optional[tuple[str, ...]] = None


@dataclass(frozen=True)
class Cause:
    """What can be the matter, and what follows from it.

    A cause answers in one of two ways. Most are about hosts: ``detect`` looks at one host and says what shows the cause
    there, or None; what the hosts that it matches cost decides the rest. The others bring a ``predicate`` over the whole
    incident. Both take the incident's own view of the evidence.
    """

    id: str
    title: str  # a few words, at most 40 characters
    statement: str
    runbook_step: str
    severity: t.Optional[str]  # SEV-1..SEV-4 where this cause holds and the incident is there; None: none of itself
    predicate: t.Optional[t.Callable[[t.Any], Finding]] = None
    detect: t.Optional[t.Callable[[t.Any, t.Any], t.Optional[str]]] = None
    justifies: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()
    signs: str = ""  # how it shows, for the documentation: where it is looked for, and what tells it from its rivals
    by_hand: tuple[str, ...] = ()  # two or three commands that show the same to a person
    next: str = ""  # what a person does next; {hosts} stands for the hosts it is about
    decide: str = ""  # why no automatic act is right, and what a person must decide
    message: str = ""  # to others who have a part in it, where they have to know
    lasting: bool = False  # its severity holds as well where the incident itself is not there


def refuted(because: str) -> Finding:
    return Finding(REFUTED, because)


def cannot_tell(missing: str) -> Finding:
    return Finding(CANNOT_TELL, missing)
