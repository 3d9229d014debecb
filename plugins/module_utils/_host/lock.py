# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks of scopes on one host, and the digests of plans that were used there. PRIVATE to the collection.

A scope is what a run acts on, such as ``chain:virtengine-1`` or ``postgresql:7412059318123098762``.
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
import tempfile
import time
import typing as t

from .files import sync_folder
from .parts import PartError, clean, stamp

LOCKS = "/run/lock/virtengine-incident"
USED = "/var/lib/virtengine-incident"
DIGEST = re.compile(r"[a-z][a-z0-9_]{0,40}-[0-9a-f]{16}\Z")
# How long another run may take for a step of microseconds.
GUARD_S = 5
# What one look at the host takes of it: files of each kind, and the newest digests of each file.
SEEN_FILES = 64
SEEN_DIGESTS = 500
_FILE_CAP = 64 * 1024
# The newest 40,000 digests of a scope.
_USED_CAP = 4 * 1024 * 1024
# A line holds at most a digest (58 characters), a time stamp (27) and two line ends.
_SEEN_CAP = SEEN_DIGESTS * 100


class Refused(Exception):
    """The lock is not as asked for; the text says why. ``held_by`` is who holds it."""

    def __init__(self, text: str, held_by: dict[str, t.Any] | None = None) -> None:
        super().__init__(text)
        self.held_by = held_by


def safe_name(scope: str) -> str:
    """A file name for a scope; two scopes never share one."""
    name = re.sub(r"[^A-Za-z0-9:._-]", "_", scope)[:80]
    if name and name == scope and not name.startswith("."):
        return name
    # The plus sign is in no name that is a scope itself.
    return f"{name.lstrip('.')}+{hashlib.sha256(scope.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


