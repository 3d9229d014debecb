# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes on the disk: space, rights, databases, the write-ahead log."""

from __future__ import annotations

import typing as t

from ...._chain.disk import full_disk
from ...._chain.reading.types import DOWN, Node
from ...._chain.stated import stated
from ...._chain.wal import log_is_gone
from ...._path.text import clean
from .context import SILENT, Halt, HaltCause, Unclear, current, reason_is


def _disk_full(_halt: Halt, node: Node) -> t.Optional[str]:
    words = reason_is(node, ("no_space",)) or _disk_unseen(node)
    if node.data is not None and node.state in (*DOWN, *SILENT) and (what := full_disk(node.data)) is not None:
        disk = node.data.disk
        left = disk.integer("free_bytes" if what == "bytes" else "inodes_free")
        return f"{left} {what} are free on the file system of {clean(disk.text('path'), 80)}"
    return words


def _disk_unwritable(_halt: Halt, node: Node) -> t.Optional[str]:
    if node.data is None or node.state not in (*DOWN, *SILENT):
        return None
    if node.data.disk.flag("read_only"):
        return f"the file system of {clean(node.data.disk.text('path'), 80)} is read-only"
    return reason_is(node, ("read_only", "io_error")) or _disk_unseen(node)


def _disk_unseen(node: Node) -> t.Optional[Unclear]:
    """Where a host takes no part, no reason is stated, and nothing shows its disk."""
    silent = node.state in (*DOWN, *SILENT) and node.reason is None
    return Unclear("its file system cannot be seen") if silent and node.data and not node.data.disk.ok else None


def _database_damaged(_halt: Halt, node: Node) -> t.Optional[str]:
    return reason_is(node, ("database_damaged",))


def _wal_lost(halt: Halt, node: Node) -> t.Optional[str]:
    """A start without the log begins at round 0, and the signing state refuses every vote below the round it reached."""
    if node.data is None or node.state not in ("not_voting", *DOWN):
        return None
    marks = {mark.kind: mark for mark in stated(halt.reading, node, node.data)}
    refused = "round regression" in marks["signing_regression"].text if "signing_regression" in marks else False
    gone = node.state in DOWN and log_is_gone(halt.reading, node, node.data)
    if not gone and ("wal_missing" not in marks or (node.state == "not_voting" and not refused)):
        lacks = current(node.data, "wal_missing") is not None or node.data.wal.flag("present") is False
        return Unclear("a log is missing, and it may not be the one of this height") if lacks else None
    copies = [clean(copy.text("name"), 40) for copy in node.data.wal.mappings("copies")]
    there = f"; beside it is {', '.join(copies[:3])}" if copies else ""
    return f"the write-ahead log of this height is gone, and the signing state is of this height{there}"


def _wal_damaged(_halt: Halt, node: Node) -> t.Optional[str]:
    return reason_is(node, ("wal_damaged",))


