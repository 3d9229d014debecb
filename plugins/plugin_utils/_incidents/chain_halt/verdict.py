# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict of a halt."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import by_hand
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import power as _power
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.node import NodeEvidence
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.reading import (
    Node,
    Reading,
    ValidatorRow,
    read,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.state import LAG_BLOCKS, runs
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import DOWN
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes.context import (
    lives_outside,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes.order import (
    CAUSES,
    halt_of,
    missing_power_holds,
    standing,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence.bundle import Bundle, stamp
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.text import clean
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict import judge

HEALTHY, DEGRADED, INCIDENT, UNKNOWN = "healthy", "degraded", "incident", "unknown"

Verdict = dict[str, t.Any]

# A host on which nobody can tell what happens makes the whole unknown, not degraded.
_UNSEEN = ("unknown",)

_SEVERITY = {INCIDENT: "SEV-1", DEGRADED: "SEV-3"}
_LASTING = frozenset(cause.id for cause in CAUSES if cause.lasting)
# Votes of a quorum make no block where these hold.
_VOTES_APART = frozenset(("network_split", "few_peers", "app_hash_divergence", "proposals_late", "proposals_refused"))
# What a person does about these is said with the status itself.
_SAID = ("not_halted", "cannot_tell")


def assess(bundle: Bundle) -> Verdict:
    """The verdict that a checked bundle gives; the same bundle always gives the same one. Never raises on one.

    status
        ``healthy``: new blocks came between the looks and everything of ours takes part. ``degraded``: blocks come,
        something of ours does not take part. ``incident``: the newest block is too old (after one look; ``confirmed``
        after two). ``unknown``: everything else.
    severity
        The runbook's: a halt is SEV-1, a part of ours missing is SEV-3, healthy has none. Unknown is SEV-1 until
        somebody knows better, for a halt may be behind it; only while the newest block is young it has none.
    """
    return of_reading(read(bundle))


def of_reading(reading: Reading) -> Verdict:
    """The verdict of a reading; see ``assess``."""
    judged = judge.judge(CAUSES, halt_of(reading).ask)
    for cause in judged["causes"]:
        cause["by_hand"] = by_hand.placed(cause["by_hand"], _looked_at(reading, cause["hosts"]))
        cause["next"] = clean(judge.filled(cause["next"], cause, reading.height), 400)
    shown = {row.host for row in reading.validators}
    troubles = _troubles(reading)
    status = _status(reading, troubles)
    if status == HEALTHY and any(cause["severity"] and cause["hosts"] for cause in judged["causes"]):
        # Something is wrong on hosts of ours, although all of them take part: a jailed key, two of one, a wrong clock.
        status = DEGRADED
    elif status == HEALTHY and _keys_unseen(reading):
        status = UNKNOWN
    if status in (HEALTHY, DEGRADED):
        for cause in judged["causes"]:
            if cause["severity"] and cause["id"] not in _LASTING:
                cause["severity"] = _SEVERITY[DEGRADED]
    return {
        "schema": judge.SCHEMA,
        "incident": "chain_halt",
        "status": status,
        "severity": _severity(reading, status, judged["causes"]),
        "confirmed": reading.confirmed and (status != INCIDENT or reading.stands_still is True),
        **judged,
        "summary": clean(_summary(reading, status, judged["causes"], troubles), 1500),
        "next": [clean(line, 400) for line in _next(reading, status, judged)],
        "notes": [*reading.notes, *_standbys(reading)],
        "chain_id": reading.chain_id,
        "height": reading.height,
        "last_block_hash": reading.last_block_hash,
        "last_block_at": stamp(reading.last_block_at),
        "halted_s": int(reading.age_s) if status == INCIDENT and reading.age_s is not None else None,
        "interval_s": reading.interval_s,
        "threshold_s": reading.threshold_s,
        "power": {
            "total": reading.total,
            "quorum": reading.quorum,
            "voting": reading.voting,
            "absent": reading.absent,
            "unknown": reading.unknown,
            "to_quorum": max(0, reading.quorum - reading.voting),
        },
        "validators": [_row(row, reading.total) for row in reading.validators],
        "nodes": [
            {"host": host, "state": node.state, "detail": node.detail}
            for host, node in reading.nodes.items()
            if host not in shown and (node.observed or node.address is None)
        ],
    }


def _looked_at(reading: Reading, hosts: list[str]) -> list[t.Optional[NodeEvidence]]:
    """The evidence of the hosts that a cause is about. One that names none is looked for on all that answer."""
    if not hosts:
        return [node.data for node in reading.nodes.values() if node.data is not None]
    return [reading.nodes[host].data if host in reading.nodes else None for host in hosts]


def _row(row: ValidatorRow, total: int) -> dict[str, t.Any]:
    return {
        "address": row.address,
        "power": row.power,
        "share_percent": _power.share_percent(row.power, total),
        "owner": row.owner,
        "host": row.host,
        "name": clean(row.name, 80),
        "state": row.state,
        "since": stamp(row.since),
        "detail": row.detail,
    }


def _standbys(reading: Reading) -> list[str]:
    """A key beside a unit that does not run is a standby: harmless as long as nobody starts it."""
    notes = []
    for row in reading.validators:
        idle = [
            node.host
            for host in row.hosts
            if (node := reading.nodes[host]).key_address == row.address and node.state in DOWN
        ]
        if len(row.hosts) > 1 and idle:
            notes.append(
                f"The key of validator {row.address[:12]} lies on {', '.join(row.hosts[:6])}; on {', '.join(idle[:6])} it "
                "does not run. It must never run on two of them."
            )
    return [clean(note) for note in notes[:3]]


def _keys_unseen(reading: Reading) -> bool:
    """Whether a key of ours could run twice unseen. That a user without rights reads no key file is known and accepted."""
    for node in reading.nodes.values():
        if node.data is None or node.data.signer.flag("key_file") is False:
            continue
        unread = node.data.signer.error is not None and node.data.signer.error.kind == "privilege"
        hidden = node.key_address is None or node.data.signer.flag("remote") is None or runs(node.data) is None
        if hidden and not unread:
            return True
    return False


def _troubles(reading: Reading) -> list[tuple[Node, str]]:
    """Our nodes that do not take part as they should, with what is wrong."""
    votes = {row.host for row in reading.validators if row.counts_as == "voting"}
    found = []
    for node in reading.nodes.values():
        if not node.observed and (not node.in_set or node.host in votes):
            continue
        wrong = None
        if node.state not in ("voting", "running") or node.reason is not None:
            wrong = node.state.replace("_", " ")
        elif not node.chain_ok:
            wrong = "another chain"
        elif node.declared is not None and not node.in_set:
            wrong = "not in the validator set: jailed, perhaps"
        elif node.height is None or reading.height is None or node.height < reading.height - LAG_BLOCKS:
            wrong = "behind"
        if wrong is not None:
            found.append((node, wrong))
    return found


def _status(reading: Reading, troubles: list[tuple[Node, str]]) -> str:
    halted = standing(reading)
    if halted:
        return INCIDENT if reading.total > 0 else UNKNOWN
    if halted is False and troubles and lives_outside(reading):
        return DEGRADED
    if halted is None or reading.total <= 0 or not (reading.nodes or reading.views) or not _borne_out(reading):
        return UNKNOWN
    if any(node.state not in _UNSEEN for node, _wrong in troubles) or reading.app_hashes_differ:
        return DEGRADED
    return UNKNOWN if troubles else HEALTHY


def witnesses_wanted(reading: Reading) -> int:
    """How many have to show a new block: two, or one where a single node of ours answers and says that it takes part."""
    answering = [
        node
        for node in reading.nodes.values()
        if node.chain_ok
        and node.height is not None
        and node.reason is None
        and not (node.data is not None and node.data.rpc.status.flag("catching_up"))
    ]
    return max(1, min(2, len(answering)), 2 if reading.rpc_only else 1)


def _borne_out(reading: Reading) -> bool:
    """Whether more than one word says that blocks come: a quorum in the newest commits, and a second node if there is one.

    One RPC that lies must not make a halted chain healthy.
    """
    # Among strangers those that stand speak against those that move.
    denied = reading.rpc_only and reading.outside_standing >= reading.outside_movers
    return reading.voting >= reading.quorum and reading.movers >= witnesses_wanted(reading) and not denied


def _severity(reading: Reading, status: str, causes: list[dict[str, t.Any]]) -> t.Optional[str]:
    lasting = [cause["severity"] for cause in causes if cause["id"] in _LASTING and cause["severity"]]
    if lasting:
        return t.cast(str, min(lasting))
    if status == UNKNOWN:
        young = reading.age_s is not None and reading.age_s <= reading.threshold_s and not reading.split
        return None if young else "SEV-1"
    return _SEVERITY.get(status)


def _where(reading: Reading) -> str:
    return f"Chain {reading.chain_id or '(no chain id is known)'}"


def _summary(reading: Reading, status: str, causes: list[dict[str, t.Any]], troubles: list[tuple[Node, str]]) -> str:
    open_power = f", {reading.unknown} is unknown" if reading.unknown else ""
    power = f"{reading.voting} of {reading.total} voting power votes{open_power}, {reading.quorum} is needed."
    also = " The applications differ between nodes." if reading.app_hashes_differ else ""
    wrong = ", ".join(f"{node.host} ({why})" for node, why in troubles[:6]) + ("..." if len(troubles) > 6 else "")
    if status == HEALTHY and reading.rpc_only:
        return (
            f"{_where(reading)} runs: new blocks come (height {reading.height}), as {len(reading.views)} RPC endpoints "
            f"show. {power}"
        )
    if status == HEALTHY:
        return (
            f"{_where(reading)} runs: new blocks come (height {reading.height}), and all our nodes take part. {power}"
        )
    if status == DEGRADED:
        named = f" Not as it should be: {wrong}." if wrong else ""
        named += "".join(f" {cause['statement']}." for cause in causes if cause["id"] in _LASTING)
        return f"{_where(reading)} is not halted: new blocks come (height {reading.height}).{named}{also} {power}"
    if status == UNKNOWN:
        known = [f"{cause['statement']}." for cause in causes if cause["id"] not in _SAID and cause["role"] == "root"]
        return " ".join([_unknown_summary(reading, wrong), *known[:3]])
    roots = [cause for cause in causes if cause["role"] == "root"]
    why = " ".join(f"{cause['statement']} (power {cause['power']})." for cause in roots if cause["id"] != "cannot_tell")
    if not why:
        why = "None of the known causes is established."
    if reading.voting >= reading.quorum and any(cause["id"] in _VOTES_APART for cause in roots):
        # A full bar over a halted chain: nobody is missing, and yet no block gets its quorum.
        power = (
            f"{reading.voting} of {reading.total} voting power votes{open_power}, but not for one block in one place, "
            f"where {reading.quorum} is needed."
        )
    if missing_power_holds(reading):
        power += f" {reading.absent} is missing for certain."
    confirmed = "in two looks" if reading.stands_still else "in one look; the second has to confirm it"
    age = judge.duration(reading.age_s or 0)
    return (
        f"{_where(reading)} is halted at height {reading.height}: the newest block is {age} old (limit "
        f"{judge.duration(reading.threshold_s)}), {confirmed}. {power} {why}{also}"
    )


def _unknown_summary(reading: Reading, wrong: str) -> str:
    heard = [node for node in reading.nodes.values() if node.ok]
    if reading.rpc_only:
        answering = len(reading.views)
        if not answering:
            return f"{_where(reading)}: unknown. None of the RPC endpoints answers: the height is not known."
        hosts = f"{_where(reading)}: unknown. {answering} RPC endpoint{'s answer' if answering > 1 else ' answers'}"
        if reading.height is None:
            return f"{hosts}, but none shows a height that counts."
    elif not heard:
        return (
            f"{_where(reading)}: unknown. None of our {len(reading.nodes)} hosts gave evidence, so nobody can tell "
            "whether the chain runs. First get one host to answer: network, ssh, power."
        )
    else:
        hosts = f"{_where(reading)}: unknown. {len(heard)} of {len(reading.nodes)} hosts gave evidence"
    if reading.height is None:
        return f"{hosts}, but no RPC answers: the height is not known. Of ours: {wrong or 'nothing is wrong'}."
    age = judge.duration(reading.age_s) + " old" if reading.age_s is not None else "of unknown age"
    return f"{hosts}; the newest block {reading.height} is {age}. {_open_question(reading, wrong)}"


def _open_question(reading: Reading, wrong: str) -> str:
    """Why a known height and age are not enough."""
    young = reading.age_s is not None and reading.age_s <= reading.threshold_s
    reasons = (
        (reading.split, "The nodes contradict each other about the chain itself; the notes say how."),
        (reading.total <= 0, "No node shows the validator set, so power cannot be counted."),
        (reading.idle, "This chain makes no blocks without transactions, so that may be no halt."),
        (
            standing(reading) is False and not _borne_out(reading),
            "New blocks are claimed, but not by two nodes, or without the votes of a quorum.",
        ),
        (standing(reading) is False and not wrong, "New blocks come, but not all keys are seen: one may run twice."),
        (standing(reading) is False, f"New blocks come, but what some of ours do cannot be told: {wrong}."),
        (
            young,
            f"That is within the limit of {judge.duration(reading.threshold_s)}, but no new block was seen between two "
            "looks yet.",
        ),
    )
    return next((text for holds, text in reasons if holds), "The looks do not agree on whether it moves.")


def _next(reading: Reading, status: str, judged: dict[str, list[dict[str, t.Any]]]) -> list[str]:
    """What a person does next, the first thing first."""
    if status == HEALTHY:
        return []
    lines: list[str] = []
    held = {cause["id"]: cause for cause in judged["causes"]}
    if status == INCIDENT and reading.stands_still is not True:
        lines.append("Take a second look, 5 s or more after the first: a plan needs a confirmed verdict.")
    if status == UNKNOWN:
        lines.extend(_next_unknown(reading))
    for cause in judged["causes"]:
        if cause["next"] and cause["id"] not in _SAID and not cause["explained"]:
            lines.append(cause["next"])
    if status == INCIDENT and "cannot_tell" in held:
        lines.append(
            "Restart nothing: what votes now holds its votes in memory. Keep the evidence and call the next level."
        )
    silent = any(row.owner == "theirs" and row.state == "unknown" for row in reading.validators)
    if silent and not reading.outside and status == INCIDENT:
        lines.append("Set incident_reference_rpcs to an RPC outside the inventory, and run again.")
    if status == DEGRADED and not lines:
        lines.append("Look at the nodes named above; the chain itself needs nothing.")
    return lines


def _next_unknown(reading: Reading) -> list[str]:
    heard = [node for node in reading.nodes.values() if node.ok]
    if reading.rpc_only and not reading.views:
        return [
            "Name other RPC endpoints in incident_reference_rpcs, and see that the controller reaches them. Run again."
        ]
    if not heard and not reading.views:
        return ["Get one host to answer (network, ssh, power), or set incident_reference_rpcs, and run again."]
    if reading.split:
        return ["Do nothing by automation. Compare the nodes with an RPC you trust, and call the next level."]
    if reading.rpc_only and reading.height is None:
        return ["Name more RPC endpoints in incident_reference_rpcs: two that agree are needed. Run again."]
    if reading.height is None:
        return [
            "Get one RPC to answer: a full node without a signing key is the safest to start by hand.",
            "Then run again.",
        ]
    return ["Run again in a few seconds."]
