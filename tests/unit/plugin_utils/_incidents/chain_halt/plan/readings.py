# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings made by hand: one stopped validator vs, one that votes (vv), where every guard of a start is clear."""

from __future__ import annotations

import copy
import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import power as _power
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards.case import Case
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.node import Problem, evidence_of
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import (
    Node,
    Reading,
    ValidatorRow,
    Vote,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence.values import seconds
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.guard import Guard

CHAIN = "virtengine-1"
HEIGHT = 100
ADDRESS_S = "A" * 40
ADDRESS_V = "B" * 40
ADDRESS_X = "C" * 40
NOW = "2026-01-30T12:10:00Z"
STOPPED = "2026-01-30T12:00:00Z"


def moment(text: str) -> float:
    found = seconds(text)
    if found is None:
        raise ValueError(text)
    return found


def ok(data: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"ok": True, "data": data}


def error(kind: str, text: str = "no reason") -> dict[str, t.Any]:
    return {"ok": False, "error": {"kind": kind, "text": text}}


def data(running: bool = False, address: str | None = ADDRESS_S) -> dict[str, t.Any]:
    """Evidence of a healthy node of the chain, stopped cleanly or running."""
    settings = {"double_sign_check_height": 0, "priv_validator_laddr": ""}
    main = {"pid": 7, "state": "S", "frozen": False} if running else None
    return {
        "schema": 1,
        "clock": {"now": NOW, "boot_at": "2026-01-01T00:00:00Z", "boot_id": "b"},
        "access": {"uid": 0, "privileged": True},
        "unit": ok(
            {
                "name": "virtengine.service",
                "load_state": "loaded",
                "active_state": "active" if running else "inactive",
                "sub_state": "running" if running else "dead",
                "unit_file_state": "enabled",
                "result": "success",
                "restarts": 0,
                "started_at": "2026-01-29T00:00:00Z",
                "stopped_at": None if running else STOPPED,
                "freezer_state": "running",
            }
        ),
        "process": ok({"main": main, "others": []}),
        "paths": {"home": "/var/lib/v", "rpc": "http://127.0.0.1:26657"},
        "binary": ok(
            {"path": "/usr/bin/virtengine", "sha256": "f" * 64, "running_sha256": "f" * 64 if running else None}
        ),
        "config": ok({key: {"value": value, "source": "default"} for key, value in settings.items()}),
        "genesis": ok({"chain_id": CHAIN, "sha256": "e" * 64}),
        "signer": ok(
            {
                "address": address,
                "key_file": True,
                "remote": False,
                "state": {"height": HEIGHT + 1, "round": 0, "step": 2},
                "state_error": None,
            }
        ),
        "disk": ok(
            {
                "path": "/",
                "size_bytes": 10**11,
                "free_bytes": 10**10,
                "inodes": 10**6,
                "inodes_free": 10**5,
                "read_only": False,
            }
        ),
        "journal": ok({"since": STOPPED, "lines_read": 5, "truncated": False, "last_line_at": STOPPED, "marks": []}),
        "rpc": {},
    }


def mark(kind: str, text: str = "the line", current: bool = True) -> dict[str, t.Any]:
    return {"kind": kind, "count": 1, "first_at": STOPPED, "last_at": STOPPED, "current": current, "text": text}


def node(host: str, raw: dict[str, t.Any] | None, **changes: t.Any) -> Node:
    """A node as a reading has it; ``raw`` None: the host does not answer."""
    evidence = None
    key = None
    if raw is not None:
        evidence = evidence_of(
            {"source": "node_evidence", "host": host, "look": 2, "at": NOW, "ok": True, "data": copy.deepcopy(raw)}
        )
        key = evidence.signer.address("address")
    fields: dict[str, t.Any] = {
        "host": host,
        "observed": True,
        "target": True,
        "ok": raw is not None,
        "error": None if raw is not None else Problem("unreachable", "no route"),
        "chain_ok": True,
        "state": "stopped" if raw is not None else "unreachable",
        "since": None,
        "detail": "unit stopped",
        "declared": None,
        "key_address": key,
        "rpc_address": None,
        "in_set": True,
        "data": evidence,
        "before": None,
    }
    fields.update(changes)
    fields.setdefault("address", fields["key_address"] or fields["declared"])
    return Node(**fields)


def voter(host: str = "vv", **changes: t.Any) -> Node:
    return node(host, data(True, ADDRESS_V), **{"state": "voting", **changes})


def row(address: str, power: int, host: str | None, state: str, **changes: t.Any) -> ValidatorRow:
    fields: dict[str, t.Any] = {
        "owner": "ours" if host else "theirs",
        "hosts": (host,) if host else (),
        "host": host,
        "name": host or address[:12],
        "since": None,
        "detail": state,
        "newest_vote": None,
        "counts_as": "voting" if state == "voting" else "absent",
    }
    fields.update(changes)
    return ValidatorRow(address=address, power=power, state=state, **fields)


def reading(nodes: list[Node], rows: list[ValidatorRow] | None = None, **changes: t.Any) -> Reading:
    """A confirmed halt at HEIGHT. Default powers: the stopped one 40, the voting one 60."""
    if rows is None:
        rows = [row(ADDRESS_V, 60, "vv", "voting"), row(ADDRESS_S, 40, "vs", "stopped")]
    total = sum(one.power for one in rows)
    voting = sum(one.power for one in rows if one.state == "voting")
    fields: dict[str, t.Any] = {
        "bundle": {"settings": {}},
        "chain_id": CHAIN,
        "height": HEIGHT,
        "last_block_hash": "D" * 64,
        "last_block_at": moment(STOPPED),
        "now": moment(NOW),
        "interval_s": 1.0,
        "threshold_s": 30.0,
        "age_s": 600.0,
        "stands_still": True,
        "moved": False,
        "total": total,
        "quorum": _power.quorum(total),
        "voting": voting,
        "absent": total - voting,
        "unknown": 0,
        "looks": (1, 2),
        "confirmed": True,
        "nodes": {one.host: one for one in nodes},
        "validators": tuple(sorted(rows, key=lambda one: -one.power)),
        "outside": (),
        "voters": tuple(one.host for one in nodes if one.state == "voting"),
        "votes": {},
        "heard": {},
        "movers": 0,
        "outside_movers": 0,
        "outside_standing": 0,
        "views": (),
        "rpc_only": False,
        "outside_quorum": False,
        "ahead": frozenset(),
        "notes": (),
        "conflicts": frozenset(),
        "disputed": frozenset(),
        "commits_seen": True,
        "most_seen": 0,
        "votes_height": HEIGHT + 1,
        "rounds_grow": False,
        "idle": False,
        "split": False,
        "app_hashes_differ": False,
    }
    fields.update(changes)
    return Reading(**fields)


def case(seen: Reading, one: Node, stands_at: int | None = HEIGHT, **changes: t.Any) -> Case:
    """What guards are asked about."""
    if one.data is None:
        raise ValueError(f"{one.host} shows nothing")
    return Case(seen, one, one.data, stands_at, **changes)


def states(found: t.Iterable[Guard]) -> dict[str, str]:
    return {guard.name: guard.state for guard in found}


def vote(height: int = HEIGHT, round_: int = 0, step: int = 3, at: str | None = "2026-01-30T11:59:59Z") -> Vote:
    return Vote(height, round_, step, None if at is None else moment(at), None)
