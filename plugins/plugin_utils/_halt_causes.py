# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The causes of a halted chain. Each is judged on the reading alone; power decides, never the number of validators."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.virtengine.incident.plugins.plugin_utils import _power
from ansible_collections.virtengine.incident.plugins.plugin_utils._cause import (
    CANNOT_TELL,
    HOLDS,
    Cause,
    Finding,
    cannot_tell,
    refuted,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._halt_reading import Reading, ValidatorRow
from ansible_collections.virtengine.incident.plugins.plugin_utils._text import clean

Rows = list[ValidatorRow]

CURE_OF_DOUBLE_SIGN_CHECK = ("relax_double_sign_check", "start_node", "restore_double_sign_check")


def standing(reading: Reading) -> t.Optional[bool]:
    """Whether the chain is halted: True also after one look that shows it clearly, None where nobody can tell."""
    if reading.stands_still is not None:
        return reading.stands_still
    old = reading.age_s is not None and reading.age_s > reading.threshold_s
    return True if old and not (reading.moved or reading.idle or reading.split) else None


def dead_alive_power(reading: Reading) -> int:
    """Power of our validators that live with their consensus dead for a reason: neither absent nor voting."""
    return sum(row.power for row in _ours(reading, ("not_voting",)) if _reason(reading, row))


def missing_power_holds(reading: Reading) -> bool:
    """T - A < Q: what is established as absent halts the chain."""
    return reading.total > 0 and _power.halts(reading.total, reading.absent)


def _ours(reading: Reading, states: tuple[str, ...]) -> Rows:
    return [row for row in reading.validators if row.owner == "ours" and row.state in states]


def _reason(reading: Reading, row: ValidatorRow) -> t.Optional[str]:
    """Kind of the stated reason of the host in the row, or None."""
    node = reading.nodes.get(row.host or "")
    return node.reason.kind if node is not None and node.reason is not None else None


def _sum_of(rows: Rows) -> int:
    return sum(row.power for row in rows)


def _names(rows: Rows) -> str:
    """The greatest few by name with their power, the rest as a number."""
    shown = ", ".join(f"{clean(row.host or row.name, 40)} ({row.power})" for row in rows[:6])
    rest = rows[6:]
    return f"{shown} and {len(rest)} more ({_sum_of(rest)})" if rest else shown


def _judged(reading: Reading, rows: Rows, words: str, with_dead: bool = False) -> Finding:
    """The rule of missing power for a part of it: ``rows`` (not empty) are established as absent."""
    power = _sum_of(rows)
    hosts = tuple(sorted(row.host for row in rows if row.host is not None))
    said = f"{words}: {_names(rows)}"
    halted = standing(reading)
    if halted is None:
        return cannot_tell(f"{said}; but nothing shows yet whether the chain stands still")
    if halted is False:
        return Finding(HOLDS, f"{said}; {power} of {reading.total} power is lost, and blocks still come", power, hosts)
    left = reading.total - reading.absent
    needed = f"{reading.quorum} of {reading.total} are needed"
    if left < reading.quorum:
        return Finding(HOLDS, f"{said}. With all that is absent, at most {left} can vote; {needed}", power, hosts)
    if reading.voting >= reading.quorum:
        return refuted(f"{said}; but {reading.voting} vote now, and {needed}")
    dead = dead_alive_power(reading)
    if left - dead < reading.quorum:
        alone = not with_dead
        because = f"{said}. Without them and all else that is down or dead, at most {left - dead} can vote; {needed}"
        return Finding(HOLDS, because, power, hosts, symptom=alone)
    return cannot_tell(f"{said}; up to {left} could still vote ({needed}): not known of {_open(reading)}")


def _open(reading: Reading) -> str:
    """Whose state decides, and is not known."""
    rows = [row for row in reading.validators if row.counts_as == "unknown"]
    return (
        "; ".join(f"{clean(row.host or row.name, 40)} ({row.power}): {clean(row.detail, 100)}" for row in rows[:3])
        or "nobody"
    )


def _with_set(predicate: t.Callable[[Reading], Finding]) -> t.Callable[[Reading], Finding]:
    """Power can only be counted where the validator set is known."""

    def judged(reading: Reading) -> Finding:
        if reading.total <= 0:
            return cannot_tell("the validator set: no RPC that counts shows it")
        return predicate(reading)

    return judged


def _not_halted(reading: Reading) -> Finding:
    if reading.height is None or reading.age_s is None:
        return cannot_tell("the newest block and its age: no RPC that counts answers")
    age = f"block {reading.height} is {int(reading.age_s)} s old"
    halted = standing(reading)
    if halted is False:
        return Finding(HOLDS, f"new blocks came between the looks, and {age}")
    if halted is True:
        looks = "and no new one came between the looks" if reading.stands_still else "a second look has to confirm it"
        return refuted(f"the newest block on all that answer: {age}, the limit is {reading.threshold_s:.0f} s; {looks}")
    return cannot_tell(_undecided_age(reading, age))


def _undecided_age(reading: Reading, age: str) -> str:
    if reading.split:
        return "which chain is the true one: the nodes contradict each other (see the notes)"
    if reading.idle:
        return f"whether a block is due: {age}, and this chain makes none without transactions"
    if reading.moved:
        return f"a young block: heights grow, but {age}; old blocks are being caught up, or it begins to move"
    return f"a new block between two looks: {age}, the limit is {reading.threshold_s:.0f} s"


def _processes_down(reading: Reading) -> Finding:
    rows = [row for row in _ours(reading, ("stopped", "crashed", "frozen")) if not _reason(reading, row)]
    if rows:
        return _judged(reading, rows, "stopped, crashed or frozen")
    unknown = _ours(reading, ("unknown",))
    if unknown:
        return cannot_tell(f"what the processes do of {_names(unknown)}")
    ours = [row for row in reading.validators if row.owner == "ours"]
    seen = [row for row in ours if row.state != "unreachable"]
    if ours and not seen:
        return cannot_tell("what the processes of our validators do: none of their hosts can be reached")
    down = [row for row in ours if _reason(reading, row) and row.state in ("stopped", "crashed")]
    if down:
        return refuted(f"those that are down are down for a stated reason: {_names(down)}")
    if not ours:
        return refuted("no validator of the set is ours")
    return refuted(f"the processes of all our validators that can be seen run: {_names(seen)}")


def _hosts_unreachable(reading: Reading) -> Finding:
    rows = _ours(reading, ("unreachable",))
    absent = [row for row in rows if row.counts_as == "absent"]
    if absent:
        return _judged(reading, absent, "unreachable, and no vote of theirs is seen")
    if not rows:
        return refuted("the hosts of all our validators answer")
    unclear = [row for row in rows if row.counts_as == "unknown"]
    if not unclear:
        return refuted(f"unreachable, but their votes are seen: {_names(rows)}")
    if reading.voting >= reading.quorum:
        return refuted(f"{reading.voting} vote now, {reading.quorum} are needed; unreachable: {_names(unclear)}")
    return cannot_tell(
        f"whether {_names(unclear)} still vote: " + "; ".join(clean(row.detail, 120) for row in unclear[:3])
    )


def _others_missing(reading: Reading) -> Finding:
    rows = [row for row in reading.validators if row.owner == "theirs"]
    absent = [row for row in rows if row.counts_as == "absent"]
    if absent:
        return _judged(reading, absent, "validators that are not ours do not vote")
    if not rows:
        return refuted("all validators of the set are ours")
    unclear = [row for row in rows if row.counts_as == "unknown"]
    if not unclear:
        return refuted(f"the votes of all others are seen: {_names(rows)}")
    if reading.voting >= reading.quorum:
        return refuted(f"{reading.voting} vote now, {reading.quorum} are needed")
    silent = [row for row in unclear if row.state != "voted_at"]
    if silent and not reading.outside:
        where = f" at height {reading.votes_height}" if reading.votes_height is not None else ""
        return cannot_tell(
            f"what a node outside our inventory sees{where} (set incident_reference_rpcs). From inside, "
            f"{_names(silent)} missing looks the same as our being cut off"
        )
    return cannot_tell(
        "; ".join(f"{clean(row.name, 40)} ({row.power}): {clean(row.detail, 120)}" for row in unclear[:3])
    )


def _dead_for_reason(reading: Reading) -> Finding:
    rows = [row for row in _ours(reading, ("stopped", "crashed", "not_voting")) if _reason(reading, row)]
    if rows:
        kinds = sorted({t.cast(str, _reason(reading, row)) for row in rows})
        words = f"the journal states a reason ({', '.join(kind.replace('_', ' ') for kind in kinds)})"
        found = _judged(reading, rows, words, with_dead=True)
        if "double_sign_check" in kinds:
            # No damage: the node refuses to start beside its own recent votes, and only that setting keeps it down.
            # Where others of these nodes have another reason, the guards of each one's start keep them down.
            return replace(found, justifies=CURE_OF_DOUBLE_SIGN_CHECK, forbids=())
        return found
    blind = [row for row in _ours(reading, ("stopped", "crashed", "not_voting")) if not _journal_read(reading, row)]
    if blind:
        return cannot_tell(f"the journal of {_names(blind)}")
    return refuted("no journal of our validators that can be read states a reason")


def _journal_read(reading: Reading, row: ValidatorRow) -> bool:
    node = reading.nodes.get(row.host or "")
    return node is not None and node.data is not None and node.data.journal.ok


def _nothing_explains(reading: Reading) -> Finding:
    halted = standing(reading)
    if halted is None:
        found = _not_halted(reading)
        return Finding(HOLDS, f"not known: {found.because}")
    explained = [cause.id for cause in EXPLAINING if cause.predicate(reading).answer == HOLDS]
    if halted is False or explained:
        return refuted("what is seen is explained by: " + ", ".join(explained or ["not_halted"]))
    return Finding(
        HOLDS,
        "the chain stands, and none of the known causes is established. Open: " + "; ".join(_open_points(reading)[:4]),
    )


def _open_points(reading: Reading) -> list[str]:
    """What speaks without deciding, the most telling first."""
    points = []
    if reading.rounds_grow:
        points.append("rounds grow: enough power votes, and finds no agreement")
    if reading.app_hashes_differ:
        points.append("the applications differ at the same height (see the notes)")
    if reading.voting >= reading.quorum > reading.most_seen > 0:
        points.append(
            f"no node of ours sees more than {reading.most_seen} of these votes, {reading.quorum} are needed: they do "
            "not reach each other, or not in time"
        )
    silent = _ours(reading, ("not_voting", "busy"))
    points += [f"{clean(row.host or row.name, 40)} ({row.power}): {clean(row.detail, 120)}" for row in silent[:3]]
    points += [found.because for cause in EXPLAINING if (found := cause.predicate(reading)).answer == CANNOT_TELL]
    return points or ["enough power votes, or could: something else holds the chain up"]


NOT_HALTED = Cause(
    "not_halted",
    "not halted",
    "The chain is not halted",
    "1. Chain Halted, Quick Diagnosis 1",
    None,
    _not_halted,
    (),
    ("start_node", "thaw_node", "relax_double_sign_check"),
)
PROCESSES_DOWN = Cause(
    "processes_down",
    "processes of ours are down",
    "Voting power is missing because node processes on our hosts are stopped, crashed or frozen",
    "1. Chain Halted, Resolution Step 2",
    "SEV-1",
    _with_set(_processes_down),
    ("start_node", "thaw_node"),
)
HOSTS_UNREACHABLE = Cause(
    "hosts_unreachable",
    "hosts of ours are unreachable",
    "Voting power is missing because hosts of ours are off or cannot be reached",
    "1. Chain Halted, Resolution Step 2",
    "SEV-1",
    _with_set(_hosts_unreachable),
)
OTHERS_MISSING = Cause(
    "others_missing",
    "other operators do not vote",
    "Voting power is missing because validators of other operators do not vote",
    "1. Chain Halted, Resolution Step 2",
    "SEV-1",
    _with_set(_others_missing),
)
NODE_DEAD_FOR_REASON = Cause(
    "node_dead_for_reason",
    "nodes of ours fail for a stated reason",
    "Nodes of ours are dead, crash-looping or unable to vote for a reason that their journal states",
    "1. Chain Halted, Quick Diagnosis 4",
    "SEV-1",
    _with_set(_dead_for_reason),
    (),
    ("start_node", "thaw_node"),
)
EXPLAINING = (PROCESSES_DOWN, HOSTS_UNREACHABLE, OTHERS_MISSING, NODE_DEAD_FOR_REASON)
NOTHING_EXPLAINS = Cause(
    "cannot_tell",
    "the cause is not shown",
    "The evidence does not show the cause",
    "1. Chain Halted, Quick Diagnosis 2",
    "SEV-1",
    _nothing_explains,
)
CAUSES = (NOT_HALTED, *EXPLAINING, NOTHING_EXPLAINS)
