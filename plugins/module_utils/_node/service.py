# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start or stop a node's unit, or thaw its frozen processes. PRIVATE to the collection."""

from __future__ import annotations

import os
import signal
import time
import typing as t

from .._host import process as _process
from .._host import systemd
from .._host.parts import PartError, Refused, command
from . import places

# A node that refuses to start (signature found, replay fails) lives for one to three seconds.
STEADY_S = 5.0
_COMMAND_S = 15.0
_AT_REST = ("inactive", "failed")
_SHOWN = (
    "load_state",
    "active_state",
    "sub_state",
    "unit_file_state",
    "result",
    "restarts",
    "exit_kind",
    "exit_status",
    "main_pid",
    "started_at",
)


class Outcome(t.NamedTuple):
    """What was found, what was done, what came of it."""

    before: dict[str, t.Any]
    after: dict[str, t.Any]
    actions: list[str]


class Node:
    """The unit and its processes at one moment."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.seen = systemd.read(unit, _COMMAND_S)
        facts = self.seen.facts
        of_unit = _process.UnitOf(unit, facts["main_pid"], facts["control_group"])
        scanned = _process.scan(of_unit, places.programs(self.seen, None))
        self.main = scanned.main.facts if scanned.main else None
        self.others = [other.facts for other in scanned.others]
        self.members = _process.members(of_unit)

    @property
    def frozen(self) -> list[dict[str, t.Any]]:
        """The unit's processes that are stopped (state T) or held by the freezer."""
        return [member for member in self.members if member["state"] == "T" or member["frozen"]]

    @property
    def gone(self) -> bool:
        """Whether the unit is down for good, with no process left: systemd is not about to start it again either."""
        return self.seen.facts["active_state"] in _AT_REST and self.main is None and not self.members

    def shown(self) -> dict[str, t.Any]:
        """The part of it that a result carries."""
        state = {name: self.seen.facts[name] for name in _SHOWN}
        state["process"] = self.main
        state["frozen_pids"] = [member["pid"] for member in self.frozen]
        return state


def start(unit: str, wait: float, check: bool) -> Outcome:
    """Start a unit that is down and watch it stay up.

    ``wait`` is the number of seconds it may take until the same process has run for STEADY_S. With ``check`` nothing
    is done and ``after`` is what a start would bring. Raises Refused, PartError.
    """
    node = Node(unit)
    before = node.shown()
    facts = node.seen.facts
    _may_start(node)
    if facts["active_state"] in ("active", "reloading"):
        return Outcome(before, before, [])
    actions = [f"systemctl start {unit}"]
    if facts["active_state"] == "failed":
        actions.insert(0, f"systemctl reset-failed {unit}")
    if check:
        return Outcome(before, {**before, "active_state": "active", "sub_state": "running", "main_pid": None}, actions)
    for action in actions:
        words = action.split()
        # Without --no-block a unit that reports readiness late would hold the command, and the run's deadline.
        _systemctl([*words, "--no-block"] if words[1] == "start" else words)
    return Outcome(before, _watch(unit, wait, actions), actions)


def _may_start(node: Node) -> None:
    facts = node.seen.facts
    if "masked" in (facts["load_state"] or "") or (facts["unit_file_state"] or "").startswith("masked"):
        raise Refused(f"{node.unit} is masked: somebody forbade to start it. Nothing was done.")
    if facts["unit_file_state"] == "disabled" and facts["active_state"] != "active":
        raise Refused(f"{node.unit} is disabled: it is not meant to run here. Nothing was done.")
    if facts["load_state"] != "loaded":
        raise Refused(f"{node.unit} cannot be loaded ({facts['load_state']}). Nothing was done.")
    if node.others:
        pids = ", ".join(str(other["pid"]) for other in node.others)
        raise Refused(f"The node already runs on this host outside {node.unit} (pid {pids}). Nothing was done.")
    if node.main is not None and facts["active_state"] not in ("active", "reloading", "activating"):
        raise Refused(
            f"{node.unit} is {facts['active_state']}, but its process {node.main['pid']} still runs. Nothing was done."
        )


def _watch(unit: str, wait: float, actions: list[str]) -> dict[str, t.Any]:
    """Wait until one process of the unit has run for STEADY_S. Raises Refused."""
    until = time.monotonic() + wait
    pid, since = None, time.monotonic()
    while True:
        facts = systemd.read(unit, _COMMAND_S).facts
        now = time.monotonic()
        if facts["active_state"] != "active" or facts["main_pid"] is None or facts["main_pid"] != pid:
            pid, since = facts["main_pid"], now
        elif now - since >= STEADY_S:
            return Node(unit).shown()
        if now >= until or facts["active_state"] == "failed":
            ended = f"{facts['exit_kind']} {facts['exit_status']}" if facts["exit_kind"] else "no exit seen"
            raise Refused(
                f"{unit} did not stay up for {STEADY_S:.0f} s: it is {facts['active_state']}/{facts['sub_state']}, "
                f"{facts['restarts']} restarts, last exit: {ended}. Its journal says why.",
                actions,
            )
        time.sleep(0.5)


