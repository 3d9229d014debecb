# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a node as /proc shows them: the unit's own, and any that runs outside it. PRIVATE to the collection."""

from __future__ import annotations

import os
import time
import typing as t

from .parts import PartError, clean, stamp

# Names the node's program goes by: what its makers build, and what some of their documents call it.
NODE_NAMES = frozenset({"virtengine", "virtengined"})
_READ_CAP = 256 * 1024


class Seen(t.NamedTuple):
    """A process of a node. ``facts`` is the contract's proc; argv and environ never leave the host.

    ``environ`` is None without the right to see it.
    """

    facts: dict[str, t.Any]
    argv: list[str]
    environ: dict[str, str] | None


class UnitOf(t.NamedTuple):
    """What systemd says of the unit's processes; None: not known, or the unit is down."""

    name: str
    main_pid: int | None
    control_group: str | None


class Roots(t.NamedTuple):
    """Where the kernel's file systems are."""

    proc: str = "/proc"
    cgroup: str = "/sys/fs/cgroup"


ROOTS = Roots()


class Found(t.NamedTuple):
    """The unit's process, if it runs, and those that run the same program outside the unit."""

    main: Seen | None
    others: list[Seen]


def scan(unit: UnitOf, names: t.Iterable[str], roots: Roots = ROOTS) -> Found:
    """Find the processes that run the node's ``start`` command.

    ``names`` are file names of the program beside the usual ones. Raises PartError ``privilege`` where other users'
    processes are hidden from us: then "no other runs" is unknown.
    """
    if not os.path.exists(os.path.join(roots.proc, "1", "stat")):
        raise PartError("privilege", "processes of other users are hidden from this user; run with become")
    programs = NODE_NAMES | set(names)
    main = None
    inside: list[Seen] = []
    outside: list[Seen] = []
    for entry in sorted(os.listdir(roots.proc), key=lambda name: (len(name), name)):
        if not entry.isdigit():
            continue
        pid = int(entry)
        argv = _words(os.path.join(roots.proc, entry, "cmdline"))
        if pid != unit.main_pid and not runs_node(argv, _executable(roots.proc, pid)[0], programs):
            continue
        groups = control_groups(os.path.join(roots.proc, entry, "cgroup"))
        of_unit = pid == unit.main_pid or in_group(groups, unit)
        seen = look(pid, of_unit, argv, groups, roots)
        if seen is None:
            continue
        if pid == unit.main_pid:
            main = seen
        else:
            (inside if of_unit else outside).append(seen)
    # Under cosmovisor or a shell the unit's main process is only the launcher: the node is its child. And a unit that
    # was restarted since systemd was asked has another process by now.
    if inside and (main is None or not runs_node(main.argv, main.facts["exe"], programs)):
        main = inside.pop(0)
    return Found(main, inside + outside)


def members(unit: UnitOf, roots: Roots = ROOTS) -> list[dict[str, t.Any]]:
    """Every process in the unit's control group, whatever it runs, as the contract's proc."""
    processes = []
    for entry in sorted(os.listdir(roots.proc)):
        if not entry.isdigit():
            continue
        groups = control_groups(os.path.join(roots.proc, entry, "cgroup"))
        if int(entry) == unit.main_pid or in_group(groups, unit):
            seen = look(int(entry), True, [], groups, roots)
            if seen is not None:
                processes.append(seen.facts)
    return processes


def runs_node(argv: list[str], exe: str | None, programs: t.AbstractSet[str]) -> bool:
    """Whether this command line is a node's ``start``, by the file name of the program."""
    if not argv:
        return False
    names = {os.path.basename(argv[0]), os.path.basename(exe or "")}
    if not names & programs:
        return False
    may_be_value = False
    for word in argv[1:]:
        if word.startswith("-"):
            may_be_value = "=" not in word
        elif word == "start":
            return True
        elif may_be_value:
            may_be_value = False
        else:
            return False
    return False


