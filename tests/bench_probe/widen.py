# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded answers of a halted node as they were with a validator set of a public chain's size."""

from __future__ import annotations

import copy
import hashlib
import json
import typing as t
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "data" / "rpc" / "halted"
ABSENT_OF = 3  # one of so many validators has not voted: the chain stands
PEERS = 40

Json = dict[str, t.Any]


def bodies(validators: int) -> dict[str, bytes]:
    """The answers of the recorded node by their path. Beyond the three that were recorded, validators are copies."""
    names = {
        "/status": "status",
        "/abci_info": "abci_info",
        "/dump_consensus_state": "dump_consensus_state",
        "/consensus_state": "consensus_state",
        "/net_info": "net_info",
        "/num_unconfirmed_txs": "num_unconfirmed_txs",
        "/blockchain": "blockchain",
        **{f"/commit?height={340 - index}": f"commit_{index}" for index in range(5)},
    }
    trees = {path: json.loads((DATA / f"{name}.json").read_text(encoding="utf-8")) for path, name in names.items()}
    rows = _rows(json.loads((DATA / "validators.json").read_text(encoding="utf-8"))["result"]["validators"], validators)
    _state(trees["/dump_consensus_state"]["result"]["round_state"], rows)
    for entry in trees["/consensus_state"]["result"]["round_state"]["height_vote_set"]:
        _votes(entry, rows)
    _peers(trees["/net_info"]["result"])
    for height in range(336, 341):
        commit = trees[f"/commit?height={height}"]["result"]["signed_header"]["commit"]
        signature = commit["signatures"][0]
        commit["signatures"] = [{**signature, "validator_address": row["address"]} for row in rows]
    for number in range(-(-validators // 100)):
        part = rows[100 * number : 100 * number + 100]
        for height in (340, 341):
            pinned = [f"&height={height}", *([""] if height == 341 else [])]
            page = {"block_height": str(height), "validators": part, "count": str(len(part)), "total": str(validators)}
            for end in pinned:
                path = f"/validators?page={number + 1}&per_page=100{end}"
                trees[path] = {"jsonrpc": "2.0", "id": -1, "result": page}
    return {path: json.dumps(tree).encode() for path, tree in trees.items()}


def _rows(recorded: list[Json], validators: int) -> list[Json]:
    rows = [dict(row) for row in recorded[:validators]]
    for number in range(len(rows), validators):
        address = hashlib.sha256(str(number).encode()).hexdigest()[:40].upper()
        rows.append({**recorded[number % len(recorded)], "address": address, "voting_power": "20"})
    return rows


def _state(state: Json, rows: list[Json]) -> None:
    for key in ("validators", "last_validators"):
        state[key]["validators"] = rows
    for entry in state["votes"]:
        _votes(entry, rows)
    state["last_commit"]["votes"] = [_vote(index, row, "PRECOMMIT", 340) for index, row in enumerate(rows)]


def _votes(entry: Json, rows: list[Json]) -> None:
    if entry["round"]:
        # The round to come.
        entry["prevotes"] = entry["precommits"] = ["nil-Vote"] * len(rows)
        return
    entry["prevotes"] = [
        "nil-Vote" if index % ABSENT_OF == 0 else _vote(index, row, "PREVOTE", 341) for index, row in enumerate(rows)
    ]
    entry["precommits"] = ["nil-Vote"] * len(rows)


def _vote(index: int, row: Json, kind: str, height: int) -> str:
    block = "C36328B05897" if kind == "PRECOMMIT" else "000000000000"
    return (
        f"Vote{{{index}:{row['address'][:12]} {height}/00/SIGNED_MSG_TYPE_{kind}({kind.capitalize()}) {block} "
        f"62F5D8BDDE09 000000000000 @ 2026-11-24T19:49:0{4 if height == 340 else 8}.469791016Z}}"
    )


def _peers(result: Json) -> None:
    result["peers"] = [copy.deepcopy(result["peers"][0]) for _peer in range(PEERS)]
    for number, peer in enumerate(result["peers"]):
        peer["node_info"]["id"] = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()
    result["n_peers"] = str(PEERS)
