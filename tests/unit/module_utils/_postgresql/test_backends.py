# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cancelling and ending sessions: only those that are named, none that is protected, and none in check mode."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import backends

from tests.unit.module_utils._postgresql.fakes import FOUND, Failed, Library, Rows, put

SIGNALS = ("pg_cancel_backend", "pg_terminate_backend")


def named(pid: int) -> dict[str, Any]:
    return {"pid": pid, "started_at": f"2026-11-30T21:00:00.{pid:06}Z", "query_at": "", "state": "idle in transaction"}


class Sessions:
    """The sessions of a server: pid to how often it is still seen after the signal; those in ``protected`` are shielded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there = {7: 0, 8: 0, 9: 0}
        self.protected: set[int] = set()
        self.sees_all = True
        self.refuses: set[int] = set()
        self.signalled: list[tuple[str, int]] = []
        self.waited: list[float] = []
        self.library = put(monkeypatch, Library(self.answer))
        monkeypatch.setattr(backends.time, "sleep", self.waited.append)

    def answer(self, statement: str, values: Any) -> Rows:
        if "pg_has_role" in statement:
            return [{"sees_all": self.sees_all}]
        pid = values["pid"]
        assert {key: values[key] for key in backends.NAMED} == named(pid)
        if pid not in self.there:
            return []
        signal = next((name for name in SIGNALS if name in statement), None)
        if signal is None and "AS may" in statement:
            return [{"may": pid not in self.protected}]
        if signal is None:
            return self.look(pid)
        if pid in self.refuses:
            raise Failed("must be a member of the role whose process is being terminated", pgcode="42501")
        self.signalled.append((signal, pid))
        return [{"sent": True}]

    def look(self, pid: int) -> Rows:
        if ("pg_cancel_backend", pid) in self.signalled or ("pg_terminate_backend", pid) in self.signalled:
            self.there[pid] -= 1
            if self.there[pid] < 0:
                del self.there[pid]
                return []
        return [{"there": 1}]

    def end(self, *pids: int, state: str = "terminated", wait_s: int = 10, check: bool = False) -> dict[str, Any]:
        return backends.end(
            FOUND,
            state=state,
            backends=[named(pid) for pid in pids],
            protected_roles=["replicator"],
            protected_applications=["mine"],
            wait_s=wait_s,
            check=check,
        )


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Sessions:
    return Sessions(monkeypatch)


@pytest.mark.parametrize(
    ("state", "signal", "word"),
    [("cancelled", "pg_cancel_backend", "cancel"), ("terminated", "pg_terminate_backend", "terminate")],
)
def test_what_is_named_is_signalled_once(sessions: Sessions, state: str, signal: str, word: str) -> None:
    assert sessions.end(7, 9, state=state) == {
        "changed": True, "signalled": [7, 9], "gone": [], "ended": True, "msg": "",
        "actions": [f"{word} 7", f"{word} 9"],
    }  # fmt: skip
    assert sessions.signalled == [(signal, 7), (signal, 9)] and sessions.library.closed == 1
    assert set(sessions.there) == {8}


def test_check_mode_predicts_and_sends_nothing(sessions: Sessions) -> None:
    predicted = sessions.end(7, 5, check=True)
    assert sessions.signalled == [] and len(sessions.there) == 3 and sessions.waited == []
    assert not any(name in statement for statement, _values in sessions.library.sent for name in SIGNALS)
    assert sessions.end(7, 5) == predicted and predicted["signalled"] == [7] and predicted["gone"] == [5]


@pytest.mark.parametrize("check", [True, False])
def test_where_one_is_protected_nothing_is_sent(sessions: Sessions, check: bool) -> None:
    sessions.protected = {9}
    with pytest.raises(PartError, match="session 9 is protected") as caught:
        sessions.end(7, 8, 9, check=check)
    assert caught.value.kind == "refused" and sessions.signalled == [] and sessions.library.closed == 1


def test_what_is_gone_is_done(sessions: Sessions) -> None:
    done = sessions.end(4, 5)
    assert done == {"changed": False, "signalled": [], "gone": [4, 5], "ended": True, "actions": [], "msg": ""}
    assert sessions.signalled == []


@pytest.mark.parametrize("answer", [[], [{"sent": False}]])
def test_what_goes_between_look_and_signal_is_gone(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, answer: list[dict[str, Any]]
) -> None:
    usual = sessions.answer
    put(monkeypatch, Library(lambda text, values: answer if "_backend(a.pid)" in text else usual(text, values)))
    done = sessions.end(7)
    assert done["gone"] == [7] and done["signalled"] == [] and not done["changed"]


def test_it_waits_until_all_are_gone(sessions: Sessions) -> None:
    sessions.there.update({7: 3, 8: 1})
    assert sessions.end(7, 8)["ended"] and 7 not in sessions.there and 8 not in sessions.there
    assert len(sessions.waited) == 3


def test_what_is_still_there_is_said(sessions: Sessions) -> None:
    sessions.there.update({7: 10**6, 8: 0})
    done = sessions.end(7, 8, wait_s=0)
    assert done["ended"] is False and done["msg"] == "still there after 0 s: 7" and done["signalled"] == [7, 8]


def test_a_signal_that_the_server_refuses_is_said_with_what_was_done(sessions: Sessions) -> None:
    sessions.refuses = {8}
    done = sessions.end(7, 8, 9)
    assert done["signalled"] == [7] and done["actions"] == ["terminate 7"] and done["changed"] and not done["ended"]
    assert done["msg"].startswith("session 8: must be a member") and sessions.signalled == [("pg_terminate_backend", 7)]
    assert sessions.library.closed == 1 and 9 in sessions.there


@pytest.mark.parametrize("state", ["cancelled", "terminated"])
def test_who_it_is_and_whether_it_may_are_checked_in_the_statement_that_signals(sessions: Sessions, state: str) -> None:
    sessions.end(7, state=state)
    (sent,) = [(text, values) for text, values in sessions.library.sent if "_backend(a.pid)" in text]
    statement, values = " ".join(sent[0].split()), sent[1]
    for condition in (
        "WHERE a.pid = %(pid)s",
        "AND a.backend_start = %(started_at)s::timestamptz",
        "AND a.query_start IS NOT DISTINCT FROM nullif(%(query_at)s, '')::timestamptz",
        "AND a.state = %(state)s",
        "AND (a.backend_type = 'client backend'",
        "AND a.pid <> pg_backend_pid()",
        "AND NOT r.rolsuper",
        "AND NOT r.rolreplication",
        # The library sends an empty list as '{}', of which the server does not know what it holds.
        "AND NOT (a.usename = ANY(%(roles)s::text[]))",
        "AND NOT EXISTS (SELECT FROM unnest(%(applications)s::text[]) AS name "
        "WHERE starts_with(lower(a.application_name), lower(name)))",
    ):
        assert condition in statement
    assert values["roles"] == ["replicator"] and {"pg_dump", "walreceiver", "mine"} <= set(values["applications"])
    assert statement.count("(") == statement.count(")") and not re.search(r"\b(?:OR|WHO|MAY)\b|;", statement)


def test_backups_are_protected_whatever_is_asked(sessions: Sessions) -> None:
    sessions.end(7, 9)
    shields = [values["applications"] for text, values in sessions.library.sent if "unnest(" in text]
    assert len(shields) == 4 and all(set(backends.PROTECTED) < set(names) for names in shields)
    assert {"pg_dump", "pg_basebackup", "pgbackrest", "virtengine.incident"} <= set(backends.PROTECTED)
    assert all(name == name.strip() != "" for name in backends.PROTECTED), "an empty one protects every session"


def test_a_login_that_does_not_see_the_sessions_takes_none_for_gone(sessions: Sessions) -> None:
    sessions.sees_all = False
    with pytest.raises(PartError, match="pg_monitor"):
        sessions.end(7)
    assert sessions.signalled == []
