# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An act runs only under this run's gate, on the host and with the module that its guards cleared; what goes wrong is told."""

from __future__ import annotations

import os
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils._internal._datatag import AnsibleTaggedObject
from ansible_collections.virtengine.incident.plugins.action import incident_act
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import Refusal
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.action import Action, Call

from tests.unit.action.steps import SCOPE, SWITCH, Run, Runs, changed
from tests.unit.lamp import LAMP

QUERY = "community.postgresql.postgresql_query"
# Two more actions: one of another collection's module, without a state, and one of two calls.
ACTIONS = {
    **LAMP.actions,
    "cancel": Action("cancel what runs on", (Call(QUERY),)),
    "replace": Action("replace the lamp of", (Call(SWITCH, "off"), Call(SWITCH, "on", "lit"))),
}
CALLS = sorted({call for action in ACTIONS.values() for call in action.calls}, key=str)
PAIRS = [(action, call) for action in ACTIONS for call in CALLS]
HOSTS = ("api-1", "api-2", "api-3")
ISSUED = "0123456789abcdef"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    runs = Runs(tmp_path, monkeypatch)
    yield runs.new(changed(actions=ACTIONS), HOSTS)
    runs.end()


def clear(run: Run, action: str = "turn_on", hosts: t.Sequence[str] = ("api-1",), **gate: t.Any) -> None:
    """The gate of the run after the guards cleared a step."""
    issued = {
        "token": ISSUED,
        "controller_pid": os.getppid(),
        "locked_on": list(HOSTS),
        "cleared": {"step": 1, "action": action, "hosts": list(hosts), "parameters": {"watts": 5}, "noted": "step1"},
    }
    run.state.keep("gate", {**issued, **gate})


def args_of(call: Call) -> dict[str, t.Any]:
    return {"watts": 5, **({"state": call.state} if call.state is not None else {})}


def untouched(module: str, args: t.Any) -> t.Any:
    raise AssertionError(f"{module} ran")


def refused(run: Run, module: str, args: t.Any = None, host: str = "api-1", token: str = ISSUED) -> str:
    """Why a call does not run; the module must not have been reached, and nothing is noted as done."""
    result = run.act(module, {"state": "on"} if args is None else args, host, untouched, token)
    assert (result["failed"], result["ok"], result["changed"]) == (True, False, False)
    assert "Nothing was done on this host" in result["msg"] and result["error"]["kind"] == "refused"
    assert run.state.noted("step1") == {}
    said: str = result["msg"]
    return said


def test_what_the_guards_cleared_runs_and_is_noted(run: Run) -> None:
    clear(run)
    asked: list[t.Any] = []

    def answer(module: str, args: t.Any) -> t.Any:
        asked.append((module, args))
        return {"changed": True, "lit": True, "_ansible_verbose": 1}

    result = run.act("lamp_switch", {"state": "on", "watts": 5}, "api-1", answer, ISSUED)
    assert asked == [(SWITCH, {"state": "on", "watts": 5})]
    assert (result["ok"], result["changed"], result["error"]) == (True, True, None)
    assert result["answer"] == {"changed": True, "lit": True}
    (noted,) = run.state.noted("step1")["api-1"]
    assert noted == {"module": SWITCH, "args": {"state": "on", "watts": 5}, **{key: result[key] for key in DONE}}


DONE = ("ok", "error", "answer", "started_at", "finished_at")


@pytest.mark.parametrize(
    "change",
    [
        {"token": "another"},
        {"controller_pid": 1},
        {"cleared": None},
        {"cleared": {"step": 1, "action": "turn_on", "hosts": ["api-2"], "noted": "step1"}},
        {"locked_on": ["api-2"]},
        {"locked_on": []},
    ],
    ids=["token", "another run", "nothing", "another host", "unlocked", "lost"],
)
def test_without_the_gate_nothing_acts(run: Run, change: dict[str, t.Any]) -> None:
    clear(run, **change)
    refused(run, "lamp_switch")


@pytest.mark.parametrize("token", ["", "None", ISSUED[:-1], ISSUED.upper()])
def test_no_other_token_opens_it(run: Run, token: str) -> None:
    clear(run)
    assert "not issued by the gate of this run" in refused(run, "lamp_switch", token=token)


def test_a_run_without_a_gate_cannot_act_and_cannot_lock(run: Run) -> None:
    assert "not issued by the gate" in refused(run, "lamp_switch")
    assert "not issued by the gate" in refused(run, "incident_lock", {"state": "acquired", "scope": SCOPE})


