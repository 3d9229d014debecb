# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a run: how it ended, what is left on hosts, and that the screen comes whatever became of the record."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.action.incident_close import ending, outcome_of
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import SCREEN_LAST
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain

from tests.unit.action.steps import SCOPE, Run, Runs, changed
from tests.unit.lamp import DARK, LAMP

BRIGHT = {**DARK, "on": True}
HOSTS = ("api-1", "api-2")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    monkeypatch.delenv(SCREEN_LAST, raising=False)
    made = Runs(tmp_path, monkeypatch)
    yield made
    made.end()


def on_both(bundle: t.Any, verdict: t.Any, reason: str | None) -> t.Any:
    draft = LAMP.plan(bundle, verdict, reason)
    both = {key: [{**step, "hosts": list(HOSTS)} for step in draft[key]] for key in ("steps", "put_back")}
    return {**draft, **both}


BOTH = changed(plan=on_both, advice={"not_recovered": ("Do not unscrew it.",), "recovered": ("Enjoy the light.",)})


def walked(runs: Runs, data: t.Any = BRIGHT) -> Run:
    """A run over two hosts that took its steps, and looked at what came of it."""
    run, _steps = runs.approved(BOTH, HOSTS)
    for host in HOSTS:
        run.see(host, data, run.held())
    run.check("recovered")
    return run


def put_back(run: Run, *hosts: str, **answer: t.Any) -> None:
    (entry,) = run.state.read("gate")["put_back"]
    for host in run.check("put_back", entry)["hosts"]:
        if host in hosts:
            run.act("lamp_switch", {"state": "panel_closed"}, host, {"changed": True, **answer})


def notes(run: Run, path: Path) -> list[t.Any]:
    lines = (path / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry["data"] for entry in map(json.loads, lines) if entry["kind"] == "note" and entry["run"] == run.name]


def folder(runs: Runs) -> Path:
    (only,) = (path for path in runs.folder.iterdir() if path.is_dir())
    return only


def test_a_run_that_recovered_says_so_everywhere(runs: Runs) -> None:
    run = walked(runs)
    put_back(run, *HOSTS)
    run.give()
    closed = run.close()
    assert (closed["outcome"], closed["ending"], closed["changed"]) == ("recovered", None, False)
    assert closed["screen"][0].startswith("== RECOVERED: HEALTHY ==")
    assert closed["screen"][1] == "The lamp is on."
    assert "  - Enjoy the light." in closed["screen"]
    assert not any("not" in line and "back" in line for line in closed["screen"])
    head = hash_chain.verify((folder(runs) / "journal.jsonl").read_text(encoding="utf-8").splitlines())
    assert closed["stats"] == {
        "incident": "lamp",
        "subject": "lamp hall",
        "status": "healthy",
        "severity": None,
        "summary": "The lamp in the hall: healthy.",
        "plan_digest": closed["stats"]["plan_digest"],
        "hand_over": [],
        "outcome": "recovered",
        "record": str(folder(runs)),
        "record_head": head.hash,
    }
    assert notes(run, folder(runs)) == [{"put_back_on": list(HOSTS)}]
    assert not Path(run.state.path).exists()


def test_report_and_verdict_lie_beside_the_journal(runs: Runs) -> None:
    run = walked(runs)
    run.give()
    run.close()
    page = (folder(runs) / "report.html").read_text(encoding="utf-8")
    assert "Recovered. At the diagnosis: the lamp is off." in page
    assert "# Incident lamp\\-lamp" not in page and (folder(runs) / "report.md").is_file()
    verdict = json.loads((folder(runs) / "verdict.json").read_text(encoding="utf-8"))
    assert verdict["status"] == "incident", "what was found, not what became of it"


def test_a_run_that_did_not_recover_says_what_stands_in_the_way(runs: Runs) -> None:
    run = walked(runs, DARK)
    run.give()
    closed = run.close()
    assert closed["outcome"] == "not_recovered"
    assert closed["screen"][0].startswith("== NOT RECOVERED: THE LAMP IS OFF ==")
    assert "  - Do not unscrew it." in closed["screen"]
    assert closed["ending"] == "The recovery is not proven: the screen says what stands in the way."


