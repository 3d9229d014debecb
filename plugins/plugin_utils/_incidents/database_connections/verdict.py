# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict about databases: what is felt, by whom, why, and the tables that show it. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ..._path.evidence.values import seconds, stamp
from ..._path.verdict import verdict as verdicts
from ..._path.verdict.judge import duration, filled, judge
from ..._path.verdict.verdict import DEGRADED, HEALTHY, INCIDENT, UNKNOWN, Column, Gauge, Row, Table, View
from . import impact
from .causes import locks, pooler, server, sessions
from .causes.asked import needs_all
from .reading import Database, Reading, read
from .types import Root, Session

Data = dict[str, t.Any]

CAUSES = (*server.CAUSES, *locks.CAUSES, *sessions.CAUSES, *pooler.CAUSES)
# Free connections below this share of the limit leave no room for a restart of one application.
RESERVE = 0.1
# Lines of a table beyond these are counted, not shown.
MOST_ROWS = 12
# The one thing to do where a kind of missing evidence has one.
_REMEDIES = {
    "privilege": "Run again with -b (become), or -K where sudo asks for a password.",
    "library": "Install the library on that host (Debian: apt-get install python3-psycopg2), and run again.",
    "login": "Give a login in database_connections_login (login_user, connect_params: {passfile: ...}), or run with -b for "
    "peer authentication.",
    "tls": "Set ssl_mode, ca_cert or ssl_cert in database_connections_login.",
}


def assess(bundle: Data) -> Data:
    """The verdict of ``bundle``: healthy only where every database was read and nobody is refused or waits."""
    reading = read(bundle)
    felt = {database.host: found for database in reading.databases if (found := impact.impacts(database))}
    blind = {host.host: text for host in reading.databases if (text := needs_all(host))}
    judged = judge(CAUSES, lambda cause: cause.predicate(reading) if cause.predicate else _never())
    roots = [cause for cause in judged["causes"] if cause["role"] == "root"]
    unseen = {host: text for host, text in blind.items() if host not in felt}
    status = INCIDENT if felt else UNKNOWN if unseen or not reading.databases else DEGRADED if roots else HEALTHY
    names = ", ".join(database.host for database in reading.databases)
    return verdicts.made(
        incident="database_connections",
        subject=f"database{'s' if len(reading.databases) > 1 else ''} {names or 'none'}",
        status=status,
        severity="SEV-2" if felt else None,
        confirmed=_confirmed(reading, felt),
        judged=judged,
        summary=_summary(status, felt, unseen, roots),
        next_lines=_next(reading, judged["causes"], unseen),
        started_at=_started(reading),
        view=_view(reading, status, felt),
        details={"databases": {database.host: _details(database, felt) for database in reading.databases}},
        notes=[f"{host}: {text}" for host, text in blind.items()],
    )


def _never() -> t.NoReturn:
    raise AssertionError("every cause of this incident has a predicate")


def _confirmed(reading: Reading, felt: dict[str, dict[str, str]]) -> bool:
    """Whether what is felt now was felt in the look before as well, at each database."""
    if reading.looks < 2:
        return False
    return all(
        host in reading.before and not set(now).isdisjoint(impact.impacts(reading.before[host]))
        for host, now in felt.items()
    )


def _summary(status: str, felt: dict[str, dict[str, str]], unseen: dict[str, str], roots: list[Data]) -> str:
    said = "; ".join(f"{host}: {text}" for host, found in felt.items() for text in found.values())
    why = " ".join(f"{cause['statement']}." for cause in roots[:3])
    hidden = "; ".join(f"{host}: {text}" for host, text in unseen.items())
    if status == HEALTHY:
        return "The databases serve: nobody is refused, nobody waits for a lock or for a pool."
    if status == UNKNOWN:
        return f"Nobody can tell whether the databases serve. {hidden}. {why}".strip()
    if status == DEGRADED:
        return f"Nobody is refused or waits yet. {why}"
    return f"{said}. {why or 'None of the known causes is established.'}" + (f" Not seen: {hidden}." if hidden else "")


