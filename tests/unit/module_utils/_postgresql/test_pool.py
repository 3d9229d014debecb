# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing PgBouncer: only one value of the file changes, the old file stays, and a kill leaves a whole file."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, Refused
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import pool
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.module_utils._host.killing import killed_before_each_call
from tests.unit.module_utils._postgresql.fakes import DIGEST, FOUND, OTHER, Failed, Library, PgBouncer, put

# By loopback: the file is here, and nobody becomes another user.
HERE = {**FOUND, "host": "127.0.0.1", "dbname": "pgbouncer"}
KEPT = f"pgbouncer.ini.incident-{DIGEST}"
TEXT = """\
;; default_pool_size = 99
[databases]
default_pool_size = 5
orders = host=127.0.0.1 pool_size=7

[pgbouncer]
listen_port = 6432\r
; default_pool_size = 20
#default_pool_size = 20
 default_pool_size\t=  10 \r
reserve_pool_size = 10
auth_query = SELECT 'ü'

[users]
default_pool_size = 3"""
GROWN = TEXT.replace("=  10 \r", "=  15 \r")
BARE = "[databases]\n[pgbouncer]\nlisten_port = 6432\n"


class Pooler(PgBouncer):
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.begin(TEXT, orders=0, other=1)
        put(monkeypatch, Library(self.answer))

    def text(self, name: str = "pgbouncer.ini") -> str:
        return (self.file.parent / name).read_bytes().decode()

    def told(self) -> str:
        return (self.folder / "sent").read_text()

    def names(self) -> list[str]:
        return sorted(os.listdir(self.file.parent))

    def resize(self, digest: str = DIGEST, check: bool = False, size: int = 15, expected: int = 10) -> dict[str, Any]:
        return pool.resize(HERE, str(self.file), size, expected, digest, check)

    def resume(self, database: str | None, check: bool = False) -> dict[str, Any]:
        return pool.resume(FOUND, database, check)


@pytest.fixture
def pooler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pooler:
    return Pooler(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("text", "changed", "size"),
    [
        (TEXT, GROWN, 10),
        (GROWN, GROWN, 15),
        ("[pgbouncer]\ndefault_pool_size=10", "[pgbouncer]\ndefault_pool_size=15", 10),
        (" [ PgBouncer ] \ndefault_pool_size = 1\n", " [ PgBouncer ] \ndefault_pool_size = 15\n", 1),
        (BARE, "[databases]\n[pgbouncer]\ndefault_pool_size = 15\nlisten_port = 6432\n", None),
        ("[pgbouncer]\n;default_pool_size=3\n", "[pgbouncer]\ndefault_pool_size = 15\n;default_pool_size=3\n", None),
        ("[pgbouncer]\na=1\n[x]\n[pgbouncer]\n", "[pgbouncer]\ndefault_pool_size = 15\na=1\n[x]\n[pgbouncer]\n", None),
    ],
)
def test_the_size_and_nothing_else_is_set(text: str, changed: str, size: int | None) -> None:
    assert pool.sized(text, 15) == (changed, size)
    assert pool.sized(changed, 15) == (changed, 15)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "default_pool_size = 10\n",
        "[databases]\ndefault_pool_size = 10\n",
        ";[pgbouncer]\ndefault_pool_size = 10\n",
        "[pgbouncer]\ndefault_pool_size = 10\ndefault_pool_size = 10\n",
        "[pgbouncer]\ndefault_pool_size = 10\n[users]\n[pgbouncer]\ndefault_pool_size = 11\n",
    ],
)
def test_a_file_without_the_section_or_with_two_sizes_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="Nothing was done"):
        pool.sized(text, 15)


def test_a_heading_without_an_end_of_line_keeps_its_line() -> None:
    assert pool.sized("[pgbouncer]", 15)[0].splitlines() == ["[pgbouncer]", "default_pool_size = 15"]


@pytest.mark.parametrize("value", ["10 ; ten", "0x0a", "'10'", "", "-1", "1_0"])
def test_a_size_that_is_not_understood_is_refused(value: str) -> None:
    with pytest.raises(Refused):
        pool.sized(f"[pgbouncer]\ndefault_pool_size = {value}\n", 15)


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_a_comment_ends_where_the_pooler_ends_it(end: str) -> None:
    text = f"[pgbouncer]\n; was:{end}default_pool_size = 5\n"
    changed, size = pool.sized(text, 15)
    assert size is None and f"; was:{end}default_pool_size = 5\n" in changed


LINES = st.sampled_from(
    [
        "[pgbouncer]", "[databases]", " [users] ; x", "default_pool_size = 10", " default_pool_size=7\t",
        ";default_pool_size = 8", "# [pgbouncer]", "pool_mode = session", "", "min_default_pool_size = 2",
        "orders = pool_size=5 default_pool_size=6", "%include x.ini", "ü = \u2028", "[",
    ]
)  # fmt: skip


