# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions of a server, roots of lock chains, pools: read without trust out of rows. PRIVATE to the collection."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

from ..._path.evidence.values import integer, seconds
from ..._path.text import clean

Data = dict[str, t.Any]


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
    bound: t.Optional[int]
    paused: bool

    @property
    def most(self) -> t.Optional[int]:
        """Server connections that it may have: its size, or less where its database is bounded."""
        return self.size if self.size is None or self.bound is None else min(self.size, self.bound)


# Thousands of sessions share their roles, applications, addresses and statements.
_clean = functools.lru_cache(maxsize=4096)(clean)


def session_of(row: Data, now: t.Optional[float]) -> t.Optional[Session]:
    pid = integer(row.get("pid"))
    if pid is None or pid <= 0:
        return None

    def age(key: str) -> t.Optional[float]:
        moment = seconds(row.get(key))
        return None if moment is None or now is None else max(0.0, now - moment)

    def text(key: str, most: int = 64) -> str:
        value = row.get(key)
        return _clean(value, most) if isinstance(value, str) else ""

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


def dicts(value: t.Any) -> list[Data]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def count(value: t.Any) -> int:
    return max(0, integer(value) or 0)
