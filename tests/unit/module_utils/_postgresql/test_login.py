# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging in: as whom, with which defaults, and why a server refuses."""

from __future__ import annotations

import os
import types
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import login

from tests.unit.module_utils._postgresql.fakes import FOUND, Failed, Library, put

SOCKET = 'connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: '
TCP = 'connection to server at "db.example.org" (10.0.0.5), port 5432 failed: '
HINT = "\n\tIs the server running on that host and accepting TCP/IP connections?\n"
LOCAL = "\n\tIs the server running locally and accepting connections on that socket?\n"
SERVER: dict[str, Any] = {
    "login_host": "db.example.org", "login_unix_socket": "", "ssl_mode": "verify-full", "ca_cert": "/ca.pem",
    "connect_params": {"passfile": "/x"}, "login_user": "monitor", "login_password": "hunter2", "login_port": 5433,
    "login_db": "orders",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (SOCKET + "FATAL:  sorry, too many clients already\n", "exhausted"),
        (TCP + "FATAL:  remaining connection slots are reserved for non-replication superuser connections", "exhausted"),
        (TCP + "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", "exhausted"),
        (TCP + 'FATAL:  too many connections for role "app"', "role_limit"),
        (TCP + 'FATAL:  too many connections for database "orders"', "database_limit"),
        (TCP + "FATAL:  no more connections allowed (max_client_conn)", "pooler_limit"),
        (SOCKET + "FATAL:  the database system is starting up", "starting"),
        (SOCKET + "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent recovery state "
         "has not been yet reached.", "starting"),
        (SOCKET + "FATAL:  the database system is in recovery mode", "starting"),
        (SOCKET + "FATAL:  the database system is shutting down", "stopping"),
        (SOCKET + 'FATAL:  Peer authentication failed for user "postgres"', "login"),
        (TCP + 'FATAL:  password authentication failed for user "app"', "login"),
        (TCP + "fe_sendauth: no password supplied", "login"),
        (TCP + 'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "app", database "o", SSL encryption', "login"),
        (TCP + 'FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "app", database "o", no encryption', "login"),
        (TCP + "FATAL:  not allowed", "login"),
        (TCP + "FATAL:  no such user: monitor", "login"),
        (TCP + 'FATAL:  role "monitor" does not exist', "login"),
        (TCP + 'FATAL:  database "orders" does not exist', "login"),
        (TCP + "server does not support SSL, but SSL was required", "tls"),
        (TCP + "SSL error: certificate verify failed", "tls"),
        (TCP + "timeout expired\n", "late"),
        (TCP + "Connection refused" + HINT, "refused"),
        (SOCKET + "No such file or directory" + LOCAL, "refused"),
        (TCP + "No route to host" + HINT, "unreachable"),
        ('could not translate host name "db" to address: Name or service not known', "unreachable"),
        (TCP + "server closed the connection unexpectedly", "failed"),
        # An address that refuses, and one that lets in no more: the second is what matters.
        ('connection to server at "db" (::1), port 5432 failed: Connection refused' + HINT
         + 'connection to server at "db" (127.0.0.1), port 5432 failed: FATAL:  sorry, too many clients already', "exhausted"),
        (TCP + 'root certificate file "/root/.postgresql/root.crt" does not exist\nEither provide the file, use the '
         "system's trusted roots with sslrootcert=system, or change sslmode to disable server certificate "
         "verification.", "tls"),
        (TCP + 'server certificate for "db" does not match host name "db.example.org"', "tls"),
        ((TCP + "Connection refused" + HINT) * 5 + TCP + "FATAL:  sorry, too many clients already", "exhausted"),
        (TCP + "Connection timed out" + HINT, "late"),
        (TCP + "Network is unreachable" + HINT, "unreachable"),
    ],
)  # fmt: skip
def test_why_there_is_no_connection(text: str, kind: str) -> None:
    refused = login.refusal(Failed(text), "PostgreSQL")
    assert refused.kind == kind
    assert "Is the server running" not in refused.text
    assert refused.text.startswith("PostgreSQL: ") and "\n" not in refused.text and len(refused.text) < 350