@given(lines=st.lists(LINES, max_size=9), end=st.sampled_from(["\n", "\r\n"]), size=st.integers(1, 999))
def test_whatever_the_file_is_every_other_byte_is_kept(lines: list[str], end: str, size: int) -> None:
    text = "".join(line + end for line in lines)
    try:
        changed, before = pool.sized(text, size)
    except Refused:
        return
    old, new = text.split("\n"), changed.split("\n")
    if before is None:
        place = next(at for at, line in enumerate(new) if line == f"default_pool_size = {size}")
        assert new[place - 1].strip() == "[pgbouncer]" and new[:place] + new[place + 1 :] == old
    else:
        other = [(was, now) for was, now in zip(old, new) if was != now]
        assert len(old) == len(new) and len(other) == (before != size)
        assert all(was.replace(str(before), str(size)) == now for was, now in other)
    assert pool.sized(changed, size) == (changed, size)


@given(text=st.text(), size=st.integers(1, 999))
def test_whatever_the_text_is_it_is_set_or_refused(text: str, size: int) -> None:
    changed, _before = pool.sized(f"[pgbouncer]\n{text.replace('[', '')}\n", size)
    assert len(changed) >= len(text) and pool.sized(changed, size)[1] == size


def test_resized_reloaded_and_kept(pooler: Pooler) -> None:
    pooler.file.chmod(0o640)
    predicted = pooler.resize(check=True)
    assert pooler.text() == TEXT and pooler.names() == ["pgbouncer.ini"] and pooler.sent() == []
    done = pooler.resize()
    assert predicted == done and done["changed"] and done["done"]
    assert (done["before"], done["after"], done["backup"]) == (10, 15, str(pooler.file.parent / KEPT))
    assert pooler.text() == GROWN and pooler.text(KEPT) == TEXT and pooler.names() == ["pgbouncer.ini", KEPT]
    assert pooler.sent() == ["RELOAD"] and pooler.state()["size"] == 15
    assert stat.S_IMODE(pooler.file.stat().st_mode) == 0o640


def test_a_second_run_changes_nothing_and_the_undo_is_a_rename(pooler: Pooler) -> None:
    pooler.resize()
    for digest in (DIGEST, OTHER):
        again = pooler.resize(digest)
        assert not again["changed"] and again["done"] and again["actions"] == [] and again["backup"] is None
        assert (again["before"], again["after"]) == (15, 15)
    assert pooler.names() == ["pgbouncer.ini", KEPT] and pooler.sent() == ["RELOAD"]
    os.rename(pooler.file.parent / KEPT, pooler.file)
    assert pooler.text() == TEXT


def test_a_file_without_the_value_gets_it(pooler: Pooler) -> None:
    pooler.begin(BARE, size=20)
    assert pooler.resize(expected=20)["done"]
    assert pooler.text() == BARE.replace("[pgbouncer]\n", "[pgbouncer]\ndefault_pool_size = 15\n")
    assert pooler.text(KEPT) == BARE


