# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults, each made for real on a host; ``heal`` undoes them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fleet import cgroups, chain, hooks, image, network, record, unitfreezer, watch
from tests.fleet.host import Box
from tests.fleet.names import Names
from tests.fleet.run import Failed, attempt

if TYPE_CHECKING:
    from tests.fleet.rig import Rig

Saved = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """One kind of fault. ``inject`` returns what its healing must know."""

    kind: str
    usage: str
    about: str
    inject: Callable[[Box, Sequence[str]], Saved]
    least: int = 0
    most: int = 0


def _stop(box: Box, _arguments: Sequence[str]) -> Saved:
    box.must("systemctl", "stop", image.UNIT)
    return {}


def _kill(box: Box, arguments: Sequence[str]) -> Saved:
    if arguments not in ((), ("stay",), ["stay"]):
        raise Failed("kill: the only argument is 'stay'")
    directory = f"/run/systemd/system/{image.UNIT}.d"
    if arguments:
        box.must("mkdir", "-p", directory)
        box.must("sh", "-c", f"printf '[Service]\\nRestart=no\\n' > {directory}/fleet.conf && systemctl daemon-reload")
    box.must("systemctl", "kill", "--signal=SIGKILL", image.UNIT)
    if arguments:
        # The unit has to look as it always does once its process is dead.
        wait = f"for i in $(seq 50); do systemctl is-failed -q {image.UNIT} && break; sleep 0.1; done"
        box.must("sh", "-c", f"{wait}; rm -r {directory} && systemctl daemon-reload")
    return {}


def _freeze(box: Box, _arguments: Sequence[str]) -> Saved:
    box.must("systemctl", "kill", "--signal=SIGSTOP", image.UNIT)
    return {}


def _freeze_cgroup(box: Box, _arguments: Sequence[str]) -> Saved:
    unitfreezer.freeze(box)
    return {}


def _freeze_host(box: Box, _arguments: Sequence[str]) -> Saved:
    cgroups.freeze(box.cgroups(), frozen=True)
    return {}


def _cut(box: Box, _arguments: Sequence[str]) -> Saved:
    network.set_port(box.names, box.name, up=False)
    return {}


def _power_off(box: Box, _arguments: Sequence[str]) -> Saved:
    box.power_cut()
    return {}


def fill(box: Box) -> None:
    """Take all free space of the host's disk."""
    stuffing = box.disk / "stuffing"
    free = os.statvfs(box.disk)
    size = free.f_bavail * free.f_frsize
    # In ever smaller pieces: the file system needs some of the space for its own notes.
    while size >= free.f_frsize:
        if attempt(["fallocate", "--offset", str(_size(stuffing)), "--length", str(size), str(stuffing)]).returncode:
            size //= 2


def _size(path: os.PathLike[str]) -> int:
    return os.stat(path).st_size if os.path.exists(path) else 0


def _disk_full(box: Box, _arguments: Sequence[str]) -> Saved:
    fill(box)
    return {}


DAMAGES = ("manifest", "table", "wal")


