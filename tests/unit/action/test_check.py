# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks between the steps: what guards cleared, whose the locks are now, what a step came to, what is put back."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import guard

from tests.unit.action.many import HOSTS, MANY, THEIRS, TWO, cleared, kept, locked, refused
from tests.unit.action.steps import SCOPE, Run, Runs, changed
from tests.unit.lamp import DARK, LAMP

BRIGHT = {**DARK, "on": True}
SWITCHED = {"open_panel": "panel_open", "turn_on": "on", "close_panel": "panel_closed"}


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    made = Runs(tmp_path, monkeypatch)
    yield made
    made.end()


def test_what_the_guards_cleared_is_one_step_with_its_hosts(runs: Runs) -> None:
    run, steps = locked(runs)
    answer = run.before(steps[0], locks=kept(run))
    assert (answer["needed"], answer["wait"], answer["give"]) == (True, False, {"boot": 7})
    assert run.state.read("gate")["cleared"] == {
        "step": 1,
        "action": "open_panel",
        "what": "open the panel of api",
        "hosts": ["api-1", "api-2"],
        "parameters": {},
        "noted": "step1",
    }
    guarded, started = run.record.entries()[-2:]
    assert (guarded["kind"], guarded["data"]["ok"]) == ("guard", True)
    assert (started["kind"], started["data"]["undo"]) == ("action_started", steps[0]["undo"])
    assert run.state.read("gate")["digest"] in started["data"]["undo"], "it is said before the step is taken"
    assert "[step 1/3] open the panel of api: begun" in run.said


@pytest.mark.parametrize(
    "change",
    [
        {"action": "turn_on"},
        {"hosts": ["api-1"]},
        {"hosts": ["api-2", "api-1"]},
        {"hosts": ["api-1", "api-2", "api-3"]},
        {"hosts": "api-1"},
        {"hosts": None},
        {"number": 2},
        {"number": 9},
        {"number": "1"},
        {"number": None, "action": None, "hosts": None},
    ],
    ids=str,
)
def test_a_step_that_was_not_approved_is_not_checked_at_all(runs: Runs, change: t.Any) -> None:
    run, steps = locked(runs)
    run.before(steps[0], locks=kept(run))
    said = refused(run.before({**steps[0], **change}, locks=kept(run)))
    assert "is no step of the approved plan. Nothing was done." in said
    assert run.state.read("gate")["cleared"] is None
    assert run.kinds().count("guard") == 1


def test_the_guards_are_asked_about_the_step_that_was_approved(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    run, steps = locked(runs)
    asked: list[t.Any] = []

    def check_step(bundle: t.Any, plan: t.Any, step: t.Any) -> t.Any:
        asked.append((plan["begun"], step))
        return guard.check(ok=True, because="so")

    runs.known.incidents["lamp"] = changed(MANY, check_step=check_step)
    run.before({**steps[0], "overrides": ["elsewhere"], "parameters": {"watts": 99}}, locks=kept(run))
    run.before(steps[1], locks=kept(run))
    assert [step for _begun, step in asked] == [steps[0], steps[1]]
    assert [begun for begun, _step in asked] == [[], [["open_panel", "api-1"], ["open_panel", "api-2"]]]


def test_a_host_that_is_not_locked_gets_no_step(runs: Runs) -> None:
    run, steps = locked(runs)
    run.state.keep("gate", {**run.state.read("gate"), "locked_on": ["api-1", "api-3"]})
    assert "api-2 did not answer when the lock was taken" in refused(run.before(steps[0], locks=kept(run)))
    assert run.state.read("gate")["cleared"] is None


def seen(run: Run, **locks: t.Any) -> None:
    """A look at all hosts: what each says of locks, None where it is silent."""
    for host in run.hosts:
        said = locks.get(host.replace("-", "_"), kept(run))
        run.see(host, DARK, said)


def theirs(scope: str = TWO[1]) -> list[t.Any]:
    return [{**THEIRS, "scope": scope}]


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (lambda run: {"api_2": kept(run, TWO[0]) + theirs()}, "api-2 (now held by run-00000009)"),
        (lambda run: {"api_3": kept(run, TWO[1])}, "api-3 (now held by nobody)"),
        (lambda run: {"api_1": []}, "api-1 (now held by nobody)"),
        (lambda run: {"api_1": None, "api_2": None, "api_3": []}, "api-3 (now held by nobody)"),
        (lambda run: {"api_1": None, "api_2": None, "api_3": None}, "any host that answers"),
    ],
    ids=["another has one", "one is gone", "both are gone", "the only one that answers", "silence"],
)
def test_a_run_whose_lock_was_broken_takes_no_further_step(
    runs: Runs, lost: t.Callable[[Run], dict[str, t.Any]], said: str
) -> None:
    run, steps = locked(runs)
    assert run.before(steps[0], locks=kept(run))["needed"]
    seen(run, **lost(run))
    text = refused(run.check("before", steps[1]))
    assert said in text and "Somebody broke it: nothing more is done." in text
    gate = run.state.read("gate")
    assert (gate["cleared"], gate["locked_on"], gate["lost_on"]) == (None, [], list(HOSTS))
    assert run.check("put_back", gate["put_back"][0])["hosts"] == [], "another run acts there now"


