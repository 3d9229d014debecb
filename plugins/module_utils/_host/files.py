# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are changed so that nothing is lost: what a copy keeps, what is mounted where. PRIVATE to the collection."""

from __future__ import annotations

import errno
import os
import re
import stat

MOUNTS = "/proc/self/mountinfo"
# In it a space, a tab, a newline and a backslash of a path are written as octal numbers.
_OCTAL = re.compile(r"\\([0-7]{3})")


def attributes(number: int) -> list[str]:
    """Names of the extended attributes of an open file; none where the file system has none. Raises OSError."""
    try:
        return os.listxattr(number)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            return []
        raise


def keep_attributes(old: int, new: int) -> None:
    """Give an open file the owner, extended attributes (access lists are among them) and mode of another.

    Raises OSError.
    """
    facts = os.fstat(old)
    os.fchown(new, facts.st_uid, facts.st_gid)
    wanted = attributes(old)
    # A new file may inherit an access list from its folder that the old one does not have.
    for name in attributes(new):
        if name not in wanted and name.startswith("system."):
            os.removexattr(new, name)
    for name in wanted:
        os.setxattr(new, name, os.getxattr(old, name))
    os.fchmod(new, stat.S_IMODE(facts.st_mode))


def sync_folder(path: str) -> None:
    """Force the names in a folder to the disk. Raises OSError."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def mounts() -> dict[str, str]:
    """Where something is mounted, and of what kind it is: the last one where several lie upon each other.

    A folder of the same file system that is bound somewhere has no other device number.
    """
    kinds = {}
    with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            fields, _dash, source = line.partition(" - ")
            if fields.count(" ") >= 5:
                point = _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), fields.split(" ", 5)[4])
                kinds[point] = source.split(" ", 1)[0]
    return kinds
