# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one of our nodes is doing: the process overrules the vote, because a vote stays after its owner has died."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..._path.evidence import values
from ..._path.text import clean
from ..node import Mark, NodeEvidence, Part, Rpc
from .blocks import VOTE_TIME_TOLERANCE_S, Chain
from .types import Vote
from .votes import VoteBook

# Journal reasons that a start would run into again, the most telling first.
FATAL_KINDS = (
    "no_space",
    "read_only",
    "io_error",
    "upgrade_needed",
    "wrong_app_version",
    "binary_too_new",
    "halt_height",
    "double_sign_check",
    "conflicting_vote",
    "signing_state_missing",
    "signing_state_unreadable",
    "database_damaged",
    "wrong_app_hash",
    "invalid_block",
    "handshake_failed",
    "remote_signer",
    "too_many_open_files",
    "wal_damaged",
    "wal_missing",
    "consensus_failure",
    "panic",
)
# A healthy node writes most of these as well, for one: "wrong app hash" of a diverged peer's proposal (seen on a real
# fleet). A reason is only what was written around the failure of consensus or the end of the process.
DEATH_S = 1.0
LAST_WORDS_S = 60.0
# Of several runs in that minute the one that ended last counts: it wrote its reason as it ended.
LAST_RUN_S = 5.0
# What keeps a node that lives from voting, where it is written since the newest block.
HINDERING = ("no_space", "read_only", "io_error", "conflicting_vote", "signing_regression", "remote_signer")

# A block is being made every few seconds and answers of one look lie seconds apart.
LAG_BLOCKS = 5


@dataclass(frozen=True)
class Situation:
    """What the whole fleet's evidence says, as far as one node's state depends on it."""

    chain: Chain
    book: VoteBook
    members: dict[str, int]  # address -> power
    looks: int

    @property
    def coming(self) -> bool:
        """Blocks come, or the newest is too young to say that they do not."""
        age = self.chain.age_s
        return self.chain.moved or (age is not None and age <= self.chain.threshold_s)

    @property
    def decided(self) -> bool:
        """Nobody has begun the next block: the newest one is stored and stands in step 8."""
        height, newest = self.book.height, self.chain.height
        return not self.coming and height is not None and newest is not None and height <= newest

    @property
    def fresh_s(self) -> float:
        """How old a vote may be to say that its owner votes now.

        Twice the time after which a chain counts as halted (60 s or more): votes of a stuck round are as old as the
        halt, so they tell while the halt is young, and no longer.
        """
        return 2 * self.chain.threshold_s

    def fresh(self, address: str) -> bool:
        """Whether the votes of ``address`` show that it votes now and not only at some time."""
        book, newest = self.book, self.book.newest(address)
        if self.coming and book.commits and book.signed.get(address, -1) >= book.commits[-1]:
            return True
        vote = book.present(address)
        if not self.coming and book.height is not None:
            # A vote for a block that is decided tells nothing about who takes part in the next one.
            if vote is None or self.decided or self._left_behind(vote):
                return False
            if book.rounds_grow and book.round is not None:
                return vote.round >= book.round - 1
            newest = vote
        now = self.chain.now
        return newest is not None and newest.at is not None and now is not None and abs(now - newest.at) <= self.fresh_s

    def _left_behind(self, vote: Vote) -> bool:
        """Others have voted in a later step, and no round grows: it stopped after this vote."""
        still = not self.book.rounds_grow and (self.looks == 2 or self.book.front[0] == 0)
        return still and (vote.round, vote.step) < self.book.front


@dataclass(frozen=True)
class State:
    """The outcome: the contract's word, since when, and the observation that says so."""

    word: str
    since: t.Optional[float]
    detail: str
    reason: t.Optional[Mark] = None


