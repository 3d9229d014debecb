# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards about the host: is this the node that is missing, and would it run. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards.signer import (
    Guard,
    clear,
    refused,
    undecided,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.node import Mark, NodeEvidence
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.blocks import VOTE_TIME_TOLERANCE_S
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import Node, Reading

# Less than this is a full disk: the head file of the consensus WAL alone grows to 10 MB before it is turned over
# (CometBFT libs/autofile/group.go), and the stores write their logs and new tables beside it.
LEAST_FREE_BYTES = 100_000_000
LEAST_FREE_INODES = 100

# Journal lines that name no reason why a node would not run: a unit that ended (also by SIGKILL), peers that went away,
# a block that somebody else proposed and the application refused, and a signer that refused to go back: a node that is
# restarted within a round writes that when it reads its own votes again (seen on a real fleet). The signing state itself
# is looked at by a guard of its own.
_HARMLESS = ("exited", "peers_given_up", "peers_backoff", "proposal_refused", "signing_regression")
# What a node may have written and voted on, and that still forbids its start.
_NOT_OUTLIVED = ("conflicting_vote", "evidence")
# Somebody signed twice. Whether it was this validator is not in the line.
_UNDECIDED = ("evidence",)
# A run in a crash loop lasts seconds (a start with its handshake); what it wrote is younger than this when it exits.
_CRASHED_WITHIN_S = 60.0
_OWN_SIGNATURE = "found signature from the same key"
# What a reason makes the node write beside it, when it ends and at each start after that: these kinds, with these words.
_FOLLOWS = {"halt_height": "halt per configuration", "no_space": "no space left on device"}
_FOLLOWING = ("consensus_failure", "handshake_failed", "panic", "wal_damaged")

_RUNNING = ("voting", "not_voting", "running")


def other_process(node: Node, data: NodeEvidence) -> Guard:
    """Nothing runs the node's binary on this host beside the unit."""
    name = "other_process"
    others = data.process.raw.get("others")
    if not data.process.ok or not isinstance(others, list):
        reason = data.process.error.text if data.process.error else "no list of processes"
        return undecided(name, f"It is not known what else runs on {node.host} ({reason}).")
    if others:
        pids = ", ".join(str(other.integer("pid")) for other in data.process.mappings("others")[:5])
        return refused(
            name,
            f"{node.host} already runs the node's binary outside the unit (process {pids or 'unknown'}). Two of them "
            "would sign with one key.",
        )
    return clear(name, "No other process of the node's binary runs there.")


def unit(node: Node, data: NodeEvidence) -> Guard:
    """The unit is there, and nobody has forbidden its start."""
    name = "unit"
    if data.unit.error is not None:
        if data.unit.error.kind == "absent":
            return refused(
                name, f"There is no such unit on {node.host}. A node that runs without a unit is not started."
            )
        return undecided(name, f"The unit on {node.host} could not be read ({data.unit.error.text}).")
    load, file_state = data.unit.text("load_state"), data.unit.text("unit_file_state")
    if load is None or file_state is None:
        return undecided(name, f"It is not known whether the unit on {node.host} may be started.")
    forbidden = None
    if "masked" in load or file_state.startswith("masked"):
        forbidden = "is masked: somebody forbade its start. Ask first."
    elif load != "loaded":
        forbidden = f"is not loaded ({load})."
    elif file_state == "disabled":
        forbidden = "is disabled: it is not meant to run there."
    if forbidden:
        return refused(name, f"The unit on {node.host} {forbidden}")
    return clear(name, f"The unit is loaded and {file_state}.")


def same_chain(reading: Reading, node: Node, data: NodeEvidence) -> Guard:
    """Chain id and genesis file are those of the nodes that vote."""
    name = "chain"
    mine = (data.genesis.text("chain_id"), data.genesis.text("sha256"))
    if not node.chain_ok or (mine[0] is not None and reading.chain_id is not None and mine[0] != reading.chain_id):
        return refused(
            name, f"{node.host} belongs to another chain or has another genesis file ({mine[0] or 'unknown'})."
        )
    if None in mine:
        return undecided(name, f"The genesis file of {node.host} could not be read.")
    theirs = [
        (other.data.genesis.text("chain_id"), other.data.genesis.text("sha256"))
        for other in _models(reading, node)
        if other.data is not None and other.data.genesis.ok
    ]
    known = [pair for pair in theirs if None not in pair]
    return _agree(name, f"genesis file of {node.host}", mine, known, bool(_voters(reading, node)))


