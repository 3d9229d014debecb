# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guard is asked about: a host, one reading, and what the plan does around the step. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..node import Mark, NodeEvidence
from ..reading.types import Node, Reading, ValidatorRow, Vote
from ..stated import stated

NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Case:
    """A host with evidence that a step is about.

    ``stands_at``: the height that the plan is made for. ``removed``: kinds of journal marks whose reason is gone, or will
    be when the node starts. ``stopping``: a stop precedes the step. ``moving``: the chain moves again by steps of the
    plan. ``approved``: the parameters of the approved step; None while the plan is made.
    """

    reading: Reading
    node: Node
    data: NodeEvidence
    stands_at: t.Optional[int]
    removed: frozenset[str] = NONE
    stopping: bool = False
    moving: bool = False
    approved: t.Optional[t.Mapping[str, t.Any]] = None

    @property
    def host(self) -> str:
        return self.node.host

    @property
    def row(self) -> t.Optional[ValidatorRow]:
        """The validator of the set that this node is, or None."""
        return row_of(self.reading, self.node)

    @property
    def votes(self) -> tuple[Vote, ...]:
        """Every vote of its address that our nodes or references show."""
        address = self.node.address or ""
        return self.reading.votes.get(address, ()) + self.reading.heard.get(address, ())

    @property
    def stated(self) -> list[Mark]:
        """What its last run wrote and did not outlive."""
        return stated(self.reading, self.node, self.data)


def row_of(reading: Reading, node: Node) -> t.Optional[ValidatorRow]:
    """The validator of the set that this node is, or None."""
    if not node.in_set:
        return None
    return next((row for row in reading.validators if row.address == node.address), None)
