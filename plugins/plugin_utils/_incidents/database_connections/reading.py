# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence of databases as the causes read it: sessions, who waits for whom, pools, limits. PRIVATE to the collection."""

from __future__ import annotations

import functools
import typing as t
from collections import Counter
from dataclasses import dataclass

from ..._path.evidence.values import integer, number, seconds
from ..._path.text import clean

Data = dict[str, t.Any]

SOURCE = "postgresql_evidence"
# A client that waits longer than this for a pool, or a statement for a lock, is an impact; shorter waits come and go.
POOL_WAIT_S = 3
LOCK_WAIT_S = 10
# Lines of the server's log that are younger count for now.
RECENT_S = 120
_SERVERS = ("sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login")
IN_TRANSACTION = ("idle in transaction", "idle in transaction (aborted)")
# Paths from a blocker to those who wait are followed for so many blockers, the ones with most waiters first.
MOST_ROOTS = 50


@dataclass(frozen=True)
class Session:
    """One session of the server. Ages in seconds, by the server's own clock; None: not known."""

    pid: int
    role: str
    database: str
    application: str
    client: str
    port: t.Optional[int]
    state: str
    type: str
    waits_for: str
    privileged: bool
    query: str
    age_s: t.Optional[float]
    transaction_s: t.Optional[float]
    query_s: t.Optional[float]
    changed_s: t.Optional[float]
    started_at: str
    query_at: str

    @property
    def is_client(self) -> bool:
        return self.type == "client backend"

    @property
    def named(self) -> Data:
        """What names this session, for the module that ends it."""
        return {"pid": self.pid, "started_at": self.started_at, "query_at": self.query_at, "state": self.state}

    @property
    def who(self) -> str:
        whose = f"{self.role}@{self.database}" if self.role else self.database
        return f"{self.application or self.role or self.type or 'a session'} (pid {self.pid}, {whose or '-'})"


@dataclass(frozen=True)
class Root:
    """What others wait for and waits for nobody. ``session``: None for a prepared transaction."""

    session: t.Optional[Session]
    waiters: tuple[Session, ...]
    direct: tuple[Session, ...]


@dataclass(frozen=True)
class Pool:
    """The pool of one database and user."""

    database: str
    user: str
    active: int
    waiting: int
    servers_active: int
    servers_idle: int
    servers: int
    logging_in: int
    cancels: int
    max_wait_s: float
    size: t.Optional[int]
    paused: bool


