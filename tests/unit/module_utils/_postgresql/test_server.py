# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server shows: each query is a part of its own, only reads, and is cut off where it is too much."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import server

from tests.unit.module_utils._postgresql.fakes import FOUND, Failed, Library, Rows, put

NAMES = {server._statement(name): name for name in server.QUERIES}
SESSION = {"pid": 7, "application": "app", "database": "orders", "role": "app", "query": "SELECT 1"}
# No statement that looks has any of these words.
WRITES = (
    "insert update delete merge truncate create alter drop grant revoke copy call do into set_config vacuum lock set for "
    "pg_terminate_backend pg_cancel_backend pg_reload_conf nextval setval lo_import dblink pg_read_file prepare execute"
)


class Server:
    """A server that answers each query with ``rows``, or raises what stands for them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, version: int = 150004) -> None:
        self.rows: dict[str, Any] = {name: [{"name": name}] for name in server.QUERIES}
        self.rows["sessions"] = [dict(SESSION)]
        self.version = version
        self.library = put(monkeypatch, Library(self.answer))

    def answer(self, statement: str, _values: Any) -> Rows:
        if "statement_timeout" in statement:
            return [{"set_config": "5s"}]
        if statement not in NAMES:
            return [{"number": self.version}]
        rows = self.rows[NAMES[statement]]
        if isinstance(rows, Exception):
            raise rows
        return list(rows)

    def asked(self) -> list[str]:
        return [NAMES[statement] for statement, _values in self.library.sent if statement in NAMES]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


@pytest.mark.parametrize("name", sorted(server.QUERIES))
def test_a_query_is_one_select_and_writes_nothing(name: str) -> None:
    statement = server._statement(name)
    assert statement.startswith("SELECT ") and ";" not in statement and "--" not in statement
    words = re.findall(r"[a-z_]+", re.sub("'[^']*'", "", statement).lower())
    assert not set(words) & set(WRITES.split()) and words.count("select") <= 2
    assert "utc(" not in statement and statement.count("(") == statement.count(")")
    assert statement.count("to_char(") == server.QUERIES[name].count("utc(")
    assert statement.count("%s") == len(server._VALUES.get(name, ())) == statement.count("%")


def test_times_name_a_session_with_all_their_digits() -> None:
    for wanted in ("started_at", "query_at"):
        assert re.search(
            rf"to_char\(\S+ AT TIME ZONE 'UTC', '\S+\.US\"Z\"'\) AS {wanted}", server._statement("sessions")
        )


def test_each_query_is_asked_once_in_one_session_that_is_closed(fake: Server) -> None:
    found = server.read(FOUND)
    assert set(found) == set(server.QUERIES) and fake.asked() == list(server.QUERIES)
    assert all(part["ok"] and not part["cut"] and len(part["data"]) == 1 for part in found.values())
    assert fake.library.logins == [FOUND] and fake.library.closed == 1
    statement, values = fake.library.sent[0]
    assert "statement_timeout" in statement and values == ["5s"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Failed("permission denied for view", pgcode="42501"), "privilege"),
        (Failed("permission denied for view", pgcode=None, sqlstate="42501"), "privilege"),
        (Failed("canceling statement due to statement timeout", pgcode="57014"), "late"),
        (Failed("canceling statement due to statement timeout", sqlstate="57014"), "late"),
        (Failed("column does not exist", pgcode="42703"), "failed"),
        (Failed("server closed the connection", pgcode=None), "failed"),
        (RuntimeError("\x1b[31mred\nsecond line"), "failed"),
    ],
)
@pytest.mark.parametrize("name", ["identity", "sessions", "waits"])
def test_a_query_that_is_refused_or_late_takes_no_other_with_it(
    fake: Server, name: str, error: Exception, kind: str
) -> None:
    fake.rows[name] = error
    found = server.read(FOUND)
    text = found[name].pop("error")
    assert found.pop(name) == {"ok": False} and text["kind"] == kind
    assert text["text"].startswith(f"{name}: ") and "\n" not in text["text"] and "\x1b" not in text["text"]
    assert len(found) == len(server.QUERIES) - 1 and all(part["ok"] for part in found.values())


@pytest.mark.parametrize(("version", "reads"), [(96024, False), (110022, False), (120000, True), (180001, True)])
def test_a_server_that_is_too_old_is_not_asked(monkeypatch: pytest.MonkeyPatch, version: int, reads: bool) -> None:
    fake = Server(monkeypatch, version)
    if reads:
        assert server.read(FOUND)["identity"]["ok"]
        return
    with pytest.raises(PartError, match=f"PostgreSQL {version // 10000} is too old") as caught:
        server.read(FOUND)
    assert caught.value.kind == "failed" and fake.asked() == [] and fake.library.closed == 1


@pytest.mark.parametrize(("name", "most"), [("sessions", "MOST_SESSIONS"), ("waits", "MOST_WAITS")])
def test_what_is_too_much_is_cut_off_and_said(
    fake: Server, monkeypatch: pytest.MonkeyPatch, name: str, most: str
) -> None:
    # One more is asked for than is shown: only so it is known that there are more.
    assert server._VALUES[name] == [getattr(server, most) + 1]
    monkeypatch.setattr(server, most, 3)
    for number in (2, 3, 4):
        fake.rows[name] = [{**SESSION, "pid": pid} for pid in range(number)]
        part = server.read(FOUND)[name]
        assert [row["pid"] for row in part["data"]] == list(range(min(number, 3)))
        assert part["cut"] is (number == 4)


def test_a_session_shows_no_values_and_no_escapes(fake: Server) -> None:
    hostile = "\x1b[2J\x1b]0;x\x07a\u202e\n" + "b" * 100
    fake.rows["sessions"] = [
        {**SESSION, "query": "SELECT 'hunter2'", "application": hostile, "role": hostile, "database": hostile},
        {**SESSION, "query": None, "application": None, "role": None, "database": None},
    ]
    first, second = server.read(FOUND)["sessions"]["data"]
    assert first["query"] == "SELECT ?" and second["query"] == ""
    for key in ("application", "role", "database"):
        assert first[key] == "a " + "b" * 62 and second[key] is None


def test_a_server_without_a_slot_is_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, Library(lambda *_: [], refuses=Failed("FATAL:  sorry, too many clients already")))
    with pytest.raises(PartError, match=r"^PostgreSQL: FATAL:  sorry") as caught:
        server.read(FOUND)
    assert caught.value.kind == "exhausted"
