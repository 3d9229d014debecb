# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes seen in the pooler. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ...._path.verdict.cause import Cause
from ...._path.verdict.judge import duration
from .. import impact
from ..reading import IN_TRANSACTION, LOCK_WAIT_S, POOL_WAIT_S, Database
from ..types import Pool, Session
from .asked import NO_POOLER, Hit, asked, needs_pooler
from .locks import blocking
from .sessions import is_near, slow

SHOW_POOLS = "sudo -u postgres psql -p 6432 -U pgbouncer pgbouncer -c 'SHOW POOLS'"


def exhausted(database: Database) -> list[Pool]:
    """Pools that have no server for clients that wait, and no more is given to them."""
    return [
        pool
        for pool in database.pools
        if pool.waiting
        and pool.max_wait_s >= POOL_WAIT_S
        and not pool.paused
        and not pool.servers_idle
        and pool.most is not None
        and pool.servers_active >= pool.most
    ]


def held(database: Database) -> list[Session]:
    """Sessions of full pools whose clients left a transaction open and do nothing, the longest first.

    None where they are less than half of what the pools have in use: then it is work that fills them.
    """
    busy = sum(pool.servers_active for pool in exhausted(database))
    found = [
        session
        for session in database.clients
        if session.state in IN_TRANSACTION and (session.changed_s or 0) >= LOCK_WAIT_S and database.pooled(session)
    ]
    return sorted(found, key=lambda s: -(s.changed_s or 0)) if busy and 2 * len(found) >= busy else []


def _held(database: Database) -> t.Optional[Hit]:
    found = held(database)
    if not found:
        return None
    text = f"{len(found)} connections of full pools are idle in a transaction, the longest for {duration(found[0].changed_s or 0)}"
    return Hit(f"{text} ({found[0].who})", len(found))


def _exhausted(database: Database) -> t.Optional[Hit]:
    pools = exhausted(database)
    if not pools or is_near(database):
        return None
    pool = pools[0]
    working = sum(1 for session in slow(database) if database.pooled(session))
    explained = bool(blocking(database) or held(database)) or 2 * working >= pool.servers_active
    room = f"{database.used} of {database.limit}" if database.limit is not None else "an unknown part"
    text = (
        f"{pool.waiting} clients of {pool.user}@{pool.database} wait, the longest {duration(pool.max_wait_s)}; all "
        f"{pool.most} connections of their pool are in use, while the server has {room} in use"
    )
    return Hit(text, sum(pool.waiting for pool in pools), symptom=explained, explained=explained)


def _paused(database: Database) -> t.Optional[Hit]:
    found = [pool for pool in database.pools if pool.paused]
    waiting = sum(pool.waiting for pool in found)
    if not found and not database.pooler_paused:
        return None
    names = "all of it" if database.pooler_paused else ", ".join(sorted({pool.database for pool in found}))
    return Hit(f"{names} is paused, {waiting} clients wait", 1 + waiting)


def _down(database: Database) -> t.Optional[Hit]:
    felt = impact.impacts(database).get(impact.POOLER)
    return Hit(felt) if felt and database.problem("pooler")[0] == "refused" else None


def _clients(database: Database) -> t.Optional[Hit]:
    felt = impact.impacts(database).get(impact.POOLER)
    return Hit(felt) if felt and database.problem("pooler")[0] != "refused" else None


def most_servers(database: Database) -> t.Optional[int]:
    """Connections that the pooler may open: the sizes of all its pools, bounded for each database by its own limit."""
    of: dict[str, int] = {}
    bounds = {pool.database: pool.bound for pool in database.pools}
    for pool in database.pools:
        if pool.size is None:
            return None
        of[pool.database] = of.get(pool.database, 0) + pool.size
    return sum(min(number, bounds[name] or number) for name, number in of.items()) if of else None


def _arithmetic(database: Database) -> t.Optional[Hit]:
    most = most_servers(database)
    if most is None or database.limit is None or most <= database.limit:
        return None
    full = impact.FULL in impact.impacts(database)
    text = f"{len(database.pools)} pools may open {most} connections together, and the server gives {database.limit}"
    return Hit(text, most - database.limit, symptom=not full)


def _cancels(database: Database) -> t.Optional[Hit]:
    number, busy = sum(p.cancels for p in database.pools), sum(p.servers_active for p in database.pools)
    return (
        Hit(f"{number} cancel requests wait, {busy} servers work", number)
        if number >= 10 and number > 2 * busy
        else None
    )


def _login(database: Database) -> t.Optional[Hit]:
    stuck = [pool for pool in database.pools if pool.waiting and not pool.paused and pool.servers == pool.logging_in]
    if not stuck or database.server is None:
        return None
    number = (database.part("pooler_log") or {}).get("failed_logins")
    lines = f"; its log has {number} failed logins" if number else ""
    return Hit(f"the pooler cannot log in to {stuck[0].database} as {stuck[0].user}{lines}", len(stuck))