def test_before_the_locks_are_taken_only_they_can_be(run: Run) -> None:
    clear(run, cleared=None, locked_on=[])
    for state in ("acquired", "released", "broken"):
        assert run.act("incident_lock", {"state": state, "scope": SCOPE}, "api-3", {"held": True}, ISSUED)["ok"]
        assert run.state.noted(f"lock_{state}")["api-3"][0]["args"] == {"state": state, "scope": SCOPE}
    assert "cleared by its guards" in refused(run, "lamp_switch")


@pytest.mark.parametrize(("action", "call"), PAIRS, ids=lambda value: str(getattr(value, "state", value)))
def test_a_step_lets_only_its_own_action_run(run: Run, action: str, call: Call) -> None:
    clear(run, action)
    if call in ACTIONS[action].calls:
        assert run.act(call.module, args_of(call), "api-1", {"lit": True}, ISSUED)["ok"]
        return
    said = refused(run, call.module, args_of(call))
    assert f"cleared on api-1 is {action} (step 1), and {call.module}" in said and "does not belong to it" in said


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_step_on_one_host_lets_nothing_run_on_another(run: Run, call: Call) -> None:
    clear(run, "replace")
    assert "No step on api-2 is cleared" in refused(run, call.module, args_of(call), "api-2")


def test_a_step_of_several_hosts_runs_on_each_of_them(run: Run) -> None:
    clear(run, hosts=["api-1", "api-2"])
    for host in ("api-1", "api-2"):
        assert run.act("lamp_switch", {"state": "on"}, host, {"lit": True}, ISSUED)["ok"]
    assert set(run.state.noted("step1")) == {"api-1", "api-2"}
    with pytest.raises(Refusal, match="No step on api-3 is cleared"):
        incident_act.allowed(run.state, ISSUED, SWITCH, {"state": "on"}, "api-3")


@pytest.mark.parametrize("given", [None, "", "On", "off", ["on"], {"state": "on"}, True, 1, "on "])
def test_a_state_is_taken_as_it_stands(run: Run, given: t.Any) -> None:
    clear(run)
    assert "does not belong" in refused(run, "lamp_switch", {"state": given})


@pytest.mark.parametrize("action", ["", "turn", "turn_off", "close_", "TURN_ON", None])
def test_nothing_belongs_to_an_action_that_is_not_known(run: Run, action: t.Any) -> None:
    clear(run, action)
    assert "does not belong" in refused(run, "lamp_switch")


@pytest.mark.parametrize(
    "module",
    [
        "lamp_evidence",
        "ansible.builtin.command",
        "ansible.builtin.lamp_switch",
        "ansible.legacy.lamp_switch",
        "evil.incident.lamp_switch",
        "virtengine.incident.lamp_switch.lamp_switch",
        "LAMP_SWITCH",
    ],
)
def test_a_module_of_another_name_does_not_belong(run: Run, module: str) -> None:
    clear(run)
    assert "does not belong" in refused(run, module)


def test_a_module_of_another_collection_runs_by_its_full_name_only(run: Run) -> None:
    clear(run, "cancel")
    assert "virtengine.incident.postgresql_query does not belong to it" in refused(run, "postgresql_query", {})
    assert run.act(QUERY, {"query": "SELECT 1"}, "api-1", {"changed": True}, ISSUED)["ok"]


def test_a_module_that_has_no_state_is_given_none(run: Run) -> None:
    clear(run, "cancel")
    assert "does not belong" in refused(run, QUERY, {"state": "absent"})


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"lit": False, "msg": "it stays dark"}, "it stays dark"),
        ({"lit": "true", "msg": ""}, "lit is not so"),
        ({"lit": 1}, "lit is not so"),
        ({}, "lit is not so"),
        ({"failed": True, "lit": True, "msg": "no such lamp"}, "no such lamp"),
        ({"failed": True}, "the module failed without a message"),
        ({"unreachable": True, "msg": "no route"}, "no route"),
        ({"failed": True, "msg": "\x1b[2J\u202e{{ x }}\nb" + "c" * 999}, "[2J {{ x }} b"),
    ],
)
def test_what_does_not_prove_the_step_is_an_answer_that_says_so(run: Run, answer: t.Any, text: str) -> None:
    clear(run)
    result = run.act("lamp_switch", {"state": "on"}, "api-1", answer, ISSUED)
    assert not result.get("failed"), "the record is still to be written"
    assert result["ok"] is False and result["error"]["kind"] == "failed"
    assert result["error"]["text"].startswith(text) and len(result["error"]["text"]) <= 300
    assert run.state.noted("step1")["api-1"][0]["ok"] is False


