# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Healing: each recorded fault is undone, then what else keeps a host from its work is put right."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fleet import (
    cgroups,
    chain,
    database,
    governance,
    hooks,
    image,
    network,
    record,
    unfinished,
    unitfreezer,
    watch,
)
from tests.fleet.faults import database as database_faults
from tests.fleet.faults.disk import OLD_LOGS
from tests.fleet.faults.kind import Saved
from tests.fleet.host import Box
from tests.fleet.layout import Layout
from tests.fleet.run import PATIENCE_S, Failed, say

if TYPE_CHECKING:
    from tests.fleet.rig import Rig


class SetNotWhole(Failed):
    """The chain itself is not what it was."""


Healing = Callable[[Box, Saved], None]

# A node whose height has not changed for so long does not come along by itself: it is restarted.
STUCK_S = 25

BINARY, HOME, NODE = governance.BINARY, governance.HOME, governance.AS_NODE


def _restart(box: Box) -> None:
    box.must("systemctl", "reset-failed", image.UNIT)
    # A node inside a long block does not obey; systemd kills it 90 s after it was asked to stop.
    box.must("systemctl", "restart", image.UNIT)


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


def _power(box: Box) -> None:
    """Thawed, powered, plugged in."""
    for directory in box.cgroups():
        cgroups.thaw_all(directory)
    network.set_port(box.names, box.name, up=True)
    if box.init() is None:
        box.power_on()
        box.wait_ready()


def _revive(box: Box) -> None:
    """The host and its node can work."""
    _power(box)
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


def _roll_back_once(box: Box) -> None:
    said = box.run([*NODE, BINARY, "rollback", "--home", HOME], 60)
    if said.returncode:
        raise Failed(f"{box.name}: rollback ended with {said.returncode}: {(said.stdout + said.stderr)[-500:]}")


def _heal_app_hash(box: Box, saved: Saved) -> None:
    hooks.change(box, "app_hash_at", None)
    reached = watch.heights(box.names, [box.name])[box.name]
    if reached is None or reached >= saved["at"]:
        _roll_back(box, saved["at"])
    _restart(box)


def _heal_damage(box: Box, saved: Saved) -> None:
    if "copy" not in saved:
        box.own(box.disk / saved["file"])
        _restart(box)
        return
    # A node that runs has come to terms with the damage (a WAL), and its data is newer than the copy.
    if not watch.unit_is_well(box):
        box.must("systemctl", "stop", image.UNIT)
        damaged = box.disk / saved["file"]
        if damaged.exists():
            shutil.copy2(saved["copy"], damaged)
            box.own(damaged)
        _restart(box)
    Path(saved["copy"]).unlink()


def _heal_key(box: Box, saved: Saved) -> None:
    """The host's own key is back before its node runs again."""
    box.must("systemctl", "stop", image.UNIT)
    chain.copy_key(Path(saved["copy"]), box.home)
    shutil.rmtree(saved["copy"])


def _heal_signing_state(box: Box, saved: Saved) -> None:
    """The state that was there is back, unless somebody put a newer one there."""
    box.run(["systemctl", "stop", image.UNIT])
    copy, path = Path(saved["copy"]), box.home / "data/priv_validator_state.json"
    if saved["how"] == "ahead" or _signed_height(path) < _signed_height(copy):
        # Whole or not at all: half a state would be as bad as none.
        part = path.with_suffix(".part")
        shutil.copyfile(copy, part)
        box.own(part)
        part.replace(path)
    copy.unlink()


