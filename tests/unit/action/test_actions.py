# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small decisions of the action plugins: who may act, what is typed to approve, how a run ends."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import context
from ansible.errors import AnsibleConnectionFailure
from ansible.parsing.dataloader import DataLoader
from ansible.utils.context_objects import CLIArgs
from ansible.utils.vars import load_extra_vars
from ansible_collections.virtengine.incident.plugins.action.incident_act import allowed
from ansible_collections.virtengine.incident.plugins.action.incident_check import still_locked
from ansible_collections.virtengine.incident.plugins.action.incident_close import ending, outcome_of
from ansible_collections.virtengine.incident.plugins.action.incident_gate import holders
from ansible_collections.virtengine.incident.plugins.action.incident_open import refuse_partial_runs, wrong_names
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import Refusal
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.deadline import bounded
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.looks import answered_hosts, lock_result
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record import RunState
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import command as _command

DIGEST = "halt-0123456789abcdef"


@pytest.fixture
def state() -> Iterator[RunState]:
    made = RunState.create({"run": "run-1", "incident": "chain_halt"})
    yield made
    made.remove()


def gate(state: RunState, **changes: Any) -> dict[str, Any]:
    issued = {
        "token": "t",
        "controller_pid": os.getppid(),
        "steps": [{"number": 1, "action": "start_node", "host": "vh1"}],
        "locked_on": ["vh1"],
        "cleared": {"step": 1, "action": "start_node", "host": "vh1"},
    }
    issued.update(changes)
    state.keep("gate", issued)
    return {"run_dir": state.path, "token": "t", "module": "node_service", "args": {"state": "started"}}


def test_the_gate_of_this_run_lets_its_hosts_act(state: RunState) -> None:
    allowed(gate(state), "vh1")


@pytest.mark.parametrize(
    ("changes", "host"),
    [
        ({"token": "other"}, "vh1"),
        ({"controller_pid": 1}, "vh1"),
        ({}, "vh2"),
        ({"steps": []}, "vh1"),
        ({"cleared": None}, "vh1"),
        ({"cleared": {"step": 1, "action": "start_node", "host": "vh2"}}, "vh1"),
        ({"locked_on": ["vh2"]}, "vh1"),
    ],
)
def test_without_it_nothing_acts(state: RunState, changes: dict[str, Any], host: str) -> None:
    with pytest.raises(Refusal, match="Nothing was done"):
        allowed(gate(state, **changes), host)


def test_what_was_changed_for_a_time_is_put_back_under_the_lock_only(state: RunState) -> None:
    back = {"module": "double_sign_override", "args": {"state": "absent"}}
    allowed({**gate(state, cleared=None), **back}, "vh1")
    with pytest.raises(Refusal, match="does not hold the lock"):
        allowed({**gate(state, cleared=None, locked_on=[]), **back}, "vh1")
    with pytest.raises(Refusal, match="cleared by its guards"):
        allowed({**gate(state, cleared=None), **back, "args": {"state": "present"}}, "vh1")


def test_without_a_gate_nothing_acts_and_the_lock_may_be_asked_for(state: RunState) -> None:
    step = {"run_dir": state.path, "token": None, "module": "node_service", "args": {"state": "started"}}
    with pytest.raises(Refusal):
        allowed(step, "vh1")
    allowed({**step, "module": "incident_lock", "args": {"state": "observed"}}, "vh1")
    with pytest.raises(Refusal):
        allowed({**step, "module": "incident_lock", "args": {"state": "acquired"}}, "vh1")


