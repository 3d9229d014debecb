# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much room the file system of a node's data has."""

from __future__ import annotations

import typing as t

from .node import NodeEvidence

# What a start needs: the head file of the consensus WAL alone grows to 10 MB before it is turned over (CometBFT
# libs/autofile/group.go), and the stores write their logs and new tables beside it.
LEAST_FREE_BYTES = 100_000_000
LEAST_FREE_INODES = 100
# A node that found the disk full dies of it at once, and a little is freed as it dies: what is left then is no room.
FULL_BYTES = 1024 * 1024
FULL_INODES = 10


def full_disk(data: NodeEvidence) -> t.Optional[str]:
    """What is used up on the file system of the data: ``bytes`` or ``inodes``; None where nothing is, or is not seen."""
    free, inodes, total = (data.disk.integer(key) for key in ("free_bytes", "inodes_free", "inodes"))
    if free is not None and free < FULL_BYTES:
        return "bytes"
    # Some file systems count no inodes and say 0 of 0.
    return "inodes" if inodes is not None and inodes < FULL_INODES and (total or 0) > 0 else None
