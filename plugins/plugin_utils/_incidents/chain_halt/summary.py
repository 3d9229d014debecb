# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A halt in words: what is wrong, and what to do next."""

from __future__ import annotations

import typing as t

from ..._chain.privilege import Missing
from ..._chain.reading.types import Node, Reading
from ..._path.verdict.judge import duration
from ..._path.verdict.verdict import DEGRADED, HEALTHY, INCIDENT, UNKNOWN
from .causes.order import LASTING, missing_power_holds, standing

# Nodes of ours that do not take part as they should, with what is wrong.
Troubles = list[tuple[Node, str]]

# Votes of a quorum make no block where these hold.
_VOTES_APART = frozenset(("network_split", "few_peers", "app_hash_divergence", "proposals_late", "proposals_refused"))
# What to do about these is said with the status itself.
_OWN_WORDS = ("not_halted", "cannot_tell")


def _where(reading: Reading) -> str:
    return f"Chain {reading.chain_id or '(no chain id is known)'}"


# Its line says to start nodes by hand, which is wrong where what forbids a start was not read.
_STARTS_BY_HAND = "processes_down"


def summary(
    reading: Reading,
    status: str,
    causes: list[dict[str, t.Any]],
    troubles: Troubles,
    corroborated: bool,
    missing: t.Optional[Missing],
) -> str:
    """One paragraph. ``corroborated``: whether it is more than one claim that blocks come. ``missing``: privilege."""
    text = _of_chain(reading, status, causes, troubles, corroborated)
    return text if missing is None else f"{missing.sentence(nothing_read(reading, missing))} {text}"


def nothing_read(reading: Reading, missing: Missing) -> bool:
    """Whether nothing of the chain is seen for want of privilege."""
    return missing.everywhere and reading.height is None


def _of_chain(
    reading: Reading, status: str, causes: list[dict[str, t.Any]], troubles: Troubles, corroborated: bool
) -> str:
    open_power = f", {reading.unknown} is unknown" if reading.unknown else ""
    power = f"{reading.voting} of {reading.total} voting power is voting{open_power}; {reading.quorum} needed."
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
        named += "".join(f" {cause['statement']}." for cause in causes if cause["id"] in LASTING)
        return f"{_where(reading)} is not halted: new blocks come (height {reading.height}).{named}{also} {power}"
    if status == UNKNOWN:
        known = [
            f"{cause['statement']}." for cause in causes if cause["id"] not in _OWN_WORDS and cause["role"] == "root"
        ]
        return " ".join([_unknown(reading, wrong, corroborated), *known[:3]])
    roots = [cause for cause in causes if cause["role"] == "root"]
    why = " ".join(
        f"{cause['statement']} (power {cause['weight']})." for cause in roots if cause["id"] != "cannot_tell"
    )
    if not why:
        why = "None of the known causes is established."
    if reading.voting >= reading.quorum and any(cause["id"] in _VOTES_APART for cause in roots):
        # A full bar over a halted chain: nobody is missing, and yet no block gets its quorum.
        power = (
            f"{reading.voting} of {reading.total} voting power is voting{open_power}, but not for one block in one place; "
            f"{reading.quorum} needed there."
        )
    if missing_power_holds(reading):
        power += f" {reading.absent} is missing for certain."
    confirmed = "in two looks" if reading.stands_still else "in one look; the second has to confirm it"
    age = duration(reading.age_s or 0)
    return (
        f"{_where(reading)} is halted at height {reading.height}: the newest block is {age} old (limit "
        f"{duration(reading.threshold_s)}), {confirmed}. {power} {why}{also}"
    )


def _unknown(reading: Reading, wrong: str, corroborated: bool) -> str:
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
            "whether the chain runs."
            + ("" if _refused(reading) else " First get one host to answer: network, ssh, power.")
        )
    else:
        hosts = f"{_where(reading)}: unknown. {len(heard)} of {len(reading.nodes)} hosts gave evidence"
    if reading.height is None:
        return f"{hosts}, but no RPC answers: the height is not known. Of ours: {wrong or 'nothing is wrong'}."
    age = duration(reading.age_s) + " old" if reading.age_s is not None else "of unknown age"
    return f"{hosts}; the newest block {reading.height} is {age}. {_open_question(reading, wrong, corroborated)}"


def _refused(reading: Reading) -> bool:
    """Whether hosts were reached, and only becoming root was refused."""
    return any(node.error is not None and node.error.kind == "privilege" for node in reading.nodes.values())


def _open_question(reading: Reading, wrong: str, corroborated: bool) -> str:
    """Why a known height and age are not enough."""
    young = reading.age_s is not None and reading.age_s <= reading.threshold_s
    reasons = (
        (reading.split, "The nodes contradict each other about the chain itself; the notes say how."),
        (reading.total <= 0, "No node shows the validator set, so power cannot be counted."),
        (reading.idle, "This chain makes no blocks without transactions, so that may be no halt."),
        (
            standing(reading) is False and not corroborated,
            "New blocks are claimed, but not by two nodes, or without the votes of a quorum.",
        ),
        (standing(reading) is False and not wrong, "New blocks come, but not all keys are seen: one may run twice."),
        (standing(reading) is False, f"New blocks come, but what some of ours do cannot be told: {wrong}."),
        (
            young,
            f"That is within the limit of {duration(reading.threshold_s)}, but no new block was seen between two "
            "looks yet.",
        ),
    )
    return next((text for holds, text in reasons if holds), "The looks do not agree on whether it moves.")


def next_lines(
    reading: Reading, status: str, judged: dict[str, list[dict[str, t.Any]]], missing: t.Optional[Missing]
) -> list[str]:
    """What to do next, the first thing first."""
    lines = missing.next_lines() if missing is not None else []
    if status == HEALTHY:
        return lines
    unread = set(missing.hidden) if missing is not None else set()
    held = {cause["id"]: cause for cause in judged["causes"]}
    if status == INCIDENT and reading.stands_still is not True:
        lines.append("Take a second look, 5 s or more after the first: a plan needs a confirmed verdict.")
    if status == UNKNOWN:
        lines.extend(_next_unknown(reading) if missing is None else [])
    for cause in judged["causes"]:
        blind = cause["id"] == _STARTS_BY_HAND and not unread.isdisjoint(cause["hosts"])
        if cause["next"] and cause["id"] not in _OWN_WORDS and not cause["explained"] and not blind:
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
