# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database host: PostgreSQL and PgBouncer as Debian installs them, with the databases of a small shop."""

from __future__ import annotations

import csv
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.fleet import image
from tests.fleet.host import Box
from tests.fleet.run import PATIENCE_S, Failed

# The host's own disk is mounted here: a full one is full for the cluster and nobody else.
DISK = "/var/lib/postgresql"
DATA = f"{DISK}/15/main"
CONFIGURATION = "/etc/postgresql/15/main"
POOLER_CONFIGURATION = "/etc/pgbouncer"
SERVER, POOLER = "postgresql@15-main.service", "pgbouncer.service"
UNITS = (SERVER, POOLER)
SERVER_PORT, POOLER_PORT = 5432, 6432
SOCKETS = "/var/run/postgresql"
DATABASES = ("orders", "billing")
ROLES = ("app", "billing", "backup", "deploy", "monitor")
PASSWORDS = {role: f"{role}-password" for role in ROLES}

# What differs from Debian's defaults. So few connections are filled in a moment.
SETTINGS = {
    "listen_addresses": "*",
    "max_connections": "40",
    "superuser_reserved_connections": "3",
    "max_prepared_transactions": "5",
    "log_connections": "on",
}
POOLER_SETTINGS = {
    "listen_addr": "*",
    "pool_mode": "transaction",
    "default_pool_size": "10",
    "max_client_conn": "100",
    "stats_users": "monitor",
}


