# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes in the rounds: proposals that come late, are refused, or do not come; a chain that is slow and not halted."""

from __future__ import annotations

import re
import typing as t

from ...._chain import power as _power
from ...._chain.node import Mark, Part
from ...._chain.reading.types import Node, Reading, ValidatorRow
from ...._path.text import clean
from ...._path.verdict.cause import HOLDS, Finding, cannot_tell, refuted
from .context import Halt, HaltCause, current, journal_read, missing_power_holds, names, sum_of, with_set
from .hashes import compare

# A block takes timeout_commit and about a second of rounds; a chain that needs three times that is slow.
SLOW_TIMES = 3
SLOW_ROUNDS = 2  # so many of the newest five blocks needed more than one round
# CometBFT enters step 4 when the proposal is there or its time is over.
STEP_PREVOTE = 4
_OBJECTIONS = ("proposal_refused", "invalid_block", "wrong_app_hash")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def _views(halt: Halt) -> list[tuple[str, Part]]:
    """Name and consensus of the views that stand at the present height in the newest round."""
    views = []
    for view in halt.reading.views:
        node = halt.reading.nodes.get(view.name)
        if node is not None and current(node.data, "consensus_failure") is not None:
            continue
        shown = view.rpc.consensus
        if shown.ok and shown.integer("height") == halt.reading.votes_height:
            views.append((view.name, shown))
    newest = max((shown.integer("round") or 0 for _name, shown in views), default=0)
    return [(name, shown) for name, shown in views if (shown.integer("round") or 0) >= newest - 1]


def _nil_voters(halt: Halt) -> list[ValidatorRow]:
    """Who prevoted nil in the round in which the most power did, over all views."""
    rows = {row.address: row for row in halt.reading.validators}
    most: list[ValidatorRow] = []
    for _name, shown in _views(halt):
        order = [row.address("address") for row in shown.mappings("validators")]
        for entry in shown.mappings("rounds"):
            nil = {
                order[row[0]]
                for row in entry.items("prevotes")
                if isinstance(row, list) and len(row) == 3 and row[1] == "nil" and _place(row[0], len(order))
            }
            ours = [rows[address] for address in nil if address in rows]
            most = max(most, ours, key=sum_of)
    return most


