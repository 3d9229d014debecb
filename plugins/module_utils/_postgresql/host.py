# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host of a database shows by itself, also while the server lets nobody in. PRIVATE to the collection."""

from __future__ import annotations

import collections
import datetime
import glob
import os
import re
import typing as t

from .._host import systemd
from .._host.parts import PartError, clean, stamp

# Where Debian, and Red Hat, let the server write its log.
LOGS = ("/var/log/postgresql/*.log", "/var/lib/pgsql/*/data/log/*.log", "/var/lib/pgsql/data/log/*.log")
POOLER_LOGS = ("/var/log/postgresql/pgbouncer.log", "/var/log/pgbouncer/pgbouncer.log")
LOG_TAIL = 2 * 1024 * 1024
# What the server's lines mean (PostgreSQL's messages in English, as with lc_messages=C).
MARKS = (
    ("exhausted", "too many clients already"),
    ("exhausted", "remaining connection slots are reserved"),
    ("role_limit", "too many connections for role"),
    ("database_limit", "too many connections for database"),
    ("no_space", "No space left on device"),
    ("killed", "was terminated by signal 9"),
    ("crashed", "terminating any other active server processes"),
    ("read_only", "in a read-only transaction"),
    ("deadlock", "deadlock detected"),
    ("lock_timeout", "due to lock timeout"),
    ("panic", "PANIC:"),
    ("vacuum_failed", "while vacuuming"),
    ("wraparound", "must be vacuumed within"),
    ("wraparound", "not accepting commands to avoid wraparound"),
)
_LINE_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) (UTC|GMT|Etc/UTC)\b")
_ORDER = re.compile(r"\[(\d{1,9})\] LOG (PAUSE|RESUME) command issued")
# "postgres: 15/main: app orders 10.0.0.7(41234) idle in transaction", the cluster's name being Debian's.
_TITLE = re.compile(r"postgres: (?:\S+: )?(\S+) (\S+) (\S+?)(?:\(\d+\)) (.+)")


def postmaster(proc: str = "/proc") -> t.Optional[tuple[int, str]]:
    """Process and data directory of the server, by the processes alone: the server works in its data directory.

    None where none runs, or where this user may not see it.
    """
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()):
        try:
            if _words(proc, pid)[:1] and os.path.basename(_words(proc, pid)[0]) in ("postgres", "postmaster"):
                return pid, os.readlink(f"{proc}/{pid}/cwd")
        except OSError:
            continue
    return None


def _words(proc: str, pid: int) -> list[str]:
    with open(f"{proc}/{pid}/cmdline", "rb") as stream:
        return stream.read(4096).decode("utf-8", "replace").rstrip("\0").split("\0")


def processes(proc: str = "/proc") -> dict[str, t.Any]:
    """The server's processes, and how many sessions of each role, database and state their titles show."""
    sessions: collections.Counter[tuple[str, str, str, str]] = collections.Counter()
    for pid in (int(name) for name in os.listdir(proc) if name.isdigit()):
        try:
            title = _TITLE.fullmatch(" ".join(_words(proc, pid)).strip())
        except OSError:
            continue
        if title:
            sessions[(title[1], title[2], title[3], title[4])] += 1
    server = postmaster(proc)
    return {
        "postmaster": server and server[0],
        "sessions": [
            {"role": role, "database": database, "client": client, "state": clean(state, 40), "number": number}
            for (role, database, client, state), number in sessions.most_common(200)
        ],
    }


def disk(data_directory: t.Optional[str]) -> dict[str, t.Any]:
    """Room on the file system of the data directory. Raises PartError where the directory is not known."""
    server = postmaster()
    path = data_directory or (server and server[1]) or next(iter(glob.glob("/var/lib/postgresql/*/main")), None)
    if path is None:
        raise PartError("absent", "the data directory is not known: no server runs, and none was named")
    room = os.statvfs(path)
    return {
        "path": path,
        "bytes": room.f_blocks * room.f_frsize,
        "free_bytes": room.f_bavail * room.f_frsize,
        "inodes": room.f_files,
        "free_inodes": room.f_favail,
    }


def memory() -> dict[str, t.Any]:
    """Total and available memory of the host, bytes."""
    with open("/proc/meminfo", encoding="ascii") as stream:
        found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in stream if line.split()[1:2]}
    return {"bytes": found.get("MemTotal"), "available_bytes": found.get("MemAvailable")}


def units(names: t.Sequence[str], timeout: float) -> dict[str, t.Any]:
    """State, start and end of each unit; None for one that does not exist."""
    shown = {name: systemd.facts(name, systemd.show(name, timeout)) for name in names}
    return {name: facts if facts["load_state"] != "not-found" else None for name, facts in shown.items()}


def log(path: t.Optional[str], since: float) -> dict[str, t.Any]:
    """The server's own lines of refusals and ends: of each kind the number, the last one and its time.

    ``since``: seconds since 1970; older lines are left out where their time can be read. Raises PartError.
    """
    files = [path] if path else [name for pattern in LOGS for name in glob.glob(pattern) if name not in POOLER_LOGS]
    if not files:
        raise PartError("absent", f"no log of the server at {', '.join(LOGS)}; name it with server_log")
    newest = max(files, key=os.path.getmtime)
    marks: dict[str, dict[str, t.Any]] = {}
    for line in _tail(newest):
        kind = next((kind for kind, words in MARKS if words in line), None)
        at = _line_time(line) if kind else None
        # Only what the server itself says counts: a statement that is quoted could hold any words.
        if kind is None or "STATEMENT:" in line or "DETAIL:" in line or (at is not None and at < since):
            continue
        mark = marks.setdefault(kind, {"kind": kind, "number": 0, "first_at": at and stamp(at)})
        mark.update(number=mark["number"] + 1, last_at=at and stamp(at), text=clean(line))
    return {"path": newest, "marks": list(marks.values())}


def pooler_log() -> dict[str, t.Any]:
    """The pooler's newest PAUSE or RESUME of all databases, and its failed logins: its console has no word for them.

    ``pid``: of the pooler that wrote the line, to compare with the one that runs. Raises PartError where it has no log.
    """
    path = next((name for name in POOLER_LOGS if os.path.exists(name)), None)
    if path is None:
        raise PartError("absent", f"no log of the pooler at {', '.join(POOLER_LOGS)}")
    order: t.Optional[dict[str, t.Any]] = None
    failed = 0
    for line in _tail(path):
        found = _ORDER.search(line)
        if found:
            order = {"word": found[2], "pid": int(found[1]), "at": stamp(_line_time(line) or 0)}
        failed += "server login failed" in line
    return {"path": path, "order": order, "failed_logins": failed}


def _tail(path: str) -> list[str]:
    with open(path, "rb") as stream:
        stream.seek(max(0, os.path.getsize(path) - LOG_TAIL))
        return stream.read(LOG_TAIL).decode("utf-8", "replace").splitlines()


def _line_time(line: str) -> t.Optional[float]:
    found = _LINE_TIME.search(line[:80])
    if found is None:
        return None
    moment = datetime.datetime.fromisoformat(f"{found[1]}T{found[2][:15].split('.')[0]}+00:00")
    return moment.timestamp()
