# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios ask of the rig, and the proof that nothing was changed on a host."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.fleet.run import PATIENCE_S
from tests.fleet.watch import HALTED_S

REPO = Path(__file__).resolve().parents[2]
UNIT = "virtengine.service"
HOME = "/var/lib/virtengine/.virtengine"
OURS = ("vh1", "vh2", "vh3", "vh4", "vs1")
# With 34 of 100 its stop halts the chain.
HALTS = "vh1"
# A command may wait for more than one state.
RIG_S = 4 * PATIENCE_S


class Fleet:
    """A standing rig, through its command line and by ssh."""

    def __init__(self, name: str, state: Path) -> None:
        self.name = name
        self.state = state
        self._made: dict[str, str] | None = None

    def rig(self, *arguments: str) -> str:
        return self._output([sys.executable, "-m", "tests.fleet", *arguments, "--name", self.name])

    def _output(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=REPO, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RIG_S, check=False
        )
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

    def on(self, host: str, command: str) -> str:
        return self._output(["ssh", "-F", str(self.state / "ssh_config"), host, command])

    def on_each(self, hosts: Sequence[str], command: str) -> dict[str, str]:
        """The same command on several hosts at once; what each printed."""
        with ThreadPoolExecutor(len(hosts)) as pool:
            return dict(zip(hosts, pool.map(lambda host: self.on(host, command), hosts)))

    def until(self, hosts: Sequence[str], condition: str) -> None:
        """Until a shell command succeeds on each of these hosts."""
        self.on_each(hosts, f"until {condition}; do sleep 1; done")

    def units(self, *hosts: str) -> dict[str, str]:
        """State, process and start of the node on each host: what an act would change."""
        shown = "ActiveState,SubState,MainPID,ExecMainStartTimestampMonotonic,NRestarts,UnitFileState"
        command = (
            f"systemctl show {UNIT} -p {shown}; ls -la --time-style=full-iso /run/systemd/system/{UNIT}.d 2>&1 || true"
        )
        return self.on_each(hosts, command)

    def wait_for_blocks(self, host: str, more: int = 2) -> int:
        """Until the host shows so many new blocks; its height."""
        return int(self.rig("wait", "blocks", host, "--more", str(more)))

    def wait_until_halted(self, host: str) -> int:
        """Until the newest block of a host is old enough to be a halt; its height."""
        return int(self.rig("wait", "halted", host))

    def forget_runs(self, hosts: Sequence[str] = OURS) -> None:
        """No lock and no used digest is left on these hosts."""
        self.on_each(hosts, "rm -rf /run/lock/virtengine-incident /var/lib/virtengine-incident")

    def halt(self) -> None:
        """The chain halted by one stopped validator; as it stands when it still is as it was made here."""
        if self._made is not None and self._stands_halted() and self._files() == self._made:
            return
        self.heal()
        self.wait_for_blocks("vh2")
        self.fault("stop", HALTS)
        self.wait_until_halted("vh2")
        self._made = self._files()

    def _stands_halted(self) -> bool:
        seen = self.status()
        if [(fault["kind"], fault["where"]) for fault in seen["faults"]] != [("stop", HALTS)]:
            return False
        units = {host["host"]: host["unit"] for host in seen["hosts"]}
        stopped = units.pop(HALTS) == "inactive/dead"
        heights = {host["height"] for host in seen["hosts"] if host["host"] != HALTS}
        return (
            stopped
            and set(units.values()) == {"active/running"}
            and len(heights) == 1
            and (seen["chain_age_s"] or 0) >= HALTED_S
        )

    def _files(self) -> dict[str, str]:
        """What a scenario may have left changed: settings and keys of ours, and what the stopped validator signed."""
        command = (
            f"cd {HOME} && sha256sum config/*.toml config/*_key.json config/genesis.json && ls /run/systemd/system"
        )
        found = self.on_each(OURS, command)
        found["signed"] = self.on(HALTS, f"sha256sum {HOME}/data/priv_validator_state.json")
        return found
