# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the halt over: blocks come, and every validator that was acted on signs them. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ..._chain.reading.blocks import VOTE_TIME_TOLERANCE_S
from ..._chain.reading.reading import read
from ..._chain.reading.types import Reading, ValidatorRow
from ..._path.evidence.values import seconds
from .actions import START
from .guards import RESTORES_POWER, scope
from .verdict import witnesses_wanted

# A validator that joins late misses a commit or two; one that signs three of five takes part.
COMMITS_LOOKED_AT = 5
COMMITS_SIGNED = 3

Data = dict[str, t.Any]
# height -> {address: time of its vote, seconds since the epoch, or None}
_Commits = dict[int, dict[str, t.Optional[float]]]


def recovered(bundle: Data, plan: Data, verdict_before: Data) -> Data:
    """Whether the chain runs again, from a fresh look.

    ``plan``: the approved plan; validators of its starting and thawing steps are the ones acted on. Blocks are counted
    from its height, or from that of ``verdict_before``, made before the first step. Returns ``recovered``, ``because`` (a
    sentence), ``blocks`` (new since then) and ``validators``: address, host, name, power, ``acted``, ``signed`` commits
    ``of`` those looked at, ``ok``. A validator nobody acted on is reported and decides nothing.
    """
    reading = read(bundle)
    base = max(plan["basis"]["height"] or 0, verdict_before["details"]["height"] or 0)
    blocks = max(0, (reading.height or 0) - base)
    commits = _newest_commits(reading, base)
    acted = {
        address: step
        for step in plan["steps"]
        if step["action"] in RESTORES_POWER and (address := step["parameters"]["address"])
    }
    rows = [_signs(reading, row, acted.get(row.address), commits) for row in reading.validators]
    # A validator that left the set in the meantime cannot sign, and is not forgotten.
    gone = sorted(set(acted) - {row.address for row in reading.validators})
    because = _in_the_way(reading, plan, blocks, rows, gone)
    return {
        "recovered": because is None,
        "because": because or _success(blocks, rows),
        "blocks": blocks,
        "validators": rows,
    }


def _in_the_way(reading: Reading, plan: Data, blocks: int, rows: list[Data], gone: list[str]) -> str | None:
    standing = _standing(reading, plan, blocks)
    if standing:
        return standing
    if gone:
        return f"Validator {gone[0]} was started, but it is no longer in the validator set."
    silent = [row for row in rows if row["acted"] and not row["ok"]]
    if silent:
        who = ", ".join(f"{row['host'] or row['name']} ({row['signed']} of {row['of']})" for row in silent)
        wanted = f"{COMMITS_SIGNED} of {COMMITS_LOOKED_AT}"
        return f"Blocks come, but not every validator that was started signs {wanted} commits: {who}."
    return None


def _standing(reading: Reading, plan: Data, blocks: int) -> str | None:
    """Why the chain is not seen to move on from where it stood, or None."""
    if reading.chain_id is None or reading.height is None:
        return "No node shows the chain, so nothing is proven."
    if scope(reading.chain_id) not in plan["scopes"]:
        return f"The nodes now show the chain {reading.chain_id}; the plan was made for {plan['subject']}."
    if blocks == 0:
        return f"No new block came: the chain stands at height {reading.height}."
    base = reading.height - blocks
    seen = sum(1 for node in reading.nodes.values() if node.chain_ok and node.height is not None and node.height > base)
    if max(seen, reading.movers) < witnesses_wanted(reading):
        return f"Only one node shows a block above {base}. One node alone proves nothing."
    if reading.voting < reading.quorum:
        return f"Blocks come, but votes of {reading.voting} power are seen in them; {reading.quorum} needed."
    young = reading.age_s is not None and reading.age_s <= reading.threshold_s
    if not (reading.moved or young) or reading.stands_still is True:
        return (
            f"{blocks} new blocks came, but the newest is too old: the chain stands again at height {reading.height}."
        )
    return None


def _success(blocks: int, rows: list[Data]) -> str:
    acted = [row for row in rows if row["acted"]]
    absent = [row for row in rows if not row["acted"] and not row["ok"]]
    text = f"Blocks come again ({blocks} new)"
    text += f", and the {len(acted)} validators that were started sign." if len(acted) > 1 else ""
    text += ", and the validator that was started signs." if len(acted) == 1 else ""
    text += "." if not acted else ""
    if absent:
        text += f" Still not signing: {', '.join(row['name'] for row in absent[:5])}"
        text += f" and {len(absent) - 5} more." if len(absent) > 5 else "."
    return text


def _signs(reading: Reading, row: ValidatorRow, step: Data | None, commits: _Commits) -> Data:
    host = step["hosts"][0] if step is not None else row.host
    started = None
    node = reading.nodes.get(host or "")
    if step is not None and step["action"] == START and node is not None and node.data is not None:
        started = node.data.unit.time("started_at")
    signed = sum(1 for votes in commits.values() if row.address in votes and _after(votes[row.address], started))
    return {
        "address": row.address,
        "host": host,
        "name": row.name,
        "power": row.power,
        "acted": step is not None,
        "signed": signed,
        "of": len(commits),
        "ok": signed >= COMMITS_SIGNED,
    }


def _after(voted: float | None, started: float | None) -> bool:
    """A vote from before the start is not of the process that was started."""
    return started is None or voted is None or voted >= started - VOTE_TIME_TOLERANCE_S


def _newest_commits(reading: Reading, above: int) -> _Commits:
    """The newest commits above a height, with the votes of all our nodes together: one node may lack late ones."""
    commits: _Commits = {}
    for node in reading.nodes.values():
        if node.data is None or not node.ok or not node.chain_ok:
            continue
        for commit in node.data.rpc.commits.mappings("commits"):
            height = commit.integer("height")
            if height is None or reading.height is None or not above < height <= reading.height:
                continue
            votes = commits.setdefault(height, {})
            for entry in commit.items("signed"):
                if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str):
                    votes[entry[0].upper()] = seconds(entry[1])
    return {height: commits[height] for height in sorted(commits, reverse=True)[:COMMITS_LOOKED_AT]}
