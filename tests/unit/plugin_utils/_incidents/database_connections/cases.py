# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of exhausted and blocked connections, each with what it has to come to."""

from __future__ import annotations

import typing as t

from tests.unit.plugin_utils._incidents.database_connections.build import (
    Data,
    at,
    evidence,
    failed,
    ok,
    pool,
    session,
    waiter,
)

REPORT = session(10, application="report", state="idle in transaction", transaction=60, changed=60, query_age=60)
BUSY = session(10, application="report", state="active", transaction=60, query_age=60)
ALTER = waiter(11, application="migrate", query="ALTER TABLE orders ADD COLUMN x int")
READERS = [waiter(pid) for pid in range(20, 28)]
IDLE = [session(pid, application="checkout", changed=300 + pid, query_age=400) for pid in range(100, 137)]
FULL_POOL = pool(cl_active=10, cl_waiting=20, sv_active=10, sv_idle=0, maxwait=12)
DOWN = failed("refused", "PostgreSQL: connection refused")
GONE = ok({"postmaster": None, "sessions": []})
STOPPED = {"load_state": "loaded", "active_state": "inactive"}


def mark(kind: str, ago: float = 5) -> Data:
    return {
        "path": "x.log",
        "marks": [{"kind": kind, "number": 3, "first_at": at(60), "last_at": at(ago), "text": "..."}],
    }


def paused(waiting: int) -> Data:
    base = {"name": "orders", "host": "127.0.0.1", "pool_size": 10, "paused": 1}
    settings = {"default_pool_size": "10", "max_client_conn": "100"}
    pools = [pool(cl_waiting=waiting, maxwait=9, sv_active=0, sv_idle=0)]
    return ok({"pools": pools, "databases": [base], "servers": [], "clients": 9, "settings": settings})


def keeping(pids: t.Iterable[int]) -> Data:
    base = {"name": "orders", "host": "127.0.0.1", "pool_size": 10, "paused": 0}
    servers = [{"database": "orders", "remote_pid": pid} for pid in pids]
    return ok(
        {
            "pools": [FULL_POOL],
            "databases": [base],
            "servers": servers,
            "clients": 30,
            "local": True,
            "settings": {"default_pool_size": "10", "max_client_conn": "100"},
        }
    )


def elsewhere(*hosts: str, local: bool = True) -> Data:
    """A full pool of the first of these hosts, and databases on all of them."""
    bases = [{"name": "orders", "host": hosts[0], "port": 5432, "pool_size": 10, "paused": 0}]
    bases += [{"name": host, "host": host, "port": 5432, "pool_size": 10, "paused": 0} for host in hosts[1:]]
    settings = {"default_pool_size": "10", "max_client_conn": "100"}
    return ok(
        {"pools": [FULL_POOL], "databases": bases, "servers": [], "clients": 30, "settings": settings, "local": local}
    )


def bounded(most: int) -> Data:
    base = {"name": "orders", "host": None, "pool_size": 10, "max_connections": most, "paused": 0}
    pools = [{**FULL_POOL, "sv_active": most}]
    settings = {"default_pool_size": "10", "max_client_conn": "100"}
    return ok({"pools": pools, "databases": [base], "servers": [], "clients": 30, "settings": settings, "local": True})


def unread(name: str) -> Data:
    server: Data = evidence([session(1)])["server"]
    server["data"][name] = failed("late", "canceling statement due to statement timeout")
    return server


def kept(seconds: float) -> list[Data]:
    return [session(pid, state="idle in transaction", transaction=seconds, changed=seconds) for pid in range(50, 60)]


def slow(number: int, first: int = 50) -> list[Data]:
    return [session(pid, state="active", query_age=400, transaction=400) for pid in range(first, first + number)]