def test_an_error_without_words_is_named() -> None:
    assert login.refusal(KeyError(), "PgBouncer").text == "PgBouncer: KeyError"


class User:
    """Records whom the process becomes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.uid = 0
        self.users = {"postgres": 101, "pgbouncer": 102, "app": 1000}
        self.sockets = {
            "/var/run/postgresql/.s.PGSQL.6432": 101,
            "/run/pgb/.s.PGSQL.6433": 102,
            "/gone/.s.PGSQL.6432": 7,
        }
        monkeypatch.setenv("HOME", "/root")
        monkeypatch.setattr(login.os, "geteuid", lambda: self.uid)
        for name in ("initgroups", "setgid", "setuid"):
            monkeypatch.setattr(login.os, name, lambda *given, name=name: self.calls.append((name, *given)))
        monkeypatch.setattr(login.pwd, "getpwnam", lambda name: self.entry(name, self.users[name]))
        monkeypatch.setattr(login.pwd, "getpwuid", self.by_number)
        self.real_stat = os.stat
        monkeypatch.setattr(login.os, "stat", self.stat)

    def stat(self, path: Any, **how: Any) -> Any:
        if ".s.PGSQL." not in str(path):
            return self.real_stat(path, **how)
        if path not in self.sockets:
            raise FileNotFoundError(2, "No such file or directory", path)
        return types.SimpleNamespace(st_uid=self.sockets[path])

    def by_number(self, uid: int) -> Any:
        return self.entry({uid: name for name, uid in self.users.items()}[uid], uid)

    @staticmethod
    def entry(name: str, uid: int) -> Any:
        return types.SimpleNamespace(pw_name=name, pw_uid=uid, pw_gid=uid + 5, pw_dir=f"/home/{name}")


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> User:
    return User(monkeypatch)


@pytest.mark.parametrize(
    ("found", "becomes"),
    [
        ({"user": "postgres", "dbname": "postgres"}, "postgres"),
        ({"user": "app", "dbname": "orders", "host": "/var/run/postgresql"}, "app"),
        ({"user": "app", "dbname": "orders", "password": ""}, "app"),
        # On the pooler's console whoever owns its socket, whatever the login is called.
        ({"user": "pgbouncer", "dbname": "pgbouncer", "port": 6432}, "postgres"),
        ({"user": "app", "dbname": "pgbouncer", "port": 6433, "host": "/run/pgb"}, "pgbouncer"),
        ({"user": "pgbouncer", "dbname": "pgbouncer", "port": 6434}, None),
        ({"user": "pgbouncer", "dbname": "pgbouncer", "port": 6432, "host": "/gone"}, None),
        ({"user": "pgbouncer", "dbname": "orders", "port": 6432}, "pgbouncer"),
        ({"user": "nobody-here", "dbname": "orders"}, None),
        ({"dbname": "orders"}, None),
        ({"user": "app", "password": "hunter2"}, None),
        ({"user": "app", "host": "127.0.0.1"}, None),
        ({"user": "app", "host": "localhost"}, None),
        ({"user": "pgbouncer", "dbname": "pgbouncer", "port": 6432, "password": "hunter2"}, None),
        ({"user": "pgbouncer", "dbname": "pgbouncer", "port": 6432, "host": "db.example.org"}, None),
    ],
)
def test_root_becomes_the_user_whom_the_socket_lets_in(user: User, found: dict[str, Any], becomes: str | None) -> None:
    login.become_peer(found)
    if becomes is None:
        assert user.calls == [] and os.environ["HOME"] == "/root"
        return
    uid = user.users[becomes]
    # The groups first: afterwards nobody may change them any more.
    assert user.calls == [("initgroups", becomes, uid + 5), ("setgid", uid + 5), ("setuid", uid)]
    assert os.environ["HOME"] == f"/home/{becomes}"


def test_only_root_becomes_somebody(user: User) -> None:
    user.uid = 1000
    login.become_peer({"user": "app", "dbname": "orders"})
    assert user.calls == []


def test_the_options_are_those_of_the_dependency() -> None:
    usual = login.options()
    assert usual["login_db"] == {"type": "str", "default": "postgres"}
    assert usual["login_password"]["no_log"] is True and usual["login_host"]["aliases"] == ["host"]
    console = login.options(console=True)
    assert "login_db" not in console and console["login_user"]["default"] == "pgbouncer"
    assert console["login_port"]["default"] == 6432 and console["login_port"]["type"] == "int"
    assert console["login_port"]["aliases"] == ["port"] and set(usual) - set(console) == {"login_db"}
    assert login.options()["login_port"]["default"] != 6432


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {}),
        ({"login_user": "stats", "login_port": 7000}, {"login_user": "stats", "login_port": 7000}),
        ({"login_host": "pooler", "login_password": "x"}, {"login_host": "pooler", "login_password": "x"}),
        ({"login_db": "orders"}, {}),
        (dict.fromkeys(login.CONSOLE), {}),
        ({"login_user": None, "login_port": 7000}, {"login_port": 7000}),
    ],
)
def test_the_console_is_beside_the_server_and_gets_no_password_of_it(
    given: dict[str, Any], wanted: dict[str, Any]
) -> None:
    kept = {key: SERVER[key] for key in ("login_host", "login_unix_socket", "ssl_mode", "ca_cert", "connect_params")}
    usual = {**kept, "login_user": "pgbouncer", "login_port": 6432, "login_db": "pgbouncer"}
    assert login.of_console(SERVER, given) == {**usual, **wanted}


@pytest.mark.parametrize(
    ("where", "local"),
    [
        ({}, True), ({"host": ""}, True), ({"host": "/run/pg"}, True), ({"host": "localhost"}, True),
        ({"host": "127.0.0.1"}, True), ({"host": "::1"}, True), ({"host": "db.example.org"}, False),
        ({"host": "10.0.0.1"}, False), ({"host": "localhost.example.org"}, False),
    ],
)  # fmt: skip
def test_what_is_on_this_host(where: dict[str, Any], local: bool) -> None:
    assert login.is_local(where) is local


def test_what_the_library_connects_with() -> None:
    found = login.parameters(None, {**SERVER, "connect_params": {"connect_timeout": 2}})
    assert found == {
        "host": "db.example.org", "user": "monitor", "password": "hunter2", "port": 5433, "dbname": "orders",
        "sslmode": "verify-full", "sslrootcert": "/ca.pem", "connect_timeout": 2,
        "application_name": "virtengine.incident",
    }  # fmt: skip
    usual = login.parameters(None, {**SERVER, "login_host": "", "login_unix_socket": "/run/pg", "connect_params": {}})
    assert usual["host"] == "/run/pg" and usual["connect_timeout"] == login.CONNECT_S


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    library = put(monkeypatch, Library(lambda *_: []))
    monkeypatch.setattr(login.postgres, "HAS_PSYCOPG", False)
    with pytest.raises(PartError, match="has no library for PostgreSQL") as caught, login.session(FOUND, "PostgreSQL"):
        pass
    assert caught.value.kind == "library" and library.logins == []


def test_a_session_is_closed_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    library = put(monkeypatch, Library(lambda statement, _: None if statement == "RELOAD" else [{"a": 1, "b": 2}]))
    with pytest.raises(ZeroDivisionError), login.session(FOUND, "PgBouncer") as run:
        assert run("RELOAD") == [] and run("SELECT %s", [1]) == [{"a": 1, "b": 2}]
        raise ZeroDivisionError
    assert library.closed == 1 and library.sent == [("RELOAD", None), ("SELECT %s", [1])]