@pytest.mark.parametrize(
    ("argv", "typed"),
    [
        (["/x/ansible-playbook", "a.yml", "-i", "v"], "ansible-playbook a.yml -i v"),
        (
            ["ansible-playbook", "a.yml", "--check", "-e", "incident_target=vh1"],
            "ansible-playbook a.yml -e incident_target=vh1",
        ),
        (
            ["ansible-playbook", "a.yml", "-e", "token=s3cret", "-e", "@f.yml"],
            "ansible-playbook a.yml -e token=... -e @f.yml",
        ),
        (["ansible-playbook", "a.yml", "-e", "incident_approve=halt-1", "-b"], "ansible-playbook a.yml -b"),
        (["ansible-playbook", "a.yml", "--extra-vars=pw=s3cret"], "ansible-playbook a.yml -e pw=..."),
        (["ansible-playbook", "a.yml", "--extra-var", "pw=s3cret"], "ansible-playbook a.yml -e pw=..."),
        (["ansible-playbook", "a.yml", "--ex=pw=s3cret"], "ansible-playbook a.yml -e pw=..."),
        (
            ["ansible-playbook", "a.yml", "-e", "incident_break_glass_reason='I am sure'"],
            """ansible-playbook a.yml -e 'incident_break_glass_reason='"'"'I am sure'"'"''""",
        ),
        (["ansible-playbook", "a.yml", "-epw=s3cret"], "ansible-playbook a.yml -e pw=..."),
        (
            ["ansible-playbook", "a.yml", "-e", '{"pw": "s3cret", "incident_reference_rpcs": ["http://a:1"]}'],
            """ansible-playbook a.yml -e '{"pw": "...", "incident_reference_rpcs": ["http://a:1"]}'""",
        ),
        (["ansible-playbook", "a.yml", "-e", '{"incident_approve": "halt-1"}'], "ansible-playbook a.yml"),
        (["ansible-playbook", "a.yml", "-e", "{pw: s3cret}"], "ansible-playbook a.yml -e ..."),
        (
            ["ansible-playbook", "a.yml", "-e", "incident_target=a pw=s3cret"],
            "ansible-playbook a.yml -e 'incident_target=a pw=...'",
        ),
    ],
)
def test_the_command_is_repeated_as_typed_without_secrets(argv: list[str], typed: str) -> None:
    assert _command.approve(DIGEST, argv, awx=False) == f"{typed} -e incident_approve={DIGEST}"


def test_awx_is_told_what_to_enter() -> None:
    assert f"incident_approve: {DIGEST}" in _command.approve(DIGEST, ["ansible-playbook"], awx=True)


@pytest.mark.parametrize(
    ("fail_on", "status", "outcome", "fails"),
    [
        ("never", "incident", "planned", False),
        ("incident", "incident", "planned", True),
        ("incident", "degraded", "diagnosed", False),
        ("incident", "unknown", "diagnosed", False),
        ("degraded", "degraded", "diagnosed", True),
        ("degraded", "incident", "diagnosed", True),
        ("unknown", "unknown", "diagnosed", True),
        ("unknown", "healthy", "diagnosed", False),
        ("unknown", "incident", "recovered", False),
        ("never", "healthy", "refused", True),
        ("never", "incident", "not_recovered", True),
    ],
)
def test_how_a_run_ends(fail_on: str, status: str, outcome: str, fails: bool) -> None:
    assert (ending(fail_on, {"status": status}, outcome, None) is not None) is fails


def test_without_a_verdict_the_status_is_unknown() -> None:
    assert ending("unknown", None, "diagnosed", None) is not None


def test_an_acting_run_that_stops_has_not_recovered(state: RunState) -> None:
    assert outcome_of(state, "lost the host") == ("refused", ["lost the host"])
    state.keep("gate", {"token": "t", "steps": []})
    assert outcome_of(state, "no lock") == ("refused", ["no lock"])
    gate(state)
    assert outcome_of(state, "lost the host") == ("not_recovered", ["lost the host"])
    state.keep("recovery", {"recovered": True, "because": "blocks come"})
    assert outcome_of(state, None) == ("recovered", ["blocks come"])


def test_misspelt_variables_are_found() -> None:
    names = ["incident_aprove", "incident_approve", "chain_halt_x", "inventory_dir", "_chain_halt_run"]
    assert wrong_names(names, "chain_halt") == ["chain_halt_x", "incident_aprove"]


def sleep() -> dict[str, Any]:
    time.sleep(20)
    return {}


def test_work_in_time_is_returned_and_late_work_is_an_error() -> None:
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="there"))
    assert bounded(connection, 5, lambda: {"a": 1}) == ({"a": 1}, None)
    assert connection._shell.tmpdir == "there"
    started = time.monotonic()
    answer, error = bounded(connection, 1, sleep)
    assert (answer, error) == ({}, {"kind": "late", "text": "the host gave no answer within 1 s"})
    assert connection._shell.tmpdir is None, "a host that hangs would be asked to clean up"
    assert time.monotonic() - started < 5


