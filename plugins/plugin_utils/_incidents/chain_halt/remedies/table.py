# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All remedies, and which of them a node needs. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ...._chain.guards.case import Case
from . import disk_space, double_sign_check, halt_height, reconnect_peers, write_ahead_log
from .remedy import Change, Remedy

# Of several blockers of one node the first counts.
BLOCKERS = (
    halt_height.REMEDY,
    write_ahead_log.REMEDY,
    disk_space.REMEDY,
    reconnect_peers.FULL_NODE,
    reconnect_peers.VALIDATOR,
)
# Before the start of a node, whatever else keeps it from taking part.
BEFORE_START = double_sign_check.REMEDY

REMEDIES = (*BLOCKERS, BEFORE_START)

CHANGES: t.Mapping[str, tuple[Remedy, Change]] = {
    remedy.change.action: (remedy, remedy.change) for remedy in REMEDIES if remedy.change is not None
}


def remedy_of(case: Case) -> t.Optional[Remedy]:
    """What takes away the reason that keeps this node from taking part now; None where there is none, or no remedy."""
    return next((remedy for remedy in BLOCKERS if remedy.blocks(case)), None)


def removed(case: Case, planned: t.Container[str]) -> frozenset[str]:
    """The blockers that are gone by the evidence, and those of ``planned``: a step takes them away before the start."""
    return frozenset(remedy.blocker for remedy in REMEDIES if remedy.removed(case, remedy.blocker in planned))
