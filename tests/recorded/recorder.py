# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorder: makes the cases on a real fleet and keeps the evidence (started by ``tests.recorded.record``).

Each case is made on a fleet of its own by its real fault, ``ansible-playbook chain_halt.yml -i validators`` is run, and
the evidence that this run judged is kept as ``tests/data/recorded/<case>.json``, with what was done and what came of it
in ``index.json``. A verdict other than the case's own is kept too, and reported: one of the two is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry

from tests.recorded import losses
from tests.recorded.case import LAYOUTS, SETTINGS, Case
from tests.recorded.cases import CASES
from tests.scenarios.fleet import REPO, Fleet
from tests.scenarios.responder import LONGEST_RUN_S, Responder
from tools import site

DATA = REPO / "tests/data/recorded"
RIG = "rec"
RIG_COMMAND = (sys.executable, "-m", "tests.fleet")
FIRST_ANSWER = "FIRST ANSWER"


class Watched:
    """One run of the playbook, watched: its output, its times, and the evidence it judged.

    A run over a healthy chain keeps no record. Its evidence is taken from the run's own private directory, which is
    there as long as the run is: each file in it is replaced as a whole, so what is read is never half of one.
    """

    def __init__(self, responder: Responder, scratch: Path) -> None:
        self.bundle: dict[str, Any] = {}
        self.lines: list[str] = []
        self.first_s: float | None = None
        responder.environment["TMPDIR"] = str(scratch)
        self.began = time.monotonic()
        process = responder.start()
        listener = threading.Thread(target=self._listen, args=(process,), daemon=True)
        listener.start()
        try:
            while process.poll() is None and time.monotonic() - self.began < LONGEST_RUN_S:
                self._look(scratch)
                time.sleep(0.05)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        self.end_s = time.monotonic() - self.began
        self.code = process.wait()
        listener.join(10)

    def _look(self, scratch: Path) -> None:
        for path in scratch.glob("virtengine-incident-*/bundle.json"):
            try:
                self.bundle = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:
                # The run ended between the two calls.
                continue

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self.lines.append(line)
            if self.first_s is None and FIRST_ANSWER in line:
                self.first_s = time.monotonic() - self.began


def _do(fleet: Fleet, step: tuple[str, ...]) -> None:
    print(f"  {' '.join(step)}", flush=True)
    kind, *words = step
    if kind == "fault":
        fleet.fault(*words)
    elif kind == "heal":
        fleet.heal(*words)
    elif kind == "on":
        fleet.on(words[0], words[1])
    elif kind == "halted":
        fleet.wait_until_halted(words[0])
    elif kind == "moving":
        fleet.wait_for_blocks(words[0])
    elif kind == "sleep":
        time.sleep(float(words[0]))
    else:
        raise ValueError(f"no step is called {kind}")


