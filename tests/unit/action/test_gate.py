# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: which digest lets a run act, which does not and why, and what is on record before anything can act."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.action import incident_assess, incident_gate
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Source
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain

from tests.unit.action.steps import SCOPE, Run, Runs, changed
from tests.unit.lamp import DARK, LAMP, SOURCE

BRIGHT = {**DARK, "on": True}
FOREVER = changed(valid_s=None)
# What two looks at a dark lamp come to.
VERDICT = LAMP.assess({"observations": [{"look": look, "ok": True, "data": DARK} for look in (1, 2)]})


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    made = Runs(tmp_path, monkeypatch)
    yield made
    made.end()


def refused(run: Run, approve: t.Any, reason: str | None = None) -> str:
    """Why the gate refuses; nothing may have been issued."""
    answer = run.gate(approve, reason)
    assert answer["failed"]
    assert "token" not in answer and run.state.read("gate") is None
    said: str = answer["msg"]
    assert run.state.read("refused") == {"lines": said.splitlines()}
    return said


def ready(runs: Runs, incident: t.Any = LAMP, **diagnosed: t.Any) -> Run:
    """A run that has taken its looks."""
    run = runs.new(incident)
    run.diagnose(**diagnosed)
    return run


def test_without_a_digest_there_is_a_plan_and_no_token(runs: Runs) -> None:
    run = ready(runs)
    answer = run.gate()
    assert answer["digest"].startswith("lamp-")
    assert (answer["act"], answer["token"], answer["steps"], answer["put_back"]) == (False, None, [], [])
    assert run.state.read("gate") is None
    assert [step["action"] for step in run.state.read("plan")["steps"]] == ["open_panel", "turn_on", "close_panel"]


def test_what_was_seen_and_planned_is_on_the_disk_before_anything_can_act(runs: Runs) -> None:
    run = ready(runs)
    digest = run.gate()["digest"]
    assert run.kinds() == ["run_started", "evidence", "verdict", "plan"]
    folder = Path(str(run.record.path))
    assert folder.name == "lamp-lamp_hall-20260504T100203Z"
    assert json.loads((folder / f"plan-{digest}.json").read_text(encoding="utf-8")) == run.state.read("plan")
    evidence = json.loads((folder / f"evidence-{run.name}.json").read_text(encoding="utf-8"))
    assert evidence == run.state.read("bundle")


def test_a_healthy_verdict_without_steps_leaves_no_record(runs: Runs) -> None:
    run = ready(runs, data=BRIGHT)
    assert run.gate()["record_path"] is None
    assert list(runs.folder.iterdir()) == []


def plan_on_what_is_whole(bundle: t.Any, verdict: t.Any, reason: str | None) -> t.Any:
    """A fleet action plans steps on what is healthy."""
    return LAMP.plan(bundle, {**verdict, "status": "incident"}, reason)


def test_a_healthy_verdict_with_steps_is_recorded(runs: Runs) -> None:
    run = ready(runs, changed(plan=plan_on_what_is_whole, plans_for=frozenset({"healthy"})), data=BRIGHT)
    answer = run.gate()
    assert run.kinds() == ["run_started", "evidence", "verdict", "plan"]
    assert Path(str(answer["record_path"])).name.startswith("lamp-lamp_hall-20"), "named after the start of the run"


@pytest.mark.parametrize("data", [{**DARK, "mains": False}, DARK])
def test_whatever_is_not_healthy_is_recorded(runs: Runs, data: t.Any) -> None:
    def nothing(bundle: t.Any, verdict: t.Any, reason: str | None) -> t.Any:
        return {**LAMP.plan(bundle, verdict, reason), "steps": [], "put_back": []}

    run = ready(runs, changed(plan=nothing), data=data)
    assert run.gate()["act"] is False
    assert run.record.kept


def test_a_verdict_that_is_unknown_is_recorded(runs: Runs) -> None:
    run = runs.new()
    run.see("api", None)
    run.call(incident_assess)
    run.gate()
    assert run.state.read("verdict")["status"] == "unknown"
    assert run.record.kept


@pytest.mark.parametrize("facts", [{"check_mode": True}, {"replay": True}])
def test_check_mode_and_saved_evidence_act_on_nothing_and_keep_nothing(runs: Runs, facts: dict[str, t.Any]) -> None:
    digest = runs.planned()
    before = sorted(runs.folder.rglob("*"))
    run = runs.new(**facts)
    run.state.keep("verdict", VERDICT)
    answer = run.gate(digest)
    assert len(run.state.read("plan")["steps"]) == 3
    assert (answer["act"], answer["token"], answer["record_path"]) == (False, None, None)
    assert run.state.read("gate") is None
    assert sorted(runs.folder.rglob("*")) == before