def pooler_configuration(text: str) -> str:
    """Debian's ``pgbouncer.ini`` with the databases and settings of the rig."""
    lines = "".join(f"{name} = host=127.0.0.1 port={SERVER_PORT} dbname={name}\n" for name in DATABASES)
    text = text.replace("[databases]\n", f"[databases]\n{lines}", 1)
    for key, value in POOLER_SETTINGS.items():
        text, count = re.subn(rf"^;?{key} *=.*$", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
        if count != 1:
            raise Failed(f"Debian's pgbouncer.ini has no line for {key}")
    return text


def layer(root: Path, base_root: Path) -> tuple[int, int]:
    """Add the pooler's configuration to a layer; returns user and group of PostgreSQL."""
    where = POOLER_CONFIGURATION.lstrip("/")
    theirs = base_root / where / "pgbouncer.ini"
    owner = theirs.stat().st_uid, theirs.stat().st_gid
    users = "".join(f'"{role}" "{password}"\n' for role, password in PASSWORDS.items())
    image.write(root / where / "pgbouncer.ini", pooler_configuration(theirs.read_text(encoding="utf-8")), 0o640)
    image.write(root / where / "userlist.txt", users, 0o640)
    for name in ("pgbouncer.ini", "userlist.txt"):
        shutil.chown(root / where / name, *owner)
    return owner


# Asking


def sql(box: Box, *statements: str, database: str = "postgres") -> str:
    """What psql prints for statements of the superuser ``postgres``, without a header."""
    asked = [word for statement in statements for word in ("-c", statement)]
    program = ("runuser", "-u", "postgres", "--", "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1")
    return box.must(*program, "-d", database, *asked).strip()


def holds(box: Box, condition: str, database: str = "postgres") -> bool:
    """Whether a condition in SQL is true. A server that does not answer makes nothing true."""
    try:
        return sql(box, f"SELECT {condition}", database=database) == "t"
    except Failed:
        return False


def admin(box: Box, command: str) -> list[dict[str, str]]:
    """The rows that a command of the pooler's console answers."""
    program = ("runuser", "-u", "postgres", "--", "psql", "-X", "-q", "--csv", "-v", "ON_ERROR_STOP=1")
    where = ("-h", SOCKETS, "-p", str(POOLER_PORT), "-U", "pgbouncer", "-d", "pgbouncer")
    return list(csv.DictReader(box.must(*program, *where, "-c", command).splitlines()))


def attempt(box: Box, role: str, database: str, port: int, statement: str = "SELECT 1") -> str:
    """What a client of a role sees: what the statement prints, or the error."""
    program = ("psql", "-X", "-A", "-t", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", role, "-d", database)
    once = ("env", f"PGPASSWORD={PASSWORDS[role]}", "PGCONNECT_TIMEOUT=5", *program)
    done = box.run([*once, "-v", "VERBOSITY=verbose", "-c", statement], 20)
    return (done.stderr or done.stdout).strip()


def answers(box: Box, port: int) -> bool:
    return attempt(box, "monitor", "orders", port) == "1"


def until(box: Box, what: str, reached: Callable[[], bool]) -> None:
    """Wait for a state of the database host."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        if time.monotonic() > deadline:
            raise Failed(f"{box.name}: {what}: not within {PATIENCE_S} s")
        time.sleep(0.3)


# Making


def install(box: Box) -> None:
    """Make the cluster on the host's disk with roles and tables, and start both services."""
    options = [word for key, value in SETTINGS.items() for word in ("-o", f"{key}={value}")]
    box.must("pg_createcluster", *options, "15", "main")
    box.must("sh", "-c", f"echo 'host all all samenet scram-sha-256' >> {CONFIGURATION}/pg_hba.conf")
    # systemd learns of the new cluster from a generator.
    box.must("systemctl", "daemon-reload")
    box.must("systemctl", "start", SERVER)
    until(box, "the server answers", lambda: holds(box, "true"))
    sql(
        box,
        *(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'" for role, password in PASSWORDS.items()),
        "GRANT pg_monitor TO monitor",
        "GRANT app TO deploy",
        *(f"CREATE DATABASE {name} OWNER app" for name in DATABASES),
    )
    for name in DATABASES:
        sql(
            box,
            "SET ROLE app",
            "CREATE TABLE orders (id int PRIMARY KEY, note text)",
            "INSERT INTO orders SELECT number, 'order ' || number FROM generate_series(1, 1000) number",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO billing",
            "GRANT SELECT ON orders TO backup",
            database=name,
        )
    start(box)
    wait_ready(box)


def start(box: Box) -> None:
    """Start both services, whatever was done to their units; what runs is left alone."""
    box.run(["systemctl", "unmask", *UNITS])
    box.run(["systemctl", "unmask", "--runtime", *UNITS])
    box.must("systemctl", "enable", "--quiet", "postgresql.service", POOLER)
    for unit in UNITS:
        if box.show("ActiveState", unit=unit).get("ActiveState") != "active":
            box.run(["systemctl", "reset-failed", unit])
            box.must("systemctl", "restart", unit)


def wait_ready(box: Box) -> None:
    """Until both answer. No session is left of the asking: it would count against limits for ten minutes."""
    until(box, "the server answers", lambda: answers(box, SERVER_PORT))
    until(box, "the pooler answers", lambda: answers(box, POOLER_PORT))
    admin(box, "RECONNECT")
    asking = "EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'monitor')"
    until(box, "no session of the asking is left", lambda: holds(box, f"NOT {asking}"))


def restart_pooler(box: Box) -> None:
    """The pooler as it was made: its configuration, nothing paused, no pool filled."""
    layer_files = box.names.state / "database-layer" / POOLER_CONFIGURATION.lstrip("/")
    for path in layer_files.iterdir():
        target = box.directory / "root" / POOLER_CONFIGURATION.lstrip("/") / path.name
        if not target.exists() or target.read_bytes() != path.read_bytes():
            shutil.copyfile(path, target)
            shutil.chown(target, path.stat().st_uid, path.stat().st_gid)
            target.chmod(0o640)
    box.run(["systemctl", "reset-failed", POOLER])
    box.must("systemctl", "restart", POOLER)


def terminate_clients(box: Box) -> None:
    """End the sessions of all clients."""
    there = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    sql(box, f"SELECT pg_terminate_backend(pid) {there}")
    until(box, "the sessions of all clients end", lambda: holds(box, f"NOT EXISTS (SELECT {there})"))
