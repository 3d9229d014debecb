# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking a rig down, whole or half made: what there is to remove is found by the rig's name, not by its record."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.fleet import cgroups, network
from tests.fleet.names import Names
from tests.fleet.record import known, load, locked, why_stale
from tests.fleet.run import Failed, attempt, say, stage


def _mounts(below: Path) -> list[str]:
    """Mount points below a directory, the last mounted first."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4] for line in lines]
    return [point for point in reversed(points) if point.startswith(f"{below}/")]


def _nspawn_leftovers(names: Names) -> None:
    """systemd-nspawn leaves a directory per container when it is killed."""
    run = Path("/run/systemd/nspawn")
    for path in (run / "propagate").glob(f"{names.prefix}*"):
        shutil.rmtree(path)
    for directory in (run / "propagate", run / "locks", run):
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()


def remove(names: Names) -> None:
    """Remove processes, cgroups, mounts, namespaces and files of a rig; what cannot be removed is named."""
    directories = cgroups.left(names.prefix)
    left = [f"process {pid}" for pid in sorted(cgroups.kill(directories))] if directories else []
    network.remove(sorted(name for name in network.existing() if name.startswith(names.prefix)))
    left += [f"cgroup {directory}" for directory in directories if not cgroups.remove(directory)]
    for point in _mounts(names.state):
        if attempt(["umount", point]).returncode and attempt(["umount", "--lazy", point]).returncode:
            left.append(f"mount {point}")
    if left:
        raise Failed(f"the rig {names.rig} could not be removed, there is still: {', '.join(left)}")
    if names.state.exists():
        shutil.rmtree(names.state)
    _nspawn_leftovers(names)


def down(names: Names) -> bool:
    """Take a rig down; False when there was nothing of it."""
    with locked(names):
        if not names.state.exists() and not any(name.startswith(names.prefix) for name in network.existing()):
            return False
        with stage(f"take down the rig {names.rig}"):
            remove(names)
    names.lock.unlink(missing_ok=True)
    return True


def stale(but: Names | None = None) -> list[str]:
    """Clear every rig that nobody looks after any more; returns what was cleared and why."""
    cleared = []
    for names in known():
        if names == but:
            continue
        with locked(names, wait=False) as free:
            why = why_stale(load(names)) if free else None
            if why:
                say(f"The rig {names.rig} is cleared: {why}.")
                remove(names)
                cleared.append(f"{names.rig}: {why}")
        if why:
            names.lock.unlink(missing_ok=True)
    return cleared
