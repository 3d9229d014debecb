# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards about the key: may this address sign from this host, and nobody else with it. PRIVATE to the collection.

A key that signs on two machines, or with a signing state that lies behind its own votes, signs twice for one height.
The chain punishes that for good. So each guard asks for evidence, and its absence is never taken for a yes.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.node import NodeEvidence
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.blocks import VOTE_TIME_TOLERANCE_S
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import Node, Reading, Vote
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle

CLEAR = "clear"
REFUSED = "refused"  # shown: nobody may go on, break-glass or not
OPEN = "open"  # cannot be excluded: a person may go on with a reason

_STEP_NAMES = {1: "propose", 2: "prevote", 3: "precommit"}


@dataclass(frozen=True)
class Guard:
    """One thing that must be so before a step. ``because`` is the observation that says so, in a sentence."""

    name: str
    state: str
    because: str
    subject: str = ""  # what exactly is open, where one name can be open for several things

    @property
    def key(self) -> str:
        """What a person takes over with break-glass: this open question and no other."""
        return f"{self.name}:{self.subject}" if self.subject else self.name


def clear(name: str, because: str) -> Guard:
    return Guard(name, CLEAR, because)


def refused(name: str, because: str) -> Guard:
    return Guard(name, REFUSED, because)


def undecided(name: str, because: str, subject: str = "") -> Guard:
    return Guard(name, OPEN, because, subject)


def address(node: Node, data: NodeEvidence) -> Guard:
    """The consensus address is known, and inventory and key file agree on it."""
    name = "address"
    if node.declared and node.key_address and node.declared != node.key_address:
        return refused(
            name,
            f"The inventory declares {node.declared}, but the key file on {node.host} is of {node.key_address}. "
            "Correct one of them first.",
        )
    if node.key_address:
        return clear(name, f"The key file on {node.host} is of {node.key_address}.")
    if data.signer.flag("key_file") is False:
        if node.declared:
            return refused(
                name,
                f"The inventory declares {node.declared}, but {node.host} has no key file. A start would make a new "
                "key.",
            )
        return clear(name, f"{node.host} has no validator key and is not declared to have one.")
    reason = f" ({data.signer.error.text})" if data.signer.error else ""
    if node.declared:
        return undecided(
            name, f"The inventory declares {node.declared}, but the key file could not be checked{reason}."
        )
    return undecided(name, f"It is not known which validator key lies on {node.host}{reason}.")


def signer(node: Node, data: NodeEvidence) -> Guard:
    """The node signs with its own key file, not with a signer elsewhere."""
    name = "signer"
    remote = is_remote(data)
    if remote is None:
        return undecided(name, f"It is not known whether {node.host} signs with a remote signer.")
    if remote:
        return undecided(
            name,
            f"{node.host} signs with a remote signer. Its key and its signing state lie elsewhere and are not seen "
            "from here.",
        )
    return clear(name, "The node signs with the key file of this host.")


def is_remote(data: NodeEvidence) -> t.Optional[bool]:
    """Whether the key is held by a remote signer (``priv_validator_laddr``); None: cannot tell."""
    listens = data.setting("priv_validator_laddr")
    told = data.signer.flag("remote")
    if told is True or (isinstance(listens, str) and listens):
        return True
    return False if told is False or listens == "" else None


def votes_after_stop(reading: Reading, node: Node, data: NodeEvidence) -> Guard:
    """No vote of the address is later than the stop of this unit.

    The votes of this node and its stop are stamped by one clock. A vote from another machine is stamped by that one's, so
    a clock of this host that is ahead leaves the question open. A node in a crash loop may be up
    for a second when it is looked at, and has no time of a stop then: its last stop was before its last start. systemd
    forgets both at boot: for a unit that has not run since, the boot is the latest time at which it can have stopped.
    A process that still runs with its consensus dead signs nothing since that died.
    """
    if node.state == "not_voting" and consensus_failed(data):
        return _no_later_vote(reading, node, node.since, "failure of consensus")
    bounds = (data.unit.time("stopped_at"), data.unit.time("started_at"), data.boot_at)
    return _no_later_vote(reading, node, next((bound for bound in bounds if bound is not None), None), "stop")


def one_vote(reading: Reading, node: Node) -> Guard:
    """No two different votes of the address for one height, round and step are seen."""
    name = "one_vote"
    if node.address is not None and node.address in reading.conflicts:
        return refused(
            name,
            f"Two different votes of the validator on {node.host} for one height, round and step are seen: another machine "
            "signs with its key. A person finds it and fences it.",
        )
    if node.address is not None and node.address in reading.disputed:
        return undecided(
            name,
            f"An RPC outside the inventory shows another vote of the validator on {node.host} than our nodes do for one height, "
            "round and step: it lies, or another machine signs with this key.",
            "outside",
        )
    return clear(name, "No two different votes of this validator for one place are seen.")


