# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes seen in who holds connections: leaks, storms, replicas, limits. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from collections import Counter

from ...._path.verdict.cause import Cause
from ...._path.verdict.judge import duration
from .. import impact
from ..reading import IN_TRANSACTION, Database
from ..types import Session
from .asked import Hit, asked, needs_server
from .locks import blocking

# From this share of what applications may have it is near enough to the limit to name who holds them.
NEAR = 0.8
# One group holds the connections where it has this share of them.
MOST_OF_THEM = 0.4
# A pool gives an idle connection back to work within seconds; one that idles longer is not used.
IDLE_S = 60
SLOW_S = 60
STORM_S = 120
# Clients that lost their connection come back within this time of a start.
AT_ONCE_S = 30
# A group from so many addresses, each with about as many connections, is one program run many times.
REPLICAS = 3
SHOW_GROUPS = (
    'psql -c "SELECT application_name, usename, state, count(*) FROM pg_stat_activity WHERE backend_type = '
    "'client backend' GROUP BY 1, 2, 3 ORDER BY 4 DESC\""
)


def is_near(database: Database) -> bool:
    """Whether applications have most of the connections that they may have, or all."""
    return database.problem("server")[0] == "exhausted" or (
        database.limit is not None and database.used >= NEAR * database.limit
    )


def leaked(database: Database) -> list[tuple[tuple[str, str, str], list[Session]]]:
    """Groups that hold many connections which have been idle for long. What a pooler holds is its reserve, no leak."""
    found = []
    for group, sessions in database.groups():
        idle = [s for s in sessions if s.state == "idle" and (s.changed_s or 0) >= IDLE_S and not database.pooled(s)]
        addresses = {session.client for session in sessions}
        # From several addresses it is one program run many times, with a pool in each: that is its size, no leak.
        if (
            len(addresses) < REPLICAS
            and database.pooler_pids is not None
            and database.limit
            and len(idle) >= max(3, MOST_OF_THEM * database.limit)
        ):
            found.append((group, sorted(idle, key=lambda session: -(session.changed_s or 0))))
    return found


def _leak(database: Database) -> t.Optional[Hit]:
    found = leaked(database)
    if not found or not is_near(database):
        return None
    (application, role, base), idle = found[0]
    text = f"{application or 'no application name'} ({role}@{base}) holds {len(idle)} connections that idle"
    return Hit(
        f"{text}, the longest for {duration(idle[0].changed_s or 0)}; applications may have {database.limit}", len(idle)
    )


def _storm(database: Database) -> t.Optional[Hit]:
    up = database.age_s(database.identity.get("started_at"))
    # One group that has idled for a minute since is a leak, whoever restarted what before.
    if not database.limit or up >= 2 * STORM_S or leaked(database) or not is_near(database):
        return None
    at_once = [s for s in database.clients if s.age_s is not None and s.age_s >= up - AT_ONCE_S]
    if len(at_once) < 0.5 * database.limit:
        return None
    text = f"the server started {duration(up)} ago, and {len(at_once)} connections came within {AT_ONCE_S} s of that"
    return Hit(text, len(at_once))


def _replicas(database: Database) -> t.Optional[Hit]:
    if not is_near(database) or not database.limit:
        return None
    for (application, role, base), sessions in database.groups():
        of = Counter(session.client for session in sessions if session.client)
        if (
            len(of) >= REPLICAS
            and len(sessions) >= MOST_OF_THEM * database.limit
            and max(of.values()) <= 2 * min(of.values())
        ):
            text = (
                f"{application or role} ({role}@{base}) runs {len(of)} times with up to {max(of.values())} connections"
            )
            return Hit(f"{text} each: {len(sessions)} of {database.limit}", len(sessions))
    return None


def slow(database: Database) -> list[Session]:
    """Statements that have run for long and wait for no lock, the longest first."""
    found = [
        s
        for s in database.clients
        if s.state == "active" and (s.query_s or 0) >= SLOW_S and s.pid not in database.waits
    ]
    return sorted(found, key=lambda session: -(session.query_s or 0))


def _slow(database: Database) -> t.Optional[Hit]:
    found = slow(database)
    busy = sum(pool.servers_active for pool in database.pools)
    much = max(3, 0.25 * (database.limit or 0))
    pooled = sum(1 for session in found if database.pooled(session))
    if len(found) < much and not (busy and pooled >= 0.5 * busy and impact.WAITING in impact.impacts(database)):
        return None
    return Hit(
        f"{len(found)} statements run for {duration(found[-1].query_s or 0)} and longer: '{found[0].query[:60]}'",
        len(found),
    )


def _full(database: Database) -> t.Optional[Hit]:
    felt = impact.impacts(database).get(impact.FULL)
    if felt is None:
        return None
    states = ", ".join(f"{number} {state}" for state, number in database.states().most_common(4))
    why = any((_leak(database), _storm(database), _replicas(database), _slow(database), blocking(database)))
    return Hit(f"{felt} ({states or 'their states are not seen'})", database.used or 1, symptom=True, explained=why)