def _stand(layout: str) -> Fleet:
    """The fleet in that layout, healed, with a chain that moves."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"hosts": LAYOUTS[layout], **SETTINGS.get(layout, {})}, file)
        file.flush()
        up = [*RIG_COMMAND, "up", "--name", RIG, "--layout", file.name, "--owner-pid", str(os.getpid())]
        if subprocess.run(up, cwd=REPO, check=False, timeout=900).returncode:
            # What the case before left cannot be healed: a fleet made anew owes nothing to it.
            subprocess.run([*RIG_COMMAND, "down", "--name", RIG], cwd=REPO, check=True, timeout=120)
            subprocess.run(up, cwd=REPO, check=True, timeout=900)
    where = subprocess.run(
        [*RIG_COMMAND, "inventory", "--name", RIG], cwd=REPO, check=True, capture_output=True, text=True
    ).stdout.strip()
    fleet = Fleet(RIG, Path(where).parent)
    for host in ("vh1", "vh2"):
        fleet.wait_for_blocks(host, 6)
    return fleet


def _judge(bundle: dict[str, Any]) -> dict[str, Any]:
    """Verdict and plan of a bundle, cut to what the index keeps."""
    verdict, plan = losses.judge(registry.evidence(bundle)[1])
    return {
        "status": verdict["status"],
        "severity": verdict["severity"],
        "confirmed": verdict["confirmed"],
        "causes": {cause["id"]: cause["role"] for cause in verdict["causes"]},
        "power": verdict["details"]["power"],
        "validators": {row["name"]: row["state"] for row in verdict["details"]["validators"]},
        "plan": [[step["action"], host] for step in plan["steps"] for host in step["hosts"]],
        "withheld": sorted(host for entry in plan["withheld"] for host in entry["hosts"]),
        "summary": verdict["summary"],
    }


def _differences(case: Case, seen: dict[str, Any]) -> list[str]:
    wanted = {
        "status": case.status,
        "causes": case.causes,
        "plan": [list(step) for step in case.plan],
        "withheld": sorted(case.withheld),
    }
    return [f"{key}: must be {value}, is {seen[key]}" for key, value in wanted.items() if seen[key] != value]


def _record(case: Case, fleet: Fleet) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="recorded-") as directory:
        scratch = Path(directory, "tmp")
        scratch.mkdir()
        site.write(Path(directory, "site"), fleet.state / "validators")
        for step in case.script:
            _do(fleet, step)
        watched = Watched(Responder(Path(directory, "site")), scratch)
        kept = sorted(Path(directory).glob("site/incidents/*/evidence-*.json"))
        bundle = json.loads(kept[-1].read_text(encoding="utf-8")) if kept else watched.bundle
    print("".join(watched.lines), flush=True)
    if watched.code or not bundle:
        return [f"the run ended with {watched.code}, {'with' if bundle else 'without'} evidence"]
    text = json.dumps(bundle, sort_keys=True, separators=(",", ":")) + "\n"
    (DATA / f"{case.name}.json").write_text(text, encoding="utf-8")
    seen = _judge(bundle)
    index = DATA / "index.json"
    entries = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
    entries[case.name] = {
        "about": case.about,
        "done": [" ".join(step) for step in case.script],
        "recorded_at": bundle["taken_at"],
        "layout": LAYOUTS[case.layout],
        "seconds": {"first_answer": round(watched.first_s or 0, 1), "end": round(watched.end_s, 1)},
        **seen,
    }
    index.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return _differences(case, seen)


def parser() -> argparse.ArgumentParser:
    """What may be typed behind ``python3 -m tests.recorded.record``."""
    found = argparse.ArgumentParser(prog="python3 -m tests.recorded.record", description=__doc__)
    found.add_argument("cases", nargs="*", metavar="CASE", help="default: all")
    found.add_argument("--keep", action="store_true", help="leave the fleet standing at the end")
    return found


def main() -> int:
    """Record the named cases; 1 when a verdict is not what its case says."""
    options = parser().parse_args()
    unknown = sorted(set(options.cases) - {case.name for case in CASES})
    if unknown:
        parser().error(f"no case is called {', '.join(unknown)}. There are: {', '.join(case.name for case in CASES)}")
    meant = [case for case in CASES if not options.cases or case.name in options.cases]
    DATA.mkdir(parents=True, exist_ok=True)
    wrong: dict[str, list[str]] = {}
    try:
        for case in sorted(meant, key=lambda case: list(LAYOUTS).index(case.layout)):
            print(f"== {case.name}: {case.about}", flush=True)
            try:
                wrong[case.name] = _record(case, _stand(case.layout))
            except (AssertionError, subprocess.SubprocessError) as error:
                wrong[case.name] = [str(error)]
            print(f"-- {case.name}: {'; '.join(wrong[case.name]) or 'as it must be'}", flush=True)
    finally:
        if not options.keep:
            subprocess.run([*RIG_COMMAND, "down", "--name", RIG], cwd=REPO, check=False, timeout=120)
    bad = {name: lines for name, lines in wrong.items() if lines}
    for name, lines in bad.items():
        print(f"{name}:\n  " + "\n  ".join(lines))
    print(f"{len(wrong) - len(bad)} of {len(wrong)} as they must be")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
