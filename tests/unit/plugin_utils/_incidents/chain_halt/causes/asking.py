# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of tables: a fleet, and what one cause says of it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

import pytest

from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import Data, assess
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet

ROOT, SYMPTOM = "root", "symptom"


@dataclass(frozen=True)
class Holds:
    """The cause holds. ``says``: words of the observation that it gives."""

    role: str
    power: int
    hosts: str
    says: str


@dataclass(frozen=True)
class Refuted:
    says: str = ""


@dataclass(frozen=True)
class Open:
    """It cannot be told; ``says``: what is missing."""

    says: str = ""


Answer = t.Union[Holds, Refuted, Open]
Make = t.Callable[[], Fleet]
Table = dict[str, list[tuple[str, Make, Answer]]]


def entry(verdict: Data, cause: str) -> tuple[str, Data]:
    """In which list of the verdict a cause is, and its entry."""
    for kind in ("causes", "refuted", "cannot_tell"):
        for found in verdict[kind]:
            if found["id"] == cause:
                return kind, found
    raise AssertionError(f"{cause} is in no list of the verdict")


def check(cause: str, fleet: Fleet, answer: Answer, looks: int = 2) -> Data:
    """The verdict of ``fleet``, when ``cause`` stands in it as ``answer`` says."""
    verdict = assess(fleet, looks)
    kind, found = entry(verdict, cause)
    if isinstance(answer, Holds):
        assert kind == "causes", (kind, found)
        shown = (found["role"], found["weight"], " ".join(found["hosts"]))
        assert shown == (answer.role, answer.power, answer.hosts), (shown, found["because"])
        assert answer.says in found["because"], found["because"]
    elif isinstance(answer, Refuted):
        assert kind == "refuted", (kind, found)
        assert answer.says in found["because"], found["because"]
    else:
        assert kind == "cannot_tell", (kind, found)
        assert answer.says in found["missing"], found["missing"]
    return verdict


def table(rows: Table) -> list[t.Any]:
    """Parameters ``cause, make, answer`` with readable ids, of tables by cause."""
    return [
        pytest.param(cause, make, answer, id=f"{cause}: {name}")
        for cause, listed in rows.items()
        for name, make, answer in listed
    ]
