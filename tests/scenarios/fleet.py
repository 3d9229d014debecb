# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios ask of the rig, and the proof that nothing was changed on a host."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
# No block for longer than this is a halt (30 s, see the verdict's rules); a little more, so that every clock agrees.
HALTED_S = 33
UNIT = "virtengine.service"


class Fleet:
    """A standing rig, through its command line."""

    def __init__(self, name: str, state: Path) -> None:
        self.name = name
        self.state = state

    def rig(self, *arguments: str, timeout: int = 300) -> str:
        command = [sys.executable, "-m", "tests.fleet", *arguments, "--name", self.name]
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            raise AssertionError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def fault(self, kind: str, *arguments: str) -> None:
        self.rig("fault", kind, *arguments)

    def heal(self, *arguments: str) -> None:
        self.rig("heal", *(arguments or ("all",)))

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rig("status", "--json"))
        return found

    def on(self, host: str, command: str, timeout: int = 30) -> str:
        return self.rig("ssh", host, command, timeout=timeout)

    def units(self, *hosts: str) -> dict[str, str]:
        """State, process and start of the node on each host: what an act would change."""
        shown = "ActiveState,SubState,MainPID,ExecMainStartTimestampMonotonic,NRestarts,UnitFileState"
        command = (
            f"systemctl show {UNIT} -p {shown}; ls -la --time-style=full-iso /run/systemd/system/{UNIT}.d 2>&1 || true"
        )
        return {host: self.on(host, command) for host in hosts}

    def height(self, host: str) -> int:
        answer = self.on(host, "curl -s -m 3 http://127.0.0.1:26657/status || true")
        try:
            return int(json.loads(answer)["result"]["sync_info"]["latest_block_height"])
        except (ValueError, KeyError):
            return 0

    def wait_for_blocks(self, host: str, more: int = 2, timeout: int = 90) -> int:
        start, deadline = self.height(host), time.monotonic() + timeout
        while time.monotonic() < deadline:
            now = self.height(host)
            if start and now >= start + more:
                return now
            start = start or now
            time.sleep(1)
        raise AssertionError(f"{host} saw no {more} new blocks in {timeout} s (height {self.height(host)})")

    def wait_until_halted(self, host: str, timeout: int = 60) -> int:
        """Until the newest block of a host that answers is old enough to be a halt."""
        height, since = self.height(host), time.monotonic()
        deadline = time.monotonic() + timeout + HALTED_S
        while time.monotonic() < deadline:
            now = self.height(host)
            if now != height:
                height, since = now, time.monotonic()
            if time.monotonic() - since >= HALTED_S:
                return height
            time.sleep(2)
        raise AssertionError(f"the chain still moves on {host} (height {height})")
