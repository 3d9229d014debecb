# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes about keys: signers, signing state, one key on two hosts."""

from __future__ import annotations

import typing as t

from ...._chain.node import NodeEvidence
from ...._chain.reading.blocks import IMPOSSIBLE_RATE
from ...._chain.reading.state import runs
from ...._chain.reading.types import DOWN, Node, Reading
from ...._chain.signer import signed_for
from ...._chain.stated import stated
from ...._path.text import clean
from ...._path.verdict.cause import HOLDS, Finding, cannot_tell, refuted
from .context import NO_HOST, Halt, HaltCause, Unclear, reason_is

# A signing state is one height ahead while its vote is not yet in a block; beyond this it belongs to another chain, or to
# an earlier state of this one.
AHEAD_HEIGHTS = 2


def _state(data: NodeEvidence) -> t.Optional[tuple[int, int, int]]:
    """Height, round and step of the signing state on the host; None where it is not known or a remote signer's counts."""
    return signed_for(data) if data.signer.flag("remote") is False else None


def _signing_state_missing(_halt: Halt, node: Node) -> t.Optional[str]:
    words = reason_is(node, ("signing_state_missing", "signing_state_unreadable"))
    if words is not None or node.data is None or node.state not in DOWN:
        return words
    if not node.data.signer.ok:
        return Unclear("its signing state cannot be seen")
    # With a remote signer the state that counts lies there, and a file here is a leftover.
    if node.data.signer.flag("key_file") is not True or node.data.signer.flag("remote") is not False:
        return None
    error = node.data.signer.inner("state_error")
    if error is None or error.text("kind") not in ("absent", "malformed"):
        return None
    return f"the signing state cannot be read: {clean(error.text('text'), 120)}"


def _signing_state_ahead(halt: Halt, node: Node) -> t.Optional[str]:
    """The signer refuses every vote below what it says it has signed."""
    data, newest = node.data, halt.reading.height
    if data is None or node.state not in ("not_voting", *DOWN) or newest is None or not node.in_set:
        return None
    if not data.signer.ok:
        return Unclear("its signing state cannot be seen")
    state = _state(data)
    if state is None or state[0] <= newest + AHEAD_HEIGHTS:
        return None
    # Where the nodes at the top are not seen, the chain may have got there since.
    stated_so = any("height regression" in mark.text for mark in stated(halt.reading, node, data))
    possible = newest + IMPOSSIBLE_RATE * max(0.0, halt.reading.age_s or 0.0)
    words = f"its signing state is of height {state[0]}, the chain is at {newest}"
    return Unclear(words) if not stated_so and state[0] <= possible else words


def _signing_state_behind(halt: Halt, node: Node) -> t.Optional[str]:
    """Only of a process that is down: what a running one has signed since it was looked at is later than its file."""
    if node.data is None or node.state not in DOWN or node.address is None or not node.in_set:
        return None
    if not node.data.signer.ok:
        return Unclear("its signing state cannot be seen")
    state = _state(node.data)
    votes = [*halt.reading.votes.get(node.address, ()), *halt.reading.heard.get(node.address, ())]
    newest = max((vote.hrs for vote in votes), default=None)
    if state is None or newest is None or state >= newest:
        return None
    seen, own = ("/".join(str(number) for number in hrs) for hrs in (newest, state))
    return f"its signing state is of height/round/step {own}, the chain has its signature of {seen}"


def _remote_signer(_halt: Halt, node: Node) -> t.Optional[str]:
    words = reason_is(node, ("remote_signer",))
    if words is None or node.data is None:
        return None
    return f"priv_validator_laddr is {clean(node.data.setting('priv_validator_laddr'), 60) or 'not known'}: {words}"


