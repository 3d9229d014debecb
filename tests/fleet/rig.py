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
from typing import Any, NamedTuple, TypeVar

from tests.fleet import binary, chain, clear, database, faults, heal, image, inventory, machine, network, record, watch
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


def hosts_file(addresses: Mapping[str, str]) -> str:
    """What each host has as /etc/hosts."""
    return "127.0.0.1 localhost\n" + "".join(f"{there} {host}\n" for host, there in addresses.items())


class Parts(NamedTuple):
    """Directories that all rigs share: the hosts' roots and the chain's binary. ``None``: no host needs it."""

    base: Path | None
    binary: Path | None
    database_base: Path | None


def build(layout: Layout | None = None) -> Parts:
    """What the hosts of a layout are made of, made where it is missing; without a layout, what those of any are."""
    lacks = machine.missing()
    if lacks:
        raise CannotCarryHosts(lacks)
    machine.install_missing()
    nodes = layout is None or bool(layout.nodes())
    databases = layout is None or bool(layout.databases())
    return Parts(
        image.base() if nodes else None, binary.layer() if nodes else None, image.database_base() if databases else None
    )


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
        found = record.load(self.names)
        wanted = layout or (found.layout if found and not record.why_stale(found) else Layout())
        parts = build(wanted)
        clear.stale(but=self.names)
        with record.locked(self.names):
            made = not self._reuse(wanted, owner, parts)
            if made:
                self._make(wanted, owner, parts)
                if wanted.nodes():
                    with stage("wait for the first blocks"):
                        self.wait_for_blocks(2)
        how = "stands" if made else "stood already and is whole"
        say(f"The rig {self.name} {how} ({time.monotonic() - began:.1f} s).")
        return made

    def _reuse(self, layout: Layout, owner: int | None, parts: Parts) -> bool:
        if not self.names.state.exists():
            return False
        found = record.load(self.names)
        why = record.why_stale(found)
        if found and not why and layout != found.layout:
            why = "another layout is asked for"
        if found and not why and found.binary != str(parts.binary or ""):
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

    def _make(self, layout: Layout, owner: int | None, parts: Parts) -> None:
        chain_id = f", chain {layout.chain_id}" if layout.nodes() else ""
        say(f"Make the rig {self.name}: {', '.join(layout.names())}{chain_id}.")
        # What a killed run of an older state left has no directory any more, but the same names.
        clear.remove(self.names)
        state = self.names.state
        (state / "hosts").mkdir(parents=True, mode=0o700)
        base, binary_layer, database_base = (str(part or "") for part in parts)
        found = Record(layout, subnet(self.name, record.subnets(self.names)), base, binary_layer, database_base)
        found.owner = None if owner is None else record.owner_of(owner)
        found.save(self.names)
        addresses = found.addresses()
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"rig {self.name}", "-f", str(state / "id"))
        network.make_control(self.names, found.subnet)
        keys: dict[str, str] = {}
        if parts.base and parts.binary:
            keys.update(self._make_nodes(found, parts.base, parts.binary))
        if parts.database_base:
            keys.update(self._make_databases(found, parts.database_base))
        inventory.ssh_files(self.names, addresses, keys)
        self.inventory_path.write_text(inventory.text(self.names, layout, addresses, found.signers), encoding="utf-8")
        with stage("power on, until sshd answers everywhere"):
            self._each(layout.names(), Box.power_on)
            self._each(layout.names(), Box.wait_ready)
        if layout.databases():
            with stage("clusters and poolers, until both answer"):
                self._each(layout.databases(), database.install)
        found.phase = "standing"
        found.save(self.names)

    def _layer(self, name: str) -> Path:
        """A new layer with what every host has."""
        made = self.names.state / name
        image.layer(made, (self.names.state / "id.pub").read_text(encoding="utf-8"))
        return made

    def _make_nodes(self, found: Record, base: Path, built: Path) -> dict[str, str]:
        """Disks, roots and network of the chain's hosts; their public ssh keys."""
        layout, addresses, state = found.layout, found.addresses(), self.names.state
        with stage("keys, genesis and configuration of the nodes"):
            layer = self._layer("layer")
            image.node_layer(layer, base, layout.restart_sec)
            homes = chain.Maker(built / "usr/bin/virtengine", state / "homes", layout, addresses).make()
            found.signers = {host: homes[host].address for host in layout.nodes()}
        with stage("disks, roots and network of the hosts"):
            lowers, owner = (layer, built, base), (image.NODE_UID, image.NODE_UID)
            text = hosts_file(addresses)
            keys = self._each(
                layout.nodes(), lambda box: box.make(lowers, addresses[box.name], text, image.NODE_HOME, owner)
            )
            self._each(layout.nodes(), lambda box: box.install_home(homes[box.name].path))
            for standby in (host.name for host in layout.hosts if host.standby_of):
                self._disable(standby)
        return keys

    def _make_databases(self, found: Record, base: Path) -> dict[str, str]:
        """Disks, roots and network of the database hosts; their public ssh keys."""
        addresses = found.addresses()
        with stage("disks, roots and network of the database hosts"):
            layer = self._layer("database-layer")
            owner = database.layer(layer, base)
            text = hosts_file(addresses)
            return self._each(
                found.layout.databases(),
                lambda box: box.make((layer, base), addresses[box.name], text, database.DISK, owner),
            )

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