def _next(reading: Reading, causes: list[Data], unseen: dict[str, str]) -> list[str]:
    kinds = {
        kind
        for database in reading.databases
        for kind in ((database.error or ("", ""))[0], database.problem("server")[0], database.problem("pooler")[0])
    }
    lines = [text for kind, text in _REMEDIES.items() if kind in kinds]
    if any("pg_monitor" in text for text in unseen.values()):
        lines.append("Grant pg_monitor to the role that looks: GRANT pg_monitor TO <role>.")
    lines += [filled(cause["next"], cause, {}) for cause in causes if cause["next"] and not cause["explained"]]
    return list(dict.fromkeys(lines))


def _started(reading: Reading) -> t.Optional[str]:
    """When the oldest transaction that others wait for began: two runs find the same. None where nobody waits for one."""
    begun = [
        now - root.session.transaction_s
        for database in reading.databases
        for root in locks.blocking(database)
        if root.session and root.session.transaction_s is not None
        if (now := seconds(database.identity.get("now"))) is not None
    ]
    return stamp(round(min(begun))) if begun else None


def _details(database: Database, felt: dict[str, dict[str, str]]) -> Data:
    return {
        "impacts": dict(felt.get(database.host, {})),
        "used": database.used if database.server is not None else None,
        "limit": database.limit,
        "basis": basis(database),
    }


def basis(database: Database) -> Data:
    """What a plan is bound to: this server, since this start."""
    return {"system_identifier": database.system_identifier, "server_started_at": database.identity.get("started_at")}


def _view(reading: Reading, status: str, felt: dict[str, dict[str, str]]) -> View:
    words = {kind for found in felt.values() for kind in found}
    headline = {
        HEALTHY: "THE DATABASE SERVES",
        UNKNOWN: "CANNOT TELL WHETHER THE DATABASE SERVES",
        DEGRADED: "THE DATABASE SERVES, NOT AS IT SHOULD",
    }.get(status) or next((text for kind, text in _HEADLINES.items() if kind in words), "THE DATABASE DOES NOT SERVE")
    tables = []
    for database in reading.databases:
        if database.clients:
            tables.append(_holders(database))
        if database.roots:
            tables.append(_tree(database))
        if database.pools:
            tables.append(_pools(database))
    facts = [fact for database in reading.databases for fact in _facts(database)]
    gauges = [gauge for database in reading.databases if (gauge := _gauge(database)) is not None]
    return View(headline, facts=tuple(facts), tables=tuple(tables), gauges=tuple(gauges))


_HEADLINES = {
    impact.DOWN: "THE DATABASE IS DOWN",
    impact.NO_SPACE: "THE DATABASE'S DISK IS FULL",
    impact.FULL: "THE DATABASE REFUSES CONNECTIONS",
    impact.LIMITED: "A ROLE OR DATABASE IS AT ITS CONNECTION LIMIT",
    impact.BLOCKED: "SESSIONS WAIT BEHIND A LOCK",
    impact.POOLER: "THE POOLER REFUSES CLIENTS",
    impact.WAITING: "CLIENTS WAIT FOR A POOL",
    impact.READ_ONLY: "APPLICATIONS WRITE TO A READ-ONLY SERVER",
}


def _facts(database: Database) -> list[tuple[str, str]]:
    name = database.host
    if database.server is None:
        return [(name, (database.error or database.problem("server"))[1] or "nothing was read")]
    version = str(database.identity.get("version"))[:40]
    up = duration(database.age_s(database.identity.get("started_at")))
    role = "standby" if database.identity.get("in_recovery") is True else "primary"
    facts = [(name, f"PostgreSQL {version}, {role}, up {up}, {database.used} of {database.limit} connections in use")]
    states = ", ".join(f"{number} {state}" for state, number in database.states().most_common(6))
    facts.append((f"{name} sessions", states or "none"))
    before = [session for session in database.clients if session.age_s is not None and session.age_s < 60]
    facts.append((f"{name} new in a minute", str(len(before))))
    long = [s for s in database.clients if s.state == "active" and (s.query_s or 0) >= RUNBOOK_S]
    if long:
        facts.append(
            (f"{name}: the runbook's 5 minutes", f"would end {len(long)}: " + ", ".join(s.who for s in long[:4]))
        )
    return facts


