# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host shows by itself: processes by their titles, room, memory, units and the server's log."""

from __future__ import annotations

import datetime
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
PROGRAM = "/usr/lib/postgresql/15/bin/postgres"
PORT = 5432
FULL = '2026-11-30 21:00:{:02} UTC [7] app@orders FATAL:  too many connections for role "app"'
SINCE = 1796072400.0  # 2026-11-30 21:00:00 UTC


class Proc:
    """A folder like /proc, with servers that work in data directories."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        (path / "self").mkdir()
        (path / "meminfo").write_text("")

    def add(self, pid: int, *words: str, text: str | None = None) -> str:
        """A process in a directory of its own, with ``text`` as its postmaster.pid; returns the directory."""
        cwd = self.path.parent / f"data{pid}"
        cwd.mkdir()
        if text is not None:
            (cwd / "postmaster.pid").write_text(text)
        folder = self.path / str(pid)
        folder.mkdir()
        (folder / "cmdline").write_bytes("\0".join(words).encode("utf-8", "surrogateescape") + b"\0")
        (folder / "cwd").symlink_to(cwd)
        return str(cwd)

    def server(self, pid: int, port: int = PORT, program: str = PROGRAM) -> str:
        return self.add(pid, program, "-D", DATA, text=locked(pid, port))

    def found(self, port: int = PORT) -> tuple[int, str] | None:
        return host.postmaster(port, str(self.path))


def locked(pid: int, port: int) -> str:
    return f"{pid}\n{DATA}\n1796072400\n{port}\n/var/run/postgresql\nlocalhost\n  1234\nready\n"


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


@pytest.mark.parametrize("program", [PROGRAM, "postgres", "/usr/bin/postmaster"])
def test_the_server_is_known_by_its_program_and_port(proc: Proc, program: str) -> None:
    other = proc.server(20, 5433, program)
    data = proc.server(100, PORT, program)
    assert proc.found() == (100, data) and proc.found(5433) == (20, other) and proc.found(543) is None


@pytest.mark.parametrize(
    "words",
    [
        ["/usr/bin/postgres_exporter"],
        ["postgres: 15/main: checkpointer "],
        ["postgres: 15/main: app orders 10.0.0.7(41234) idle in transaction"],
        ["/bin/sh", "-c", "postgres"],
        ["\udcff\x1b[2Jpostgres"],
        [],
    ],
)
def test_what_is_no_server_is_none(proc: Proc, words: list[str]) -> None:
    proc.add(7, *words, text=locked(7, PORT))
    assert proc.found() is None


@pytest.mark.parametrize(
    "text",
    [None, "", "7\n", locked(8, PORT), locked(77, PORT), locked(7, 54321), "7\n\n\n\n", "\n" * 9, "\u00fc" * 3000],
)
def test_a_directory_that_is_not_locked_by_it_does_not_count(proc: Proc, text: str | None) -> None:
    proc.add(7, PROGRAM, text=text)
    assert proc.found() is None
    data = proc.server(9)
    assert proc.found() == (9, data)


def test_a_process_that_ends_meanwhile_or_may_not_be_seen_is_passed_over(proc: Proc) -> None:
    proc.server(7)
    (proc.path / "7" / "cwd").unlink()
    proc.server(8)
    (proc.path / "8" / "cmdline").unlink()
    data = proc.server(9)
    assert proc.found() == (9, data)


@settings(max_examples=50)
@given(words=st.binary(max_size=60), text=st.text(max_size=60))
def test_whatever_a_process_shows_it_is_read(words: bytes, text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    proc = Proc(tmp_path_factory.mktemp("any") / "proc")
    data = Path(proc.add(7, PROGRAM))
    (proc.path / "7" / "cmdline").write_bytes(PROGRAM.encode() + b"\0" + words)
    (data / "postmaster.pid").write_bytes(f"8\n{text}".encode("utf-8", "replace"))
    assert proc.found() is None


def test_a_program_of_this_name_with_any_file_does_no_harm(proc: Proc) -> None:
    data = Path(proc.add(7, "/home/eve/postgres"))
    (data / "postmaster.pid").write_bytes(b"7\n\x80")
    assert proc.found() is None


def test_the_servers_process_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = {PORT: (7, DATA)}
    monkeypatch.setattr(host, "postmaster", servers.get)
    assert host.processes(PORT) == {"postmaster": 7} and host.processes(5433) == {"postmaster": None}


@pytest.mark.parametrize(
    ("server", "clusters", "path"),
    [
        ((7, DATA), [], DATA),
        ((7, DATA), ["/a", "/b"], DATA),
        (None, ["/a"], "/a"),
        (None, ["/a", "/b"], None),
        (None, [], None),
    ],
)
def test_room_is_that_of_the_data_directory(
    monkeypatch: pytest.MonkeyPatch, server: tuple[int, str] | None, clusters: list[str], path: str | None
) -> None:
    asked: list[str] = []
    room = types.SimpleNamespace(
        f_blocks=100, f_frsize=4096, f_bavail=10, f_bfree=20, f_files=50, f_favail=5, f_ffree=7, f_bsize=1
    )
    monkeypatch.setattr(host.os, "statvfs", lambda path: asked.append(path) or room)
    monkeypatch.setattr(host, "postmaster", {PORT: server}.get)
    monkeypatch.setattr(host.glob, "glob", lambda pattern: clusters if pattern.endswith("/main") else [])
    if path is None:
        with pytest.raises(PartError, match="data directory of port 5432 is not known"):
            host.disk(PORT)
        return
    assert host.disk(PORT) == {"path": path, "bytes": 409600, "free_bytes": 40960, "inodes": 50, "free_inodes": 5}
    assert asked == [path]


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
    """A log whose newest line was written when the file was, in a zone ``east`` of UTC by seconds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, *lines: str, east: float = 0, newest: float = 59) -> None:
        at = datetime.datetime.fromtimestamp(SINCE + newest + east, datetime.timezone.utc)
        last = f"{at:%Y-%m-%d %H:%M:%S}.250 UTC [1] LOG:  checkpoint starting: time"
        self.path.write_text("".join(f"{line}\n" for line in [*lines, last]))
        os.utime(self.path, (SINCE + newest, SINCE + newest))

    def marks(self, *lines: str, since: float = SINCE, east: float = 0) -> dict[str, dict[str, Any]]:
        self.write(*lines, east=east)
        found = host.log(str(self.path), since)
        assert found["path"] == str(self.path)
        return {mark["kind"]: mark for mark in found["marks"]}


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "postgresql-15-main.log")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('FATAL:  too many connections for role "app"', "role_limit"),
        ('FATAL:  too many connections for database "orders"', "database_limit"),
        ('ERROR:  could not extend file "base/5/16385": No space left on device', "no_space"),
        ('PANIC:  could not write to file "pg_wal/xlogtemp.1": No space left on device', "no_space"),
        ('LOG:  could not write temporary statistics file "x": No space left on device', "no_space"),
        ("LOG:  server process (PID 99) was terminated by signal 9: Killed", "killed"),
        ("LOG:  checkpointer process (PID 99) was terminated by signal 9: Killed", "killed"),
        ("LOG:  server process (PID 99) was terminated by signal 11: Segmentation fault", None),
        ("ERROR:  cannot execute INSERT in a read-only transaction", "read_only"),
        ("ERROR:  cannot execute CREATE TABLE in a read-only transaction", "read_only"),
        ('WARNING:  database "orders" must be vacuumed within 39985967 transactions', "wraparound"),
        ('ERROR:  database is not accepting commands to avoid wraparound data loss in database "o"', "wraparound"),
        ("LOG:  checkpoint starting: time", None),
        ("STATEMENT:  SELECT 'FATAL:  too many connections for role'", None),
        ("DETAIL:  Failed process was running: ERROR:  cannot execute INSERT in a read-only transaction", None),
        ("LOG:  statement: SELECT 'FATAL:  too many connections for role'", None),
        ("LOG:  duration: 9.1 ms  statement: -- FATAL:  too many connections for role", None),
        ('CONTEXT:  SQL statement "FATAL:  too many connections for role"', None),
        ('ERROR:  invalid input syntax for type integer: "FATAL:  too many connections for role"', None),
        ("STATEMENT:  SELECT a,\n\tFATAL:  too many connections for role", None),
        ("STATEMENT:  SELECT a,\n\t2026-11-30 21:00:01 UTC [7] FATAL:  too many connections for role", None),
    ],
)
def test_a_line_of_the_log_has_a_kind(log: Log, line: str, kind: str | None) -> None:
    for prefix in ("[7] ", "[7] app@orders ", ""):
        assert list(log.marks(f"2026-11-30 21:00:01.250 UTC {prefix}{line}")) == ([kind] if kind else [])


