# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compress an old log whose copy does not fit on its own disk, by way of another. PRIVATE to the collection.

The copy is made in a folder on another file system, beside a note of where it belongs. Only then the file goes, which
makes room, and the copy takes its place. Whoever is killed in between leaves the file, or a whole copy with its note,
or the copy in its place; the next run finishes. A copy is taken from the folder only where its file, or the copy in its
place, was read and holds the same.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import stat
import typing as t

from ansible_collections.virtengine.incident.plugins.module_utils._host.files import mounts
from ansible_collections.virtengine.incident.plugins.module_utils._host.gzip import (
    FILE,
    NEW,
    UNFINISHED,
    Content,
    File,
    Full,
    Kept,
    Place,
    Stopped,
    in_words,
    is_copy_of,
    open_folder,
    put,
    replace,
)
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import clean
from ansible_collections.virtengine.incident.plugins.module_utils._logs import find as _old_logs

STAGING = "/var/tmp/virtengine-incident-old-logs"
# What a host forgets when it goes down.
VOLATILE = ("tmpfs", "ramfs")
# What stays free on the other disk, for those who write there.
MARGIN = 64 * 1024 * 1024

_COPY, _NOTE = ".gz", ".json"
_OURS = re.compile(r"(?P<key>[0-9a-f]{16})(?P<kind>\.gz|\.json)(?P<unfinished>\.incident-new)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Three paths of 4096 bytes, each byte written as six, and what lies below them.
_NOTE_CAP = 128 * 1024
_BESIDE = "no copy fits on the full disk, and"
_BY_HAND = "free a few MB by hand first"


class Note(t.NamedTuple):
    """Where a staged copy belongs: the node's home, then the file that it is the copy of and what that one held."""

    home: str
    folder: str
    name: str
    inode: int
    mtime_ns: int
    size: int
    sha256: str

    @property
    def content(self) -> Content:
        """What the file held."""
        return Content(self.size, self.sha256)

    @property
    def key(self) -> str:
        """What the names in the staging folder begin with: another one for each file, and each state of a file."""
        told = json.dumps([self.home, self.folder, self.name, self.inode, self.mtime_ns, self.size])
        return hashlib.sha256(told.encode("ascii")).hexdigest()[:16]

    def file(self, device: int, copies: tuple[str, ...]) -> File:
        """The file as it was found."""
        return File(self.size, self.folder, self.name, device, self.inode, self.mtime_ns, copies)


class Finished(t.NamedTuple):
    """Files whose staged copies are in their places, with the bytes of these; staged copies that stay, and why.

    ``spare``: files that are still there themselves, so that their staged copies went.
    """

    done: list[tuple[File, t.Optional[int]]]
    spare: list[str]
    waiting: list[str]


class Staging:
    """The staging folder, held open and locked: one run at a time. Where it is not there it is made when needed."""

    def __init__(self, reach: _old_logs.Reach) -> None:
        self._reach = reach
        self._number = -1

    def __enter__(self) -> Staging:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._open()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._number >= 0:
            os.close(self._number)

    def _open(self) -> None:
        """Open the folder where this user alone may write: what lies in another one may be anybody's.

        Raises Refused, OSError.
        """
        try:
            number = open_folder(_old_logs.resolved(STAGING))
        except OSError as error:
            if error.errno == errno.ELOOP:
                return
            raise
        facts = os.fstat(number)
        if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
            os.close(number)
            return
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(number)
            raise _old_logs.Refused(f"Another run is at work in {STAGING}. Nothing was done.") from error
        self._number = number

    def stage(self, file: File, until: float) -> None:
        """Put a whole copy of the file, and a note of where it belongs, in the folder; then take the file away.

        ``until`` is a reading of ``time.monotonic()``. Raises Kept, Stopped.
        """
        self._provide(file.device)
        shown = os.fstatvfs(self._number)
        room = shown.f_bavail * shown.f_frsize - MARGIN
        try:
            with in_words():
                folder = open_folder(file.folder)
                try:
                    with Place(folder, file, until) as place:
                        self._stage(place, room)
                finally:
                    os.close(folder)
        except Full as why:
            raise Stopped(f"{_BESIDE} the disk of {STAGING} has no room for one and 64 MiB: {_BY_HAND}") from why

    def _stage(self, place: Place, room: int) -> None:
        file = place.file
        note = Note(self._reach.home, file.folder, file.name, file.inode, file.mtime_ns, file.size, "")
        key = note.key
        if self._has(key + _COPY):
            raise Kept(f"{STAGING}/{key}{_COPY} is a copy of it that could not be put back")
        try:
            content = place.write_copy(self._number, key + _COPY + UNFINISHED, room)
            self._keep(key + _NOTE, note._replace(sha256=content.sha256))
            # What has a copy's name has a note, whatever the host's crash leaves.
            os.fsync(self._number)
            self._name(key + _COPY)
            os.fsync(self._number)
            place.refuse_changed()
            place.remove()
        except (OSError, Kept, Stopped):
            if place.is_there():
                self._take_away(key)
            raise

    def _provide(self, device: int) -> None:
        """Make the folder, where it is not there, on a disk that is fit for it. Raises Kept, Stopped."""
        with in_words():
            path = _old_logs.resolved(STAGING)
            if self._number < 0:
                parent = open_folder(os.path.dirname(path))
                try:
                    self._refuse_unfit(parent, os.path.dirname(path), device)
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(os.path.basename(path), 0o700, dir_fd=parent)
                        os.fsync(parent)
                finally:
                    os.close(parent)
                with contextlib.suppress(NotADirectoryError):
                    self._open()
            # A copy has the file's mode, but not the folders around it that may keep others out.
            if self._number < 0 or os.fstat(self._number).st_mode & 0o077:
                raise Stopped(f"{_BESIDE} {STAGING} is no folder that this user alone may enter: {_BY_HAND}")
            self._refuse_unfit(self._number, path, device)

    def _refuse_unfit(self, number: int, path: str, device: int) -> None:
        if os.fstat(number).st_dev == device:
            raise Stopped(f"{_BESIDE} {path} is on the same disk: {_BY_HAND}")
        if _kind(path) in VOLATILE:
            raise Stopped(f"{_BESIDE} {path} is in memory: {_BY_HAND}")

    def _keep(self, name: str, note: Note) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name + UNFINISHED, dir_fd=self._number)
        number = os.open(name + UNFINISHED, NEW, 0o600, dir_fd=self._number)
        try:
            put(number, json.dumps(note._asdict(), indent=1).encode("ascii") + b"\n")
            os.fsync(number)
        finally:
            os.close(number)
        self._name(name)

    def _name(self, name: str) -> None:
        """Give what is finished its name. What has the sticky bit is not cleared away for its age (XDG Base Directory)."""
        mode = os.stat(name + UNFINISHED, dir_fd=self._number, follow_symlinks=False).st_mode
        os.chmod(name + UNFINISHED, stat.S_IMODE(mode) | stat.S_ISVTX, dir_fd=self._number)
        os.rename(name + UNFINISHED, name, src_dir_fd=self._number, dst_dir_fd=self._number)

    def _has(self, name: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            os.stat(name, dir_fd=self._number, follow_symlinks=False)
            return True
        return False

    def _take_away(self, key: str) -> None:
        """The copy first: what has a copy's name has a note."""
        for name in (key + _COPY, key + _COPY + UNFINISHED, key + _NOTE, key + _NOTE + UNFINISHED):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._number)
                os.fsync(self._number)

    def finish(self, suffix: str, check: bool) -> Finished:
        """Put every staged copy of this node's logs in its place, named with ``suffix``.

        ``check``: only say which. Raises Refused, before anything is done, where something there has the name of a copy
        and no sound note. Raises OSError.
        """
        found = Finished([], [], [])
        if self._number < 0:
            return found
        ours = [match for match in map(_OURS.fullmatch, sorted(os.listdir(self._number))) if match]
        copies = [match["key"] for match in ours if match["kind"] == _COPY and not match["unfinished"]]
        notes = [note for note in map(self._note, copies) if note.home == self._reach.home]
        for key in {match["key"] for match in ours} - set(copies):
            if not check:
                self._take_away(key)
        for note in notes:
            try:
                with in_words():
                    self._finish(note, suffix, check, found)
            except (Kept, Stopped) as why:
                text = f"{STAGING}/{note.key}{_COPY} of {os.path.join(note.folder, note.name)} stays: {why}"
                found.waiting.append(clean(text))
        return found

    def _finish(self, note: Note, suffix: str, check: bool, found: Finished) -> None:
        folder = self._reach.open(note.folder)
        try:
            if _is_there(note, folder):
                if not check:
                    self._take_away(note.key)
                found.spare.append(os.path.join(note.folder, note.name))
                return
            copies = tuple(other for other in os.listdir(folder) if is_copy_of(note.name, other))
            staged = _Staged(self._number, note, folder, copies)
            with staged:
                staged.refuse_damaged()
                size = None if check else replace(staged, note.name + suffix)
            found.done.append((staged.file, size))
        finally:
            os.close(folder)

    def _note(self, key: str) -> Note:
        """The note of a staged copy. Raises Refused where it has none that this module would write; OSError."""
        try:
            number = os.open(key + _NOTE, FILE, dir_fd=self._number)
        except OSError as error:
            raise _refused(key, f"has no note: {error.strerror}") from error
        try:
            facts = os.fstat(number)
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
                raise _refused(key, "has a note that is no plain file of this user")
            raw = os.read(number, _NOTE_CAP)
        finally:
            os.close(number)
        try:
            note = _sound(json.loads(raw))
        except (ValueError, TypeError, RecursionError) as error:
            raise _refused(key, "has a note that cannot be read") from error
        if note.key != key:
            raise _refused(key, "has the note of another")
        if note.home == self._reach.home and not self._reach.holds(note.folder, note.name):
            raise _refused(key, f"belongs to {os.path.join(note.folder, note.name)}, which is no place of an old log")
        return note


