# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that met a full disk: old log files are compressed until a start has room."""

from __future__ import annotations

from dataclasses import replace

from ...._chain import by_hand
from ...._chain.disk import LEAST_FREE_BYTES, LEAST_FREE_INODES, full_disk
from ...._chain.guards import host as host_guards
from ...._chain.guards.case import NONE, Case
from ...._chain.reading.types import DOWN
from ...._chain.stated import is_dead
from ...._path.plan.guard import CLEAR, Guard, clear, refused
from ..actions import FREE
from . import stop
from .remedy import Change, Remedy, Texts, what

NO_SPACE = "no_space"

# Log files compress mostly to a third or less; half of their size is what is counted on.
_SHARE_FREED = 2


def _blocks(case: Case) -> bool:
    node = case.node
    # It runs and takes no part because of a full disk. Room alone does not bring it back.
    lives_on = node.state == "not_voting" and node.reason is not None and node.reason.kind == NO_SPACE
    return met_full_disk(case) and (node.state in DOWN or is_dead(node) or lives_on)


def met_full_disk(case: Case) -> bool:
    """Whether the disk of the node's data is full, or the node wrote, and did not outlive, that it was.

    A line about another place says nothing about that disk.
    """
    places = [place for place in (case.data.paths.text("home"), case.data.wal.text("path")) if place]
    states_it = any(
        mark.kind == NO_SPACE and mark.last_at is not None and any(f"{place}/" in mark.text for place in places)
        for mark in case.stated
    )
    return states_it or full_disk(case.data) is not None


def room_is_back(case: Case) -> bool:
    """Whether the disk can be written and has room for a start."""
    return host_guards.disk(replace(case, removed=NONE)).state == CLEAR


def _takes_no_part(case: Case) -> Guard:
    proven = stop.takes_no_part_here(case, "Its disk is full")
    if case.moving and proven.state != CLEAR and full_disk(case.data) is not None:
        return clear(proven.name, "It is in none of the newest blocks, and on a full disk it cannot sign.")
    return proven


def old_logs(case: Case) -> Guard:
    """The old log files on the disk, compressed, free enough for a start."""
    name, disk, logs = "old_logs", case.data.disk, case.data.old_logs
    free, files, size = disk.integer("free_bytes"), logs.integer("files"), logs.integer("bytes")
    if not disk.ok or free is None or disk.flag("read_only") is not False:
        return refused(name, f"The disk of {case.host} could not be seen, or is read-only: nothing is changed on it.")
    fitting = logs.integer("compressible_bytes")
    inodes_free = disk.integer("inodes_free")
    if disk.integer("inodes") and inodes_free is not None and inodes_free < LEAST_FREE_INODES:
        return refused(
            name,
            f"The disk of {case.host} has no free inodes left. Compressing files frees none: remove small files outside "
            "the node's data by hand.",
        )
    if files is None or size is None or fitting is None or min(files, size, fitting) < 0:
        why = logs.error.text if logs.error else "their number or size is missing"
        return refused(
            name, f"The disk of {case.host} is full, and which old log files are on it is not known ({why})."
        )
    if free + fitting // _SHARE_FREED < LEAST_FREE_BYTES:
        return refused(
            name,
            f"The disk of {case.host} is full. The old log files on it come to {size // 1_000_000} MB ({files} files), and "
            f"there is room to compress {fitting // 1_000_000} MB of them: that would not free "
            f"{LEAST_FREE_BYTES // 1_000_000} MB. Free space outside the node's data by hand.",
        )
    return clear(name, f"{files} old log files of {size // 1_000_000} MB are on the disk of {case.host}.")


# Of every plan: one may have compressed a part, and the next one the rest. The copies have the names of their logs in them.
_UNPACK = f"find /var/log {by_hand.HOME}/log {by_hand.HOME}/logs -name '*.incident-*.gz' -exec gzip -dN {{}} +"


def _texts(case: Case) -> Texts:
    free = case.data.disk.integer("free_bytes")
    files, size = case.data.old_logs.integer("files"), case.data.old_logs.integer("bytes")
    return Texts(
        f"{case.host} is {what(case)}, and {free} bytes are free on its disk. {files} old log files of "
        f"{(size or 0) // 1_000_000} MB are there: they are compressed where they are, the smallest first, until there is "
        "room.",
        f"Once the disk of {case.host} has room for them: {by_hand.placed([_UNPACK], [case.data])[0]}",
        "None known: a file goes only after its compressed copy was read back and is the same.",
    )


REMEDY = Remedy(
    blocker=NO_SPACE,
    blocks=_blocks,
    removed=lambda case, planned: planned or (met_full_disk(case) and room_is_back(case)),
    change=Change(FREE, room_is_back, "The disk of {host} has room again.", _texts, (old_logs, stop.unit_stopped)),
    starts="with room on its disk",
    stop_guards=(stop.halted, stop.not_voting, _takes_no_part),
)
