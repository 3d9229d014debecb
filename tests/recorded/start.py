# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a tool of this folder where Ansible is installed, after the set-up that this needs."""

from __future__ import annotations

import subprocess
import sys

from tools.environment import FLOOR, set_up, variables


def start(module: str) -> int:
    """Run ``tests.recorded.<module>`` with the arguments of this process; its exit code."""
    set_up(tests=False)
    command = [str(FLOOR.python), "-m", f"tests.recorded.{module}", *sys.argv[1:]]
    return subprocess.run(command, env=variables(FLOOR), check=False).returncode
