# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the copy of a lost write-ahead log back into its place. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
import stat
import time
import typing as t

from .._host.files import mounts, sync_folder
from .._host.kept import kept_name
from .._host.parts import Refused, part_error
from . import places as _node_places
from . import service, wal

# Reading up to nine logs of two files each; on the disks of validators a second is enough.
READ_S = 20.0


class Log(t.NamedTuple):
    """The log of the node's home: its folder, the folder around it, and the name of its newest file."""

    folder: str
    parent: str
    name: str
    head: str


def put_back(unit: str, home: t.Optional[str], digest: str, height: int, check: bool) -> dict[str, t.Any]:
    """Put the only copy whose last marker ends ``height`` in place of the log, which is kept under another name.

    Two renames. Where the second fails the first is taken back. A run that was killed between them is finished by the
    next one: the log's place is empty then. Returns
    ``changed``, ``path``, ``copy`` and ``aside`` (names; None where there was nothing), ``last_end_height`` and
    ``actions``. Raises Refused, PartError, ValueError, OSError.
    """
    aside = kept_name("", digest)
    places = _node_places.find(service.unit_stopped(unit), None, home, None, None)
    if places["home"] is None:
        raise Refused(f"The home of the node of {unit} is not known. Give it with the option home. Nothing was done.")
    until = time.monotonic() + READ_S
    seen = wal.read(places["home"], places["wal_file"], until)
    log = _log(places["home"], places["wal_file"])
    result: dict[str, t.Any] = {"path": log.folder, "last_end_height": height}
    there = _is_there(log)
    if there and _last_end(log, until) == height:
        return {**result, "changed": False, "copy": None, "aside": None, "actions": []}
    copy = _suitable(seen["copies"], height)
    _refuse_other_owner(log, copy, there)
    _refuse_other_disk(log, copy, there)
    aside_name = log.name + aside if there else None
    actions = [f"rename {log.name} to {aside_name}"] if aside_name else []
    actions.append(f"rename {copy} to {log.name}")
    if aside_name and os.path.lexists(os.path.join(log.parent, aside_name)):
        raise Refused(f"{os.path.join(log.parent, aside_name)} is there already. Nothing was done.")
    if not check:
        # Reading the logs took its time: somebody may have started the node since.
        service.unit_stopped(unit)
        _exchange(log, copy, aside_name)
    return {**result, "changed": True, "copy": copy, "aside": aside_name, "actions": actions}


def _log(home: str, wal_file: t.Optional[str]) -> Log:
    folder, head = os.path.split(os.path.join(home, wal_file or ""))
    parent, name = os.path.split(folder)
    return Log(folder, parent, name, head)


def _is_there(log: Log) -> bool:
    """Whether the log's place is taken, by a plain folder. Raises Refused for anything else."""
    try:
        mode = os.lstat(log.folder).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(mode):
        raise Refused(f"{log.folder} is no plain folder. Nothing was done.")
    return True


def _last_end(log: Log, until: float) -> t.Optional[int]:
    """The greatest height whose end the log in its place marks, read here whether copies are there or not."""
    try:
        return wal.last_end_height(wal.group(log.folder, log.head).files, until)
    except wal.Late as late:
        raise Refused(f"{log.folder} could not be read in {READ_S:.0f} s. Nothing was done.") from late
    except OSError as error:
        raise part_error(error, log.folder) from error


def _suitable(copies: t.Sequence[dict[str, t.Any]], height: int) -> str:
    """Name of the only copy that ends with ``height``. Raises Refused."""
    fit = [str(copy["name"]) for copy in copies if copy["last_end_height"] == height]
    if len(fit) > 1:
        raise Refused(
            f"{', '.join(fit)} all end with height {height}. Operator decision: which one to put back. Nothing was done."
        )
    if not fit:
        seen = ", ".join(f"{copy['name']} (ends with {copy['last_end_height']})" for copy in copies) or "none"
        raise Refused(f"No copy of the log ends with height {height}; seen: {seen}. Nothing was done.")
    return fit[0]


def _refuse_other_owner(log: Log, copy: str, there: bool) -> None:
    """A copy that was made by another user, root for one, would be a log that the node cannot write.

    Raises Refused for that, and for what is no plain file.
    """
    owner = os.lstat(log.folder if there else log.parent).st_uid
    folder = os.path.join(log.parent, copy)
    for path in (folder, *wal.group(folder, log.head).files):
        facts = os.lstat(path)
        if stat.S_ISLNK(facts.st_mode):
            raise Refused(f"{path} is a symbolic link. Nothing was done.")
        if facts.st_uid != owner:
            raise Refused(
                f"{path} belongs to user {facts.st_uid}, the node's log to user {owner}: the node could not write it. Give it to "
                "the node's user first. Nothing was done."
            )


def _refuse_other_disk(log: Log, copy: str, there: bool) -> None:
    """What a rename could not move, or would move only in name. Raises Refused.

    The folder around both may be a file system of its own: nothing is renamed but inside it.
    """
    device = os.stat(log.parent).st_dev
    mounted_at = mounts()
    for path in [os.path.join(log.parent, copy), *([log.folder] if there else [])]:
        if os.lstat(path).st_dev != device or os.path.realpath(path) in mounted_at:
            raise Refused(f"{path} is mounted from elsewhere: it cannot be renamed. Nothing was done.")


def _exchange(log: Log, copy: str, aside: t.Optional[str]) -> None:
    """The log out of its place, the copy into it. Where the copy cannot go there, the log comes back. Raises OSError."""
    if aside:
        _rename(log, log.name, aside)
    try:
        _rename(log, copy, log.name)
    except OSError:
        # The copy may be in place already, where only its way to the disk failed: then nothing is taken back.
        if aside and not os.path.lexists(log.folder):
            with contextlib.suppress(OSError):
                _rename(log, aside, log.name)
        raise


def _rename(log: Log, old: str, new: str) -> None:
    """Rename, and have it on the disk before anything follows from it."""
    os.rename(os.path.join(log.parent, old), os.path.join(log.parent, new))
    sync_folder(log.parent)