def test_the_digest_of_the_plan_lets_the_run_act(runs: Runs) -> None:
    digest = runs.planned()
    run = ready(runs)
    answer = run.gate(f" {digest}\n")
    assert answer["act"] and not answer["resumed"]
    gate = run.state.read("gate")
    assert len(gate["token"]) == 32 and gate["token"] == answer["token"]
    assert (gate["digest"], gate["scopes"], gate["lock_first"]) == (digest, [SCOPE], "api")
    assert digest in gate["steps"][0]["undo"], "what a step keeps aside is named after the digest"
    assert "locked_on" not in gate and "approved" not in run.kinds(), "it is used only under the lock"
    assert answer["put_back"] == gate["put_back"] != []


def test_each_run_has_a_token_of_its_own(runs: Runs) -> None:
    digest = runs.planned()
    assert ready(runs).gate(digest)["token"] != ready(runs).gate(digest)["token"]


def test_two_runs_over_one_incident_share_its_record(runs: Runs) -> None:
    digest = runs.planned()
    run = ready(runs)
    run.gate(digest)
    assert [entry["run"] for entry in run.record.entries() if entry["kind"] == "plan"] != [run.name]
    assert len(list(runs.folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "no digest"),
        ("lamp-", "no digest"),
        ("0123456789abcdef", "no digest"),
        ("yes", "no digest"),
        ("../../etc", "no digest"),
        (5, "arrived as the number"),
        (1e99, "arrived as the number"),
        (True, "no text"),
        (["lamp-0123456789abcdef"], "no text"),
        ({"a": 1}, "no text"),
        ("lamp-0123456789abcdef", "does not know"),
    ],
)
def test_what_is_no_digest_of_a_plan_is_refused(runs: Runs, given: t.Any, why: str) -> None:
    run = ready(runs)
    said = refused(run, given)
    assert why in said and "Nothing was done" in said
    assert run.kinds()[-1] == "note", "the refusal is on record"


def test_the_digest_of_a_plan_without_steps_is_refused(runs: Runs) -> None:
    digest = runs.planned(data=BRIGHT)
    assert "nothing to approve" in refused(ready(runs, data=BRIGHT), digest)


def test_the_digest_of_another_incident_is_refused_and_its_record_left_alone(runs: Runs) -> None:
    torch = changed(name="torch", assess=lambda bundle: {**LAMP.assess(bundle), "incident": "torch"})
    digest = runs.planned(torch)
    (theirs,) = runs.folder.iterdir()
    before = (theirs / "journal.jsonl").read_bytes()
    run = ready(runs)
    said = refused(run, digest)
    assert "no longer matches" in said
    assert "incident: virtengine.incident.torch then, virtengine.incident.lamp now" in said
    assert (theirs / "journal.jsonl").read_bytes() == before
    assert Path(str(run.record.path)).name.startswith("lamp-")


def test_the_digest_of_another_subject_is_refused_and_its_record_left_alone(runs: Runs) -> None:
    def of_the_attic(bundle: t.Any) -> t.Any:
        return {**LAMP.assess(bundle), "subject": "lamp attic"}

    digest = runs.planned(changed(assess=of_the_attic))
    (theirs,) = runs.folder.iterdir()
    before = (theirs / "journal.jsonl").read_bytes()
    said = refused(ready(runs), digest)
    assert "subject: lamp attic then, lamp hall now" in said
    assert (theirs / "journal.jsonl").read_bytes() == before


def test_what_changed_since_it_was_printed_is_shown(runs: Runs) -> None:
    digest = runs.planned()
    said = refused(ready(runs, data={**DARK, "boot": 8}), digest)
    assert said.splitlines() == [
        f"Something changed since {digest} was printed, so it no longer matches. Nothing was done.",
        "  boot: 7 then, 8 now",
    ]


def test_a_setting_that_changes_a_step_changes_the_digest(runs: Runs) -> None:
    digest = runs.planned()
    run = runs.new()
    run.state.keep("bundle", {**run.state.read("bundle"), "settings": {"lamp_watts": 60}})
    run.diagnose()
    assert "new: turn on the lamp of api (watts 60)" in refused(run, digest)


def at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    monkeypatch.setattr(incident_gate, "now", lambda: moment)


def test_a_plan_may_be_approved_until_it_expires(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, "2026-05-04T10:05:30.000000Z")
    first = ready(runs)
    digest = first.gate()["digest"]
    assert first.state.read("plan")["expires_at"] == "2026-05-04T10:16:00Z"
    at(monkeypatch, "2026-05-04T10:15:59.000000Z")
    assert ready(runs).gate(digest)["act"]
    at(monkeypatch, "2026-05-04T10:16:00.000000Z")
    assert "it was valid until 2026-05-04T10:16:00Z" in refused(ready(runs), digest)


