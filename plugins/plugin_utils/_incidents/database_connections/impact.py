# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What applications feel of a database now: refused, waiting, blocked, read-only. PRIVATE to the collection."""

from __future__ import annotations

from ..._path.verdict.judge import duration
from .reading import LOCK_WAIT_S, POOL_WAIT_S, Database

FULL, LIMITED, BLOCKED, WAITING, POOLER, DOWN, READ_ONLY, NO_SPACE = (
    *("full", "limited", "blocked", "waiting", "pooler", "down", "read_only", "no_space"),
)
# Why there was no session, and what that means for everybody else.
_DOWN = {"refused", "starting", "stopping"}
# Below this share of the file system a write can fail at any moment.
LEAST_FREE = 0.01
LITTLE_FREE = 0.05


def impacts(database: Database) -> dict[str, str]:
    """What is felt now, each with the observation that shows it. Empty: nothing is."""
    found: dict[str, str] = {}
    kind, text = database.problem("server")
    # A socket that refuses beside a server that runs is another address, not a server that is down.
    running = (database.part("processes") or {}).get("postmaster") is not None
    if kind in _DOWN and not (kind == "refused" and running):
        found[DOWN] = f"the server takes no connection: {text}"
    if kind == "exhausted":
        found[FULL] = f"the server refuses us: {text}"
    elif database.limit is not None and database.used >= database.limit:
        found[FULL] = f"{database.used} client sessions, and applications may have {database.limit}"
    reached = limits(database)
    if reached and not {"role_limit", "database_limit"}.isdisjoint(database.marks):
        found[LIMITED] = reached[0]
    if database.waits and database.lock_wait_s >= LOCK_WAIT_S:
        found[BLOCKED] = f"{len(database.waits)} sessions wait for a lock, the longest {duration(database.lock_wait_s)}"
    found.update(_of_pooler(database))
    read_only = database.marks.get("read_only")
    if read_only and (
        database.identity.get("in_recovery") is True or database.setting_is_on("default_transaction_read_only")
    ):
        found[READ_ONLY] = f"applications write to a server that only reads ({read_only['number']} refusals in its log)"
    shares = [share for share in (database.free_share(), database.free_share("inodes")) if share is not None]
    if any(share < LEAST_FREE for share in shares) or (
        "no_space" in database.marks and min(shares, default=0) < LITTLE_FREE
    ):
        found[NO_SPACE] = "the file system of the data directory is full"
    return found


def _of_pooler(database: Database) -> dict[str, str]:
    unit, (kind, text) = database.unit("pgbouncer"), database.problem("pooler")
    if unit is not None and kind == "refused" and unit.get("active_state") != "active":
        return {POOLER: f"the pooler does not run ({unit.get('active_state')})"}
    if kind == "pooler_limit":
        return {POOLER: f"the pooler refuses clients: {text}"}
    most, clients = database.pooler_setting("max_client_conn"), (database.part("pooler") or {}).get("clients")
    if most and isinstance(clients, int) and clients >= most:
        return {POOLER: f"the pooler has {clients} clients and takes {most}"}
    waiting = sum(pool.waiting for pool in database.pools)
    # While it is paused, or gets into no server, the pooler counts no wait.
    stuck = sum(pool.waiting for pool in database.pools if pool.paused or not pool.servers)
    if stuck:
        return {WAITING: f"{stuck} clients wait for a pool that has no connection to the server"}
    longest = max((pool.max_wait_s for pool in database.pools if pool.waiting), default=0.0)
    if waiting and longest >= POOL_WAIT_S:
        return {WAITING: f"{waiting} clients wait for a pool, the longest {duration(longest)}"}
    return {}


def limits(database: Database) -> list[str]:
    """Roles and databases whose own limit is reached, in words."""
    found = []
    for query, attribute in (("roles", "role"), ("databases", "database")):
        for row in database.rows(query):
            name, most = row.get("name"), row.get("connection_limit")
            if isinstance(most, int) and most >= 0:
                number = sum(1 for session in database.clients if getattr(session, attribute) == name)
                if number and number >= most:
                    found.append(f"{attribute} {name} has {number} connections and may have {most}")
    return found
