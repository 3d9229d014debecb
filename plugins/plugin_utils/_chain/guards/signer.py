# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards about the key: may this address sign from this host, and nobody else with it. PRIVATE to the collection.

A key that signs on two machines, or with a signing state that lies behind its own votes, signs twice for one height.
The chain punishes that for good. So each guard asks for evidence, and its absence is never taken for a yes.
"""

from __future__ import annotations

import typing as t

from ..._path.evidence.values import stamp
from ..._path.plan.guard import Guard, clear, refused, undecided
from ..node import NodeEvidence
from ..reading.blocks import VOTE_TIME_TOLERANCE_S
from ..reading.types import Node, Reading, Vote
from ..signer import is_remote, signed_for
from ..stated import is_dead
from .case import Case

_STEP_NAMES = {1: "propose", 2: "prevote", 3: "precommit"}


def address(case: Case) -> Guard:
    """The consensus address is known, and inventory and key file agree on it."""
    name, node, data = "address", case.node, case.data
    if node.declared and node.key_address and node.declared != node.key_address:
        return refused(
            name,
            f"The inventory declares {node.declared}, but the key file on {case.host} is of {node.key_address}. "
            "Correct one of them first.",
        )
    if node.key_address:
        return clear(name, f"The key file on {case.host} is of {node.key_address}.")
    if data.signer.flag("key_file") is False:
        if node.declared:
            return refused(
                name,
                f"The inventory declares {node.declared}, but {case.host} has no key file. A start would make a new "
                "key.",
            )
        return clear(name, f"{case.host} has no validator key and is not declared to have one.")
    reason = f" ({data.signer.error.text})" if data.signer.error else ""
    if node.declared:
        return undecided(
            name, f"The inventory declares {node.declared}, but the key file could not be checked{reason}."
        )
    return undecided(name, f"It is not known which validator key is on {case.host}{reason}.")


def signer(case: Case) -> Guard:
    """The node signs with its own key file, not with a signer elsewhere."""
    name = "signer"
    remote = is_remote(case.data)
    if remote is None:
        return undecided(name, f"It is not known whether {case.host} signs with a remote signer.")
    if remote:
        return undecided(
            name,
            f"{case.host} signs with a remote signer. Its key and its signing state are elsewhere and cannot "
            "be seen from here.",
        )
    return clear(name, "The node signs with the key file of this host.")


def votes_after_stop(case: Case) -> Guard:
    """No vote of the address is later than the stop of this unit.

    The votes of this node and its stop are stamped by one clock. A vote from another machine is stamped by that one's, so
    a clock of this host that is ahead leaves the question open. A node in a crash loop may be up for a second when it is
    looked at, and has no time of a stop then: its last stop was before its last start. systemd forgets both at boot: for
    a unit that has not run since, the boot is the latest time at which it can have stopped.
    A process that still runs with its consensus dead signs nothing since that died.
    """
    if is_dead(case.node):
        return _no_later_vote(case, case.node.since, "failure of consensus")
    unit = case.data.unit
    bounds = (unit.time("stopped_at"), unit.time("started_at"), case.data.boot_at)
    return _no_later_vote(case, next((bound for bound in bounds if bound is not None), None), "stop")


def no_equivocation(case: Case) -> Guard:
    """No two different votes of the address for one height, round and step are seen."""
    name, address = "no_equivocation", case.node.address
    if address is not None and address in case.reading.conflicts:
        return refused(
            name,
            f"Two different votes of the validator on {case.host} for one height, round and step are seen: another machine "
            "signs with its key. Find that machine and fence it.",
        )
    if address is not None and address in case.reading.disputed:
        return undecided(
            name,
            f"An RPC outside the inventory shows another vote of the validator on {case.host} than our nodes do for one height, "
            "round and step: that RPC is wrong, or another machine signs with this key.",
            "outside",
        )
    return clear(name, "No two different votes of this validator for one place are seen.")


def votes_after_freeze(case: Case) -> Guard:
    """No vote of the address is later than the look that first saw the process frozen."""
    looks = [look for look in (case.node.before, case.data) if look is not None and is_frozen(look)]
    return _no_later_vote(case, looks[0].now if looks else None, "freeze")


def is_frozen(data: NodeEvidence) -> bool:
    """Process state T, or a frozen cgroup. A silent RPC is no sign of it."""
    main = data.process.inner("main")
    if main is not None and ((main.text("state") or "")[:1] == "T" or main.flag("frozen") is True):
        return True
    return data.unit.text("freezer_state") == "frozen"


def _no_later_vote(case: Case, bound: t.Optional[float], event: str) -> Guard:
    name, reading = "votes", case.reading
    if case.node.address is None:
        return _without_address(name, case)
    if bound is None:
        return undecided(
            name, f"The time of the {event} on {case.host} is not known, so later votes cannot be excluded."
        )
    if not shows_votes(reading):
        return undecided(name, _NO_VOTES, "not_shown")
    if case.host in reading.ahead:
        return undecided(
            name,
            f"The clock of {case.host} is ahead, so whether a vote is later than the {event} cannot be told.",
            "clock",
        )
    later = [vote for vote in case.votes if vote.at is not None and vote.at > bound + VOTE_TIME_TOLERANCE_S]
    if later:
        last = max(later, key=lambda vote: vote.at or 0.0)
        return refused(
            name,
            f"A vote of this validator ({show(last)}) is of {stamp(last.at or 0.0)}, after the {event} on "
            f"{case.host} at {stamp(bound)}. Another machine signs with this key.",
        )
    holder = _unseen_vote(case)
    if holder is not None:
        return undecided(
            name,
            f"{holder} holds a vote of this validator at height {reading.votes_height} that no node of ours has seen: "
            "another machine may sign with this key.",
            "outside",
        )
    return clear(name, f"No vote of this validator is later than the {event} at {stamp(bound)}.")


def _unseen_vote(case: Case) -> t.Optional[str]:
    """Name of a node outside that holds a vote of this address for the present height which none of ours shows."""
    reading, address = case.reading, case.node.address or ""
    height = reading.votes_height
    if any(vote.height == height for vote in reading.votes.get(address, ())):
        return None
    own = signed_for(case.data)
    heard = [vote for vote in reading.heard.get(address, ()) if vote.height == height]
    if any(own is None or vote.hrs > own for vote in heard):
        return "An RPC outside the inventory"
    # What lies at or before its own signing state may be its own vote, of before its node was stopped: a reference that
    # shows nothing else is no evidence of another signer.
    outside = [one for one in reading.outside if not (heard and one.kind == "reference")]
    return next((witness.name for witness in outside if address in witness.votes_of), None)


_NO_VOTES = (
    "No node of ours shows both the newest commits and the votes of the present rounds, so a later vote cannot be "
    "excluded."
)


def shows_votes(reading: Reading) -> bool:
    """Whether the votes of the present height and of the newest commits were seen: only then does their absence tell."""
    return reading.votes_height is not None and reading.commits_seen


def key_elsewhere(case: Case) -> Guard:
    """No other host that was looked at holds or runs this address, and none of the inventory declares it."""
    name, node = "key_elsewhere", case.node
    if node.address is None:
        return _without_address(name, case)
    others = [other for other in case.reading.nodes.values() if other.host != node.host]
    mine = {node.address, node.declared, node.key_address} - {None}
    holders = sorted(o.host for o in others if {o.declared, o.key_address, o.rpc_address, o.address} & mine)
    if holders:
        return refused(
            name,
            f"{', '.join(holders)} holds or declares the same validator key. One key signs on one machine only. "
            "Operator decision: which machine keeps it. Fence the other, or correct the inventory.",
        )
    unknown = sorted(other.host for other in others if not _key_known(other))
    if unknown:
        return undecided(
            name,
            f"It is not known which key is on {', '.join(unknown)}. Declare incident_validator_address for it, or "
            "make it reachable.",
            ",".join(unknown),
        )
    return clear(name, "No other host that was looked at holds this key, and none of the inventory declares it.")


def _key_known(other: Node) -> bool:
    """Whether the address that this other host signs for, or that it signs for none, is known.

    The contract takes a declaration as good enough for a host that does not answer: without it, one unreachable host
    would stop every plan.
    """
    if other.declared or other.rpc_address:
        return True
    # A key file does not move in the seconds between two looks.
    seen = other.data or other.before
    if seen is None or is_remote(seen) is not False:
        return False
    return other.key_address is not None or seen.signer.flag("key_file") is False


def signing_state(case: Case) -> Guard:
    """The signing state is there, and not behind the newest vote of this address that was seen anywhere."""
    name, reading = "signing_state", case.reading
    if case.data.signer.inner("state") is None:
        return _no_signing_state(name, case)
    signed = signed_for(case.data)
    if signed is None or min(signed) < 0:
        return refused(name, f"The signing state on {case.host} cannot be read.")
    if case.node.address is None:
        return _without_address(name, case)
    stands = "/".join(str(number) for number in signed)
    if case.node.in_set and not shows_votes(reading):
        return undecided(name, f"The signing state on {case.host} stands at {stands}. {_NO_VOTES}")
    newest = max(case.votes, key=lambda vote: vote.hrs, default=None)
    if newest is not None and signed < newest.hrs:
        return refused(
            name,
            f"The signing state on {case.host} stands at {stands}, but this validator voted later: {show(newest)}. It "
            "was set back, or another machine signed. A start could sign twice.",
        )
    if reading.height is not None and signed[0] > reading.height + 1:
        return undecided(
            name,
            f"The signing state on {case.host} stands at {stands}, but the chain works on height {reading.height + 1}. "
            "The node would not sign. The state may belong to another chain.",
        )
    against = f"its newest vote is {show(newest)}" if newest is not None else "no vote of it is seen"
    return clear(name, f"The signing state stands at {stands} (height/round/step), {against}.")


def _no_signing_state(name: str, case: Case) -> Guard:
    signer = case.data.signer
    problem = signer.inner("state_error")
    kind = problem.text("kind") if problem is not None else None
    text = problem.text("text") if problem is not None else None
    if kind in ("absent", "malformed", "cannot_tell", "too_large"):
        return refused(
            name,
            f"The signing state on {case.host} is missing or cannot be read ({text or kind}). Never make a new one: a "
            "person must find the right one.",
        )
    reason = text or (signer.error.text if signer.error else "no reason given")
    return undecided(name, f"The signing state on {case.host} was not seen ({reason}).")


def double_sign_check(case: Case) -> Guard:
    """Whether the node would find its own signature in the last blocks and end in a crash loop.

    A step before the start may set the height to 0. A flag on the command line overrules it.
    """
    name = "double_sign_check"
    if not case.node.in_set:
        return clear(name, "This node signs no blocks of this chain, so the check finds nothing.")
    height = case.data.setting("double_sign_check_height")
    if not isinstance(height, int) or isinstance(height, bool):
        return undecided(
            name, f"double_sign_check_height on {case.host} cannot be read. Above 0 the start ends in a crash loop."
        )
    if height <= 0:
        return clear(name, "double_sign_check_height is 0.")
    entry = case.data.config.inner("double_sign_check_height")
    if entry is not None and entry.text("source") == "flag":
        return refused(
            name,
            f"double_sign_check_height is {height} by a flag on the command line of the unit on {case.host}. On a "
            "halted chain the start ends in a crash loop. Take the flag away first.",
        )
    if name in case.removed:
        return clear(name, f"double_sign_check_height is {height}; a step of this plan sets it to 0 for this start.")
    return refused(
        name, f"double_sign_check_height on {case.host} is {height}: on a halted chain the start ends in a crash loop."
    )


def show(vote: Vote) -> str:
    """A vote in words: height/round and what it was."""
    return f"{_STEP_NAMES.get(vote.step, 'vote')} at {vote.height}/{vote.round}"


def _without_address(name: str, case: Case) -> Guard:
    if case.data.signer.flag("key_file") is False and not case.node.declared:
        return clear(name, "No validator key is here.")
    return undecided(name, f"The consensus address of {case.host} is not known, so this cannot be checked.")
