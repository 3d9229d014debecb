# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that stands for a host's power supply: it runs the container until that powers off.

It is started as a program of its own, so that a rig outlives the command that made it:
``python3 supervisor.py <boot.json>``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

# With --keep-unit systemd-nspawn ends with this status when the container reboots.
REBOOT = 133


def enter(directory: Path) -> None:
    """Make a cgroup and move into it."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):
        # A new version 1 cpuset is empty, and nothing can run in it.
        if (directory / name).exists() and (directory.parent / "tasks").exists():
            (directory / name).write_text((directory.parent / name).read_text(encoding="utf-8"), encoding="utf-8")
    (directory / "cgroup.procs").write_text(str(os.getpid()), encoding="utf-8")


def main(boot: Path) -> int:
    found = json.loads(boot.read_text(encoding="utf-8"))
    for directory in found["cgroups"]:
        enter(Path(directory))
    # Whole at every moment: who reads an empty file takes the power for off.
    part = boot.parent / "supervisor.pid.part"
    part.write_text(str(os.getpid()), encoding="utf-8")
    part.replace(boot.parent / "supervisor.pid")
    environment = {**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}
    with (boot.parent / "console.log").open("ab", buffering=0) as console:
        while True:
            container = subprocess.Popen(
                found["command"], stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment
            )
            (boot.parent / "container.pid").write_text(str(container.pid), encoding="utf-8")
            status = container.wait()
            console.write(f"\nthe container ended with {status}\n".encode())
            if status != REBOOT:
                return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
