# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a PostgreSQL server shows of its connections, locks, limits and state: few queries in one session. PRIVATE."""

from __future__ import annotations

import re
import typing as t

from .._host.parts import PartError, clean
from . import login

OLDEST = 120000
# Above what a server has that still answers; what is cut off is said.
MOST_SESSIONS = 20_000
MOST_WAITS = 2_000
QUERY_SHOWN = 300
STATEMENT_S = 5

SETTINGS = (
    *("max_connections", "superuser_reserved_connections", "reserved_connections", "statement_timeout", "lock_timeout"),
    *("idle_in_transaction_session_timeout", "idle_session_timeout", "shared_buffers", "work_mem", "cluster_name"),
    *("autovacuum", "autovacuum_freeze_max_age", "max_prepared_transactions", "default_transaction_read_only"),
)

# In these, utc(...) stands for a time as RFC 3339 with all its digits: with its process it names a session.
QUERIES = {
    "identity": """SELECT current_setting('server_version_num')::int AS version_num,
        current_setting('server_version') AS version, pg_is_in_recovery() AS in_recovery,
        utc(pg_postmaster_start_time()) AS started_at, utc(clock_timestamp()) AS now,
        (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier, current_user AS role,
        pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all""",
    "settings": """SELECT name, setting, unit, source, sourcefile FROM pg_settings
        WHERE name = ANY(%s)""",
    "sessions": """SELECT a.pid, a.datname AS database, a.usename AS role, a.application_name AS application,
        host(a.client_addr) AS client, a.client_port AS port, a.state, a.wait_event_type AS wait_type, a.wait_event AS wait,
        a.backend_type AS type, r.rolsuper OR r.rolreplication AS privileged, utc(a.backend_start) AS started_at,
        utc(a.xact_start) AS transaction_at, utc(a.query_start) AS query_at,
        utc(a.state_change) AS changed_at, left(a.query, 2000) AS query
        FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
        WHERE a.pid <> pg_backend_pid() ORDER BY a.backend_start LIMIT %s""",
    "waits": """SELECT pid, (pg_blocking_pids(pid))[1:20] AS blocked_by FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' ORDER BY query_start LIMIT %s""",
    "prepared": """SELECT gid, owner AS role, database, utc(prepared) AS prepared_at FROM pg_prepared_xacts
        ORDER BY prepared LIMIT 200""",
    "databases": """SELECT datname AS name, datconnlimit AS connection_limit, age(datfrozenxid) AS age
        FROM pg_database WHERE datallowconn ORDER BY 1 LIMIT 2000""",
    "roles": """SELECT rolname AS name, rolconnlimit AS connection_limit FROM pg_roles
        WHERE rolcanlogin AND rolconnlimit >= 0 AND NOT rolsuper ORDER BY 1 LIMIT 2000""",
    "slots": """SELECT slot_name AS name, slot_type AS type, active, wal_status, (CASE WHEN pg_is_in_recovery() THEN NULL
        ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END)::bigint AS retained_bytes FROM pg_replication_slots
        ORDER BY 1 LIMIT 200""",
}


_UTC = re.compile(r"utc\(([a-z_.]+(?:\(\))?)\)")
_VALUES: dict[str, list[t.Any]] = {
    "settings": [list(SETTINGS)],
    "sessions": [MOST_SESSIONS + 1],
    "waits": [MOST_WAITS + 1],
}


def _statement(name: str) -> str:
    return _UTC.sub(r"""to_char(\1 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""", QUERIES[name])


def read(found: dict[str, t.Any]) -> dict[str, t.Any]:
    """Each query's rows as a part of its own: one that is refused or late takes no other with it.

    Raises PartError where there is no session; that refusal is evidence.
    """
    login.become_peer(found)
    with login.session(found, "PostgreSQL") as run:
        run("SELECT set_config('statement_timeout', %s, false)", [f"{STATEMENT_S}s"])
        version = run("SELECT current_setting('server_version_num')::int AS number")[0]["number"]
        if version < OLDEST:
            raise PartError("failed", f"PostgreSQL {version // 10000} is too old: 12 is the oldest that is read")
        return {name: _part(run, name) for name in QUERIES}


def _part(run: t.Callable[..., login.Rows], name: str) -> dict[str, t.Any]:
    try:
        rows = run(_statement(name), _VALUES.get(name))
    except Exception as error:
        return {"ok": False, "error": {"kind": _kind(error), "text": clean(f"{name}: {error}")}}
    if name == "sessions":
        for row in rows:
            row["query"] = masked(row["query"] or "")
            row.update(
                {key: clean(row[key], 64) for key in ("application", "database", "role") if row[key] is not None}
            )
    most = {"sessions": MOST_SESSIONS, "waits": MOST_WAITS}.get(name, len(rows))
    return {"ok": True, "data": rows[:most], "cut": len(rows) > most}


def _kind(error: BaseException) -> str:
    code = getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)
    return {"42501": "privilege", "57014": "late"}.get(code or "", "failed")


_LITERALS = re.compile(
    r"/\*.*?(?:\*/|\Z)|--[^\n]*|(\$\w*\$).*?(?:\1|\Z)|[eEbBxXnN]?'(?:[^']|'')*(?:'|\Z)|\b\d[\w.]*", re.DOTALL
)


def masked(query: str) -> str:
    """A statement without its comments and values, on one line: they may be a customer's data or a password."""
    return clean(_LITERALS.sub(lambda found: "" if found[0][:2] in ("/*", "--") else "?", query), QUERY_SHOWN)
