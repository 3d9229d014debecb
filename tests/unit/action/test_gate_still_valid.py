# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate, given the digest of a plan on record that no run used, where the plan of now has other steps."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.action import incident_assess, incident_gate

from tests.unit.action.steps import SCOPE, Run, Runs, changed
from tests.unit.lamp import DARK, LAMP

Data = dict[str, t.Any]


def shines(*bulbs: str, **more: t.Any) -> Data:
    """A lamp whose bulbs are off. Which ones it has changes while its boot, the basis, stays."""
    return {**DARK, "bulbs": list(bulbs), **more}


def bulb_plan(bundle: Data, verdict: Data, reason: str | None) -> Data:
    """A step for each bulb, by the newest look; those named x need break-glass."""
    draft = LAMP.plan(bundle, verdict, reason)
    seen = max(bundle["observations"], key=lambda entry: entry["look"])["data"]
    steps = [step for step in draft["steps"] if step["action"] == "turn_on"]
    made = [
        {**step, "parameters": {"bulbs": [bulb]}, "overrides": ["x"] if bulb == "x" else []}
        for step in steps
        for bulb in seen.get("bulbs", [])
        if bulb != "x" or reason
    ]
    extra = {key: seen[key] for key in ("scopes", "put_back", "stopped_by") if key in seen}
    return {**draft, "steps": made, **extra}


def off_or_not(bundle: Data, verdict: Data, reason: str | None) -> Data:
    """The same, planned whatever the verdict: what stops it then is the rule, not the lack of steps."""
    return bulb_plan(bundle, {**verdict, "status": "incident", "confirmed": True}, reason)


def in_room(bundle: Data) -> Data:
    """The verdict of a lamp whose room the API names."""
    seen = max(bundle["observations"], key=lambda entry: entry["look"])["data"]
    return {**LAMP.assess(bundle), "subject": f"lamp {seen.get('room', 'hall')}"}


BULBS = changed(plan=bulb_plan, assess=in_room)
THEN, NOW = shines("a", "b"), shines("a", "new", "b")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    made = Runs(tmp_path, monkeypatch)
    yield made
    made.end()


def ready(runs: Runs, data: Data = NOW, incident: t.Any = BULBS, **seen: t.Any) -> Run:
    """A run that has taken its looks."""
    run = runs.new(incident)
    run.diagnose(data, **seen)
    return run


def refused(run: Run, digest: str, reason: str | None = None) -> str:
    """Why the gate refuses; nothing may have been issued."""
    answer = run.gate(digest, reason)
    assert answer["failed"] and "token" not in answer and run.state.read("gate") is None
    assert run.kinds()[-1] == "note"
    said: str = answer["msg"]
    return said


def at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    monkeypatch.setattr(incident_gate, "now", lambda: moment)


def test_what_is_done_is_the_plan_on_record_and_nothing_of_now(runs: Runs) -> None:
    digest = runs.planned(BULBS, data=THEN)
    run = ready(runs)
    answer = run.gate(digest)
    assert answer["act"] and not answer["resumed"] and answer["digest"] == digest
    assert [step["parameters"]["bulbs"] for step in answer["steps"]] == [["a"], ["b"]]
    assert answer["put_back"] == run.state.read("plan")["put_back"] != []
    gate = run.state.read("gate")
    assert gate["steps"] == gate["plan"]["steps"] == answer["steps"] and gate["plan"]["digest"] == digest
    assert all(digest in step["undo"] for step in gate["steps"]), "what is kept aside is named after what was approved"
    (recorded,) = runs.folder.rglob(f"plan-{digest}.json")
    assert gate["plan"] == json.loads(recorded.read_text(encoding="utf-8"))


def test_the_record_says_which_plan_was_approved_and_what_was_planned_instead(runs: Runs) -> None:
    digest = runs.planned(BULBS, data=THEN)
    run = ready(runs)
    run.gate(digest)
    assert "approved" not in run.kinds(), "it is used only under the lock"
    assert run.state.read("plan")["digest"] != digest
    run.take()
    run.check("lock_first")
    run.check("lock")
    mine = {entry["kind"]: entry["data"] for entry in run.record.entries() if entry["run"] == run.name}
    assert (mine["approved"]["digest"], mine["approved"]["resumed"]) == (digest, False)
    assert [step["parameters"]["bulbs"] for step in mine["plan"]["steps"]] == [["a"], ["new"], ["b"]]
    assert mine["plan"]["digest"] != digest
    assert run.state.read("plan")["digest"] == digest, "screen and report show what is done"
    assert len(list(runs.folder.iterdir())) == 1, "in the record of the plan"


def test_a_step_that_was_not_approved_is_not_taken(runs: Runs) -> None:
    digest = runs.planned(BULBS, data=THEN)
    run = ready(runs)
    run.gate(digest)
    fresh = run.state.read("plan")["steps"]
    run.take()
    run.check("lock")
    assert run.before(run.state.read("gate")["steps"][1], NOW)["needed"]
    # The third step of now stands on no place of the approved plan; its second is the approved plan's, with its values.
    assert "is no step of the approved plan" in run.before(fresh[2], NOW)["msg"]
    run.before(fresh[1], NOW)
    assert run.state.read("gate")["cleared"]["parameters"] == {"bulbs": ["b"]}
    done = run.act("lamp_switch", {"state": "on", "bulbs": ["new"]}, answer={"changed": True, "lit": True})
    assert done["failed"] and "was approved with another bulbs" in done["msg"]


