# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.recorded.record [CASE ...]``: the recorder, run where Ansible is installed."""

from __future__ import annotations

import subprocess
import sys

from tools.environment import FLOOR, set_up, variables

if __name__ == "__main__":
    set_up(tests=False)
    command = [str(FLOOR.python), "-m", "tests.recorded.recorder", *sys.argv[1:]]
    sys.exit(subprocess.run(command, env=variables(FLOOR), check=False).returncode)
