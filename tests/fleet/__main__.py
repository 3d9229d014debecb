# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m tests.fleet <command>``: the rig from the command line."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from tests.fleet import clear, faults, layout, machine, record, watch
from tests.fleet.names import BadName
from tests.fleet.rig import CannotCarryHosts, Rig, build
from tests.fleet.run import PATIENCE_S, Failed, say

CANNOT_CARRY_HOSTS = 3


def parser() -> argparse.ArgumentParser:
    """What may be typed behind ``python3 -m tests.fleet``."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--name", default="rig", help="the rig's name; rigs of different names stand side by side")
    whole = argparse.ArgumentParser(
        prog="python3 -m tests.fleet",
        description="Real hosts with a real chain on this machine.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="faults:\n" + "\n".join(faults.usage()),
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="command")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[shared])

    add("check", "say what this machine lacks to carry hosts; exit code 3 when it lacks something")
    add("build", "build what all rigs are made of; up does it by itself")
    up = add("up", "bring the rig up; one that stands is healed and used again")
    up.add_argument("--layout", type=Path, metavar="FILE", help="hosts and chain settings as JSON")
    up.add_argument("--owner-pid", type=int, metavar="PID", help="when this process is gone, the rig may be cleared")
    add("status", "show hosts, nodes and chain").add_argument("--json", action="store_true")
    add("inventory", "print the path of the inventory")
    fault = add("fault", "break something (the kinds are listed by --help without a command)")
    fault.add_argument("kind", choices=faults.kinds(), metavar="kind")
    fault.add_argument(
        "where", metavar="host", help="a host; for split: groups like vh1,vh2/vh3; for upgrade: a height"
    )
    fault.add_argument("arguments", nargs="*")
    heal = add("heal", "undo the faults of a host, or all of them and whatever else is wrong")
    heal.add_argument("where", metavar="host", help="a host or 'all'")
    heal.add_argument("kind", nargs="?")
    wait = add("wait", "wait for a state of the chain and print its height")
    wait.add_argument(
        "state", choices=("halted", "blocks"), help="the newest block is old enough to be a halt; new ones come"
    )
    wait.add_argument("hosts", nargs="*", metavar="host", help="who is asked (default: all)")
    wait.add_argument("--more", type=int, default=2, metavar="N", help="how many blocks (default: 2)")
    wait.add_argument("--timeout", type=float, default=PATIENCE_S, metavar="S", help="seconds (default: %(default)s)")
    down = add("down", "take the rig down; nothing of it is left")
    which = down.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="every rig of this machine")
    which.add_argument(
        "--stale", action="store_true", help="only rigs whose owner is gone or whose making was interrupted"
    )
    ssh = add("ssh", "open a shell on a host, or run a command there")
    ssh.add_argument("host")
    ssh.add_argument("words", nargs="*", metavar="command")
    return whole


def _check() -> int:
    lacks = machine.missing()
    for lack in lacks:
        print(lack)
    if not lacks:
        print("This machine can carry hosts.")
    return CANNOT_CARRY_HOSTS if lacks else 0


def _down(options: argparse.Namespace, rig: Rig) -> int:
    if options.stale:
        if not clear.stale():
            say("No rig is stale.")
        return 0
    for names in record.known() if options.all else [rig.names]:
        if not clear.down(names):
            say(f"There is no rig {names.rig}.")
    return 0


def _ssh(options: argparse.Namespace, rig: Rig) -> int:
    return subprocess.run(rig.ssh_command(options.host, options.words), check=False).returncode


def _wait(options: argparse.Namespace, rig: Rig) -> int:
    if not rig.layout.nodes():
        raise Failed(f"the rig {rig.name} has no chain")
    for host in options.hosts:
        rig.layout.host(host)
    if options.state == "halted":
        print(rig.wait_halted(options.timeout, options.hosts))
    else:
        print(rig.wait_for_blocks(options.more, options.timeout, options.hosts))
    return 0


def _run(options: argparse.Namespace) -> int:
    rig = Rig(options.name)
    if options.command == "check":
        return _check()
    if options.command == "build":
        build()
        return 0
    if options.command == "wait":
        return _wait(options, rig)
    if options.command == "up":
        rig.up(layout.load(options.layout) if options.layout else None, options.owner_pid)
        say(f"Inventory: {rig.inventory_path}")
        return 0
    if options.command == "down":
        return _down(options, rig)
    if options.command == "ssh":
        return _ssh(options, rig)
    if options.command == "status":
        found = rig.status()
        print(json.dumps(found, indent=1) if options.json else "\n".join(watch.table(found)))
    elif options.command == "inventory":
        rig.record.layout.names()
        print(rig.inventory_path)
    elif options.command == "fault":
        rig.fault(options.kind, options.where, *options.arguments)
    elif options.command == "heal":
        rig.heal(options.where, options.kind)
    return 0


def main() -> int:
    os.umask(0o022)
    options = parser().parse_args()
    try:
        return _run(options)
    except CannotCarryHosts as error:
        for lack in error.lacks:
            say(lack)
        return CANNOT_CARRY_HOSTS
    except (Failed, layout.BadLayout, BadName) as error:
        say(f"Failed: {error}")
        return 1
    except KeyboardInterrupt:
        say("Interrupted. The next up or 'down --stale' clears what is left.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
