# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes seen in who waits for whom. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from ...._path.verdict.cause import Cause
from ...._path.verdict.judge import duration
from ..reading import IN_TRANSACTION, LOCK_WAIT_S, Database
from ..types import Root, Session
from .asked import Hit, asked, needs_server, needs_waits

# Statements that want a table for themselves: what comes after them in the queue waits as well (PostgreSQL 13.3).
_DDL = re.compile(
    r"(?i)\s*(?:alter|drop|truncate|reindex|cluster|lock|create\s+(?:unique\s+)?(?:index|trigger|rule)|vacuum\s+\(?full"
    r"|refresh\s+materialized)\b"
)
# A prepared transaction that is older than a commit in two phases takes.
PREPARED_S = 300
SHOW_WAITS = (
    'psql -c "SELECT pid, pg_blocking_pids(pid), now() - query_start, left(query, 60) FROM pg_stat_activity WHERE '
    "wait_event_type = 'Lock'\""
)


def blocking(database: Database) -> list[Root]:
    """Roots that others have waited for long enough to count."""
    return [root for root in database.roots if any(database.waited_s(s) >= LOCK_WAIT_S for s in root.waiters)]


def idle_roots(database: Database) -> list[Root]:
    """Roots that have done nothing for as long as others wait: one that works again and again is not idle."""
    return [
        root
        for root in blocking(database)
        if root.session is not None
        and root.session.state in IN_TRANSACTION
        and (root.session.changed_s or 0) >= LOCK_WAIT_S
    ]


def working_roots(database: Database) -> list[Root]:
    return [
        root
        for root in blocking(database)
        if root.session is not None and root.session.is_client and root.session.state == "active"
    ]


def vacuum_roots(database: Database) -> list[Root]:
    return [
        root for root in blocking(database) if root.session is not None and root.session.type == "autovacuum worker"
    ]


def ddl_behind(database: Database, root: Root) -> list[tuple[Session, int]]:
    """Statements behind a root that want a table for themselves, with the number of sessions behind them, most first."""
    found = [(waiter, len(database.reach(waiter.pid))) for waiter in root.direct if _DDL.match(waiter.query)]
    return sorted(found, key=lambda entry: -entry[1])


def _behind(root: Root) -> str:
    session = root.session
    who = session.who if session else "a prepared transaction"
    since = f", its transaction open for {duration(session.transaction_s)}" if session and session.transaction_s else ""
    return f"{len(root.waiters)} wait behind {who}{since}"


def _of(roots: t.Callable[[Database], list[Root]]) -> t.Callable[[Database], t.Optional[Hit]]:
    def test(database: Database) -> t.Optional[Hit]:
        found = roots(database)
        if not found:
            return None
        return Hit(", ".join(_behind(root) for root in found[:3]), sum(len(root.waiters) for root in found))

    return test


def _ddl(database: Database) -> t.Optional[Hit]:
    queues = [
        (root, waiter, behind) for root in blocking(database) for waiter, behind in ddl_behind(database, root) if behind
    ]
    if not queues:
        return None
    root, waiter, behind = max(queues, key=lambda queue: queue[2])
    before = root.session.who if root.session else "a prepared transaction"
    text = f"{waiter.who} waits for {before} with '{waiter.query[:60]}', and {behind} queue behind it"
    return Hit(text, behind, explained=bool(idle_roots(database)))


def _prepared(database: Database) -> t.Optional[Hit]:
    behind = [root for root in blocking(database) if root.session is None]
    old = [row for row in database.rows("prepared") if database.age_s(row.get("prepared_at")) >= PREPARED_S]
    if not behind and not old:
        return None
    rows = old or database.rows("prepared")
    names = ", ".join(str(row.get("gid"))[:40] for row in rows[:3])
    text = f"{len(rows)} prepared transactions hold their locks ({names})"
    return Hit(text + "".join(f"; {_behind(root)}" for root in behind), sum(len(r.waiters) for r in behind) or 1)


CAUSES = (
    Cause(
        id="idle_in_transaction",
        title="idle in transaction, holding locks",
        statement="A session that does nothing holds locks that others wait for",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_of(idle_roots), needs_waits, "nobody waits for a session that is idle in a transaction"),
        justifies=("terminate_backends",),
        signs="The root of the lock chain is in state idle in transaction; those behind it have waited 10 s or longer.",
        by_hand=(SHOW_WAITS,),
        next="Find out in the application on {hosts} why it leaves a transaction open; end that session, not those who wait.",
        decide="The transaction is rolled back. Its application may still believe that it has it.",
    ),
    Cause(
        id="ddl_queue",
        title="DDL that waits, others behind it",
        statement="A change of a table waits for its lock, and every later statement queues behind it",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_ddl, needs_waits, "no statement that wants a table for itself waits with others behind it"),
        justifies=("cancel_backends",),
        signs="ALTER, DROP, TRUNCATE and the like wait for one session, and others wait for it.",
        by_hand=(SHOW_WAITS,),
        next="Run changes of tables with lock_timeout, when no long transaction runs.",
        decide="The cancelled change has done nothing yet and is run again later.",
    ),
    Cause(
        id="blocker_at_work",
        title="lock pile-up behind one statement",
        statement="One statement that still runs holds the locks that others wait for",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_of(working_roots), needs_waits, "nobody waits for a statement that still runs"),
        justifies=("cancel_backends",),
        signs="The root of the lock chain is active.",
        by_hand=(SHOW_WAITS,),
        next="See what the statement at the root on {hosts} does before it is cancelled: what it did is rolled back.",
        decide="A statement that has run for long may be nearly done, and its rollback can take as long.",
    ),
    Cause(
        id="vacuum_in_the_way",
        title="vacuum that has to run, others behind it",
        statement="An autovacuum that prevents wraparound holds a table that others wait for",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_of(vacuum_roots), needs_waits, "nobody waits for a vacuum"),
        signs="The root of the lock chain is an autovacuum worker; one that does not prevent wraparound gives way by itself.",
        by_hand=('psql -c "SELECT pid, phase, heap_blks_scanned, heap_blks_total FROM pg_stat_progress_vacuum"',),
        next="Let it end: it comes back if it is stopped. Cancel the change of the table that waits for it, and run it later.",
        decide="Operator decision: vacuum has to be done before transaction ids run out; what waits for it can be run later.",
    ),
    Cause(
        id="prepared_transaction",
        title="prepared transaction left behind",
        statement="A transaction that was prepared for a commit in two phases was never ended",
        runbook_step="6",
        severity="SEV-2",
        predicate=asked(_prepared, needs_server, "no prepared transaction is old or in anybody's way"),
        signs="pg_prepared_xacts has an old row, or process 0 is in the way of sessions that wait.",
        by_hand=('psql -c "SELECT gid, prepared, owner, database FROM pg_prepared_xacts"',),
        next="Ask its transaction manager whether it was to be committed, then COMMIT PREPARED or ROLLBACK PREPARED.",
        decide="Operator decision: only its transaction manager knows which of both is right; the wrong one loses data.",
        lasting=True,
    ),
)
