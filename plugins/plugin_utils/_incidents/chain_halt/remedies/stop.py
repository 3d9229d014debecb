# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards of a stop, and of what comes between it and the start. PRIVATE to the collection.

None of these is ever open: where something cannot be told, nobody stops a node or changes its files, break-glass or not.
"""

from __future__ import annotations

import typing as t

from ...._chain.guards.case import Case
from ...._chain.reading.reading import standing
from ...._chain.reading.types import DOWN
from ...._chain.stated import is_dead
from ...._path.plan.guard import CLEAR, Guard, clear, refused

Guards = tuple[t.Callable[[Case], Guard], ...]


def is_up(case: Case) -> t.Optional[bool]:
    """Whether the unit has a process, or systemd is about to give it one; None where that cannot be told."""
    active = case.data.unit.text("active_state")
    if not case.data.unit.ok or active is None or not case.data.process.ok:
        return None
    return active not in ("inactive", "failed") or case.data.process.inner("main") is not None


def halted(case: Case) -> Guard:
    """The chain is halted, or moves again by steps of the plan: then a stop of a node without a vote costs nothing either."""
    name = "halted"
    if case.moving:
        return clear(name, "The chain moves again by the steps before.")
    # The plan needed two looks some seconds apart. Before a step the looks may follow each other faster; the newest block
    # is old all the same, and none came since.
    if standing(case.reading):
        return clear(name, "The chain stands still: its newest block is too old, and none came between the looks.")
    return refused(name, "It is not established that the chain stands still. On a chain that runs no node is stopped.")


def not_voting(case: Case) -> Guard:
    """No vote of it is counted."""
    name, row = "not_voting", case.row
    if case.node.state == "voting" or (row is not None and row.counts_as == "voting"):
        return refused(
            name, f"The validator on {case.host} votes, or its vote is seen. A node that votes is never stopped."
        )
    return clear(name, "No power that votes is stopped." if row is not None else "It is no validator of the set.")


def takes_no_part(case: Case) -> Guard:
    """It has no process that lasts, or its consensus is dead."""
    name = "takes_no_part"
    if case.node.state in DOWN:
        return clear(
            name, f"No process of it lasts ({case.node.detail}): the stop only keeps systemd from another try."
        )
    if is_dead(case.node):
        return clear(name, "Its consensus is dead: it votes for nothing until it is started again.")
    return refused(name, f"It is not proven that the node on {case.host} can take no part. It is not stopped.")


def takes_no_part_here(case: Case, why: str) -> Guard:
    """The same, or for the reason ``why`` it votes for nothing at the present height, and no vote of it is seen."""
    proven = takes_no_part(case)
    if proven.state == CLEAR or case.moving:
        return proven
    reading, height = case.reading, case.reading.votes_height
    if height is None:
        return refused(
            proven.name, f"Nothing shows the votes of the present height, so the node on {case.host} is not stopped."
        )
    outside = any((case.node.address or "") in witness.votes_of for witness in reading.outside)
    if outside or any(vote.height == height for vote in case.votes):
        return refused(proven.name, f"A vote of {case.host} for height {height} is seen. It is not stopped.")
    return clear(proven.name, f"{why}, and no vote of it for height {height} is seen anywhere.")


def unit_stopped(case: Case) -> Guard:
    """Files of a node are changed only while it is down."""
    name = "unit_stopped"
    up = is_up(case)
    if up is None:
        return refused(name, f"Whether the node on {case.host} runs cannot be told.")
    if up and not case.stopping:
        return refused(name, f"The unit on {case.host} is up: its files are changed only while it is down.")
    return clear(name, "It is stopped by the step before." if up else "The unit is down.")


# Of a node whose process does not last, or whose consensus is dead.
GUARDS: Guards = (halted, not_voting, takes_no_part)
