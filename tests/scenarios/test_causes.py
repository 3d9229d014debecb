# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each cause made by its fault on the real fleet, told apart from its rivals, and recovered where that is right."""

from __future__ import annotations

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.votes import DEAD_PEER_S

from tests.scenarios.fleet import HOME, OURS, UNIT, Fleet
from tests.scenarios.public_rpc import public_rpc
from tests.scenarios.responder import Responder, Run

pytestmark = pytest.mark.fleet


def state_of(run: Run, host: str) -> str:
    (row,) = [row for row in run.verdict["details"]["validators"] if row["host"] == host]
    return str(row["state"])


def test_frozen_process_is_thawed_and_not_restarted(fleet: Fleet, newest: Responder) -> None:
    fleet.fault("freeze", "vh1")
    fleet.wait_until_halted("vh2")
    before = fleet.units("vh1")
    planned = newest.run()
    assert planned.causes == ["processes_down"]
    assert state_of(planned, "vh1") == "frozen"
    assert planned.steps() == [("thaw_node", "vh1")]
    recovered = newest.run("-e", f"incident_approve={planned.digest}")
    assert recovered.code == 0, recovered.output
    assert fleet.units("vh1") == before, "the frozen process was restarted"


@pytest.mark.more
def test_killed_process_and_a_stopped_one_come_back_by_power(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("stop", "vh3")
    fleet.fault("stop", "vh2")
    fleet.wait_until_halted("vh1")
    planned = responder.run()
    assert planned.steps() == [("start_node", "vh2"), ("start_node", "vh3")]
    recovered = responder.run("-e", f"incident_approve={planned.digest}", "-e", "incident_record_host=vs1")
    assert recovered.code == 0, recovered.output
    (journal,) = responder.site.glob("incidents/*/journal.jsonl")
    kept = fleet.on("vs1", "cat /var/lib/virtengine-incident/records/run-*/*/journal.jsonl")
    assert kept.strip() == journal.read_text(encoding="utf-8").strip(), "the record host has another journal"
    finished = [entry["data"] for entry in recovered.entries if entry["kind"] == "action_finished"]
    assert [entry["hosts"] for entry in finished] == [["vh2"], ["vh3"]]
    assert all(entry["ok"] for entry in finished)


@pytest.mark.more
def test_unreachable_host_is_named_and_not_acted_on(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("cut", "vh1")
    fleet.wait_until_halted("vh2")
    run = responder.run()
    assert run.code == 0, run.output
    assert run.causes == ["hosts_unreachable"]
    assert state_of(run, "vh1") == "unreachable"
    assert run.plan["steps"] == []


@pytest.mark.more
def test_power_missing_on_others_is_told_by_a_node_outside_and_ours_is_started(
    fleet: Fleet, responder: Responder
) -> None:
    fleet.fault("stop", "vx1")
    # So that no vote of its last height is left.
    fleet.wait_for_blocks("vh2")
    fleet.fault("stop", "vh3")
    fleet.wait_until_halted("vh2")
    before = fleet.units(*OURS)
    inside = responder.run()
    # On a slow machine the newest block is so old by now that the peers of our nodes show whose votes they lack.
    late = inside.verdict["details"]["halted_s"] >= DEAD_PEER_S
    assert sorted(inside.causes) == ["others_missing" if late else "cannot_tell", "processes_down"]
    assert inside.steps() == ([("start_node", "vh3")] if late else [])
    assert late or "incident_reference_rpcs" in inside.output
    asked = responder.run("-e", "incident_break_glass_reason='we accept that'")
    assert asked.steps() == [("start_node", "vh3")], "a person may start what no guard speaks against"
    assert fleet.units(*OURS) == before

    with public_rpc(fleet.state, "vx2") as url, public_rpc(fleet.state, "vh2") as second:
        # The same without a login anywhere: two strangers bear each other out.
        alone = responder.run(
            "-e", f"incident_reference_rpcs={url},{second}", playbook="virtengine.incident.chain_probe"
        )
        assert alone.code == 0, alone.output
        assert alone.verdict["status"] == "incident"
        assert "others_missing" in alone.causes
        assert alone.verdict["details"]["power"]["absent"] >= 22
        assert alone.plan["steps"] == []
        reference = ("-e", f'{{"incident_reference_rpcs": ["{url}"]}}')
        planned = responder.run(*reference)
        assert sorted(planned.causes) == ["others_missing", "processes_down"]
        assert planned.steps() == [("start_node", "vh3")]
        (message,) = planned.plan["messages"]
        (to,) = message["to"]
        assert to["detail"].startswith("voting power 22")
        recovered = responder.run(*reference, "-e", f"incident_approve={planned.digest}")
    assert recovered.code == 0, recovered.output


@pytest.mark.more
def test_double_sign_check_trap_is_relaxed_and_restored(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("dsch", "vh1", "10")
    fleet.fault("stop", "vh1")
    fleet.wait_until_halted("vh2")
    planned = responder.run()
    assert planned.steps() == [
        ("relax_double_sign_check", "vh1"),
        ("start_node", "vh1"),
        ("restore_double_sign_check", "vh1"),
    ]
    recovered = responder.run("-e", f"incident_approve={planned.digest}")
    assert recovered.code == 0, recovered.output
    assert "virtengine-incident" not in fleet.on("vh1", "ls -R /run/systemd/system")
    assert "DOUBLE_SIGN" not in fleet.on("vh1", f"systemctl show {UNIT} -p Environment")
    config = fleet.on("vh1", f"cat {HOME}/config/config.toml")
    assert "double_sign_check_height = 10" in config


@pytest.mark.more
def test_crash_loop_is_named_with_its_reason_and_gets_no_restart(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("panic", "vh1", "+5")
    fleet.wait_until_halted("vh2")
    fleet.on("vh1", f"systemctl restart --no-block {UNIT}")
    run = responder.run("-e", "incident_break_glass_reason='I am sure'")
    assert run.code == 0, run.output
    assert run.causes[0] == "application_panics"
    assert run.plan["steps"] == []
    assert "panic at height" in run.output