def test_of_each_kind_there_are_number_and_times(log: Log) -> None:
    read_only = "2026-11-30 21:00:09 UTC [7] ERROR:  cannot execute INSERT in a read-only transaction"
    found = log.marks(FULL.format(1), "noise", FULL.format(5), read_only, FULL.format(7))
    assert found["role_limit"] == {
        "kind": "role_limit", "number": 3, "first_at": "2026-11-30T21:00:01.000000Z",
        "last_at": "2026-11-30T21:00:07.000000Z",
    }  # fmt: skip
    assert found["read_only"]["number"] == 1


def test_old_lines_and_those_without_a_time_are_left_out(log: Log) -> None:
    assert log.marks(FULL.format(9), FULL.format(10), since=SINCE + 10)["role_limit"]["number"] == 1
    assert log.marks(FULL.format(9), since=SINCE + 10) == {}
    assert log.marks(FULL.format(9)[24:]) == {}


@pytest.mark.parametrize("east", [-12600, -900, 0, 3600, 20700, 50400])
def test_the_zone_is_known_by_when_the_file_was_written(log: Log, east: float) -> None:
    at = datetime.datetime.fromtimestamp(SINCE + 30 + east, datetime.timezone.utc)
    line = f"{at:%Y-%m-%d %H:%M:%S}.123 XXX [7] " + FULL[31:]
    assert log.marks(line, since=SINCE + 30, east=east)["role_limit"]["first_at"] == "2026-11-30T21:00:30.000000Z"
    assert log.marks(line, since=SINCE + 31, east=east) == {}


