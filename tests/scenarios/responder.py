# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engineer of the scenarios: types the command in the site directory and reads what comes back."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.site import CHAIN_HALT, Incident

DIGEST = re.compile(r"incident_approve=([a-z][a-z0-9_]*-[0-9a-f]{16})")
# A run over dead hosts waits for each deadline; one that verifies looks at most 15 times. On a busy machine.
LONGEST_RUN_S = 1200


@dataclass
class Run:
    """One run of the playbook: what it printed and what its record says."""

    code: int
    output: str
    entries: list[dict[str, Any]]
    verdict: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        found = DIGEST.findall(self.output)
        if not found:
            raise AssertionError(f"no plan was printed:\n{self.output}")
        return str(found[-1])

    @property
    def causes(self) -> list[str]:
        return [cause["id"] for cause in self.verdict["causes"]]

    def kinds(self) -> list[str]:
        return [entry["kind"] for entry in self.entries]

    def steps(self) -> list[tuple[str, str]]:
        return [(step["action"], host) for step in self.plan["steps"] for host in step["hosts"]]


class Responder:
    """Runs ``ansible-playbook chain_halt.yml -i validators`` as a person would, or the same of another incident.

    ``programs``: where Ansible's programs are, by default those of this Python.
    """

    def __init__(
        self, site: Path, programs: Path = Path(sys.executable).parent, incident: Incident = CHAIN_HALT
    ) -> None:
        self.site = site
        self.playbook = f"{incident.name}.yml"
        self.inventory = incident.inventory
        self.environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.environment.pop("ANSIBLE_COLLECTIONS_PATH", None)

    def start(
        self, *arguments: str, inventory: str | None = None, playbook: str | None = None
    ) -> subprocess.Popen[str]:
        command = ["ansible-playbook", playbook or self.playbook, "-i", inventory or self.inventory, *arguments]
        return subprocess.Popen(
            command,
            cwd=self.site,
            env={**self.environment, "PWD": str(self.site)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def run(self, *arguments: str, inventory: str | None = None, playbook: str | None = None) -> Run:
        before = self._lines()
        process = self.start(*arguments, inventory=inventory, playbook=playbook)
        output = self._output(process)
        return self._told(process.returncode, output, before)

    def run_twice_at_once(self, *arguments: str) -> list[Run]:
        """Two runs that begin at the same moment. Each has the entries of both, since they write one record."""
        before = self._lines()
        processes = [self.start(*arguments) for _run in range(2)]
        outputs = [self._output(process) for process in processes]
        return [self._told(process.returncode, output, before) for process, output in zip(processes, outputs)]

    def _output(self, process: subprocess.Popen[str]) -> str:
        try:
            output, _nothing = process.communicate(timeout=LONGEST_RUN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _nothing = process.communicate()
            raise AssertionError(f"the run did not end in {LONGEST_RUN_S} s:\n{output}") from None
        print(output)
        return output

    def _told(self, code: int, output: str, before: dict[Path, int]) -> Run:
        entries, where = [], None
        for journal, lines in self._read().items():
            new = [json.loads(line) for line in lines[before.get(journal, 0) :]]
            if new:
                entries, where = new, journal.parent
        run = Run(code, output, entries)
        if where is not None:
            run.verdict = json.loads((where / "verdict.json").read_text(encoding="utf-8"))
            planned = [entry["data"] for entry in entries if entry["kind"] == "plan"]
            if planned:
                # The plan's own file has the messages as well; a plan without steps has none.
                whole = where / f"plan-{planned[-1]['digest']}.json"
                run.plan = json.loads(whole.read_text(encoding="utf-8")) if whole.exists() else planned[-1]
        return run

    def kill_at(self, process: subprocess.Popen[str], text: str) -> str:
        """SIGKILL the run and all its workers when ``text`` is printed."""
        seen = []
        deadline = time.monotonic() + LONGEST_RUN_S
        if process.stdout is None:
            raise AssertionError("the run has no output to read")
        while time.monotonic() < deadline:
            line = process.stdout.readline()
            if not line:
                raise AssertionError(f"the run ended before it printed {text!r}:\n{''.join(seen)}")
            seen.append(line)
            if text in line:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return "".join(seen)
        raise AssertionError(f"{text!r} was not printed in {LONGEST_RUN_S} s:\n{''.join(seen)}")

    def _journals(self) -> list[Path]:
        return sorted((self.site / "incidents").glob("*/journal.jsonl"))

    def _read(self) -> dict[Path, list[str]]:
        return {path: path.read_text(encoding="utf-8").splitlines() for path in self._journals()}

    def _lines(self) -> dict[Path, int]:
        return {path: len(lines) for path, lines in self._read().items()}

    def last_run(self) -> str:
        """The name of the run that wrote last into the record. A run that was killed may have left half a line."""
        (lines,) = self._read().values()
        for line in reversed(lines):
            with contextlib.suppress(ValueError):
                return str(json.loads(line)["run"])
        raise AssertionError("the record has no entry")
