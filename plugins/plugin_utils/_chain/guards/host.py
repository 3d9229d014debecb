# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards about the host: is this the node that is missing, and would it run. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ..._path.plan.guard import Guard, clear, refused, undecided
from ..disk import LEAST_FREE_BYTES, LEAST_FREE_INODES
from ..node import Mark
from ..reading.types import Node
from .case import Case

# Journal lines that name no reason why a node would not run: a unit that ended (also by SIGKILL), peers that went away,
# a block that somebody else proposed and the application refused, and a signer that refused to go back: a node that is
# restarted within a round writes that when it reads its own votes again (seen on a real fleet). The signing state itself
# is looked at by a guard of its own.
_HARMLESS = ("exited", "peers_given_up", "peers_backoff", "proposal_refused", "signing_regression")
# Somebody signed twice. Whether it was this validator is not in the line.
_UNDECIDED = ("evidence",)
_OWN_SIGNATURE = "found signature from the same key"
# What a reason makes the node write beside it, when it ends and at each start after that: these kinds, with these words.
_FOLLOWS = {"halt_height": "halt per configuration", "no_space": "no space left on device"}
_FOLLOWING = ("consensus_failure", "handshake_failed", "panic", "wal_damaged")

_RUNNING = ("voting", "not_voting", "running")


def other_process(case: Case) -> Guard:
    """Nothing runs the node's binary on this host beside the unit."""
    name = "other_process"
    others = case.data.process.raw.get("others")
    if not case.data.process.ok or not isinstance(others, list):
        reason = case.data.process.error.text if case.data.process.error else "no list of processes"
        return undecided(name, f"It is not known what else runs on {case.host} ({reason}).")
    if others:
        pids = ", ".join(str(other.integer("pid")) for other in case.data.process.mappings("others")[:5])
        return refused(
            name,
            f"{case.host} already runs the node's binary outside the unit (process {pids or 'unknown'}). Two of them "
            "would sign with one key.",
        )
    return clear(name, "No other process of the node's binary runs there.")


def unit(case: Case) -> Guard:
    """The unit is there, and nobody has forbidden its start."""
    name = "unit"
    if case.data.unit.error is not None:
        if case.data.unit.error.kind == "absent":
            return refused(
                name, f"There is no such unit on {case.host}. A node that runs without a unit is not started."
            )
        return undecided(name, f"The unit on {case.host} could not be read ({case.data.unit.error.text}).")
    load, file_state = case.data.unit.text("load_state"), case.data.unit.text("unit_file_state")
    if load is None or file_state is None:
        return undecided(name, f"It is not known whether the unit on {case.host} may be started.")
    forbidden = None
    if "masked" in load or file_state.startswith("masked"):
        forbidden = "is masked: somebody forbade its start. Ask first."
    elif load != "loaded":
        forbidden = f"is not loaded ({load})."
    elif file_state == "disabled":
        forbidden = "is disabled: it is not meant to run there."
    if forbidden:
        return refused(name, f"The unit on {case.host} {forbidden}")
    return clear(name, f"The unit is loaded and {file_state}.")


def same_chain(case: Case) -> Guard:
    """Chain id and genesis file are those of the nodes that vote."""
    name = "chain"
    mine = (case.data.genesis.text("chain_id"), case.data.genesis.text("sha256"))
    if not case.node.chain_ok or (
        mine[0] is not None and case.reading.chain_id is not None and mine[0] != case.reading.chain_id
    ):
        return refused(
            name, f"{case.host} belongs to another chain or has another genesis file ({mine[0] or 'unknown'})."
        )
    if None in mine:
        return undecided(name, f"The genesis file of {case.host} could not be read.")
    theirs = [
        (other.data.genesis.text("chain_id"), other.data.genesis.text("sha256"))
        for other in _models(case)
        if other.data is not None and other.data.genesis.ok
    ]
    known = [pair for pair in theirs if None not in pair]
    return _agree(name, f"genesis file of {case.host}", mine, known, bool(_voters(case)))


def same_binary(case: Case) -> Guard:
    """The binary that would be started is the one that runs on the nodes that vote."""
    mine = case.data.binary.text("sha256")
    if mine is None:
        return undecided("binary", f"The binary of {case.host} could not be read.")
    theirs = [other.data.binary.text("running_sha256") for other in _models(case) if other.data is not None]
    known = [running for running in theirs if running is not None]
    return _agree("binary", f"binary of {case.host}", mine, known, bool(_voters(case)))