def _limited(database: Database) -> t.Optional[Hit]:
    found = impact.limits(database)
    return Hit("; ".join(found[:3]), symptom=impact.LIMITED not in impact.impacts(database)) if found else None


def _transactions(database: Database) -> t.Optional[Hit]:
    """Open and idle for long, with nobody waiting: it holds back vacuum, and is a pile-up to come."""
    roots = {root.session.pid for root in blocking(database) if root.session}
    old = [
        s
        for s in database.clients
        if s.state in IN_TRANSACTION and (s.transaction_s or 0) >= 5 * SLOW_S and s.pid not in roots
    ]
    if not old:
        return None
    oldest = max(old, key=lambda session: session.transaction_s or 0)
    return Hit(
        f"{len(old)} transactions are open and idle, that of {oldest.who} for {duration(oldest.transaction_s or 0)}",
        len(old),
    )


CAUSES = (
    Cause(
        id="idle_leak",
        title="connections leaked by one application",
        statement="One application holds connections that it does not use, and takes them from the others",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_leak, needs_server, "no group holds many connections that have been idle for a minute"),
        justifies=("terminate_backends",),
        signs="One group of application, role and database has 40 % of the connections idle for a minute or longer, and the "
        "server is at 80 % or more. What the pooler holds is its reserve and does not count.",
        by_hand=(SHOW_GROUPS,),
        next="Restart or fix the application that leaks: it takes the connections again.",
        decide="Ended connections come back while their source goes on.",
    ),
    Cause(
        id="connection_storm",
        title="connection storm after a restart",
        statement="The server was restarted, and all clients came back at once",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_storm, needs_server, "the server did not restart, or its clients did not come back at once"),
        signs="The server started some minutes ago, and half of its connections came within half a minute of that.",
        by_hand=('psql -c "SELECT pg_postmaster_start_time()"', SHOW_GROUPS),
        next="Wait two minutes and look again; then let clients back off with jitter when they reconnect.",
        decide="Operator decision: ended sessions would come back in the same storm.",
    ),
    Cause(
        id="too_many_replicas",
        title="more replicas x pool than there is room",
        statement="One application runs in so many copies that their pools together are larger than the server's limit",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_replicas, needs_server, "no application holds most connections from several addresses"),
        signs="One group comes from three or more addresses with about as many connections each, and fills the server.",
        by_hand=(SHOW_GROUPS,),
        next="Lower the pool of each copy, or their number, or put a pooler between: copies x pool has to stay below the limit.",
        decide="Operator decision: the size of the application's pool is its own setting.",
    ),
    Cause(
        id="slow_statements",
        title="slow statements hold the connections",
        statement="Statements that run for a minute and longer hold the connections",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_slow, needs_server, "few statements have run for a minute, but for those that wait for locks"),
        signs="A quarter of the connections, or half of the pool's, run one statement for a minute without waiting for a lock.",
        by_hand=(
            "psql -c \"SELECT pid, now() - query_start, left(query, 60) FROM pg_stat_activity WHERE state = 'active' ORDER BY 2 DESC\"",
        ),
        next="Look at their plan (EXPLAIN) and what changed: statistics, an index, the amount of data, I/O.",
        decide="Operator decision: which statements may be cancelled is for their owners; the table shows what the runbook's "
        "rule of five minutes would hit.",
    ),
    Cause(
        id="role_or_database_limit",
        title="limit of a role or a database",
        statement="A role or a database has all the connections that its own limit lets it have",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_limited, needs_server, "no role and no database is at a limit of its own"),
        signs="CONNECTION LIMIT of the role or the database is reached while the server has room.",
        by_hand=('psql -c "SELECT rolname, rolconnlimit FROM pg_roles WHERE rolconnlimit >= 0"',),
        next="See why so many are needed before ALTER ROLE or ALTER DATABASE ... CONNECTION LIMIT.",
        decide="Operator decision: the limit was set by somebody for a reason.",
    ),
    Cause(
        id="server_full",
        title="server has no connection left",
        statement="Applications have all the connections that the server gives them",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_full, needs_server, "the server has connections left"),
        signs="Client sessions reach max_connections less the reserved ones, or the server refuses us with 53300.",
        by_hand=(SHOW_GROUPS,),
        next="Do not raise max_connections: it needs a restart, and memory for each. Find who holds them.",
    ),
    Cause(
        id="open_transactions",
        title="transactions left open",
        statement="Transactions have been open and idle for minutes; they hold back vacuum and what they locked",
        runbook_step="6",
        severity=None,
        predicate=asked(_transactions, needs_server, "no transaction has been open and idle for five minutes"),
        signs="State idle in transaction for five minutes, and nobody waits for it yet.",
        by_hand=(
            "psql -c \"SELECT pid, xact_start, left(query, 60) FROM pg_stat_activity WHERE state LIKE 'idle in%'\"",
        ),
        next="Set idle_in_transaction_session_timeout for that role.",
    ),
)