class _Staged(Place):
    """A staged copy as what is to be replaced, and the place of the copy that it becomes."""

    def __init__(self, staging: int, note: Note, folder: int, copies: tuple[str, ...]) -> None:
        super().__init__(folder, note.file(0, copies), float("inf"))
        self._staging = staging
        self._note = note

    def _open(self) -> int:
        return os.open(self._note.key + _COPY, FILE, dir_fd=self._staging)

    def refuse_changed(self) -> None:
        """Raises Kept where the staged copy is not the one that was opened, or no plain file."""
        own = os.fstat(self._source)
        listed = os.stat(self._note.key + _COPY, dir_fd=self._staging, follow_symlinks=False)
        if not os.path.samestat(own, listed) or not stat.S_ISREG(own.st_mode) or own.st_nlink != 1:
            raise Kept("it is no plain file with one name, or changed meanwhile")

    def refuse_damaged(self) -> None:
        """Raises Kept where the staged copy does not hold what the file held; OSError."""
        if self.unpacked(self._source) != self._note.content:
            raise Kept("it does not hold what its note says")

    def content(self) -> Content:
        """What the file held that this is the copy of."""
        return self._note.content

    def _write(self, number: int, room: float) -> Content:
        for chunk in self.chunks():
            put(number, chunk)
        return self._note.content

    def remove(self) -> None:
        """Take the staged copy away, then its note."""
        os.unlink(self._note.key + _COPY, dir_fd=self._staging)
        # Where only this fails, the next run finds a copy that is in its place, or a note without one.
        with contextlib.suppress(OSError):
            os.fsync(self._staging)
            os.unlink(self._note.key + _NOTE, dir_fd=self._staging)


