# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job, shown on a fleet of real nodes: halt the chain, diagnose, plan, approve, recover, read the report."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tools import places, site

RIG = "demo"
FAULT_HOST = "vh1"
CANNOT_CARRY_HOSTS = 3
RECORDED = "tests/data/recorded/stopped.json"
DIGEST = re.compile(r"incident_approve=([a-z_]+-[0-9a-f]{16})")


class Failed(Exception):
    """The demo cannot go on; the text says why."""


def _say(text: str) -> None:
    print(f"\n=== {text}", flush=True)


class Demo:
    """One demo in one site directory. ``env`` has the virtual environment's programs first on its PATH."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self.directory = directory
        self.env = {**env, "PWD": str(directory)}

    def rig(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.fleet", *arguments, "--name", RIG]
        if subprocess.run(command, cwd=places.REPO, env=dict(self.env), check=False).returncode:
            raise Failed(f"the fleet's command failed: {' '.join(arguments)}")

    def playbook(self, *arguments: str, inventory: bool = True) -> tuple[int, str]:
        """Run the command a person types, show its output, return exit code and output."""
        command = ["ansible-playbook", "chain_halt.yml", *(["-i", "validators"] if inventory else []), *arguments]
        print(f"$ cd {self.directory} && {' '.join(command)}", flush=True)
        process = subprocess.Popen(
            command, cwd=self.directory, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        lines = []
        for line in process.stdout or ():
            print(line, end="", flush=True)
            lines.append(line)
        return process.wait(), "".join(lines)


def _can_carry_hosts(env: Mapping[str, str]) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fleet", "check"], cwd=places.REPO, env=dict(env), check=False
    ).returncode
    if done not in (0, CANNOT_CARRY_HOSTS):
        raise Failed(f"the fleet's check ended with {done}")
    return done == 0


def _replay(demo: Demo) -> None:
    _say("This machine cannot carry the fleet (see above): the verdict comes from evidence recorded on a real one")
    evidence = places.REPO / RECORDED
    inventory = demo.directory / "none"
    inventory.write_text("", encoding="utf-8")
    site.write(demo.directory, inventory)
    inventory.unlink()
    code, _output = demo.playbook("-e", f"incident_evidence={evidence}", inventory=False)
    if code:
        raise Failed(f"the run ended with {code}")


def _inventory() -> Path:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fleet", "inventory", "--name", RIG],
        cwd=places.REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(done.stdout.strip())


def _on_a_fleet(demo: Demo) -> None:
    started = time.monotonic()
    _say("1. Bring up the fleet: real hosts with systemd and sshd, a real chain")
    demo.rig("up")
    site.write(demo.directory, _inventory())
    _say(f"2. Halt the chain: stop the node on {FAULT_HOST}, which holds more than a third of the voting power")
    demo.rig("fault", "stop", FAULT_HOST)
    print("Waiting: a chain whose newest block is younger than 30 s is not called halted. It stands at:", flush=True)
    demo.rig("wait", "halted")
    _say("3. Diagnose and plan: nothing is changed")
    code, output = demo.playbook()
    found = DIGEST.findall(output)
    if code or not found:
        raise Failed(f"no plan was printed (exit code {code})")
    _say("4. Approve that plan: the digest goes back")
    code, output = demo.playbook("-e", f"incident_approve={found[-1]}")
    if code:
        raise Failed(f"the chain was not recovered (exit code {code})")
    _say("5. A second run: nothing is left to do")
    code, output = demo.playbook()
    if code:
        raise Failed(f"the second run ended with {code}")
    reports = sorted(demo.directory.glob("incidents/*/report.html"), key=lambda path: path.stat().st_mtime)
    _say(f"Done in {time.monotonic() - started:.0f} s")
    print(f"The report:   {reports[-1] if reports else 'none was written'}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What ``./dev demo`` takes."""
    parser.add_argument("--site", type=Path, default=Path("demo-site"), help="the site directory (default: demo-site)")
    parser.add_argument("--keep", action="store_true", help="leave the fleet standing, to try things on it")


def main(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Run the demo; returns the exit code."""
    demo = Demo(options.site.resolve(), env)
    demo.directory.mkdir(parents=True, exist_ok=True)
    carried = False
    try:
        carried = _can_carry_hosts(env)
        if carried:
            _on_a_fleet(demo)
        else:
            _replay(demo)
    except Failed as failure:
        print(f"\nThe demo failed: {failure}", file=sys.stderr)
        return 1
    finally:
        if carried and not options.keep:
            _say("Take the fleet down")
            subprocess.run(
                [sys.executable, "-m", "tests.fleet", "down", "--name", RIG],
                cwd=places.REPO,
                env=dict(env),
                check=False,
            )
    if carried and not options.keep:
        print("The fleet is gone; ./dev demo --keep leaves it standing.")
        print(f"The site directory with the record of the incident stays in {demo.directory}.")
        return 0
    path = str(env["PATH"]).split(":", maxsplit=1)[0]
    print(f"The site directory stays in {demo.directory}. To use it: export PATH={path}:$PATH")
    if carried:
        print("The fleet stands. In the site directory: ansible-playbook chain_halt.yml -i validators")
        print(f"To break it: python3 -m tests.fleet fault stop vh1 --name {RIG}; to end it: ... down --name {RIG}")
    return 0
