# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cancel or end sessions in the statement that checks who they are. PRIVATE to the collection."""

from __future__ import annotations

import time
import typing as t

from .._host.parts import PartError, clean
from . import login

# What names a session: a process number alone is given to another session as soon as this one is gone.
NAMED = {"pid": "int", "started_at": "str", "query_at": "str", "state": "str"}
# Programs whose sessions are never touched, whoever asks: backups, replication, migrations, and the responder's own.
PROTECTED = (
    *(
        "pg_dump",
        "pg_restore",
        "pg_basebackup",
        "pg_receivewal",
        "pg_rewind",
        "pg_repack",
        "pgbackrest",
        "barman",
        "wal-g",
    ),
    *("walreceiver", "repmgr", "patroni", "flyway", "liquibase", "alembic", "virtengine.incident"),
)
_WORDS = {"cancelled": "cancel", "terminated": "terminate"}

# In these, WHO stands for the session that is named, MAY for whether it may be touched at all.
_ASK = "SELECT MAY AS may WHO"
_THERE = "SELECT 1 AS there WHO"
_ACTS = {
    "cancelled": "SELECT pg_cancel_backend(a.pid) AS sent WHO AND MAY",
    "terminated": "SELECT pg_terminate_backend(a.pid) AS sent WHO AND MAY",
}
_WHO = """FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
    WHERE a.pid = %(pid)s AND a.backend_start = %(started_at)s::timestamptz
    AND a.query_start IS NOT DISTINCT FROM nullif(%(query_at)s, '')::timestamptz AND a.state = %(state)s"""
_MAY = """(a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND NOT r.rolsuper AND NOT r.rolreplication
    AND NOT (a.usename = ANY(%(roles)s::text[]))
    AND NOT EXISTS (SELECT FROM unnest(%(applications)s::text[]) AS name WHERE starts_with(lower(a.application_name), lower(name))))"""


def _sql(statement: str) -> str:
    return statement.replace("WHO", _WHO).replace("MAY", _MAY)


def end(
    found: dict[str, t.Any],
    *,
    state: str,
    backends: list[dict[str, t.Any]],
    protected_roles: list[str],
    protected_applications: list[str],
    wait_s: int,
    check: bool,
) -> dict[str, t.Any]:
    """Send the signal to each session that still is the one that is named, and wait for its effect. Raises PartError."""
    login.become_peer(found)
    signalled: list[dict[str, t.Any]] = []
    gone: list[dict[str, t.Any]] = []
    with login.session(found, "PostgreSQL") as run:
        if not run("SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all")[0]["sees_all"]:
            raise PartError(
                "privilege", "the login does not see other roles' sessions: grant it pg_monitor. Nothing was done."
            )
        shielded = {"roles": protected_roles, "applications": [*PROTECTED, *protected_applications]}
        for backend in backends:
            rows = run(_sql(_ASK), {**backend, **shielded})
            if rows and not rows[0]["may"]:
                raise PartError(
                    "refused", f"session {backend['pid']} is protected, or is no client's. Nothing was done."
                )
        refused = ""
        for backend in backends:
            try:
                rows = run(_sql(_THERE if check else _ACTS[state]), {**backend, **shielded})
            except Exception as error:
                # What was sent before stays in the answer, and so in the record.
                refused = f"session {backend['pid']}: {clean(error)}"
                break
            (signalled if rows and (check or rows[0]["sent"]) else gone).append(backend)
        left = [] if check else _left(run, signalled, wait_s)
    return {
        "changed": bool(signalled),
        "signalled": [backend["pid"] for backend in signalled],
        "gone": [backend["pid"] for backend in gone],
        "ended": not left and not refused,
        "actions": [f"{_WORDS[state]} {backend['pid']}" for backend in signalled],
        "msg": refused or _still(left, wait_s),
    }


def _still(left: list[dict[str, t.Any]], wait_s: int) -> str:
    return f"still there after {wait_s} s: {', '.join(str(backend['pid']) for backend in left)}" if left else ""


def _left(run: t.Callable[..., login.Rows], signalled: list[dict[str, t.Any]], wait_s: int) -> list[dict[str, t.Any]]:
    """The sessions that still do, after some seconds, what they did when the signal was sent."""
    until = time.monotonic() + wait_s
    left = signalled
    while True:
        left = [backend for backend in left if run(_sql(_THERE), backend)]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.2)
