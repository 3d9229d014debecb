# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old log files on the disk of a node's data: which they are, and where. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
import typing as t

from ansible_collections.virtengine.incident.plugins.module_utils._host import gzip as _gzip_in_place
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, clean, part_error, stamp

VAR_LOG = "/var/log"
RUN_LOG = "/run/log"
PROC = "/proc"
DEPTH = 5
ENTRIES = 20000
MIN_BYTES = 64 * 1024
# What was rotated a moment ago may still be written by a daemon that has not heard of it.
MIN_AGE_S = 3600
LARGEST = 5
# A name may have 255 bytes, gzip takes suffixes of at most 30.
SUFFIX_CAP = 30
NAME_CAP = 255 - SUFFIX_CAP

_MONTH, _DAY = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_HOUR = "(?:(?:[01][0-9]|2[0-3])(?:[0-5][0-9]){0,2})?"
_DATE = rf"-(?:19|20)[0-9]{{2}}{_MONTH}{_DAY}{_HOUR}|\.(?:19|20)[0-9]{{2}}-{_MONTH}-{_DAY}"
_ROTATED = re.compile(rf"(?P<of>.+)(?:\.[1-9][0-9]{{0,2}}|\.old|{_DATE})(?:\.log)?", re.DOTALL)
_COMPRESSED = (".gz", ".xz", ".zst", ".bz2")
# LevelDB, Pebble and RocksDB name a file so, whose other files may look like rotated logs.
_DATABASE = "CURRENT"


class Refused(Exception):
    """Nothing was compressed; the text says why."""


def old_name(name: str) -> bool:
    """Whether a log's name says that it is written no more and not compressed."""
    if len(os.fsencode(name)) > NAME_CAP:
        return False
    found = _ROTATED.fullmatch(name)
    return found is not None and not found["of"].endswith(_COMPRESSED)


def find(home: str, wal_file: t.Optional[str], now: float, until: float) -> list[_gzip_in_place.File]:
    """The old logs on the file system of the node's data, smallest first, which no process has open.

    ``now`` is seconds since 1970, ``until`` a reading of ``time.monotonic()``. Raises PartError, OSError.
    """
    if wal_file is None:
        raise PartError(
            "cannot_tell", "old_logs: the place of the write-ahead log is not known, which must be left out"
        )
    walk = _Walk(os.stat(data_folder(home)).st_dev, _never(home, wal_file), until)
    walk.newest = now - MIN_AGE_S
    for root in roots(home):
        walk.root(root)
    opened = _opened(until) if walk.found else set()
    return sorted(file for file in walk.found if (file.device, file.inode) not in opened)


def read(home: str, wal_file: t.Optional[str], now: float, until: float) -> dict[str, t.Any]:
    """The contract's ``old_logs`` data. Arguments and errors as of ``find``."""
    files = find(home, wal_file, now, until)
    oldest = min((file.mtime_ns for file in files), default=None)
    return {
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "oldest_at": None if oldest is None else stamp(max(oldest, 0) / 1e9),
        "largest": [{"path": clean(file.path), "bytes": file.size} for file in files[: -LARGEST - 1 : -1]],
    }


def data_folder(home: str) -> str:
    """The folder whose disk must not be full."""
    data = os.path.join(home, "data")
    return data if os.path.isdir(data) else home


def free(folder: str) -> int:
    """Bytes that a user without privilege may still write there."""
    shown = os.statvfs(folder)
    return shown.f_bavail * shown.f_frsize


def roots(home: str) -> list[str]:
    """The folders of logs."""
    return [VAR_LOG, os.path.join(home, "log"), os.path.join(home, "logs")]


