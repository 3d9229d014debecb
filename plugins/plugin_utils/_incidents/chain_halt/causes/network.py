# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes between the hosts: the network in parts, too few peers, clocks."""

from __future__ import annotations

import typing as t

from ...._chain.peers import backing_off, dial_words, missing_peers, peerless
from ...._chain.reading.blocks import CLOCK_SKEW_S, VOTE_TIME_TOLERANCE_S
from ...._chain.reading.types import PRECOMMIT, PREVOTE, Node
from ...._path.evidence import values
from ...._path.text import clean
from ...._path.verdict.cause import HOLDS, Finding, cannot_tell, refuted
from .context import Halt, HaltCause, Unclear, current, names, of_hosts, with_set

# The server's time in an answer has whole seconds, and the answer took its time.
SERVER_TIME_S = 3.0


# A node is stopped and started so that it dials.
_RECONNECT = ("stop_node", "start_node")

Votes = dict[tuple[int, int], frozenset[str]]


def _seen_by(halt: Halt) -> dict[str, Votes]:
    """By view: whose votes at the present height it holds, of validators that are not known to be gone.

    By round and step, so that the newest votes can be told from those of before the network was cut.
    """
    reading = halt.reading
    gone = {row.address for row in reading.validators if row.counts_as == "absent"}
    seen = {}
    for view in reading.views:
        node = reading.nodes.get(view.name)
        shown = view.rpc.consensus
        members = [row.address("address") for row in shown.mappings("validators")]
        dead = node is not None and current(node.data, "consensus_failure") is not None
        if shown.integer("height") != reading.votes_height or not members or dead:
            continue
        votes = {}
        for entry in shown.mappings("rounds"):
            for step, key in ((PREVOTE, "prevotes"), (PRECOMMIT, "precommits")):
                places = [values.integer(row[0]) for row in entry.items(key) if isinstance(row, list) and row]
                voters = {members[place] for place in places if place is not None and 0 <= place < len(members)}
                if voters := voters - gone - {None}:
                    votes[entry.integer("round") or 0, step] = frozenset(t.cast("set[str]", voters))
        if votes:
            seen[view.name] = votes
    return seen


def _apart(views: t.Iterable[frozenset[str]]) -> bool:
    """Whether two of them have nothing in common."""
    distinct = list(set(views))
    return any(one.isdisjoint(other) for place, one in enumerate(distinct) for other in distinct[:place])


def _groups(seen: dict[str, frozenset[str]]) -> list[tuple[list[str], frozenset[str]]]:
    """Hosts whose views have a vote in common, with all votes that they hold: by gossip each part shares all of its own."""
    groups: list[tuple[list[str], frozenset[str]]] = []
    for host, votes in sorted(seen.items()):
        near = [group for group in groups if group[1] & votes]
        groups = [group for group in groups if group not in near]
        hosts = [host, *(name for group in near for name in group[0])]
        groups.append((sorted(hosts), votes.union(*(group[1] for group in near))))
    return groups


def _network_split(halt: Halt) -> Finding:
    reading = halt.reading
    if halt.standing is False:
        return refuted("new blocks come, so more than two thirds of the power reach each other")
    seen = _seen_by(halt)
    powers = {row.address: row.power for row in reading.validators}
    every = {name: frozenset[str]().union(*votes.values()) for name, votes in seen.items()}
    groups = sorted(
        ((sum(powers.get(address, 0) for address in votes), hosts) for hosts, votes in _groups(every)), reverse=True
    )
    if len(groups) > 1 and halt.standing and groups[0][0] < reading.quorum:
        parts = "; ".join(f"seen at {', '.join(hosts[:6])}: votes of {power}" for power, hosts in groups[:4])
        lost = sum(power for power, _hosts in groups[1:])
        together = sum(power for power, _hosts in groups)
        hosts = tuple(sorted(host for _power, named in groups for host in named if host in reading.nodes))
        because = (
            f"{parts}, and none of the other parts: together {together}, {reading.quorum} of {reading.total} are needed"
        )
        # A host without a peer is a part of its own, and that is the cause.
        alone = [named for _power, named in groups if all(_alone(reading.nodes.get(host)) for host in named)]
        known = len(alone) >= len(groups) - 1
        again = _open_again(reading.nodes)
        because += "; the reason is known" if known else _dials(reading.nodes)
        because += ". Plain connections between them are open again" if again else ""
        beside = known or together < reading.quorum
        justifies, forbids = (_RECONNECT, ()) if again else (None, () if known else None)
        return Finding(HOLDS, because, lost, hosts, beside, known, justifies, forbids)
    if len(seen) < 2:
        return cannot_tell("the votes that two hosts of ours hold at the present height")
    front = max(place for votes in seen.values() for place in votes)
    if _apart(every.values()) or (
        not reading.rounds_grow and _apart(votes.get(front, frozenset()) for votes in seen.values())
    ):
        return cannot_tell("whether hosts of ours that share no new vote are cut off from each other")
    if len(groups) == 1:
        return refuted("the hosts of ours that show votes hold the same ones")
    return cannot_tell("whether the parts that are seen have a quorum")


