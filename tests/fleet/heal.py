# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Healing: each recorded fault is undone, then what else keeps a host from its work is put right."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fleet import cgroups, chain, hooks, image, network, record, unitfreezer, watch
from tests.fleet.host import Box
from tests.fleet.run import Failed, say

if TYPE_CHECKING:
    from tests.fleet.rig import Rig

BINARY = "/usr/bin/virtengine"
HOME = f"{image.NODE_HOME}/.virtengine"
NODE = ("runuser", "-u", image.NODE_USER, "--")


def _restart(box: Box) -> None:
    box.must("systemctl", "reset-failed", image.UNIT)
    # A node inside a long block does not obey; systemd kills it 90 s after it was asked to stop.
    box.must("systemctl", "restart", image.UNIT, timeout=150)


def _start(box: Box) -> None:
    """Start the node's unit, whatever was done to it; one that runs is left alone."""
    box.run(["systemctl", "unmask", image.UNIT])
    box.run(["systemctl", "unmask", "--runtime", image.UNIT])
    box.must("systemctl", "enable", "--quiet", image.UNIT)
    # What waits for its next attempt after a crash is begun anew.
    state = box.show("ActiveState").get("ActiveState")
    if state != "active":
        box.run(["systemctl", "reset-failed", image.UNIT])
        box.must("systemctl", "restart", image.UNIT)


def _revive(box: Box) -> None:
    """Thawed, powered, plugged in."""
    for directory in box.cgroups():
        cgroups.thaw_all(directory)
    network.set_port(box.names, box.name, up=True)
    if box.init() is None:
        box.power_on()
        box.wait_ready()
    unitfreezer.thaw(box)
    box.run(["systemctl", "kill", "--signal=SIGCONT", image.UNIT])


def _roll_back(box: Box, height: int) -> None:
    """Take a node's state back to before ``height``, whose block it executed in its own way."""
    box.must("systemctl", "stop", image.UNIT)
    for extra in ((), ("--hard",), ()):
        said = box.run([*NODE, BINARY, "rollback", *extra, "--home", HOME], 60)
        now = re.search(r"Rolled back state to height (\d+)", said.stdout)
        if said.returncode or not now:
            raise Failed(f"{box.name}: rollback ended with {said.returncode}: {(said.stdout + said.stderr)[-500:]}")
        if int(now.group(1)) < height:
            return
    raise Failed(f"{box.name}: three rollbacks did not reach a height below {height}")


def _heal_app_hash(box: Box, saved: dict[str, Any]) -> None:
    hooks.change(box, "app_hash_at", None)
    reached = watch.heights(box.names, [box.name])[box.name]
    if reached is None or reached >= saved["at"]:
        _roll_back(box, saved["at"])
    _restart(box)


def _heal_damage(box: Box, saved: dict[str, Any]) -> None:
    # A node that runs has come to terms with the damage (a WAL), and its data is newer than the copy.
    if not watch.unit_is_well(box):
        box.must("systemctl", "stop", image.UNIT)
        damaged = box.disk / saved["file"]
        if damaged.exists():
            shutil.copy2(saved["copy"], damaged)
            box.own(damaged)
        _restart(box)
    Path(saved["copy"]).unlink()


def _heal_standby(box: Box, saved: dict[str, Any]) -> None:
    box.must("systemctl", "stop", image.UNIT)
    chain.copy_key(Path(saved["copy"]), box.home)
    shutil.rmtree(saved["copy"])


def _undo(box: Box, kind: str, saved: dict[str, Any]) -> None:
    _revive(box)
    if kind == "disk-full":
        (box.disk / "stuffing").unlink(missing_ok=True)
        _restart(box)
    elif kind == "app-hash":
        _heal_app_hash(box, saved)
    elif kind in ("panic", "reject", "slow"):
        hooks.change(box, {"panic": "panic_at", "reject": "reject_at", "slow": "slow_block_ms"}[kind], None)
        if kind == "panic":
            _restart(box)
    elif kind == "halt-height":
        chain.set_values(box.home / "config/app.toml", {("", "halt-height"): "0"})
        _restart(box)
    elif kind == "dsch":
        chain.set_values(box.home / "config/config.toml", {("consensus", "double_sign_check_height"): saved["before"]})
    elif kind == "damage":
        _heal_damage(box, saved)
    elif kind == "standby":
        _heal_standby(box, saved)
    _start(box)


def _heal(rig: Rig, where: str, kind: str | None) -> list[dict[str, Any]]:
    """Undo the recorded faults that are meant, the last one first; returns them in that order."""
    found = rig.record
    meant = [fault for fault in found.faults if where in ("all", fault["where"]) and kind in (None, fault["kind"])]
    meant.reverse()
    for fault in meant:
        if fault["kind"] == "split":
            network.join_again(rig.names)
        else:
            _undo(rig.box(fault["where"]), fault["kind"], fault["saved"])
        found.faults.remove(fault)
        found.save(rig.names)
    return meant


def _settle(rig: Rig) -> None:
    """Put every host to work, also after what nobody recorded; until each node runs and the chain moves."""
    network.join_again(rig.names)
    rig.each(_revive)
    layout = rig.layout
    working = [host.name for host in layout.hosts if not host.standby_of]
    rig.each(_start, working)
    deadline = time.monotonic() + 90
    kicked = time.monotonic() + 25
    while time.monotonic() < deadline:
        heights = watch.heights(rig.names, working)
        seen = [height for height in heights.values() if height is not None]
        behind = [host for host, height in heights.items() if height is None or height < max(seen) - 3]
        if not behind:
            try:
                rig.wait_for_blocks(1, 8)
                return
            except Failed:
                behind = working
        if time.monotonic() > kicked:
            say(f"Restart the node on {', '.join(behind)}: it does not come along by itself.")
            rig.each(_restart, behind)
            kicked = time.monotonic() + 25
        time.sleep(0.5)
    raise Failed(
        f"the rig {rig.name} does not heal; heights: {watch.heights(rig.names, working)}. Take it down and up again"
    )


def everything(rig: Rig) -> None:
    """Heal all faults, recorded or not. The caller holds the rig's lock."""
    for fault in _heal(rig, "all", None):
        say(f"Healed: {' '.join([fault['kind'], fault['where'], *fault['arguments']])}")
    _settle(rig)


def heal(rig: Rig, where: str, kind: str | None) -> None:
    """Heal one host's faults (or one kind of them); ``all`` also waits until every node works and blocks come."""
    with record.locked(rig.names):
        if where == "all" and kind is None:
            everything(rig)
            return
        if where != "all" and "/" not in where:
            rig.layout.host(where)
        if not _heal(rig, where, kind):
            raise Failed(f"no such fault was made here: {where} {kind or ''}".rstrip())
