# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a database host: sessions, locks, limits, the pooler, the server. Each load ends by itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fleet import database
from tests.fleet.faults.disk import fill
from tests.fleet.faults.kind import Fault, NotMade, Saved, number
from tests.fleet.host import Box
from tests.fleet.run import Failed

LOAD = Path(__file__).parents[1] / "sessions.py"
ON_HOST = "/usr/local/lib/fleet/sessions.py"
LONGEST_S = 900
# A row that everybody wants. The statement changes nothing, however often it is committed.
UPDATE = "UPDATE orders SET note = note WHERE id = 1"
READ = "SELECT count(*) FROM orders"
MIGRATION = "ALTER TABLE orders ADD COLUMN IF NOT EXISTS migrated_at timestamptz"
PREPARED = "nightly-batch"
SLOT = "old_replica"
SEGMENTS = 6
LIMIT = 5
LEFT_FREE = 2

FREE = """current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int - count(*)
 FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""


class Load:
    """The sessions that one kind of fault makes on a host."""

    def __init__(self, box: Box, kind: str) -> None:
        self.box = box
        self.kind = kind
        target = box.directory / "root" / ON_HOST.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(LOAD, target)

    def begin(
        self,
        application: str,
        count: int,
        *statements: str,
        user: str = "app",
        where: str = "orders",
        port: int = database.SERVER_PORT,
        again: bool = False,
    ) -> None:
        """Start sessions of an application; that they do what they should is for the caller to wait for."""
        connect: dict[str, str | int] = {
            "host": "127.0.0.1",
            "port": port,
            "user": user,
            "dbname": where,
            "application_name": application,
        }
        if port == database.SERVER_PORT:
            # Else a session that waits for a lock would outlive its client, and the healing.
            connect["options"] = "-c client_connection_check_interval=1s"
        load = {"count": count, "statements": statements, "again": again, "connect": connect}
        options = ("--quiet", "--collect", f"--property=RuntimeMaxSec={LONGEST_S}", "--nice=5")
        unit = f"--unit={unit_name(self.kind, application)}"
        password = f"--setenv=PGPASSWORD={database.PASSWORDS[user]}"
        self.box.must("systemd-run", *options, unit, password, "/usr/bin/python3", "-I", ON_HOST, json.dumps(load))

    def wait(self, application: str, count: int, which: str = "true") -> None:
        """Until so many sessions of an application are as the condition says."""
        found = f"count(*) = {count} FROM pg_stat_activity WHERE application_name = '{application}' AND {which}"
        what = f"{count} sessions of {application} with {which}"
        database.until(self.box, what, lambda: database.holds(self.box, found))


def unit_name(kind: str, application: str) -> str:
    return f"fleet-{kind}-{application}"


IDLE = "state = 'idle'"
ACTIVE = "state = 'active'"
IN_TRANSACTION = "state = 'idle in transaction'"
WAITING = "wait_event_type = 'Lock'"


def _free(box: Box) -> int:
    """How many more sessions the server takes from those who are no superusers."""
    return int(database.sql(box, f"SELECT {FREE}"))


def _until_refused(box: Box, role: str, where: str) -> None:
    """SQLSTATE 53300, which psql does not show for a session that it does not get."""

    def refused() -> bool:
        said = database.attempt(box, role, where, database.SERVER_PORT)
        return "too many c" in said or "connection slots are reserved" in said

    database.until(box, f"a session of {role} is refused", refused)


def _idle_leak(box: Box, arguments: Sequence[str]) -> Saved:
    free = _free(box)
    count = number(arguments[0]) if arguments else free
    if not 0 < count <= free:
        raise NotMade(f"db-idle-leak: {count} sessions: the server takes {free} more")
    load = Load(box, "db-idle-leak")
    load.begin("checkout", count)
    load.wait("checkout", count, IDLE)
    return {}


def _idle_in_transaction(box: Box, _arguments: Sequence[str]) -> Saved:
    load = Load(box, "db-idle-in-transaction")
    load.begin("report", 1, "BEGIN", UPDATE)
    load.wait("report", 1, IN_TRANSACTION)
    load.begin("shop", 6, UPDATE)
    load.wait("shop", 6, WAITING)
    return {}


def _ddl_pileup(box: Box, _arguments: Sequence[str]) -> Saved:
    load = Load(box, "db-ddl-pileup")
    load.begin("report", 1, "BEGIN", READ)
    load.wait("report", 1, IN_TRANSACTION)
    load.begin("migrate", 1, MIGRATION, user="deploy")
    load.wait("migrate", 1, WAITING)
    load.begin("shop", 8, READ)
    load.wait("shop", 8, WAITING)
    return {}


def _slow_queries(box: Box, arguments: Sequence[str]) -> Saved:
    """All scan the table for minutes: one computes, with the lowest priority, the others sleep at each row."""
    count = number(arguments[0]) if arguments else 12
    free = _free(box)
    if not 0 < count <= free:
        raise NotMade(f"db-slow-queries: {count} sessions: the server takes {free} more")
    bound = f"SET statement_timeout = '{LONGEST_S}s'"
    load = Load(box, "db-slow-queries")
    compute = "SELECT count(*) FROM orders a CROSS JOIN orders b CROSS JOIN orders c WHERE a.note < b.note || c.note"
    load.begin("shop", count - 1, bound, "SELECT count(*) FROM orders WHERE pg_sleep(0.8) IS NOT NULL")
    load.wait("shop", count - 1, ACTIVE)
    load.kind = "db-slow-queries-join"
    load.begin("shop", 1, bound, compute)
    load.wait("shop", count, f"{ACTIVE} AND query LIKE 'SELECT%'")
    joining = database.sql(
        box, "SELECT pid FROM pg_stat_activity WHERE query LIKE '%CROSS JOIN orders c%' AND pid <> pg_backend_pid()"
    )
    box.must("renice", "-n", "19", "-p", joining)
    return {}


def _pool(box: Box, name: str) -> dict[str, int]:
    """The numbers of the pool of ``app`` in a database; 0 where there is none yet."""
    rows = [row for row in database.admin(box, "SHOW POOLS") if (row["database"], row["user"]) == (name, "app")]
    keys = ("cl_active", "cl_waiting", "sv_active")
    return {key: int(rows[0][key]) if rows else 0 for key in keys}


def _close_pool(box: Box) -> None:
    """Close the connections to the server that the pooler keeps for later: they count against limits too."""
    database.admin(box, "RECONNECT")


def _pool_exhausted(box: Box, _arguments: Sequence[str]) -> Saved:
    # The pooler sends away who waited for two minutes, and an application tries again.
    Load(box, "db-pool-exhausted").begin("shop", 30, "BEGIN", READ, port=database.POOLER_PORT, again=True)
    wanted = {"cl_active": 10, "cl_waiting": 20, "sv_active": 10}
    database.until(box, "10 clients hold the pool and 20 wait", lambda: _pool(box, "orders") == wanted)
    return {}


def _server_full(box: Box, _arguments: Sequence[str]) -> Saved:
    load = Load(box, "db-server-full")
    load.begin("shop", 12)
    load.begin("invoices", 8, "SELECT pg_sleep(900)", user="billing", where="billing")
    load.begin("pg_dump", 4, "BEGIN", READ, user="backup")
    load.wait("shop", 12, IDLE)
    load.wait("invoices", 8, ACTIVE)
    load.wait("pg_dump", 4, IN_TRANSACTION)
    rest = _free(box)
    load.begin("worker", rest, where="billing")
    load.wait("worker", rest, IDLE)
    _until_refused(box, "monitor", "orders")
    return {}


def _prepared(box: Box, _arguments: Sequence[str]) -> Saved:
    done = f"BEGIN; {UPDATE}; PREPARE TRANSACTION '{PREPARED}'"
    said = database.attempt(box, "app", "orders", database.SERVER_PORT, done)
    if not database.holds(box, "count(*) = 1 FROM pg_prepared_xacts"):
        raise Failed(f"{box.name}: no prepared transaction is left: {said}")
    load = Load(box, "db-prepared")
    load.begin("shop", 4, UPDATE)
    load.wait("shop", 4, WAITING)
    return {}


def _role_limit(box: Box, _arguments: Sequence[str]) -> Saved:
    _close_pool(box)
    database.sql(box, f"ALTER ROLE app CONNECTION LIMIT {LIMIT}")
    load = Load(box, "db-role-limit")
    load.begin("shop", LIMIT)
    load.wait("shop", LIMIT, IDLE)
    _until_refused(box, "app", "orders")
    return {}


def _database_limit(box: Box, _arguments: Sequence[str]) -> Saved:
    _close_pool(box)
    database.sql(box, f"ALTER DATABASE billing CONNECTION LIMIT {LIMIT}")
    load = Load(box, "db-database-limit")
    load.begin("invoices", LIMIT, user="billing", where="billing")
    load.wait("invoices", LIMIT, IDLE)
    _until_refused(box, "app", "billing")
    return {}


def _pooler_paused(box: Box, _arguments: Sequence[str]) -> Saved:
    database.admin(box, "PAUSE")
    Load(box, "db-pooler-paused").begin("shop", 8, READ, port=database.POOLER_PORT, again=True)
    database.until(box, "8 clients wait", lambda: _pool(box, "orders")["cl_waiting"] == 8)
    return {}


def _standby(box: Box, _arguments: Sequence[str]) -> Saved:
    box.must("runuser", "-u", "postgres", "--", "touch", f"{database.DATA}/standby.signal")
    box.must("systemctl", "restart", database.SERVER)
    database.until(box, "the server is in recovery", lambda: database.holds(box, "pg_is_in_recovery()"))
    return {}


def _stop(unit: str) -> Callable[[Box, Sequence[str]], Saved]:
    def inject(box: Box, _arguments: Sequence[str]) -> Saved:
        box.must("systemctl", "stop", unit)
        return {}

    return inject


def _killed(box: Box, _arguments: Sequence[str]) -> Saved:
    load = Load(box, "db-killed")
    load.begin("shop", 6, again=True)
    load.wait("shop", 6, IDLE)
    newest = database.sql(box, "SELECT max(backend_start) FROM pg_stat_activity WHERE application_name = 'shop'")
    victim = database.sql(box, "SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'shop'")
    box.must("kill", "-9", victim)
    load.wait("shop", 6, f"{IDLE} AND backend_start > '{newest}'")
    return {}


def _restart_storm(box: Box, _arguments: Sequence[str]) -> Saved:
    count = _free(box) - LEFT_FREE
    load = Load(box, "db-restart-storm")
    load.begin("shop", count, again=True)
    load.wait("shop", count, IDLE)
    newest = database.sql(box, "SELECT max(backend_start) FROM pg_stat_activity WHERE application_name = 'shop'")
    box.must("systemctl", "restart", database.SERVER)
    load.wait("shop", count, f"{IDLE} AND backend_start > '{newest}'")
    return {}


def _disk_full(box: Box, _arguments: Sequence[str]) -> Saved:
    fill(box)
    more = "INSERT INTO orders SELECT number, repeat('x', 200) FROM generate_series(10001, 12000) number"

    def refused() -> bool:
        return "53100" in database.attempt(box, "app", "orders", database.SERVER_PORT, more)

    database.until(box, "the table cannot grow (53100)", refused)
    return {}


def _replication_slot(box: Box, _arguments: Sequence[str]) -> Saved:
    database.sql(box, f"SELECT pg_create_physical_replication_slot('{SLOT}', true)")
    for _segment in range(SEGMENTS):
        database.sql(box, "SELECT pg_logical_emit_message(false, 'fleet', 'x')", "SELECT pg_switch_wal()")
    kept = f"pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) > {SEGMENTS - 1} * 16777216 FROM pg_replication_slots"
    database.until(box, "the slot retains WAL", lambda: database.holds(box, kept))
    return {}


def _vacuum(box: Box, _arguments: Sequence[str]) -> Saved:
    """An autovacuum that prevents wraparound, so it does not give way to the migration that waits for it."""
    slow = "autovacuum_freeze_max_age = 100000, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1"
    database.sql(
        box,
        "SET ROLE app",
        f"CREATE TABLE audit (id int, note text) WITH ({slow})",
        "INSERT INTO audit SELECT number, repeat('x', 1000) FROM generate_series(1, 14000) number",
        "RESET ROLE",
        # The age of a table is the number of transactions since.
        "SET synchronous_commit = off",
        "DO $$ BEGIN FOR spent IN 1..101000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$",
        "ALTER SYSTEM SET autovacuum_naptime = '1s'",
        "SELECT pg_reload_conf()",
        database="orders",
    )
    worker = "EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'autovacuum: VACUUM%public.audit%wraparound)')"
    database.until(box, "autovacuum works on the table", lambda: database.holds(box, worker))
    database.sql(box, "ALTER SYSTEM RESET autovacuum_naptime", "SELECT pg_reload_conf()")
    load = Load(box, "db-vacuum")
    load.begin("migrate", 1, "ALTER TABLE audit ADD COLUMN migrated_at timestamptz", user="deploy")
    load.wait("migrate", 1, WAITING)
    return {}


FAULTS = tuple(
    Fault(kind, usage, about, inject, 0, most, once=True, service="database")
    for kind, usage, about, inject, most in (
        ("db-idle-leak", "HOST [N]", "checkout holds idle connections, by default all", _idle_leak, 1),
        ("db-idle-in-transaction", "HOST", "report left a transaction open, 6 wait for it", _idle_in_transaction, 0),
        ("db-ddl-pileup", "HOST", "an ALTER TABLE waits for a reader, 8 readers for it", _ddl_pileup, 0),
        ("db-slow-queries", "HOST [N]", "shop runs N (12) queries that take minutes", _slow_queries, 1),
        ("db-pool-exhausted", "HOST", "10 clients hold the pool of the pooler, 20 wait", _pool_exhausted, 0),
        ("db-server-full", "HOST", "several applications fill max_connections", _server_full, 0),
        ("db-prepared", "HOST", "a prepared transaction is left with locks, 4 wait", _prepared, 0),
        ("db-role-limit", "HOST", "the role app has all 5 connections it may have", _role_limit, 0),
        ("db-database-limit", "HOST", "the same for the database billing", _database_limit, 0),
        ("db-pooler-paused", "HOST", "the pooler is paused, 8 clients wait", _pooler_paused, 0),
        ("db-standby", "HOST", "the server is in recovery: it only reads", _standby, 0),
        ("db-stopped", "HOST", "the server's unit is stopped", _stop(database.SERVER), 0),
        ("db-pooler-down", "HOST", "the pooler's unit is stopped", _stop(database.POOLER), 0),
        ("db-killed", "HOST", "SIGKILL to a session's process: the server restarts all", _killed, 0),
        ("db-disk-full", "HOST", "no byte is free on the disk of the cluster", _disk_full, 0),
        ("db-restart-storm", "HOST", "the server restarts and 35 clients come back at once", _restart_storm, 0),
        ("db-replication-slot", "HOST", "an inactive slot retains WAL", _replication_slot, 0),
        ("db-vacuum", "HOST", "an autovacuum takes minutes, an ALTER TABLE waits for it", _vacuum, 0),
    )
)


KINDS = frozenset(fault.kind for fault in FAULTS)

# Healing


def _end_loads(box: Box, kind: str) -> None:
    box.must("systemctl", "stop", f"{unit_name(kind, '*')}.service")


def _no_prepared(box: Box) -> None:
    for name in database.DATABASES:
        mine = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
        left = database.sql(box, mine, database=name)
        for gid in left.splitlines():
            database.sql(box, f"ROLLBACK PREPARED '{gid}'", database=name)


def _no_migration(box: Box) -> None:
    migrating = "EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'migrate')"
    database.until(box, "no migration runs", lambda: database.holds(box, f"NOT {migrating}"))
    quiet = "SET client_min_messages = error"
    database.sql(box, quiet, "ALTER TABLE orders DROP COLUMN IF EXISTS migrated_at", database="orders")


def _no_limits(box: Box) -> None:
    database.sql(box, "ALTER ROLE app CONNECTION LIMIT -1", "ALTER DATABASE billing CONNECTION LIMIT -1")


def _no_slots(box: Box) -> None:
    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
    database.sql(box, drop, "CHECKPOINT")


def _no_standby(box: Box) -> None:
    signal = box.disk / "15/main/standby.signal"
    if signal.exists():
        signal.unlink()
        box.must("systemctl", "restart", database.SERVER)


def _free_disk(box: Box) -> None:
    (box.disk / "stuffing").unlink(missing_ok=True)


def _no_vacuum(box: Box) -> None:
    database.sql(box, "ALTER SYSTEM RESET autovacuum_naptime", "SELECT pg_reload_conf()")
    worker = "FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"

    def dropped() -> bool:
        # The next worker may be there at once, and does not give way either.
        database.sql(box, f"SELECT pg_terminate_backend(pid) {worker}")
        try:
            quiet = "SET client_min_messages = error"
            database.sql(box, quiet, "SET lock_timeout = '1s'", "DROP TABLE IF EXISTS audit", database="orders")
        except Failed:
            return False
        return True

    database.until(box, "the vacuumed table is dropped", dropped)


UNDO: dict[str, Callable[[Box], None]] = {
    "db-ddl-pileup": _no_migration,
    "db-prepared": _no_prepared,
    "db-role-limit": _no_limits,
    "db-database-limit": _no_limits,
    "db-pool-exhausted": _close_pool,
    "db-pooler-paused": database.restart_pooler,
    "db-standby": _no_standby,
    "db-replication-slot": _no_slots,
    "db-vacuum": _no_vacuum,
}


def heal(box: Box, kind: str) -> None:
    """Undo one kind of fault, and run both services; other faults of the host stay."""
    _end_loads(box, kind)
    if kind == "db-disk-full":
        _free_disk(box)
    database.start(box)
    if kind in UNDO:
        database.until(box, "the server answers", lambda: database.holds(box, "true"))
        UNDO[kind](box)


def heal_all(box: Box) -> None:
    """A database host as it was made, whatever was done to it."""
    _end_loads(box, "*")
    _free_disk(box)
    database.start(box)
    _no_standby(box)
    database.until(box, "the server answers", lambda: database.holds(box, "true"))
    database.terminate_clients(box)
    database.sql(box, "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")
    for undo in (_no_prepared, _no_migration, _no_limits, _no_slots, _no_vacuum, database.restart_pooler):
        undo(box)
    database.wait_ready(box)