def _voters(case: Case) -> list[Node]:
    nodes = case.reading.nodes
    return [nodes[host] for host in case.reading.voters if host != case.host and host in nodes]


def _models(case: Case) -> list[Node]:
    """The nodes to compare with: those that vote, or, where none of ours does, those that run and answer."""
    voters = _voters(case)
    if voters:
        return voters
    return [
        other
        for other in case.reading.nodes.values()
        if other.host != case.host and other.ok and other.chain_ok and other.state in _RUNNING
    ]


def _agree(name: str, thing: str, mine: t.Any, theirs: list[t.Any], voting: bool) -> Guard:
    who = "the nodes that vote" if voting else "the nodes that run"
    if not theirs:
        return undecided(name, f"There is no running node of ours that the {thing} could be compared with.")
    alike = theirs.count(mine)
    if alike == 0:
        return refused(name, f"The {thing} differs from that of {who}. Make it the same first.")
    if alike == len(theirs) or (not voting and 2 * alike > len(theirs)):
        return clear(name, f"The {thing} is that of {who}.")
    return undecided(name, f"The {thing} is that of some of {who} only: it is not known which one is right.")


def disk(case: Case) -> Guard:
    """The data folder can be written and has room, or a step before the start frees some."""
    name = "disk"
    if not case.data.disk.ok:
        return undecided(name, f"The disk of {case.host} could not be seen.")
    free, inodes, inodes_free = (case.data.disk.integer(key) for key in ("free_bytes", "inodes", "inodes_free"))
    if case.data.disk.flag("read_only") is True:
        return refused(name, f"The data folder of {case.host} is read-only.")
    if free is None or case.data.disk.flag("read_only") is None:
        return undecided(name, f"The free space on {case.host} is not known.")
    if free < LEAST_FREE_BYTES and "no_space" not in case.removed:
        return refused(
            name,
            f"The disk of {case.host} is full: {free // 1_000_000} MB are free, {LEAST_FREE_BYTES // 1_000_000} MB are "
            "needed.",
        )
    # Some file systems count no inodes and say 0 of 0.
    if inodes and inodes_free is not None and inodes_free < LEAST_FREE_INODES:
        return refused(name, f"The disk of {case.host} has no free inodes left.")
    return clear(name, f"{free // 1_000_000} MB are free.")


def journal(case: Case) -> Guard:
    """The last run of the node left no reason behind that would end the next one too.

    A crash for the node's own signature in the last blocks is no such reason where ``double_sign_check`` deals with it.
    Nor is what the node wrote before its own last vote: it took part after it (both stamped by the clock of its host).
    """
    name = "journal"
    if not case.data.journal.ok or not isinstance(case.data.journal.raw.get("marks"), list):
        return undecided(
            name, f"The journal of {case.host} could not be read, so a reason against a start is not seen."
        )
    current = case.stated
    excused = [mark for mark in current if _own_signature(mark) or _removed(mark, case.removed)]
    fatal = [mark for mark in current if mark.kind not in _HARMLESS + _UNDECIDED and mark not in excused]
    if fatal:
        kind, text = fatal[0].kind.replace("_", " "), fatal[0].text
        return refused(
            name, f'The journal of {case.host} states a reason ({kind}): "{text}". Remove that reason first.'
        )
    if case.node.state == "crashed" and not excused:
        return refused(
            name, f"The node on {case.host} ended with an error ({case.node.detail}). First find the reason."
        )
    if any(mark.kind in _UNDECIDED for mark in current):
        return undecided(
            name, f"The journal of {case.host} tells of a validator that signed twice. Make sure it is not this one."
        )
    return clear(name, "The journal of its last run gives no reason against a start.")


def _own_signature(mark: Mark) -> bool:
    return mark.kind == "double_sign_check" or (mark.kind == "panic" and _OWN_SIGNATURE in mark.text)


def _removed(mark: Mark, removed: t.Container[str]) -> bool:
    """Whether the reason of this mark is gone, or follows from one that is."""
    follows = any(kind in removed and words in mark.text for kind, words in _FOLLOWS.items())
    return mark.kind in removed or (follows and mark.kind in _FOLLOWING)
