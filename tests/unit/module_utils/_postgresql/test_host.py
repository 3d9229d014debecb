# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host shows by itself: processes by their titles, room, memory, units and the server's log."""

from __future__ import annotations

import io
import os
import types
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import parts
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from ansible_collections.virtengine.incident.plugins.module_utils._postgresql import host
from hypothesis import given, settings
from hypothesis import strategies as st

DATA = "/var/lib/postgresql/15/main"
POSTMASTER = ["/usr/lib/postgresql/15/bin/postgres", "-D", DATA]
IDLE = "postgres: 15/main: app orders 10.0.0.7(41234) idle in transaction"
FULL = "2026-11-30 21:00:{:02} UTC [7] app@orders FATAL:  sorry, too many clients already"
SINCE = 1796072400.0  # 2026-11-30 21:00:00 UTC


class Proc:
    """A folder like /proc."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "self").mkdir()
        (path / "meminfo").write_text("")

    def add(self, pid: int, *words: str, cwd: str = DATA, end: bytes = b"\0") -> Path:
        folder = self.path / str(pid)
        folder.mkdir()
        (folder / "cmdline").write_bytes("\0".join(words).encode("utf-8", "surrogateescape") + end)
        (folder / "cwd").symlink_to(cwd)
        return folder

    def sessions(self) -> list[dict[str, Any]]:
        return list(host.processes(str(self.path))["sessions"])


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    path = tmp_path / "proc"
    path.mkdir()
    return Proc(path)


def test_sessions_are_counted_by_role_database_client_and_state(proc: Proc) -> None:
    proc.add(900, *POSTMASTER)
    for pid in (901, 902, 903):
        proc.add(pid, IDLE, end=b"   \0\0\0")
    proc.add(904, "postgres: app orders ::1(41235) SELECT waiting")
    proc.add(905, "postgres: 15/main: checkpointer ")
    proc.add(906, "postgres: 15/main: autovacuum worker orders")
    proc.add(907, "-bash", "-c", IDLE)
    proc.add(908)
    found = host.processes(str(proc.path))
    assert found["postmaster"] == 900
    assert found["sessions"] == [
        {"role": "app", "database": "orders", "client": "10.0.0.7", "state": "idle in transaction", "number": 3},
        {"role": "app", "database": "orders", "client": "::1", "state": "SELECT waiting", "number": 1},
    ]


@pytest.mark.xfail(strict=True, reason="bug of processes: a session by the socket has no port in its title")
def test_sessions_by_the_socket_are_counted(proc: Proc) -> None:
    proc.add(901, "postgres: 15/main: app orders [local] idle")
    assert [(found["client"], found["number"]) for found in proc.sessions()] == [("[local]", 1)]


@pytest.mark.xfail(strict=True, reason="bug of processes: a sender of WAL is taken for the role walsender")
def test_a_standby_is_no_session_of_a_role(proc: Proc) -> None:
    proc.add(901, "postgres: 15/main: walsender repl 10.0.0.8(5000) streaming 0/3000148")
    assert proc.sessions() == []


@pytest.mark.xfail(strict=True, reason="bug of processes: role, database and client are handed on as they are")
@pytest.mark.parametrize("role", ["\x1b[2Japp", "a\u202epp", "a" * 1000])
def test_a_hostile_title_reaches_no_terminal(proc: Proc, role: str) -> None:
    proc.add(901, f"postgres: {role} {role} {role}(1) idle")
    for found in proc.sessions():
        for key in ("role", "database", "client", "state"):
            assert found[key] == parts.clean(found[key], 64)


def test_hostile_titles_do_no_harm(proc: Proc) -> None:
    proc.add(901, "postgres: app orders 10.0.0.7(1) \x1b[2Jidle\u202e" + "x" * 5000)
    proc.add(902, "postgres: \udcff\udcfe(1) (1)(1) x")
    proc.add(903, "postgres: " + "a " * 5000)
    proc.add(904, "postgres: " + "(1)" * 5000)
    for pid in range(1000, 1210):
        proc.add(pid, f"postgres: app db{pid} 10.0.0.7(1) idle")
    proc.add(2000).joinpath("cmdline").unlink()
    sessions = proc.sessions()
    assert len(sessions) == 200
    assert all(len(found["state"]) <= 40 and "\x1b" not in found["state"] for found in sessions)


@settings(max_examples=50)
@given(title=st.binary(max_size=60))
def test_whatever_a_title_is_it_is_read(title: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("proc")
    (folder / "7").mkdir()
    (folder / "7" / "cmdline").write_bytes(b"postgres: " + title)
    found = host.processes(str(folder))
    assert found["postmaster"] is None and len(found["sessions"]) <= 1


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (POSTMASTER, True),
        (["postgres"], True),
        (["/usr/bin/postmaster", "-D", DATA], True),
        (["/usr/bin/postgres_exporter"], False),
        (["postgres: 15/main: checkpointer "], False),
        (["/bin/sh", "-c", "postgres"], False),
        ([], False),
    ],
)
def test_the_server_is_known_by_its_program(proc: Proc, words: list[str], found: bool) -> None:
    proc.add(7, *words)
    assert host.postmaster(str(proc.path)) == ((7, DATA) if found else None)


def test_the_first_server_counts_and_one_that_may_not_be_seen_is_passed_over(proc: Proc) -> None:
    assert host.postmaster(str(proc.path)) is None
    proc.add(9, *POSTMASTER).joinpath("cwd").unlink()
    proc.add(100, *POSTMASTER, cwd="/second")
    proc.add(20, *POSTMASTER, cwd="/first")
    assert host.postmaster(str(proc.path)) == (20, "/first")


def test_room_is_that_of_the_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    room = types.SimpleNamespace(
        f_blocks=100, f_frsize=4096, f_bavail=10, f_bfree=20, f_files=50, f_favail=5, f_ffree=7, f_bsize=1
    )
    monkeypatch.setattr(host.os, "statvfs", lambda path: asked.append(path) or room)
    monkeypatch.setattr(host, "postmaster", lambda: (7, DATA))
    found = host.disk(None)
    assert found == {"path": DATA, "bytes": 409600, "free_bytes": 40960, "inodes": 50, "free_inodes": 5}
    assert host.disk("/named")["path"] == "/named"
    monkeypatch.setattr(host, "postmaster", lambda: None)
    monkeypatch.setattr(host.glob, "glob", lambda pattern: ["/var/lib/postgresql/9/main"])
    host.disk(None)
    assert asked == [DATA, "/named", "/var/lib/postgresql/9/main"]
    monkeypatch.setattr(host.glob, "glob", lambda pattern: [])
    with pytest.raises(PartError, match="data directory is not known") as caught:
        host.disk(None)
    assert caught.value.kind == "absent"


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = iter(
        ["MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:   40 kB\nHugePages_Total: 0\n\n", "MemTotal: 5 kB\n"]
    )
    monkeypatch.setattr(host, "open", lambda *_args, **_names: io.StringIO(next(texts)), raising=False)
    assert host.memory() == {"bytes": 102400, "available_bytes": 40960}
    assert host.memory() == {"bytes": 5120, "available_bytes": None}


def test_a_unit_that_does_not_exist_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {
        "a.service": {"Id": ["a.service"], "LoadState": ["loaded"], "ActiveState": ["failed"], "Result": ["oom-kill"]},
        "b.service": {"LoadState": ["not-found"], "ActiveState": ["inactive"]},
    }
    monkeypatch.setattr(host.systemd, "show", lambda name, timeout: shown[name])
    found = host.units(["a.service", "b.service"], 5)
    assert found["a.service"]["active_state"] == "failed" and found["a.service"]["result"] == "oom-kill"
    assert found["b.service"] is None and set(found) == set(shown)


class Log:
    def __init__(self, path: Path) -> None:
        self.path = path

    def marks(self, *lines: str, since: float = SINCE) -> dict[str, dict[str, Any]]:
        self.path.write_text("".join(f"{line}\n" for line in lines))
        found = host.log(str(self.path), since)
        assert found["path"] == str(self.path)
        return {mark["kind"]: mark for mark in found["marks"]}


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "postgresql-15-main.log")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("FATAL:  sorry, too many clients already", "exhausted"),
        ("FATAL:  remaining connection slots are reserved for non-replication superuser connections", "exhausted"),
        ('FATAL:  too many connections for role "app"', "role_limit"),
        ('FATAL:  too many connections for database "orders"', "database_limit"),
        ('ERROR:  could not extend file "base/5/16385": No space left on device', "no_space"),
        ("LOG:  server process (PID 99) was terminated by signal 9: Killed", "killed"),
        ("LOG:  terminating any other active server processes", "crashed"),
        ("ERROR:  cannot execute INSERT in a read-only transaction", "read_only"),
        ("ERROR:  deadlock detected", "deadlock"),
        ("ERROR:  canceling statement due to lock timeout", "lock_timeout"),
        ("PANIC:  could not write to log file", "panic"),
        ('CONTEXT:  while vacuuming block 5 of relation "public.orders"', "vacuum_failed"),
        ('WARNING:  database "orders" must be vacuumed within 39985967 transactions', "wraparound"),
        ('ERROR:  database is not accepting commands to avoid wraparound data loss in database "o"', "wraparound"),
        ("LOG:  checkpoint starting: time", None),
        ("STATEMENT:  SELECT 'sorry, too many clients already'", None),
        ("DETAIL:  Failed process was running: SELECT 'deadlock detected'", None),
    ],
)
def test_a_line_of_the_log_has_a_kind(log: Log, line: str, kind: str | None) -> None:
    assert list(log.marks(f"2026-11-30 21:00:01.250 UTC [7] {line}")) == ([kind] if kind else [])


def test_of_each_kind_there_are_number_times_and_the_last_line(log: Log) -> None:
    deadlock = "2026-11-30 21:00:09 UTC [7] ERROR:  deadlock detected \x1b[2J"
    found = log.marks(FULL.format(1), "noise", FULL.format(5), deadlock, FULL.format(7))
    assert found["exhausted"] == {
        "kind": "exhausted", "number": 3, "first_at": "2026-11-30T21:00:01.000000Z",
        "last_at": "2026-11-30T21:00:07.000000Z", "text": FULL.format(7),
    }  # fmt: skip
    assert found["deadlock"]["number"] == 1 and "\x1b" not in found["deadlock"]["text"]


def test_old_lines_are_left_out_and_those_without_a_time_are_not(log: Log) -> None:
    assert log.marks(FULL.format(9), FULL.format(10), since=SINCE + 10)["exhausted"]["number"] == 1
    assert log.marks(FULL.format(9), since=SINCE + 10) == {}
    found = log.marks("FATAL:  sorry, too many clients already", since=SINCE + 1e6)["exhausted"]
    assert found["number"] == 1 and found["first_at"] is None and found["last_at"] is None
    for zone in ("GMT", "Etc/UTC"):
        assert log.marks(FULL.format(9).replace("UTC", zone), since=SINCE + 10) == {}


@pytest.mark.xfail(strict=True, reason="bug of log: what a customer writes counts as the server's own words")
@pytest.mark.parametrize(
    "line",
    [
        "2026-11-30 21:00:01 UTC [7] STATEMENT:  SELECT a,\n\t'sorry, too many clients already'",
        "2026-11-30 21:00:01 UTC [7] LOG:  statement: SELECT 'sorry, too many clients already'",
        "2026-11-30 21:00:01 UTC [7] LOG:  duration: 9.1 ms  statement: SELECT 'deadlock detected'",
        "2026-11-30 21:00:01 UTC [7] QUERY:  SELECT 'deadlock detected'",
        "2026-11-30 21:00:01 UTC [7] CONTEXT:  SQL statement \"SELECT 'deadlock detected'\"",
        '2026-11-30 21:00:01 UTC [7] ERROR:  invalid input syntax for type integer: "deadlock detected"',
    ],
)
def test_only_the_servers_own_words_count(log: Log, line: str) -> None:
    assert log.marks(line) == {}


@pytest.mark.xfail(strict=True, reason="bug of log: the first line that is read may be the end of a statement")
def test_a_line_that_is_cut_off_does_not_count(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "2026-11-30 21:00:01 UTC [7] STATEMENT:  SELECT 'sorry, too many clients already'"
    monkeypatch.setattr(host, "LOG_TAIL", 40)
    assert log.marks(line) == {}


@pytest.mark.xfail(strict=True, raises=ValueError, reason="bug of log: one time that does not exist ends the part")
def test_a_time_that_does_not_exist_is_none(log: Log) -> None:
    assert log.marks("2026-13-45 99:00:00 UTC [7] ERROR:  deadlock detected")["deadlock"]["first_at"] is None


def test_only_the_end_of_a_large_log_is_read(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LOG_TAIL", 2 * len(FULL.format(1)) + 3)
    assert log.marks(*(FULL.format(number) for number in range(9)))["exhausted"]["first_at"].startswith(
        "2026-11-30T21:00:07"
    )


def test_the_newest_log_is_read_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LOGS", (f"{tmp_path}/a/*.log", f"{tmp_path}/b/*.log"))
    with pytest.raises(PartError, match="name it with server_log") as caught:
        host.log(None, SINCE)
    assert caught.value.kind == "absent"
    for age, name in enumerate(("b/new.log", "a/old.log", "b/older.log", "a/newest.txt")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\xff\n" + FULL.format(1).encode())
        os.utime(tmp_path / name, (SINCE - age, SINCE - age))
    found = host.log(None, SINCE)
    assert found["path"] == str(tmp_path / "b" / "new.log") and found["marks"][0]["number"] == 1


@pytest.mark.parametrize(("error", "kind"), [(PermissionError(13, "no"), "privilege"), (None, "absent")])
def test_a_log_without_rights_or_that_is_not_there_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError | None, kind: str
) -> None:
    path = tmp_path / "server.log"

    def denied(name: str, *_args: Any, **_names: Any) -> Any:
        raise PermissionError(13, "Permission denied", name)

    if error:
        path.write_text("")
        monkeypatch.setattr(host, "open", denied, raising=False)
    part = parts.gather({"log": lambda: host.log(str(path), SINCE)}, parts.time.monotonic() + 20)["log"]
    assert part["error"]["kind"] == kind and str(path) in part["error"]["text"]


@pytest.mark.parametrize(
    ("lines", "order"),
    [
        (["{} LOG PAUSE command issued"], "PAUSE"),
        (["{} LOG PAUSE command issued", "{} LOG RESUME command issued", "{} LOG stats: 1 xacts/s"], "RESUME"),
        (["{} LOG C-0x55: orders/app@unix:6432 login attempt: db=orders"], None),
        ([], None),
    ],
)
def test_the_poolers_newest_order_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], order: str | None
) -> None:
    path = tmp_path / "pgbouncer.log"
    monkeypatch.setattr(host, "POOLER_LOGS", (f"{tmp_path}/none.log", str(path)))
    with pytest.raises(PartError, match="no log of the pooler") as caught:
        host.pooler_log()
    assert caught.value.kind == "absent"
    times = [f"2026-11-30 21:00:0{at}.250 UTC [{40 + at}]" for at in range(len(lines))]
    refused = "2026-11-30 21:00:09.000 UTC [9] WARNING server login failed: FATAL role does not exist"
    path.write_text("\n".join([line.format(at) for at, line in zip(times, lines)] + [refused, refused]))
    found = host.pooler_log()
    assert found["path"] == str(path) and found["failed_logins"] == 2
    last = max((at for at, line in enumerate(lines) if "command" in line), default=0)
    wanted = {"word": order, "pid": 40 + last, "at": f"2026-11-30T21:00:0{last}.000000Z"}
    assert found["order"] == (wanted if order else None)


@pytest.mark.xfail(strict=True, reason="bug of pooler_log: a time in another zone becomes 1970")
def test_an_order_at_an_unknown_time_is_of_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pgbouncer.log"
    monkeypatch.setattr(host, "POOLER_LOGS", (str(path),))
    path.write_text("2026-11-30 22:00:00.250 CET [40] LOG PAUSE command issued\n")
    assert host.pooler_log()["order"]["at"] is None
