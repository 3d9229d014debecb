# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compress one file in place so that nothing is lost, whenever it is interrupted. PRIVATE to the collection.

A copy is made under the name of all unfinished ones, read back, and renamed to its own; only then the file goes. Whoever
is killed in between leaves the file, or a whole copy, or both. What is unfinished may be taken away by anybody; what has
the name of a copy never is, for it may be all that is left of an older file of the same name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import struct
import time
import typing as t
import zlib

from ansible_collections.virtengine.incident.plugins.module_utils._host.files import attributes

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
UNFINISHED = ".incident-new"
# The fastest: a log shrinks by it mostly to a third or less, and the node waits.
LEVEL = 1
# A copy that is larger than this part of the file is not worth it.
WORTH = 0.9

_CHUNK = 1024 * 1024
_BLOCK = 512  # the unit of st_blocks
_COPY = re.compile(r"\.incident-[A-Za-z0-9][A-Za-z0-9._-]*\.gz")
# With these the disk is full, or ill: the next file would fare no better.
_FULL = (errno.ENOSPC, errno.EDQUOT)
_ENDS = (errno.EIO, errno.EROFS)


class Kept(Exception):
    """This file stays as it is; the text says why."""


class Stopped(Exception):
    """This file stays as it is, and so do all others; the text says why."""


class Full(Stopped):
    """This file stays as it is, for no copy of it fits on the disk; the text says what the disk said."""


class File(t.NamedTuple):
    """A file as it was found: size in bytes first, by which files are ordered. ``copies``: what may be copies of it."""

    size: int
    folder: str
    name: str
    device: int
    inode: int
    mtime_ns: int
    copies: tuple[str, ...]

    @property
    def path(self) -> str:
        """Where it was found."""
        return os.path.join(self.folder, self.name)


class Content(t.NamedTuple):
    """What a file holds: its length in bytes and its digest in lower hex."""

    size: int
    sha256: str


def is_copy_of(name: str, other: str) -> bool:
    """Whether ``other`` is the name of a compressed copy of ``name``."""
    return other.startswith(name) and _COPY.fullmatch(other[len(name) :]) is not None


def open_folder(path: str) -> int:
    """Open a folder by an absolute path of which no part is a link. Raises OSError."""
    number = os.open("/", FOLDER)
    try:
        for part in path.strip("/").split("/"):
            inner = os.open(part, FOLDER, dir_fd=number)
            os.close(number)
            number = inner
    except OSError:
        os.close(number)
        raise
    return number


def pack(file: File, suffix: str, until: float) -> int:
    """Replace a file by its compressed copy, named with ``suffix``; returns the copy's bytes.

    ``until`` is a reading of ``time.monotonic()``. Raises Kept, Stopped; Full where no copy fits.
    """
    with in_words():
        folder = open_folder(file.folder)
        try:
            with Place(folder, file, until) as place:
                return replace(place, file.name + suffix)
        finally:
            os.close(folder)


@contextlib.contextmanager
def in_words() -> t.Iterator[None]:
    """What the system refuses, as Kept, Stopped or Full."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in _FULL:
            raise Full(f"the disk said: {why}") from error
        if error.errno in _ENDS:
            raise Stopped(f"the disk said: {why}") from error
        raise Kept(f"the system said: {why}") from error


def replace(place: Place, final: str) -> int:
    """Put a copy named ``final`` in place of the file; returns the copy's bytes. Raises OSError, Kept, Stopped."""
    copy = place.copy_of_before() or place.new_copy(final)
    try:
        if copy != final:
            place.refuse_taken(final)
            os.rename(copy, final, src_dir_fd=place.folder, dst_dir_fd=place.folder)
            copy = final
        # The name of the copy must be on the disk before that of the file goes.
        os.fsync(place.folder)
        size = os.stat(final, dir_fd=place.folder, follow_symlinks=False).st_size
        place.refuse_changed()
        place.remove()
    except (OSError, Kept):
        place.take_back(copy)
        raise
    return size