CAUSES = (
    Cause(
        id="pool_held_idle",
        title="pool held by idle transactions",
        statement="Clients leave transactions open and do nothing, and each keeps a connection of the pool",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_held, needs_pooler, f"no full pool is held by idle transactions, or {NO_POOLER}"),
        justifies=("terminate_backends",),
        signs="Half or more of a full pool's connections are idle in a transaction at the server for 10 s or longer.",
        by_hand=(SHOW_POOLS,),
        next="Find out why the application leaves transactions open; idle_in_transaction_session_timeout bounds it.",
        decide="A larger pool fills in the same way. Sessions are planned to be ended from a minute on.",
    ),
    Cause(
        id="pool_exhausted",
        title="pool exhausted, server has room",
        statement="All connections of a pool are in use while the server has room for more",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_exhausted, needs_pooler, f"no client waits for a full pool, or {NO_POOLER}"),
        justifies=("resize_pool",),
        signs="SHOW POOLS: cl_waiting above 0, maxwait of 3 s and more, sv_active at the pool's size, the server below 80 %.",
        by_hand=(SHOW_POOLS,),
        next="See why transactions hold their connection for so long; a larger pool helps only while the server has room.",
        decide="Low counts with a growing wait can also be a pool that is blocked: then a larger one only fills as well.",
    ),
    Cause(
        id="pooler_paused",
        title="pooler paused",
        statement="A database is paused in the pooler, and its clients wait",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_paused, needs_pooler, f"no database is paused, or {NO_POOLER}"),
        justifies=("resume_pool",),
        signs="SHOW DATABASES: paused is 1; where all is paused, only the pooler's log says so (PAUSE command issued).",
        by_hand=("sudo -u postgres psql -p 6432 -U pgbouncer pgbouncer -c 'SHOW DATABASES'",),
        next="Find out who paused it, and whether that work is over.",
        decide="Somebody paused it for a reason: a switch-over, or maintenance that may not be over.",
    ),
    Cause(
        id="pooler_down",
        title="pooler does not run",
        statement="The pooler does not run, and its clients get no connection",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_down, needs_pooler, f"the pooler answers, or {NO_POOLER}"),
        signs="The unit exists and is not active, and its port refuses.",
        by_hand=("systemctl status pgbouncer", "journalctl -u pgbouncer -n 30"),
        next="Read its last lines on {hosts}, then start it: systemctl start pgbouncer.",
        decide="Operator decision: whoever stopped it may have had a reason.",
    ),
    Cause(
        id="pooler_client_limit",
        title="pooler takes no more clients",
        statement="The pooler has all the clients that max_client_conn lets it have",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_clients, needs_pooler, f"the pooler takes more clients, or {NO_POOLER}"),
        signs="SQLSTATE 08P01 at the clients, used_clients at max_client_conn; the server's log has no 53300.",
        by_hand=("sudo -u postgres psql -p 6432 -U pgbouncer pgbouncer -c 'SHOW LISTS'",),
        next="Fewer idle clients, or a higher max_client_conn and file limit of the pooler. The server is not concerned.",
        decide="Operator decision: raising max_connections of the server would not help.",
    ),
    Cause(
        id="pool_arithmetic",
        title="pools larger than the server",
        statement="The pools together may open more connections than the server gives",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_arithmetic, needs_pooler, f"the pools together fit into the server, or {NO_POOLER}"),
        signs="Sizes of all pools (database x user) summed up are above max_connections less the reserved ones.",
        by_hand=(SHOW_POOLS,),
        next="Bound the sum with max_db_connections in the pooler.",
        decide="Operator decision: how the server's connections are shared out.",
    ),
    Cause(
        id="cancel_flood",
        title="flood of cancel requests",
        statement="Clients cancel their statements faster than the pooler can pass that on",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_cancels, needs_pooler, f"few cancel requests wait, or {NO_POOLER}"),
        signs="The cl_*cancel_req columns are high while few servers work.",
        by_hand=(SHOW_POOLS,),
        next="Stop the clients' short timeouts; a larger pool or shorter timeouts make it worse.",
        decide="Operator decision: the timeouts are the application's.",
    ),
    Cause(
        id="pooler_login",
        title="pooler cannot log in to the server",
        statement="The pooler's own login at the server fails",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_login, needs_pooler, f"no pool is stuck in its login, or {NO_POOLER}"),
        signs="SHOW POOLS: clients wait, and no server connection is there, or only such as log in, while the server lets us in.",
        by_hand=(SHOW_POOLS, "journalctl -u pgbouncer -n 30"),
        next="Compare userlist.txt or auth_query with the server's pg_hba.conf and password; look at its log.",
        decide="Operator decision: credentials are the team's.",
    ),
)
