# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cleared action lets run is what its file of tasks runs, no more and no less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Incident

from tests.recorded.kept import kept

REPO = Path(__file__).resolve().parents[5]
ACT = "virtengine.incident.incident_act"
ACTING = [incident for incident in registry.known() if incident.acts]


def folder(incident: Incident) -> Path:
    return REPO / "roles" / incident.name / "tasks/actions"


def tasks(path: Path) -> list[dict[str, Any]]:
    """The tasks of a file, and of the files that it includes in their place."""
    found = []
    for task in yaml.safe_load(path.read_text(encoding="utf-8")):
        included = task.get("ansible.builtin.include_tasks")
        found += [task] if included is None else tasks(path.parents[1] / included)
    return found


def calls(path: Path) -> list[tuple[str, Any]]:
    found = []
    for task in tasks(path):
        if ACT in task:
            name, args = task[ACT]["module"], task[ACT]["args"]
            # A login is combined with what is done, and that comes last: it wins.
            if isinstance(args, str):
                args = task["vars"][str(args.rpartition("combine(")[2].partition(")")[0])]
            found.append((name if "." in name else f"virtengine.incident.{name}", args.get("state")))
    return found


@pytest.mark.parametrize("incident", ACTING, ids=lambda incident: incident.name)
def test_the_files_of_the_actions_do_what_the_table_says(incident: Incident) -> None:
    files = {path.stem for path in folder(incident).glob("*.yml")}
    included = {
        Path(task["ansible.builtin.include_tasks"]).stem
        for path in folder(incident).glob("*.yml")
        for task in yaml.safe_load(path.read_text(encoding="utf-8"))
        if "ansible.builtin.include_tasks" in task
    }
    assert files == {*incident.actions, *included}
    for name, action in incident.actions.items():
        assert calls(folder(incident) / f"{name}.yml") == [(call.module, call.state) for call in action.calls], name


@pytest.mark.parametrize("incident", ACTING, ids=lambda incident: incident.name)
def test_an_action_touches_only_the_hosts_of_its_step(incident: Incident) -> None:
    for path in folder(incident).glob("*.yml"):
        for task in tasks(path):
            conditions = task.get("when")
            listed = conditions if isinstance(conditions, list) else [conditions]
            assert "inventory_hostname in incident_step.hosts" in listed, f"{path.name}: {task['name']}"


@pytest.mark.parametrize("incident", ACTING, ids=lambda incident: incident.name)
def test_what_undoes_another_action_is_one_of_the_same_incident(incident: Incident) -> None:
    for action in incident.actions.values():
        assert action.undoes is None or action.undoes in incident.actions


# What a step may be approved with, by the names of the modules' options.
APPROVED = {"unit", "home", "expected", "expected_time", "reconnect", "address"}


@pytest.mark.parametrize("incident", ACTING, ids=lambda incident: incident.name)
def test_what_a_step_was_approved_with_is_what_its_calls_are_given(incident: Incident) -> None:
    """An option that has the name of a parameter is refused where it has another value."""
    for path in folder(incident).glob("*.yml"):
        for call in (task[ACT]["args"] for task in tasks(path) if ACT in task):
            for name in APPROVED & set(call):
                assert f"incident_step.parameters.{name}" in call[name], f"{path.name}: {name}"


def test_the_parameters_of_recorded_plans_are_those() -> None:
    seen = set()
    for one in kept():
        bundle = one.bundle()
        incident = registry.incident(bundle["incident"])
        for step in incident.plan(bundle, incident.assess(bundle), None)["steps"]:
            seen |= set(step["parameters"])
    assert seen <= APPROVED and {"unit", "home"} <= seen