def look(pid: int, of_unit: bool, argv: list[str], groups: dict[str, str], roots: Roots = ROOTS) -> Seen | None:
    """One process; None when it has gone meanwhile."""
    base = os.path.join(roots.proc, str(pid))
    try:
        with open(os.path.join(base, "stat"), encoding="utf-8", errors="replace") as stream:
            fields = stream.read(4096).rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    exe, deleted = _executable(roots.proc, pid)
    facts = {
        "pid": pid,
        "state": fields[0],
        "frozen": frozen(groups, roots.cgroup),
        "exe": clean(exe) if exe else None,
        "exe_deleted": deleted,
        "started_at": stamp(started(int(fields[19]))),
        "in_unit": of_unit,
    }
    return Seen(facts, argv, _environ(os.path.join(base, "environ")))


def started(ticks: int) -> float:
    """Seconds since 1970 at which a process started, from field 22 of its stat (clock ticks since boot)."""
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def boot_time() -> float:
    """Seconds since 1970 at which this host (or container) began to run: the start of its process 1.

    In a container the kernel's own boot time is the machine's, not the host's that was switched off and on again.
    """
    try:
        with open("/proc/1/stat", encoding="utf-8", errors="replace") as stream:
            return started(int(stream.read(4096).rpartition(")")[2].split()[19]))
    except (OSError, IndexError, ValueError):
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def control_groups(path: str) -> dict[str, str]:
    """Control group of a process by controller; the unified hierarchy has the key ``""``."""
    groups = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            for line in stream.read(_READ_CAP).splitlines():
                _number, controllers, group = line.split(":", 2)
                for controller in controllers.split(","):
                    groups[controller] = group
    except (OSError, ValueError):
        return {}
    return groups


def in_group(groups: dict[str, str], unit: UnitOf) -> bool:
    """Whether a process is in the unit's control group or below it; by the unit's name where the group is not known."""
    own = [groups[key] + "/" for key in ("name=systemd", "") if key in groups]
    if unit.control_group:
        return any(group.startswith(unit.control_group.rstrip("/") + "/") for group in own)
    return any(f"/system.slice/{unit.name}/" in group for group in own)


def frozen(groups: dict[str, str], root: str = "/sys/fs/cgroup") -> bool | None:
    """Whether the freezer holds the process, by version 1 or 2 of control groups; None when that cannot be read."""
    answers = []
    if "freezer" in groups:
        answers.append(_says(f"{root}/freezer{groups['freezer']}/freezer.state", ("FROZEN", "FREEZING")))
    if groups.get("", "/") != "/":
        below = next((path for path in (root, f"{root}/unified") if os.path.exists(f"{path}/cgroup.procs")), None)
        if below is not None:
            answers.append(_says(f"{below}{groups['']}/cgroup.events", ("frozen 1",)))
    if any(answers):
        return True
    return None if None in answers else False


def freezer_file(groups: dict[str, str], root: str = "/sys/fs/cgroup") -> tuple[str, str] | None:
    """Path of the freezer's switch of this group and the word that thaws it; None where there is no freezer."""
    if "freezer" in groups and os.path.exists(f"{root}/freezer{groups['freezer']}/freezer.state"):
        return f"{root}/freezer{groups['freezer']}/freezer.state", "THAWED"
    for below in (root, f"{root}/unified"):
        path = f"{below}{groups.get('', '/')}/cgroup.freeze"
        if os.path.exists(path):
            return path, "0"
    return None


def _says(path: str, words: tuple[str, ...]) -> bool | None:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            lines = stream.read(4096).splitlines()
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return any(line.strip() in words for line in lines)


def _executable(proc: str, pid: int) -> tuple[str | None, bool | None]:
    """Path of the program and whether that file is gone; None for both without the right to see it."""
    try:
        path = os.readlink(os.path.join(proc, str(pid), "exe"))
    except OSError:
        return None, None
    if path.endswith(" (deleted)"):
        return path[: -len(" (deleted)")], True
    return path, False


def _words(path: str) -> list[str]:
    try:
        return _split(path)
    except OSError:
        return []


def _environ(path: str) -> dict[str, str] | None:
    """The variables a process was started with; None where they may not be read. None of a process that has gone."""
    try:
        pairs = [word.partition("=") for word in _split(path)]
    except PermissionError:
        return None
    except OSError:
        return {}
    return {name: value for name, equals, value in pairs if equals}


def _split(path: str) -> list[str]:
    """What the kernel shows as words that end with a zero byte. Raises OSError."""
    with open(path, "rb") as stream:
        raw = stream.read(_READ_CAP)
    return [word.decode("utf-8", "replace") for word in raw.rstrip(b"\0").split(b"\0")] if raw else []