def test_a_run_that_only_planned_shows_what_to_type(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/ansible-playbook", "lamp.yml", "-e", "token=s3cret"])
    run = runs.new()
    run.diagnose()
    digest = run.gate()["digest"]
    closed = run.close()
    assert (closed["outcome"], closed["ending"]) == ("planned", None)
    assert f"    ansible-playbook lamp.yml -e token=... -e incident_approve={digest}" in closed["screen"]
    assert closed["stats"]["plan_digest"] == digest


@pytest.mark.parametrize("job", ["awx_job_id", "tower_job_id"])
def test_in_awx_it_says_what_to_enter(runs: Runs, job: str) -> None:
    run = runs.new()
    run.diagnose()
    digest = run.gate()["digest"]
    assert f"incident_approve: {digest}" in "\n".join(run.close({job: 7})["screen"])


def test_saved_evidence_cannot_be_approved(runs: Runs) -> None:
    run = runs.new(replay=True)
    run.state.keep("bundle", {**run.state.read("bundle"), "observations": []})
    run.state.keep("verdict", LAMP.assess({"observations": [{"look": n, "ok": True, "data": DARK} for n in (1, 2)]}))
    run.gate()
    closed = run.close()
    assert closed["record_path"] is None
    assert "made from saved evidence" in "\n".join(closed["screen"])
    assert closed["screen"][-1] == "No record of this run is kept."


def test_a_refusal_of_the_gate_is_its_first_line(runs: Runs) -> None:
    digest = runs.planned()
    run = runs.new()
    run.diagnose(data={**DARK, "boot": 8})
    failed = run.gate(digest)["msg"]
    closed = run.close(failures=["", failed])
    assert closed["outcome"] == "refused"
    assert closed["screen"][0].startswith("== REFUSED: ")
    assert closed["screen"][1].startswith("Something changed since")
    assert "  boot: 7 then, 8 now" in closed["screen"]
    assert closed["ending"] == failed


def test_who_holds_the_lock_is_on_the_screen_of_a_plan(runs: Runs) -> None:
    run = runs.new()
    run.diagnose(locks=[{"scope": SCOPE, "owner": "run-9", "who": "eve@laptop", "age_s": 300}])
    run.gate()
    assert f"The lock of {SCOPE} is held by run-9 (eve@laptop, 300 s ago) on api" in run.close()["screen"][1]


def test_a_lock_that_could_not_be_given_back_is_said_and_recorded(runs: Runs) -> None:
    run = walked(runs)
    put_back(run, *HOSTS)
    run.give("api-1")
    run.give("api-2", failed=True, msg="no route")
    closed = run.close()
    assert closed["outcome"] == "recovered"
    assert "The lock could not be given back on api-2." in closed["screen"]
    assert {"lock_left_on": ["api-2"]} in notes(run, folder(runs))


def test_a_lock_of_two_scopes_is_given_back_when_both_are(runs: Runs) -> None:
    two = (SCOPE, "mains:north")

    def scoped(bundle: t.Any, verdict: t.Any, reason: str | None) -> t.Any:
        return {**LAMP.plan(bundle, verdict, reason), "scopes": list(two), "put_back": []}

    run, _steps = runs.approved(changed(plan=scoped), HOSTS)
    run.give("api-1", scopes=two)
    run.give("api-2", scopes=two[:1])
    assert "The lock could not be given back on api-2." in run.close()["screen"]


def test_a_lock_that_was_not_taken_need_not_be_given_back(runs: Runs) -> None:
    digest = runs.planned(BOTH, HOSTS)
    run = runs.new(BOTH, HOSTS)
    run.diagnose()
    run.gate(digest)
    run.take("api-1")
    run.take("api-2", failed=True, held=False, held_by={"owner": "run-9", "who": "eve", "age_s": 3})
    failed = run.check("lock")["msg"]
    run.give()
    closed = run.close(failures=["", failed])
    assert closed["outcome"] == "refused", "a run that did not get the lock did nothing"
    assert not any("given back" in line or "put back" in line for line in closed["screen"])


@pytest.mark.parametrize(
    ("done", "answer", "left"),
    [
        (HOSTS, {}, []),
        (("api-1",), {}, ["api-2"]),
        ((), {}, ["api-1", "api-2"]),
        (HOSTS, {"failed": True, "msg": "gone"}, ["api-1", "api-2"]),
    ],
)
def test_what_was_not_put_back_is_said_and_recorded(
    runs: Runs, done: tuple[str, ...], answer: t.Any, left: list[str]
) -> None:
    run = walked(runs)
    put_back(run, *done, **answer)
    run.give()
    closed = run.close()
    said = [line for line in closed["screen"] if "not put back" in line]
    assert said == ([f"What a step changed for a time is not put back on {', '.join(left)}."] if left else [])
    assert [note for note in notes(run, folder(runs)) if "not_put_back_on" in note] == (
        [{"not_put_back_on": left}] if left else []
    )
    assert closed["outcome"] == "recovered"


def test_what_a_run_without_its_lock_could_not_put_back_is_said(runs: Runs) -> None:
    run, steps = runs.approved(BOTH, HOSTS)
    for host in HOSTS:
        run.see(host, DARK, [])
    failed = run.check("before", steps[0])["msg"]
    assert "Somebody broke it" in failed
    run.check("put_back", run.state.read("gate")["put_back"][0])
    closed = run.close(failures=["", failed])
    assert closed["outcome"] == "not_recovered"
    assert "What a step changed for a time is not put back on api-1, api-2." in closed["screen"]


def test_the_screen_comes_whatever_became_of_the_record(runs: Runs) -> None:
    run = walked(runs)
    run.give()
    journal = folder(runs) / "journal.jsonl"
    journal.write_text(journal.read_text(encoding="utf-8").replace("ops@laptop", "eve@laptop"), encoding="utf-8")
    before = journal.read_bytes()
    closed = run.close()
    assert closed["outcome"] == "recovered"
    said = " ".join(" ".join(closed["screen"]).split())
    assert "The record could not be ended: The record" in said and "was changed" in said
    assert closed["stats"]["record_head"] is None
    assert journal.read_bytes() == before


def test_the_screen_comes_when_the_record_cannot_be_written(runs: Runs) -> None:
    run = walked(runs)
    run.give()
    for name in ("report.html", "report.md"):
        (folder(runs) / name).mkdir()
    closed = run.close()
    assert closed["screen"][0].startswith("== RECOVERED")
    assert "The record could not be ended" in " ".join(closed["screen"])


def test_a_run_without_a_verdict_ends_as_well(runs: Runs) -> None:
    run = runs.new()
    closed = run.close(failures=["", "Unsupported parameters for (lamp_evidence) module: volts"])
    assert (closed["outcome"], closed["screen"]) == ("refused", [])
    assert closed["stats"]["status"] == "unknown"
    assert closed["ending"] == "Unsupported parameters for (lamp_evidence) module: volts"


def test_the_callback_prints_the_screen_where_it_is_loaded(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    screens = []
    for last in (False, True):
        run = runs.new()
        run.diagnose()
        run.gate()
        run.said.clear()
        if last:
            monkeypatch.setenv(SCREEN_LAST, "1")
        closed = run.close()
        screens.append((run.said, closed["screen"]))
    assert screens[0][0] == screens[0][1] != []
    assert screens[1][0] == [] and screens[1][1] != []


@pytest.mark.parametrize(
    ("fail_on", "status", "outcome", "fails"),
    [
        ("never", "incident", "planned", False),
        ("incident", "incident", "planned", True),
        ("incident", "degraded", "diagnosed", False),
        ("incident", "unknown", "diagnosed", False),
        ("degraded", "degraded", "diagnosed", True),
        ("degraded", "incident", "diagnosed", True),
        ("degraded", "unknown", "diagnosed", False),
        ("unknown", "unknown", "diagnosed", True),
        ("unknown", "degraded", "diagnosed", True),
        ("unknown", "healthy", "diagnosed", False),
        ("unknown", "incident", "recovered", False),
        ("never", "healthy", "refused", True),
        ("never", "incident", "not_recovered", True),
    ],
)
def test_how_a_run_ends(fail_on: str, status: str, outcome: str, fails: bool) -> None:
    assert (ending(fail_on, {"status": status}, outcome, None) is not None) == fails


def test_a_run_without_a_verdict_is_unknown() -> None:
    assert ending("unknown", None, "diagnosed", None) is not None
    assert ending("degraded", None, "diagnosed", None) is None


def test_the_outcome_is_what_was_proven_then_what_was_done(runs: Runs) -> None:
    run = runs.new()
    state = run.state
    assert outcome_of(state, None) == ("diagnosed", [])
    state.keep("plan", {"steps": [1]})
    assert outcome_of(state, None) == ("planned", [])
    assert outcome_of(state, "lost the host\nand more") == ("refused", ["lost the host", "and more"])
    state.keep("gate", {"token": "t", "steps": []})
    assert outcome_of(state, "no lock") == ("refused", ["no lock"])
    state.keep("gate", {"token": "t", "steps": [], "locked_on": []})
    assert outcome_of(state, "lost the host") == ("not_recovered", ["lost the host"])
    state.keep("refused", {"lines": ["a", "b"]})
    assert outcome_of(state, "a\nb") == ("refused", ["a", "b"])
    state.keep("recovery", {"recovered": True, "because": "it shines"})
    assert outcome_of(state, None) == ("recovered", ["it shines"])
    state.keep("recovery", {"recovered": False, "because": "it is dark"})
    assert outcome_of(state, None) == ("not_recovered", ["it is dark"])
