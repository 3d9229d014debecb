# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a copy of a file keeps, what is mounted where, and names of runs in names of files."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import files


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """An old file with a mode of its own, and a new one beside it."""
    old = os.open(tmp_path / "old", os.O_RDWR | os.O_CREAT, 0o600)
    os.fchmod(old, 0o640)
    new = os.open(tmp_path / "new", os.O_RDWR | os.O_CREAT, 0o600)
    yield old, new
    for number in (old, new):
        os.close(number)


def access_list(user: int) -> bytes:
    """An access list in the kernel's form (linux/posix_acl_xattr.h): owner, one more user, group, mask, others."""
    entries = [(0x01, 6, -1), (0x02, 4, user), (0x04, 4, -1), (0x10, 4, -1), (0x20, 0, -1)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)


def test_a_copy_keeps_mode_and_attributes(pair: tuple[int, int]) -> None:
    old, new = pair
    os.setxattr(old, "user.origin", b"backup")
    files.keep_attributes(old, new)
    assert os.fstat(new).st_mode == os.fstat(old).st_mode
    assert os.getxattr(new, "user.origin") == b"backup" and files.attributes(new) == ["user.origin"]


def test_a_copy_keeps_the_access_list_and_inherits_none(pair: tuple[int, int]) -> None:
    old, new = pair
    os.setxattr(new, "system.posix_acl_access", access_list(1234))
    files.keep_attributes(old, new)
    assert files.attributes(new) == [] and os.fstat(new).st_mode & 0o777 == 0o640
    os.setxattr(old, "system.posix_acl_access", access_list(2345))
    files.keep_attributes(old, new)
    assert os.getxattr(new, "system.posix_acl_access") == os.getxattr(old, "system.posix_acl_access")


def test_a_copy_keeps_the_owner(pair: tuple[int, int]) -> None:
    old, new = pair
    os.fchown(old, 1234, 2345)
    files.keep_attributes(old, new)
    assert (os.fstat(new).st_uid, os.fstat(new).st_gid) == (1234, 2345)


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOSYS, errno.EIO])
def test_a_file_system_without_attributes(pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(number: int) -> list[str]:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "listxattr", refuse)
    if code == errno.EIO:
        with pytest.raises(OSError, match="Input/output"):
            files.attributes(pair[0])
    else:
        assert files.attributes(pair[0]) == []


def test_a_mounted_folder_has_its_name_as_it_is_written_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("36 35 98:0 / /a\\040b\\134c rw - ext4 /dev/a rw\nshort\n")
    monkeypatch.setattr(files, "MOUNTS", str(mounts))
    assert files.mounts() == {"/a b\\c": "ext4"}


def test_the_mounts_of_this_machine() -> None:
    assert files.mounts()["/proc"] == "proc"


def test_only_a_folder_is_forced_to_the_disk(tmp_path: Path) -> None:
    files.sync_folder(str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        files.sync_folder(str(tmp_path / "file"))