def stop(unit: str, wait: float, check: bool) -> Outcome:
    """Stop a unit and wait until none of its processes is left, at most ``wait`` seconds.

    A unit that systemd keeps restarting is stopped as well. With ``check`` nothing is done and ``after`` is what a stop
    would bring. Raises Refused, PartError.
    """
    node = Node(unit)
    before = node.shown()
    if node.gone:
        return Outcome(before, before, [])
    if node.frozen:
        pids = ", ".join(str(member["pid"]) for member in node.frozen)
        raise Refused(f"{unit} is frozen (pid {pids}): it cannot end by itself. Thaw it first. Nothing was done.")
    actions = [f"systemctl stop {unit}"]
    if check:
        down = {"active_state": "inactive", "sub_state": "dead", "main_pid": None, "process": None}
        return Outcome(before, {**before, **down}, actions)
    # Without --no-block a process that is slow to end would hold the command, and the run's deadline.
    _systemctl(["systemctl", "stop", unit, "--no-block"])
    return Outcome(before, _ended(unit, wait, actions), actions)


def _ended(unit: str, wait: float, actions: list[str]) -> dict[str, t.Any]:
    until = time.monotonic() + wait
    while True:
        node = Node(unit)
        if node.gone:
            return node.shown()
        if time.monotonic() >= until:
            pids = ", ".join(str(member["pid"]) for member in node.members) or "none"
            raise Refused(
                f"{unit} is still {node.seen.facts['active_state']} after {wait:.0f} s (processes: {pids}). systemd goes "
                "on stopping it. Look at it before anything else is done there.",
                actions,
            )
        time.sleep(0.2)


def unit_stopped(unit: str) -> systemd.Unit:
    """The unit, where it is down and no process of the node runs on this host. Raises Refused, PartError.

    For changes of files that a running node holds, or would read while they change.
    """
    node = Node(unit)
    state = node.seen.facts["active_state"]
    if state not in _AT_REST:
        raise Refused(f"{unit} is {state}: it runs, or systemd is about to start it. Stop it first. Nothing was done.")
    pids = sorted({process["pid"] for process in (node.main, *node.members, *node.others) if process})
    if pids:
        raise Refused(
            f"The node still runs on this host (pid {', '.join(map(str, pids))}), though {unit} is {state}. Nothing was "
            "done."
        )
    return node.seen


def thaw(unit: str, wait: float, check: bool) -> Outcome:
    """Thaw the stopped or frozen processes of a unit; never starts or restarts it.

    ``wait`` is the number of seconds in which they must be seen free. Raises Refused, PartError.
    """
    node = Node(unit)
    before = node.shown()
    stopped = [member["pid"] for member in node.frozen if member["state"] == "T"]
    held = [member for member in node.frozen if member["frozen"]]
    actions = []
    switches: list[tuple[str, str]] = []
    if held and node.seen.facts["freezer_state"] == "frozen":
        actions.append(f"systemctl thaw {unit}")
    elif held:
        switches = sorted({switch for member in held for switch in [_switch(member["pid"])] if switch})
        actions += [f"write {word} to {path}" for path, word in switches]
    actions += [f"kill -CONT {pid}" for pid in stopped]
    if not actions:
        if held:
            raise Refused(f"{unit} is frozen, and no freezer that could be opened was found. Nothing was done.")
        return Outcome(before, before, [])
    if check:
        return Outcome(before, {**before, "frozen_pids": []}, actions)
    if actions[0].startswith("systemctl "):
        _systemctl(actions[0].split())
    for path, word in switches:
        with open(path, "w", encoding="ascii") as stream:
            stream.write(word)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    return Outcome(before, _free(unit, wait, actions), actions)


def _switch(pid: int) -> tuple[str, str] | None:
    return _process.freezer_file(_process.control_groups(f"/proc/{pid}/cgroup"))


def _free(unit: str, wait: float, actions: list[str]) -> dict[str, t.Any]:
    until = time.monotonic() + wait
    while True:
        node = Node(unit)
        if not node.frozen:
            return node.shown()
        if time.monotonic() >= until:
            pids = ", ".join(str(member["pid"]) for member in node.frozen)
            text = f"{unit} is still frozen (pid {pids}): something above it holds it, or stops it again."
            raise Refused(text, actions)
        time.sleep(0.2)


def _systemctl(argv: list[str]) -> None:
    answer = command(argv, _COMMAND_S)
    if answer.code != 0:
        raise PartError("failed", f"{' '.join(argv)}: {answer.err or answer.out or 'no message'}")