def _is_there(note: Note, folder: int) -> bool:
    """Whether the file itself is there, whole and unchanged. Raises Kept where another has its name; OSError."""
    try:
        with Place(folder, note.file(os.fstat(folder).st_dev, ()), float("inf")) as place:
            if place.content() == note.content:
                return True
    except FileNotFoundError:
        return False
    except Kept as why:
        raise Kept("a file of that name is there, which changed since or is another one") from why
    raise Kept("a file of that name is there, which holds something else")


def _sound(told: t.Any) -> Note:
    """Raises TypeError, ValueError."""
    note = Note(**told)
    for value in (note.home, note.folder, note.name, note.sha256):
        if not isinstance(value, str) or b"\0" in os.fsencode(value):
            raise ValueError("no text")
    for number in (note.inode, note.mtime_ns, note.size):
        if not isinstance(number, int) or isinstance(number, bool) or abs(number) >= 2**63:
            raise ValueError("no number")
    if not _SHA256.fullmatch(note.sha256):
        raise ValueError("no digest")
    return note


def _refused(key: str, why: str) -> _old_logs.Refused:
    return _old_logs.Refused(f"{STAGING}/{key}{_COPY} {why}. A person decides what it is. Nothing was done.")


def _kind(path: str) -> t.Optional[str]:
    """What kind of file system a path lies on."""
    mounted = mounts()
    while path != "/" and path not in mounted:
        path = os.path.dirname(path)
    return mounted.get(path)
