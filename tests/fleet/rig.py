# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig: hosts and chain brought up, looked at, broken, healed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tests.fleet import binary, chain, clear, faults, heal, image, inventory, machine, network, record, watch
from tests.fleet.host import Box
from tests.fleet.layout import Layout
from tests.fleet.names import Names, subnet
from tests.fleet.record import Record
from tests.fleet.run import PATIENCE_S, Failed, call, say, stage

Result = TypeVar("Result")


class CannotCarryHosts(Failed):
    """The machine lacks something that the rig needs; ``lacks`` has one line each."""

    def __init__(self, lacks: list[str]) -> None:
        super().__init__("this machine cannot carry hosts: " + "; ".join(lacks))
        self.lacks = lacks


def build() -> tuple[Path, Path]:
    """The hosts' root and the chain's binary, which all rigs share: made where they are missing."""
    lacks = machine.missing()
    if lacks:
        raise CannotCarryHosts(lacks)
    machine.install_missing()
    return image.base(), binary.layer()


class Rig:
    """The rig called ``name``; it may not exist yet."""

    def __init__(self, name: str = "rig") -> None:
        self.names = Names(name)
        self.name = name

    # Reading

    @property
    def record(self) -> Record:
        found = record.load(self.names)
        if found is None or found.phase != "standing":
            raise Failed(f"there is no rig {self.name}: python3 -m tests.fleet up --name {self.name}")
        return found

    @property
    def layout(self) -> Layout:
        return self.record.layout

    @property
    def inventory_path(self) -> Path:
        """The inventory ``validators`` with the hosts that are ours."""
        return self.names.state / "validators"

    @property
    def ssh_config(self) -> Path:
        """An ssh configuration that reaches the hosts by name from outside the control namespace."""
        return self.names.state / "ssh_config"

    def box(self, host: str) -> Box:
        return Box(self.names, self.layout.host(host).name)

    def each(self, action: Callable[[Box], Result], hosts: Sequence[str] | None = None) -> dict[str, Result]:
        """Do one thing on several hosts at a time (default: all)."""
        return self._each(self.layout.names() if hosts is None else hosts, action)

    def _each(self, hosts: Sequence[str], action: Callable[[Box], Result]) -> dict[str, Result]:
        with ThreadPoolExecutor(max_workers=16) as pool:
            return dict(zip(hosts, pool.map(lambda host: action(Box(self.names, host)), hosts)))

    def run(self, host: str, command: Sequence[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program on a host as root, through its namespaces: it needs no network and no ssh.

        Ends with 124 when it does not end within ``timeout`` seconds and with 125 when the host is off.
        """
        return self.box(host).run(command, timeout)

    def ssh_command(self, host: str, command: Sequence[str] = ()) -> list[str]:
        """The command line that runs something on a host over ssh."""
        self.layout.host(host)
        return ["ssh", "-F", str(self.ssh_config), host, *command]

    def status(self) -> dict[str, Any]:
        return watch.status(self.names, self.record)

    def write_inventory(
        self, path: Path, hosts: Sequence[str] | None = None, extra: Mapping[str, Mapping[str, str]] | None = None
    ) -> Path:
        """Write an inventory with some hosts of ours only, or with more variables per host."""
        found = self.record
        text = inventory.text(self.names, found.layout, found.addresses(), found.signers, hosts, extra)
        path.write_text(text, encoding="utf-8")
        return path

    def wait_for_blocks(self, more: int = 2, timeout: float = PATIENCE_S, hosts: Sequence[str] | None = None) -> int:
        """Until each of ``hosts`` (default: any one host) has ``more`` blocks more than now; the newest height."""
        return watch.wait_for_blocks(self.names, self.record, more, timeout, hosts)

    def wait_halted(self, timeout: float = PATIENCE_S, hosts: Sequence[str] | None = None) -> int:
        """Until the newest block of ``hosts`` (default: all) is old enough to be a halt; the height of that block."""
        return watch.wait_halted(self.names, self.record, timeout, hosts)

    # Power over the whole

    def up(self, layout: Layout | None = None, owner: int | None = None) -> bool:
        """Bring the rig up, or bring up what stands already; True when it was made anew.

        ``layout``: default is the standing rig's own, else the default layout. ``owner``: when this process is gone,
        the rig is cleared by the next ``up`` or ``down --stale`` of anybody.
        """
        began = time.monotonic()
        base, built = build()
        clear.stale(but=self.names)
        with record.locked(self.names):
            made = not self._reuse(layout, owner, built)
            if made:
                self._make(layout or Layout(), owner, base, built)
                with stage("wait for the first blocks"):
                    self.wait_for_blocks(2)
        how = "stands" if made else "stood already and is whole"
        say(f"The rig {self.name} {how} ({time.monotonic() - began:.1f} s).")
        return made

    def _reuse(self, layout: Layout | None, owner: int | None, built: Path) -> bool:
        if not self.names.state.exists():
            return False
        found = record.load(self.names)
        why = record.why_stale(found)
        if found and not why and layout not in (None, found.layout):
            why = "another layout is asked for"
        if found and not why and found.binary != str(built):
            why = "the chain's source changed"
        if not found or why:
            say(f"The rig {self.name} is cleared: {why}.")
            clear.remove(self.names)
            return False
        if owner is not None:
            found.owner = record.owner_of(owner)
            found.save(self.names)
        heal.everything(self)
        return True

    def _make(self, layout: Layout, owner: int | None, base: Path, built: Path) -> None:
        say(f"Make the rig {self.name}: {', '.join(layout.names())}, chain {layout.chain_id}.")
        # What a killed run of an older state left has no directory any more, but the same names.
        clear.remove(self.names)
        state = self.names.state
        (state / "hosts").mkdir(parents=True, mode=0o700)
        found = Record(layout, subnet(self.name, record.subnets(self.names)), str(base), str(built))
        found.owner = None if owner is None else record.owner_of(owner)
        found.save(self.names)
        addresses = found.addresses()
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"rig {self.name}", "-f", str(state / "id"))
        with stage("keys, genesis and configuration of the nodes"):
            image.layer(state / "layer", base, (state / "id.pub").read_text(encoding="utf-8"), layout.restart_sec)
            homes = chain.Maker(built / "usr/bin/virtengine", state / "homes", layout, addresses).make()
            found.signers = {host: homes[host].address for host in layout.names()}
        with stage("disks, roots and network of the hosts"):
            network.make_control(self.names, found.subnet)
            hosts_file = "127.0.0.1 localhost\n" + "".join(f"{there} {host}\n" for host, there in addresses.items())
            lowers = (state / "layer", built, base)
            keys = self._each(layout.names(), lambda box: box.make(lowers, addresses[box.name], hosts_file))
            self._each(layout.names(), lambda box: box.install_home(homes[box.name].path))
            for standby in (host.name for host in layout.hosts if host.standby_of):
                self._disable(standby)
            inventory.ssh_files(self.names, addresses, keys)
            self.inventory_path.write_text(
                inventory.text(self.names, layout, addresses, found.signers), encoding="utf-8"
            )
        with stage("power on, until sshd answers everywhere"):
            self._each(layout.names(), Box.power_on)
            self._each(layout.names(), Box.wait_ready)
        found.phase = "standing"
        found.save(self.names)

    def _disable(self, standby: str) -> None:
        """A standby's node is not started at boot: its upper directory hides the link that would do so."""
        link = f"etc/systemd/system/multi-user.target.wants/{image.UNIT}"
        (self.names.host_dir(standby) / "root" / link).unlink()

    def down(self) -> bool:
        """Take the rig down; False when there was none."""
        return clear.down(self.names)

    # Faults

    def fault(self, kind: str, where: str, *arguments: str) -> None:
        faults.inject(self, kind, where, arguments)

    def heal(self, where: str = "all", kind: str | None = None) -> None:
        heal.heal(self, where, kind)