# name: evidence, status, root causes, actions of the plan, actions that are withheld
CASES: dict[str, tuple[Data, str, set[str], list[str], list[str]]] = {
    "all is well": (evidence([session(1)]), "healthy", set(), [], []),
    "idle in transaction": (
        evidence([REPORT, *READERS], {row["pid"]: [10] for row in READERS}),
        "incident",
        {"idle_in_transaction"},
        ["terminate_backends"],
        [],
    ),
    "a backup holds the locks": (
        evidence([{**REPORT, "application": "pg_dump"}, *READERS], {row["pid"]: [10] for row in READERS}),
        "incident",
        {"idle_in_transaction"},
        [],
        ["terminate_backends"],
    ),
    "a superuser holds the locks": (
        evidence([{**REPORT, "privileged": True}, *READERS], {row["pid"]: [10] for row in READERS}),
        "incident",
        {"idle_in_transaction"},
        [],
        ["terminate_backends"],
    ),
    "DDL behind an idle reader": (
        evidence([REPORT, ALTER, *READERS], {11: [10], **{row["pid"]: [11] for row in READERS}}),
        "incident",
        {"idle_in_transaction", "ddl_queue"},
        ["terminate_backends"],
        [],
    ),
    "DDL behind a reader at work": (
        evidence([BUSY, ALTER, *READERS], {11: [10], **{row["pid"]: [11] for row in READERS}}),
        "incident",
        {"blocker_at_work", "ddl_queue"},
        ["cancel_backends"],
        [],
    ),
    "DDL behind a backup at work": (
        evidence(
            [{**BUSY, "application": "pg_dump"}, ALTER, *READERS], {11: [10], **{row["pid"]: [11] for row in READERS}}
        ),
        "incident",
        {"blocker_at_work", "ddl_queue"},
        ["cancel_backends"],
        [],
    ),
    "a statement at work holds the locks": (
        evidence([BUSY, *READERS], {row["pid"]: [10] for row in READERS}),
        "incident",
        {"blocker_at_work"},
        ["cancel_backends"],
        [],
    ),
    "a vacuum holds the table": (
        evidence([{**BUSY, "type": "autovacuum worker", "role": None, "application": ""}, ALTER], {11: [10]}),
        "incident",
        {"vacuum_in_the_way"},
        [],
        [],
    ),
    "a vacuum holds the table, readers behind the change": (
        evidence(
            [{**BUSY, "type": "autovacuum worker", "role": None, "application": ""}, ALTER, *READERS],
            {11: [10], **{row["pid"]: [11] for row in READERS}},
        ),
        "incident",
        {"vacuum_in_the_way", "ddl_queue"},
        ["cancel_backends"],
        [],
    ),
    "a prepared transaction holds them": (
        evidence(
            READERS,
            {row["pid"]: [0] for row in READERS},
            prepared=[{"gid": "batch", "role": "app", "database": "orders", "prepared_at": at(900)}],
        ),
        "incident",
        {"prepared_transaction"},
        [],
        [],
    ),
    "a wait of two seconds is none": (
        evidence([REPORT, waiter(20, query_age=2)], {20: [10]}),
        "healthy",
        set(),
        [],
        [],
    ),
    "leak": (evidence(IDLE), "incident", {"idle_leak"}, ["terminate_backends"], []),
    "leak, nobody refused yet": (evidence(IDLE[:31]), "degraded", {"idle_leak"}, [], []),
    "a pooler's reserve is no leak": (
        evidence(
            IDLE[:31],
            pooler=ok(
                {
                    "pools": [pool()],
                    "databases": [],
                    "clients": 3,
                    "settings": {},
                    "local": True,
                    "servers": [{"database": "orders", "remote_pid": row["pid"]} for row in IDLE],
                }
            ),
        ),
        "healthy",
        set(),
        [],
        [],
    ),
    "replicas": (
        evidence([session(pid, client=f"10.0.0.{pid % 4}", application="api") for pid in range(1, 38)]),
        "incident",
        {"too_many_replicas"},
        [],
        [],
    ),
    "storm": (
        evidence([session(pid, started=50) for pid in range(1, 38)], identity={"started_at": at(60)}),
        "incident",
        {"connection_storm"},
        [],
        [],
    ),
    "slow statements fill the server": (evidence(slow(37)), "incident", {"slow_statements"}, [], []),
    "pool exhausted": (evidence([session(1)], pools=[FULL_POOL]), "incident", {"pool_exhausted"}, ["resize_pool"], []),
    "pool held by idle transactions": (
        evidence(kept(30), pooler=keeping(range(50, 60))),
        "incident",
        {"pool_held_idle"},
        [],
        ["resize_pool"],
    ),
    "pool held by idle transactions for a minute": (
        evidence(kept(90), pooler=keeping(range(50, 60))),
        "incident",
        {"pool_held_idle"},
        ["terminate_backends"],
        ["resize_pool"],
    ),
    "pool exhausted, its sessions are blocked": (
        evidence([REPORT, *READERS], {row["pid"]: [10] for row in READERS}, pools=[FULL_POOL]),
        "incident",
        {"idle_in_transaction"},
        ["terminate_backends"],
        [],
    ),
    "pool with a size of its own": (
        evidence(
            [session(1)],
            pooler=ok(
                {
                    "pools": [FULL_POOL],
                    "databases": [{"name": "orders", "pool_size": 10, "paused": 0}],
                    "servers": [],
                    "clients": 30,
                    "settings": {"default_pool_size": "20"},
                    "local": True,
                }
            ),
        ),
        "incident",
        {"pool_exhausted"},
        [],
        ["resize_pool"],
    ),
    "pool exhausted, server nearly full": (
        evidence(slow(28), pools=[FULL_POOL]),
        "incident",
        {"slow_statements", "pool_exhausted"},
        [],
        ["resize_pool"],
    ),
    "paused": (evidence(pooler=paused(8)), "incident", {"pooler_paused"}, ["resume_pool"], []),
    "all is paused": (
        evidence(
            pools=[pool(cl_active=0, cl_waiting=8, maxwait=0, sv_active=0, sv_idle=0)],
            pooler_log=ok({"path": "x", "order": {"word": "PAUSE", "pid": 77, "at": at(60)}, "failed_logins": 0}),
            units=ok({"pgbouncer.service": {"active_state": "active", "main_pid": 77}}),
        ),
        "incident",
        {"pooler_paused"},
        ["resume_pool"],
        [],
    ),
    "an earlier pooler was paused": (
        evidence(
            pooler_log=ok({"path": "x", "order": {"word": "PAUSE", "pid": 76, "at": at(60)}, "failed_logins": 0}),
            units=ok({"pgbouncer.service": {"active_state": "active", "main_pid": 77}}),
        ),
        "healthy",
        set(),
        [],
        [],
    ),
    "pools without a server": (
        evidence(pools=[pool(cl_active=0, cl_waiting=8, maxwait=0, sv_active=0, sv_idle=0)]),
        "incident",
        {"pooler_login"},
        [],
        [],
    ),
    "paused, nobody waits": (evidence(pooler=paused(0)), "degraded", {"pooler_paused"}, [], []),
    "pooler down": (
        evidence(pooler=DOWN, units=ok({"pgbouncer.service": STOPPED})),
        "incident",
        {"pooler_down"},
        [],
        [],
    ),
    "no pooler at all": (evidence(pooler=DOWN, units=ok({"pgbouncer.service": None})), "healthy", set(), [], []),
    "pooler takes no more clients": (
        evidence(
            pooler=ok(
                {"pools": [], "databases": [], "servers": [], "clients": 100, "settings": {"max_client_conn": "100"}}
            )
        ),
        "incident",
        {"pooler_client_limit"},
        [],
        [],
    ),
    "role limit": (
        evidence([session(1), session(2)], roles=[{"name": "app", "connection_limit": 2}], log=ok(mark("role_limit"))),
        "incident",
        {"role_or_database_limit"},
        [],
        [],
    ),
    "a role that uses its limit steadily": (
        evidence([session(1), session(2)], roles=[{"name": "app", "connection_limit": 2}]),
        "healthy",
        set(),
        [],
        [],
    ),
    "idle connections from several addresses are pools": (
        evidence([{**row, "client": f"10.0.0.{row['pid'] % 5}"} for row in IDLE]),
        "incident",
        {"too_many_replicas"},
        [],
        [],
    ),
    "a pool of another server": (
        evidence([session(1)], pooler=elsewhere("db2.example.org")),
        "healthy",
        set(),
        [],
        [],
    ),
    "the pooler serves another server as well": (
        evidence([session(1)], pooler=elsewhere("127.0.0.1", "db2.example.org")),
        "incident",
        {"pool_exhausted"},
        [],
        ["resize_pool"],
    ),
    "a pool that its database bounds": (
        evidence([session(1)], pooler=bounded(6)),
        "incident",
        {"pool_exhausted"},
        [],
        ["resize_pool"],
    ),
    "a pooler on another host": (
        evidence([session(1)], pooler=elsewhere("127.0.0.1", local=False)),
        "incident",
        {"pool_exhausted"},
        [],
        ["resize_pool"],
    ),
    "others wait for the root, nobody for the change of a table": (
        evidence([BUSY, ALTER, *READERS], {pid: [10] for pid in (11, *(row["pid"] for row in READERS))}),
        "incident",
        {"blocker_at_work"},
        ["cancel_backends"],
        [],
    ),
    "a session that works and has just met a lock": (
        evidence(
            [{**REPORT, "changed_at": at(0)}, waiter(20, query_age=3600)],
            waits=[{"pid": 20, "blocked_by": [10], "waits_since": at(1)}],
        ),
        "healthy",
        set(),
        [],
        [],
    ),
    "slots that could not be read": (
        evidence([session(1)], server=unread("slots")),
        "unknown",
        set(),
        [],
        [],
    ),
    "another socket than the server's": (
        evidence(server=failed("refused", "No such file or directory")),
        "unknown",
        set(),
        [],
        [],
    ),
    "no space on the disk of pg_wal": (evidence(log=ok(mark("no_space"))), "degraded", {"no_space"}, [], []),
    "server refuses even us, leak unseen": (
        evidence(server=failed("exhausted", "sorry, too many clients already")),
        "incident",
        set(),
        [],
        [],
    ),
    "stopped": (
        evidence(server=DOWN, processes=GONE, units=ok({"postgresql@15-main.service": STOPPED})),
        "incident",
        {"server_stopped"},
        [],
        [],
    ),
    "starting": (
        evidence(server=failed("starting", "the database system is starting up")),
        "incident",
        {"server_starting"},
        [],
        [],
    ),
    "written standby": (
        evidence(identity={"in_recovery": True}, log=ok(mark("read_only"))),
        "incident",
        {"standby_written"},
        [],
        [],
    ),
    "standby that nobody writes to": (evidence(identity={"in_recovery": True}), "healthy", set(), [], []),
    "disk full": (
        evidence(disk=ok({"path": "/x", "bytes": 1000, "free_bytes": 0, "inodes": 100, "free_inodes": 50})),
        "incident",
        {"no_space"},
        [],
        [],
    ),
    "old transactions": (
        evidence(databases=[{"name": "orders", "connection_limit": -1, "age": 1_900_000_000}]),
        "degraded",
        {"wraparound"},
        [],
        [],
    ),
    "unused slot": (
        evidence(slots=[{"name": "old", "active": False, "retained_bytes": 5 * 2**30}]),
        "degraded",
        {"inactive_slot"},
        [],
        [],
    ),
    "the login sees only itself": (evidence([session(1)], identity={"sees_all": False}), "unknown", set(), [], []),
    "wrong password": (evidence(server=failed("login", "password authentication failed")), "unknown", set(), [], []),
    "no library": (evidence(server=failed("library", "no psycopg2")), "unknown", set(), [], []),
}
