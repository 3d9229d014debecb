# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes by which voting power is missing: processes, hosts, other operators, validators that left the set."""

from __future__ import annotations

from ...._chain.reading.types import DOWN, PRECOMMIT, Reading, ValidatorRow
from ...._path.evidence import values
from ...._path.text import clean
from ...._path.verdict.cause import HOLDS, Finding, cannot_tell, refuted
from .context import Halt, HaltCause, name_of, names, sum_of, with_set

# So many of the newest commits are part of the evidence.
NEWEST = 5


def _processes_down(halt: Halt) -> Finding:
    down = halt.ours((*DOWN, "frozen"))
    bare = [row for row in down if row.host not in halt.explained]
    if bare:
        return halt.judged(bare, f"stopped, crashed or frozen: {names(bare)}")
    if down:
        hosts = tuple(sorted(row.host for row in down if row.host is not None))
        because = f"down, and the reason is known: {names(down)}"
        return Finding(HOLDS, because, sum_of(down), hosts, True, explained=True, justifies=())
    speaking = {row.host for row in halt.rows.values()}
    held = [
        node.host
        for node in halt.reading.nodes.values()
        if node.state == "frozen" and node.in_set and node.host not in speaking
    ]
    if held:
        return cannot_tell(f"which node is the validator's: it is frozen on {clean(', '.join(held[:6]), 200)}")
    unknown = halt.ours(("unknown",))
    if unknown:
        return cannot_tell(f"what the processes do of {names(unknown)}")
    ours = list(halt.rows.values())
    seen = [row for row in ours if row.state != "unreachable"]
    if ours and not seen:
        return cannot_tell("what the processes of our validators do: none of their hosts can be reached")
    if not ours:
        return refuted("no validator of the set is ours")
    return refuted(f"the processes of all our validators that can be seen run: {names(seen)}")


def _hosts_unreachable(halt: Halt) -> Finding:
    reading = halt.reading
    rows = halt.ours(("unreachable",))
    # That a module failed says nothing about its host. Votes are missing only where others' are seen.
    away = [row for row in rows if _out_of_reach(halt, row)]
    heard = halt.standing is False or reading.most_seen > 0
    absent = [row for row in away if row.counts_as == "absent" and heard]
    if absent:
        return halt.judged(absent, f"unreachable, and no vote of theirs is seen: {names(absent)}")
    if not rows:
        return refuted("the hosts of all our validators answer")
    unclear = [row for row in rows if row.counts_as != "voting"]
    if not unclear:
        return refuted(f"unreachable, but their votes are seen: {names(rows)}")
    seen = "; ".join(clean(row.detail, 120) for row in unclear[:3])
    return cannot_tell(f"whether {names(unclear)} still vote: {seen}")


def _out_of_reach(halt: Halt, row: ValidatorRow) -> bool:
    node = halt.reading.nodes.get(row.host or "")
    return node is not None and node.error is not None and node.error.kind in ("unreachable", "late")


def _others_missing(halt: Halt) -> Finding:
    reading = halt.reading
    rows = [row for row in reading.validators if row.owner == "theirs"]
    absent = [row for row in rows if row.counts_as == "absent"]
    if absent:
        return halt.judged(absent, f"validators that are not ours do not vote: {names(absent)}")
    if not rows:
        return refuted("all validators of the set are ours")
    unclear = [row for row in rows if row.counts_as == "unknown"]
    unsigned = [row for row in rows if halt.standing is not True and not _signs(reading, row.address)]
    if not unclear and unsigned:
        return cannot_tell(f"votes in the newest blocks of {names(unsigned)}, who vote for the next one")
    if not unclear:
        return refuted(f"the votes of all others are seen: {names(rows)}")
    if reading.voting >= reading.quorum:
        return cannot_tell(f"whether {names(unclear)} vote; {reading.voting} do, and {reading.quorum} are needed")
    silent = [row for row in unclear if row.state != "voted_at"]
    if silent and not reading.outside:
        where = f" at height {reading.votes_height}" if reading.votes_height is not None else ""
        return cannot_tell(
            f"what a node outside our inventory sees{where} (set incident_reference_rpcs). From inside, "
            f"{names(silent)} missing looks the same as our being cut off"
        )
    return cannot_tell("; ".join(f"{name_of(row)} ({row.power}): {clean(row.detail, 120)}" for row in unclear[:3]))


def _signs(reading: Reading, address: str) -> bool:
    """Whether one of the newest blocks carries its vote."""
    newest = reading.height or 0
    votes = reading.votes.get(address, ())
    return any(vote.step == PRECOMMIT and newest - NEWEST < vote.height <= newest for vote in votes)