def consensus_failed(data: NodeEvidence) -> bool:
    """Whether the present run, or the last one, wrote that its consensus has failed: it can vote for nothing any more."""
    return any(mark.kind == "consensus_failure" and mark.current for mark in data.marks)


def votes_after_freeze(reading: Reading, node: Node, data: NodeEvidence) -> Guard:
    """No vote of the address is later than the look that first saw the process frozen."""
    looks = [look for look in (node.before, data) if look is not None and is_frozen(look)]
    return _no_later_vote(reading, node, looks[0].now if looks else None, "freeze")


def is_frozen(data: NodeEvidence) -> bool:
    """Process state T, or a frozen cgroup. A silent RPC is no sign of it."""
    main = data.process.inner("main")
    if main is not None and ((main.text("state") or "")[:1] == "T" or main.flag("frozen") is True):
        return True
    return data.unit.text("freezer_state") == "frozen"


def _no_later_vote(reading: Reading, node: Node, bound: t.Optional[float], event: str) -> Guard:
    name = "votes"
    if node.address is None:
        return _without_address(name, node)
    if bound is None:
        return undecided(
            name, f"The time of the {event} on {node.host} is not known, so later votes cannot be excluded."
        )
    if not shows_votes(reading):
        return undecided(name, _NO_VOTES, "not_shown")
    if node.host in reading.ahead:
        return undecided(
            name,
            f"The clock of {node.host} is ahead, so whether a vote is later than the {event} cannot be told.",
            "clock",
        )
    later = [vote for vote in _votes(reading, node) if vote.at is not None and vote.at > bound + VOTE_TIME_TOLERANCE_S]
    if later:
        last = max(later, key=lambda vote: vote.at or 0.0)
        return refused(
            name,
            f"A vote of this validator ({show(last)}) is of {bundle.stamp(last.at or 0.0)}, after the {event} on "
            f"{node.host} at {bundle.stamp(bound)}. Another machine signs with this key.",
        )
    holder = _unseen_vote(reading, node)
    if holder is not None:
        return undecided(
            name,
            f"{holder} holds a vote of this validator at height {reading.votes_height} that no node of ours has seen: "
            "another machine may sign with this key.",
            "outside",
        )
    return clear(name, f"No vote of this validator is later than the {event} at {bundle.stamp(bound)}.")


def _unseen_vote(reading: Reading, node: Node) -> t.Optional[str]:
    """Name of a node outside that holds a vote of this address for the present height which none of ours shows."""
    address, height = node.address or "", reading.votes_height
    if any(vote.height == height for vote in reading.votes.get(address, ())):
        return None
    own = _signed_for(node.data) if node.data is not None else None
    heard = [vote for vote in reading.heard.get(address, ()) if vote.height == height]
    if any(own is None or vote.hrs > own for vote in heard):
        return "An RPC outside the inventory"
    # What lies at or before its own signing state may be its own vote, of before its node was stopped: a reference that
    # shows nothing else bears witness of nothing else.
    outside = [one for one in reading.outside if not (heard and one.kind == "reference")]
    return next((witness.name for witness in outside if node.address in witness.votes_of), None)


def _signed_for(data: NodeEvidence) -> t.Optional[tuple[int, int, int]]:
    """Height, round and step of the signing state, or None."""
    state = data.signer.inner("state")
    if state is None:
        return None
    height, round_, step = state.integer("height"), state.integer("round"), state.integer("step")
    return None if height is None or round_ is None or step is None else (height, round_, step)


_NO_VOTES = (
    "No node of ours shows both the newest commits and the votes of the present rounds, so a later vote cannot be "
    "excluded."
)


def shows_votes(reading: Reading) -> bool:
    """Whether the votes of the present height and of the newest commits were seen: only then does their absence tell."""
    return reading.votes_height is not None and reading.commits_seen