def test_an_expired_plan_is_not_found_by_a_run_without_its_record_either(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, "2026-05-04T10:05:30.000000Z")
    digest = runs.planned()
    run = runs.new(record_dir=str(tmp_path / "elsewhere"))
    run.diagnose()
    assert run.gate(digest)["act"], "the digest is all that is needed, its record is not"
    at(monkeypatch, "2026-05-04T11:05:30.000000Z")
    late = runs.new(record_dir=str(tmp_path / "there"))
    late.diagnose()
    assert "does not know" in refused(late, digest)


def used(runs: Runs, digest: str, *steps: str, outcome: str | None = None) -> Run:
    """A run that was approved with this digest, began steps, and was cut off or ended so."""
    run = runs.new(runs.known.incidents["lamp"])
    run.approved(digest)
    for action in steps:
        run.record.append("action_started", {"step": 1, "action": action, "what": action, "hosts": ["api"]})
    if outcome is not None:
        run.record.append("run_finished", {"outcome": outcome, "because": []})
    return run


@pytest.mark.parametrize("outcome", ["recovered", "not_recovered", "refused"])
def test_a_digest_of_a_run_that_ended_is_refused(runs: Runs, outcome: str) -> None:
    digest = runs.planned()
    used(runs, digest, outcome=outcome)
    said = refused(ready(runs), digest)
    assert f"was used before (that run ended: {outcome})" in said and "Nothing was done" in said


def test_after_a_run_that_ended_the_same_steps_have_another_digest(runs: Runs) -> None:
    digest = runs.planned(FOREVER)
    used(runs, digest, outcome="not_recovered")
    again = runs.planned(FOREVER)
    assert again != digest
    assert ready(runs, FOREVER).gate(again)["act"]


def test_a_digest_that_only_a_host_knows_as_used_is_refused(runs: Runs, tmp_path: Path) -> None:
    digest = runs.planned(FOREVER)
    run = runs.new(FOREVER, record_dir=str(tmp_path / "elsewhere"))
    run.diagnose(used=[digest])
    said = refused(run, digest)
    assert "was used before, and its record is not under" in said
    assert run.state.read("plan")["digest"] != digest, "the plan printed now can be approved"


def test_a_digest_that_another_controller_used_is_not_taken_up_here(runs: Runs) -> None:
    """This record printed the plan, and holds no approval of it: the run that used it is not ours to go on with."""
    digest = runs.planned(FOREVER)
    run = runs.new(FOREVER)
    run.diagnose(used=[digest])
    assert "was used before, by a run whose record is not here" in refused(run, digest)


def test_a_run_that_was_cut_off_is_taken_up_with_its_digest(runs: Runs) -> None:
    digest = runs.planned()
    used(runs, digest, "open_panel")
    run = ready(runs)
    answer = run.gate(digest)
    assert answer["act"] and answer["resumed"] and answer["digest"] == digest
    assert len(answer["steps"]) == 3, "it is returned whole: the check before each step passes over what is done"
    chosen = run.state.read("gate")["plan"]
    assert (chosen["digest"], chosen["attempt"]) == (digest, 0)
    assert run.state.read("plan")["digest"] != digest, "until the lock is taken, the plan of now is what is shown"


def test_a_run_whose_lamp_came_on_is_taken_up_to_be_proven(runs: Runs) -> None:
    digest = runs.planned()
    used(runs, digest, "turn_on")
    assert ready(runs, data=BRIGHT).gate(digest)["resumed"]


def test_a_run_that_was_cut_off_is_not_taken_up_where_something_changed(runs: Runs) -> None:
    digest = runs.planned()
    used(runs, digest, "open_panel")
    assert "boot: 7 then, 8 now" in refused(ready(runs, data={**DARK, "boot": 8}), digest)