def same_binary(reading: Reading, node: Node, data: NodeEvidence) -> Guard:
    """The binary that would be started is the one that runs on the nodes that vote."""
    mine = data.binary.text("sha256")
    if mine is None:
        return undecided("binary", f"The binary of {node.host} could not be read.")
    theirs = [other.data.binary.text("running_sha256") for other in _models(reading, node) if other.data is not None]
    known = [running for running in theirs if running is not None]
    return _agree("binary", f"binary of {node.host}", mine, known, bool(_voters(reading, node)))


def _voters(reading: Reading, node: Node) -> list[Node]:
    return [reading.nodes[host] for host in reading.voters if host != node.host and host in reading.nodes]


def _models(reading: Reading, node: Node) -> list[Node]:
    """The nodes to compare with: those that vote, or, where none of ours does, those that run and answer."""
    voters = _voters(reading, node)
    if voters:
        return voters
    return [
        other
        for other in reading.nodes.values()
        if other.host != node.host and other.ok and other.chain_ok and other.state in _RUNNING
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


def disk(node: Node, data: NodeEvidence, freeing: bool = False) -> Guard:
    """The data folder can be written and has room. ``freeing``: a step that frees some comes before the start."""
    name = "disk"
    if not data.disk.ok:
        return undecided(name, f"The disk of {node.host} could not be seen.")
    free, inodes, inodes_free = (data.disk.integer(key) for key in ("free_bytes", "inodes", "inodes_free"))
    if data.disk.flag("read_only") is True:
        return refused(name, f"The data folder of {node.host} is read-only.")
    if free is None or data.disk.flag("read_only") is None:
        return undecided(name, f"The free space on {node.host} is not known.")
    if free < LEAST_FREE_BYTES and not freeing:
        return refused(
            name,
            f"The disk of {node.host} is full: {free // 1_000_000} MB are free, {LEAST_FREE_BYTES // 1_000_000} MB are "
            "needed.",
        )
    # Some file systems count no inodes and say 0 of 0.
    if inodes and inodes_free is not None and inodes_free < LEAST_FREE_INODES:
        return refused(name, f"The disk of {node.host} has no free inodes left.")
    return clear(name, f"{free // 1_000_000} MB are free.")


def journal(reading: Reading, node: Node, data: NodeEvidence, cured: t.Container[str] = ()) -> Guard:
    """The last run of the node left no reason behind that would end the next one too.

    A crash for the node's own signature in the last blocks is no such reason where ``double_sign_check`` deals with it.
    Nor is what the node wrote before its own last vote: it took part after it (both stamped by the clock of its host).
    ``cured``: kinds of marks whose reason is gone, or will be when the node starts.
    """
    name = "journal"
    if not data.journal.ok or not isinstance(data.journal.raw.get("marks"), list):
        return undecided(
            name, f"The journal of {node.host} could not be read, so a reason against a start is not seen."
        )
    current = stated(reading, node, data)
    excused = [mark for mark in current if _own_signature(mark) or _removed(mark, cured)]
    fatal = [mark for mark in current if mark.kind not in _HARMLESS + _UNDECIDED and mark not in excused]
    if fatal:
        kind, text = fatal[0].kind.replace("_", " "), fatal[0].text
        return refused(name, f'The journal of {node.host} states a reason ({kind}): "{text}". First cure that.')
    if node.state == "crashed" and not excused:
        return refused(name, f"The node on {node.host} ended with an error ({node.detail}). First find the reason.")
    if any(mark.kind in _UNDECIDED for mark in current):
        return undecided(
            name, f"The journal of {node.host} tells of a validator that signed twice. Make sure it is not this one."
        )
    return clear(name, "The journal of its last run gives no reason against a start.")


def stated(reading: Reading, node: Node, data: NodeEvidence) -> list[Mark]:
    """What the node's last run wrote and did not outlive."""
    return [mark for mark in _last_run(node, data) if not _outlived(reading, node, mark)]


def _last_run(node: Node, data: NodeEvidence) -> list[Mark]:
    """The marks that count: of the present or last invocation.

    A crash loop may be looked at in the second in which its newest invocation has said nothing yet. Then the marks of
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


def _own_signature(mark: Mark) -> bool:
    return mark.kind == "double_sign_check" or (mark.kind == "panic" and _OWN_SIGNATURE in mark.text)


def _removed(mark: Mark, cured: t.Container[str]) -> bool:
    """Whether the reason of this mark is gone, or follows from one that is."""
    follows = any(kind in cured and words in mark.text for kind, words in _FOLLOWS.items())
    return mark.kind in cured or (follows and mark.kind in _FOLLOWING)
