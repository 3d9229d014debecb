# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the causes of exhausted or blocked connections make of evidence, and what is planned for each."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.database_connections import verdict
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.database_connections.incident import (
    DATABASE_CONNECTIONS,
)

from tests.unit.plugin_utils._incidents.database_connections.build import (
    Data,
    at,
    bundle,
    evidence,
    failed,
    ok,
    pool,
    session,
    twice,
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
    servers = [{"local_port": 40000 + pid} for pid in pids]
    return ok(
        {
            "pools": [FULL_POOL],
            "databases": [base],
            "servers": servers,
            "clients": 30,
            "settings": {"default_pool_size": "10", "max_client_conn": "100"},
        }
    )


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
                    "servers": [{"local_port": row["port"]} for row in IDLE],
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
        evidence([session(pid, started=20) for pid in range(1, 38)], identity={"started_at": at(60)}),
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
        evidence([session(1), session(2)], roles=[{"name": "app", "connection_limit": 2}]),
        "incident",
        {"role_or_database_limit"},
        [],
        [],
    ),
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


def planned(made: Data) -> tuple[Data, Data]:
    judged = DATABASE_CONNECTIONS.assess(made)
    return judged, DATABASE_CONNECTIONS.plan(made, judged, None)


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_and_the_plan(name: str) -> None:
    data, status, roots, actions, withheld = CASES[name]
    judged, draft = planned(twice(data))
    assert judged["status"] == status, judged["summary"]
    assert {cause["id"] for cause in judged["causes"] if cause["role"] == "root"} == roots
    assert [step["action"] for step in draft["steps"]] == actions
    assert [entry["action"] for entry in draft["withheld"]] == withheld
    assert bool(draft["decision"]) == (status == "incident" and not actions)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[1] == "incident"])
def test_one_look_plans_nothing(name: str) -> None:
    judged, draft = planned(bundle(CASES[name][0]))
    assert judged["status"] == "incident" and not judged["confirmed"]
    assert draft["steps"] == [] and "second look" in draft["decision"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[1] == "incident"])
def test_what_began_between_the_looks_is_not_confirmed(name: str) -> None:
    judged, draft = planned(bundle(evidence([session(1)]), CASES[name][0]))
    assert judged["status"] == "incident" and not judged["confirmed"] and draft["steps"] == []


def test_a_host_that_is_no_target_gets_no_step() -> None:
    data = CASES["idle in transaction"][0]
    assert planned(twice(data, target=False))[1]["steps"] == []


def test_a_host_that_was_not_reached_is_never_healthy() -> None:
    judged, draft = planned(twice(None))
    assert judged["status"] == "unknown" and draft["steps"] == []
    assert "no route to host" in judged["summary"]


def test_names_of_the_team_are_protected() -> None:
    data = CASES["idle in transaction"][0]
    for settings in (
        {"database_connections_protected_applications": ["rep"]},
        {"database_connections_protected_roles": ["app"]},
    ):
        draft = planned(twice(data, **settings))[1]
        assert draft["steps"] == [] and "is protected" in draft["withheld"][0]["why"]


def test_a_leak_is_ended_only_as_far_as_applications_need() -> None:
    (step,) = planned(twice(CASES["leak"][0]))[1]["steps"]
    pids = [backend["pid"] for backend in step["parameters"]["backends"]]
    # 37 in use, 70 % of 37 is 25: twelve of them, those that have idled for longest.
    assert pids == list(range(136, 124, -1))
    assert step["impact"] == {"label": "free connections", "before": 0, "after": 12, "needed": 4}


def test_every_cause_is_made_by_a_case() -> None:
    made = {cause["id"] for case in CASES.values() for cause in DATABASE_CONNECTIONS.assess(twice(case[0]))["causes"]}
    unmade = {cause.id for cause in verdict.CAUSES} - made
    assert unmade == {"open_transactions", "pool_arithmetic", "cancel_flood", "backend_killed"}


SMALL: dict[str, tuple[Data, str]] = {
    "open_transactions": (evidence([{**REPORT, "transaction_at": at(900)}]), "degraded"),
    "pool_arithmetic": (evidence(pools=[pool(user=str(number)) for number in range(5)]), "healthy"),
    "cancel_flood": (evidence(pools=[pool(cl_waiting_cancel_req=40, sv_active=1)]), "degraded"),
    "pooler_login": (evidence(pools=[pool(cl_waiting=5, maxwait=9, sv_login=1, sv_active=0, sv_idle=0)]), "incident"),
    "backend_killed": (evidence(log=ok(mark("killed"))), "healthy"),
}


@pytest.mark.parametrize("name", SMALL)
def test_the_other_causes(name: str) -> None:
    data, status = SMALL[name]
    judged = DATABASE_CONNECTIONS.assess(twice(data))
    assert name in {cause["id"] for cause in judged["causes"]} and judged["status"] == status


@pytest.mark.parametrize("cause", verdict.CAUSES, ids=lambda cause: str(cause.id))
def test_every_cause_says_what_a_person_does(cause: t.Any) -> None:
    assert cause.next and cause.signs and cause.by_hand and len(cause.title) <= 40