def _key_on_two_hosts(halt: Halt) -> Finding:
    """Two local key files of one address whose nodes both run, and no remote signer on either."""
    holders: dict[str, list[Node]] = {}
    unclear = []
    for node in halt.reading.nodes.values():
        if node.data is None or node.key_address is None:
            # A host whose key file is known to be absent holds no key.
            no_key = node.data is not None and node.data.signer.flag("key_file") is False
            unclear += [node.host] if node.observed and not no_key else []
            continue
        remote = node.data.signer.flag("remote")
        if remote is None or runs(node.data) is None:
            unclear.append(node.host)
        if remote is False:
            holders.setdefault(node.key_address, []).append(node)
    powers = {row.address: row.power for row in halt.reading.validators}
    twice, hosts, power = [], [], 0
    for address, nodes in sorted(holders.items()):
        alive = [node for node in nodes if node.data is not None and runs(node.data)]
        if len(alive) > 1:
            twice.append(f"validator {address[:12]} runs on {', '.join(clean(node.host, 40) for node in alive[:6])}")
            hosts += [node.host for node in alive]
            power += powers.get(address, 0)
    if twice:
        because = f"{'; '.join(twice[:3])}: the local key files are of one address, and no signer elsewhere holds it"
        return Finding(HOLDS, because, power, tuple(sorted(hosts)))
    if unclear:
        return cannot_tell(f"which keys are on {', '.join(clean(host, 40) for host in unclear[:6])}")
    if not halt.seen:
        return cannot_tell(NO_HOST)
    if not holders:
        return cannot_tell("the address of any key file on our hosts")
    return refuted("no two hosts of ours run with local key files of one address")


def stops_automation(reading: Reading, verdict: dict[str, t.Any]) -> t.Optional[str]:
    """Why no automation may act at all, or None: one key runs on two hosts, or may. ``verdict``: of this reading."""
    decisions = (cause["decide"] for cause in verdict["causes"] if cause["id"] == KEY_ON_TWO_HOSTS.id)
    return next(decisions, None) or runs_for_another(reading)


def runs_for_another(reading: Reading) -> t.Optional[str]:
    """A running node whose key file is that of a host that shows nothing: the same key may run on both. None: no such one."""
    for node in reading.nodes.values():
        if node.data is None or node.key_address is None or node.data.signer.flag("remote") is True:
            continue
        unseen = [o.host for o in reading.nodes.values() if o.data is None and o.declared == node.key_address]
        if unseen and runs(node.data):
            return (
                f"{clean(node.host, 40)} runs with the key that the inventory declares for {clean(unseen[0], 40)}, which "
                "shows nothing: the key may run on both. The automation stops. Look at both hosts first."
            )
    return None


