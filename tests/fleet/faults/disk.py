# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the node's disk and of the files it keeps there."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fleet import image, watch
from tests.fleet.faults.kind import Fault, NotMade, Saved, choose
from tests.fleet.host import Box
from tests.fleet.run import Failed, attempt

DAMAGES = ("manifest", "table", "wal", "wal-owner")
WAL = "cs.wal"
WAL_COPY = "cs.wal.bak"
# Where a node's output is kept that a rotation moves aside; the newest first, 300 MB in all.
OLD_LOGS = "logs"
OLD_LOG_BYTES = (110_000_000, 80_000_000, 60_000_000, 40_000_000, 10_000_000, 100_000)
# One day's log is one file, and the newest of these is of the day before yesterday.
NEWEST_LOG_DAYS = 2
# A compressor looks back much less far than this many blocks' lines: repeated, they shrink as lines do that are not.
LOGGED_BLOCKS = 4000


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
    pattern = {"manifest": "blockstore.db/MANIFEST-*", "table": "blockstore.db/*.ldb"}.get(what, f"{WAL}/wal")
    found = sorted(data.glob(pattern), key=lambda path: path.stat().st_size)
    if not found:
        box.must("systemctl", "start", image.UNIT)
        raise NotMade(f"{box.name}: there is no file {pattern} yet; a database writes its first table at a restart")
    victim = found[-1]
    if what == "wal-owner":
        # As a command leaves it that somebody ran as root.
        os.chown(victim, 0, 0)
        victim.chmod(0o600)
        box.must("systemctl", "start", image.UNIT)
        return {"file": str(victim.relative_to(box.disk))}
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


def _logged(height: int) -> str:
    """What a node says of one block, as the hosts' nodes say it."""
    digest = hashlib.sha256(str(height).encode()).hexdigest().upper()
    second = height % 43_200
    at = f"{second // 3600 + 1}:{second // 60 % 60:02}AM INF"
    return (
        f"{at} Timed out dur={900 + second % 97}.{second % 999999:06} height={height} module=consensus round=0"
        " step=RoundStepNewHeight\n"
        f'{at} received proposal module=consensus proposal="Proposal{{{height}/0 ({digest}:1:{digest[:12]}, -1)'
        f' {digest[12:24]} @ 2026-01-02T{second // 3600:02}:{second // 60 % 60:02}:00.{height:09}Z}}" proposer={digest[:40]}\n'
        f"{at} received complete proposal block hash={digest} height={height} module=consensus\n"
        f"{at} finalizing commit of block hash={digest} height={height} module=consensus num_txs=0 root={digest[::-1]}\n"
        f"{at} finalized block block_app_hash={digest[::-1]} height={height} module=state num_txs_res=0"
        " num_val_updates=0\n"
        f"{at} executed block app_hash={digest[::-1]} height={height} module=state\n"
        f"{at} committed state block_app_hash={digest[::-1]} height={height} module=state\n"
        f"{at} indexed block events height={height} module=txindex\n"
    )


def _old_logs(box: Box, _arguments: Sequence[str]) -> Saved:
    folder = box.home / OLD_LOGS
    if folder.exists():
        raise NotMade(f"{box.name}: there is a folder {OLD_LOGS} already: heal it first")
    folder.mkdir()
    said = "".join(_logged(height) for height in range(1, LOGGED_BLOCKS + 1)).encode("ascii")
    today = time.time()
    for number, size in enumerate(OLD_LOG_BYTES, 1):
        path = folder / f"virtengine.log.{number}"
        _write_out(path, said, size)
        written = today - (NEWEST_LOG_DAYS + number - 1) * 86_400
        os.utime(path, (written, written))
    box.own(folder)
    return {}


def _write_out(path: Path, said: bytes, size: int) -> None:
    """Fill a file with the same lines over and over; its last one is whole."""
    with path.open("wb") as handle:
        for left in range(size, 0, -len(said)):
            handle.write(said if left >= len(said) else said[: said.rindex(b"\n", 0, left) + 1])


FAULTS = (
    Fault("disk-full", "HOST", "no byte is free on the disk of the node's home", _disk_full),
    Fault("inodes", "HOST", "no inode is free on the disk of the node's home", _inodes),
    Fault("read-only", "HOST [error|remount]", "the disk is read-only, after an error or a remount", _read_only, 0, 1),
    Fault(
        "damage",
        "HOST [manifest|table|wal|wal-owner]",
        "a file of the node's data is damaged, or its WAL belongs to root",
        _damage,
        0,
        1,
        once=True,
    ),
    Fault("wal-lost", "HOST", "started without its WAL; a copy lies beside it", _wal_lost, once=True),
    Fault("old-logs", "HOST", "300 MB of rotated log files lie in the node's home", _old_logs, once=True),
)
