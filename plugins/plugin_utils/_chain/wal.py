# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of a node's write-ahead log: whether it is the one that the node needs at its next start."""

from __future__ import annotations

import re
import typing as t

from .node import NodeEvidence, Part
from .reading.types import Node, Reading
from .signer import signed_height
from .stated import stated

_LOST = re.compile(r"#ENDHEIGHT for (\d{1,19})")


def log_is_gone(reading: Reading, node: Node, data: NodeEvidence) -> bool:
    """Whether a stopped node has no log although it has signed for the present height: a start would lose its locks.

    No journal states it: the log was taken away after the stop.
    """
    signed = signed_height(data)
    missing = data.wal.ok and data.wal.flag("present") is False and node.state == "stopped"
    return missing and signed is not None and reading.height is not None and signed > reading.height


def lost_height(reading: Reading, node: Node, data: NodeEvidence) -> t.Optional[int]:
    """The height whose end the node looked for in its log and did not find: its last block. None where none is named."""
    for mark in stated(reading, node, data):
        match = _LOST.search(mark.text) if mark.kind == "wal_missing" else None
        if match:
            return int(match.group(1))
    return reading.height if log_is_gone(reading, node, data) else None


def log_is_back(reading: Reading, node: Node, data: NodeEvidence) -> bool:
    """Whether the log in its place ends with the node's last block: it holds the votes of the height in question."""
    height = lost_height(reading, node, data)
    return (
        height is not None
        and data.wal.ok
        and data.wal.flag("present") is True
        and data.wal.integer("last_end_height") == height
    )


def fitting_copies(data: NodeEvidence, height: t.Optional[int]) -> list[Part]:
    """The copies of the log that end with ``height``."""
    return [
        copy for copy in data.wal.mappings("copies") if height is not None and copy.integer("last_end_height") == height
    ]