def fatal_mark(node: NodeEvidence, crashed: bool = False) -> t.Optional[Mark]:
    """The journal's most telling reason, of the present or last invocation, why this node cannot take part; or None.

    ``crashed``: the process died of itself, so its last words count. Else only the failure of its consensus does, and
    what was written with it.
    """
    current = [mark for mark in node.marks if mark.current]
    failure = next((mark for mark in current if mark.kind == "consensus_failure"), None)
    since: t.Optional[float] = None
    if failure is not None:
        failed_at = _of_this_run(failure, node)
        since = None if failed_at is None else failed_at - DEATH_S
    elif crashed:
        ends = [mark.last_at for mark in node.marks if mark.kind == "exited"] + [node.unit.time("stopped_at")]
        end = max((at for at in ends if at is not None), default=None)
        since = None if end is None else end - LAST_WORDS_S
        # The next run of a crash loop may have begun already and said nothing yet: then the one before it speaks.
        older = [mark for mark in node.marks if not mark.current and mark.last_at is not None and since is not None]
        last_run = None if end is None else end - LAST_RUN_S
        return next(
            (
                mark
                for marks, at in ((current, since), (older, last_run), (older, since))
                if (mark := _first_of(FATAL_KINDS, marks, at)) is not None
            ),
            None,
        )
    else:
        return next((mark for mark in current if mark.kind == "conflicting_vote"), None)
    return _first_of(FATAL_KINDS, current, since)


def _of_this_run(mark: Mark, node: NodeEvidence) -> t.Optional[float]:
    """When a line of the present run was first written; the first line of its kind may be of an earlier run."""
    started = node.unit.time("started_at")
    if started is not None and mark.first_at is not None and mark.first_at < started:
        return mark.last_at
    return mark.first_at


def _first_of(kinds: tuple[str, ...], marks: list[Mark], since: t.Optional[float]) -> t.Optional[Mark]:
    by_kind = {mark.kind: mark for mark in marks if since is None or mark.last_at is None or mark.last_at >= since}
    return next((by_kind[kind] for kind in kinds if kind in by_kind), None)


def _quote(mark: Mark) -> str:
    return f"{mark.kind.replace('_', ' ')}: {clean(mark.text, 140)}" if mark.text else mark.kind.replace("_", " ")


def main_process(node: NodeEvidence) -> t.Optional[Part]:
    """The unit's process, or, where the unit has none, one that runs the same binary without it. Zombies are none."""
    main = node.process.inner("main")
    processes = ([main] if main is not None else []) + node.process.mappings("others")
    return next((process for process in processes if (process.text("state") or "")[:1] not in ("Z", "X")), None)


def runs(node: NodeEvidence) -> t.Optional[bool]:
    """Whether a process of the node runs; None where nothing says so."""
    if main_process(node) is not None or node.rpc.status.ok:
        return True
    if node.process.ok:
        return False
    active = node.unit.text("active_state")
    if not node.unit.ok or active is None:
        return None
    return node.unit.integer("main_pid") is not None and active in ("active", "reloading", "deactivating")


def down_or_held(node: NodeEvidence, before: t.Optional[NodeEvidence]) -> t.Optional[State]:
    """Frozen, crashed or stopped; None where a process runs or nobody can tell."""
    process = main_process(node)
    frozen_group = node.unit.text("freezer_state") == "frozen"
    if process is not None and (frozen_group or process.flag("frozen") or (process.text("state") or "")[:1] == "T"):
        how = (
            "its cgroup is frozen" if frozen_group or process.flag("frozen") else "it is stopped by a signal (state T)"
        )
        return State("frozen", None, f"process {process.integer('pid')} is there, but {how}")
    alive = runs(node)
    looping = _crash_loop(node, before)
    if alive is False:
        return _down(node, looping)
    if looping is not None and alive:
        reason = fatal_mark(node, crashed=True)
        return State(
            "crashed", node.unit.time("stopped_at"), looping + (f"; {_quote(reason)}" if reason else ""), reason
        )
    return None


def _crash_loop(node: NodeEvidence, before: t.Optional[NodeEvidence]) -> t.Optional[str]:
    """Words for a unit whose restarts grow between two looks, unless its process was killed from outside."""
    now = node.unit.integer("restarts")
    then = before.unit.integer("restarts") if before is not None else None
    if now is None or then is None or now <= then or not node.unit.ok:
        return None
    if node.unit.text("exit_kind") == "killed" or node.unit.text("result") == "signal":
        return None
    return f"crash loop: {now} restarts, {now - then} of them between the looks"