class Place:
    """The folder, held open, and the file in it, open for reading."""

    def __init__(self, folder: int, file: File, until: float) -> None:
        self.folder = folder
        self.file = file
        self._until = until
        self._source = -1

    def __enter__(self) -> Place:
        self._source = self._open()
        try:
            self.refuse_changed()
        except (OSError, Kept):
            os.close(self._source)
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._source)

    def _open(self) -> int:
        return os.open(self.file.name, FILE, dir_fd=self.folder)

    def is_there(self) -> bool:
        """Whether the open file still has a name."""
        return os.fstat(self._source).st_nlink > 0

    def remove(self) -> None:
        """Take the file away. Raises OSError where it is still there."""
        os.unlink(self.file.name, dir_fd=self.folder)
        # Where only this fails, a crash of the host brings the file back beside its copy, and the next run finishes.
        with contextlib.suppress(OSError):
            os.fsync(self.folder)

    def refuse_changed(self) -> None:
        """Raises Kept where the open file, or what has its name, is not the file that was found, as it was found."""
        listed = os.stat(self.file.name, dir_fd=self.folder, follow_symlinks=False)
        for facts in (os.fstat(self._source), listed):
            found = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_nlink)
            if found != (self.file.device, self.file.inode, self.file.size, self.file.mtime_ns, 1):
                raise Kept("changed meanwhile")

    def refuse_taken(self, name: str) -> None:
        """Raises Kept where something has this name: it may be all that is left of another file."""
        with contextlib.suppress(FileNotFoundError):
            os.stat(name, dir_fd=self.folder, follow_symlinks=False)
            raise Kept("the name of its copy is taken")

    def take_back(self, copy: str) -> None:
        """Take the copy away again, unless it is all that is left: the file has no name any more."""
        if self.is_there():
            os.unlink(copy, dir_fd=self.folder)

    def copy_of_before(self) -> t.Optional[str]:
        """Name of the whole copy of this very file that a killed run left. Raises OSError, Stopped."""
        content = None
        for name in self.file.copies:
            try:
                number = os.open(name, FILE, dir_fd=self.folder)
            except FileNotFoundError:
                continue
            try:
                if not self._alike(os.fstat(number)):
                    continue
                content = content or self.content()
                if self.unpacked(number) == content:
                    os.fsync(number)
                    return name
            finally:
                os.close(number)
        return None

    def _alike(self, facts: os.stat_result) -> bool:
        own = os.fstat(self._source)
        mode = own.st_mode & ~stat.S_ISVTX
        return (facts.st_mtime_ns, facts.st_mode, facts.st_uid, facts.st_gid, facts.st_nlink) == (
            own.st_mtime_ns, mode, own.st_uid, own.st_gid, 1
        )  # fmt: skip

    def new_copy(self, final: str) -> str:
        """Name of a new copy beside the file, as of ``write_copy``. Raises OSError, Kept, Stopped."""
        self.refuse_taken(final)
        name = self.file.name + UNFINISHED
        self.write_copy(self.folder, name, float("inf"))
        return name

    def write_copy(self, folder: int, name: str, room: float) -> Content:
        """A new copy of at most ``room`` bytes, which holds what the file holds and is on the disk.

        An unfinished one of this name goes. Raises OSError, Kept, Stopped.
        """
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        number = os.open(name, NEW, 0o600, dir_fd=folder)
        try:
            content = self._write(number, room)
            self._dress(number)
            os.fsync(number)
            # Read from the disk, not from memory, as far as the kernel follows the advice.
            os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
            if content.size != self.file.size:
                raise Kept("changed meanwhile")
            if self.unpacked(number) != content:
                raise Stopped("a compressed copy did not hold what was written: the disk or the memory fails")
        except (OSError, Kept, Stopped):
            os.unlink(name, dir_fd=folder)
            raise
        finally:
            os.close(number)
        return content

    def _write(self, number: int, room: float) -> Content:
        """The content that was read and written, in the format of gzip (RFC 1952). Raises OSError, Kept, Stopped."""
        worth = min(self.file.size, os.fstat(self._source).st_blocks * _BLOCK) * WORTH
        digest, size, checksum = hashlib.sha256(), 0, 0
        machine = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        seconds = self.file.mtime_ns // 1_000_000_000
        written = put(number, struct.pack("<4BLBB", 0x1F, 0x8B, 8, 0, seconds if 0 <= seconds < 2**32 else 0, 4, 3))
        for chunk in self.chunks():
            digest.update(chunk)
            size += len(chunk)
            checksum = zlib.crc32(chunk, checksum)
            written += put(number, machine.compress(chunk))
            _refuse_large(written, worth, room)
        written += put(number, machine.flush() + struct.pack("<LL", checksum, size & 0xFFFFFFFF))
        _refuse_large(written, worth, room)
        return Content(size, digest.hexdigest())

    def _dress(self, number: int) -> None:
        """Owner, mode, extended attributes (access lists are among them) and times of the file."""
        own = os.fstat(self._source)
        os.fchown(number, own.st_uid, own.st_gid)
        wanted = attributes(self._source)
        # A new file may inherit an access list from its folder that the file itself does not have.
        for name in attributes(number):
            if name not in wanted and name.startswith("system."):
                os.removexattr(number, name)
        for name in wanted:
            os.setxattr(number, name, os.getxattr(self._source, name))
        # A log has no sticky bit; a copy of one that is kept elsewhere has.
        os.fchmod(number, stat.S_IMODE(own.st_mode) & ~stat.S_ISVTX)
        os.utime(number, ns=(own.st_atime_ns, own.st_mtime_ns))

    def content(self) -> Content:
        """What the file holds. Raises OSError, Stopped."""
        digest, size = hashlib.sha256(), 0
        for chunk in self.chunks():
            digest.update(chunk)
            size += len(chunk)
        return Content(size, digest.hexdigest())

    def chunks(self) -> t.Iterator[bytes]:
        """The file from its beginning. Raises OSError, Stopped."""
        os.lseek(self._source, 0, os.SEEK_SET)
        while True:
            self._in_time()
            chunk = os.read(self._source, _CHUNK)
            if not chunk:
                return
            yield chunk

    def unpacked(self, number: int) -> t.Optional[Content]:
        """What a compressed file holds; None where it is damaged. Raises OSError, Stopped."""
        os.lseek(number, 0, os.SEEK_SET)
        machine = zlib.decompressobj(zlib.MAX_WBITS | 16)
        digest, size = hashlib.sha256(), 0
        while not machine.eof:
            self._in_time()
            raw = machine.unconsumed_tail or os.read(number, _CHUNK)
            try:
                chunk = machine.decompress(raw, _CHUNK)
            except zlib.error:
                return None
            if not raw and not chunk:
                return None
            digest.update(chunk)
            size += len(chunk)
        return None if machine.unused_data or os.read(number, 1) else Content(size, digest.hexdigest())

    def _in_time(self) -> None:
        if time.monotonic() > self._until:
            raise Stopped("the time is over")


def put(number: int, data: bytes) -> int:
    """Write all of it; returns how many bytes that were. Raises OSError."""
    left = memoryview(data)
    while left:
        left = left[os.write(number, left) :]
    return len(data)


def _refuse_large(written: int, worth: float, room: float) -> None:
    if written > worth:
        raise Kept("not smaller by a tenth when compressed")
    if written > room:
        raise Full(f"no room for more than {int(room)} bytes")
