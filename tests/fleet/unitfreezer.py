# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Freezing the node's unit and nothing else of its host.

On cgroup version 2 systemd does it. On version 1 systemd has no freezer: the unit's processes are moved into a
freezer cgroup of the same path as the unit's own, which the host sees below its /sys/fs/cgroup/freezer.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.fleet import cgroups, image
from tests.fleet.host import Box


def _host_freezer(box: Box) -> Path | None:
    return next((path for path in box.cgroups() if (path / "freezer.state").exists()), None)


def _unit_processes(box: Box) -> list[int]:
    """The unit's processes as this machine numbers them."""
    for directory in box.cgroups():
        unit = directory / f"system.slice/{image.UNIT}"
        if unit.is_dir():
            return sorted(cgroups.processes(unit))
    return []


def freeze(box: Box) -> None:
    freezer = _host_freezer(box)
    if freezer is None:
        box.must("systemctl", "freeze", image.UNIT)
        return
    mine = freezer / f"system.slice/{image.UNIT}"
    mine.mkdir(parents=True, exist_ok=True)
    for pid in _unit_processes(box):
        (mine / "cgroup.procs").write_text(str(pid), encoding="utf-8")
    (mine / "freezer.state").write_text("FROZEN", encoding="utf-8")


def thaw(box: Box) -> None:
    freezer = _host_freezer(box)
    if freezer is None:
        box.run(["systemctl", "thaw", image.UNIT])
        return
    mine = freezer / f"system.slice/{image.UNIT}"
    if not mine.is_dir():
        return
    (mine / "freezer.state").write_text("THAWED", encoding="utf-8")
    for pid in cgroups.processes(mine):
        try:
            (freezer / "cgroup.procs").write_text(str(pid), encoding="utf-8")
        except ProcessLookupError:
            continue
    os.rmdir(mine)
    os.rmdir(mine.parent)
