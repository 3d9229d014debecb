# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal of a node's last run states, and the node did not outlive."""

from __future__ import annotations

import re
import typing as t

from .node import Mark, NodeEvidence
from .reading.blocks import VOTE_TIME_TOLERANCE_S
from .reading.types import Node, Reading

# What a node may have written and voted on, and that still forbids its start.
_NOT_OUTLIVED = ("conflicting_vote", "evidence")
# A run in a crash loop lasts seconds (a start with its handshake); what it wrote is younger than this when it exits.
_CRASHED_WITHIN_S = 60.0
_HALTED = re.compile(r"halt per configuration height (\d{1,19}) time (\d{1,19})")


def stated(reading: Reading, node: Node, data: NodeEvidence) -> list[Mark]:
    """What the node's last run wrote and did not outlive."""
    return [mark for mark in _last_run(node, data) if not _outlived(reading, node, mark)]


def _last_run(node: Node, data: NodeEvidence) -> list[Mark]:
    """The marks that count: of the present or last invocation.

    A crash loop may be looked at in the second in which its newest invocation has written nothing yet. Then the marks of
    the run that ended last count as well: those of the last minute before its exit.
    """
    exits = [mark.last_at for mark in data.marks if mark.kind == "exited" and mark.last_at is not None]
    since = max(exits) - _CRASHED_WITHIN_S if exits and node.state == "crashed" else None
    return [
        mark
        for mark in data.marks
        if mark.current or (since is not None and mark.last_at is not None and mark.last_at >= since)
    ]


def _outlived(reading: Reading, node: Node, mark: Mark) -> bool:
    """Whether this validator voted after it wrote that."""
    if mark.kind in _NOT_OUTLIVED or mark.last_at is None:
        return False
    votes = [vote.at for vote in reading.votes.get(node.address or "", ()) if vote.at is not None]
    return bool(votes) and mark.last_at + VOTE_TIME_TOLERANCE_S < max(votes)


def consensus_failed(data: NodeEvidence) -> bool:
    """Whether the present run, or the last one, wrote that its consensus has failed: it can vote for nothing any more."""
    return any(mark.kind == "consensus_failure" and mark.current for mark in data.marks)


def is_dead(node: Node) -> bool:
    """Whether a node runs with its consensus dead: it votes for nothing until it is started again."""
    return node.state == "not_voting" and node.data is not None and consensus_failed(node.data)


def halted_by(reading: Reading, node: Node, data: NodeEvidence) -> t.Optional[tuple[int, int]]:
    """Halt height and halt time that the last run halted by, as its journal names them; 0 for one that was not set."""
    newest = None
    for mark in stated(reading, node, data):
        match = _HALTED.search(mark.text)
        if match and (newest is None or (mark.last_at or 0.0) > newest[0]):
            newest = (mark.last_at or 0.0, (int(match.group(1)), int(match.group(2))))
    return newest[1] if newest is not None else None
