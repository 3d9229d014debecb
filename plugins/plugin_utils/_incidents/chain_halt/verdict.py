# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict of a halt."""

from __future__ import annotations

import typing as t

from ..._chain import by_hand, privilege
from ..._chain import power as _power
from ..._chain.node import NodeEvidence
from ..._chain.reading.reading import read
from ..._chain.reading.state import LAG_BLOCKS, runs
from ..._chain.reading.types import DOWN, Reading, ValidatorRow
from ..._path.evidence.bundle import Bundle
from ..._path.evidence.values import stamp
from ..._path.text import clean
from ..._path.verdict import judge
from ..._path.verdict.verdict import DEGRADED, HEALTHY, INCIDENT, UNKNOWN, Verdict, made
from . import summary, view
from .causes.context import lives_outside
from .causes.order import CAUSES, LASTING, halt_of, standing
from .summary import Troubles

# A host on which nobody can tell what happens makes the whole unknown, not degraded.
_UNSEEN = ("unknown",)

_SEVERITY = {INCIDENT: "SEV-1", DEGRADED: "SEV-3"}


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
        cause["next"] = clean(judge.filled(cause["next"], cause, {"height": reading.height}), 400)
    troubles = _troubles(reading)
    status = _status(reading, troubles)
    if status == HEALTHY and any(cause["severity"] and cause["hosts"] for cause in judged["causes"]):
        # Something is wrong on hosts of ours, although all of them take part: a jailed key, two of one, a wrong clock.
        status = DEGRADED
    elif status == HEALTHY and _keys_unseen(reading):
        status = UNKNOWN
    if status in (HEALTHY, DEGRADED):
        for cause in judged["causes"]:
            if cause["severity"] and cause["id"] not in LASTING:
                cause["severity"] = _SEVERITY[DEGRADED]
    severity = _severity(reading, status, judged["causes"])
    confirmed = reading.confirmed and (status != INCIDENT or reading.stands_still is True)
    held = frozenset(cause["id"] for cause in judged["causes"])
    missing = privilege.missing(reading.nodes.values())
    text = summary.summary(reading, status, judged["causes"], troubles, _is_corroborated(reading), missing)
    return made(
        incident=reading.bundle["incident"],
        subject=f"chain {reading.chain_id or 'unknown'}",
        status=status,
        severity=severity,
        confirmed=confirmed,
        judged=judged,
        summary=clean(text, 1500),
        next_lines=[clean(line, 400) for line in summary.next_lines(reading, status, judged, missing)],
        started_at=stamp(reading.last_block_at) if status == INCIDENT else None,
        view=view.view(reading, status, severity, confirmed, held, missing),
        details=_details(reading, status),
        notes=[*reading.notes, *_standbys(reading)],
    )


def _details(reading: Reading, status: str) -> dict[str, t.Any]:
    """What is known of the chain, for the plan, for AWX and for whoever reads the verdict as JSON."""
    return {
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
            {"host": node.host, "state": node.state, "detail": node.detail} for node in view.not_validators(reading)
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
                f"The key of validator {row.address[:12]} is on {', '.join(row.hosts[:6])}; on {', '.join(idle[:6])} it "
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


def _troubles(reading: Reading) -> Troubles:
    """Our nodes that do not take part as they should, with what is wrong."""
    votes = {row.host for row in reading.validators if row.counts_as == "voting"}
    troubles = []
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
            troubles.append((node, wrong))
    return troubles


def _status(reading: Reading, troubles: Troubles) -> str:
    halted = standing(reading)
    if halted:
        return INCIDENT if reading.total > 0 else UNKNOWN
    if halted is False and troubles and lives_outside(reading):
        return DEGRADED
    if halted is None or reading.total <= 0 or not (reading.nodes or reading.views) or not _is_corroborated(reading):
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


def _is_corroborated(reading: Reading) -> bool:
    """Whether more than one claim says that blocks come: a quorum in the newest commits, and a second node if there is one.

    One dishonest RPC must not make a halted chain healthy.
    """
    # Among nodes outside the inventory those that stand speak against those that move.
    denied = reading.rpc_only and reading.outside_standing >= reading.outside_movers
    return reading.voting >= reading.quorum and reading.movers >= witnesses_wanted(reading) and not denied


def _severity(reading: Reading, status: str, causes: list[dict[str, t.Any]]) -> t.Optional[str]:
    lasting = [cause["severity"] for cause in causes if cause["id"] in LASTING and cause["severity"]]
    if lasting:
        return t.cast(str, min(lasting))
    if status == UNKNOWN:
        young = reading.age_s is not None and reading.age_s <= reading.threshold_s and not reading.split
        return None if young else "SEV-1"
    return _SEVERITY.get(status)
