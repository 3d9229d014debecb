# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence of one database, made for a test: a server with room, a pooler that serves, a host with space."""

from __future__ import annotations

import copy
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.database_connections.incident import (
    DATABASE_CONNECTIONS,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as bundles

Data = dict[str, t.Any]

NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=timezone.utc)
HOST = "db1"


def at(ago_s: float) -> str:
    """The time so many seconds before NOW, as the server writes it."""
    return (NOW - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def session(pid: int, **other: t.Any) -> Data:
    """A client's session that idles for a second."""
    ago = {key: other.pop(key) for key in ("started", "transaction", "query_age", "changed") if key in other}
    row = {
        "pid": pid,
        "database": "orders",
        "role": "app",
        "application": "shop",
        "client": "10.0.0.7",
        "port": 40000 + pid,
        "state": "idle",
        "wait_type": None,
        "wait": None,
        "type": "client backend",
        "privileged": False,
        "query": "SELECT ?",
        "started_at": at(ago.get("started", 600)),
        "transaction_at": at(ago["transaction"]) if "transaction" in ago else None,
        "query_at": at(ago.get("query_age", 1)),
        "changed_at": at(ago.get("changed", 1)),
    }
    return {**row, **other}


def waiter(pid: int, **other: t.Any) -> Data:
    """A session whose statement waits for a lock, for 30 seconds."""
    return session(
        pid, **{"state": "active", "wait_type": "Lock", "query_age": 30, "transaction": 30, "changed": 30, **other}
    )


def pool(**other: t.Any) -> Data:
    row = {
        "database": "orders",
        "user": "app",
        "cl_active": 2,
        "cl_waiting": 0,
        "sv_active": 1,
        "sv_idle": 1,
        "sv_used": 0,
        "sv_tested": 0,
        "sv_login": 0,
        "maxwait": 0,
        "pool_mode": "transaction",
    }
    return {**row, **other}


def ok(data: t.Any) -> Data:
    return {"ok": True, "data": data}


def failed(kind: str, text: str) -> Data:
    return {"ok": False, "error": {"kind": kind, "text": text}}


def evidence(
    sessions: t.Sequence[Data] = (),
    waits: t.Mapping[int, t.Sequence[int]] | list[Data] | None = None,
    pools: t.Sequence[Data] | None = None,
    **changes: t.Any,
) -> Data:
    """The module's evidence. ``changes``: rows of a query, or a whole part, by name."""
    settings = {"max_connections": "40", "superuser_reserved_connections": "3", "default_transaction_read_only": "off"}
    settings["port"] = "5432"
    identity = {"version_num": 150018, "version": "15.18", "in_recovery": False, "started_at": at(86400), "now": at(0)}
    identity |= {"role": "postgres", "sees_all": True}
    rows: Data = {
        "identity": [identity],
        "control": [{"system_identifier": "7412059318123098762"}],
        "settings": [{"name": name, "setting": value} for name, value in settings.items()],
        "sessions": list(sessions),
        "waits": waits
        if isinstance(waits, list)
        else [{"pid": p, "blocked_by": list(by)} for p, by in (waits or {}).items()],
        "prepared": [],
        "databases": [{"name": "orders", "connection_limit": -1, "age": 1000}],
        "roles": [],
        "slots": [],
    }
    base = {"name": "orders", "host": "127.0.0.1", "pool_size": 10, "paused": 0, "max_connections": 0}
    pooler = {
        "pools": [pool()] if pools is None else list(pools),
        "databases": [base],
        "servers": [],
        "clients": 2,
        "version": "PgBouncer 1.18.0",
        "local": True,
        "settings": {"default_pool_size": "10", "max_client_conn": "100"},
    }
    disk = {
        "path": "/var/lib/postgresql/15/main",
        "bytes": 2**31,
        "free_bytes": 2**30,
        "inodes": 8192,
        "free_inodes": 7000,
    }
    unit = {"load_state": "loaded", "active_state": "active"}
    whole: Data = {
        "pooler": ok(pooler),
        "processes": ok({"postmaster": 100, "sessions": []}),
        "units": ok({"postgresql@15-main.service": unit, "pgbouncer.service": unit}),
        "disk": ok(disk),
        "memory": ok({"bytes": 2**33, "available_bytes": 2**32}),
        "log": ok({"path": "/var/log/postgresql/postgresql-15-main.log", "marks": []}),
    }
    for name, value in changes.items():
        if name in rows:
            rows[name] = [{**identity, **value}] if name == "identity" else value
        elif name != "server":
            whole[name] = value
    whole["server"] = changes.get("server", ok({name: ok(value) for name, value in rows.items()}))
    return whole


def bundle(*looks: Data | None, host: str = HOST, target: bool = True, **settings: t.Any) -> Data:
    """A bundle of these looks at one database, ten seconds apart; None: the host was not reached."""
    known = {"declared": {}, "target": target, "observed": True, "groups": ["databases"]}
    made = bundles.new(DATABASE_CONNECTIONS, at(0), {host: known}, settings=settings)
    entries = []
    for number, data in enumerate(looks, start=1):
        head = {"source": "postgresql_evidence", "host": host, "look": number, "at": at(10 * (len(looks) - number))}
        body = {"ok": True, "data": data} if data is not None else failed("unreachable", "no route to host")
        entries.append({**head, **body})
    return bundles.extend(made, entries, DATABASE_CONNECTIONS.sources)


def twice(data: Data | None, **more: t.Any) -> Data:
    """The same in both looks."""
    return bundle(data, copy.deepcopy(data), **more)
