# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that steps have in common, whatever remedy they belong to. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards.case import Case


class Texts(t.NamedTuple):
    """The words of a step."""

    why: str
    undo: str
    risk: str  # where no guard is overridden


def what(case: Case) -> str:
    """What a node is."""
    return f"a validator with voting power {case.row.power}" if case.row is not None else "a sentry or full node"


def unit(case: Case) -> str:
    """The name of its unit."""
    return case.data.unit.text("name") or "the unit"


def start(case: Case, why: str) -> Texts:
    """The words of a start."""
    undo = f"systemctl stop {unit(case)} on {case.host}."
    if case.row is None:
        return Texts(why, undo, "None known: it signs nothing.")
    return Texts(
        why,
        f"{undo} It takes the votes away again: ask first.",
        "It signs again with its key. The guards saw no other machine with it.",
    )


def stop(case: Case) -> Texts:
    """The words of a stop before a remedy."""
    return Texts(
        f"{case.host} is {what(case)} and takes no part: {case.node.detail}. It has to be down before its reason is taken "
        "away.",
        f"systemctl start {unit(case)} on {case.host}. It comes up with the same reason.",
        "No power is lost: it votes for nothing. Its RPC is silent from here on. If the run ends before its start, it stays "
        "down.",
    )