def _down(node: NodeEvidence, looping: t.Optional[str]) -> State:
    unit = node.unit
    since = unit.time("stopped_at")
    if not unit.ok:
        why = unit.error.text if unit.error else ""
        return State("stopped", since, f"no process of the node, and no unit to start it ({clean(why, 120)})")
    active, sub = unit.text("active_state") or "unknown", unit.text("sub_state") or "unknown"
    code = unit.integer("exit_status")
    by_code = (unit.text("exit_kind") == "exited" and code not in (None, 0)) or unit.text("result") == "exit-code"
    tried = active == "failed" or sub == "auto-restart" or looping is not None
    if active == "activating" and sub != "auto-restart" and not tried:
        return State("busy", None, f"the unit is starting ({sub})")
    # A loop may be caught with the last process not yet reaped, and no exit code of it.
    crashed = looping is not None or (tried and by_code)
    reason = fatal_mark(node, crashed)
    if crashed or (reason is not None and tried):
        restarts = unit.integer("restarts") or 0
        words = looping or f"{sub if sub == 'auto-restart' else active}, exit code {code}, {restarts} restarts"
        return State(
            "crashed",
            since,
            f"{words}; {_quote(reason)}" if reason else f"{words}; the journal gives no reason",
            reason,
        )
    words = f"unit {active}" + (f" ({sub})" if sub != active else "")
    if unit.text("exit_kind") == "killed" or unit.text("result") in ("signal", "oom-kill"):
        words += f", killed by signal {code}" if code is not None else ", killed by a signal"
    elif active == "active":
        words += ", but it has no process"
    if unit.text("unit_file_state") in ("masked", "disabled") or unit.text("load_state") == "masked":
        words += f", {unit.text('unit_file_state') or 'masked'}"
    return State("stopped", since, f"{words}; {_quote(reason)}" if reason else words, reason)


def alive_state(
    node: NodeEvidence, before: t.Optional[NodeEvidence], address: t.Optional[str], known: Situation
) -> State:
    """What a node does whose process runs, as far as anybody can tell."""
    status = node.rpc.status
    if not status.ok:
        return _silent(node)
    if _consensus_is_dead(node, before, address, known):
        reason = fatal_mark(node)
        failure = next(mark for mark in node.marks if mark.kind == "consensus_failure" and mark.current)
        at = _of_this_run(failure, node)
        quoted = _quote(reason) if reason else ""
        return State("not_voting", at, f"runs and answers, but its consensus is dead; {quoted}", reason)
    member = address is not None and address in known.members
    if not member:
        return State(
            "running", node.unit.time("started_at"), _lag(node, known) or f"at height {status.integer('height')}"
        )
    return _member(node, before, t.cast(str, address), known)


def _consensus_is_dead(
    node: NodeEvidence, before: t.Optional[NodeEvidence], address: t.Optional[str], known: Situation
) -> bool:
    """Whether the failure that the journal tells of has ended it: who votes or stores blocks after it has outlived it."""
    failure = next((mark for mark in node.marks if mark.current and mark.kind == "consensus_failure"), None)
    if failure is None:
        return False
    vote = known.book.newest(address) if address is not None else None
    failed_at, voted_at = failure.last_at, vote.at if vote is not None else None
    if failed_at is not None and voted_at is not None and voted_at > failed_at + VOTE_TIME_TOLERANCE_S:
        return False
    now, then = node.rpc.status.integer("height"), before.rpc.status.integer("height") if before is not None else None
    began = before.now if before is not None else None
    return not (
        now is not None
        and then is not None
        and now > then
        and failed_at is not None
        and began is not None
        and failed_at < began
    )


def _silent(node: NodeEvidence) -> State:
    why = node.rpc.status.error
    answer = f"{why.kind}: {clean(why.text, 100)}" if why is not None else ""
    if node.privileged is False and why is not None and why.kind in ("cannot_tell", "privilege"):
        return State("unknown", None, f"not read without privilege: where its RPC is ({clean(why.text, 100)})")
    process = main_process(node)
    if process is None and runs(node) is None:
        return State("unknown", None, f"nothing tells whether it runs, and its RPC is silent ({answer})")
    if process is not None and (process.text("state") or "")[:1] == "D":
        return State("busy", None, f"process {process.integer('pid')} waits for its disk (state D), RPC {answer}")
    since = process.time("started_at") if process is not None else node.unit.time("started_at")
    return State("busy", since, f"the process runs, RPC {answer}")


