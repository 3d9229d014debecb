# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that lost the write-ahead log of the present height: the copy beside it is put back."""

from __future__ import annotations

from ...._chain import wal
from ...._chain.guards.case import Case
from ...._chain.signer import signed_height
from ...._chain.stated import is_dead
from ...._path.evidence.values import stamp
from ...._path.plan.guard import Guard, clear, refused, undecided
from ...._path.plan.plan import DIGEST_MARK
from ..actions import PUT_WAL
from . import stop
from .remedy import Change, Remedy, Texts

MISSING = "wal_missing"


def _blocks(case: Case) -> bool:
    """A node without its log that crashes, or whose consensus died, has another reason."""
    node = case.node
    lost = any(mark.kind == MISSING for mark in case.stated) or wal.log_is_gone(case.reading, node, case.data)
    return lost and node.in_set and node.state in ("not_voting", "stopped") and not is_dead(node)


def _is_back(case: Case) -> bool:
    return wal.log_is_back(case.reading, case.node, case.data)


def log_is_there(case: Case) -> Guard:
    """Before a start: the log of the height that is being decided is there, or is put back before."""
    name, height, node = "wal", case.reading.height, case.node
    if MISSING in case.removed:
        return clear(name, "The write-ahead log is in its place, or is put back before the start.")
    if wal.log_is_gone(case.reading, node, case.data):
        return refused(
            name,
            f"The write-ahead log on {case.host} is gone, and the node has signed for height {(height or 0) + 1}. Put the "
            "log back first: a start without it forgets what it is locked on.",
        )
    signed, ends = signed_height(case.data), case.data.wal.integer("last_end_height")
    # What is decided needs no lock any more.
    signs_now = node.in_set and signed is not None and height is not None and signed > height
    if signs_now and ends is not None and ends < (signed or 0) - 1:
        return undecided(
            name,
            f"The write-ahead log on {case.host} ends with height {ends}, and the node has signed for {signed}: a start may "
            "forget what it is locked on.",
        )
    return clear(name, "The write-ahead log is not known to be gone.")


def _takes_no_part(case: Case) -> Guard:
    return stop.takes_no_part_here(case, "It has lost its log")


def copy_fits(case: Case) -> Guard:
    """One copy beside the log ends with the last block of the node, and was written to since."""
    name, log, reading = "wal_copy", case.data.wal, case.reading
    height, stands_at = wal.lost_height(reading, case.node, case.data), case.stands_at
    if height is None or not log.ok:
        why = log.error.text if log.error else "the journal names no height"
        return refused(name, f"What {case.host} has of its log is not known ({why}).")
    if height != stands_at or case.node.height not in (None, height):
        return refused(
            name,
            f"The log of {case.host} was lost at height {height}, but the chain stands at {stands_at}"
            + (f" and the node at {case.node.height}." if case.node.height is not None else ".")
            + " Operator decision: whether to put it back.",
        )
    present = log.integer("last_end_height")
    if log.flag("present") is None or (present is not None and present >= height):
        return refused(name, f"The log in its place on {case.host} ends with {present}: it is not exchanged.")
    fit = wal.fitting_copies(case.data, height)
    names = [copy.text("name") or "?" for copy in fit]
    if len(fit) > 1:
        return refused(
            name,
            f"{len(fit)} copies of the log on {case.host} end with {height} ({', '.join(names[:4])}). Operator decision: which "
            "one to put back.",
        )
    if not fit:
        return refused(
            name,
            f"No copy of the log beside it on {case.host} ends with height {height}. Find the old log, or leave the node "
            "as it is until the chain moves. Never delete a log in a halt.",
        )
    # Once the chain went on, the height that its votes are of is decided, and its age says nothing.
    newest, block_at = fit[0].time("newest_at"), reading.last_block_at
    if reading.height == stands_at and (newest is None or block_at is None or newest < block_at):
        return refused(
            name,
            f"{names[0]} on {case.host} was written to last at {stamp(newest) or 'an unknown time'}, block {height} was "
            f"made at {stamp(block_at) or 'an unknown time'}: it cannot hold the votes of the height that is being "
            "decided. Find a newer copy.",
        )
    return clear(name, f"{names[0]} ends with {height}, the last block of the node.")


def _texts(case: Case) -> Texts:
    log, height = case.data.wal, wal.lost_height(case.reading, case.node, case.data)
    copies = wal.fitting_copies(case.data, height)
    copy = (copies[0].text("name") if copies else None) or "the copy"
    place = log.text("path") or "the log"
    aside = "" if log.flag("present") is False else f", and {place}.incident-{DIGEST_MARK} back to {place}"
    return Texts(
        f"{case.host} started without the log of height {height}: it begins again at round 0, and its signing state keeps "
        f"it from signing there. {copy} beside {place} ends with {height}.",
        f"With the unit stopped, rename {place} on {case.host} back to {copy}{aside}.",
        "None known: nothing is deleted, and the signing state is not touched.",
    )


REMEDY = Remedy(
    blocker=MISSING,
    blocks=_blocks,
    removed=lambda case, planned: planned or _is_back(case),
    change=Change(PUT_WAL, _is_back, "The log on {host} is in its place.", _texts, (copy_fits, stop.unit_stopped)),
    starts="with its own log",
    stop_guards=(stop.halted, stop.not_voting, _takes_no_part),
    heals="The chain moves: the node on {host} takes part from the next height on, without its old log.",
)
