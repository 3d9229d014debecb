# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe with its verdict beside bare fetching, in one run: ``./dev bench probe``. Figures are printed, nothing is judged."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import places

DEADLINE_S = 10
VALIDATORS = 200
SIZES = (100, 1000)
RUNS = 3
EMPTY = """\
---
- name: Nothing
  hosts: localhost
  gather_facts: false
  tasks: []
"""
PROBE = """\
---
- name: Probe and verdict
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Probe
      virtengine.incident.chain_probe:
        endpoints: "{{ lookup('ansible.builtin.file', 'urls').split() }}"
        deadline: @DEADLINE@
      register: probe
    - name: Verdict
      ansible.builtin.debug:
        msg: >-
          answered={{ probe.answered }} verdict={{ ({
            'schema': 'virtengine.incident.evidence/2', 'incident': 'chain_halt', 'settings': {},
            'taken_at': probe.observations[0].at, 'min_seconds_between_looks': 5, 'inventory': {}, 'not_looked_at': [],
            'observations': probe.observations} | virtengine.incident.assess).status }}
"""
# What an engineer types. jq reads each answer, as it comes, for one figure.
XARGS = (
    "xargs -P 64 -I @ sh -c '"
    "a=$(curl -s --max-time 3 @/status | jq -r .result.sync_info.latest_block_height); "
    "b=$(curl -s --max-time 3 @/dump_consensus_state | jq -r .result.round_state.height); "
    '[ -n "$a" ] && [ -n "$b" ] && echo "$a $b"'
    "' < urls | wc -l"
)


@dataclass(frozen=True)
class Ran:
    """One run: seconds from start to end, and the most memory that one process of it had, in MB."""

    seconds: float
    memory: float
    output: str


def _run(command: list[str], cwd: Path, env: Mapping[str, str], stdin: Path | None = None) -> Ran:
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
        target = stack.enter_context(tempfile.TemporaryFile())
        process = subprocess.Popen(command, cwd=cwd, env=env, stdin=source, stdout=target, stderr=subprocess.STDOUT)
        # Of a process that has been waited for, the kernel tells VmHWM: the greatest of it and of its children.
        _pid, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        target.seek(0)
        output = target.read().decode("utf-8", "replace")
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{output[-2000:]}")
    return Ran(seconds, used.ru_maxrss / 1024, output)


@contextlib.contextmanager
def _chain(endpoints: int, env: Mapping[str, str]) -> Iterator[list[str]]:
    """A chain of so many endpoints in a process of its own; their URLs."""
    command = [sys.executable, "-m", "tests.bench_probe.server", str(endpoints), str(VALIDATORS)]
    with subprocess.Popen(
        command, cwd=places.REPO, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        urls = []
        for line in server.stdout or ():
            if line.strip() == "ready":
                break
            urls.append(line.strip())
        try:
            yield urls
        finally:
            if server.stdin:
                server.stdin.close()


def _row(name: str, runs: list[Ran], answered: str) -> float:
    middle = statistics.median(run.seconds for run in runs)
    shown = " ".join(f"{run.seconds:.2f}" for run in runs)
    memory = max(run.memory for run in runs)
    print(f"  {name:<44}{middle:7.2f} s {memory:6.0f} MB  {answered:>5} answered   ({shown})", flush=True)
    return middle


def _said(word: str, output: str) -> str:
    found = re.search(rf"{word}=(\w+)", output)
    return found.group(1) if found else "?"


def _measure(endpoints: int, directory: Path, env: Mapping[str, str]) -> None:
    with _chain(endpoints, env) as urls:
        (directory / "urls").write_text("\n".join(urls) + "\n", encoding="utf-8")
        dead = f"{endpoints // 20} refused, {endpoints // 20} silent, {endpoints // 10} answer after 1 s"
        print(f"{endpoints} endpoints, {VALIDATORS} validators; {dead}; deadline {DEADLINE_S} s:", flush=True)
        playbook = ["ansible-playbook", "-i", "localhost,"]
        rival = [sys.executable, "-m", "tests.bench_probe.rival", str(DEADLINE_S)]
        listed = directory / "urls"
        empty, probes, pools = [], [], []
        # In turn, so that what else the machine does meets all of them.
        for _time in range(RUNS):
            empty.append(_run([*playbook, "empty.yml"], directory, env))
            probes.append(_run([*playbook, "probe.yml"], directory, env))
            pools.append(_run(rival, places.REPO, env, stdin=listed))
        said = probes[-1].output
        start = _row("an empty playbook", empty, "-")
        mine = _row(f"chain_probe, verdict ({_said('verdict', said)})", probes, _said("answered", said))
        bare = _row("(a) a pool of 64 threads that only fetches", pools, pools[-1].output.strip())
        missing = [tool for tool in ("curl", "jq", "xargs") if shutil.which(tool, path=env.get("PATH")) is None]
        if missing:
            print(f"  (b) xargs, curl and jq: not measured: {missing[0]} is missing")
        else:
            # Once: it takes a thousand times four processes.
            shell = _run(["sh", "-c", XARGS], directory, env)
            _row("(b) xargs -P 64, curl --max-time 3, jq", [shell], shell.output.strip())
        print(f"  without Ansible's own start it takes {(mine - start) / bare:.2f} times as long as (a)\n", flush=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """What ``./dev bench probe`` takes."""
    parser.add_argument("sizes", nargs="*", type=int, metavar="ENDPOINTS", help="how many; 100 and 1000 by default")


def main(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Run the benchmark; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="virtengine-incident-bench-") as folder:
        directory = Path(folder)
        (directory / "empty.yml").write_text(EMPTY, encoding="utf-8")
        (directory / "probe.yml").write_text(PROBE.replace("@DEADLINE@", str(DEADLINE_S)), encoding="utf-8")
        for endpoints in options.sizes or SIZES:
            _measure(endpoints, directory, env)
    return 0