def _alone(node: t.Optional[Node]) -> bool:
    return node is not None and peerless(node)


def _open_again(nodes: dict[str, Node]) -> bool:
    """Whether every plain connection between hosts of ours that lack each other came through: it is that nobody dials."""
    seen = [node.data for node in nodes.values() if node.data is not None]
    ours = {(data.rpc.status.text("node_id") or "").lower() for data in seen} - {""}
    words = [
        peer.text("dial")
        for data in seen
        for peer in missing_peers(data)
        if (peer.text("node_id") or "").lower() in ours
    ]
    return bool(words) and all(word == "open" for word in words)


def _dials(nodes: dict[str, Node]) -> str:
    """What plain connections to peers that are not connected came to."""
    tried = []
    for node in nodes.values():
        for peer in node.data.p2p.mappings("expected") if node.data is not None else ():
            if peer.text("dial") not in (None, "open"):
                tried.append(f"{clean(node.host, 40)} to {clean(peer.text('address'), 50)}: {peer.text('dial')}")
    return f". Connections tried: {'; '.join(tried[:3])}" if tried else ""


def _few_peers(_halt: Halt, node: Node) -> t.Optional[str]:
    data = node.data
    if data is None or node.state not in ("not_voting", "running"):
        return None
    if not data.rpc.net_info.ok:
        return Unclear("its peers cannot be seen")
    if data.rpc.net_info.integer("count") != 0:
        return None
    return "it has no peer at all" + _why_no_peers(node)


def _nobody_hears(halt: Halt) -> Finding:
    """Nodes without a peer. In a halt a vote that stands there counts for nothing: no other node receives the next one."""
    reading = halt.reading
    alone = [
        node
        for node in reading.nodes.values()
        if node.state in ("not_voting", "running", *(("voting",) if halt.standing else ())) and peerless(node)
    ]
    rows = [row for row in halt.rows.values() if row.host in {node.host for node in alone}]
    if alone and (reading.total <= 0 or not rows):
        hosts = tuple(sorted(node.host for node in alone))
        words = f"on {', '.join(hosts[:6])}: no peer at all{_why_no_peers(alone[0])}"
        return halt.powerless(words, hosts)
    if not alone:
        return of_hosts(halt, FEW_PEERS)
    power, voting = sum(row.power for row in rows), sum(row.power for row in rows if row.counts_as == "voting")
    hosts = tuple(sorted(node.host for node in alone))
    words = f"without a single peer: {names(rows)}{_why_no_peers(alone[0])}"
    if not voting:
        return halt.judged(rows, words, hosts, held=True)
    heard = reading.voting - voting
    because = f"{words}. Without them {heard} of {reading.total} can be received, {reading.quorum} are needed"
    beside = heard >= reading.quorum
    return Finding(HOLDS, because, power, hosts, symptom=beside, justifies=() if beside else None)


def _why_no_peers(node: Node) -> str:
    data = node.data
    if data is None:
        return ""
    expected = data.p2p.mappings("expected")
    if data.p2p.ok and not expected:
        return ", and its configuration names no persistent peer"
    dials = sorted({text for peer in expected if (text := peer.text("dial")) is not None})
    tries = f"; tried from its host: {', '.join(dials)}" if dials else ""
    return f", {dial_words(data)}{tries}" if backing_off(data) is not None else tries