def test_a_log_without_times_says_so(log: Log) -> None:
    log.path.write_text(FULL.format(1)[24:] + "\n")
    with pytest.raises(PartError, match="log_line_prefix needs"):
        host.log(str(log.path), SINCE)
    log.path.write_text("")
    assert host.log(str(log.path), SINCE)["marks"] == []


def test_a_time_that_does_not_exist_is_no_time(log: Log) -> None:
    assert log.marks("2026-13-45 99:00:00 UTC [7] ERROR:  cannot execute INSERT in a read-only transaction") == {}


@settings(max_examples=50)
@given(lines=st.lists(st.text(max_size=40), max_size=4))
def test_whatever_the_log_holds_it_is_read(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    log = Log(tmp_path_factory.mktemp("log") / "x.log")
    assert log.marks(*(line.encode("utf-8", "replace").decode() for line in lines)) == {}


def test_only_the_end_of_a_large_log_is_read(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [FULL.format(number) for number in range(9)]
    log.write(*lines)
    # The last line, two whole ones before it, and half of one.
    monkeypatch.setattr(host, "LOG_TAIL", log.path.stat().st_size - len("\n".join(lines[:6])) - 1 + 40)
    found = host.log(str(log.path), SINCE)["marks"][0]
    assert found["number"] == 3 and found["first_at"] == "2026-11-30T21:00:06.000000Z"


def test_the_newest_log_is_read_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "LOGS", (f"{tmp_path}/a/*.log", f"{tmp_path}/b/*.log"))
    monkeypatch.setattr(host, "POOLER_LOGS", (f"{tmp_path}/a/pgbouncer.log",))
    with pytest.raises(PartError, match="name it with server_log") as caught:
        host.log(None, SINCE)
    assert caught.value.kind == "absent"
    for age, name in enumerate(("a/pgbouncer.log", "a/newer.txt", "b/new.log", "a/old.log")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(FULL.format(9).encode() + b"\n\xff\n" + FULL.format(10).encode())
        os.utime(tmp_path / name, (SINCE + 10 - age, SINCE + 10 - age))
    found = host.log(None, SINCE)
    assert found["path"] == str(tmp_path / "b" / "new.log") and found["marks"][0]["number"] == 2


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


ORDER = "2026-11-30 21:00:0{0}.250 UTC [4{0}] LOG {1} command issued"
REFUSED = "2026-11-30 21:00:0{}.250 UTC [9] WARNING server login failed: FATAL role does not exist"


@pytest.mark.parametrize(
    ("lines", "order"),
    [
        ([ORDER.format(1, "PAUSE")], {"word": "PAUSE", "pid": 41}),
        ([ORDER.format(1, "PAUSE"), ORDER.format(2, "RESUME"), REFUSED.format(3)], {"word": "RESUME", "pid": 42}),
        ([ORDER.format(1, "PAUSE"), ORDER.format(2, "RELOAD")], {"word": "PAUSE", "pid": 41}),
        (["x " + ORDER.format(1, "PAUSE"), ORDER.format(1, "PAUSE") + " x"], None),
        (["2026-11-30 21:00:01 UTC [4] LOG C-0x1: login attempt: db=[4] LOG PAUSE command issued"], None),
    ],
)
def test_the_poolers_newest_order_is_read(
    log: Log, monkeypatch: pytest.MonkeyPatch, lines: list[str], order: dict[str, Any] | None
) -> None:
    monkeypatch.setattr(host, "POOLER_LOGS", (f"{log.path}.none", str(log.path)))
    log.write(*lines)
    found = host.pooler_log(SINCE)
    assert found["path"] == str(log.path) and found["order"] == order


def test_failed_logins_of_the_pooler_are_counted(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "POOLER_LOGS", (str(log.path),))
    with pytest.raises(PartError, match="no log of the pooler") as caught:
        host.pooler_log(SINCE)
    assert caught.value.kind == "absent"
    noise = "2026-11-30 21:00:05 UTC [9] LOG stats: server login failed"
    log.write(*map(REFUSED.format, (1, 2, 3)), REFUSED.format(4)[24:], noise[:37] + "x")
    assert [host.pooler_log(SINCE + since)["failed_logins"] for since in (0, 2, 9)] == [3, 2, 0]
