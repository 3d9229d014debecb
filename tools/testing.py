# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test run: static checks, unit tests on each ansible-core, fleet tests; all of them, one count at the end."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tools import children, places, static
from tools.environment import FLOOR, Core, variables

STAGES = ("lint", "sanity", "unit", "deep", "fleet")
# The long scenarios: run when they are asked for. What a run without names leaves out is counted and printed.
MORE = "more"
FLEET_TESTS = "tests/scenarios"
# What `python3 -m tests.fleet check` answers on a machine that cannot carry hosts.
CANNOT_CARRY_HOSTS = 3
# What pytest answers when no test was selected.
NOTHING_SELECTED = 5


@dataclass
class Tally:
    """Tests counted over all pytest runs, and the stages that failed for any reason."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    bad_stages: list[str] = field(default_factory=list)

    def bad(self, stage: str) -> None:
        """Note a stage as failed, once."""
        if stage not in self.bad_stages:
            self.bad_stages.append(stage)


def run(stages: tuple[str, ...], cores: list[Core]) -> int:
    """Run the stages, all of them whatever happens. Returns the exit code: 0 when nothing failed, else 1."""
    tally = Tally()
    start = time.monotonic()
    with children.ended_with_us():
        _static(set(stages), tally)
        if "unit" in stages:
            _unit(cores, tally)
        if "deep" in stages:
            _headline(f"deep tests on {FLOOR.name}")
            _settle(_pytest("deep", FLOOR, ["tests/unit", "-m", "deep", *_workers()]), tally)
        if "fleet" in stages:
            _fleet(cores, tally)
        if MORE in stages:
            _more(tally)
        elif "fleet" in stages:
            print(f"\n{_count_more()} long fleet scenarios were left out: ./dev test {MORE} runs them.", flush=True)
    print(f"\n{time.monotonic() - start:.0f} s in all", flush=True)
    if tally.bad_stages:
        print(f"failed: {', '.join(tally.bad_stages)}")
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped", flush=True)
    return 1 if tally.bad_stages else 0


def _headline(text: str) -> None:
    print(f"\n== {text}", flush=True)


def _say(passed: bool, stage: str, seconds: float) -> None:
    print(f"{'ok    ' if passed else 'FAILED'} {seconds:6.1f} s  {stage}", flush=True)


def _static(stages: set[str], tally: Tally) -> None:
    todo = static.checks(stages)
    if not todo:
        return
    _headline("static checks")
    for check, outcome, seconds in static.run(todo):
        _say(outcome.passed, f"{check.stage}: {check.name}", seconds)
        if outcome.note:
            print(f"       {outcome.note}", flush=True)
        if not outcome.passed:
            tally.bad(check.stage)
            print(outcome.text.rstrip(), flush=True)


@dataclass(frozen=True)
class _Ran:
    """A pytest run that has ended."""

    stage: str
    core: Core
    report: Path
    code: int
    output: str
    seconds: float


def _unit(cores: list[Core], tally: Tally) -> None:
    """The unit tests on all cores at once: half of their time they wait. What each printed is shown when it ends."""
    _headline(f"unit tests on {' and '.join(core.name for core in cores)}")
    with ThreadPoolExecutor(len(cores)) as pool:
        running = [
            pool.submit(
                _pytest,
                "unit",
                core,
                ["tests/unit", "-m", "not deep" if core == FLOOR else "not deep and not one_core", *_workers()],
                capture=True,
            )
            for core in cores
        ]
        for run_of_core in running:
            ran = run_of_core.result()
            print(ran.output.rstrip(), flush=True)
            _settle(ran, tally)


def _workers() -> list[str]:
    return ["-n", str(max(2, os.cpu_count() or 1)), "--dist", "worksteal"]


def _pytest(stage: str, core: Core, arguments: list[str], *, capture: bool = False) -> _Ran:
    """One pytest run, its output shown as it comes or, with ``capture``, kept."""
    report = places.cache() / "reports" / f"{stage}-{core.name}-{os.getpid()}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    command = [str(core.python), "-m", "pytest", "-q", "-rs", f"--junitxml={report}", *arguments]
    done = children.run(command, env=variables(core), cwd=places.REPO, capture=capture)
    return _Ran(stage, core, report, done.returncode, done.stdout, time.monotonic() - start)


def _settle(ran: _Ran, tally: Tally) -> None:
    """Count a run's tests by its JUnit report, and say how it went."""
    counted = _count(ran.report, tally)
    ran.report.unlink(missing_ok=True)
    passed = ran.code == 0 and counted > 0
    if ran.code == NOTHING_SELECTED or (ran.code == 0 and not counted):
        print("no test was found", flush=True)
    _say(passed, f"{ran.stage} tests on {ran.core.name}", ran.seconds)
    if not passed:
        tally.bad(f"{ran.stage} ({ran.core.name})")