DISK_FULL = HaltCause(
    "disk_full",
    "the disk is full",
    "No space or no inode is left where nodes of ours keep their data",
    "1. Chain Halted, Quick Diagnosis 4",
    detect=_disk_full,
    justifies=("stop_node", "free_space", "start_node"),
    forbids=("thaw_node",),
    signs='The journal\'s reason is "no space left on device"; or of a node without a vote less than 1 MiB or 10 '
    "inodes are free where its data is.",
    by_hand=(
        "df -h ~virtengine/.virtengine/data; df -i ~virtengine/.virtengine/data",
        "journalctl -u virtengine.service --no-pager | grep -F 'no space left on device'",
    ),
    next="Free space on {hosts} outside the node's data (old logs, old snapshots), then run again.",
    decide="A node that met a full disk is restarted only after there is room again. Never delete files of the node's "
    "data or its write-ahead log. Where old log files free enough, the plan compresses them and deletes nothing; what "
    "may be deleted is an operator decision.",
)
DISK_UNWRITABLE = HaltCause(
    "disk_unwritable",
    "the disk is read-only or fails",
    "The file system of nodes of ours is read-only, or reading and writing fail",
    "1. Chain Halted, Quick Diagnosis 4",
    detect=_disk_unwritable,
    forbids=("start_node", "thaw_node"),
    signs='The file system of the data is mounted read-only, or the journal\'s reason is "read-only file system" '
    'or "input/output error".',
    by_hand=(
        "findmnt -T ~virtengine/.virtengine/data   # ro in OPTIONS",
        "journalctl -k --no-pager | grep -iE 'I/O error|remount|EXT4-fs error' | tail",
    ),
    next="Look at the disk of {hosts} (kernel log, hardware, hypervisor) before anything is mounted writable again.",
    decide="Operator decision: a file system that the kernel set read-only may be damaged. Check it first.",
)
DATABASE_DAMAGED = HaltCause(
    "database_damaged",
    "a database of the node is damaged",
    "A database of nodes of ours is damaged, so they cannot start",
    "1. Chain Halted, Resolution Step 3",
    detect=_database_damaged,
    forbids=("start_node", "thaw_node"),
    signs="The journal's reason is a corrupt table or manifest of leveldb, or a store whose version does not exist.",
    by_hand=(
        "journalctl -u virtengine.service --no-pager | grep -E 'leveldb|manifest corrupted|version does not exist'",
        "ls -l ~virtengine/.virtengine/data/*.db | head -40",
    ),
    next="Keep the data of {hosts} as it is and prepare a restore: snapshot or state sync, with the live signing state kept.",
    decide="The data has to be replaced as one set by a snapshot or by state sync, while priv_validator_state.json of this "
    "host stays. On a halted chain a snapshot below the halt's height loses nothing; state sync needs blocks.",
)
WAL_LOST = HaltCause(
    "wal_lost",
    "the write-ahead log is lost",
    "Nodes of ours lost their write-ahead log: they begin at round 0, and their signing state refuses to go back",
    "1. Chain Halted, Quick Diagnosis 2",
    detect=_wal_lost,
    justifies=("stop_node", "put_wal_back", "start_node"),
    signs='The journal has "WAL does not contain #ENDHEIGHT"; a node that runs has also "round regression" from '
    "its signing state, and casts no vote at this height. Copies beside data/cs.wal are listed.",
    by_hand=(
        "journalctl -u virtengine.service --no-pager | grep -E 'WAL does not contain|round regression'",
        "ls -ld ~virtengine/.virtengine/data/cs.wal*",
        "curl -s http://127.0.0.1:26657/consensus_state | jq '.result.round_state.height_vote_set[0]'   # 0/T, no votes",
    ),
    next="Find the write-ahead log of {hosts} (moved aside, a copy): the plan puts it back if it is beside the data.",
    decide="Without a copy of the log, votes come back only when the others reach the round of the signing state. Never edit "
    "the signing state to get there faster: that signs twice.",
    message="Nodes of ours lost their write-ahead log at height {height} and cannot vote below the round they had reached. "
    "Please keep your node running: rounds have to rise with the rest of the power.",
)
WAL_DAMAGED = HaltCause(
    "wal_damaged",
    "the write-ahead log is damaged",
    "Nodes of ours cannot start because their write-ahead log is damaged, or cannot be opened or written",
    "1. Chain Halted, Quick Diagnosis 4",
    detect=_wal_damaged,
    forbids=("start_node", "thaw_node"),
    signs="The journal's reason is a corrupt entry of the write-ahead log, or that it cannot be opened or written. "
    "CometBFT skips what it can, so a damaged log of one node often heals by itself.",
    by_hand=(
        "journalctl -u virtengine.service --no-pager | grep -E 'WAL file is corrupted|Corrupted entry|(consensus|state) WAL'",
        "ls -l ~virtengine/.virtengine/data/cs.wal/",
    ),
    next="Keep the write-ahead log of {hosts}. Where another user owns it, give it back to the node's. CometBFT repairs what "
    "it can at the next start; if it does not, call the next level.",
    decide="Deleting the log would lose the locks of this height. Operator decision: on one node only, and never "
    "during a halt of more.",
)

CAUSES = (DISK_FULL, DISK_UNWRITABLE, DATABASE_DAMAGED, WAL_LOST, WAL_DAMAGED)