def _signed_height(path: Path) -> int:
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["height"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1


def _heal_hook(key: str) -> Healing:
    def undo(box: Box, _saved: Saved) -> None:
        hooks.change(box, key, None)
        if key == "panic_at":
            _restart(box)

    return undo


def _heal_halt_height(box: Box, _saved: Saved) -> None:
    chain.set_values(box.home / "config/app.toml", {("", "halt-height"): "0"})
    _restart(box)


def _put_settings_back(box: Box, saved: Saved) -> None:
    for file, section, key, value in saved["settings"]:
        chain.set_values(box.home / "config" / file, {(section, key): value})


def _heal_settings(box: Box, saved: Saved) -> None:
    _put_settings_back(box, saved)
    _restart(box)


def _heal_no_peers(box: Box, saved: Saved) -> None:
    box.must("systemctl", "stop", image.UNIT)
    _put_settings_back(box, saved)
    if "book" in saved:
        shutil.move(saved["book"], box.home / "config/addrbook.json")
        box.own(box.home / "config/addrbook.json")
    network.open_p2p(box.names, box.name)


def _heal_disk_full(box: Box, _saved: Saved) -> None:
    (box.disk / "stuffing").unlink(missing_ok=True)
    _restart(box)


def _heal_inodes(box: Box, _saved: Saved) -> None:
    shutil.rmtree(box.disk / "empty-files", ignore_errors=True)
    _restart(box)


def _heal_read_only(box: Box, _saved: Saved) -> None:
    # After an error the kernel mounts the same file system writable no more: it is taken off and checked.
    box.power_cut()
    box.repair_disk()
    box.power_on()
    box.wait_ready()


def _heal_wal(box: Box, saved: Saved) -> None:
    """The copy is of use as long as the node stands where it stood; a node that went on has a WAL of its own."""
    copy = box.home / "data/cs.wal.bak"
    if not copy.exists():
        return
    now = watch.heights(box.names, [box.name])[box.name]
    box.must("systemctl", "stop", image.UNIT)
    if now is not None and saved["at"] is not None and now > saved["at"] + 1:
        shutil.rmtree(copy)
        return
    shutil.rmtree(box.home / "data/cs.wal", ignore_errors=True)
    copy.rename(box.home / "data/cs.wal")


def _heal_genesis(box: Box, saved: Saved) -> None:
    if "data" in saved:
        # A node that sleeps until its genesis time does not obey. It signed nothing.
        box.run(["systemctl", "kill", "--signal=SIGKILL", image.UNIT])
    box.must("systemctl", "stop", image.UNIT)
    shutil.copy2(saved["copy"], box.home / "config/genesis.json")
    box.own(box.home / "config/genesis.json")
    if "data" in saved:
        shutil.rmtree(box.home / "data")
        Path(saved["data"]).rename(box.home / "data")
    else:
        # It executed one block in its own way, and refuses the next.
        _roll_back_once(box)
    _restart(box)


def _heal_binary(box: Box, saved: Saved) -> None:
    box.must("systemctl", "stop", image.UNIT)
    box.install_binary(Path(saved["binary"]))
    _restart(box)


HEALINGS: dict[str, Healing] = {
    "disk-full": _heal_disk_full,
    "inodes": _heal_inodes,
    "read-only": _heal_read_only,
    "damage": _heal_damage,
    "wal-lost": _heal_wal,
    "app-hash": _heal_app_hash,
    "panic": _heal_hook("panic_at"),
    "reject": _heal_hook("reject_at"),
    "slow": _heal_hook("slow_block_ms"),
    "halt-height": _heal_halt_height,
    # Only a start reads it, and the fault makes none.
    "dsch": _put_settings_back,
    "impatient": _heal_settings,
    "no-empty-blocks": _heal_settings,
    "signer": _heal_settings,
    "genesis": _heal_genesis,
    "new-binary": _heal_binary,
    "old-binary": _heal_binary,
    "old-logs": lambda box, _saved: shutil.rmtree(box.home / OLD_LOGS, ignore_errors=True),
    "standby": _heal_key,
    "clone": _heal_key,
    "p2p-closed": lambda box, _saved: network.open_p2p(box.names, box.name),
    "slow-redial": _heal_settings,
    "no-peers": _heal_no_peers,
    "jail": lambda box, _saved: governance.unjail(box),
}


def _undo(box: Box, kind: str, saved: Saved | None) -> None:
    """``saved``: None where nothing was changed that has to be put back."""
    if kind == "signing-state" and saved is not None:
        _heal_signing_state(box, saved)
    _revive(box)
    if kind == "jail":
        _start(box)
    if kind in HEALINGS and saved is not None:
        HEALINGS[kind](box, saved)
    if saved is None and kind in ("standby", "clone"):
        shutil.rmtree(box.directory / "own-key", ignore_errors=True)
    _start(box)


def _undo_on_database(box: Box, kind: str) -> None:
    _power(box)
    if kind in database_faults.KINDS:
        database_faults.heal(box, kind)
    else:
        database.start(box)


SKIP = "unsafe-skip-upgrades"


def _working(layout: Layout) -> list[str]:
    """The hosts whose node is to run."""
    return [host.name for host in layout.hosts if host.service == "node" and not host.standby_of]


def _heal_upgrade(rig: Rig, saved: Saved) -> None:
    """Every node passes over the upgrade; one that is not due yet is called off."""
    working = _working(rig.layout)
    heights = [height for height in watch.heights(rig.names, working).values() if height is not None]
    if heights and max(heights) < saved["at"] - 1:
        governance.cancel_upgrade(rig)
        return

    def pass_over(box: Box, line: str) -> None:
        app = box.home / "config/app.toml"
        lines = app.read_text(encoding="utf-8").splitlines(keepends=True)
        app.write_text(line + "".join(kept for kept in lines if not kept.startswith(SKIP)), encoding="utf-8")

    def skip(box: Box) -> None:
        _revive(box)
        pass_over(box, f'{SKIP} = "{saved["at"]}"\n')
        _restart(box)

    def forget(box: Box) -> None:
        pass_over(box, "")
        (box.home / "data/upgrade-info.json").unlink(missing_ok=True)

    rig.each(skip, working)
    rig.wait_for_blocks(3, hosts=working)
    rig.each(forget, working)


def _heal(rig: Rig, where: str, kind: str | None) -> list[dict[str, Any]]:
    """Undo the recorded faults that are meant, the last one first; returns them in that order."""
    found = rig.record
    meant = [fault for fault in found.faults if where in ("all", fault["where"]) and kind in (None, fault["kind"])]
    meant.reverse()
    # What a node signs with must be as it was before the node runs again, whatever is healed beside it: it would sign a
    # height twice. So that is what the sort, which keeps the order of equals, puts first; upgrades need the rest to run.
    meant.sort(key=lambda fault: (fault["kind"] not in unfinished.SIGNING, fault["kind"] == "upgrade"))
    _refuse_to_start_twice(found.faults, meant)
    _refuse_after_the_upgrade(rig, meant)
    for fault in meant:
        if fault["kind"] == "split":
            network.join_again(rig.names)
        elif fault["kind"] == "upgrade" and fault.get("begun"):
            raise Failed("the upgrade failed half-way, and may be decided: take the rig down and up again")
        elif fault["kind"] == "upgrade":
            _heal_upgrade(rig, fault["saved"])
        elif found.layout.host(fault["where"]).service == "database":
            _undo_on_database(rig.box(fault["where"]), fault["kind"])
        else:
            box, saved = rig.box(fault["where"]), fault["saved"]
            if fault.get("begun"):
                saved = unfinished.kept(found.signers.get(box.name), box, fault["kind"], fault["arguments"])
            _undo(box, fault["kind"], saved)
        found.faults.remove(fault)
        found.save(rig.names)
    return meant


def _refuse_to_start_twice(made: list[dict[str, Any]], meant: list[dict[str, Any]]) -> None:
    """A host whose signing state is behind, or whose key another host may run, is started by no other healing."""
    for fault in made:
        others = any(there["where"] == fault["where"] for there in meant)
        if fault["kind"] in unfinished.SIGNING and fault not in meant and others:
            raise Failed(f"{fault['where']}: heal its {fault['kind']} first, a start could sign a height twice")


def _refuse_after_the_upgrade(rig: Rig, meant: list[dict[str, Any]]) -> None:
    """A chain that went on beyond its upgrade needs the new binary for ever, and the rig is made of the old one."""
    at = next((fault["saved"]["at"] for fault in meant if fault["kind"] == "upgrade" and "begun" not in fault), None)
    if at is None:
        return
    there = [height for height in watch.heights(rig.names, rig.layout.nodes()).values() if height is not None]
    if there and max(there) > at:
        raise Failed(f"the chain was upgraded at {at}, which nothing undoes: take the rig {rig.name} down and up again")


def _set_is_whole(rig: Rig, witness: str) -> None:
    """A validator that the chain punished for good cannot be healed."""
    there = watch.signers(rig.box(witness))
    gone = [host.name for host in rig.layout.hosts if host.power and rig.record.signers[host.name] not in there]
    if there and gone:
        raise SetNotWhole(f"out of the validator set: {', '.join(gone)}. Take the rig {rig.name} down and up again")


def _settle(rig: Rig) -> None:
    """Put every host to work, also after what nobody recorded; until each node runs and the chain moves."""
    network.join_again(rig.names)
    databases = [host.name for host in rig.layout.hosts if host.service == "database"]
    rig.each(_settle_database, databases)
    if len(databases) < len(rig.layout.hosts):
        _settle_chain(rig)


def _settle_database(box: Box) -> None:
    _power(box)
    database_faults.heal_all(box)


def _settle_chain(rig: Rig) -> None:
    nodes = [host.name for host in rig.layout.hosts if host.service == "node"]
    rig.each(lambda box: network.open_p2p(box.names, box.name), nodes)
    rig.each(_revive, nodes)
    working = _working(rig.layout)
    rig.each(_start, working)
    deadline = time.monotonic() + PATIENCE_S
    heights: dict[str, int | None] = {}
    moved = dict.fromkeys(working, time.monotonic())
    while time.monotonic() < deadline:
        before, heights = heights, watch.heights(rig.names, working)
        moved.update({host: time.monotonic() for host in working if heights[host] != before.get(host)})
        seen = [height for height in heights.values() if height is not None]
        behind = [host for host, height in heights.items() if height is None or height < max(seen) - 3]
        if not behind:
            try:
                rig.wait_for_blocks(1, STUCK_S)
                _set_is_whole(rig, working[0])
                return
            except SetNotWhole:
                raise
            except Failed:
                behind = working
        stuck = [host for host in behind if time.monotonic() - moved[host] >= STUCK_S]
        if stuck:
            say(f"Restart the node on {', '.join(stuck)}: it does not come along by itself.")
            rig.each(_restart, stuck)
            moved.update(dict.fromkeys(stuck, time.monotonic()))
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
