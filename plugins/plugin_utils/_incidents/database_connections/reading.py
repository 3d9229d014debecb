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
from .types import Data, Pool, Root, Session, count, dicts, session_of

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
        found = next(iter(self.rows("control")), {}).get("system_identifier")
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
        pooled = [session_of(row, now) for row in self.rows("sessions")]
        return tuple(session for session in pooled if session is not None)

    @functools.cached_property
    def clients(self) -> tuple[Session, ...]:
        return tuple(session for session in self.sessions if session.is_client)

    @property
    def used(self) -> int:
        return len(self.clients)

    @functools.cached_property
    def pooler_pids(self) -> t.Optional[frozenset[int]]:
        """The server processes that the pooler holds; None where that cannot be told, as of a pooler on another host."""
        pooler = self.part("pooler")
        if pooler is None:
            return None if self.problem("pooler")[0] else frozenset()
        if pooler.get("local") is not True:
            return None
        own = {pool.database for pool in self.pools}
        rows = [row for row in dicts(pooler.get("servers")) if clean(row.get("database"), 64) in own]
        pids = [integer(row.get("remote_pid")) for row in rows]
        return frozenset(pid for pid in pids if pid is not None) if None not in pids else None

    def pooled(self, session: Session) -> bool:
        """Whether the pooler is known to hold this session."""
        return session.pid in (self.pooler_pids or ())

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
        behind = self._behind
        tops = sorted((pid for pid in behind if pid not in self.waits), key=lambda pid: (-len(behind[pid]), pid))
        roots = []
        for top in tops[:MOST_ROOTS]:
            known = tuple(by_pid[pid] for pid in sorted(self.reach(top)) if pid in by_pid)
            direct = tuple(by_pid[pid] for pid in sorted(behind[top]) if pid in by_pid)
            if top == 0 or top in by_pid:
                roots.append(Root(by_pid.get(top), known, direct))
        return tuple(sorted(roots, key=lambda root: -len(root.waiters)))

    @functools.cached_property
    def lock_wait_s(self) -> float:
        """The longest that a statement waits for a lock now."""
        return max((self.waited_s(session) for session in self.sessions), default=0.0)

    @functools.cached_property
    def _waits_since(self) -> dict[int, t.Any]:
        return {
            pid: row.get("waits_since") for row in self.rows("waits") if (pid := integer(row.get("pid"))) is not None
        }

    def waited_s(self, session: Session) -> float:
        """How long a session has waited for a lock; before PostgreSQL 14, how long its statement has run; 0: it does not."""
        if session.pid not in self.waits:
            return 0.0
        since = self._waits_since.get(session.pid)
        return self.age_s(since) if since is not None else session.query_s or 0.0

    def reach(self, pid: int) -> set[int]:
        """All that wait behind a process, directly or not."""
        reached, todo = set[int](), list(self._behind.get(pid, ()))
        while todo:
            one = todo.pop()
            if one not in reached:
                reached.add(one)
                todo += self._behind.get(one, [])
        return reached

    @functools.cached_property
    def _behind(self) -> dict[int, list[int]]:
        behind: dict[int, list[int]] = {}
        for pid, blockers in self.waits.items():
            for other in blockers:
                behind.setdefault(other, []).append(pid)
        return behind

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
        bases = {clean(row.get("name"), 64): row for row in dicts(pooler.get("databases"))}
        found = []
        for row in dicts(pooler.get("pools")):
            base = bases.get(clean(row.get("database"), 64), {})
            if clean(row.get("database"), 64) == "pgbouncer" or not self._is_here(base, pooler):
                continue
            cancels = ("cl_cancel_req", "cl_active_cancel_req", "cl_waiting_cancel_req")
            found.append(
                Pool(
                    database=clean(row.get("database"), 64),
                    user=clean(row.get("user"), 64),
                    active=count(row.get("cl_active")),
                    waiting=count(row.get("cl_waiting")),
                    servers_active=count(row.get("sv_active")),
                    servers_idle=count(row.get("sv_idle")),
                    servers=sum(count(row.get(key)) for key in _SERVERS),
                    logging_in=count(row.get("sv_login")),
                    cancels=sum(count(row.get(key)) for key in cancels),
                    max_wait_s=number(row.get("maxwait")) or 0.0,
                    size=integer(base.get("pool_size")),
                    bound=self._bound(base),
                    paused=count(base.get("paused")) == 1 or self.pooler_paused,
                )
            )
        return tuple(sorted(found, key=lambda pool: -pool.waiting))

    def _is_here(self, base: Data, pooler: Data) -> bool:
        """Whether a database of the pooler lies on this server, as far as that can be told."""
        where = base.get("host")
        local = where in (None, "", "localhost", "127.0.0.1", "::1") or str(where).startswith("/")
        port = integer(base.get("port"))
        return not base or pooler.get("local") is not True or (local and port in (None, self.setting("port") or port))

    @functools.cached_property
    def serves_others(self) -> bool:
        """Whether some database of the pooler lies on another server: its settings are not this server's affair alone."""
        pooler = self.part("pooler") or {}
        rows = [row for row in dicts(pooler.get("databases")) if row.get("name") != "pgbouncer"]
        return pooler.get("local") is not True or not all(self._is_here(row, pooler) for row in rows)

    def _bound(self, base: Data) -> t.Optional[int]:
        """The least of the limits of a pooler's database; None where it has none (0 is none)."""
        return min(
            (
                most
                for most in (integer(base.get("max_connections")), self.pooler_setting("max_db_connections"))
                if most
            ),
            default=None,
        )

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
        return {clean(mark.get("kind"), 20): mark for mark in dicts((self.part("log") or {}).get("marks"))}

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


# Programs whose sessions are never ended: backups, replication, migrations, and the responder's own. The module that ends
# sessions has the same list.
PROTECTED_APPLICATIONS = (
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