def resolved(path: str) -> str:
    """The path without a link in it, but for its last part."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


class Reach(t.NamedTuple):
    """Where the old logs of a node may lie, to judge by a place that was written down earlier."""

    home: str
    wal_file: t.Optional[str]

    def holds(self, folder: str, name: str) -> bool:
        """Whether ``find`` could name this file, by its path alone."""
        inside = [root for root in map(resolved, roots(self.home)) if f"{folder}/".startswith(f"{root}/")]
        plain = folder == os.path.normpath(folder) and name == os.path.basename(name)
        return bool(inside) and plain and old_name(name)

    def open(self, folder: str) -> int:
        """Open a folder which ``holds`` allows as ``find`` would enter it. Raises Kept, OSError."""
        if self.wal_file is None:
            raise _gzip_in_place.Kept("the place of the write-ahead log is not known, which must be left out")
        never, device = _never(self.home, self.wal_file), os.stat(data_folder(self.home)).st_dev
        number = _gzip_in_place.open_folder(folder)
        try:
            if os.fstat(number).st_dev != device:
                raise _gzip_in_place.Kept("its folder is not on the disk of the node's data")
            for above in range(folder.count("/")):
                facts = os.stat(f".{'/..' * above}", dir_fd=number)
                if (facts.st_dev, facts.st_ino) in never:
                    raise _gzip_in_place.Kept(
                        "its folder belongs to journald, or to the node's data, configuration or write-ahead log"
                    )
        except (OSError, _gzip_in_place.Kept):
            os.close(number)
            raise
        return number


def _never(home: str, wal_file: str) -> set[tuple[int, int]]:
    """Folders that are not looked into, by device and inode, wherever they lie and by whatever name they are reached.

    The node's data and configuration, its write-ahead log, and the copies of that log beside it. What journald keeps:
    it is evidence of the incident, and journalctl does not read what is compressed.
    """
    log = os.path.dirname(os.path.join(home, wal_file))
    parent, name = os.path.split(log)
    paths = [os.path.join(home, "data"), os.path.join(home, "config"), log, os.path.join(VAR_LOG, "journal"), RUN_LOG]
    found = set()
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        paths += [os.path.join(parent, entry) for entry in os.listdir(parent) if entry.startswith(name)]
    for path in paths:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            facts = os.stat(path)
            found.add((facts.st_dev, facts.st_ino))
    return found


class _Walk:
    """A bounded walk through folders of one file system, by open folders: no link is followed, by no exchange either."""

    def __init__(self, device: int, closed: set[tuple[int, int]], until: float) -> None:
        self.found: list[_gzip_in_place.File] = []
        self.newest = float("-inf")
        self._device = device
        self._closed = closed
        self._until = until
        self._seen = 0

    def root(self, path: str) -> None:
        """Look through a folder. One that is not there, or is a link, is none. Raises PartError, OSError."""
        path = resolved(path)
        with _opened_folder(path, lambda: _gzip_in_place.open_folder(path)) as number:
            if number is not None:
                self._look(number, path, DEPTH)

    def _look(self, number: int, path: str, depth: int) -> None:
        facts = os.fstat(number)
        identity = (facts.st_dev, facts.st_ino)
        if facts.st_dev != self._device or identity in self._closed:
            return
        self._closed.add(identity)
        entries = self._entries(number)
        if _DATABASE in entries:
            return
        for name, entry in sorted(entries.items()):
            if entry.is_dir(follow_symlinks=False):
                if depth:
                    self._enter(number, entry, os.path.join(path, name), depth - 1)
            elif old_name(name):
                with contextlib.suppress(FileNotFoundError):
                    self._take(entry.stat(follow_symlinks=False), path, name, entries)

    def _entries(self, number: int) -> dict[str, os.DirEntry[str]]:
        found = {}
        with os.scandir(number) as entries:
            for entry in entries:
                self._seen += 1
                if self._seen > ENTRIES:
                    text = f"old_logs: more than {ENTRIES} files in the folders of logs: too many to look at"
                    raise PartError("cannot_tell", text)
                _in_time(self._until)
                found[entry.name] = entry
        return found

    def _enter(self, number: int, entry: os.DirEntry[str], path: str, depth: int) -> None:
        def opened() -> t.Optional[int]:
            # What is mounted there is told before it is opened: a file system that hangs is not asked.
            if entry.stat(follow_symlinks=False).st_dev != self._device:
                return None
            return os.open(entry.name, _gzip_in_place.FOLDER, dir_fd=number)

        with _opened_folder(path, opened) as inner:
            if inner is not None:
                self._look(inner, path, depth)

    def _take(self, facts: os.stat_result, folder: str, name: str, entries: t.Mapping[str, t.Any]) -> None:
        # gzip does not unpack a file with the rights of its owner's group or of the sticky bit.
        plain = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 and not facts.st_mode & 0o7000
        if plain and facts.st_dev == self._device and facts.st_size >= MIN_BYTES and facts.st_mtime < self.newest:
            copies = tuple(other for other in entries if _gzip_in_place.is_copy_of(name, other))
            identity = (facts.st_dev, facts.st_ino, facts.st_mtime_ns)
            self.found.append(_gzip_in_place.File(facts.st_size, folder, name, *identity, copies))


@contextlib.contextmanager
def _opened_folder(path: str, opened: t.Callable[[], t.Optional[int]]) -> t.Iterator[t.Optional[int]]:
    """What ``opened`` opens, closed again; None for what is not there, or is a link. Raises PartError."""
    try:
        number = opened()
    except OSError as error:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)) and error.errno != errno.ELOOP:
            raise part_error(error, clean(path)) from error
        number = None
    try:
        yield number
    finally:
        if number is not None:
            os.close(number)


def _in_time(until: float) -> None:
    if time.monotonic() > until:
        raise PartError("late", "old_logs: not all folders and processes could be looked at in time")


def _opened(until: float) -> set[tuple[int, int]]:
    """Device and inode of every file that a process has open. Raises PartError ``privilege``, ``late``."""
    hidden = PartError(
        "privilege", "old_logs: the open files of other users are hidden from this user; run with become"
    )
    if not os.path.exists(os.path.join(PROC, "1", "stat")):
        raise hidden
    found = set()
    for entry in os.listdir(PROC):
        _in_time(until)
        if not entry.isdigit():
            continue
        folder = os.path.join(PROC, entry, "fd")
        try:
            for number in os.listdir(folder):
                with contextlib.suppress(FileNotFoundError):
                    facts = os.stat(os.path.join(folder, number))
                    found.add((facts.st_dev, facts.st_ino))
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError as error:
            raise hidden from error
    return found
