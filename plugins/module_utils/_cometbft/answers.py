# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers of CometBFT's RPC in the shapes of the contract, all but the consensus state. PRIVATE to the collection.

Every function takes the ``result`` of one answer and raises PartError (malformed) when it is of another shape. What an
answer holds beyond that (public keys, signatures, rates of connections) is left behind.
"""

from __future__ import annotations

import re
import statistics
import typing as t
from dataclasses import dataclass

from .._host.parts import PartError
from .fields import ADDRESS, HASH, INT64, NODE_ID, Obj, nanoseconds, wrong

BLOCKS = 20  # what /blockchain gives at most (rpc/core/blocks.go)
SET_CAP = 10000  # types/vote_set.go: MaxVotesCount
_INT32 = 2**31 - 1
_HEX = re.compile(r"[0-9A-F]{0,128}")
_BLOCK_HASH = re.compile(r"[0-9A-F]{64}")
_ABSENT, _COMMIT, _NIL = 1, 2, 3  # types/block.go: BlockIDFlag


@dataclass(frozen=True)
class Commit:
    """A commit by index: ``slots`` holds the address of each validator that is named, None for one that is absent."""

    shape: dict[str, t.Any]
    slots: list[t.Optional[str]]
    validators_hash: str


@dataclass(frozen=True)
class Page:
    """One page of /validators: ``total`` is the number of validators on all pages."""

    height: int
    total: int
    rows: list[dict[str, t.Any]]


def status(result: t.Any) -> dict[str, t.Any]:
    """``/status``."""
    answer = Obj(result, "result")
    node, sync, signer = answer.inner("node_info"), answer.inner("sync_info"), answer.inner("validator_info")
    return {
        "chain_id": node.text("network", 100),
        "node_id": node.match("id", NODE_ID),
        "moniker": node.text("moniker"),
        "version": node.text("version", 100),
        "height": sync.integer("latest_block_height"),
        "block_hash": sync.match("latest_block_hash", HASH) or None,
        "app_hash": sync.match("latest_app_hash", _HEX) or None,
        "block_time": sync.time("latest_block_time"),
        "catching_up": sync.flag("catching_up"),
        "address": signer.match("address", ADDRESS),
        "power": signer.integer("voting_power"),
        "earliest_height": sync.integer("earliest_block_height"),
    }


def abci_info(result: t.Any) -> dict[str, t.Any]:
    """``/abci_info``: proto3 leaves out what is zero or empty."""
    response = Obj(result, "result").inner("response")
    return {
        "height": response.integer("last_block_height", default=0),
        "app_hash": response.base64_hex("last_block_app_hash") or None,
        "version": response.text("version", 100),
        "app_version": response.integer("app_version", default=0),
    }


def net_info(result: t.Any) -> dict[str, t.Any]:
    """``/net_info``."""
    answer = Obj(result, "result")
    peers = []
    for peer in answer.objects("peers"):
        node = peer.inner("node_info")
        other = node.inner("other") if node.has("other") else None
        peers.append(
            {
                "node_id": node.match("id", NODE_ID),
                "moniker": node.text("moniker"),
                "remote": peer.text("remote_ip", 100),
                "outbound": peer.flag("is_outbound"),
                "rpc_address": (other.text("rpc_address", 100) or None) if other else None,
            }
        )
    return {"peers": peers, "count": answer.integer("n_peers")}


def mempool(result: t.Any) -> dict[str, t.Any]:
    """``/num_unconfirmed_txs``."""
    answer = Obj(result, "result")
    return {"txs": answer.integer("total"), "bytes": answer.integer("total_bytes")}


def validators_page(result: t.Any) -> Page:
    """One page of ``/validators``."""
    answer = Obj(result, "result")
    return Page(answer.integer("block_height"), answer.integer("total", high=SET_CAP), validator_rows(answer))


def validator_rows(answer: Obj) -> list[dict[str, t.Any]]:
    """The validators under the key ``validators``, in the order of the chain, which is the order of vote indexes."""
    rows = [
        {"address": entry.match("address", ADDRESS), "power": entry.integer("voting_power")}
        for entry in answer.objects("validators")
    ]
    check_set(rows, answer.where)
    return rows


def check_set(rows: list[dict[str, t.Any]], where: str) -> None:
    """Refuse a set that no chain can have: an address twice, or more power than 2^63-1 in all."""
    if len({row["address"] for row in rows}) != len(rows):
        raise wrong(f"{where}.validators", "names an address twice")
    if sum(row["power"] for row in rows) > INT64:
        raise wrong(f"{where}.validators", "has more voting power than 2^63-1 in all")


def blocks(result: t.Any) -> dict[str, t.Any]:
    """``/blockchain``: the median of the seconds between the headers of neighbouring heights, None below two blocks.

    A header's app_hash is the application's state before its block, after the one before (CometBFT types/block.go).
    The chain's first block, the only one without a block before it, carries the time of the genesis file (CometBFT
    state/state.go, MakeBlock), which may lie days before the start: it is no neighbour.
    """
    metas = Obj(result, "result").objects("block_metas")
    if len(metas) > BLOCKS:
        raise wrong("result.block_metas", f"has more than {BLOCKS} entries")
    times, hashes = {}, {}
    first = None
    for meta in metas:
        header = meta.inner("header")
        if not header.inner("last_block_id").text("hash"):
            first = header.integer("height", low=1)
        height = header.integer("height", low=1)
        if height in times:
            raise wrong("result.block_metas", f"holds height {height} twice")
        times[height] = nanoseconds(header.sure_time("time")) or 0
        hashes[height] = header.match("app_hash", _HEX)
    if not times:
        raise PartError("absent", "no block is there yet")
    gaps = [times[height] - times[height - 1] for height in times if height - 1 in times and height - 1 != first]
    if any(gap < 0 for gap in gaps):
        raise wrong("result.block_metas", "has times that run backwards")
    return {
        "interval_s": round(statistics.median(gaps) / 1e9, 3) if gaps else None,
        "from_height": min(times),
        "to_height": max(times),
        "headers": [[height, hashes[height]] for height in sorted(hashes, reverse=True)],
    }


def commit(result: t.Any, height: int) -> Commit:
    """``/commit`` of a height. Who is absent is told by its index alone: ``absent`` is filled in by ``name_absent``."""
    signed = Obj(result, "result").inner("signed_header")
    header, body = signed.inner("header"), signed.inner("commit")
    if {header.integer("height"), body.integer("height")} != {height}:
        raise wrong("result.signed_header", f"is not of height {height}")
    voted: dict[int, list[list[t.Any]]] = {_COMMIT: [], _NIL: []}
    slots: list[t.Optional[str]] = []
    for entry in body.objects("signatures"):
        flag = entry.integer("block_id_flag", low=_ABSENT, high=_NIL)
        if flag == _ABSENT:
            slots.append(None)
        else:
            address = entry.match("validator_address", ADDRESS)
            voted[flag].append([address, entry.sure_time("timestamp")])
            slots.append(address)
    if len(slots) > SET_CAP:
        raise wrong(f"{body.where}.signatures", "is longer than CometBFT allows")
    named = [address for address in slots if address is not None]
    if len(set(named)) != len(named):
        raise wrong(f"{body.where}.signatures", "names an address twice")
    shape = {
        "height": height,
        "round": body.integer("round", high=_INT32),
        "block_hash": body.inner("block_id").match("hash", _BLOCK_HASH),
        "time": header.sure_time("time"),
        "signed": voted[_COMMIT],
        "nil": voted[_NIL],
        "absent": None if len(named) < len(slots) else [],
    }
    return Commit(shape, slots, header.match("validators_hash", _BLOCK_HASH))


def name_absent(commit: Commit, addresses: list[str]) -> None:
    """Fill in ``absent`` from the validators in the chain's order; leave it None (cannot tell) when they do not fit."""
    if len(addresses) == len(commit.slots) and all(
        slot in (None, address) for slot, address in zip(commit.slots, addresses)
    ):
        commit.shape["absent"] = [address for slot, address in zip(commit.slots, addresses) if slot is None]
