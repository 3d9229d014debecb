# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old logs on the file system of a node's data: which they are, and how many can be compressed. PRIVATE."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import typing as t

from .._host.parts import PartError

VAR_LOG, PROC = "/var/log", "/proc"
DEPTH, ENTRIES, MIN_BYTES = 5, 20_000, 64 * 1024
# What was rotated a moment ago may still be written by a daemon that has not heard of it.
MIN_AGE_S = 3600
# A file name has at most 255 bytes; that of a copy ends with .incident-, a digest of at most 58 bytes, and .gz.
NAME_CAP = 255 - 71

_DATE = r"-(?:19|20)[0-9]{6}(?:[0-9]{2}){0,3}|\.(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}"
_ROTATED = re.compile(rf"(.+)(?:\.[1-9][0-9]{{0,2}}|\.old|{_DATE})(?:\.log)?", re.DOTALL)
_COMPRESSED = (".gz", ".xz", ".zst", ".bz2")


class Log(t.NamedTuple):
    """A log as it was found. Its size in bytes comes first: logs are ordered by it."""

    size: int
    path: str
    state: tuple[int, ...]


def state(facts: os.stat_result) -> tuple[int, ...]:
    """What differs where a file was exchanged (the first two) or written."""
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_nlink


def old_name(name: str) -> bool:
    """Whether a name says that a log was rotated and is not compressed."""
    match = _ROTATED.fullmatch(name)
    return match is not None and not match[1].endswith(_COMPRESSED) and len(os.fsencode(name)) <= NAME_CAP


def read(home: str, wal_file: t.Optional[str], now: float) -> dict[str, t.Any]:
    """The contract's ``old_logs`` data. Arguments and errors as of ``find``."""
    sizes = [log.size for log in find(home, wal_file, now)]
    shown = os.statvfs(data_folder(home))
    # Root compresses them, and may use what the file system reserves for root.
    room, fitting = shown.f_bfree * shown.f_frsize, 0
    for size in sizes:
        # The copy is counted as half: logs mostly compress to a third or less. The other half is room for the next.
        if size // 2 > room:
            break
        room, fitting = room + size // 2, fitting + size
    return {"files": len(sizes), "bytes": sum(sizes), "compressible_bytes": fitting}


def data_folder(home: str) -> str:
    """The folder whose disk must not be full."""
    data = os.path.join(home, "data")
    return data if os.path.isdir(data) else home


def find(home: str, wal_file: t.Optional[str], now: float) -> list[Log]:
    """The old logs on the file system of the node's data, smallest first, which no process has open.

    ``now`` is seconds since 1970. Raises PartError, OSError.
    """
    if wal_file is None:
        raise PartError("cannot_tell", "old_logs: where the write-ahead log lies is not known, and it must be left out")
    device, closed = os.stat(data_folder(home)).st_dev, _closed(home, wal_file)
    roots = (VAR_LOG, os.path.join(home, "log"), os.path.join(home, "logs"))
    entries, logs = 0, []
    for root in filter(os.path.isdir, roots):
        # By open folders: no link is followed, by no exchange either.
        for path, folders, names, number in os.fwalk(root):
            entries += len(folders) + len(names)
            if entries > ENTRIES:
                raise PartError("cannot_tell", f"old_logs: more than {ENTRIES} files in the folders of logs")
            own = os.fstat(number)
            deep = path.count(os.sep) - root.count(os.sep) > DEPTH
            if deep or own.st_dev != device or state(own)[:2] in closed:
                folders.clear()
                continue
            closed.add(state(own)[:2])
            for name in filter(old_name, names):
                with contextlib.suppress(FileNotFoundError):
                    facts = os.stat(name, dir_fd=number, follow_symlinks=False)
                    if _is_plain(facts) and facts.st_mtime < now - MIN_AGE_S:
                        logs.append(Log(facts.st_size, os.path.join(path, name), state(facts)))
    opened = _opened() if logs else set()
    return sorted(log for log in logs if log.state[:2] not in opened)


def _closed(home: str, wal_file: str) -> set[tuple[int, ...]]:
    """Folders that are not entered, by whatever name: the node's own, its write-ahead log with its copies, journald's."""
    wal = os.path.dirname(os.path.join(home, wal_file))
    folders = [os.path.join(home, "data"), os.path.join(home, "config"), wal, os.path.dirname(wal)]
    folders.append(os.path.join(VAR_LOG, "journal"))
    return {state(os.stat(folder))[:2] for folder in folders if os.path.isdir(folder)}


def _is_plain(facts: os.stat_result) -> bool:
    # gzip unpacks no file with the rights of its group or the sticky bit; a sparse one would take more than it gave.
    plain = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 and not facts.st_mode & 0o7000
    return plain and MIN_BYTES <= facts.st_size <= facts.st_blocks * 512


def _opened() -> set[tuple[int, ...]]:
    """Device and inode of every file that a process has open. Raises OSError where that cannot be seen."""
    # Hidden processes are not even listed; the first one is always there.
    os.listdir(os.path.join(PROC, "1", "fd"))
    opened = set()
    for process in filter(str.isdigit, os.listdir(PROC)):
        folder = os.path.join(PROC, process, "fd")
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for number in os.listdir(folder):
                with contextlib.suppress(FileNotFoundError):
                    opened.add(state(os.stat(os.path.join(folder, number)))[:2])
    return opened
