# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to PostgreSQL and to PgBouncer's console, with the library that community.postgresql uses. PRIVATE."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import sys
import typing as t

from ansible_collections.community.postgresql.plugins.module_utils import postgres

from .._host.parts import PartError, clean

Rows = list[dict[str, t.Any]]

CONNECT_S = 5
# What a server says before it has a session: it gives no SQLSTATE there that the library hands on. The first that is in
# the text decides (PostgreSQL's and PgBouncer's own messages, in English as with lc_messages=C).
_REFUSALS = (
    ("exhausted", "too many clients already"),
    ("exhausted", "remaining connection slots are reserved"),
    ("role_limit", "too many connections for role"),
    ("database_limit", "too many connections for database"),
    ("pooler_limit", "no more connections allowed"),
    ("starting", "the database system is starting up"),
    ("starting", "the database system is not yet accepting connections"),
    ("starting", "the database system is in recovery mode"),
    ("stopping", "the database system is shutting down"),
    ("login", "authentication failed"),
    ("login", "no password supplied"),
    ("login", "no pg_hba.conf entry"),
    ("login", "not allowed"),
    ("login", "no such user"),
    ("tls", "certificate"),
    ("tls", "SSL"),
    ("login", " does not exist"),
    ("late", "timeout expired"),
    ("late", "timed out"),
    ("refused", "Connection refused"),
    ("refused", "No such file or directory"),
    ("unreachable", "No route to host"),
    ("unreachable", "Network is unreachable"),
    ("unreachable", "could not translate host name"),
)
# What libpq asks and advises below a reason is no observation.
_ADVICE = re.compile(r"(?m)^\s+(?:Is the server running|Either provide|Consider).*$")


# Options of a login to the console beside the server's.
CONSOLE: dict[str, t.Any] = {
    "login_host": {"type": "str"},
    "login_unix_socket": {"type": "str"},
    "login_port": {"type": "int"},
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
    "ssl_mode": {"type": "str"},
    "ca_cert": {"type": "path"},
    "connect_params": {"type": "dict"},
}


def options(console: bool = False) -> dict[str, t.Any]:
    """The options that say how to log in, as community.postgresql has them; with the defaults of PgBouncer's console."""
    usual: dict[str, t.Any] = postgres.postgres_common_argument_spec()
    if not console:
        return dict(usual, login_db={"type": "str", "default": "postgres"})
    usual["login_user"] = {**usual["login_user"], "default": "pgbouncer"}
    usual["login_port"] = {**usual["login_port"], "default": 6432}
    return usual


def parameters(module: t.Any, params: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the library connects with."""
    found = postgres.get_conn_params(module, params, warn_db_default=False)
    return {"connect_timeout": CONNECT_S, "application_name": "virtengine.incident", **found}


def of_console(server: dict[str, t.Any], given: dict[str, t.Any]) -> dict[str, t.Any]:
    """How to log in to PgBouncer's console: as ``given`` says, else by the socket beside the server's, as its own user."""
    usual = {key: server[key] for key in BESIDE}
    said = {key: value for key, value in given.items() if value is not None}
    return {**usual, "login_user": "pgbouncer", "login_port": 6432, **said, "login_db": "pgbouncer"}


# What the console's login takes from the server's, where it says nothing of its own.
BESIDE = ("login_host", "login_unix_socket", "ssl_mode", "ca_cert", "connect_params")


def is_local(found: dict[str, t.Any]) -> bool:
    """Whether it is reached by a socket or by loopback: on this host."""
    where = str(found.get("hostaddr") or found.get("host") or os.environ.get("PGHOST") or "/")
    return where.startswith("/") or where in ("localhost", "127.0.0.1", "::1")


def become_peer(found: dict[str, t.Any]) -> None:
    """In a child process of root: be the system's user of the login's name, whom peer authentication lets in by the socket.

    PgBouncer lets in as ``pgbouncer`` the user under whom it runs: the owner of its socket.
    """
    where = str(found.get("hostaddr") or found.get("host") or os.environ.get("PGHOST") or SOCKETS)
    if os.geteuid() != 0 or found.get("password") or not where.startswith("/"):
        return
    with contextlib.suppress(KeyError, OSError):
        if found.get("dbname") == "pgbouncer":
            entry = pwd.getpwuid(os.stat(f"{where}/.s.PGSQL.{found.get('port')}").st_uid)
        else:
            entry = pwd.getpwnam(str(found.get("user")))
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        # Certificates and a password file of root are not this user's.
        os.environ["HOME"] = entry.pw_dir


# Where Debian and Red Hat keep the sockets; libpq's own default may be /tmp.
SOCKETS = "/var/run/postgresql"


@contextlib.contextmanager
def session(found: dict[str, t.Any], what: str) -> t.Iterator[t.Callable[..., Rows]]:
    """A function that runs one statement and returns its rows. Raises PartError with the reason in the contract's words."""
    library: t.Any = postgres.psycopg
    if not postgres.HAS_PSYCOPG:
        raise PartError("library", f"{sys.executable} has no library for PostgreSQL (psycopg2 or psycopg)")
    try:
        connection = library.connect(**found)
    except Exception as error:
        raise refusal(error, what) from error
    try:
        connection.autocommit = True

        def run(statement: str, values: t.Any = None) -> Rows:
            with connection.cursor() as cursor:
                cursor.execute(statement, values) if values is not None else cursor.execute(statement)
                if cursor.description is None:
                    return []
                names = [column[0] for column in cursor.description]
                return [dict(zip(names, row)) for row in cursor.fetchall()]

        yield run
    finally:
        connection.close()


def refusal(error: BaseException, what: str) -> PartError:
    """Why there is no connection."""
    whole = _ADVICE.sub("", str(error))
    text = clean(whole) or type(error).__name__
    kind = next((kind for kind, words in _REFUSALS if words in whole), "failed")
    return PartError(kind, f"{what}: {text}")
