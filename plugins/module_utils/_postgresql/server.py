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
MOST_SESSIONS = 10_000
MOST_WAITS = 2_000
QUERY_SHOWN = 300
STATEMENT_S = 5

SETTINGS = [
    "max_connections",
    "superuser_reserved_connections",
    "reserved_connections",
    "default_transaction_read_only",
    "port",
]

# In these, utc(...) stands for a time as RFC 3339 with all its digits: with its process it names a session.
QUERIES = {
    "identity": """SELECT current_setting('server_version_num')::int AS version_num,
        current_setting('server_version') AS version, pg_is_in_recovery() AS in_recovery,
        utc(pg_postmaster_start_time()) AS started_at, utc(clock_timestamp()) AS now,
        current_user AS role, pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all""",
    # By itself: a managed server may refuse it.
    "control": "SELECT system_identifier::text AS system_identifier FROM pg_control_system()",
    "settings": "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)",
    "sessions": """SELECT a.pid, a.datname AS database, a.usename AS role, a.application_name AS application,
        host(a.client_addr) AS client, a.client_port AS port, a.state, a.wait_event_type AS wait_type, a.wait_event AS wait,
        a.backend_type AS type, r.rolsuper OR r.rolreplication AS privileged, utc(a.backend_start) AS started_at,
        utc(a.xact_start) AS transaction_at, utc(a.query_start) AS query_at,
        utc(a.state_change) AS changed_at, left(a.query, CASE WHEN a.state = 'active' THEN 2000 ELSE 200 END) AS query
        FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
        WHERE a.pid <> pg_backend_pid() ORDER BY a.backend_start LIMIT %s""",
    # Since when it waits is known from PostgreSQL 14 on; the row as JSON has no such key before.
    "waits": """SELECT a.pid, (pg_blocking_pids(a.pid))[1:20] AS blocked_by, (SELECT min(to_jsonb(l)->>'waitstart')
        FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted) AS waits_since FROM pg_stat_activity a
        WHERE a.wait_event_type = 'Lock' ORDER BY a.query_start LIMIT %s""",
    "prepared": """SELECT gid, owner AS role, database, utc(prepared) AS prepared_at FROM pg_prepared_xacts
        ORDER BY prepared LIMIT 200""",
    "databases": """SELECT datname AS name, datconnlimit AS connection_limit, age(datfrozenxid) AS age
        FROM pg_database WHERE datallowconn ORDER BY 1 LIMIT 2000""",
    "roles": """SELECT rolname AS name, rolconnlimit AS connection_limit FROM pg_roles
        WHERE rolcanlogin AND rolconnlimit >= 0 AND NOT rolsuper ORDER BY 1 LIMIT 2000""",
    "slots": """SELECT slot_name AS name, active, (CASE WHEN pg_is_in_recovery() THEN NULL
        ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END)::bigint AS retained_bytes FROM pg_replication_slots
        ORDER BY 1 LIMIT 200""",
}


_UTC = re.compile(r"utc\(([a-z_.]+(?:\(\))?)\)")
_VALUES: dict[str, list[t.Any]] = {
    "settings": [SETTINGS],
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


_DOLLARS = re.compile(r"\$\w*\$")
_NUMBER = re.compile(r"\d[\w.]*")
_SETTING = re.compile(r"(?is)(\bset\s+(?:session\s+|local\s+)?[\w.\"]+\s*(?:\bto\b|=)).*")
_CHANGES_ROWS = re.compile(r"(?i)\s*(?:update|insert|merge|with)\b")


def masked(query: str) -> str:
    """A statement without its comments and values, on one line: they may be a customer's data or a password."""
    # The server hands on no more than 2,000 characters; who sends more has nothing to say.
    query = query[:4000]
    kept: list[str] = []
    place = 0
    while place < len(query):
        sign, pair = query[place], query[place : place + 2]
        if sign == '"':
            end = query.find('"', place + 1)
            kept.append(query[place : end + 1] if end >= 0 else '"')
        elif sign == "'":
            kept.append("?")
            end = _end_of_literal(query, place)
        elif pair == "--":
            kept.append(" ")
            ends = [at for at in (query.find("\n", place), query.find("\r", place)) if at >= 0]
            end = min(ends, default=-1)
        elif pair == "/*":
            kept.append(" ")
            end = _end_of_comment(query, place)
        elif sign == "$" and (tag := _DOLLARS.match(query, place)):
            kept.append("?")
            end = query.find(tag[0], tag.end())
            end = end + len(tag[0]) - 1 if end >= 0 else end
        elif sign.isdigit() and not (place and (query[place - 1].isalnum() or query[place - 1] in "_$")):
            kept.append("?")
            number = _NUMBER.match(query, place)
            end = number.end() - 1 if number else place
        else:
            kept.append(sign)
            end = place
        if end < 0:
            break
        place = end + 1
    text = "".join(kept)
    return clean(text if _CHANGES_ROWS.match(text) else _SETTING.sub(r"\1 ?", text), QUERY_SHOWN)


def _end_of_literal(query: str, place: int) -> int:
    """Where a literal ends. -1: nowhere, or, behind a backslash, where only the server's settings can tell."""
    while True:
        place += 1
        end = query.find("'", place)
        if end < 0 or query.find("\\", place, end) >= 0:
            return -1
        if query[end + 1 : end + 2] != "'":
            return end
        place = end + 1


def _end_of_comment(query: str, place: int) -> int:
    """Where a comment ends, with those inside it; -1: nowhere."""
    depth = 0
    for found in re.compile(r"/\*|\*/").finditer(query, place):
        depth += 1 if found[0] == "/*" else -1
        if not depth:
            return found.end() - 1
    return -1