class Lock:
    """One scope's lock file, and the file of the digests that were used."""

    def __init__(self, scope: str, locks: str = LOCKS, used: str = USED) -> None:
        name = safe_name(scope)
        self.scope = scope
        self.path = os.path.join(locks, f"{name}.json")
        self.used_path = os.path.join(used, f"{name}.used")

    def holder(self) -> dict[str, t.Any] | None:
        """Who holds the lock: ``scope``, ``owner``, ``who``, ``at``, ``age_s``, ``digest``; None when nobody does.

        Raises OSError where the directory of the locks cannot be looked into.
        """
        return _holder(self.path)

    def acquire(self, owner: str, who: str, digest: str) -> bool:
        """Take the lock; False when ``owner`` has it already. Raises Refused when another has it."""
        content = {
            "scope": self.scope,
            "owner": owner,
            "who": who,
            "digest": digest,
            "at": stamp(time.time()),
        }
        directory = private_directory(os.path.dirname(self.path))
        with _alone(directory):
            present = self.holder()
            if present is not None:
                if present["owner"] == owner:
                    return False
                raise Refused(taken_text(self.scope, present), present)
            handle, temporary = tempfile.mkstemp(dir=directory, prefix=".new-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    json.dump(content, stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                # A link, not a rename: even without the guard it succeeds for exactly one of many.
                os.link(temporary, self.path)
            finally:
                os.unlink(temporary)
        return True

    def release(self, owner: str) -> bool:
        """Give the lock back; False when ``owner`` does not have it."""
        if self.holder() is None:
            return False
        with _alone(private_directory(os.path.dirname(self.path))):
            present = self.holder()
            if present is None or present["owner"] != owner:
                return False
            os.unlink(self.path)
        return True

    def used(self) -> list[str]:
        """The digests that were used on this host, oldest first. Raises OSError."""
        return _digests(self.used_path, _USED_CAP)

    def consume(self, digest: str, owner: str) -> bool:
        """Write a digest down as used by ``owner``, on disk before this returns; False when another one used it.

        Two hosts of an inventory can be one machine: what a run wrote there itself is no earlier use.
        """
        before = [by for used, by in _uses(self.used_path, _USED_CAP) if used == digest]
        if before:
            return before == [owner]
        directory = private_directory(os.path.dirname(self.used_path))
        handle = os.open(self.used_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            # The leading line end closes a line that a power cut may have torn.
            os.write(handle, f"\n{digest} {stamp(time.time())} {owner}\n".encode("ascii", "replace"))
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_folder(directory)
        return True


def seen(locks: str = LOCKS, used: str = USED) -> dict[str, t.Any]:
    """All locks of this host and the digests used on it: the contract's ``locks`` data.

    ``locks``: of each what ``Lock.holder`` gives. ``used``: the newest SEEN_DIGESTS of each of the newest SEEN_FILES
    files. Raises PartError ``privilege``, ``too_large``, ``failed``, and OSError: what cannot be seen is never "no lock".
    """
    files = _files(locks, ".json")
    if len(files) > SEEN_FILES:
        raise PartError("too_large", f"locks: more than {SEEN_FILES} in {locks}; look at who made them")
    newest = sorted(_files(used, ".used"), key=lambda path: os.lstat(path).st_mtime)[-SEEN_FILES:]
    digests = [digest for path in newest for digest in _digests(path, _SEEN_CAP)[-SEEN_DIGESTS:]]
    return {
        "locks": [holder for holder in map(_holder, files) if holder is not None],
        "used": list(dict.fromkeys(digests)),
    }


def taken_text(scope: str, holder: dict[str, t.Any]) -> str:
    """What to say when another holds the lock."""
    who = f"{holder['owner'] or 'an unreadable file'} ({holder['who'] or 'unknown'}, {holder['age_s']} s ago)"
    return f"The lock of {scope} on this host is held by {who}."


def _holder(path: str) -> dict[str, t.Any] | None:
    """Who holds the lock of this file; None where there is no file. Raises OSError.

    A file that cannot be read holds the lock all the same, with an empty owner: only a person can tell.
    """
    try:
        age = time.time() - os.lstat(path).st_mtime
    except FileNotFoundError:
        return None
    try:
        content = json.loads(_plain(path, 0, _FILE_CAP))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        content = {}
    stem = os.path.basename(path)[: -len(".json")]
    known = content if isinstance(content, dict) else {}
    texts = {name: value for name, value in known.items() if isinstance(value, str)}
    scope = texts.get("scope", "")
    return {
        "scope": clean(scope if safe_name(scope) == stem else stem),
        **{name: clean(texts.get(name, "")) for name in ("owner", "who", "at")},
        "age_s": max(int(age), 0),
        "digest": clean(texts.get("digest", "")),
    }


def _digests(path: str, cap: int) -> list[str]:
    """The digests in the last ``cap`` bytes of a file, oldest first; none where there is no file. Raises OSError."""
    return [digest for digest, _owner in _uses(path, cap)]


def _uses(path: str, cap: int) -> list[tuple[str, str]]:
    """The same, each with the run that used it."""
    try:
        begin = max(os.lstat(path).st_size - cap, 0)
        lines = _plain(path, begin, cap).decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        return []
    # The first line may be cut there: what is left of its digest could pass for another one.
    words = [line.split(" ", 2) for line in (lines[1:] if begin else lines)]
    return [(digest, owner[1] if len(owner) > 1 else "") for digest, *owner in words if DIGEST.match(digest)]


def _plain(path: str, begin: int, cap: int) -> bytes:
    """At most ``cap`` bytes of a plain file; nothing waits for a pipe, no link is followed. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "no plain file", path)
        return os.pread(handle, cap, begin)
    finally:
        os.close(handle)


def _files(directory: str, suffix: str) -> list[str]:
    """Paths of the files of this kind, in order; none where there is no directory. Raises PartError, OSError."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        names = []
    try:
        _refuse_foreign(directory)
    except Refused as error:
        # Without root it may well be the directory of the user that runs use here.
        raise PartError("failed" if os.geteuid() == 0 else "privilege", f"locks: {error}") from error
    return [os.path.join(directory, name) for name in sorted(names) if name.endswith(suffix) and name[0] != "."]


@contextlib.contextmanager
def _alone(directory: str) -> t.Iterator[None]:
    """Look and change as one step: between the two, no other run may break or take the lock."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        until = time.monotonic() + GUARD_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= until:
                    raise Refused(f"{directory} has been busy for {GUARD_S} s; look for a run that hangs.") from error
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def private_directory(path: str) -> str:
    """Make a directory that only this user can change. Raises Refused when somebody else made it: /run/lock is open."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    _refuse_foreign(path)
    return path


def _refuse_foreign(path: str) -> None:
    facts = os.lstat(path)
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise Refused(f"{path} is not a directory of this user that only it can change; look at who made it.")
