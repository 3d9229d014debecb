# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as Ansible runs them: options in, JSON out, in a process of their own."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any, TextIO

import pytest
from ansible.module_utils import basic

from tests.unit.module_utils._postgresql.fakes import DIGEST, Answer, Failed, Library, PgBouncer, put

MODULES = Path(__file__).resolve().parents[4] / "plugins" / "modules"
SECRET = "-".join(["hunter2"] * 2)
SESSION = {"pid": 7, "started_at": "2026-11-30T21:00:00.123456Z", "query_at": "", "state": "idle"}
END = {"state": "terminated", "backends": [SESSION], "login_host": "db.invalid"}
RESIZE = {"state": "resized", "pool_size": 15, "expected_size": 10, "digest": DIGEST}
TEXT = "[databases]\n[pgbouncer]\ndefault_pool_size = 10\n"


class Ansible:
    """Runs modules with a library that knows one PgBouncer and no server; keeps all that a run printed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pooler = PgBouncer(folder).begin(TEXT, orders=0)
        self.told = folder / "logins"
        self.told.write_text("")
        self.printed = ""
        self.server: Answer | None = None
        library = put(monkeypatch, Library(self.pooler.answer))
        connect = library.connect

        def log_in(**found: Any) -> Any:
            with self.told.open("a") as stream:
                stream.write(json.dumps(found) + "\n")
            if found["dbname"] == "postgres" and self.server:
                return Library(self.server).connect(**found)
            if found["dbname"] != "pgbouncer":
                raise Failed(f"FATAL:  no such database: {found['dbname']}")
            return connect(**found)

        monkeypatch.setattr(library, "connect", log_in)

    def run(self, name: str, check: bool = False, **options: Any) -> dict[str, Any]:
        asked = {
            **options,
            "_ansible_check_mode": check,
            "_ansible_remote_tmp": "there",
            "_ansible_keep_remote_files": False,
        }
        output = self.pooler.folder / "output"
        with output.open("w") as stream:
            pid = os.fork()
            if pid == 0:
                self._in_child(name, {"ANSIBLE_MODULE_ARGS": asked}, stream)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.printed = output.read_text()
        answer: dict[str, Any] = json.loads(self.printed)
        assert code == (1 if answer.get("failed") else 0), self.printed
        return answer

    @staticmethod
    def _in_child(name: str, given: dict[str, Any], stream: TextIO) -> None:
        """As RUNNER of the other modules does it, but with what is imported already: five times as fast."""
        code = 99
        try:
            sys.stdout = sys.stderr = stream
            vars(basic).update(_ANSIBLE_ARGS=json.dumps(given).encode(), _ANSIBLE_PROFILE="legacy")
            runpy.run_path(str(MODULES / f"{name}.py"), run_name="__main__")
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            stream.flush()
            os._exit(code)

    def logins(self) -> list[dict[str, Any]]:
        return [dict(json.loads(line)) for line in self.told.read_text().splitlines()]

    def resize(self, check: bool = False, **options: Any) -> dict[str, Any]:
        asked = {**RESIZE, "conffile": str(self.pooler.file), "login_host": "127.0.0.1", **options}
        return self.run("pgbouncer_pool", check, **asked)


@pytest.fixture
def ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ansible:
    return Ansible(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("postgresql_backends", {**END, "backends": []}, "backends is empty"),
        ("postgresql_backends", {**END, "state": "killed"}, "state must be one of"),
        ("postgresql_backends", {**END, "backends": [{"pid": 7}]}, "missing required arguments"),
        ("postgresql_backends", {**END, "wait_s": -30}, "wait_s"),
        ("postgresql_evidence", {"deadline": 5, "delay": 4}, "deadline must leave 3 seconds"),
        ("postgresql_evidence", {"delay": -1}, "delay must not be negative"),
        ("postgresql_evidence", {"login_host": "x", "pooler": {"login_hots": "x"}}, "login_hots"),
        ("pgbouncer_pool", {"state": "resized", "pool_size": 15}, "missing: expected_size, digest"),
        ("pgbouncer_pool", {**RESIZE, "login_host": "127.0.0.1", "digest": "x"}, "not the digest of a plan"),
        ("pgbouncer_pool", {**RESIZE, "login_host": "db.invalid"}, "runs on another host"),
        ("pgbouncer_pool", {"state": "paused"}, "state must be one of"),
        ("pgbouncer_pool", {"state": "resumed", "database": "a;b", "login_host": "x"}, "no such name"),
        ("pgbouncer_pool", {**RESIZE, "login_host": "127.0.0.1", "pool_size": 0}, "pool_size"),
    ],
)
def test_wrong_options_fail_in_one_sentence(ansible: Ansible, name: str, options: dict[str, Any], why: str) -> None:
    found = ansible.run(name, **options)
    assert found["failed"] is True and why in found["msg"] and "\n" not in found["msg"]
    assert ansible.logins() == [] and ansible.pooler.file.read_text() == TEXT


def test_the_pools_are_resized_once_and_check_mode_writes_nothing(ansible: Ansible) -> None:
    predicted = ansible.resize(check=True, login_password=SECRET)
    assert SECRET not in ansible.printed and os.listdir(ansible.pooler.file.parent) == ["pgbouncer.ini"]
    done = ansible.resize()
    predicted.pop("invocation", None), done.pop("invocation", None)
    assert predicted == done and done["changed"] and done["done"] and (done["before"], done["after"]) == (10, 15)
    assert ansible.pooler.sent() == ["RELOAD"] and ansible.pooler.file.read_text() == TEXT.replace("10", "15")
    assert not ansible.resize()["changed"] and ansible.pooler.sent() == ["RELOAD"]
    first = ansible.logins()[0]
    assert (first["dbname"], first["user"], first["port"], first["password"]) == (
        "pgbouncer",
        "pgbouncer",
        6432,
        SECRET,
    )


def test_all_pools_are_resumed(ansible: Ansible) -> None:
    ansible.pooler.answer("PAUSE")
    assert ansible.run("pgbouncer_pool", True, state="resumed", login_host="pooler.invalid")["actions"] == ["RESUME"]
    assert ansible.pooler.state()["all"] is True
    assert ansible.run("pgbouncer_pool", state="resumed", login_host="pooler.invalid")["changed"] is True
    assert ansible.pooler.state()["all"] is False


def test_one_pool_is_resumed(ansible: Ansible) -> None:
    ansible.pooler.answer('PAUSE "orders"')
    ansible.run("pgbouncer_pool", state="resumed", database="orders", login_host="pooler.invalid")
    assert {login["dbname"] for login in ansible.logins()} == {"pgbouncer"}
    assert ansible.pooler.sent()[1:] == ['RESUME "orders"']


@pytest.mark.parametrize("check", [True, False])
def test_sessions_are_ended_and_in_check_mode_none(ansible: Ansible, tmp_path: Path, check: bool) -> None:
    sent = tmp_path / "signals"
    sent.write_text("")

    def server(statement: str, values: Any) -> list[dict[str, Any]]:
        if "pg_has_role" in statement:
            return [{"sees_all": True}]
        assert values["pid"] == 7
        if "pg_terminate_backend" in statement:
            sent.write_text("7")
        gone = sent.read_text() and "AS there" in statement
        return [] if gone else [{"may": True}] if "AS may" in statement else [{"sent": True}]

    ansible.server = server
    found = ansible.run("postgresql_backends", check, **END)
    assert found["changed"] is True and found["signalled"] == [7] and found["ended"] is True
    assert sent.read_text() == ("" if check else "7")


@pytest.mark.parametrize("check", [True, False])
def test_a_server_that_refuses_is_evidence_and_its_password_stays_here(ansible: Ansible, check: bool) -> None:
    asked = {"login_host": "db.invalid", "login_password": SECRET, "deadline": 20}
    found = ansible.run("postgresql_evidence", check, pooler={"login_port": 6432}, **asked)
    assert set(found["evidence"]) == {"server", "responder_locks", "pooler"} and found["changed"] is False
    assert found["evidence"]["server"]["error"]["text"] == "PostgreSQL: FATAL:  no such database: postgres"
    assert SECRET not in ansible.printed and ansible.pooler.sent() == []
    passwords = {login["dbname"]: login.get("password") for login in ansible.logins()}
    assert passwords == {"postgres": SECRET, "pgbouncer": None}, "the pooler is not told the server's password"


def test_the_host_of_a_socket_or_of_loopback_is_looked_at(ansible: Ansible, tmp_path: Path) -> None:
    log = str(tmp_path / "server.log")
    for on_host, options in (
        (True, {"login_host": "127.0.0.1"}),
        (False, {"login_host": "db.invalid"}),
        (False, {"login_host": "127.0.0.1", "on_host": False}),
        (True, {"login_host": "db.invalid", "on_host": True}),
    ):
        found = ansible.run("postgresql_evidence", deadline=20, server_log=log, **options)["evidence"]
        assert ({"processes", "log", "disk"} <= set(found)) is on_host and ("pooler" in found) is on_host


def test_the_poolers_password_stays_here(ansible: Ansible) -> None:
    ansible.run("postgresql_evidence", login_host="db.invalid", pooler={"login_password": SECRET}, deadline=20)
    passwords = {login["dbname"]: login.get("password") for login in ansible.logins()}
    assert passwords == {"postgres": None, "pgbouncer": SECRET} and SECRET not in ansible.printed


def test_a_failure_to_end_sessions_says_why_without_the_password(ansible: Ansible) -> None:
    found = ansible.run("postgresql_backends", login_password=SECRET, **END)
    assert found["msg"] == "PostgreSQL: FATAL:  no such database: postgres" and SECRET not in ansible.printed