@pytest.mark.parametrize(
    ("moment", "acts"),
    [
        ("2026-05-04T10:15:59.999999Z", True),
        ("2026-05-04T10:16:00.000000Z", False),
        ("2026-05-04T10:16:01.000000Z", False),
    ],
)
def test_it_holds_up_to_the_second_it_expires(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, moment: str, acts: bool
) -> None:
    at(monkeypatch, "2026-05-04T10:05:30.000000Z")
    digest = runs.planned(BULBS, data=THEN)
    at(monkeypatch, moment)
    run = ready(runs)
    if acts:
        assert run.gate(digest)["act"]
    else:
        assert "new: turn on the lamp of api (bulbs new)" in refused(run, digest)


CHANGED: dict[str, tuple[Data, str]] = {
    "one is gone": (shines("a", "new"), "no longer planned: turn on the lamp of api (bulbs b)"),
    "order": (shines("b", "a"), "the steps come in another order or number"),
    "basis": ({**NOW, "boot": 8}, "boot: 7 then, 8 now"),
    "basis, same steps": ({**THEN, "boot": 8}, "boot: 7 then, 8 now"),
    "subject": ({**NOW, "room": "attic"}, "subject: lamp hall then, lamp attic now"),
    "scopes": ({**NOW, "scopes": [SCOPE, "lamp:attic"]}, f"scopes: {SCOPE} then, {SCOPE}, lamp:attic now"),
    "put back": ({**NOW, "put_back": []}, "new: turn on the lamp of api (bulbs new)"),
    "stopped": ({**NOW, "stopped_by": "someone is on the ladder"}, "new: turn on the lamp of api (bulbs new)"),
    "over": ({**NOW, "on": True}, "no longer planned: turn on the lamp of api (bulbs a)"),
}


@pytest.mark.parametrize(("now", "line"), CHANGED.values(), ids=CHANGED)
def test_where_more_changed_than_what_comes_and_goes_it_is_refused(runs: Runs, now: Data, line: str) -> None:
    digest = runs.planned(BULBS, data=THEN)
    said = refused(ready(runs, now), digest)
    assert said.startswith(f"Something changed since {digest} was printed") and f"  {line}" in said.splitlines()


def test_two_steps_need_two_that_cover_them(runs: Runs) -> None:
    digest = runs.planned(BULBS, data=shines("a", "a"))
    assert "another order or number" in refused(ready(runs, shines("a")), digest)
    assert "new: " in refused(ready(runs, shines("a", "new")), digest)
    assert ready(runs, shines("a", "new", "a")).gate(digest)["act"]


def test_what_one_look_shows_is_not_enough(runs: Runs) -> None:
    eager = changed(plan=off_or_not, assess=in_room)
    digest = runs.planned(eager, data=THEN)
    run = runs.new(eager)
    run.see("api", NOW)
    run.call(incident_assess)
    assert run.state.read("verdict")["confirmed"] is False
    assert "no longer matches" in refused(run, digest)
    assert ready(runs, incident=eager).gate(digest)["act"]


def test_a_plan_that_does_not_expire_holds_as_it_is_or_not_at_all(runs: Runs) -> None:
    forever = changed(BULBS, valid_s=None, covers=lambda recorded, fresh: True)
    digest = runs.planned(forever, data=THEN)
    assert "no longer matches" in refused(ready(runs, NOW, forever), digest)
    assert ready(runs, THEN, forever).gate(digest)["act"]


# What was used.


def used(runs: Runs, digest: str, outcome: str | None = None) -> None:
    """A run that was approved with this digest, and was cut off or ended so."""
    run = runs.new(BULBS)
    run.approved(digest, data=THEN)
    if outcome is not None:
        run.record.append("run_finished", {"outcome": outcome, "because": []})


def test_a_run_that_was_cut_off_resumes_by_another_rule(runs: Runs) -> None:
    digest = runs.planned(BULBS, data=THEN)
    assert ready(runs).gate(digest)["act"]
    used(runs, digest)
    assert "new: turn on the lamp of api (bulbs new)" in refused(ready(runs), digest)
    assert ready(runs, shines("b")).gate(digest)["resumed"], "the tail of the plan is left"


def test_a_run_under_this_rule_uses_the_digest(runs: Runs) -> None:
    digest = runs.planned(BULBS, data=THEN)
    first = runs.new(BULBS)
    first.approved(digest, data=NOW)
    assert "no longer matches" in refused(ready(runs), digest)
    first.record.append("run_finished", {"outcome": "recovered", "because": []})
    assert "was used before (that run ended: recovered)" in refused(ready(runs), digest)


@pytest.mark.parametrize("outcome", ["recovered", "not_recovered", "refused"])
def test_a_digest_of_a_run_that_ended_is_refused(runs: Runs, outcome: str) -> None:
    digest = runs.planned(BULBS, data=THEN)
    used(runs, digest, outcome)
    assert f"that run ended: {outcome}" in refused(ready(runs), digest)