# The runbook ends everything that has been active for five minutes.
RUNBOOK_S = 300


def _gauge(database: Database) -> t.Optional[Gauge]:
    if not database.limit or database.server is None:
        return None
    free = max(0, database.limit - database.used)
    reserve = max(1, round(RESERVE * database.limit))
    return Gauge(
        f"Free connections of {database.host}",
        total=database.limit,
        needed=reserve,
        value=free,
        words=f"{database.host}: {free} of {database.limit} connections are free; {reserve} should be",
        line="reserve",
        legend="# free, . in use",
    )


def _looks_of(session: Session) -> tuple[str, str]:
    if session.state == "active":
        return ("waiting", "waits for a lock") if session.waits_for == "Lock" else ("good", "active")
    return ("frozen", session.state) if session.state.startswith("idle in") else ("stale", session.state or "unknown")


def _holders(database: Database) -> Table:
    rows = []
    for (application, role, base), members in database.groups():
        idle = sum(1 for session in members if session.state == "idle")
        open_ = sum(1 for session in members if session.state.startswith("idle in"))
        longest = max((session.changed_s or 0 for session in members), default=0)
        cells = (application or "-", f"{role}@{base}", str(len(members)), str(idle), str(open_), duration(longest))
        looks = "frozen" if open_ else "stale" if idle == len(members) else "good"
        rows.append(
            Row(cells, looks, "in transaction" if open_ else "idle" if looks == "stale" else "active", len(members))
        )
    columns = (
        Column("application"),
        Column("role@database", most=24),
        Column("connections", "number"),
        Column("idle", "number"),
        Column("in transaction", "number"),
        Column("longest"),
    )
    more = (f"and {len(rows) - MOST_ROWS} smaller groups",) if len(rows) > MOST_ROWS else ()
    return Table(
        f"Who holds connections of {database.host}", columns, tuple(rows[:MOST_ROWS]), "connections", after=more
    )


def _tree(database: Database) -> Table:
    rows = []
    for root in database.roots[:MOST_ROWS]:
        rows.append(_root_row(root))
        rows += [
            Row(("  behind it", waiter.who, str(behind), waiter.query), "waiting", "waits, and others behind it", 1)
            for waiter, behind in locks.ddl_behind(database, root)[:2]
        ]
    columns = (Column("root"), Column("session", most=40), Column("waiting", "number"), Column("statement", most=40))
    return Table(f"Who waits for whom on {database.host}", columns, tuple(rows), "sessions that wait")


def _root_row(root: Root) -> Row:
    if root.session is None:
        return Row(
            ("prepared", "a prepared transaction", str(len(root.waiters)), "-"),
            "crashed",
            "prepared",
            len(root.waiters),
        )
    looks, state = _looks_of(root.session)
    since = duration(root.session.transaction_s or 0)
    return Row((since, root.session.who, str(len(root.waiters)), root.session.query), looks, state, len(root.waiters))


def _pools(database: Database) -> Table:
    rows = [
        Row(
            (
                f"{p.user}@{p.database}",
                str(p.active),
                str(p.waiting),
                f"{p.servers_active}/{p.size or '?'}",
                duration(p.max_wait_s),
            ),
            "stopped" if p.paused else "waiting" if p.waiting else "good",
            "paused" if p.paused else "clients wait" if p.waiting else "serves",
            p.waiting,
        )
        for p in database.pools[:MOST_ROWS]
    ]
    columns = (
        Column("pool", most=30),
        Column("clients", "number"),
        Column("waiting", "number"),
        Column("servers"),
        Column("longest wait"),
    )
    return Table(f"Pools of PgBouncer on {database.host}", columns, tuple(rows), "clients that wait")
