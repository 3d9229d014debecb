# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host of a database shows by itself, also while the server lets nobody in. PRIVATE to the collection."""

from __future__ import annotations

import datetime
import glob
import os
import re
import typing as t

from .._host import systemd
from .._host.parts import PartError, stamp

# Where Debian, and Red Hat, let the server write its log.
LOGS = ("/var/log/postgresql/*.log", "/var/lib/pgsql/*/data/log/*.log", "/var/lib/pgsql/data/log/*.log")
POOLER_LOGS = ("/var/log/postgresql/pgbouncer.log", "/var/log/pgbouncer/pgbouncer.log")
LOG_TAIL = 2 * 1024 * 1024
# What the server's own lines mean: their severity and how the message begins (in English, as with lc_messages=C). What a
# client can write into a line is in its message further on, or in a line of another severity.
MARKS = (
    ("role_limit", r"FATAL:  too many connections for role"),
    ("database_limit", r"FATAL:  too many connections for database"),
    ("no_space", r"(?:ERROR|FATAL|PANIC|LOG):  could not [^:]*(?::[^:]*)?: No space left on device"),
    ("killed", r"LOG:  [a-z ]*process \(PID \d+\) was terminated by signal 9"),
    ("read_only", r"ERROR:  cannot execute [A-Z ]+ in a read-only transaction"),
    ("wraparound", r"WARNING:  database .* must be vacuumed within \d+ transactions"),
    ("wraparound", r"ERROR:  database is not accepting commands"),
)
_MARKS = tuple((kind, re.compile(pattern)) for kind, pattern in MARKS)
_SEVERITY = re.compile(r"\b(?:DEBUG|INFO|NOTICE|WARNING|ERROR|LOG|FATAL|PANIC|DETAIL|HINT|CONTEXT|STATEMENT|QUERY):  ")
_LINE_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)")
_LOGIN_FAILED = re.compile(r"^\S+ \S+ \S+ \[\d+\] (?:WARNING|LOG) .*server login failed")
_ORDER = re.compile(r"^[\d-]+ [\d:.]+ \S+ \[(\d{1,9})\] LOG (PAUSE|RESUME) command issued$")


def postmaster(port: int, proc: str = "/proc") -> t.Optional[tuple[int, str]]:
    """Process and data directory of the server of this port: a server works in its data directory, and names its port there.

    None where none runs, or where this user may not see it.
    """
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()):
        try:
            with open(f"{proc}/{pid}/cmdline", "rb") as stream:
                program = stream.read(4096).split(b"\0")[0]
            if os.path.basename(program) in (b"postgres", b"postmaster"):
                directory = os.readlink(f"{proc}/{pid}/cwd")
                with open(f"{proc}/{pid}/cwd/postmaster.pid", "rb") as stream:
                    lines = stream.read(4096).splitlines()
                if lines[0] == b"%d" % pid and lines[3] == b"%d" % port:
                    return pid, directory
        except (OSError, IndexError):
            continue
    return None


def processes(port: int) -> dict[str, t.Any]:
    """The server's process; None where none of this port runs."""
    server = postmaster(port)
    return {"postmaster": server and server[0]}


def disk(port: int) -> dict[str, t.Any]:
    """Room on the file system of the data directory. Raises PartError where the directory is not known."""
    server = postmaster(port)
    clusters = sorted(glob.glob("/var/lib/postgresql/*/main") + glob.glob("/var/lib/pgsql/*/data"))
    path = server[1] if server else clusters[0] if len(clusters) == 1 else None
    if path is None:
        raise PartError("failed", f"the data directory of port {port} is not known: no server of it runs here")
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
    lines = _tail(newest)
    east = _east_s(lines, os.path.getmtime(newest))
    marks: dict[str, dict[str, t.Any]] = {}
    for line in lines:
        # The first severity of a line is the server's; what stands behind it may be text that somebody sent.
        severity = _SEVERITY.search(line)
        said = line[severity.start() :] if severity and not line.startswith("\t") else ""
        kind = next((kind for kind, pattern in _MARKS if pattern.match(said)), None)
        at = _line_time(line, east) if kind else None
        if kind is None or at is None or at < since:
            continue
        mark = marks.setdefault(kind, {"kind": kind, "number": 0, "first_at": stamp(at)})
        mark.update(number=mark["number"] + 1, last_at=stamp(at))
    return {"path": newest, "marks": list(marks.values())}


def pooler_log(since: float) -> dict[str, t.Any]:
    """The pooler's newest PAUSE or RESUME of all databases, and its failed logins: its console has no word for them.

    ``pid``: of the pooler that wrote the line, to compare with the one that runs. Raises PartError where it has no log.
    """
    path = next((name for name in POOLER_LOGS if os.path.exists(name)), None)
    if path is None:
        raise PartError("absent", f"no log of the pooler at {', '.join(POOLER_LOGS)}")
    order: t.Optional[dict[str, t.Any]] = None
    failed = 0
    lines = _tail(path)
    east = _east_s(lines, os.path.getmtime(path))
    for line in lines:
        found = _ORDER.search(line)
        if found:
            order = {"word": found[2], "pid": int(found[1])}
        failed += (_line_time(line, east) or 0) >= since and _LOGIN_FAILED.search(line) is not None
    return {"path": path, "order": order, "failed_logins": failed}


def _tail(path: str) -> list[str]:
    with open(path, "rb") as stream:
        stream.seek(max(0, os.path.getsize(path) - LOG_TAIL))
        return stream.read(LOG_TAIL).decode("utf-8", "replace").splitlines()


def _east_s(lines: t.Sequence[str], written: float) -> float:
    """Seconds by which the times of a log's lines are ahead of UTC, by its newest line and when the file was written.

    Logs name their time zone by letters that many places share. Raises PartError where no line has a time.
    """
    newest = next((at for line in reversed(lines) if (at := _line_time(line, 0)) is not None), None)
    if newest is None and lines:
        raise PartError("failed", "the times of the log's lines cannot be read: log_line_prefix needs %m or %t")
    return round(((newest or written) - written) / 900) * 900.0


def _line_time(line: str, east: float) -> t.Optional[float]:
    found = _LINE_TIME.match(line)
    try:
        return datetime.datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00").timestamp() - east if found else None
    except ValueError:
        return None
