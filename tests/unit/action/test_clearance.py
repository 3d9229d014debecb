# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is cleared is one step with its action: nothing else runs on its host, and nothing at all on another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible_collections.virtengine.incident.plugins.action import incident_act, incident_check
from ansible_collections.virtengine.incident.plugins.modules import incident_act as documented
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import Refusal
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record import RunState
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import action as _act

REPO = Path(__file__).resolve().parents[3]
ACTS = registry.incident("chain_halt").acts
EVERY = sorted({act for acts in ACTS.values() for act in acts}, key=str)
PAIRS = [(action, act) for action in ACTS for act in EVERY]
RESTORED = _act.Act("double_sign_override", "absent")

STEPS = [
    {"number": 1, "action": "start_node", "host": "vh1"},
    {"number": 2, "action": "stop_node", "host": "vh2"},
]


@pytest.fixture
def state() -> Iterator[RunState]:
    made = RunState.create({"run": "run-1", "incident": "chain_halt", "who": "ops@laptop"})
    yield made
    made.remove()


def gate(state: RunState, **changes: Any) -> dict[str, Any]:
    issued = {
        "token": "t",
        "digest": "halt-0123456789abcdef",
        "controller_pid": os.getppid(),
        "steps": STEPS,
        "locked_on": ["vh1", "vh2"],
        **changes,
    }
    state.keep("gate", issued)
    return issued


def call(state: RunState, act: _act.Act) -> dict[str, Any]:
    given = {"unit": "virtengine.service", **({"state": act.state} if act.state is not None else {})}
    return {"run_dir": state.path, "token": "t", "module": act.module, "args": given}


def cleared(action: str, host: str = "vh1") -> dict[str, Any]:
    return {"step": 1, "action": action, "host": host}


@pytest.mark.parametrize(("action", "act"), PAIRS, ids=lambda value: str(getattr(value, "module", value)))
def test_a_step_lets_only_its_own_action_run(state: RunState, action: str, act: _act.Act) -> None:
    gate(state, cleared=cleared(action))
    if act in ACTS[action] or act == RESTORED:
        incident_act.allowed(call(state, act), "vh1")
        return
    with pytest.raises(Refusal, match=f"cleared on vh1 is {action} .step 1., and {act.module}.*does not belong to it"):
        incident_act.allowed(call(state, act), "vh1")


@pytest.mark.parametrize("act", [act for act in EVERY if act != RESTORED], ids=str)
def test_a_step_on_one_host_lets_nothing_run_on_another(state: RunState, act: _act.Act) -> None:
    gate(state, cleared=cleared("start_node"))
    with pytest.raises(Refusal, match="No step on vh2 is cleared"):
        incident_act.allowed(call(state, act), "vh2")


@pytest.mark.parametrize("given", [None, "", "Started", "stopped", ["started"], {"state": "started"}, True, 0])
def test_a_state_is_taken_as_it_stands(state: RunState, given: Any) -> None:
    gate(state, cleared=cleared("start_node"))
    with pytest.raises(Refusal, match="does not belong"):
        incident_act.allowed({**call(state, _act.Act("node_service")), "args": {"state": given}}, "vh1")


@pytest.mark.parametrize("action", ["", "start", "free_everything", "restore_", None])
def test_nothing_belongs_to_an_action_that_is_not_known(state: RunState, action: Any) -> None:
    gate(state, cleared=cleared(action))
    with pytest.raises(Refusal, match="does not belong"):
        incident_act.allowed(call(state, _act.Act("node_service", "started")), "vh1")


def test_only_what_restores_puts_back(state: RunState) -> None:
    gate(state)
    assert [act for act in EVERY if incident_act.puts_back(call(state, act))] == [RESTORED]
    assert not incident_act.puts_back({**call(state, RESTORED), "run_dir": "/nowhere"})