def _removed_from_set(halt: Halt) -> Finding:
    """Ours that the chain has put out of the set. What power they had, the chain does not say any more."""
    reading = halt.reading
    jailed = {}
    for node in reading.nodes.values():
        for row in node.data.rpc.jailed.mappings("jailed") if node.data is not None and node.chain_ok else ():
            if (address := row.address("address")) is not None:
                jailed[address] = row
    gone, hosts = [], []
    members = {row.address for row in reading.validators}
    for node in reading.nodes.values():
        mine = [address for address in (node.declared, node.key_address) if address and address not in members]
        info = next((jailed[address] for address in mine if address in jailed), None)
        if info is not None:
            until = values.stamp(info.time("until"))
            why = "tombstoned: for ever" if info.flag("tombstoned") else f"jailed until {until or 'an unknown time'}"
        elif node.declared in mine:
            why = "declared in the inventory, and not in the set"
        else:
            continue
        gone.append(f"{clean(node.host, 40)} ({why})")
        hosts.append(node.host)
    if gone:
        more = f" and {len(gone) - 6} more" if len(gone) > 6 else ""
        because = f"out of the validator set of {reading.total} power: {', '.join(gone[:6])}{more}"
        return Finding(HOLDS, because, 0, tuple(sorted(hosts)), symptom=halt.standing is not False)
    return refuted("every validator that the inventory declares is in the set")


PROCESSES_DOWN = HaltCause(
    "processes_down",
    "processes of ours are down",
    "Voting power is missing because node processes on our hosts are stopped, crashed or frozen",
    "1. Chain Halted, Resolution Step 2",
    predicate=with_set(_processes_down),
    justifies=("start_node", "thaw_node"),
    signs="State of the unit, process and its state letter, freezer of the cgroup, restarts that grow between "
    "the looks; the journal states no reason. Down for a reason that another cause names, it is a "
    "symptom.",
    by_hand=(
        "systemctl show virtengine.service -p ActiveState,SubState,Result,NRestarts,ExecMainStatus,FreezerState",
        "ps -o pid,stat,lstart,args -C virtengine   # T in STAT: stopped by a signal",
        "journalctl -u virtengine.service -n 50 --no-pager",
    ),
    next="Stopped, crashed or frozen on {hosts}: the plan says what is done there; while blocks come, start it by hand, "
    "one host at a time.",
)
HOSTS_UNREACHABLE = HaltCause(
    "hosts_unreachable",
    "hosts of ours are unreachable",
    "Voting power is missing because hosts of ours are off or cannot be reached",
    "1. Chain Halted, Resolution Step 2",
    predicate=with_set(_hosts_unreachable),
    signs="A host gives no evidence, and its address (inventory, or the look before) is not among the votes "
    "that others show. A silent host whose votes are seen is refuted; where nothing shows whether it "
    "votes, it cannot be told.",
    by_hand=(
        "ansible HOST -i validators -m ansible.builtin.ping",
        "curl -s http://127.0.0.1:26657/net_info | jq '.result.peers[] | .node_info.moniker, .remote_ip'   # on a host "
        "that answers: is it still a peer",
    ),
    next="Look at the machines of {hosts}: power, network, console. Never start their keys on other machines: unreachable "
    "is not off.",
    decide="Not automatable: a dead host looks like one that is cut off, so nothing is started in its place.",
)
OTHERS_MISSING = HaltCause(
    "others_missing",
    "other operators do not vote",
    "Voting power is missing because validators of other operators do not vote",
    "1. Chain Halted, Resolution Step 2",
    predicate=with_set(_others_missing),
    signs="Validators that no host of the inventory holds, declares or runs, whose vote a node outside lacks as "
    "well. Missing in our views only it cannot be told: our being cut off looks the same. "
    "incident_reference_rpcs settles it.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/dump_consensus_state | jq '.result.round_state.votes[-1].prevotes'   # nil-Vote: "
        "nothing of that index",
        "curl -s 'http://127.0.0.1:26657/validators?per_page=100' | jq -r '.result.validators[] | .address + \" \" + "
        ".voting_power'   # the same order",
    ),
    next="Send the operators of the missing validators the message of the plan.",
)
REMOVED_FROM_SET = HaltCause(
    "removed_from_set",
    "validators of ours left the set",
    "Validators of ours are jailed, tombstoned or unbonded: the set has shrunk, and the rest needs more of itself",
    "1. Chain Halted, Quick Diagnosis 2",
    "SEV-2",
    with_set(_removed_from_set),
    forbids=("start_node", "thaw_node"),
    signs="A declared address is not in the validator set; or that of a key file is not, and the signing infos of "
    "the chain say jailed or tombstoned. What power it had is not known. Never a root in a halt.",
    by_hand=(
        "virtengine query slashing signing-infos -o json   # jailed_until, tombstoned",
        "virtengine query staking validators -o json | jq '.validators[] | select(.jailed) | .description.moniker'",
    ),
    next="Of {hosts}: find out why it left the set before anything else. A tombstoned key never signs again.",
    decide="Unjailing is a transaction of the operator and needs blocks; a tombstoned key is burned. Neither is done here.",
)

CAUSES = (PROCESSES_DOWN, HOSTS_UNREACHABLE, OTHERS_MISSING, REMOVED_FROM_SET)
