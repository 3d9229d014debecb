# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where hosts live in the machine's cgroups, version 1 or 2: found out, not assumed."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup hierarchy and the directory below which this process may make its own."""

    controllers: tuple[str, ...]
    parent: Path
    mount: Path

    @property
    def version2(self) -> bool:
        return not self.controllers


def _own_paths(text: str) -> dict[tuple[str, ...], str]:
    """This process's path in each hierarchy, from /proc/self/cgroup; version 2 has no controllers there."""
    found = {}
    for line in text.splitlines():
        _number, controllers, path = line.split(":", 2)
        found[tuple(controllers.split(",")) if controllers else ()] = path
    return found


def read(mountinfo: str, own: str) -> list[Hierarchy]:
    """The hierarchies that are mounted, from the texts of /proc/self/mountinfo and /proc/self/cgroup."""
    paths = _own_paths(own)
    only_version2 = set(paths) == {()}
    found: dict[tuple[str, ...], Hierarchy] = {}
    for line in mountinfo.splitlines():
        before, _dash, after = line.partition(" - ")
        kind, _source, options = after.split(" ", 2)
        root, mount = before.split()[3:5]
        if kind == "cgroup":
            names = set(options.split(","))
            key = next((key for key in paths if key and set(key) <= names), None)
        elif kind == "cgroup2":
            key = () if () in paths else None
        else:
            continue
        if key is None or key in found:
            continue
        own_path = paths[key]
        below = own_path[len(root) :] if root != "/" and own_path.startswith(root) else own_path
        # A version 2 cgroup with processes cannot hand controllers down, the root can: hosts go there. Elsewhere
        # they stay below the caller, and so below the caller's limits.
        parent = Path(mount) if key == () and only_version2 else Path(mount + below)
        found[key] = Hierarchy(key, Path(os.path.normpath(parent)), Path(mount))
    return list(found.values())


def hierarchies() -> list[Hierarchy]:
    return read(
        Path("/proc/self/mountinfo").read_text(encoding="utf-8"), Path("/proc/self/cgroup").read_text(encoding="utf-8")
    )


def directories(machine: str) -> list[Path]:
    """Where the host's cgroup is to be made in each hierarchy."""
    return [hierarchy.parent / machine for hierarchy in hierarchies()]


def left(prefix: str) -> list[Path]:
    """Cgroups whose name begins with ``prefix``, wherever a killed owner of a rig made them."""
    found = []
    for hierarchy in hierarchies():
        for directory, names, _files in os.walk(hierarchy.mount):
            mine = [name for name in names if name.startswith(prefix)]
            found += [Path(directory, name) for name in mine]
            names[:] = [name for name in names if name not in mine]
    return found


def processes(directory: Path) -> set[int]:
    """Processes in a cgroup and everything below it."""
    found: set[int] = set()
    for path, _names, _files in os.walk(directory):
        try:
            found |= {int(line) for line in Path(path, "cgroup.procs").read_text(encoding="utf-8").split()}
        except OSError:
            continue
    return found


def freeze(directories_of_host: list[Path], frozen: bool) -> None:
    """Stop every process of a host's cgroup, or let all go on."""
    for directory in directories_of_host:
        if (directory / "freezer.state").exists():
            (directory / "freezer.state").write_text("FROZEN" if frozen else "THAWED", encoding="utf-8")
            return
    for directory in directories_of_host:
        if (directory / "cgroup.freeze").exists():
            (directory / "cgroup.freeze").write_text("1" if frozen else "0", encoding="utf-8")
            return


def is_frozen(directories_of_host: list[Path]) -> bool:
    for directory in directories_of_host:
        for name, word in (("freezer.state", "FROZEN"), ("cgroup.freeze", "1")):
            path = directory / name
            if path.exists():
                return path.read_text(encoding="utf-8").strip() == word
    return False


def thaw_all(directory: Path) -> None:
    """Thaw a cgroup and all below it: a frozen process cannot be killed."""
    for path, _names, _files in os.walk(directory):
        for name, word in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            if Path(path, name).exists():
                Path(path, name).write_text(word, encoding="utf-8")


def kill(directories_of_hosts: list[Path], seconds: float = 60) -> set[int]:
    """SIGKILL everything in these cgroups; returns what is still there after ``seconds``."""
    for directory in directories_of_hosts:
        thaw_all(directory)
    deadline = time.monotonic() + seconds
    while True:
        there = set().union(*(processes(directory) for directory in directories_of_hosts))
        if not there or time.monotonic() > deadline:
            return there
        for pid in there:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def remove(directory: Path, seconds: float = 60) -> bool:
    """Remove an empty cgroup with all below it; the kernel may need a moment after the last process ended."""
    deadline = time.monotonic() + seconds
    while directory.is_dir():
        for path, _names, _files in os.walk(directory, topdown=False):
            try:
                Path(path).rmdir()
            except OSError:
                continue
        if directory.is_dir() and time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
