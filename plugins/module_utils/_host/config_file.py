# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration file that is read whole and replaced by a rename, the old one kept beside it. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from .files import keep_attributes
from .parts import Refused, part_error

# Far above a configuration file that people write.
CAP = 1024 * 1024


class ConfigFile:
    """A file in its folder, both held open so that nobody exchanges them under our hands."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        # One name for all runs: what a killed run left of its unfinished file is taken away by the next one.
        self._unfinished = f".{name}.incident-new"
        self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._file = -1

    def __enter__(self) -> ConfigFile:
        return self

    def __exit__(self, *_error: object) -> None:
        for number in (self._file, self._folder):
            if number >= 0:
                os.close(number)

    def read(self) -> str:
        """The text of the file. Raises Refused."""
        path = os.path.join(self._path, self._name)
        try:
            self._file = os.open(
                self._name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder
            )
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Refused(f"{path} is a symbolic link: change what it points to. Nothing was done.") from error
            raise part_error(error, path) from error
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise Refused(f"{path} is no plain file. Nothing was done.")
        raw = bytearray()
        while len(raw) <= CAP:
            chunk = os.read(self._file, CAP + 1 - len(raw))
            if not chunk:
                break
            raw += chunk
        if len(raw) > CAP:
            raise Refused(f"{path} is larger than {CAP} bytes. Nothing was done.")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refused(f"{path} is not UTF-8. Nothing was done.") from error

    def replace(self, text: str, backup: str) -> None:
        """Put ``text`` in place of the file that was read, by a rename; the old file stays as ``backup``.

        Whoever is killed in between leaves the old file or the new one under the file's name, never half of one.
        """
        self._write(text.encode("utf-8"))
        try:
            self._keep(backup)
            os.rename(self._unfinished, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except (OSError, Refused):
            os.unlink(self._unfinished, dir_fd=self._folder)
            raise
        os.fsync(self._folder)

    def _write(self, content: bytes) -> None:
        """The unfinished file: owner, mode and extended attributes of the old one, forced to the disk."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._unfinished, dir_fd=self._folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        new = os.open(self._unfinished, flags, 0o600, dir_fd=self._folder)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(new, left) :]
            keep_attributes(self._file, new)
            os.fsync(new)
        except OSError:
            os.unlink(self._unfinished, dir_fd=self._folder)
            raise
        finally:
            os.close(new)

    def _keep(self, backup: str) -> None:
        """A second name for the old file. Raises Refused where that name is taken, or the file is another one now."""
        try:
            os.link(self._name, backup, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        except FileExistsError as error:
            if not self._is_read(backup):
                text = f"{os.path.join(self._path, backup)} is there already. Nothing was done."
                raise Refused(text) from error
        if not self._is_read(backup):
            os.unlink(backup, dir_fd=self._folder)
            raise Refused(f"{os.path.join(self._path, self._name)} was changed meanwhile. Nothing was done.")

    def _is_read(self, name: str) -> bool:
        """Whether this name is the file that was read."""
        return os.path.samestat(os.stat(name, dir_fd=self._folder, follow_symlinks=False), os.fstat(self._file))
