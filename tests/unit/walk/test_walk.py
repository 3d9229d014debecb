# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake incident walks the whole path, with Ansible itself: it shares nothing with the real ones but the path."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.virtengine.incident.plugins.plugin_utils._path.record import hash_chain

from tests.unit.walk.conftest import Hall, Ran


def only_record(hall: Hall) -> Path:
    (record,) = hall.records.iterdir()
    return record


def kinds(record: Path) -> list[str]:
    lines = (record / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    hash_chain.verify(lines)
    return [json.loads(line)["kind"] for line in lines]


def planned(hall: Hall) -> Ran:
    ran = hall.run()
    assert ran.code == 0, ran.output
    return ran


def test_from_the_diagnosis_to_the_record(hall: Hall) -> None:
    before = hall.lamp
    plan = planned(hall)
    assert hall.lamp == before
    assert "FIRST ANSWER" in plan.output
    # The end of the output is the screen, with the standard output that Ansible has without any setting.
    assert "A PLAN IS READY, NOTHING HAS BEEN DONE: THE LAMP IS OFF" in plan.screen
    assert plan.screen.rstrip().splitlines()[-1].startswith("Record head")

    done = hall.approve(plan.digest)
    assert done.code == 0, done.output
    assert "== RECOVERED: HEALTHY" in done.screen
    assert hall.lamp["on"] is True
    assert hall.lamp["watts"] == 5
    assert hall.lamp["done"] == ["panel_open", "on", "panel_closed", "panel_closed"]
    record = only_record(hall)
    assert record.name == "lamp-lamp_hall-20261130T100000Z"
    assert kinds(record).count("action_finished") == 3
    assert [kind for kind in kinds(record)[-3:] if kind != "note"] == ["verified", "run_finished"]
    assert plan.digest in (record / "report.html").read_text(encoding="utf-8")

    again = hall.approve(plan.digest)
    assert again.code != 0
    assert "was used before (that run ended: recovered)" in again.screen
    assert hall.lamp["done"] == ["panel_open", "on", "panel_closed", "panel_closed"]


def test_check_mode_and_saved_evidence_change_and_keep_nothing(hall: Hall) -> None:
    before = hall.lamp
    checked = hall.run("--check")
    assert checked.code == 0, checked.output
    assert not hall.records.exists()
    plan = planned(hall)
    (evidence,) = only_record(hall).glob("evidence-*.json")
    hall.unplug()
    replayed = hall.run("-e", f"incident_evidence={evidence}")
    assert replayed.code == 0, replayed.output
    assert "turn on the lamp of api" in replayed.screen
    refused = hall.approve(plan.digest, "-e", f"incident_evidence={evidence}")
    assert refused.code != 0
    assert "Saved evidence is the past" in refused.output
    hall.lamp = before


def test_what_changed_since_the_plan_is_refused_with_the_difference(hall: Hall) -> None:
    plan = planned(hall)
    other = hall.approve("lamp-0123456789abcdef")
    assert "approves a plan that this run does not know" in other.screen
    watts = hall.approve(plan.digest, "-e", "lamp_watts=7")
    assert "no longer planned: turn on the lamp of api (watts 5)" in watts.screen
    hall.change(boot="b2")
    ran = hall.approve(plan.digest)
    assert ran.code != 0
    assert "boot: b1 then, b2 now" in ran.screen
    assert "done" not in hall.lamp


def test_a_guard_refuses_and_nothing_is_done(hall: Hall) -> None:
    plan = planned(hall)
    hall.change(mains=False)
    ran = hall.approve(plan.digest)
    assert ran.code != 0
    assert "Step 1 was not taken: The mains are off." in ran.screen
    assert "- Run mains.yml: the mains are off" in planned(hall).screen
    # Only what the plan says is put back at the end was touched.
    assert hall.lamp["done"] == ["panel_closed"]


def test_a_step_that_does_not_do_what_it_should_ends_the_run_and_is_undone(hall: Hall) -> None:
    plan = planned(hall)
    hall.change(stuck=True)
    ran = hall.approve(plan.digest)
    assert ran.code != 0
    assert "Step 2 (turn on the lamp of api) failed: it stays dark" in ran.screen
    assert hall.lamp["done"] == ["panel_open", "on", "panel_closed"]
    # The same steps are right again, and need another approval.
    assert planned(hall).digest != plan.digest


def test_a_killed_run_leaves_its_lock_and_goes_on_under_its_digest(hall: Hall) -> None:
    plan = planned(hall)
    running = hall.start("-e", f"incident_approve={plan.digest}")
    hall.change(killing=running.pid)
    running.communicate(timeout=180)
    assert running.returncode != 0
    record = only_record(hall)
    assert "run_finished" not in kinds(record)[kinds(record).index("approved") :]
    hall.change(killing=None)

    held = hall.approve(plan.digest)
    assert held.code != 0
    assert "Another responder holds the lock of lamp:hall on api" in held.screen
    owner = held.screen.partition("incident_break_lock=")[2].split()[0]
    resumed = hall.approve(plan.digest, "-e", f"incident_break_lock={owner}")
    assert resumed.code == 0, resumed.output
    assert "RECOVERED" in resumed.screen
    assert hall.lamp["done"][-2:] == ["panel_closed", "panel_closed"]


def test_unknown_is_never_healthy_and_wrong_use_is_one_clear_sentence(hall: Hall) -> None:
    hall.unplug()
    blind = hall.run("-e", "incident_fail_on=unknown")
    assert blind.code != 0
    assert "cannot tell: the lamp is off - missing: the API does not answer" in blind.screen
    assert "incident_fail_on is 'unknown'" in blind.output
    for arguments, said in (
        (("--limit", "api"), "--limit 'api' would hide hosts from the diagnosis"),
        (("-e", "incident_aprove=x"), "Unknown variable: incident_aprove"),
        (("-e", "lamp_watts=500"), "lamp_watts is 500, which no lamp has"),
        (("-e", "incident_target="), "incident_target is empty"),
    ):
        ran = hall.run(*arguments)
        assert ran.code != 0
        assert said in ran.output


def test_what_stops_another_host_than_the_first_is_said_at_the_end(hall: Hall) -> None:
    hall.add("spare")
    ran = hall.run()
    assert ran.code != 0
    ending = ran.output.partition("End the run with the exit code it earned")[2]
    assert "'api_file' is undefined" in ending, ran.output