def _damage(box: Box, arguments: Sequence[str]) -> Saved:
    what = arguments[0] if arguments else "manifest"
    if what not in DAMAGES:
        raise Failed(f"damage: {what!r} is none of {', '.join(DAMAGES)}")
    box.must("systemctl", "stop", image.UNIT)
    data = box.home / "data"
    pattern = {"manifest": "blockstore.db/MANIFEST-*", "table": "blockstore.db/*.ldb", "wal": "cs.wal/wal"}[what]
    found = sorted(data.glob(pattern), key=lambda path: path.stat().st_size)
    if not found:
        box.must("systemctl", "start", image.UNIT)
        raise Failed(f"{box.name}: there is no file {pattern} yet; a database writes its first table at a restart")
    victim = found[-1]
    copy = box.directory / "undamaged"
    shutil.copy2(victim, copy)
    with victim.open("r+b") as handle:
        if what == "wal":
            handle.seek(victim.stat().st_size // 2)
            handle.write(b"\xff" * 64)
        else:
            handle.truncate(victim.stat().st_size // 2)
    box.must("systemctl", "start", image.UNIT)
    return {"file": str(victim.relative_to(box.disk)), "copy": str(copy)}


def number(text: str) -> int:
    """A whole number from 0 on."""
    if not (text.isascii() and text.isdigit()):
        raise Failed(f"{text!r} is no whole number")
    return int(text)


def _height(box: Box, text: str) -> int:
    """A height; ``+N`` means N blocks from now."""
    if not text.startswith("+"):
        return number(text)
    now = watch.heights(box.names, [box.name])[box.name]
    if now is None:
        raise Failed(f"{box.name} does not say its height: give the height itself")
    return now + number(text[1:])


def _hook(key: str) -> Callable[[Box, Sequence[str]], Saved]:
    def inject(box: Box, arguments: Sequence[str]) -> Saved:
        value = number(arguments[0]) if key == "slow_block_ms" else _height(box, arguments[0])
        hooks.change(box, key, value)
        return {"at": value}

    return inject


def _halt_height(box: Box, arguments: Sequence[str]) -> Saved:
    height = _height(box, arguments[0])
    chain.set_values(box.home / "config/app.toml", {("", "halt-height"): str(height)})
    box.must("systemctl", "restart", image.UNIT)
    return {"at": height}


def _dsch(box: Box, arguments: Sequence[str]) -> Saved:
    config = box.home / "config/config.toml"
    before = chain.setting(config.read_text(encoding="utf-8"), "double_sign_check_height", "consensus")
    chain.set_values(config, {("consensus", "double_sign_check_height"): str(number(arguments[0]))})
    return {"before": before}


def _standby(box: Box, arguments: Sequence[str]) -> Saved:
    holder = Box(box.names, arguments[0])
    if not (holder.home / "config/priv_validator_key.json").exists() or holder.name == box.name:
        raise Failed(f"standby: {arguments[0]!r} is no other host of this rig")
    box.must("systemctl", "disable", "--now", image.UNIT)
    saved = box.directory / "own-key"
    (saved / "config").mkdir(parents=True)
    (saved / "data").mkdir()
    chain.copy_key(box.home, saved)
    chain.copy_key(holder.home, box.home)
    return {"copy": str(saved)}


def groups(text: str, hosts: Sequence[str]) -> list[list[str]]:
    """``vh1,vh2/vh3`` as groups of known hosts; who is not named joins the last group."""
    found = [[host for host in part.split(",") if host] for part in text.split("/")]
    named = [host for group in found for host in group]
    unknown = sorted(set(named) - set(hosts))
    if unknown:
        raise Failed(f"split: no host {', '.join(unknown)}")
    if len(found) < 2 or len(set(named)) != len(named) or not all(found):
        raise Failed("split: at least two groups, no host in two of them: vh1,vh2/vh3,vh4")
    # A host on neither side would carry every vote from one side to the other: no split at all.
    found[-1] += [host for host in hosts if host not in named]
    return found


KINDS = {
    fault.kind: fault
    for fault in (
        Fault("stop", "HOST", "the unit is stopped", _stop),
        Fault("kill", "HOST [stay]", "SIGKILL; systemd starts the node again, with 'stay' it does not", _kill, 0, 1),
        Fault("freeze", "HOST", "SIGSTOP to the node's process", _freeze),
        Fault("freeze-cgroup", "HOST", "the cgroup freezer stops the node", _freeze_cgroup),
        Fault("freeze-host", "HOST", "the cgroup freezer stops every process of the host", _freeze_host),
        Fault("cut", "HOST", "the host's network port is down", _cut),
        Fault("power-off", "HOST", "the plug is pulled", _power_off),
        Fault("disk-full", "HOST", "no byte is free on the disk of the node's home", _disk_full),
        Fault("damage", "HOST [manifest|table|wal]", "a file of the node's data is damaged", _damage, 0, 1),
        Fault("app-hash", "HOST HEIGHT", "the node computes another app hash at a height", _hook("app_hash_at"), 1, 1),
        Fault("panic", "HOST HEIGHT", "the node panics at a height, and at every replay", _hook("panic_at"), 1, 1),
        Fault("reject", "HOST HEIGHT", "the node rejects proposals from a height on", _hook("reject_at"), 1, 1),
        Fault("slow", "HOST MS", "each block takes the node so much longer", _hook("slow_block_ms"), 1, 1),
        Fault("halt-height", "HOST HEIGHT", "app.toml's halt-height is set and the node restarted", _halt_height, 1, 1),
        Fault("dsch", "HOST N", "double_sign_check_height is N from the next start on", _dsch, 1, 1),
        Fault("standby", "HOST OF", "stopped, HOST holds a copy of OF's consensus key", _standby, 1, 1),
    )
}
SPLIT_USAGE = ("split", "A,B/C,D", "the network is split into groups; the controller reaches all")


def usage() -> list[str]:
    """One line per kind of fault."""
    lines = [(f"{fault.kind} {fault.usage}", fault.about) for fault in KINDS.values()]
    lines.append((f"{SPLIT_USAGE[0]} {SPLIT_USAGE[1]}", SPLIT_USAGE[2]))
    return [f"  {left:<36}{right}" for left, right in lines]


def inject(rig: Rig, kind: str, where: str, arguments: Sequence[str]) -> None:
    """Make a fault and write down that it was made. ``where``: a host, for ``split`` the groups."""
    names: Names = rig.names
    with record.locked(names):
        found = rig.record
        if kind == "split":
            network.split(names, groups(where, found.layout.names()))
            saved: Saved = {}
        elif kind in KINDS:
            fault = KINDS[kind]
            if not fault.least <= len(arguments) <= fault.most:
                raise Failed(f"usage: fault {kind} {fault.usage}")
            if any(there["kind"] == kind and there["where"] == where for there in found.faults) and kind in (
                "standby",
                "damage",
            ):
                raise Failed(f"{where} has the fault {kind} already: heal it first")
            saved = fault.inject(rig.box(where), tuple(arguments))
        else:
            raise Failed(f"no fault is called {kind}. There are:\n" + "\n".join(usage()))
        found.faults.append({"kind": kind, "where": where, "arguments": list(arguments), "saved": saved})
        found.save(names)
