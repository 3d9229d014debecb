# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a verdict is what it is, in words: what holds, what is ruled out, what cannot be told. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from .layout import sentence, tidy
from .plan import Item

Data = dict[str, t.Any]

# What says only that no cause, or that a cause, was found is no news beside the causes.
NO_NEWS = ("cannot_tell",)


def causes(verdict: Data) -> list[Item]:
    """What holds: what makes the incident first."""
    return [
        Item(
            "because" if cause.get("role") == "root" else "and also",
            f"{sentence(cause.get('statement'))} {sentence(cause.get('because'))}",
            4,
        )
        for cause in verdict["causes"]
    ]


def refuted(verdict: Data) -> list[Item]:
    """What is ruled out, and by what."""
    return [
        Item("ruled out", f"{title(entry)} - {tidy(entry.get('because'), 700)}", 1)
        for entry in verdict["refuted"]
        if entry.get("id") not in NO_NEWS
    ]


def undecided(verdict: Data) -> list[Item]:
    """What cannot be told, together where the same is missing."""
    by_missing: dict[str, list[str]] = {}
    for entry in verdict["cannot_tell"]:
        by_missing.setdefault(tidy(entry.get("missing"), 700), []).append(title(entry))
    items = []
    for missing, titles in by_missing.items():
        named = ", ".join(titles[:3]) + (f" and {len(titles) - 3} more" if len(titles) > 3 else "")
        items.append(Item("cannot tell", f"{named} - missing: {missing}", 2))
    return items


def notes(verdict: Data) -> list[Item]:
    """Surprises worth saying."""
    return [Item("note", tidy(note), 2) for note in verdict["notes"]]


def by_hand(verdict: Data) -> list[tuple[str, list[str]]]:
    """Commands that show a cause to a person, by the cause's title; what makes the incident first."""
    return [
        (tidy(cause.get("title"), 60), typed)
        for cause in verdict["causes"]
        if (typed := [tidy(command) for command in cause.get("by_hand") or []])
    ]


def title(entry: Data) -> str:
    """A cause in a few words."""
    return tidy(entry.get("title") or entry.get("statement"), 60)