def test_an_action_without_a_proof_needs_an_answer_without_an_error(run: Run) -> None:
    clear(run, "open_panel")
    assert run.act("lamp_switch", {"state": "panel_open"}, "api-1", {"lit": False}, ISSUED)["ok"]
    assert not run.act("lamp_switch", {"state": "panel_open"}, "api-1", {"failed": True}, ISSUED)["ok"]


def test_a_host_that_is_lost_or_late_is_an_answer(run: Run) -> None:
    clear(run)

    def lose(_module: str, _args: t.Any) -> t.Any:
        raise AnsibleConnectionFailure("ssh: no route")

    def hang(_module: str, _args: t.Any) -> t.Any:
        time.sleep(20)

    given = {"token": ISSUED, "module": "lamp_switch", "args": {"state": "on"}}
    variables = {"inventory_hostname": "api-1"}
    assert run.call(incident_act, variables, lose, **given)["error"] == {"kind": "unreachable", "text": "ssh: no route"}
    after = run.call(incident_act, variables, hang, deadline=1, **given)
    assert after["error"]["kind"] == "refused", "after a call that failed no other one of the step is made there"
    clear(run, cleared={**run.state.read("gate")["cleared"], "noted": "step2"})
    late = run.call(incident_act, variables, hang, deadline=1, **given)
    assert late["error"] == {"kind": "late", "text": "the host gave no answer within 1 s"}
    assert [run.state.noted(kind)["api-1"][0]["ok"] for kind in ("step1", "step2")] == [False, False]


def test_what_was_approved_with_another_value_is_not_done(run: Run) -> None:
    clear(run)
    answer = run.act("lamp_switch", {"state": "on", "watts": 6}, "api-1", {}, ISSUED)
    assert answer["failed"] and "approved with another watts" in answer["msg"]
    assert run.state.noted("step1") == {}


def put_back(run: Run, action: str, *hosts: str, **gate: t.Any) -> None:
    closing = {"step": "at the end", "action": action, "hosts": list(hosts), "parameters": {}, "noted": "put_back"}
    clear(run, cleared=None, putting_back=closing, **gate)


def test_at_the_end_what_was_changed_for_a_time_is_put_back(run: Run) -> None:
    put_back(run, "close_panel", "api-1")
    assert run.act("lamp_switch", {"state": "panel_closed"}, "api-1", {}, ISSUED)["ok"]
    assert set(run.state.noted("put_back")) == {"api-1"}


@pytest.mark.parametrize(
    ("host", "state", "gate"),
    [
        ("api-2", "panel_closed", {}),
        ("api-1", "on", {}),
        ("api-1", "panel_open", {}),
        ("api-1", "panel_closed", {"locked_on": ["api-2"]}),
        ("api-1", "panel_closed", {"token": "another"}),
    ],
    ids=["another host", "another action", "the opposite", "without the lock", "another run"],
)
def test_what_may_not_be_put_back_is_an_answer_and_does_not_fail_the_closing(
    run: Run, host: str, state: str, gate: dict[str, t.Any]
) -> None:
    put_back(run, "close_panel", "api-1", **gate)
    result = run.act("lamp_switch", {"state": state}, host, untouched, ISSUED)
    assert (result["failed"], result["ok"], result["error"]["kind"]) == (False, False, "refused")
    assert run.state.noted("put_back") == {}


def test_locks_are_given_back_while_it_is_put_back(run: Run) -> None:
    put_back(run, "close_panel", "api-1")
    assert run.act("incident_lock", {"state": "released", "scope": SCOPE}, "api-2", {"held": False}, ISSUED)["ok"]


def test_templates_in_arguments_and_answers_stay_text(run: Run) -> None:
    clear(run)
    template = "{{ lookup('pipe', 'id') }}"
    answer = {"lit": True, "msg": template}
    result = run.act("lamp_switch", {"state": "on", "note": template}, "api-1", answer, ISSUED)
    assert result["answer"]["msg"] == template and not isinstance(result["answer"]["msg"], AnsibleTaggedObject)
    assert run.state.noted("step1")["api-1"][0]["args"]["note"] == template