def test_a_digest_that_a_host_knows_as_used_is_refused(runs: Runs) -> None:
    digest = runs.planned(BULBS, data=THEN)
    assert "by a run whose record is not here" in refused(ready(runs, used=[digest]), digest)


def test_a_host_that_tells_only_under_the_lock_that_it_was_used_ends_the_run(runs: Runs) -> None:
    digest = runs.planned(BULBS, data=THEN)
    run = ready(runs)
    run.gate(digest)
    run.take(used=True)
    assert "was used before, as api knows" in run.check("lock_first")["msg"]
    assert "approved" not in run.kinds()


# Break-glass.


def test_overridden_guards_need_the_reason_again(runs: Runs) -> None:
    first = ready(runs, shines("a", "x"))
    digest = first.gate(reason="seen on site")["digest"]
    assert [step["overrides"] for step in first.state.read("plan")["steps"]] == [[], ["x"]]
    assert "no longer planned" in refused(ready(runs, shines("a", "new", "x")), digest)
    run = ready(runs, shines("a", "new", "x"))
    assert run.gate(digest, "seen on site")["act"]
    assert run.state.read("gate")["break_glass_reason"] == "seen on site"


def test_a_step_that_needs_break_glass_now_is_not_covered(runs: Runs) -> None:
    def guarded(bundle: Data, verdict: Data, reason: str | None) -> Data:
        draft = bulb_plan(bundle, verdict, reason)
        return {**draft, "steps": [{**step, "overrides": ["ladder"] if reason else []} for step in draft["steps"]]}

    incident = changed(BULBS, plan=guarded)
    digest = runs.planned(incident, data=THEN)
    run = ready(runs, NOW, incident)
    assert "[break-glass]" in refused(run, digest, "seen on site")


# The record.


def test_without_the_record_the_digest_is_not_known(runs: Runs, tmp_path: Path) -> None:
    digest = runs.planned(BULBS, data=THEN)
    run = runs.new(BULBS, record_dir=str(tmp_path / "elsewhere"))
    run.diagnose(NOW)
    assert "does not know" in refused(run, digest)


@pytest.mark.parametrize("facts", [{"check_mode": True}, {"replay": True}])
def test_check_mode_and_saved_evidence_act_on_nothing(runs: Runs, facts: Data) -> None:
    digest = runs.planned(BULBS, data=THEN)
    run = runs.new(BULBS)
    run.diagnose(NOW)
    run.state.keep("run", {**run.state.facts, **facts})
    answer = run.gate(digest)
    assert (answer["act"], answer["token"]) == (False, None) and run.state.read("gate") is None


def edit(runs: Runs, digest: str, change: Callable[[Data], t.Any]) -> None:
    """Change the plan that is on record."""
    (path,) = runs.folder.rglob(f"plan-{digest}.json")
    plan = json.loads(path.read_text(encoding="utf-8"))
    change(plan)
    path.write_text(json.dumps(plan), encoding="utf-8")


TAMPERED: dict[str, Callable[[Data], t.Any]] = {
    "parameters": lambda plan: plan["steps"][0].update(parameters={"bulbs": ["new"]}),
    "type of a value": lambda plan: plan["steps"][0].update(hosts="api"),
    "hosts": lambda plan: plan["steps"][0].update(hosts=["api", "db"]),
    "action": lambda plan: plan["steps"][0].update(action="open_panel"),
    "overrides": lambda plan: plan["steps"][0].update(overrides=["x"]),
    "order": lambda plan: plan["steps"].reverse(),
    "one step more": lambda plan: plan["steps"].append(plan["steps"][0]),
    "one step less": lambda plan: plan["steps"].pop(),
    "no steps": lambda plan: plan.pop("steps"),
    "a step that is none": lambda plan: plan["steps"].append(5),
    "expiry": lambda plan: plan.update(expires_at="2099-01-01T00:00:00Z"),
    "no expiry": lambda plan: plan.update(expires_at=None),
    "basis": lambda plan: plan.update(basis={"boot": 8}),
    "scopes": lambda plan: plan.update(scopes=[]),
    "subject": lambda plan: plan.update(subject="lamp attic"),
    "put back": lambda plan: plan["put_back"].clear(),
    "attempt": lambda plan: plan.update(attempt=1),
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED)
def test_a_plan_file_that_was_changed_is_not_the_plan_of_that_digest(
    runs: Runs, change: Callable[[Data], t.Any]
) -> None:
    digest = runs.planned(BULBS, data=THEN)
    edit(runs, digest, change)
    assert "does not know" in refused(ready(runs), digest)


def test_a_plan_under_the_name_of_another_digest_is_not_taken(runs: Runs) -> None:
    digest, other = (runs.planned(BULBS, data=data) for data in (THEN, shines("new", "b")))
    (ours,), (theirs,) = (runs.folder.rglob(f"plan-{one}.json") for one in (digest, other))
    ours.write_bytes(theirs.read_bytes())
    assert "does not know" in refused(ready(runs), digest)