def test_a_run_that_was_cut_off_long_ago_is_history(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = runs.planned(FOREVER)
    used(runs, digest, "open_panel")
    monkeypatch.setattr(incident_gate, "RESUME_S", -1)
    said = refused(ready(runs, FOREVER), digest)
    assert "cut off 0 minutes ago, which is too long" in said


def overriding(bundle: t.Any, verdict: t.Any, reason: str | None) -> t.Any:
    """A plan that has its step only with a reason to break the glass."""
    draft = LAMP.plan(bundle, verdict, reason)
    if reason is None:
        held = [{**step, "break_glass": True} for step in draft["steps"]]
        return {**draft, "steps": [], "put_back": [], "withheld": held}
    return {**draft, "steps": [{**step, "overrides": ["elsewhere"]} for step in draft["steps"]]}


GLASS = changed(plan=overriding, valid_s=None)


def glass(runs: Runs) -> str:
    run = ready(runs, GLASS)
    digest: str = run.gate(reason="seen on site")["digest"]
    assert run.state.read("plan")["steps"][0]["overrides"] == ["elsewhere"]
    return digest


def test_break_glass_needs_its_reason_in_the_approving_run_as_well(runs: Runs) -> None:
    digest = glass(runs)
    assert "no longer matches" in refused(ready(runs, GLASS), digest)
    assert "no longer matches" in refused(ready(runs, GLASS), digest, "  \n")
    run = ready(runs, GLASS)
    assert run.gate(digest, " seen on site ")["act"]
    assert run.state.read("gate")["break_glass_reason"] == "seen on site"


def test_break_glass_is_given_again_when_a_run_is_taken_up(runs: Runs) -> None:
    digest = glass(runs)
    first = ready(runs, GLASS)
    first.gate(digest, "seen on site")
    first.take()
    first.check("lock")
    lit = {**BRIGHT}
    said = refused(ready(runs, GLASS, data=lit), digest)
    assert "holds break-glass steps" in said and "incident_break_glass_reason again" in said
    assert ready(runs, GLASS, data=lit).gate(digest, "seen on site")["resumed"]


def test_where_no_host_answers_there_is_nothing_to_lock(runs: Runs) -> None:
    outside = changed(sources={SOURCE: Source(in_inventory=False)})
    digest = runs.planned(outside)
    assert "the lock cannot be taken" in refused(ready(runs, outside), digest)


def test_the_host_that_decides_between_runs_is_the_first_that_answered_last(runs: Runs) -> None:
    hosts = ("api-1", "api-2", "api-3")
    digest = runs.planned(hosts=hosts)
    run = runs.new(hosts=hosts)
    for silent in ("api-3", "api-1"):
        for host in reversed(hosts):
            run.see(host, None if host == silent else DARK)
        run.call(incident_assess)
    run.state.keep("verdict", VERDICT)
    assert run.gate(digest)["lock_first"] == "api-2"


def test_without_a_record_nothing_can_be_acted_on(runs: Runs, tmp_path: Path) -> None:
    digest = runs.planned()
    (tmp_path / "file").write_text("", encoding="utf-8")
    run = runs.new(record_dir=str(tmp_path / "file"))
    run.diagnose()
    said = refused(run, digest)
    assert "the record cannot be written" in said and "file" in said


def test_a_record_that_was_changed_is_not_gone_on_with(runs: Runs) -> None:
    digest = runs.planned()
    (folder,) = runs.folder.iterdir()
    journal = folder / "journal.jsonl"
    journal.write_text(journal.read_text(encoding="utf-8").replace("ops@laptop", "eve@laptop"), encoding="utf-8")
    run = ready(runs)
    said = refused(run, digest)
    assert "the record cannot be written" in said and "was changed" in said
    with pytest.raises(hash_chain.BrokenRecord):
        hash_chain.verify(journal.read_text(encoding="utf-8").splitlines())


def test_who_holds_a_lock_of_these_scopes_is_said(runs: Runs) -> None:
    run = runs.new(hosts=("api-1", "api-2", "api-3"))
    theirs = {"scope": SCOPE, "owner": "run-9", "who": "eve@laptop", "age_s": 300}
    other = {**theirs, "scope": "lamp:attic", "owner": "run-8"}
    for look in (1, 2):
        run.see("api-1", DARK, [theirs, other])
        run.see("api-2", DARK, [] if look == 1 else [theirs])
        run.see("api-3", DARK, [theirs] if look == 1 else [])
        run.call(incident_assess)
    run.gate()
    (line,) = run.state.read("holders")
    assert f"The lock of {SCOPE} is held by run-9 (eve@laptop, 300 s ago) on api-1, api-2:" in line


@pytest.mark.parametrize("locks", ["x", [5], [{"scope": [SCOPE], "owner": {"a": 1}}], {"locks": 1}])
def test_no_answer_about_locks_ends_the_run(runs: Runs, locks: t.Any) -> None:
    run = runs.new()
    for number in (1, 2):
        run.see("api", DARK, None)
        run.state.note(f"locks{number}", "api", incident_gate.looks.locks_of({"ok": True, "data": {"locks": locks}}))
        run.call(incident_assess)
    assert not run.gate().get("failed")
    assert run.state.read("holders") == []


def test_a_lock_that_cannot_be_read_is_held_by_somebody() -> None:
    lock = {"scope": SCOPE, "owner": "", "who": "", "age_s": None}
    (line,) = incident_gate.holders({"api": {"ok": True, "locks": [lock], "used": []}}, [SCOPE])
    assert "is held by an unreadable lock file (unknown, " in line
