# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the node's disk and of the files it keeps there."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence

from tests.fleet import image, watch
from tests.fleet.faults.kind import Fault, NotMade, Saved, choose
from tests.fleet.host import Box
from tests.fleet.run import Failed, attempt

DAMAGES = ("manifest", "table", "wal")
WAL = "cs.wal"
WAL_COPY = "cs.wal.bak"


def fill(box: Box) -> None:
    """Take all free space of the host's disk."""
    stuffing = box.disk / "stuffing"
    free = os.statvfs(box.disk)
    size = free.f_bavail * free.f_frsize
    # In ever smaller pieces: the file system needs some of the space for its own notes.
    while size >= free.f_frsize:
        if attempt(["fallocate", "--offset", str(_size(stuffing)), "--length", str(size), str(stuffing)]).returncode:
            size //= 2


def _size(path: os.PathLike[str]) -> int:
    return os.stat(path).st_size if os.path.exists(path) else 0


def _disk_full(box: Box, _arguments: Sequence[str]) -> Saved:
    fill(box)
    return {}


def _inodes(box: Box, _arguments: Sequence[str]) -> Saved:
    """Empty files until no inode is free; the disk has few of them (``host.INODES``), so this is quick."""
    stuffing = box.disk / "empty-files"
    stuffing.mkdir(exist_ok=True)
    for count in range(os.statvfs(box.disk).f_ffree + 1):
        try:
            (stuffing / str(count)).touch()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return {}
            raise
    raise Failed(f"{box.name}: its disk still takes files")


def _read_only(box: Box, arguments: Sequence[str]) -> Saved:
    how = choose("read-only", arguments[0] if arguments else "error", ("error", "remount"))
    if how == "remount":
        box.must("systemctl", "stop", image.UNIT)
        box.remount("ro")
        box.must("systemctl", "start", image.UNIT)
    else:
        # What a disk error does to a file system that is mounted as servers mount it, with errors=remount-ro.
        box.remount("errors=remount-ro")
        box.disk_error()
    return {}


def _damage(box: Box, arguments: Sequence[str]) -> Saved:
    what = choose("damage", arguments[0] if arguments else "manifest", DAMAGES)
    box.must("systemctl", "stop", image.UNIT)
    data = box.home / "data"
    pattern = {"manifest": "blockstore.db/MANIFEST-*", "table": "blockstore.db/*.ldb", "wal": f"{WAL}/wal"}[what]
    found = sorted(data.glob(pattern), key=lambda path: path.stat().st_size)
    if not found:
        box.must("systemctl", "start", image.UNIT)
        raise NotMade(f"{box.name}: there is no file {pattern} yet; a database writes its first table at a restart")
    victim = found[-1]
    copy = box.directory / "undamaged"
    shutil.copy2(victim, copy)
    with victim.open("r+b") as handle:
        if what == "wal":
            handle.seek(victim.stat().st_size // 2)
            handle.write(b"\xff" * 64)
        else:
            handle.truncate(victim.stat().st_size // 2)
    box.must("systemctl", "start", image.UNIT)
    return {"file": str(victim.relative_to(box.disk)), "copy": str(copy)}


def _wal_lost(box: Box, _arguments: Sequence[str]) -> Saved:
    data = box.home / "data"
    if (data / WAL_COPY).exists():
        raise NotMade(f"{box.name}: there is a {WAL_COPY} already: heal it first")
    at = watch.heights(box.names, [box.name])[box.name]
    box.must("systemctl", "stop", image.UNIT)
    (data / WAL).rename(data / WAL_COPY)
    box.must("systemctl", "start", image.UNIT)
    return {"at": at}


FAULTS = (
    Fault("disk-full", "HOST", "no byte is free on the disk of the node's home", _disk_full),
    Fault("inodes", "HOST", "no inode is free on the disk of the node's home", _inodes),
    Fault("read-only", "HOST [error|remount]", "the disk is read-only, after an error or a remount", _read_only, 0, 1),
    Fault("damage", "HOST [manifest|table|wal]", "a file of the node's data is damaged", _damage, 0, 1, once=True),
    Fault("wal-lost", "HOST", "started without its WAL; a copy lies beside it", _wal_lost, once=True),
)