@pytest.mark.parametrize("silent", [("api_1",), ("api_1", "api_2")])
def test_a_host_that_is_silent_has_not_lost_its_lock(runs: Runs, silent: tuple[str, ...]) -> None:
    run, steps = locked(runs)
    seen(run, **dict.fromkeys(silent))
    assert run.check("before", steps[0])["needed"]


def test_an_old_answer_about_the_lock_does_not_count(runs: Runs) -> None:
    run, steps = locked(runs)
    run.before(steps[0], locks=kept(run))
    for host in HOSTS:
        run.see(host, DARK, None)
    assert "any host that answers" in refused(run.check("before", steps[1]))


def guarded(runs: Runs, **checked: t.Any) -> tuple[Run, t.Any]:
    """A run, one step away from guards that say this."""
    run, steps = locked(runs)
    run.before(steps[0], locks=kept(run))
    runs.known.incidents["lamp"] = changed(MANY, check_step=lambda *_given: guard.check(**checked))
    return run, run.before(steps[1], locks=kept(run))


def test_a_step_that_a_guard_stops_ends_the_run_and_is_on_record(runs: Runs) -> None:
    run, answer = guarded(runs, because="The mains are off.", guards=[guard.refused("mains", "The mains are off.")])
    assert refused(answer) == "Step 2 was not taken: The mains are off."
    assert run.state.read("gate")["cleared"] is None
    entry = run.record.entries()[-1]
    assert (entry["kind"], entry["data"]["ok"], entry["data"]["hosts"]) == ("guard", False, ["api-1", "api-2"])


def test_a_step_that_is_not_needed_is_passed_over(runs: Runs) -> None:
    run, answer = guarded(runs, needed=False, give={"x": 1})
    assert (answer["needed"], answer["wait"], answer["give"]) == (False, False, {"x": 1})
    assert run.state.read("gate")["cleared"] is None
    assert run.kinds()[-1] == "guard" and run.kinds().count("action_started") == 1
    assert "[step 2/3] turn on the lamp of api: not needed any more" in " ".join(run.said)


def test_a_step_that_has_to_wait_is_looked_at_again_until_the_looks_are_used_up(runs: Runs) -> None:
    run, answer = guarded(runs, wait=True, because="The API does not answer.")
    looks = [answer]
    while not looks[-1].get("failed"):
        assert (looks[-1]["wait"], looks[-1]["needed"]) == (True, False)
        assert run.state.read("gate")["cleared"] is None
        looks.append(run.before(run.state.read("gate")["steps"][1], locks=kept(run)))
    assert len(looks) == LAMP.timing.most_looks
    assert refused(looks[-1]) == "Step 2 was not taken: The API does not answer."
    assert [look["next_look"] for look in looks[:-1]] == [5, 6], "every check has a look of its own"


def test_each_step_has_looks_of_its_own(runs: Runs) -> None:
    run, answer = guarded(runs, wait=True, because="Not yet.")
    step = run.state.read("gate")["steps"][2]
    assert answer["wait"] and run.before(step, locks=kept(run))["wait"] and run.before(step, locks=kept(run))["wait"]


def acted(run: Run, step: t.Any, *hosts: str, **answer: t.Any) -> None:
    for host in hosts:
        given = {"state": SWITCHED[step["action"]]}
        run.act("lamp_switch", given, host, {"changed": True, "lit": True, "actions": ["did it"], **answer})


def test_a_step_is_done_when_every_host_did_it(runs: Runs) -> None:
    run, steps = locked(runs)
    run.before(steps[1], locks=kept(run))
    acted(run, steps[1], "api-1", "api-2")
    assert run.check("after", steps[1]) == {"changed": False}
    entry = run.record.entries()[-1]
    assert (entry["kind"], entry["data"]["ok"], entry["data"]["problem"]) == ("action_finished", True, None)
    assert entry["data"]["did"] == {"api-1": [["did it"]], "api-2": [["did it"]]}
    assert entry["data"]["started_at"] <= entry["data"]["finished_at"]
    assert run.state.read("gate")["cleared"] is None


