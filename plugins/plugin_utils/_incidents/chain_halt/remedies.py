# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reasons against a start that a step of a plan can take away, and when they are gone. PRIVATE to the collection.

Each has the name of the journal's mark. A planner says what its steps will have cured by the time of the start; the
check before the start believes only what the evidence shows then.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards import host as host_guards
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards.signer import (
    CLEAR,
    Guard,
    clear,
    consensus_failed,
    refused,
    undecided,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.halted import standing
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.node import NodeEvidence, Part
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import DOWN, Node, Reading
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import reconnect as redial
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle

DOUBLE_SIGN_CHECK = "double_sign_check"
HALT_HEIGHT = "halt_height"
HALT_TIME = "halt_time"
WAL_MISSING = "wal_missing"
NO_SPACE = "no_space"
PEERS_AWAY = "peers_away"

NONE: frozenset[str] = frozenset()

# A node that found the disk full dies of it at once, and a little is freed as it dies: what is left then is no room.
FULL_BYTES = 1024 * 1024
FULL_INODES = 10

_HALTED = re.compile(r"halt per configuration height (\d{1,19}) time (\d{1,19})")
_LOST = re.compile(r"#ENDHEIGHT for (\d{1,19})")


def ailment(reading: Reading, node: Node) -> t.Optional[str]:
    """HALT_HEIGHT, WAL_MISSING, NO_SPACE or PEERS_AWAY, where that reason keeps the node from taking part now.

    The journal states it, or, of a full disk, the disk shows it.
    """
    data = node.data
    if data is None or not node.ok:
        return None
    kinds = {mark.kind for mark in host_guards.stated(reading, node, data)}
    dead = node.state == "not_voting" and consensus_failed(data)
    if HALT_HEIGHT in kinds and (node.state in DOWN or dead):
        return HALT_HEIGHT
    # A node without its log that crashes, or whose consensus died, has another reason.
    lost = WAL_MISSING in kinds or log_is_gone(reading, node, data)
    if lost and node.in_set and node.state in ("not_voting", "stopped") and not dead:
        return WAL_MISSING
    if met_full_disk(reading, node, data) and (node.state in DOWN or dead or lives_on_full_disk(node)):
        return NO_SPACE
    return PEERS_AWAY if not dead and standing(reading) and waits_for_peers(reading, node, data) else None


def waits_for_peers(reading: Reading, node: Node, data: NodeEvidence) -> bool:
    """Whether a node that runs lacks persistent peers and waits longer and longer before it dials them.

    What may be a validator with a single peer is heard: what it votes is not taken away.
    """
    runs = node.state in ("voting", "not_voting", "running")
    lacks = bool(redial.away(data)) and (redial.signs_nothing(reading, node) or redial.peerless(node))
    return runs and lacks and redial.waits(data) is not None


def met_full_disk(reading: Reading, node: Node, data: NodeEvidence) -> bool:
    """Whether the disk of the node's data is full, or the node wrote, and did not outlive, that it was.

    A line about another place says nothing about that disk.
    """
    places = [place for place in (data.paths.text("home"), data.wal.text("path")) if place]
    told = any(
        mark.kind == NO_SPACE and mark.last_at is not None and any(f"{place}/" in mark.text for place in places)
        for mark in host_guards.stated(reading, node, data)
    )
    return told or full_disk(data) is not None


def lives_on_full_disk(node: Node) -> bool:
    """Whether a node runs and takes no part because of a full disk. Room alone does not bring it back."""
    return node.state == "not_voting" and node.reason is not None and node.reason.kind == NO_SPACE


def full_disk(data: NodeEvidence) -> t.Optional[str]:
    """What is used up on the file system of the data: ``bytes`` or ``inodes``; None where nothing is, or is not seen."""
    free, inodes, total = (data.disk.integer(key) for key in ("free_bytes", "inodes_free", "inodes"))
    if free is not None and free < FULL_BYTES:
        return "bytes"
    # Some file systems count no inodes and say 0 of 0.
    return "inodes" if inodes is not None and inodes < FULL_INODES and (total or 0) > 0 else None


def room_is_back(node: Node, data: NodeEvidence) -> bool:
    """Whether the disk can be written and has room for a start."""
    return host_guards.disk(node, data).state == CLEAR


def log_is_gone(reading: Reading, node: Node, data: NodeEvidence) -> bool:
    """Whether a stopped node has no log although it has signed for the present height: a start would lose its locks.

    Nobody has said so in a journal: the log was taken away after the stop.
    """
    signed = _signed(data)
    missing = data.wal.ok and data.wal.flag("present") is False and node.state == "stopped"
    return missing and signed is not None and reading.height is not None and signed > reading.height


def _signed(data: NodeEvidence) -> t.Optional[int]:
    """The height that the node has signed for last."""
    state = data.signer.inner("state")
    return state.integer("height") if state is not None else None


def cured(
    reading: Reading, node: Node, data: NodeEvidence, planned: frozenset[str], stands_at: t.Optional[int]
) -> frozenset[str]:
    """The reasons that are gone by the evidence, and those that a ``planned`` step takes away before the start.

    ``stands_at``: the height that the plan is made for. A halt height counts as gone only where a person said that the
    halt is over.
    """
    found = set()
    gone = HALT_HEIGHT in planned or halt_is_cleared(reading, node, data, stands_at)
    if gone and is_over(reading, node, data, stands_at).state == CLEAR:
        found.add(HALT_HEIGHT)
    if WAL_MISSING in planned or wal_is_back(reading, node, data):
        found.add(WAL_MISSING)
    if NO_SPACE in planned or (met_full_disk(reading, node, data) and room_is_back(node, data)):
        found.add(NO_SPACE)
    return frozenset(found)


def settings(data: NodeEvidence) -> tuple[t.Optional[int], t.Optional[int]]:
    """Halt height and halt time that a start would take; None for one that cannot be told."""
    height, at = (bundle.integer(data.setting(key)) for key in ("halt_height", "halt_time"))
    return height, at


def reached(reading: Reading, node: Node, data: NodeEvidence, stands_at: t.Optional[int]) -> t.Optional[dict[str, int]]:
    """The halt height and halt time that a start would halt at again, by name; None where that cannot be told.

    A value that lies ahead is not why the node halted: a height above its newest block, a time after the last block's
    (the node compares it with the time of the block, not with a clock: SDK baseapp/abci.go, ``checkHalt``).
    """
    height, at = settings(data)
    newest = node.height if node.height is not None else stands_at
    if height is None or at is None or newest is None or (at and reading.last_block_at is None):
        return None
    found = {}
    if 0 < height <= newest:
        found[HALT_HEIGHT] = height
    if at and at <= (reading.last_block_at or 0.0):
        found[HALT_TIME] = at
    return found


def halt_is_cleared(reading: Reading, node: Node, data: NodeEvidence, stands_at: t.Optional[int]) -> bool:
    """Whether a start would not halt again where the node stands. A halt that lies in the future may be configured."""
    return reached(reading, node, data, stands_at) == {}


def halted_by(reading: Reading, node: Node, data: NodeEvidence) -> t.Optional[tuple[int, int]]:
    """Halt height and halt time that the last run halted by, as its journal names them; 0 for one that was not set."""
    newest = None
    for mark in host_guards.stated(reading, node, data):
        found = _HALTED.search(mark.text)
        if found and (newest is None or (mark.last_at or 0.0) > newest[0]):
            newest = (mark.last_at or 0.0, (int(found.group(1)), int(found.group(2))))
    return newest[1] if newest is not None else None


def halts_at(reading: Reading, node: Node, data: NodeEvidence, stands_at: t.Optional[int]) -> t.Optional[int]:
    """The height that a person has to name: the one of the journal; where the node halted by time, the one it stands at.

    The configuration is asked only where the journal names nothing: it may name the next halt already.
    """
    newest = node.height if node.height is not None else stands_at
    said = halted_by(reading, node, data)
    height = said[0] if said is not None else settings(data)[0]
    if height and newest is not None and height <= newest:
        return height
    return stands_at


def is_over(reading: Reading, node: Node, data: NodeEvidence, stands_at: t.Optional[int]) -> Guard:
    """A person said that the halt at this node's halt height is over. Nothing else can tell."""
    name = "halt_is_over"
    height = halts_at(reading, node, data, stands_at)
    said = _said(reading)
    if said is None:
        return refused(
            name,
            f"{node.host} halted at height {height}{_by(data, height)}. This may be a coordinated halt: ask the other "
            f"operators. Once it is over, run again with -e incident_halt_is_over={height} "
            "-e \"incident_halt_is_over_reason='who said so'\".",
        )
    if said[0] != height:
        return refused(
            name,
            f"incident_halt_is_over says that the halt at {said[0]} is over, but {node.host} halted at {height}. Nothing "
            "is said about that one.",
        )
    return clear(name, f'A person said that the halt at {height} is over: "{said[1]}".')


def _by(data: NodeEvidence, height: t.Optional[int]) -> str:
    """Where the halt is named, beside the journal."""
    return ", as its configuration says" if height is not None and settings(data)[0] == height else ""


def _said(reading: Reading) -> t.Optional[tuple[int, str]]:
    said = reading.bundle.get("said")
    return (said["halt_is_over"], said["reason"]) if said else None


def lost_height(reading: Reading, node: Node, data: NodeEvidence) -> t.Optional[int]:
    """The height whose end the node looked for in its log and did not find: its last block. None where none is named."""
    for mark in host_guards.stated(reading, node, data):
        found = _LOST.search(mark.text) if mark.kind == WAL_MISSING else None
        if found:
            return int(found.group(1))
    return reading.height if log_is_gone(reading, node, data) else None


def wal_is_back(reading: Reading, node: Node, data: NodeEvidence) -> bool:
    """Whether the log in its place ends with the node's last block: it holds the votes of the height in question."""
    height = lost_height(reading, node, data)
    return (
        height is not None
        and data.wal.ok
        and data.wal.flag("present") is True
        and data.wal.integer("last_end_height") == height
    )


def log_guard(reading: Reading, node: Node, data: NodeEvidence, gone: t.Container[str]) -> Guard:
    """The log of the height that is being decided is there, or is put back before the start."""
    name = "wal"
    if WAL_MISSING not in gone and log_is_gone(reading, node, data):
        return refused(
            name,
            f"The write-ahead log on {node.host} is gone, and the node has signed for height {(reading.height or 0) + 1}. "
            "Put the log back first: a start without it forgets what it is locked on.",
        )
    signed, ends = _signed(data), data.wal.integer("last_end_height")
    # What is decided needs no lock any more.
    signs_now = node.in_set and signed is not None and reading.height is not None and signed > reading.height
    if WAL_MISSING not in gone and signs_now and ends is not None and ends < (signed or 0) - 1:
        return undecided(
            name,
            f"The write-ahead log on {node.host} ends with height {ends}, and the node has signed for {signed}: a start may "
            "forget what it is locked on.",
        )
    return clear(name, "The write-ahead log is not known to be gone.")


def fitting_copies(data: NodeEvidence, height: int) -> list[Part]:
    """The copies of the log that end with ``height``."""
    return [copy for copy in data.wal.mappings("copies") if copy.integer("last_end_height") == height]
