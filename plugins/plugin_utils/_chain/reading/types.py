# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of a reading: what verdict, plan, guards and recovery know of a halt.

All times are seconds since the epoch (``values.seconds`` reads them, ``values.stamp`` writes them), ``None`` means
"cannot tell". Heights and powers are integers. Addresses are 40 upper-case hex digits. All texts are cleaned.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..node import Mark, NodeEvidence, Problem, Rpc

PREVOTE = 2
PRECOMMIT = 3

# States of a node that has no process.
DOWN = ("stopped", "crashed")


class Vote(t.NamedTuple):
    """One vote of one validator. A tuple, for there are thousands of them."""

    height: int
    round: int
    step: int  # PREVOTE or PRECOMMIT, the numbers the signing state uses
    at: t.Optional[float] = None
    block: t.Optional[str] = None  # fingerprint of a block hash, "nil", or None where it is not told

    @property
    def hrs(self) -> tuple[int, int, int]:
        """Height, round and step, in the order signing states are compared by."""
        return self.height, self.round, self.step


@dataclass(frozen=True)
class Node:
    """One host of the inventory, with its newest observation and the one before it."""

    host: str
    observed: bool  # somebody looked; False for a host that only declares an address
    target: bool  # may be acted on
    ok: bool  # the newest look got evidence from it
    error: t.Optional[Problem]  # why not
    chain_ok: bool  # chain id and genesis are those of the chain that is judged (True where nothing says otherwise)
    state: str  # voting|not_voting|unreachable|stopped|frozen|crashed|busy|unknown, or running (no validator)
    since: t.Optional[float]
    detail: str
    address: t.Optional[str]  # the one it answers to: key file, else RPC, else declared
    declared: t.Optional[str]  # inventory variable
    key_address: t.Optional[str]  # address field of the key file
    rpc_address: t.Optional[str]  # what /status names
    in_set: bool  # address is in the validator set
    data: t.Optional[NodeEvidence]  # newest look; None unless ok
    before: t.Optional[NodeEvidence]  # the look before it
    height: t.Optional[int] = None  # its newest block, None where its RPC does not say
    reason: t.Optional[Mark] = None  # the journal's reason why it cannot take part: a restart does not remove it


@dataclass(frozen=True)
class ValidatorRow:
    """One validator of the set, ours or not."""

    address: str
    power: int
    owner: str  # ours|theirs
    hosts: tuple[str, ...]  # every host of ours that holds, declares or runs this address
    host: t.Optional[str]  # the one whose state stands in this row
    name: str  # moniker where known, else host, else the address cut short
    state: str  # as Node.state, or voted_at
    since: t.Optional[float]
    detail: str
    newest_vote: t.Optional[Vote]
    counts_as: str = "unknown"  # what its power is in the sums: voting|absent|unknown


@dataclass(frozen=True)
class Witness:
    """A node outside our inventory and what it knows of the votes at its height."""

    name: str
    kind: str  # peer|reference
    height: int
    votes_of: frozenset[str]
    lacks: frozenset[str]


@dataclass(frozen=True)
class View:
    """An RPC whose word counts: of a host of ours, or, where no host of ours is looked at, any that answers."""

    name: str  # host or URL
    at: t.Optional[float]  # the controller's clock when it answered
    rpc: Rpc


@dataclass(frozen=True)
class Reading:
    """The order in a bundle. ``power`` sums are over the validator set at the height the chain stands at."""

    bundle: dict[str, t.Any]
    chain_id: t.Optional[str]
    height: t.Optional[int]  # newest block
    last_block_hash: t.Optional[str]
    last_block_at: t.Optional[float]
    now: t.Optional[float]  # newest clock of an answering host
    interval_s: t.Optional[float]
    threshold_s: float
    age_s: t.Optional[float]  # age of the newest block, the youngest over all that answer
    stands_still: t.Optional[bool]  # True: halted, seen in two looks. None: cannot tell
    moved: bool  # new blocks between the looks
    total: int
    quorum: int
    voting: int
    absent: int
    unknown: int
    looks: tuple[int, ...]  # the one or two looks that are read, oldest first
    confirmed: bool  # two looks far enough apart
    nodes: dict[str, Node]
    views: tuple[View, ...]  # of the newest look, by name
    rpc_only: bool  # no host of ours is looked at: the views are RPCs of anybody
    validators: tuple[ValidatorRow, ...]  # by power, greatest first
    outside: tuple[Witness, ...]
    voters: tuple[str, ...]  # hosts whose validator votes: what genesis and binary are compared with
    votes: dict[str, tuple[Vote, ...]]  # every vote seen of an address, sorted by height, round, step
    heard: dict[str, tuple[Vote, ...]]  # votes that references show: they count for no power, but for guards
    conflicts: frozenset[str]  # addresses of which our nodes show two different votes for one height, round and step
    disputed: frozenset[str]  # addresses of which a reference shows another vote than our nodes
    movers: int  # sources that show new blocks between the looks; 0 where none of ours does
    outside_movers: int  # references that do
    outside_standing: int  # references that show no new block between the looks
    outside_quorum: bool  # the newest commits that references show hold the votes of a quorum
    ahead: frozenset[str]  # hosts whose clock is ahead of the others
    notes: tuple[str, ...]
    commits_seen: bool  # commits of the newest blocks are among the votes
    most_seen: int  # greatest power whose votes of the newest round and step one single node shows
    votes_height: t.Optional[int]  # height the votes of the present rounds are for (the block that is being made)
    rounds_grow: bool  # a newer round between the looks: enough power votes to move on, but finds no agreement
    idle: bool  # no block is due: the chain makes none without transactions
    split: bool  # two different blocks at one height, or heights that nothing supports: no act may be built on this
    app_hashes_differ: bool  # at equal application height