def _lag(node: NodeEvidence, known: Situation) -> t.Optional[str]:
    height, newest = node.rpc.status.integer("height"), known.chain.height
    allowed = LAG_BLOCKS if known.coming else 0
    if height is None or newest is None or height >= newest - allowed:
        return None
    return f"at height {height}, {newest - height} behind"


def _member(node: NodeEvidence, before: t.Optional[NodeEvidence], address: str, known: Situation) -> State:
    book = known.book
    lag = _lag(node, known)
    refused = refuses_block(node.rpc) and before is not None and refuses_block(before.rpc)
    if refused and before is not None and before.rpc.status.integer("height") == node.rpc.status.integer("height"):
        height = node.rpc.status.integer("height")
        return State("not_voting", None, f"it stored block {height}, but its application does not execute it")
    if known.decided:
        height = known.chain.height
        if not node.rpc.abci_info.ok:
            return State(
                "busy", None, f"block {height} is decided, and its application does not answer: it may work on it"
            )
        return State("not_voting", None, f"block {height} is decided; it does not begin the next one")
    vote = book.present(address)
    if _application_hangs(node) and vote is None:
        return State(
            "busy", None, "it answers, but neither its application nor its consensus does: a long block, perhaps"
        )
    if known.coming and book.commits and book.signed.get(address, -1) >= book.commits[-1]:
        return State("voting", None, f"voted in block {book.signed[address]}")
    stale = vote is not None and book.rounds_grow and book.round is not None and vote.round < book.round - 1
    if vote is not None and not lag and not stale:
        return State("voting", vote.at, f"its vote of height {vote.height}, round {vote.round} stands")
    if not node.rpc.consensus.ok and not book.views:
        why = node.rpc.consensus.error
        kind = why.kind if why is not None else "failed"
        word = "busy" if kind == "late" else "unknown"
        return State(
            word, None, f"answers, but not about consensus ({kind}): inside a long block or migration, perhaps"
        )
    if book.height is None and not book.commits:
        return State("unknown", None, "answers, but nothing shows who votes")
    last = book.newest(address)
    hindered = _first_of(HINDERING, [mark for mark in node.marks if mark.current], known.chain.block_time)
    words = lag or (f"without a vote; {_quote(hindered)}" if hindered is not None else _why_silent(node, vote, book))
    return State("not_voting", last.at if last else None, f"runs and answers, {words}", hindered)


def _application_hangs(node: NodeEvidence) -> bool:
    """Both wait for the application while it works on a block (CometBFT holds their locks)."""
    late = [part.error is not None and part.error.kind == "late" for part in (node.rpc.abci_info, node.rpc.consensus)]
    return all(late)


def _why_silent(node: NodeEvidence, vote: t.Optional[Vote], book: VoteBook) -> str:
    """The nearest explanation that the evidence offers for a running node without a vote."""
    if node.rpc.net_info.ok and node.rpc.net_info.integer("count") == 0:
        return "without a vote: it has no peers"
    if node.rpc.status.flag("catching_up"):
        return "without a vote: it is catching up"
    if vote is not None:
        return f"its last vote is of round {vote.round}, the chain is in round {book.round}"
    return f"without a vote at height {book.height}" if book.height is not None else "in none of the newest blocks"


def refuses_block(rpc: Rpc) -> bool:
    """Block stored, not executed: for a moment normal, in two looks at one height the sign of a refusal."""
    stored, executed = rpc.status.integer("height"), rpc.abci_info.integer("height")
    return stored is not None and executed == stored - 1 and rpc.consensus.integer("step") == 8


def unreachable_state(error: str, address: t.Optional[str], known: Situation) -> State:
    """A host without evidence: what the votes of its validator say about it is all there is."""
    if address is None or address not in known.members:
        return State("unreachable", None, error)
    last = known.book.newest(address)
    if known.fresh(address):
        seen = values.stamp(last.at) if last else None
        return State("unreachable", None, f"{error}; but it votes (seen {seen or 'in the newest blocks'})")
    vote = known.book.present(address)
    if vote is not None:
        return State("unreachable", vote.at, f"{error}; it voted at {values.stamp(vote.at) or 'an unknown time'}")
    if known.book.height is None:
        return State("unreachable", last.at if last else None, f"{error}; nothing shows who votes")
    return State("unreachable", last.at if last else None, f"{error}; no vote at height {known.book.height}")
