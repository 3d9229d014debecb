# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PgBouncer's console shows, whatever its version has."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import pooler

from tests.unit.module_utils._postgresql.fakes import FOUND, Failed, Library, Rows, put

HOSTILE = "\x1b[2J\x1b]0;x\x07a\u202e\n" + "b" * 100
SHOWN = "a " + "b" * 62


class Console:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: dict[str, Any] = {
            "POOLS": [{"database": "orders", "user": "app", "cl_active": 3, "cl_waiting": 2, "maxwait": 7,
                       "maxwait_us": 12, "pool_mode": "transaction"}],
            "DATABASES": [{"name": "orders", "host": None, "port": 5432, "pool_size": 10, "paused": 0, "secret": "x"}],
            "SERVERS": [{"type": "S", "user": "app", "database": "orders", "state": "active", "addr": "unix",
                         "remote_pid": 99, "ptr": "0x55"}],
            "VERSION": [{"version": "PgBouncer 1.18.0"}],
            "CONFIG": [{"key": "default_pool_size", "value": "10", "default": "20", "changeable": "yes"},
                       {"key": "pool_mode", "value": "transaction", "default": "session", "changeable": "yes"},
                       {"key": "auth_query", "value": "SELECT secret", "default": "", "changeable": "yes"}],
            "LISTS": [{"list": "databases", "items": 2}, {"list": "used_clients", "items": 5}],
        }  # fmt: skip
        self.library = put(monkeypatch, Library(self.answer))

    def answer(self, statement: str, _values: Any) -> Rows:
        word, _blank, name = statement.partition(" ")
        assert word == "SHOW"
        rows = self.rows[name]
        if isinstance(rows, Exception):
            raise rows
        return list(rows)


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    return Console(monkeypatch)


def test_what_the_console_shows(console: Console) -> None:
    found = pooler.read(FOUND, True)
    assert found == {
        "pools": [{"database": "orders", "user": "app", "cl_active": 3, "cl_waiting": 2, "maxwait": 7}],
        "local": True,
        "databases": [{"name": "orders", "host": None, "port": 5432, "pool_size": 10, "paused": 0}],
        "servers": [{"database": "orders", "remote_pid": 99}],
        "version": "PgBouncer 1.18.0",
        "settings": {"default_pool_size": "10", "pool_mode": "transaction"},
        "clients": 5,
    }  # fmt: skip
    assert console.library.closed == 1 and console.library.logins == [FOUND]
    assert pooler.read(FOUND, False) == {**found, "local": False}
    assert all(values is None for _statement, values in console.library.sent), "the console takes no values"


@pytest.mark.parametrize("missing", ["POOLS", "DATABASES", "SERVERS", "VERSION", "CONFIG", "LISTS"])
def test_a_console_that_shows_no_rows_is_read(console: Console, missing: str) -> None:
    console.rows[missing] = []
    found = pooler.read(FOUND, True)
    assert {"POOLS": found["pools"], "DATABASES": found["databases"], "SERVERS": found["servers"],
            "VERSION": found["version"], "CONFIG": found["settings"], "LISTS": found["clients"]}[missing] in ([], {}, None)  # fmt: skip


def test_columns_that_a_version_lacks_are_left_out(console: Console) -> None:
    console.rows["POOLS"] = [{"database": "orders", "cl_waiting_cancel_req": 1, "load_balance_hosts": "x"}]
    console.rows["SERVERS"] = [{"ptr": "0x55"}]
    found = pooler.read(FOUND, True)
    assert found["pools"] == [{"database": "orders", "cl_waiting_cancel_req": 1}] and found["servers"] == [{}]


def test_hostile_names_are_one_short_line(console: Console) -> None:
    console.rows["POOLS"] = [{"database": HOSTILE, "user": HOSTILE, "cl_active": 1}]
    console.rows["VERSION"] = [{"version": HOSTILE}]
    found = pooler.read(FOUND, True)
    assert found["pools"] == [{"database": SHOWN, "user": SHOWN, "cl_active": 1}]
    assert found["version"].startswith("a b") and "\n" not in found["version"]


def test_hostile_settings_are_one_short_line(console: Console) -> None:
    console.rows["CONFIG"] = [{"key": "conffile", "value": HOSTILE}]
    conffile = pooler.read(FOUND, True)["settings"]["conffile"]
    assert "\x1b" not in conffile and "\n" not in conffile


def test_many_rows_are_cut_off(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooler, "MOST_ROWS", 3)
    console.rows["SERVERS"] = [{"remote_pid": pid} for pid in range(9)]
    assert pooler.read(FOUND, True)["servers"] == [{"remote_pid": pid} for pid in range(3)]


def test_a_console_that_refuses_is_evidence(monkeypatch: pytest.MonkeyPatch, console: Console) -> None:
    console.rows["CONFIG"] = Failed("not allowed")
    with pytest.raises(Failed):
        pooler.read(FOUND, True)
    assert console.library.closed == 1
    put(monkeypatch, Library(lambda *_: [], refuses=Failed("FATAL:  no more connections allowed (max_client_conn)")))
    with pytest.raises(PartError, match=r"^PgBouncer: FATAL: ") as caught:
        pooler.read(FOUND, True)
    assert caught.value.kind == "pooler_limit"
