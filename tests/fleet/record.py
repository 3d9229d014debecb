# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rig writes down about itself, and what can be told from it about a rig that nobody looks after any more."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fleet.layout import BadLayout, Layout, parse
from tests.fleet.names import RIG_NAME, STATE_ROOT, Names
from tests.fleet.run import say

SCHEMA = 1


def started(pid: int) -> str | None:
    """When a process began, in ticks since boot: with its number this names it for ever. ``None``: there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


@dataclass
class Record:
    """``rig.json``. ``phase``: building or standing. ``owner``: process number and start, or ``None``.

    ``base``, ``binary``, ``database_base``: what its hosts are made of; empty where no host of the layout needs it.
    """

    layout: Layout
    subnet: str
    base: str = ""
    binary: str = ""
    database_base: str = ""
    phase: str = "building"
    owner: dict[str, Any] | None = None
    boot: str = field(default_factory=boot_id)
    signers: dict[str, str] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)

    def addresses(self) -> dict[str, str]:
        return {host: f"{self.subnet}.{11 + number}" for number, host in enumerate(self.layout.names())}

    def save(self, names: Names) -> None:
        values = {**self.__dict__, "schema": SCHEMA, "layout": self.layout.to_json()}
        part = names.state / "rig.json.part"
        part.write_text(json.dumps(values, indent=1), encoding="utf-8")
        part.replace(names.state / "rig.json")


def load(names: Names) -> Record | None:
    """The rig's record; ``None`` when it has none that this program can read."""
    try:
        values = json.loads((names.state / "rig.json").read_text(encoding="utf-8"))
        if values.pop("schema") != SCHEMA:
            return None
        return Record(**{**values, "layout": parse(values["layout"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadLayout):
        return None


def owner_of(pid: int) -> dict[str, Any]:
    """What is written down about an owner that lives."""
    return {"pid": pid, "started": started(pid)}


def why_stale(record: Record | None) -> str | None:
    """Why a rig that nobody is building now is of no use to anybody; ``None``: it is of use."""
    if record is None:
        return "its record cannot be read"
    if record.boot != boot_id():
        return "the machine was restarted since"
    if record.phase != "standing":
        return "its making was interrupted"
    if record.owner and (record.owner["started"] is None or started(record.owner["pid"]) != record.owner["started"]):
        return f"its owner, process {record.owner['pid']}, is gone"
    if not all(Path(part).is_dir() for part in (record.base, record.binary, record.database_base) if part):
        return "the cache it was made from was removed"
    return None


@contextmanager
def locked(names: Names, wait: bool = True) -> Iterator[bool]:
    """Hold the rig's lock; gives False when it is held by another command and ``wait`` is off."""
    STATE_ROOT.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(names.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                yield False
                return
            say(f"Another command works on the rig {names.rig}: waiting for it to end.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield True
    finally:
        os.close(handle)


def known() -> list[Names]:
    """All rigs of which something is on this machine."""
    if not STATE_ROOT.is_dir():
        return []
    return [
        Names(path.name) for path in sorted(STATE_ROOT.iterdir()) if path.is_dir() and RIG_NAME.fullmatch(path.name)
    ]


def subnets(without: Names) -> set[str]:
    """The subnets of the other rigs."""
    records = (load(names) for names in known() if names != without)
    return {record.subnet for record in records if record}