class Controller:
    """The check before a step, with an incident whose guards say what the test wants."""

    def __init__(self, state: RunState, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = state
        self.checked = {"ok": True, "needed": True, "wait": False, "moving": False, "height": 1, "because": "so"}
        self.action = incident_check.ActionModule.__new__(incident_check.ActionModule)
        self.asked: list[dict[str, Any]] = []
        state.keep("plan", {"steps": STEPS})
        state.keep("bundle", {})
        incident = SimpleNamespace(check_step=self._check_step, acts=ACTS)
        monkeypatch.setattr(incident_check.registry, "incident", lambda name: incident)
        monkeypatch.setattr(incident_check, "add_look", lambda bundle, look, variables: bundle)
        monkeypatch.setattr(incident_check, "still_locked", lambda run, hosts, variables: None)
        monkeypatch.setattr(self.action, "say", lambda lines: None)

    def _check_step(self, bundle: Any, plan: Any, step: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(step)
        return self.checked

    def before(self, step: dict[str, Any]) -> dict[str, Any]:
        args = {"step": step, "look": 3}
        answer: dict[str, Any] = self.action._before(self.state, args, {"hostvars": {}})
        return answer


@pytest.fixture
def controller(state: RunState, monkeypatch: pytest.MonkeyPatch) -> Controller:
    gate(state)
    return Controller(state, monkeypatch)


def test_what_the_guards_cleared_is_kept_with_its_number_host_and_action(controller: Controller) -> None:
    assert controller.before(STEPS[0])["needed"] is True
    assert controller.state.read("gate")["cleared"] == {"step": 1, "host": "vh1", "action": "start_node"}
    incident_act.allowed(call(controller.state, _act.Act("node_service", "started")), "vh1")
    with pytest.raises(Refusal, match="node_service stopped does not belong"):
        incident_act.allowed(call(controller.state, _act.Act("node_service", "stopped")), "vh1")


@pytest.mark.parametrize("answer", [{"ok": False}, {"needed": False}, {"ok": False, "wait": True}])
def test_the_step_before_clears_nothing_for_one_that_is_not_cleared(
    controller: Controller, answer: dict[str, Any]
) -> None:
    controller.before(STEPS[0])
    controller.checked = {**controller.checked, **answer}
    if answer == {"ok": False}:
        with pytest.raises(Refusal, match="was not taken"):
            controller.before(STEPS[1])
    else:
        controller.before(STEPS[1])
    assert controller.state.read("gate")["cleared"] is None


@pytest.mark.parametrize(
    "forged",
    [
        {**STEPS[0], "action": "stop_node"},
        {**STEPS[0], "host": "vh2"},
        {**STEPS[0], "number": 2},
        {**STEPS[0], "number": 3},
        {},
    ],
)
def test_a_step_that_was_not_approved_is_not_checked_at_all(controller: Controller, forged: dict[str, Any]) -> None:
    controller.before(STEPS[0])
    with pytest.raises(Refusal, match="no step of the approved plan"):
        controller.before(forged)
    assert controller.state.read("gate")["cleared"] is None and controller.asked == [STEPS[0]]


def test_the_guards_are_asked_about_the_step_that_was_approved(controller: Controller) -> None:
    controller.before({**STEPS[0], "taken_over": ["votes"]})
    assert controller.asked == [STEPS[0]]


def test_the_record_says_how_a_step_is_undone_before_it_is_taken(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[str, dict[str, Any]]] = []
    record = SimpleNamespace(append=lambda kind, data: kept.append((kind, data)), entries=list)
    monkeypatch.setattr(RunState, "record", lambda state: record)
    gate(controller.state, steps=[{**STEPS[0], "undo": "rename app.toml.incident-run-1 back"}])
    controller.before(STEPS[0])
    named = {"step": 1, "host": "vh1", "action": "start_node"}
    assert kept[-1] == ("action_started", {**named, "undo": "rename app.toml.incident-run-1 back"})


def tasks(path: Path) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def acts_of(path: Path) -> list[_act.Act]:
    """The acts of a file of tasks, and of the files that it includes."""
    found = []
    for task in tasks(path):
        given = task.get("virtengine.incident.incident_act")
        if given is not None:
            found.append(_act.Act(given["module"], given["args"].get("state")))
        included = task.get("ansible.builtin.include_tasks")
        if included is not None:
            found += acts_of(path.parents[1] / included)
    return found


def test_the_files_of_the_actions_do_what_the_table_says() -> None:
    folder = REPO / "roles" / "chain_halt" / "tasks" / "actions"
    assert {path.stem for path in folder.glob("*.yml")} == {*ACTS, "wait"}
    for action, acts in ACTS.items():
        assert acts_of(folder / f"{action}.yml") == list(acts), action


def test_the_documentation_names_the_modules_that_act() -> None:
    choices = yaml.safe_load(documented.DOCUMENTATION)["options"]["module"]["choices"]
    assert choices == incident_act.ACTING_MODULES