def key_elsewhere(reading: Reading, node: Node) -> Guard:
    """No other host that was looked at holds or runs this address, and none of the inventory declares it."""
    name = "key_elsewhere"
    if node.address is None:
        return _without_address(name, node)
    others = [other for other in reading.nodes.values() if other.host != node.host]
    mine = {node.address, node.declared, node.key_address} - {None}
    holders = sorted(o.host for o in others if {o.declared, o.key_address, o.rpc_address, o.address} & mine)
    if holders:
        return refused(
            name,
            f"{', '.join(holders)} holds or declares the same validator key. One key signs on one machine only. A "
            "person decides which machine keeps it and fences the other, or corrects the inventory.",
        )
    unknown = sorted(other.host for other in others if not _key_known(other))
    if unknown:
        return undecided(
            name,
            f"It is not known which key lies on {', '.join(unknown)}. Declare incident_validator_address for it, or "
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


def signing_state(reading: Reading, node: Node, data: NodeEvidence) -> Guard:
    """The signing state is there, and not behind the newest vote of this address that was seen anywhere."""
    name = "signing_state"
    state = data.signer.inner("state")
    if state is None:
        return _no_signing_state(name, node, data)
    signed = _signed_for(data)
    if signed is None or min(signed) < 0:
        return refused(name, f"The signing state on {node.host} cannot be read.")
    height, round_, step = signed
    if node.address is None:
        return _without_address(name, node)
    said = f"{height}/{round_}/{step}"
    if node.in_set and not shows_votes(reading):
        return undecided(name, f"The signing state on {node.host} stands at {said}. {_NO_VOTES}")
    seen = _votes(reading, node)
    newest = max(seen, key=lambda vote: vote.hrs) if seen else None
    if newest is not None and (height, round_, step) < newest.hrs:
        return refused(
            name,
            f"The signing state on {node.host} stands at {said}, but this validator voted later: {show(newest)}. It "
            "was set back, or another machine signed. A start could sign twice.",
        )
    if reading.height is not None and height > reading.height + 1:
        return undecided(
            name,
            f"The signing state on {node.host} stands at {said}, but the chain works on height {reading.height + 1}. "
            "The node would not sign. The state may belong to another chain.",
        )
    against = f"its newest vote is {show(newest)}" if newest is not None else "no vote of it is seen"
    return clear(name, f"The signing state stands at {said} (height/round/step), {against}.")


def _no_signing_state(name: str, node: Node, data: NodeEvidence) -> Guard:
    problem = data.signer.inner("state_error")
    kind = problem.text("kind") if problem is not None else None
    text = problem.text("text") if problem is not None else None
    if kind in ("absent", "malformed", "cannot_tell", "too_large"):
        return refused(
            name,
            f"The signing state on {node.host} is missing or cannot be read ({text or kind}). Never make a new one: a "
            "person must find the right one.",
        )
    reason = text or (data.signer.error.text if data.signer.error else "no reason given")
    return undecided(name, f"The signing state on {node.host} was not seen ({reason}).")


def double_sign_check(node: Node, data: NodeEvidence, relaxing: bool) -> Guard:
    """Whether the node would find its own signature in the last blocks and end in a crash loop.

    ``relaxing``: a step that sets the height to 0 comes before the start. A flag on the command line overrules it.
    """
    name = "double_sign_check"
    if not node.in_set:
        return clear(name, "This node signs no blocks of this chain, so the check finds nothing.")
    height = data.setting("double_sign_check_height")
    if not isinstance(height, int) or isinstance(height, bool):
        return undecided(
            name, f"double_sign_check_height on {node.host} cannot be read. Above 0 the start ends in a crash loop."
        )
    if height <= 0:
        return clear(name, "double_sign_check_height is 0.")
    entry = data.config.inner("double_sign_check_height")
    if entry is not None and entry.text("source") == "flag":
        return refused(
            name,
            f"double_sign_check_height is {height} by a flag on the command line of the unit on {node.host}. On a "
            "halted chain the start ends in a crash loop. Take the flag away first.",
        )
    if relaxing:
        return clear(name, f"double_sign_check_height is {height}; a step of this plan sets it to 0 for this start.")
    return refused(
        name, f"double_sign_check_height on {node.host} is {height}: on a halted chain the start ends in a crash loop."
    )


def needs_relaxing(node: Node, data: NodeEvidence) -> bool:
    """Whether a start in a halt needs ``double_sign_check_height`` set to 0 before it."""
    height = data.setting("double_sign_check_height")
    return node.in_set and isinstance(height, int) and not isinstance(height, bool) and height > 0


def show(vote: Vote) -> str:
    """A vote in words: height/round and what it was."""
    return f"{_STEP_NAMES.get(vote.step, 'vote')} at {vote.height}/{vote.round}"


def _votes(reading: Reading, node: Node) -> tuple[Vote, ...]:
    address = node.address or ""
    return reading.votes.get(address, ()) + reading.heard.get(address, ())


def _without_address(name: str, node: Node) -> Guard:
    if node.data is not None and node.data.signer.flag("key_file") is False and not node.declared:
        return clear(name, "No validator key lies here.")
    return undecided(name, f"The consensus address of {node.host} is not known, so this cannot be checked.")
