# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed beside its rivals, in one run on one real fleet: ``./dev bench``. Figures are printed, nothing is judged."""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tools import environment, places, site

RIG = "bench"
VERDICT = "tests.unit.plugin_utils._incidents.chain_halt.verdict.bench"
RUNS = 3
RPC = "http://127.0.0.1:26657"
PATHS = (
    "status",
    "abci_info",
    "dump_consensus_state",
    "net_info",
    "validators?per_page=100",
    "blockchain",
    "num_unconfirmed_txs",
    "commit",
)
# The facts of the runbook's four diagnosis steps and of the unit, by one small task each.
SMALL_TASKS = """\
---
- name: The same facts by small tasks
  hosts: all
  gather_facts: false
  tasks:
    - name: Unit
      ansible.builtin.command: systemctl show virtengine.service
      changed_when: false
    - name: Journal
      ansible.builtin.command: journalctl -u virtengine.service -o json --since -1h --no-pager
      changed_when: false
    - name: Process
      ansible.builtin.command: ps -eo pid,stat,lstart,args
      changed_when: false
    - name: Disk
      ansible.builtin.command: df -PB1 /var/lib/virtengine
      changed_when: false
    - name: Binary
      ansible.builtin.stat:
        path: /usr/bin/virtengine
        checksum_algorithm: sha256
    - name: Genesis
      ansible.builtin.stat:
        path: /var/lib/virtengine/.virtengine/config/genesis.json
        checksum_algorithm: sha256
    - name: Configuration
      ansible.builtin.command: grep -E '^(double_sign|halt|timeout_|priv_validator)' -r /var/lib/virtengine/.virtengine/config --include=*.toml
      changed_when: false
    - name: RPC
      ansible.builtin.uri:
        url: "{{ item }}"
        return_content: true
        timeout: 5
      loop: @URLS@
"""
ONE_TASK = """\
---
- name: The evidence by one module
  hosts: all
  gather_facts: false
  tasks:
    - name: Evidence
      virtengine.incident.node_evidence:
"""
# jq reads the answers here: hosts need not have it.
SHELL = (
    "{ systemctl show virtengine.service; journalctl -u virtengine.service -o json --since -1h --no-pager; df -PB1 /; } "
    ">&2; " + "; ".join(f"curl -s -m 5 '{RPC}/{path}'" for path in PATHS)
)


def _timed(
    command: list[str], cwd: Path, env: Mapping[str, str], mark: str | None = None
) -> tuple[float, float | None]:
    """Seconds to the end, and to the first line that holds ``mark``."""
    started, marked = time.monotonic(), None
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout or ():
        if mark and marked is None and mark in line:
            marked = time.monotonic() - started
    process.wait()
    return time.monotonic() - started, marked


def _row(name: str, seconds: list[float]) -> float:
    middle = statistics.median(seconds)
    shown = " ".join(f"{value:.2f}" for value in seconds)
    print(f"  {name:<58}{middle:8.2f} s   ({shown})", flush=True)
    return middle


def _evidence(directory: Path, env: Mapping[str, str]) -> None:
    print("Evidence of all hosts (median of three runs, then each run):")
    urls = json.dumps([f"{RPC}/{path}" for path in PATHS])
    (directory / "small.yml").write_text(SMALL_TASKS.replace("@URLS@", urls), encoding="utf-8")
    (directory / "one.yml").write_text(ONE_TASK, encoding="utf-8")
    listed = subprocess.run(
        ["ansible-inventory", "-i", "validators", "--list"],
        cwd=directory,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    variables = json.loads(listed.stdout)["_meta"]["hostvars"]
    ssh = " & ".join(_ssh(known) for known in variables.values()) + " & wait"
    in_turn = "; ".join(_ssh(known) for known in variables.values())
    rivals = {
        "one call of node_evidence per host": ["ansible-playbook", "one.yml", "-i", "validators"],
        "the same facts by small tasks": ["ansible-playbook", "small.yml", "-i", "validators"],
        "ssh in a shell loop, one host after the other": ["bash", "-c", in_turn],
        "ssh in a shell loop, all hosts at once": ["bash", "-c", ssh],
    }
    medians = {
        name: _row(name, [_timed(line, directory, env)[0] for _run in range(RUNS)]) for name, line in rivals.items()
    }
    mine = medians["one call of node_evidence per host"]
    print(f"  small tasks take {medians['the same facts by small tasks'] / mine:.1f} times as long\n")


def _ssh(known: Mapping[str, str]) -> str:
    words = [
        known.get("ansible_ssh_executable", "ssh"),
        *shlex.split(known.get("ansible_ssh_common_args", "")),
        *(["-i", known["ansible_ssh_private_key_file"]] if "ansible_ssh_private_key_file" in known else []),
        f"{known.get('ansible_user', 'root')}@{known['ansible_host']}",
        SHELL,
    ]
    return shlex.join(words) + " 2>/dev/null | jq -c .result >/dev/null"


def _answers(directory: Path, env: Mapping[str, str]) -> None:
    print("From start to answer, on the halted fleet:")
    ping = ["ansible", "all", "-i", "validators", "-m", "ping"]
    _row("ansible all -m ping", [_timed(ping, directory, env)[0] for _run in range(RUNS)])
    command = ["ansible-playbook", "chain_halt.yml", "-i", "validators"]
    runs = [_timed(command, directory, env, mark="FIRST ANSWER") for _run in range(RUNS)]
    _row("chain_halt.yml: first answer", [first for _end, first in runs if first is not None])
    _row("chain_halt.yml: confirmed verdict and plan", [end for end, _first in runs])
    print()


def _verdict(env: Mapping[str, str]) -> None:
    print("The verdict alone, 200 validators, 4 hosts:")
    subprocess.run([sys.executable, "-m", VERDICT], cwd=places.REPO, env=env, check=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What ``./dev bench`` takes."""
    parser.add_argument("--keep", action="store_true", help="leave the fleet standing")


def main(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Run the benchmark; returns the exit code."""
    environment.need({"jq": "jq"})
    rig = [sys.executable, "-m", "tests.fleet"]
    subprocess.run([*rig, "up", "--name", RIG], cwd=places.REPO, env=env, check=True)
    try:
        found = subprocess.run(
            [*rig, "inventory", "--name", RIG], cwd=places.REPO, env=env, check=True, capture_output=True, text=True
        )
        with tempfile.TemporaryDirectory(prefix="virtengine-incident-bench-") as folder:
            directory = Path(folder)
            # Records are kept where the person stands.
            env = {**env, "PWD": folder}
            site.write(directory, Path(found.stdout.strip()))
            _evidence(directory, env)
            subprocess.run([*rig, "fault", "stop", "vh1", "--name", RIG], cwd=places.REPO, env=env, check=True)
            subprocess.run([*rig, "wait", "halted", "--name", RIG], cwd=places.REPO, env=env, check=True)
            _answers(directory, env)
            subprocess.run([*rig, "heal", "all", "--name", RIG], cwd=places.REPO, env=env, check=True)
        _verdict(env)
    finally:
        if not options.keep:
            subprocess.run([*rig, "down", "--name", RIG], cwd=places.REPO, env=env, check=False)
    return 0
