# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exhausted and blocked connections on a real PostgreSQL and PgBouncer: diagnosed, ended, killed in the middle, undone."""

from __future__ import annotations

import pytest

from tests.scenarios.fleet import Fleet
from tests.scenarios.responder import Responder, Run

pytestmark = pytest.mark.fleet

HOST = "vdb1"
CONFIGURATION = "/etc/pgbouncer/pgbouncer.ini"
LOGIN = "database_connections_login"
# The lock wait that counts is ten seconds; it is counted by the server.
WAITED = "psql -Atc \"SELECT max(now() - query_start) > '11 s' FROM pg_stat_activity WHERE wait_event_type = 'Lock'\""
IDLED = (
    "psql -Atc \"SELECT min(now() - state_change) > '61 s' FROM pg_stat_activity WHERE application_name = 'checkout'\""
)
POOLS = "psql -p 6432 -U pgbouncer pgbouncer -Atc 'SHOW POOLS'"
# What the runs of a responder are not: sessions of applications, with what names them.
SESSIONS = "psql -Atc \"SELECT pid, application_name FROM pg_stat_activity WHERE usename = 'app' ORDER BY 1\""


def as_postgres(command: str) -> str:
    return f"cd / && runuser -u postgres -- {command}"


def until(fleet: Fleet, question: str) -> None:
    """Until the server answers a question with yes."""
    fleet.until([HOST], f"{as_postgres(question)} | grep -qx t")


def roots(run: Run) -> list[str]:
    return [cause["id"] for cause in run.verdict["causes"] if cause["role"] == "root"]


def approve(run: Run) -> tuple[str, str]:
    return ("-e", f"incident_approve={run.digest}")


def test_the_root_of_a_lock_chain_is_ended_and_nobody_else(database: Fleet, database_responder: Responder) -> None:
    database.fault("db-idle-in-transaction", HOST)
    until(database, WAITED)
    before = database.on(HOST, as_postgres(SESSIONS)).splitlines()
    shielded = database_responder.run("-e", '{"database_connections_protected_applications": ["report"]}')
    assert roots(shielded) == ["idle_in_transaction"] and shielded.steps() == []

    planned = database_responder.run()
    assert planned.code == 0, planned.output
    assert roots(planned) == ["idle_in_transaction"]
    assert planned.steps() == [("terminate_backends", HOST)]
    (backend,) = planned.plan["steps"][0]["parameters"]["backends"]
    assert database.on(HOST, as_postgres(SESSIONS)).splitlines() == before

    # Killed while it is at it: the session is gone or not, and the same command goes on.
    database_responder.kill_at(database_responder.start(*approve(planned)), "step 1/")
    again = database_responder.run(*approve(planned), "-e", f"incident_break_lock={database_responder.last_run()}")
    assert again.code == 0, again.output
    assert again.entries[-1]["data"]["outcome"] == "recovered"
    after = database.on(HOST, as_postgres(SESSIONS)).splitlines()
    assert sorted({*before} - {*after}) == [f"{backend['pid']}|report"]

    once_more = database_responder.run(*approve(planned))
    assert once_more.code != 0 and "was used before" in once_more.output
    assert database.on(HOST, as_postgres(SESSIONS)).splitlines() == after


def test_a_paused_pooler_works_again_and_can_be_paused_again(database: Fleet, database_responder: Responder) -> None:
    database.fault("db-pooler-paused", HOST)
    planned = database_responder.run()
    assert roots(planned) == ["pooler_paused"]
    assert planned.steps() == [("resume_pool", HOST)]
    checked = database_responder.run(*approve(planned), "--check")
    assert checked.code == 0, checked.output
    done = database_responder.run(*approve(planned))
    assert done.code == 0, done.output
    assert done.entries[-1]["data"]["outcome"] == "recovered"


@pytest.mark.more
def test_a_leak_is_ended_as_far_as_needed(database: Fleet, database_responder: Responder) -> None:
    database.fault("db-idle-leak", HOST)
    until(database, IDLED)
    before = database.on(HOST, as_postgres(SESSIONS)).splitlines()
    planned = database_responder.run()
    assert "idle_leak" in roots(planned) and planned.steps() == [("terminate_backends", HOST)]
    done = database_responder.run(*approve(planned))
    assert done.code == 0, done.output
    named = {f"{one['pid']}|checkout" for one in planned.plan["steps"][0]["parameters"]["backends"]}
    assert {*before} - {*database.on(HOST, as_postgres(SESSIONS)).splitlines()} == named