SIGNING_STATE_MISSING = HaltCause(
    "signing_state_missing",
    "the signing state is missing",
    "The signing state of nodes of ours is missing or cannot be read, so they do not start",
    "1. Chain Halted, Quick Diagnosis 4",
    detect=_signing_state_missing,
    forbids=("start_node", "thaw_node"),
    signs="A node that is down whose journal names the file, or whose host has a local key file and no readable "
    "signing state.",
    by_hand=(
        "ls -l ~virtengine/.virtengine/data/priv_validator_state.json",
        "journalctl -u virtengine.service --no-pager | grep -F priv_validator_state",
    ),
    next="On {hosts}: find where the signing state went. Do not make an empty one.",
    decide="A new, empty signing state lets the key sign again what it has signed. Operator decision: find the file, "
    "or wait until the chain is past every height the key may have signed.",
)
SIGNING_STATE_AHEAD = HaltCause(
    "signing_state_ahead",
    "the signing state is ahead of the chain",
    "The signing state of nodes of ours is ahead of the chain: they refuse to sign what is due",
    "1. Chain Halted, Quick Diagnosis 4",
    detect=_signing_state_ahead,
    forbids=("start_node", "thaw_node"),
    signs="Height in priv_validator_state.json is more than 2 above the newest block, on a node that is down or "
    "runs without a vote.",
    by_hand=(
        "jq -c '[.height, .round, .step]' ~virtengine/.virtengine/data/priv_validator_state.json",
        "journalctl -u virtengine.service --no-pager | grep -F 'regression'",
    ),
    next="On {hosts}: find out which chain, or which earlier state of it, that signing state is of. Do not edit it.",
    decide="Not automatable: a signing state is set back only with proof that the key never signed anything in between.",
)
SIGNING_STATE_BEHIND = HaltCause(
    "signing_state_behind",
    "the signing state is behind its votes",
    "The signing state of nodes of ours is older than their own signatures on the chain: their next vote may sign twice",
    "1. Chain Halted, Resolution Step 2",
    detect=_signing_state_behind,
    forbids=("start_node", "thaw_node"),
    signs="priv_validator_state.json of a node that is down is behind a vote of its key that any node shows "
    "(height, round, step). A restored file looks like this; no journal says so.",
    by_hand=(
        "jq -c '[.height, .round, .step]' ~virtengine/.virtengine/data/priv_validator_state.json",
        "curl -s http://127.0.0.1:26657/dump_consensus_state | jq '.result.round_state.votes'   # on a node that runs: its "
        "votes",
    ),
    next="Never start {hosts} with that signing state. Find the newer one, or what restored the old one.",
    decide="A start would be allowed to sign a second time what the chain has seen. Operator decision: find the "
    "newest signing state of this key, or keep the node down until the chain is past it.",
)
REMOTE_SIGNER = HaltCause(
    "remote_signer",
    "the remote signer is silent or refuses",
    "Nodes of ours wait for a remote signer that does not answer or refuses",
    "1. Chain Halted, Quick Diagnosis 4",
    detect=_remote_signer,
    forbids=("start_node", "thaw_node"),
    signs="The journal's reason is the connection to the signer: ping timeouts, no connection accepted, an "
    "error that it returned. priv_validator_laddr is set.",
    by_hand=(
        "grep -F priv_validator_laddr ~virtengine/.virtengine/config/config.toml; ss -tn | grep -F SIGNER_PORT",
        "journalctl -u virtengine.service --no-pager | grep -E 'SignerListener|endpoint connection timed out|signerEndpoint'",
    ),
    next="Bring back the signer of {hosts}: its host, its network, its own state. Do not switch to a key file.",
    decide="The key and its signing state are with the signer. Switching to a file key, or a second signer, signs twice.",
)
KEY_ON_TWO_HOSTS = HaltCause(
    "key_on_two_hosts",
    "one consensus key runs on two hosts",
    "One consensus key runs on two hosts: the validator may sign twice at any moment, and is punished for good",
    "1. Chain Halted, Resolution Step 2",
    predicate=_key_on_two_hosts,
    forbids=(
        "start_node",
        "thaw_node",
        "stop_node",
        "relax_double_sign_check",
        "clear_halt_height",
        "put_wal_back",
        "free_space",
    ),
    signs="Two hosts of ours run a node each, their local key files name one address, and neither uses a remote "
    "signer; also while blocks come. A key beside a unit that does not run is a standby: noted, never "
    "held. Where a host shows nothing it cannot be told.",
    by_hand=(
        "jq -r .address ~virtengine/.virtengine/config/priv_validator_key.json   # on each of the hosts",
        "systemctl is-active virtengine.service; curl -s http://127.0.0.1:26657/status | jq .result.validator_info.address",
    ),
    next="SECURITY, now: fence one of {hosts} for good (power off, key removed), and call the security team. Which "
    "one is an operator decision.",
    decide="The automation stops. Operator decision: which of the hosts keeps the key. Fence the other, and only then go on.",
    lasting=True,
)

CAUSES = (
    KEY_ON_TWO_HOSTS,
    SIGNING_STATE_BEHIND,
    SIGNING_STATE_MISSING,
    SIGNING_STATE_AHEAD,
    REMOTE_SIGNER,
)