def _clock_skew(halt: Halt) -> Finding:
    """Host against controller; what a host says arrives after it was stamped, so only a great lag tells anything."""
    skews = {
        node.host: node.data.now - node.data.at
        for node in halt.reading.nodes.values()
        if node.data is not None and node.data.now is not None and node.data.at is not None
    }
    ahead = set(halt.reading.ahead)
    if halt.reading.rpc_only:
        skews = {
            view.name: shown - view.at
            for view in halt.reading.views
            if view.at is not None and (shown := view.rpc.status.time("server_time")) is not None
        }
        ahead = {name for name, skew in skews.items() if skew > SERVER_TIME_S}
    if not skews:
        return cannot_tell("the clock of any host of ours")
    off = {host: skew for host, skew in skews.items() if host in ahead or skew < -CLOCK_SKEW_S}
    if len(off) == len(skews) > 1:
        return cannot_tell("whether the clocks of all hosts are wrong, or the controller's")
    if not off and max(skews.values()) > VOTE_TIME_TOLERANCE_S:
        return cannot_tell("whether clocks of hosts are ahead, or the controller's is behind")
    if off:
        skewed = ", ".join(
            f"{clean(host, 40)} {abs(round(skew))} s {'ahead' if skew > 0 else 'behind'}"
            for host, skew in sorted(off.items(), key=lambda pair: -abs(pair[1]))[:6]
        )
        hosts = tuple(sorted(host for host in off if host in halt.reading.nodes))
        return Finding(HOLDS, f"against the controller and the others: {skewed}", 0, hosts, symptom=True)
    return refuted("the clocks of the hosts that answer agree with the controller's")


NETWORK_SPLIT = HaltCause(
    "network_split",
    "the network is split",
    "The network is split into parts that do not reach each other, and none of them has more than two thirds of the power",
    "1. Chain Halted, Quick Diagnosis 3",
    predicate=with_set(_network_split),
    forbids=("start_node", "thaw_node"),
    signs="Nodes hold votes of disjoint groups at one height, and no group has a quorum. Views with one vote in "
    "common are one group: one that only lacks late votes is no part of its own. Dials to missing peers are quoted. "
    "Refuted where blocks come, or all views hold the same votes.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/consensus_state | jq '.result.round_state.height_vote_set[-1].prevotes_bit_array'"
        "   # on each host: other bits",
        "curl -s http://127.0.0.1:26657/net_info | jq -r '.result.peers[].remote_ip'",
        "nc -zv -w 3 PEER 26656   # from a host of each part to one of the other",
    ),
    next="Repair the network between the parts (firewall, routing, security groups), then run again: peers are dialled again in "
    "seconds to hours, or never by a node that gave up.",
    decide="A restart repairs no network. Once it is proven open again both ways, the plan restarts a full node of ours that lacks "
    "the other part and waits to dial it, and no validator whose votes others receive.",
    message="The network seems split: our nodes see votes of parts that do not reach each other. Please look whether your "
    "node has peers on both sides, and which of them it can "
    "reach on port 26656. Do not restart a node that votes.",
)
FEW_PEERS = HaltCause(
    "few_peers",
    "nodes of ours have no peers",
    "Nodes of ours run without a single peer, so no other node receives their votes",
    "1. Chain Halted, Quick Diagnosis 3",
    predicate=_nobody_hears,
    detect=_few_peers,
    justifies=_RECONNECT,
    signs="net_info of a node that runs without a vote, or in a halt of any that runs, counts 0 peers. Whether it has "
    "given up dialling (peers_given_up, peers_backoff), and how a plain connection from its host ended, is "
    "added.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/net_info | jq -r .result.n_peers",
        "grep -E '^(persistent_peers|pex|laddr)' ~virtengine/.virtengine/config/config.toml",
        "journalctl -u virtengine.service --no-pager | grep -F 'Failed to reconnect to peer' | tail -3",
    ),
    next="On {hosts}: open port 26656 both ways, see that persistent_peers names nodes that run.",
    decide="A node dials again by itself: 20 times every 5 to 8 s, then after 3, 9, 27 s and so on up to 16 h, and then no "
    "more. Only where the network is proven open both ways does a restart help, for a node that is started dials at once: the "
    "plan names it, sentries and full nodes first, a validator alone and last. Else wait for the dial that is due.",
)
CLOCK_SKEW = HaltCause(
    "clock_skew",
    "clocks are apart",
    "The clocks of hosts of ours are apart: their votes carry wrong times, and blocks may be refused for theirs",
    "1. Chain Halted, Quick Diagnosis 1",
    "SEV-3",
    _clock_skew,
    signs="The clock of a host against the controller's and the other hosts', beyond the time an answer takes; "
    "over RPC alone the time in the answer. Where all are off it cannot be told whose is wrong. Never a "
    "root in a halt.",
    by_hand=(
        "date -u; timedatectl | grep -E 'synchronized|NTP'   # on each host, at once",
        "curl -sI http://127.0.0.1:26657/health | grep -i x-server-time",
    ),
    next="Let NTP set the clocks of {hosts} slowly. Do not step the clock of a validator that signs.",
    decide="A clock is set by the host's own time service, not by this automation.",
)

CAUSES = (NETWORK_SPLIT, FEW_PEERS, CLOCK_SKEW)
