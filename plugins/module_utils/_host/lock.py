# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a chain on one host, and the digests that were used there. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import stat
import tempfile
import time
import typing as t

from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import clean, stamp

LOCKS = "/run/lock/virtengine-incident"
SPENT = "/var/lib/virtengine-incident"
DIGEST = re.compile(r"[a-z]{1,16}-[0-9a-f]{16}\Z")
# How long another run may take for a step of microseconds.
GUARD_S = 5
_FILE_CAP = 64 * 1024
_SPENT_CAP = 4 * 1024 * 1024


class Refused(Exception):
    """The lock is not as asked for; the text says why. ``held_by`` is who holds it."""

    def __init__(self, text: str, held_by: dict[str, t.Any] | None = None) -> None:
        super().__init__(text)
        self.held_by = held_by


def safe_name(chain_id: str) -> str:
    """A file name for a chain id; two chain ids never share one."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", chain_id)[:80]
    if name and name == chain_id and not name.startswith("."):
        return name
    return f"{name.lstrip('.')}-{hashlib.sha256(chain_id.encode('utf-8')).hexdigest()[:16]}"


class Lock:
    """One chain's lock file, and the file of the digests that were used."""

    def __init__(self, chain_id: str, locks: str = LOCKS, spent: str = SPENT) -> None:
        name = safe_name(chain_id)
        self.chain_id = chain_id
        self.path = os.path.join(locks, f"{name}.json")
        self.spent_path = os.path.join(spent, f"{name}.spent")

    def holder(self) -> dict[str, t.Any] | None:
        """Who holds the lock: ``owner``, ``who``, ``at``, ``age_s``; None when nobody does.

        A file that cannot be read holds the lock all the same, with an empty owner: only a person can tell.
        """
        try:
            with open(self.path, "rb") as stream:
                raw = stream.read(_FILE_CAP)
                age = time.time() - os.fstat(stream.fileno()).st_mtime
        except FileNotFoundError:
            return None
        try:
            content = json.loads(raw)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            content = {}
        known = {name: clean(content.get(name) or "") for name in ("owner", "who", "at", "digest")}
        return {**known, "age_s": max(int(age), 0)}

    def acquire(self, owner: str, who: str, digest: str) -> bool:
        """Take the lock; False when ``owner`` has it already. Raises Refused when another has it."""
        content = {
            "chain_id": self.chain_id,
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
                raise Refused(taken_text(self.chain_id, present), present)
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

    def spent(self) -> list[str]:
        """The digests that were used on this host, oldest first."""
        try:
            with open(self.spent_path, encoding="ascii", errors="replace") as stream:
                lines = stream.read(_SPENT_CAP).splitlines()
        except FileNotFoundError:
            return []
        return [digest for digest in (line.partition(" ")[0] for line in lines) if DIGEST.match(digest)]

    def spend(self, digest: str) -> bool:
        """Write a digest down as used, on disk before this returns; False when it was there."""
        if digest in self.spent():
            return False
        private_directory(os.path.dirname(self.spent_path))
        handle = os.open(self.spent_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            # The leading line end closes a line that a power cut may have torn.
            os.write(handle, f"\n{digest} {stamp(time.time())}\n".encode("ascii"))
            os.fsync(handle)
        finally:
            os.close(handle)
        return True


def taken_text(chain_id: str, holder: dict[str, t.Any]) -> str:
    """What to say when another holds the lock."""
    who = f"{holder['owner'] or 'an unreadable file'} ({holder['who'] or 'unknown'}, {holder['age_s']} s ago)"
    return f"The lock of {chain_id} on this host is held by {who}."


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
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Refused(f"{path} is not a directory of this user that only it can change; look at who made it.")
    return path