def _place(value: t.Any, size: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < size


def _proposals_late(halt: Halt) -> Finding:
    """Rounds pass with prevotes for nil where no proposal has come whole, or has come by now and nothing is wrong with it."""
    reading = halt.reading
    if halt.standing is False:
        return refuted("new blocks come: proposals arrive")
    views = [(name, shown) for name, shown in _views(halt) if (shown.integer("step") or 0) >= STEP_PREVOTE]
    if not reading.rounds_grow:
        # Each round takes longer than the one before: a late one may well last from one look to the other.
        first = all(shown.integer("round") == 0 for _name, shown in views)
        if halt.standing and reading.confirmed and views and (first or missing_power_holds(reading)):
            return refuted("no round ends between the looks: it is votes that are missing, not a proposal")
        return cannot_tell("whether rounds end between two looks")
    # Who proposes has its own proposal.
    own = {view.name: view.rpc.status.address("address") for view in reading.views}
    asked = [
        (name, shown)
        for name, shown in views
        if shown.flag("proposal") is not None and (own[name] is None or own[name] != shown.address("proposer"))
    ]
    if not asked:
        return cannot_tell("whether the proposal of a round has arrived at any node of ours")
    without = [(name, shown) for name, shown in asked if not _whole(shown)]
    if not without:
        return _came_late(halt)
    if len(without) < len(asked):
        return cannot_tell("whether the proposal came too late where it has come: some nodes have it, and some do not")
    nil = sum_of(_nil_voters(halt))
    if compare(reading) is not None or nil < reading.total - reading.quorum + 1:
        return cannot_tell("rounds in which more than a third prevotes nil for want of a proposal")
    parts = [
        f"{clean(name, 60)} has {_parts(shown)} of round {shown.integer('round')}, proposer "
        f"{(shown.address('proposer') or 'not known')[:12]}"
        for name, shown in without
    ]
    return Finding(HOLDS, f"rounds rise, power {nil} prevoted nil in one: {'; '.join(parts[:3])}", 0, ())


def _came_late(halt: Halt) -> Finding:
    """The proposal is there when we look. It came too late where validators prevoted nil and nothing was wrong with it."""
    reading = halt.reading
    voters = [row for row in _nil_voters(halt) if row.host in reading.nodes]
    nodes = {row.address: reading.nodes[t.cast(str, row.host)] for row in voters}
    unread = [row for row in voters if not journal_read(nodes[row.address])]
    bare = [row for row in voters if row not in unread and not _says_why(reading, nodes[row.address])]
    wanted = reading.total - reading.quorum + 1
    if sum_of(bare) >= wanted and compare(reading) is None:
        waits = sorted({str(value) for row in bare if (value := _patience(nodes[row.address])) is not None})
        because = (
            f"rounds rise; {names(bare)} prevoted nil in one, and nothing was wrong with the proposal, which is there now: it "
            "came too late"
        )
        hosts = tuple(sorted(t.cast(str, row.host) for row in bare))
        return Finding(HOLDS, because + (f" (timeout_propose {', '.join(waits[:3])})" if waits else ""), 0, hosts)
    if sum_of([*bare, *unread]) >= wanted:
        return cannot_tell(f"why {names([*bare, *unread])} prevoted nil")
    return refuted("the whole proposal is there, and more than a third does not prevote nil without a stated reason")


def _says_why(reading: Reading, node: Node) -> bool:
    """Whether the journal says since the newest block what is wrong with proposals."""
    marks = node.data.marks if node.data is not None else ()
    return any(mark.kind in _OBJECTIONS and mark.current and _since_the_last_block(reading, mark) for mark in marks)


def _since_the_last_block(reading: Reading, mark: Mark) -> bool:
    return mark.last_at is None or reading.last_block_at is None or mark.last_at > reading.last_block_at


def _patience(node: Node) -> t.Optional[t.Any]:
    return node.data.setting("timeout_propose") if node.data is not None else None


def _whole(shown: Part) -> bool:
    parts = shown.items("block_parts")
    return shown.flag("proposal") is True and len(parts) == 2 and parts[0] == parts[1]


def _parts(shown: Part) -> str:
    parts = shown.items("block_parts")
    return f"{parts[0]} of {parts[1]} parts" if len(parts) == 2 else "no proposal"


def _proposals_refused(halt: Halt) -> Finding:
    """The application rejects proposals, on nodes with more than a third of the power."""
    reading = halt.reading
    ever = [
        (row, mark)
        for row in halt.rows.values()
        if (mark := current(reading.nodes[t.cast(str, row.host)].data, "proposal_refused")) is not None
    ]
    saying = [row for row, mark in ever if _since_the_last_block(reading, mark)]
    power = sum(row.power for row in saying)
    if saying and power and halt.standing is not False:
        hosts = tuple(sorted(t.cast(str, row.host) for row in saying))
        because = f"since the last block, the application of {names(saying)} rejected proposals"
        # One bad proposal is rejected by all and stops nothing: it is the rounds that pass which show the rest.
        enough = _power.halts(reading.total, power + reading.absent) and reading.rounds_grow
        beside = not (enough and halt.standing)
        return Finding(HOLDS, because, power, hosts, symptom=beside, forbids=() if beside else None)
    if ever:
        return cannot_tell(
            f"whether that goes on: {names([row for row, _mark in ever])} rejected proposals in this run"
        )
    if halt.standing is False:
        return refuted("new blocks come: proposals are accepted")
    if halt.unread:
        return cannot_tell(f"the journal of {halt.unread}")
    if any(not journal_read(node) for node in reading.nodes.values() if node.observed and node.in_set):
        return cannot_tell("the journals of all our validators")
    return refuted("no journal of our validators says that a proposal was rejected since the last block")


def _commits(halt: Halt) -> list[Part]:
    """The newest commits that one of our nodes at the top shows."""
    top = [
        view.rpc.commits.mappings("commits")
        for view in halt.reading.views
        if view.rpc.status.integer("height") == halt.reading.height
    ]
    return max(top, key=len, default=[])


def _proposer_silent(halt: Halt) -> Finding:
    """While blocks come: rounds are lost whenever it is the turn of a validator that is missing."""
    commits = _commits(halt)
    late = [commit for commit in commits if (commit.integer("round") or 0) > 0]
    missing = [row for row in halt.reading.validators if row.counts_as == "absent" or row.state == "not_voting"]
    if halt.standing is True:
        return refuted("the chain stands")
    if halt.standing is None:
        return cannot_tell("whether blocks come")
    if late and missing:
        rounds = ", ".join(f"{commit.integer('height')} (round {commit.integer('round')})" for commit in late[:5])
        because = (
            f"of the newest {len(commits)} blocks {len(late)} needed another round: {rounds}; missing: {names(missing)}"
        )
        return Finding(HOLDS, because, 0, tuple(sorted(row.host for row in missing if row.host)), symptom=True)
    if not commits:
        return cannot_tell("the rounds of the newest commits")
    return refuted("the newest blocks needed one round" if not late else "no validator is missing")


def _slow(halt: Halt) -> Finding:
    if halt.standing is None:
        return cannot_tell("whether blocks come")
    if halt.standing:
        return refuted("the chain stands")
    commits = _commits(halt)
    late = sum(1 for commit in commits if (commit.integer("round") or 0) > 0)
    if late >= SLOW_ROUNDS:
        return Finding(HOLDS, f"{late} of the newest {len(commits)} blocks needed more than one round", symptom=True)
    expected, intervals = _expected(halt), _intervals(halt)
    if not intervals or not expected:
        return cannot_tell("the block interval, or the timeout_commit that is set")
    because = f"a block takes {intervals[0]:.1f} s, about {expected[-1]:.1f} s are configured"
    if intervals[0] > SLOW_TIMES * expected[-1]:
        return Finding(HOLDS, because, symptom=True)
    if intervals[-1] > SLOW_TIMES * expected[0]:
        return cannot_tell("how long a block should take: our nodes show different intervals or settings")
    return refuted(because)


def _intervals(halt: Halt) -> list[float]:
    """Seconds that the newest blocks took, as views at the top show it; the least first."""
    top = [view for view in halt.reading.views if view.rpc.status.integer("height") == halt.reading.height]
    intervals = [
        value for view in top if (value := view.rpc.blocks.number("interval_s")) is not None and 0 < value <= 3600
    ]
    return sorted(intervals)


def _expected(halt: Halt) -> list[float]:
    """Seconds a block takes by the configuration of our nodes: timeout_commit and a second; the least first."""
    expected = []
    for node in halt.reading.nodes.values():
        value = node.data.setting("timeout_commit") if node.data is not None else None
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is not None:
            expected.append(float(match[1]) * _SECONDS[match[2]] + 1.0)
    return sorted(expected)


PROPOSALS_LATE = HaltCause(
    "proposals_late",
    "proposals do not arrive in time",
    "Enough power votes, and rounds pass with votes for nil because proposals do not arrive in time",
    "1. Chain Halted, Quick Diagnosis 2",
    predicate=with_set(_proposals_late),
    forbids=("start_node", "thaw_node"),
    signs="Rounds grow; more than a third of the power prevoted nil in one; the nodes that prevoted have no "
    "proposal, or not all its parts; or it is there now, and no journal has anything against it: it came "
    "too late. Refuted where no round ends between the looks, or where journals say what is wrong with it.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/dump_consensus_state | jq '.result.round_state | .round, .proposal, "
        ".proposal_block_parts'   # null or parts missing at step 4 and later",
        "curl -s http://127.0.0.1:26657/consensus_state | jq '.result.round_state.height_vote_set[-2].prevotes'   # "
        "000000000000: nil",
    ),
    next="Look at who proposes and how large its blocks are; look at the bandwidth between proposers and the rest.",
    decide="Operator decision: a longer timeout_propose on all nodes lets large or slow proposals arrive, and "
    "operators have to agree on it.",
    message="Enough validators vote, and rounds pass because proposals do not arrive in time. Please look at your "
    "bandwidth and timeout_propose, and do not restart a node that votes.",
)
PROPOSALS_REFUSED = HaltCause(
    "proposals_refused",
    "proposals are rejected",
    "The application of validators rejects the proposals, so every round ends with votes for nil",
    "1. Chain Halted, Quick Diagnosis 2",
    predicate=with_set(_proposals_refused),
    forbids=("start_node", "thaw_node"),
    signs='Journals of validators have "prevote step: state machine rejected a proposed block" since the last '
    "block. A root where they are more than a third with all that is absent, and rounds pass.",
    by_hand=(
        "journalctl -u virtengine.service --no-pager | grep -F 'state machine rejected a proposed block' | tail -3",
        "curl -s http://127.0.0.1:26657/consensus_state | jq '.result.round_state.height_vote_set[-2].prevotes'",
    ),
    next="Compare the binaries of proposers and of {hosts}; send the developers a rejected proposal's height and round.",
    decide="Either the proposals are wrong or the validators that reject them are: developers find out which binary is right.",
    message="Our applications reject the proposals above height {height}. Please tell us the version and SHA-256 of "
    "your binary, and whether yours rejects them too. Do not restart a node that votes.",
)
PROPOSER_SILENT = HaltCause(
    "proposer_silent",
    "rounds are lost with one proposer",
    "Rounds are lost whenever it is the turn of a validator that does not propose",
    "1. Chain Halted, Quick Diagnosis 2",
    "SEV-3",
    with_set(_proposer_silent),
    signs="Blocks come; of the newest five commits some have a round above 0, and a validator is missing. Refuted "
    "on a chain that stands.",
    by_hand=(
        'for h in $(seq $((H-5)) $H); do curl -s "http://127.0.0.1:26657/commit?height=$h" | jq -c '
        "'.result.signed_header.commit.round'; done   # above 0: a round was lost",
    ),
    next="Bring {hosts} back; until then each of its turns costs some seconds.",
)
SLOW_CHAIN = HaltCause(
    "slow_chain",
    "blocks come slowly",
    "Blocks come, and more slowly than they should",
    "1. Chain Halted, Quick Diagnosis 1",
    "SEV-3",
    with_set(_slow),
    signs="Two of the newest five blocks needed another round, or the median interval is over three times "
    "timeout_commit and a second. Refuted on a chain that stands.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/blockchain | jq -r '.result.block_metas[].header | .height + \" \" + .time'",
        "curl -s http://127.0.0.1:26657/num_unconfirmed_txs | jq .result",
    ),
    next="Blocks come slowly: look at missing validators, the load of the hosts and the size of blocks.",
)

CAUSES = (PROPOSALS_LATE, PROPOSALS_REFUSED)
ASIDE = (PROPOSER_SILENT, SLOW_CHAIN)