class Database:
    """One look at one host of the group. Everything of it may be missing, or a lie."""

    def __init__(self, host: str, observation: t.Optional[Data]) -> None:
        self.host = host
        self.observed = bool(observation and observation["ok"])
        self.parts: Data = observation["data"] if observation and observation["ok"] else {}
        error = observation.get("error") if observation and not observation["ok"] else None
        # What stands in the way of any evidence of this host.
        self.error = (clean(error["kind"], 20), clean(error["text"])) if error else None
        self.at = seconds(observation["at"]) if observation else None

    def part(self, name: str) -> t.Optional[Data]:
        """The data of a part, None where it failed."""
        found = self.parts.get(name)
        data = found.get("data") if isinstance(found, dict) and found.get("ok") is True else None
        return data if isinstance(data, dict) else None

    def problem(self, name: str) -> tuple[str, str]:
        """Kind and text of why a part is missing; two empty texts where it is there or was not asked for."""
        found = self.parts.get(name)
        error = found.get("error") if isinstance(found, dict) and found.get("ok") is not True else None
        return (clean(error.get("kind"), 20), clean(error.get("text"))) if isinstance(error, dict) else ("", "")

    @functools.cached_property
    def server(self) -> t.Optional[Data]:
        """The queries' parts, None where there was no session."""
        return self.part("server") if self._rows_of(self.part("server"), "identity") else None

    @staticmethod
    def _rows_of(server: t.Optional[Data], name: str) -> list[Data]:
        part = (server or {}).get(name)
        rows = part.get("data") if isinstance(part, dict) and part.get("ok") is True else None
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []

    def rows(self, query: str) -> list[Data]:
        """The rows of a query; none where it failed."""
        return self._rows_of(self.server, query)

    def missed(self, query: str) -> bool:
        """Whether a query of a server that answers failed or was cut off: what it does not show may be there."""
        part = (self.server or {}).get(query)
        return self.server is not None and (
            not isinstance(part, dict) or part.get("ok") is not True or part.get("cut") is True
        )

    @functools.cached_property
    def identity(self) -> Data:
        return next(iter(self.rows("identity")), {})

    @property
    def system_identifier(self) -> t.Optional[str]:
        found = self.identity.get("system_identifier")
        return found if isinstance(found, str) and found.isdigit() and len(found) < 24 else None

    @property
    def sees_all(self) -> bool:
        return self.identity.get("sees_all") is True

    @functools.cached_property
    def settings(self) -> dict[str, str]:
        return {str(row.get("name")): clean(row.get("setting"), 200) for row in self.rows("settings")}

    def setting(self, name: str) -> t.Optional[int]:
        found = self.settings.get(name, "")
        return int(found) if found.lstrip("-").isdigit() and len(found) < 19 else None

    def age_s(self, moment: t.Any) -> float:
        """Seconds since a time that the server wrote, by its own clock; 0 where that is not known."""
        now, then = seconds(self.identity.get("now")), seconds(moment)
        return max(0.0, now - then) if now is not None and then is not None else 0.0

    def setting_is_on(self, name: str) -> bool:
        return self.settings.get(name) == "on"

    @functools.cached_property
    def limit(self) -> t.Optional[int]:
        """Connections that applications may have: max_connections less what is reserved."""
        most = self.setting("max_connections")
        kept = [self.setting(name) or 0 for name in ("superuser_reserved_connections", "reserved_connections")]
        return None if most is None else most - sum(kept)

    @functools.cached_property
    def sessions(self) -> tuple[Session, ...]:
        now = seconds(self.identity.get("now"))
        pooled = [_session(row, now) for row in self.rows("sessions")]
        return tuple(session for session in pooled if session is not None)

    @functools.cached_property
    def clients(self) -> tuple[Session, ...]:
        return tuple(session for session in self.sessions if session.is_client)

    @property
    def used(self) -> int:
        return len(self.clients)

    @functools.cached_property
    def pooler_ports(self) -> frozenset[int]:
        """The local ports of the pooler's connections to a server: by them they are known in the server's sessions."""
        pooler = self.part("pooler") or {}
        found = (integer(row.get("local_port")) for row in _dicts(pooler.get("servers")))
        return frozenset(port for port in found if port is not None)

    def pooled(self, session: Session) -> bool:
        """Whether the pooler holds this session."""
        return session.port in self.pooler_ports

    @functools.cached_property
    def waits(self) -> dict[int, tuple[int, ...]]:
        """Who waits for a lock: process -> those in its way, 0 for a prepared transaction."""
        found = {}
        for row in self.rows("waits"):
            pid, by = integer(row.get("pid")), row.get("blocked_by")
            if pid is not None and isinstance(by, list):
                found[pid] = tuple(other for other in (integer(value) for value in by) if other is not None)
        return {pid: by for pid, by in found.items() if by}

    @functools.cached_property
    def roots(self) -> tuple[Root, ...]:
        """What blocks and waits for nobody, most waiters first."""
        by_pid = {session.pid: session for session in self.sessions}
        behind: dict[int, list[int]] = {}
        for pid, blockers in self.waits.items():
            for other in blockers:
                behind.setdefault(other, []).append(pid)
        tops = sorted((pid for pid in behind if pid not in self.waits), key=lambda pid: (-len(behind[pid]), pid))
        roots = []
        for top in tops[:MOST_ROOTS]:
            reached, todo = set[int](), list(behind[top])
            while todo:
                pid = todo.pop()
                if pid not in reached:
                    reached.add(pid)
                    todo += behind.get(pid, [])
            known = tuple(by_pid[pid] for pid in sorted(reached) if pid in by_pid)
            direct = tuple(by_pid[pid] for pid in sorted(behind[top]) if pid in by_pid)
            if top == 0 or top in by_pid:
                roots.append(Root(by_pid.get(top), known, direct))
        return tuple(sorted(roots, key=lambda root: -len(root.waiters)))

    @functools.cached_property
    def lock_wait_s(self) -> float:
        """The longest that a statement waits for a lock now."""
        return max((s.query_s or 0.0 for s in self.sessions if s.pid in self.waits), default=0.0)

    @functools.cached_property
    def pooler_paused(self) -> bool:
        """Whether all of the pooler is paused: its console does not say so, its log does, if the same pooler still runs."""
        order = (self.part("pooler_log") or {}).get("order")
        runs = integer((self.unit("pgbouncer") or {}).get("main_pid"))
        return (
            isinstance(order, dict) and order.get("word") == "PAUSE" and runs is not None and order.get("pid") == runs
        )

    @functools.cached_property
    def pools(self) -> tuple[Pool, ...]:
        pooler = self.part("pooler") or {}
        bases = {clean(row.get("name"), 64): row for row in _dicts(pooler.get("databases"))}
        found = []
        for row in _dicts(pooler.get("pools")):
            base = bases.get(clean(row.get("database"), 64), {})
            if clean(row.get("database"), 64) == "pgbouncer":
                continue
            cancels = ("cl_cancel_req", "cl_active_cancel_req", "cl_waiting_cancel_req")
            found.append(
                Pool(
                    database=clean(row.get("database"), 64),
                    user=clean(row.get("user"), 64),
                    active=_count(row.get("cl_active")),
                    waiting=_count(row.get("cl_waiting")),
                    servers_active=_count(row.get("sv_active")),
                    servers_idle=_count(row.get("sv_idle")),
                    servers=sum(_count(row.get(key)) for key in _SERVERS),
                    logging_in=_count(row.get("sv_login")),
                    cancels=sum(_count(row.get(key)) for key in cancels),
                    max_wait_s=number(row.get("maxwait")) or 0.0,
                    size=integer(base.get("pool_size")),
                    paused=_count(base.get("paused")) == 1 or self.pooler_paused,
                )
            )
        return tuple(sorted(found, key=lambda pool: -pool.waiting))

    def pooler_setting(self, name: str) -> t.Optional[int]:
        found = str(((self.part("pooler") or {}).get("settings") or {}).get(name, ""))
        return int(found) if found.isdigit() and len(found) < 10 else None

    @functools.cached_property
    def marks(self) -> dict[str, Data]:
        """The server's own lines of the last minutes, by kind, that are young enough to speak for now."""
        return {kind: mark for kind, mark in self.lines.items() if self.recent(mark)}

    @functools.cached_property
    def lines(self) -> dict[str, Data]:
        """The server's own lines in the window that was read, by kind."""
        return {clean(mark.get("kind"), 20): mark for mark in _dicts((self.part("log") or {}).get("marks"))}

    def recent(self, mark: Data) -> bool:
        last = seconds(mark.get("last_at"))
        return last is not None and self.at is not None and self.at - last <= RECENT_S

    def unit(self, name: str) -> t.Optional[Data]:
        """State of the first unit that exists whose name begins so."""
        units = self.part("units") or {}
        return next((facts for unit, facts in units.items() if unit.startswith(name) and isinstance(facts, dict)), None)

    def free_share(self, of: str = "") -> t.Optional[float]:
        """The free share of the data directory's file system, bytes or ``inodes``."""
        disk = self.part("disk") or {}
        total, free = (number(disk.get(key)) for key in (of or "bytes", f"free_{of or 'bytes'}"))
        return free / total if total and free is not None else None

    def groups(self) -> list[tuple[tuple[str, str, str], list[Session]]]:
        """Client sessions by application, role and database, the largest group first."""
        found: dict[tuple[str, str, str], list[Session]] = {}
        for session in self.clients:
            found.setdefault((session.application, session.role, session.database), []).append(session)
        return sorted(found.items(), key=lambda entry: (-len(entry[1]), entry[0]))

    def states(self) -> Counter[str]:
        return Counter(session.state or "unknown" for session in self.clients)