@pytest.mark.parametrize(
    ("text", "size", "expected", "why"),
    [
        (TEXT, 12, 10, "default_pool_size is 12, not 10"),
        (TEXT, 10, 9, "default_pool_size is 10, not 9"),
        (TEXT.replace("=  10", "=  11"), 10, 10, "has 11, the pooler 10: it was not reloaded"),
        ("[databases]\n", 10, 10, r"no section \[pgbouncer\]"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_what_the_plan_was_not_made_for_is_refused(
    pooler: Pooler, text: str, size: int, expected: int, why: str, check: bool
) -> None:
    pooler.begin(text, size=size)
    with pytest.raises(Refused, match=why):
        pooler.resize(check=check, expected=expected)
    assert pooler.text() == text and pooler.names() == ["pgbouncer.ini"] and pooler.sent() == []


def test_files_and_digests_that_are_not_meant_are_refused(pooler: Pooler) -> None:
    with pytest.raises(ValueError, match="not the digest of a plan"):
        pooler.resize("../../etc/passwd")
    (pooler.file.parent / KEPT).write_text("somebody's")
    with pytest.raises(Refused, match="is there already"):
        pooler.resize()
    assert pooler.text() == TEXT and pooler.text(KEPT) == "somebody's" and pooler.sent() == []
    pooler.file.unlink()
    with pytest.raises(PartError, match="does not exist"):
        pooler.resize()


def test_a_pooler_that_does_not_take_it_is_not_done(pooler: Pooler, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, Library(lambda statement, _: [] if statement == "RELOAD" else pooler.answer(statement)))
    done = pooler.resize()
    assert done["changed"] and not done["done"] and (done["before"], done["after"]) == (10, 10)


def test_a_console_that_refuses_changes_no_file(pooler: Pooler, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, Library(pooler.answer, refuses=Failed("FATAL:  not allowed")))
    with pytest.raises(PartError, match="PgBouncer: FATAL:  not allowed") as caught:
        pooler.resize()
    assert caught.value.kind == "login" and pooler.text() == TEXT


def test_a_run_killed_before_the_reload_is_finished_by_the_next(pooler: Pooler) -> None:
    pooler.begin(GROWN)
    assert pooler.resize(check=True)["actions"] == ["RELOAD"] and pooler.sent() == []
    done = pooler.resize()
    assert done["actions"] == ["RELOAD"] and done["done"] and done["backup"] is None and pooler.text() == GROWN


@pytest.mark.parametrize("again", [DIGEST, OTHER])
def test_killed_before_any_call_it_leaves_a_whole_file_and_the_next_run_finishes(
    pooler: Pooler, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    def prepare() -> None:
        for name in pooler.names():
            (pooler.file.parent / name).unlink()
        pooler.begin(TEXT)

    # In this process: it is the calls for the file that count.
    monkeypatch.setattr(pool, "console", lambda _found, work: work(lambda statement: pooler.answer(statement) or []))
    seen, kills = set(), 0
    for number in killed_before_each_call(pooler.resize, prepare):
        kills += 1
        assert pooler.text() in (TEXT, GROWN), f"call {number}"
        seen.add(pooler.text())
        if pooler.text() == GROWN:
            assert pooler.text(KEPT) == TEXT
        assert pooler.resize(again)["done"] and pooler.text() == GROWN and pooler.state()["size"] == 15
        kept = [name for name in pooler.names() if name != "pgbouncer.ini"]
        assert kept and all(pooler.text(name) == TEXT and name.startswith("pgbouncer.ini.incident-") for name in kept)
    assert kills > 10 and seen == {TEXT, GROWN}


def test_the_file_of_a_pooler_on_another_host_is_not_here(pooler: Pooler) -> None:
    with pytest.raises(Refused, match="runs on another host"):
        pool.resize(FOUND, str(pooler.file), 15, 10, DIGEST, False)
    assert pooler.text() == TEXT and pooler.told() == ""


def test_one_database_is_resumed(pooler: Pooler) -> None:
    predicted = pooler.resume("other", check=True)
    assert pooler.sent() == [] and pooler.state()["paused"] == {"orders": 0, "other": 1}
    done = pooler.resume("other")
    assert predicted == done == {"changed": True, "done": True, "actions": ['RESUME "other"']}
    assert pooler.sent() == ['RESUME "other"'] and pooler.state()["paused"] == {"orders": 0, "other": 0}
    for name in ("orders", "other"):
        for check in (True, False):
            assert pooler.resume(name, check) == {"changed": False, "done": True, "actions": []}
    assert pooler.sent() == ['RESUME "other"']


def test_all_databases_are_resumed(pooler: Pooler) -> None:
    pooler.answer("PAUSE")
    assert pooler.resume(None, check=True)["changed"] and pooler.state()["all"] and pooler.sent() == ["PAUSE"]
    assert pooler.resume(None) == {"changed": True, "done": True, "actions": ["RESUME"]}
    assert pooler.resume(None) == {"changed": False, "done": True, "actions": []}
    assert pooler.state()["paused"] == {"orders": 0, "other": 1}


@pytest.mark.parametrize("database", ['orders"; SHUTDOWN', "", "a b", "x" * 64, "orders\n", "\x1b[2J", "ü"])
def test_no_name_gets_into_the_console_that_is_not_one(pooler: Pooler, database: str) -> None:
    with pytest.raises(Refused, match="no such name") as caught:
        pooler.resume(database)
    assert "\x1b" not in str(caught.value) and pooler.told() == ""


def test_a_database_that_is_not_there_or_does_not_resume(pooler: Pooler, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PartError, match="no database nowhere") as caught:
        pooler.resume("nowhere")
    assert caught.value.kind == "refused" and pooler.sent() == []
    put(monkeypatch, Library(lambda statement, _: pooler.answer(statement) if "SHOW" in statement else None))
    done = pooler.resume("other")
    assert done["changed"] and not done["done"]


@pytest.mark.parametrize("database", ["other", None])
def test_what_the_console_refuses_is_said(
    pooler: Pooler, monkeypatch: pytest.MonkeyPatch, database: str | None
) -> None:
    def refuse(statement: str, _values: Any) -> Any:
        if statement.startswith("RESUME"):
            raise Failed("admin access needed")
        return pooler.answer(statement)

    put(monkeypatch, Library(refuse))
    with pytest.raises(PartError, match="admin access needed"):
        pooler.resume(database)


def test_a_console_that_hangs_is_late(pooler: Pooler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CONSOLE_S", 0.2)
    put(monkeypatch, Library(lambda _statement, _: pool.time.sleep(60)))
    with pytest.raises(PartError, match="not finished") as caught:
        pooler.resume("orders")
    assert caught.value.kind == "late"
