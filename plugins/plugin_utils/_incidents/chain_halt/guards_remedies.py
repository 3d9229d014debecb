# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards of the steps that take a reason away: a stop, and what comes between it and the start. PRIVATE.

None of these is ever open: where something cannot be told, nobody stops a node or changes its files, break-glass or not.
"""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards import host as host_guards
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards.signer import (
    Guard,
    clear,
    consensus_failed,
    refused,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.node import NodeEvidence
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import DOWN, Node, Reading
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import reconnect as redial
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import remedies as cures
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes.context import standing
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle

STOP = "stop_node"
CLEAR_HALT = "clear_halt_height"
PUT_WAL = "put_wal_back"
FREE = "free_space"
ACTIONS = (STOP, CLEAR_HALT, PUT_WAL, FREE)

# Log files compress mostly to a third or less; half of their size is what is counted on.
_SHARE_FREED = 2

_AT_REST = ("inactive", "failed")


def is_up(data: NodeEvidence) -> t.Optional[bool]:
    """Whether the unit has a process, or systemd is about to give it one; None where that cannot be told."""
    active = data.unit.text("active_state")
    if not data.unit.ok or active is None or not data.process.ok:
        return None
    return active not in _AT_REST or data.process.inner("main") is not None


def stop_guards(reading: Reading, node: Node, moving: bool = False) -> tuple[Guard, ...]:
    """All guards of stopping a node: the chain is halted, and this node is proven to take no part, or to be unheard.

    ``moving``: the chain moves again by the steps of this plan; then a stop of a node without a vote costs nothing
    either.
    """
    data = node.data
    if data is None:
        return (_unseen(node),)
    halted = _halted(reading, moving)
    if cures.ailment(reading, node) == cures.PEERS_AWAY:
        return (halted, *redial.guards(reading, node, data))
    return (halted, _not_voting(reading, node), _dead(reading, node, data, moving))


def clear_guards(
    reading: Reading,
    node: Node,
    stands_at: t.Optional[int],
    stopping: bool = False,
    expected: t.Optional[t.Mapping[str, int]] = None,
) -> tuple[Guard, ...]:
    """All guards of clearing the halt height, beside those of the start that follows.

    ``stopping``: a stop precedes. ``expected``: the values of the approved step; None while the plan is made.
    """
    data = node.data
    if data is None:
        return (_unseen(node),)
    return (
        cures.is_over(reading, node, data, stands_at),
        _configuration(reading, node, data, stands_at, expected),
        _at_rest(node, data, stopping),
    )


def put_guards(reading: Reading, node: Node, stands_at: t.Optional[int], stopping: bool = False) -> tuple[Guard, ...]:
    """All guards of putting the log back, beside those of the start that follows. ``stopping``: a stop precedes."""
    data = node.data
    if data is None:
        return (_unseen(node),)
    return (_copy(reading, node, data, stands_at), _at_rest(node, data, stopping))


def free_guards(reading: Reading, node: Node, stopping: bool = False) -> tuple[Guard, ...]:
    """All guards of compressing old log files on a full disk. ``stopping``: a stop precedes."""
    data = node.data
    if data is None:
        return (_unseen(node),)
    return (_old_logs(node, data), _at_rest(node, data, stopping))


def needed(
    reading: Reading, node: Node, data: NodeEvidence, action: str, moving: bool, stands_at: t.Optional[int]
) -> tuple[t.Optional[bool], str]:
    """True: still to be done. False: done already, or the reason is gone. None: not what the plan was made for."""
    host = node.host
    if action == STOP and cures.ailment(reading, node) == cures.PEERS_AWAY:
        return True, ""
    if node.state == "voting":
        return False, f"The validator on {host} votes again."
    ill = cures.ailment(reading, node)
    runs = node.state in ("not_voting", "running")
    if node.state not in ("not_voting", "running", *DOWN):
        return None, f"What the node on {host} does cannot be told: {node.state} ({node.detail})."
    if runs and ill is None:
        still = " It has no peer yet, and is left to dial by itself." if redial.peerless(node) else ""
        return False, f"The node on {host} runs, and the reason that the plan was made for is gone.{still}"
    if runs and moving and ill == cures.WAL_MISSING:
        return False, f"The chain moves: the node on {host} takes part from the next height on, without its old log."
    if action == CLEAR_HALT:
        cleared = cures.halt_is_cleared(reading, node, data, stands_at)
        return not cleared, f"No halt height that {host} has come to is configured there any more."
    if action == PUT_WAL:
        return not cures.wal_is_back(reading, node, data), f"The log on {host} is in its place."
    if action == FREE:
        return not cures.room_is_back(node, data), f"The disk of {host} has room again."
    if is_up(data) is False:
        return False, f"The node on {host} is stopped."
    if ill is None:
        return None, f"The node on {host} is down for another reason: {node.detail}."
    return True, ""


def _halted(reading: Reading, moving: bool) -> Guard:
    name = "halted"
    if moving:
        return clear(name, "The chain moves again by the steps before.")
    # The plan needed two looks some seconds apart. Before a step the looks may follow each other faster; the newest block
    # is old all the same, and none came since.
    if standing(reading):
        return clear(name, "The chain stands still: its newest block is too old, and none came between the looks.")
    return refused(name, "It is not established that the chain stands still. On a chain that runs no node is stopped.")


def _not_voting(reading: Reading, node: Node) -> Guard:
    name = "not_voting"
    row = next((row for row in reading.validators if row.address == node.address), None) if node.in_set else None
    if node.state == "voting" or (row is not None and row.counts_as == "voting"):
        return refused(
            name, f"The validator on {node.host} votes, or its vote is seen. A node that votes is never stopped."
        )
    return clear(name, "No power that votes is stopped." if row is not None else "It is no validator of the set.")


def _dead(reading: Reading, node: Node, data: NodeEvidence, moving: bool) -> Guard:
    name = "takes_no_part"
    if node.state in DOWN:
        return clear(name, f"No process of it lasts ({node.detail}): the stop only keeps systemd from another try.")
    if node.state == "not_voting" and consensus_failed(data):
        return clear(name, "Its consensus is dead: it votes for nothing until it is started again.")
    ill = cures.ailment(reading, node)
    if ill == cures.NO_SPACE and moving and cures.full_disk(data) is not None:
        return clear(name, "It is in none of the newest blocks, and on a full disk it cannot sign.")
    if ill in _WHY_SILENT and not moving:
        return _silent_at_this_height(reading, node, _WHY_SILENT[ill])
    return refused(name, f"It is not proven that the node on {node.host} can take no part. It is not stopped.")


_WHY_SILENT = {cures.WAL_MISSING: "It has lost its log", cures.NO_SPACE: "Its disk is full"}


def _silent_at_this_height(reading: Reading, node: Node, why: str) -> Guard:
    name, address, height = "takes_no_part", node.address or "", reading.votes_height
    if height is None:
        return refused(
            name, f"Nothing shows the votes of the present height, so the node on {node.host} is not stopped."
        )
    seen = (*reading.votes.get(address, ()), *reading.heard.get(address, ()))
    outside = any(address in witness.votes_of for witness in reading.outside)
    if outside or any(vote.height == height for vote in seen):
        return refused(name, f"A vote of {node.host} for height {height} is seen. It is not stopped.")
    return clear(name, f"{why}, and no vote of it for height {height} is seen anywhere.")


def to_clear(reading: Reading, node: Node, data: NodeEvidence, stands_at: t.Optional[int]) -> dict[str, int]:
    """Both values as app.toml has to name them when they are cleared: 0 for one that is not set."""
    found = cures.reached(reading, node, data, stands_at) or {}
    return {key: found.get(key, 0) for key in (cures.HALT_HEIGHT, cures.HALT_TIME)}


def _configuration(
    reading: Reading,
    node: Node,
    data: NodeEvidence,
    stands_at: t.Optional[int],
    expected: t.Optional[t.Mapping[str, int]],
) -> Guard:
    name = "configuration"
    values = dict(zip((cures.HALT_HEIGHT, cures.HALT_TIME), cures.settings(data)))
    reached, halted_by = cures.reached(reading, node, data, stands_at), cures.halted_by(reading, node, data)
    for index, (key, value) in enumerate(values.items()):
        entry = data.config.inner(key)
        source = entry.text("source") if entry is not None else None
        if value is None:
            return refused(name, f"{key} on {node.host} cannot be read, so it is not changed.")
        if value and source != "app.toml":
            where = {"flag": "a flag", "env": "a variable"}.get(source or "", "something else than a file")
            return refused(
                name, f"{key} on {node.host} is {value} by {where} of the unit. A person takes it away there."
            )
        if value and reached is not None and key not in reached:
            return refused(
                name,
                f"{key} on {node.host} is {value}, which lies ahead: it is not why the node halted, and nobody said that "
                "it is over. A person changes the file.",
            )
        if value and halted_by is not None and halted_by[index] != value:
            return refused(
                name,
                f"{key} on {node.host} is {value}, but the node halted by {halted_by[index] or 'none'}: it was set since. "
                "A person finds out why.",
            )
    if reached is None:
        return refused(
            name, f"Whether {node.host} has come to its halt time cannot be told: nobody shows the last block's."
        )
    if expected is not None and dict(expected) != to_clear(reading, node, data, stands_at):
        return refused(
            name,
            f"The approved step clears halt height {expected.get(cures.HALT_HEIGHT)} and halt time "
            f"{expected.get(cures.HALT_TIME)}, but {node.host} names {values[cures.HALT_HEIGHT]} and "
            f"{values[cures.HALT_TIME]} now. Diagnose again.",
        )
    return clear(name, "The halt height stands in app.toml and nowhere else.")


def _copy(reading: Reading, node: Node, data: NodeEvidence, stands_at: t.Optional[int]) -> Guard:
    name = "wal_copy"
    height = cures.lost_height(reading, node, data)
    if height is None or not data.wal.ok:
        why = data.wal.error.text if data.wal.error else "the journal names no height"
        return refused(name, f"What {node.host} has of its log is not known ({why}).")
    if height != stands_at or node.height not in (None, height):
        return refused(
            name,
            f"The log of {node.host} was lost at height {height}, but the chain stands at {stands_at}"
            + (f" and the node at {node.height}." if node.height is not None else ".")
            + " A person decides.",
        )
    present = data.wal.integer("last_end_height")
    if data.wal.flag("present") is None or (present is not None and present >= height):
        return refused(name, f"The log in its place on {node.host} ends with {present}: it is not exchanged.")
    fit = [copy.text("name") or "?" for copy in cures.fitting_copies(data, height)]
    if len(fit) > 1:
        return refused(
            name,
            f"{len(fit)} copies of the log on {node.host} end with {height} ({', '.join(fit[:4])}). A person decides.",
        )
    if not fit:
        return refused(
            name,
            f"No copy of the log beside it on {node.host} ends with height {height}. Find the old log, or leave the node "
            "as it is until the chain moves. Never delete a log in a halt.",
        )
    # Once the chain went on, the height that its votes are of is decided, and its age says nothing.
    newest = cures.fitting_copies(data, height)[0].time("newest_at")
    if reading.height == stands_at and (
        newest is None or reading.last_block_at is None or newest < reading.last_block_at
    ):
        return refused(
            name,
            f"{fit[0]} on {node.host} was written to last at {bundle.stamp(newest) or 'an unknown time'}, block {height} "
            f"was made at {bundle.stamp(reading.last_block_at) or 'an unknown time'}: it cannot hold the votes of the "
            "height that is being decided. Find a newer copy.",
        )
    return clear(name, f"{fit[0]} ends with {height}, the last block of the node.")


def _old_logs(node: Node, data: NodeEvidence) -> Guard:
    name = "old_logs"
    free, files, size = data.disk.integer("free_bytes"), data.old_logs.integer("files"), data.old_logs.integer("bytes")
    fitting = data.old_logs.integer("compressible_bytes")
    if not data.disk.ok or free is None or data.disk.flag("read_only") is not False:
        return refused(name, f"The disk of {node.host} could not be seen, or is read-only: nothing is changed on it.")
    inodes_free = data.disk.integer("inodes_free")
    if data.disk.integer("inodes") and inodes_free is not None and inodes_free < host_guards.LEAST_FREE_INODES:
        return refused(
            name,
            f"The disk of {node.host} has no free inodes left. Compressing files frees none: a person removes small files "
            "outside the node's data.",
        )
    if files is None or size is None or fitting is None or min(files, size, fitting) < 0:
        why = data.old_logs.error.text if data.old_logs.error else "their number or size is missing"
        return refused(
            name, f"The disk of {node.host} is full, and which old log files lie on it is not known ({why})."
        )
    least = host_guards.LEAST_FREE_BYTES
    if free + fitting // _SHARE_FREED < least:
        return refused(
            name,
            f"The disk of {node.host} is full. The old log files on it come to {size // 1_000_000} MB ({files} files), and "
            f"there is room to compress {fitting // 1_000_000} MB of them: that would not free {least // 1_000_000} MB. A "
            "person frees space outside the node's data.",
        )
    return clear(name, f"{files} old log files of {size // 1_000_000} MB lie on the disk of {node.host}.")


def _at_rest(node: Node, data: NodeEvidence, stopping: bool) -> Guard:
    name = "at_rest"
    up = is_up(data)
    if up is None:
        return refused(name, f"Whether the node on {node.host} runs cannot be told.")
    if up and not stopping:
        return refused(name, f"The unit on {node.host} is up: its files are changed only while it is down.")
    return clear(name, "It is stopped by the step before." if up else "The unit is down.")


def _unseen(node: Node) -> Guard:
    return refused("observed", f"{node.host} did not answer, so nothing on it could be checked.")