def _count(report: Path, tally: Tally) -> int:
    """Add the numbers of a JUnit report; the number of tests in it. A run that died early left no report."""
    if not report.is_file():
        return 0
    total = 0
    # The report was written by the pytest that we started, so it is no hostile XML.
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        tests, skipped = int(suite.get("tests", "0")), int(suite.get("skipped", "0"))
        failed = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        tally.failed += failed
        tally.skipped += skipped
        tally.passed += max(tests - skipped - failed, 0)
        total += tests
    return total


def _fleet(cores: list[Core], tally: Tally) -> None:
    """Tests on real hosts. On a machine that cannot carry them it is said how many did not run, and why."""
    scenarios = sorted(path.parent.name for path in (places.REPO / "molecule").glob("*/molecule.yml"))
    env = variables(FLOOR)
    check = children.run([sys.executable, "-m", "tests.fleet", "check"], env=env, cwd=places.REPO, capture=True)
    if check.returncode == CANNOT_CARRY_HOSTS:
        _not_run(scenarios, check.stdout, tally)
        return
    if check.returncode:
        _headline("fleet tests")
        print(f"python3 -m tests.fleet check failed:\n{check.stdout.rstrip()}", flush=True)
        tally.bad("fleet")
        return
    for core in cores:
        marker = "fleet and not more" if core == FLOOR else "fleet and both_cores"
        _headline(f"fleet tests on {core.name}")
        _settle(_pytest("fleet", core, [FLEET_TESTS, "-m", marker, "--durations=10"]), tally)
    for scenario in scenarios:
        _headline(f"molecule {scenario}")
        start = time.monotonic()
        done = children.run(["molecule", "test", "-s", scenario], env=env, cwd=places.REPO)
        _say(done.returncode == 0, f"molecule {scenario}", time.monotonic() - start)
        if done.returncode:
            tally.bad(f"molecule {scenario}")


def _more(tally: Tally) -> None:
    _headline(f"long fleet scenarios on {FLOOR.name}")
    _settle(_pytest("fleet", FLOOR, [FLEET_TESTS, "-m", "fleet and more"]), tally)


def _count_more() -> int:
    command = [str(FLOOR.python), "-m", "pytest", "--collect-only", "-q", "-m", "fleet and more", FLEET_TESTS]
    listed = children.run(command, env=variables(FLOOR), cwd=places.REPO, capture=True)
    return sum("::" in line for line in listed.stdout.splitlines())


def _not_run(scenarios: list[str], why: str, tally: Tally) -> None:
    _headline("fleet tests")
    command = [str(FLOOR.python), "-m", "pytest", "--collect-only", "-q", "-m", "fleet", FLEET_TESTS]
    listed = children.run(command, env=variables(FLOOR), cwd=places.REPO, capture=True)
    if listed.returncode:
        print(listed.stdout.rstrip(), flush=True)
        tally.bad("fleet")
    number = len(scenarios) + sum("::" in line for line in listed.stdout.splitlines())
    tally.skipped += number
    print(f"{number} fleet tests did NOT run, because this machine cannot carry hosts:\n{why.rstrip()}", flush=True)
    if os.environ.get("CI") == "true":
        print("Under CI=true that is a failure.", flush=True)
        tally.bad("fleet")
