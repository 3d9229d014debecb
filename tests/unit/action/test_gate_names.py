# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate puts the names of runs into the undo of the steps that it lets a run take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.action import incident_gate
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record import Record, RunState
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan

from tests.unit.plugin_utils._path.render import samples

UNDO = "With the unit stopped, rename config/app.toml.incident-RUN on vh1 back to config/app.toml."
STEPS = [
    samples.step(1, "clear_halt_height", "vh1", 42, 42, undo=UNDO),
    samples.step(2, "start_node", "vh1", 42, 76),
]
PLAN = samples.plan(steps=STEPS)


class Gate:
    """The gate of one run, over a plan that comes out the same each time."""

    def __init__(self, folder: Path, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
        facts = {"run": run, "incident": "chain_halt", "check_mode": False, "replay": False, "who": "ops@laptop"}
        facts.update(record_dir=str(folder), record_path=str(folder / "one"))
        (folder / "one").mkdir(exist_ok=True)
        self.state = RunState.create(facts)
        look = {"host": "vh1", "look": 2, "ok": True, "source": "node_evidence"}
        self.state.keep("bundle", {"observations": [look]})
        self.state.keep("verdict", samples.verdict())
        self.action = incident_gate.ActionModule.__new__(incident_gate.ActionModule)
        incident = SimpleNamespace(plan=lambda bundle, verdict, reason: PLAN)
        monkeypatch.setattr(incident_gate.registry, "incident", lambda name: incident)

    def ask(self, approve: str | None) -> dict[str, Any]:
        args = {"run_dir": self.state.path, "approve": approve, "break_glass_reason": None}
        answer: dict[str, Any] = self.action.step(args, {"ansible_play_hosts_all": [], "hostvars": {}})
        return answer

    def record(self) -> Record:
        return self.state.record()


@pytest.fixture
def gates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Gate]]:
    made = [Gate(tmp_path, f"run-{letter}", monkeypatch) for letter in "abc"]
    yield made
    for gate in made:
        gate.state.remove()


def test_a_plan_that_is_printed_has_no_run(gates: list[Gate]) -> None:
    assert gates[0].ask(None)["act"] is False
    assert gates[0].state.read("plan")["steps"][0]["undo"] == UNDO


def test_an_approved_plan_has_the_name_of_its_run(gates: list[Gate]) -> None:
    gates[0].ask(None)
    answer = gates[1].ask(PLAN["digest"])
    assert answer["act"] and not answer["resumed"]
    for steps in (answer["steps"], gates[1].state.read("gate")["steps"]):
        assert steps[0]["undo"] == UNDO.replace("RUN", "run-b") and steps[1] == STEPS[1]
    assert plan.digest(dict(PLAN, steps=answer["steps"])) == PLAN["digest"]


def test_a_run_that_goes_on_names_the_one_that_may_have_kept_the_file(gates: list[Gate]) -> None:
    gates[0].ask(None)
    gates[1].ask(PLAN["digest"])
    record = gates[1].record()
    record.append("approved", {"who": "ops@laptop", "digest": PLAN["digest"]})
    record.append("action_started", {"step": 1, "host": "vh1", "action": "clear_halt_height"})
    answer = gates[2].ask(PLAN["digest"])
    assert answer["act"] and answer["resumed"]
    assert "app.toml.incident-run-b or .incident-run-c on vh1" in answer["steps"][0]["undo"]
