# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test run: static checks, unit tests on each ansible-core, fleet tests; all of them, one count at the end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from tools import children, places, static
from tools.environment import FLOOR, Core, variables

STAGES = ("lint", "sanity", "unit", "deep", "fleet")
# The long scenarios: run when they are asked for. What a run without names leaves out is printed by name.
MORE = "more"
FLEET_TESTS = "tests/scenarios"
# What `python3 -m tests.fleet check` answers on a machine that cannot carry hosts.
CANNOT_CARRY_HOSTS = 3
# What pytest answers when no test was selected.
NOTHING_SELECTED = 5


@dataclass
class Tally:
    """Tests counted over all pytest runs, the stages that failed for any reason, and the seconds of each part."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    bad_stages: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def bad(self, stage: str) -> None:
        """Note a stage as failed, once."""
        if stage not in self.bad_stages:
            self.bad_stages.append(stage)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Keep how long this block takes, whatever becomes of it."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = time.monotonic() - start


def run(stages: tuple[str, ...], cores: list[Core], setup_s: float) -> int:
    """Run the stages, all of them whatever happens. Returns the exit code: 0 when nothing failed, else 1.

    ``setup_s``: how long the set-up took that went before, in seconds.
    """
    tally = Tally(seconds={"set-up": setup_s})
    with children.ended_with_us():
        _static(set(stages), tally)
        if "unit" in stages:
            with tally.timed("unit"):
                _unit(tally)
        if "deep" in stages:
            with tally.timed("deep"):
                _deep(cores, tally)
        if "fleet" in stages:
            _fleet(tally)
        if MORE in stages:
            with tally.timed(MORE):
                _more(tally)
        elif "fleet" in stages:
            _name_more()
    _headline("seconds of each stage")
    for part, seconds in (*tally.seconds.items(), ("in all", sum(tally.seconds.values()))):
        print(f"{seconds:8.0f}  {part}")
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
    with tally.timed(" and ".join(sorted({check.stage for check in todo}))):
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


def _unit(tally: Tally) -> None:
    _headline(f"unit tests on {FLOOR.name}")
    _settle(_pytest("unit", FLOOR, ["tests/unit", "-m", "not deep", *_workers()]), tally)


def _deep(cores: list[Core], tally: Tally) -> None:
    """What takes long, and what another ansible-core could change on that one, at once: half of their time they wait.

    What each printed is shown when it ends.
    """
    others = [core for core in cores if core != FLOOR]
    _headline(f"deep tests on {FLOOR.name}{''.join(f', unit tests on {core.name}' for core in others)}")
    runs = [
        ("deep", FLOOR, ["-m", "deep", *_workers()]),
        *(("unit", core, ["-m", "each_core and not deep"]) for core in others),
    ]
    with ThreadPoolExecutor(len(runs)) as pool:
        running = [
            pool.submit(_pytest, stage, core, ["tests/unit", *arguments], capture=True)
            for stage, core, arguments in runs
        ]
        for one in running:
            ran = one.result()
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


def _fleet(tally: Tally) -> None:
    """Tests on real hosts. On a machine that cannot carry them it is said how many did not run, and why."""
    scenarios = sorted(path.parent.name for path in (places.REPO / "molecule").glob("*/molecule.yml"))
    env = variables(FLOOR)
    rig = [sys.executable, "-m", "tests.fleet"]
    check = children.run([*rig, "check"], env=env, cwd=places.REPO, capture=True)
    if check.returncode == CANNOT_CARRY_HOSTS:
        _not_run(scenarios, check.stdout, tally)
        return
    if check.returncode:
        _headline("fleet tests")
        print(f"python3 -m tests.fleet check failed:\n{check.stdout.rstrip()}", flush=True)
        tally.bad("fleet")
        return
    # Timed on its own: it takes minutes once, and a second the next time.
    _headline("what all fleets are made of")
    with tally.timed("fleet: build"):
        built = children.run([*rig, "build"], env=env, cwd=places.REPO).returncode == 0
    if not built:
        tally.bad("fleet")
        return
    _headline(f"fleet tests on {FLOOR.name}")
    with tally.timed("fleet: scenarios"):
        _settle(_pytest("fleet", FLOOR, [FLEET_TESTS, "-m", "fleet and not more", "--durations=0"]), tally)
    for scenario in scenarios:
        _headline(f"molecule {scenario}")
        start = time.monotonic()
        with tally.timed(f"fleet: molecule {scenario}"):
            done = children.run(["molecule", "test", "-s", scenario], env=env, cwd=places.REPO)
        _say(done.returncode == 0, f"molecule {scenario}", time.monotonic() - start)
        if done.returncode:
            tally.bad(f"molecule {scenario}")


def _more(tally: Tally) -> None:
    _headline(f"long fleet scenarios on {FLOOR.name}")
    _settle(_pytest("fleet", FLOOR, [FLEET_TESTS, "-m", "fleet and more", "--durations=0"]), tally)


def _selected(marker: str) -> tuple[bool, list[str]]:
    """Whether the fleet tests could be listed, and the names of those that the marker selects."""
    command = [str(FLOOR.python), "-m", "pytest", "--collect-only", "-q", "-m", marker, FLEET_TESTS]
    listed = children.run(command, env=variables(FLOOR), cwd=places.REPO, capture=True)
    names = [line.removeprefix(f"{FLEET_TESTS}/") for line in listed.stdout.splitlines() if "::" in line]
    if listed.returncode not in (0, NOTHING_SELECTED):
        print(listed.stdout.rstrip(), flush=True)
        return False, names
    return True, names


def _name_more() -> None:
    _listed, names = _selected("fleet and more")
    print(f"\n{len(names)} long fleet scenarios were left out; ./dev test {MORE} runs them:")
    print("\n".join(f"  {name}" for name in names), flush=True)


def _not_run(scenarios: list[str], why: str, tally: Tally) -> None:
    _headline("fleet tests")
    listed, names = _selected("fleet and not more")
    if not listed:
        tally.bad("fleet")
    number = len(scenarios) + len(names)
    tally.skipped += number
    print(f"{number} fleet tests did NOT run, because this machine cannot carry hosts:\n{why.rstrip()}", flush=True)
    if os.environ.get("CI") == "true":
        print("Under CI=true that is a failure.", flush=True)
        tally.bad("fleet")
