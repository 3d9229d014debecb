# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old logs, compressed in place until enough is free. PRIVATE to the collection.

A copy is written under an unfinished name, read back, and renamed to its own; only then the log goes. Whoever is killed
in between leaves the log, or its proven copy, or both, and the next run finishes.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import shutil
import time
import typing as t
import zlib

from .._host.kept import kept_name
from .._host.parts import PartError, clean
from .._node import places as _places
from .._node import service
from . import find as _find

# Five times what chain_halt asks for before it starts a node.
ENOUGH_BYTES = 500_000_000
# After so many seconds no other log is begun: the node waits.
TIME_S = 120
UNFINISHED = ".incident-new"

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
# The disk is full, or fails: the next log would fare no better.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


class Kept(Exception):
    """This log stays as it is; the text says why."""


class Stopped(Kept):
    """This log stays as it is, and so do all that follow."""


def compress(unit: str, home: t.Optional[str], digest: str, check: bool) -> dict[str, t.Any]:
    """Compress old logs, smallest first, until ENOUGH_BYTES are free for the node.

    Returns what the module documents. Raises Refused, PartError, ValueError, OSError.
    """
    suffix = kept_name("", digest) + ".gz"
    until = time.monotonic() + TIME_S
    places = _places.find(service.unit_stopped(unit), None, home, None, None)
    if places["home"] is None:
        raise PartError("absent", f"The home of the node of {unit} is not known. Give it with the option home.")
    folder = _find.data_folder(places["home"])
    free = shutil.disk_usage(folder).free
    logs = _find.find(places["home"], places["wal_file"], time.time()) if free < ENOUGH_BYTES else []
    done, left = [], []
    for log in logs:
        try:
            if not check:
                pack(log, suffix)
                free = shutil.disk_usage(folder).free
            done.append(f"compress {clean(log.path)} to {clean(os.path.basename(log.path))}{suffix}")
        except Kept as why:
            left.append(f"{clean(log.path)}: {why}")
            if isinstance(why, Stopped):
                break
        if free >= ENOUGH_BYTES or time.monotonic() > until:
            break
    return {"changed": bool(done), "free_bytes": free, "actions": done, "left": left}


def pack(log: _find.Log, suffix: str) -> None:
    """Replace a log by its compressed copy, named with ``suffix``. Raises Kept, Stopped."""
    parent, name = os.path.split(log.path)
    try:
        folder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.fdopen(os.open(name, _READ, dir_fd=folder), "rb") as stream:
                _Place(folder, name, stream, log).replace(name + suffix)
        finally:
            os.close(folder)
    except OSError as error:
        raise (Stopped if error.errno in _DISK else Kept)(f"the system said: {error.strerror}") from error


class _Place(t.NamedTuple):
    """A log, open, in its folder, open: nobody exchanges them under our hands."""

    folder: int
    name: str
    stream: t.IO[bytes]
    log: _find.Log

    def replace(self, final: str) -> None:
        """Put a copy named ``final`` in place of the log. Raises OSError, Kept."""
        self._refuse_changed()
        copy = self.name + UNFINISHED
        try:
            if final not in os.listdir(self.folder):
                self._write(copy)
                os.rename(copy, final, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            elif not self._is_copy(final):
                # It may be all that is left of an older log of that name.
                raise Kept("the name of its copy is taken")
            copy = final
            # The name of the copy must be on the disk before that of the log goes.
            os.fsync(self.folder)
            self._refuse_changed()
            os.unlink(self.name, dir_fd=self.folder)
        except (OSError, Kept):
            # Where the log has no name any more, its copy is all that is left.
            if os.fstat(self.stream.fileno()).st_nlink:
                self._remove(copy)
            raise

    def _refuse_changed(self) -> None:
        """Raises Kept where the open log, or what has its name, is not the log that was found, as it was found."""
        listed = os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        if not self.log.state == _find.state(os.fstat(self.stream.fileno())) == _find.state(listed):
            raise Kept("changed meanwhile")

    def _write(self, name: str) -> None:
        """A copy that holds what the log holds, and is on the disk. Raises OSError, Kept."""
        self._remove(name)
        with os.fdopen(os.open(name, _NEW, 0o600, dir_fd=self.folder), "wb") as copy:
            # Level 1: the node waits. With the log's name, which gzip -dN restores; without its time, which gzip then
            # takes from the copy, to the nanosecond.
            with gzip.GzipFile(os.fsencode(self.name), "wb", 1, copy, mtime=0) as packed:
                shutil.copyfileobj(self.stream, packed)
            copy.flush()
            if os.fstat(copy.fileno()).st_size > 0.9 * self.log.size:
                raise Kept("not smaller by a tenth when compressed")
            os.fsync(copy.fileno())
            # Then it is read from the disk, not from memory, as far as the kernel follows the advice.
            os.posix_fadvise(copy.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if not self._is_copy(name):
            self._refuse_changed()
            raise Stopped("a compressed copy did not hold what was written: the disk or the memory fails")

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.folder)

    def _is_copy(self, name: str) -> bool:
        """Whether a file unpacks to the bytes of the log; then it gets its owner, mode and times. Raises OSError."""
        self.stream.seek(0)
        with os.fdopen(os.open(name, _READ, dir_fd=self.folder), "rb") as copy:
            unpacked = gzip.GzipFile(fileobj=copy, mode="rb")
            chunks = iter(lambda: self.stream.read(2**20), b"")
            with contextlib.suppress(EOFError, gzip.BadGzipFile, zlib.error):
                if all(unpacked.read(len(chunk)) == chunk for chunk in chunks) and not unpacked.read(1):
                    self._dress(copy.fileno())
                    return True
        return False

    def _dress(self, copy: int) -> None:
        log = self.stream.fileno()
        os.fchown(copy, os.fstat(log).st_uid, os.fstat(log).st_gid)
        # A new file may inherit an access list from its folder that the log itself does not have.
        with contextlib.suppress(OSError):
            os.removexattr(copy, "system.posix_acl_access")
        shutil.copystat(f"/proc/self/fd/{log}", f"/proc/self/fd/{copy}")
        os.fsync(copy)