@pytest.mark.more
def test_a_change_of_a_table_is_cancelled_where_a_backup_is_in_its_way(
    database: Fleet, database_responder: Responder
) -> None:
    database.fault("db-ddl-pileup", HOST)
    until(database, WAITED)
    shield = ("-e", '{"database_connections_protected_applications": ["report"]}')
    planned = database_responder.run(*shield)
    assert {"idle_in_transaction", "ddl_queue"} <= set(roots(planned))
    assert planned.steps() == [("cancel_backends", HOST)]
    done = database_responder.run(*approve(planned), *shield)
    assert done.code == 0, done.output
    left = database.on(HOST, as_postgres(SESSIONS))
    assert "report" in left and left.count("shop") == 8


@pytest.mark.more
def test_a_pool_is_made_larger_and_its_file_put_back(database: Fleet, database_responder: Responder) -> None:
    before = database.on(HOST, f"cat {CONFIGURATION}")
    database.on(HOST, f"sed -i 's/^default_pool_size.*/default_pool_size = 3/' {CONFIGURATION}")
    database.on(HOST, as_postgres("psql -p 6432 -U pgbouncer pgbouncer -c RELOAD"))
    small = database.on(HOST, f"cat {CONFIGURATION}")
    # Ten clients that work for three seconds each, and come again, on three connections.
    load = "PGPASSWORD=app-password pgbench -n -h 127.0.0.1 -p 6432 -U app -c 10 -T 300 -f /tmp/work.sql orders"
    database.on(HOST, f"echo 'SELECT pg_sleep(30);' > /tmp/work.sql; systemd-run -q --unit=fleet-work sh -c '{load}'")
    try:
        database.until([HOST], f"{as_postgres(POOLS)} | grep -q '^orders|app|3|7'")
        planned = database_responder.run()
        assert roots(planned) == ["pool_exhausted"] and planned.steps() == [("resize_pool", HOST)]
        done = database_responder.run(*approve(planned))
        assert "default_pool_size = 6" in database.on(HOST, f"cat {CONFIGURATION}"), done.output
        undo = planned.plan["steps"][0]["undo"].partition(",")[0]
        assert database.on(HOST, f"{undo} && cat {CONFIGURATION}") == small
    finally:
        database.on(HOST, f"systemctl stop fleet-work; rm -f {CONFIGURATION}.incident-*")
    assert before != small


@pytest.mark.more
@pytest.mark.parametrize(
    ("fault", "cause", "headline"),
    [
        ("db-prepared", "prepared_transaction", "SESSIONS WAIT BEHIND A LOCK"),
        ("db-role-limit", "role_or_database_limit", "A ROLE OR DATABASE IS AT ITS CONNECTION LIMIT"),
        ("db-database-limit", "role_or_database_limit", "A ROLE OR DATABASE IS AT ITS CONNECTION LIMIT"),
        ("db-stopped", "server_stopped", "THE DATABASE IS DOWN"),
        ("db-pooler-down", "pooler_down", "THE POOLER REFUSES CLIENTS"),
        ("db-disk-full", "no_space", "THE DATABASE'S DISK IS FULL"),
        ("db-vacuum", "vacuum_in_the_way", "SESSIONS WAIT BEHIND A LOCK"),
        ("db-restart-storm", "connection_storm", "THE DATABASE SERVES, NOT AS IT SHOULD"),
    ],
)
def test_what_only_a_person_may_mend_is_named(
    database: Fleet, database_responder: Responder, fault: str, cause: str, headline: str
) -> None:
    database.fault(fault, HOST)
    if headline == "SESSIONS WAIT BEHIND A LOCK":
        until(database, WAITED)
    run = database_responder.run()
    assert run.code == 0 and headline in run.output
    assert cause in roots(run) and not run.plan.get("steps")


@pytest.mark.more
@pytest.mark.parametrize(
    ("login", "said"),
    [
        ({"login_user": "nobody", "login_host": "127.0.0.1"}, "database_connections_login"),
        ({"login_host": "127.0.0.1", "ssl_mode": "verify-full"}, "Set ssl_mode"),
        ({"login_db": "no_such"}, "does not exist"),
        ({"login_host": "127.0.0.1", "login_port": 1}, "Connection refused"),
    ],
)
def test_a_login_that_fails_is_one_sentence_and_never_calm(
    database: Fleet, database_responder: Responder, login: dict[str, str], said: str
) -> None:
    inventory = database_responder.site / "databases"
    text = inventory.read_text(encoding="utf-8")
    inventory.write_text(f"{text}{LOGIN}={login!r}\n", encoding="utf-8")
    run = database_responder.run()
    assert run.code == 0, run.output
    assert said in " ".join(run.output.split())
    assert "CANNOT TELL WHETHER THE DATABASE SERVES" in run.output or "THE DATABASE IS DOWN" in run.output
    assert run.verdict["status"] != "healthy"