@pytest.mark.parametrize(
    ("done", "wrong", "said"),
    [
        (("api-1",), {}, "api-2 gave no answer"),
        (("api-2",), {}, "api-1 gave no answer"),
        ((), {}, "api-1 gave no answer"),
        (("api-1", "api-2"), {"lit": False, "msg": "it stays dark"}, "api-1: it stays dark"),
        (("api-1", "api-2"), {"failed": True, "msg": "no such lamp"}, "api-1: no such lamp"),
    ],
)
def test_a_step_with_one_host_without_success_has_failed(
    runs: Runs, done: tuple[str, ...], wrong: t.Any, said: str
) -> None:
    run, steps = locked(runs)
    run.before(steps[1], locks=kept(run))
    acted(run, steps[1], *done, **wrong)
    text = refused(run.check("after", steps[1]))
    assert text == f"Step 2 (turn on the lamp of api) failed: {said}. Stop here and diagnose again."
    entry = run.record.entries()[-1]
    assert (entry["kind"], entry["data"]["ok"], entry["data"]["problem"]) == ("action_finished", False, said)
    assert "[step 2/3] turn on the lamp of api: FAILED" in " ".join(run.said)
    assert run.state.read("gate")["cleared"] is None


def test_a_second_call_that_failed_is_not_hidden_by_the_first(runs: Runs) -> None:
    run, steps = locked(runs)
    run.before(steps[1], locks=kept(run))
    acted(run, steps[1], "api-1", "api-2")
    acted(run, steps[1], "api-2", failed=True, msg="gone")
    assert "api-2: gone" in refused(run.check("after", steps[1]))


def test_what_a_step_did_before_is_not_taken_for_this_one(runs: Runs) -> None:
    run, steps = locked(runs)
    run.before(steps[0], locks=kept(run))
    acted(run, steps[0], "api-1", "api-2")
    run.check("after", steps[0])
    run.before(steps[1], locks=kept(run))
    assert "api-1 gave no answer" in refused(run.check("after", steps[1]))


def test_the_outcome_of_a_step_that_was_not_approved_is_refused(runs: Runs) -> None:
    run, steps = locked(runs)
    assert "no step of the approved plan" in refused(run.check("after", {**steps[1], "hosts": ["api-3"]}))
    assert "no step of the approved plan" in refused(run.check("after"))


def test_a_recovery_is_waited_for_and_then_it_is_not_one(runs: Runs) -> None:
    run, _steps = locked(runs)
    answers = []
    for _look in range(LAMP.timing.most_looks):
        seen(run)
        answers.append(run.check("recovered"))
    assert [answer["wait"] for answer in answers] == [True] * (LAMP.timing.most_looks - 1) + [False]
    assert {answer["recovered"] for answer in answers} == {False}
    assert run.state.read("recovery") == {"recovered": False, "because": "It is dark."}
    assert run.state.read("verdict_after")["status"] == "incident"


def test_a_recovery_that_is_seen_ends_the_waiting(runs: Runs) -> None:
    run, _steps = locked(runs)
    for host in HOSTS:
        run.see(host, BRIGHT, kept(run))
    answer = run.check("recovered")
    assert (answer["recovered"], answer["wait"], answer["because"]) == (True, False, "The lamp is on.")
    assert run.state.read("verdict_after")["status"] == "healthy"


def test_only_what_the_plan_names_is_put_back_and_only_under_the_lock(runs: Runs) -> None:
    run, _steps = locked(runs)
    (entry,) = run.state.read("gate")["put_back"]
    assert run.check("put_back", entry)["hosts"] == ["api-1", "api-2"]
    run.state.keep("gate", {**run.state.read("gate"), "locked_on": ["api-2", "api-3"]})
    assert run.check("put_back", entry)["hosts"] == ["api-2"]
    assert run.state.read("gate")["putting_back"]["noted"] == "put_back"


@pytest.mark.parametrize(
    "change", [{"action": "turn_on"}, {"hosts": ["api-3"]}, {"hosts": ["api-1"]}, {"hosts": []}], ids=str
)
def test_nothing_else_is_put_back_and_the_closing_goes_on(runs: Runs, change: t.Any) -> None:
    run, _steps = locked(runs)
    (entry,) = run.state.read("gate")["put_back"]
    assert run.check("put_back", {**entry, **change}) == {"changed": False, "hosts": []}
    assert run.state.read("gate")["putting_back"]["hosts"] == []


def test_a_run_without_a_lock_puts_nothing_back(runs: Runs) -> None:
    run = cleared(runs)
    assert run.check("put_back", run.state.read("gate")["put_back"][0])["hosts"] == []


def test_what_was_cleared_when_the_run_failed_is_not_cleared_while_it_closes(runs: Runs) -> None:
    run, steps = locked(runs)
    run.before(steps[1], locks=kept(run))
    run.check("put_back", run.state.read("gate")["put_back"][0])
    result = run.act("lamp_switch", {"state": "on"}, "api-1", {"lit": True})
    assert (result["failed"], result["ok"]) == (False, False)


def test_locks_of_one_host_serve_a_run_of_one_host(runs: Runs) -> None:
    run, steps = runs.approved()
    assert run.before(steps[0], locks=run.held(SCOPE))["needed"]