def test_a_lost_connection_is_an_error_in_one_line() -> None:
    def lose() -> dict[str, Any]:
        raise AnsibleConnectionFailure("Failed to connect\nssh: timed out")

    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    error = bounded(connection, 5, lose)[1]
    assert error == {"kind": "unreachable", "text": "Failed to connect ssh: timed out"}


def test_the_host_that_decides_between_runs_is_the_first_that_answered_last() -> None:
    def seen(host: str, look: int, ok: bool, source: str = "node_evidence") -> dict[str, Any]:
        return {"host": host, "look": look, "ok": ok, "source": source}

    looks = [seen("vh1", 1, True), seen("vh1", 2, False), seen("vs1", 2, True), seen("vh2", 2, True)]
    assert answered_hosts({"observations": [*looks, seen("a", 2, True, "cometbft_info")]}) == ["vh2", "vs1"]
    assert answered_hosts({"observations": []}) == []


def test_a_skipped_lock_task_is_no_lock() -> None:
    taken = {"ok": True, "answer": {"held": True}}
    assert lock_result({"_incident_lock_first": {"skipped": True}, "_incident_lock": taken}) == taken
    assert lock_result({"_incident_lock_first": taken, "_incident_lock": {"skipped": True}}) == taken
    assert lock_result({}) == {}


OURS = {"ok": True, "answer": {"held": True, "held_by": {"owner": "run-1"}}}
THEIRS = {"ok": True, "answer": {"held": True, "held_by": {"owner": "run-2"}}}
FREE = {"ok": True, "answer": {"held": False, "held_by": None}}
SILENT = {"ok": False, "error": {"kind": "late", "text": "no answer"}}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([OURS, OURS], None),
        ([OURS, SILENT], None),
        ([OURS, THEIRS], "v2 .now held by run-2"),
        ([OURS, FREE], "v2 .now held by nobody"),
        ([SILENT, SILENT], "any host that answers"),
        ([SILENT, {}], "any host that answers"),
    ],
)
def test_a_run_whose_lock_was_broken_takes_no_further_step(answers: list[dict[str, Any]], said: str | None) -> None:
    variables = {f"v{number}": {"_incident_lock_now": answer} for number, answer in enumerate(answers, 1)}
    if said is None:
        still_locked("run-1", ["v1", "v2"], variables)
        return
    with pytest.raises(Refusal, match=said):
        still_locked("run-1", ["v1", "v2"], variables)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"subset": "vh1"}, "--limit 'vh1'"),
        ({"tags": ["actions"]}, "--tags and --skip-tags"),
        ({"skip_tags": ["always"]}, "--tags and --skip-tags"),
        ({"skip_tags": ["notest", "untagged"]}, "--tags and --skip-tags"),
        ({"start_at_task": "Remediate"}, "--start-at-task"),
        ({"step": True}, "--step"),
        ({"extra_vars": ["_incident_guard=x"]}, "_incident_guard"),
        ({"extra_vars": ['{"_chain_halt_usual": "vh1"}']}, "_chain_halt_usual"),
    ],
)
def test_no_option_cuts_the_gate_or_the_guards_out(
    options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {"subset": None, "tags": ["all"], "skip_tags": [], "start_at_task": None, "step": False, "extra_vars": []}
    loader = DataLoader()
    # What Ansible read of the command line is kept on the function from the first call on.
    load_extra_vars.__dict__.pop("extra_vars", None)
    monkeypatch.setattr(context, "CLIARGS", CLIArgs({**usual, **options}))
    try:
        with pytest.raises(Refusal, match=re.escape(said)):
            refuse_partial_runs(loader)
        load_extra_vars.__dict__.pop("extra_vars", None)
        monkeypatch.setattr(
            context, "CLIARGS", CLIArgs({**usual, "skip_tags": ["notest"], "extra_vars": ["incident_approve=halt-1"]})
        )
        refuse_partial_runs(loader)
    finally:
        load_extra_vars.__dict__.pop("extra_vars", None)


def test_a_plan_says_who_holds_the_lock() -> None:
    held = {"held": True, "held_by": {"owner": "run-9", "who": "ops@laptop", "age_s": 300}}
    (line,) = holders({"v1": held, "v2": {"held": False, "held_by": None}, "v3": held, "v4": {}})
    assert "run-9 (ops@laptop, 300 s ago) on v1, v3" in line
    assert holders({"v1": {}}) == []