@dataclass(frozen=True)
class Reading:
    """All databases in the newest look, and in the one before it."""

    databases: tuple[Database, ...]
    before: t.Mapping[str, Database]
    protected_roles: tuple[str, ...]
    protected_applications: tuple[str, ...]
    looks: int

    def protected(self, session: Session) -> bool:
        """Whether a session is never touched: backups, replication, migrations, superusers, and what the team names."""
        return (
            session.privileged
            or not session.is_client
            or session.role in self.protected_roles
            or session.application.lower().startswith(tuple(name.lower() for name in self.protected_applications))
        )


# Programs whose sessions are never ended: backups, replication, and the responder's own.
PROTECTED_APPLICATIONS = (
    "pg_dump", "pg_basebackup", "pg_receivewal", "pgbackrest", "barman", "wal-g", "walreceiver", "repmgr", "patroni",
    "virtengine.incident",
)  # fmt: skip


def read(bundle: Data) -> Reading:
    """The newest look of every observed host of the inventory, with the one before."""
    looks = sorted({entry["look"] for entry in bundle["observations"]})
    newest, earlier = (looks or [0])[-1], looks[-2] if len(looks) > 1 else None
    entries = {(entry["host"], entry["look"]): entry for entry in bundle["observations"] if entry["source"] == SOURCE}
    hosts = sorted(host for host, known in bundle["inventory"].items() if known["observed"])
    settings = bundle["settings"]
    return Reading(
        tuple(Database(host, entries.get((host, newest))) for host in hosts),
        {host: Database(host, entries[(host, earlier)]) for host in hosts if (host, earlier) in entries},
        tuple(settings.get("database_connections_protected_roles", [])),
        (*PROTECTED_APPLICATIONS, *settings.get("database_connections_protected_applications", [])),
        len(looks),
    )


def _session(row: Data, now: t.Optional[float]) -> t.Optional[Session]:
    pid = integer(row.get("pid"))
    if pid is None or pid <= 0:
        return None

    def age(key: str) -> t.Optional[float]:
        moment = seconds(row.get(key))
        return None if moment is None or now is None else max(0.0, now - moment)

    def text(key: str, most: int = 64) -> str:
        return clean(row.get(key), most) if row.get(key) is not None else ""

    return Session(
        pid=pid,
        role=text("role"),
        database=text("database"),
        application=text("application"),
        client=text("client"),
        port=integer(row.get("port")),
        state=text("state"),
        type=text("type"),
        waits_for=text("wait_type"),
        privileged=row.get("privileged") is not False,
        query=text("query", 300),
        age_s=age("started_at"),
        transaction_s=age("transaction_at"),
        query_s=age("query_at"),
        changed_s=age("changed_at"),
        started_at=text("started_at", 40),
        query_at=text("query_at", 40),
    )


def _dicts(value: t.Any) -> list[Data]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _count(value: t.Any) -> int:
    return max(0, integer(value) or 0)
