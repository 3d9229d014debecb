# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed, doubled, cut short or sent to the wrong hosts."""

from __future__ import annotations

import re

import pytest

from tests.scenarios.fleet import HOME, OURS, UNIT, Fleet
from tests.scenarios.responder import Responder, Run

pytestmark = pytest.mark.fleet


ANY_DIGEST = "chain_halt-0123456789abcdef"
# How a person or a tool might try to reach a step around the gate, and what the refusal says.
AROUND = (
    (("--limit", "vh1"), "incident_target"),
    (("--tags", "actions"), "--tags"),
    (("--start-at-task", "Remediate"), ""),
    (("-e", "incident_target=validatros"), "names no host"),
    (("-e", "incident_target="), "incident_target is empty"),
    (("-e", '{"_incident_guard": {"needed": true}}'), "_incident_guard"),
    (("-e", "incident_aprove=chain_halt-0123456789abcdef"), "incident_aprove"),
)


def owner_to_break(refused: Run) -> str:
    """The run whose lock the refusal offers to break."""
    owner = re.search(r"incident_break_lock=(run-[0-9a-f]+)", refused.output)
    assert owner, refused.output
    return owner.group(1)


def test_no_way_around_the_gate(halted: Fleet, responder: Responder) -> None:
    before = halted.units(*OURS)
    for arguments, said in AROUND:
        run = responder.run(*arguments, "-e", f"incident_approve={ANY_DIGEST}")
        assert said in run.output, arguments
        assert run.entries == [], f"a run with {arguments} reached the record"
        assert halted.units(*OURS) == before, f"a run with {arguments} changed a host"
    (responder.site / "empty").write_text("[nobody]\n", encoding="utf-8")
    run = responder.run(inventory="empty")
    assert run.code != 0
    assert "names no host" in run.output
    assert halted.units(*OURS) == before, "a run without hosts changed a host"


def test_killed_run_keeps_its_lock_and_is_resumed_and_the_double_sign_check_comes_back(
    halted: Fleet, responder: Responder
) -> None:
    halted.fault("dsch", "vh1", "10")
    planned = responder.run()
    assert planned.steps() == [
        ("relax_double_sign_check", "vh1"),
        ("start_node", "vh1"),
        ("restore_double_sign_check", "vh1"),
    ]
    approve = ("-e", f"incident_approve={planned.digest}")
    responder.kill_at(responder.start(*approve), "step 2/3")
    # The start was begun, so what becomes of vh1 is the killed run's doing.
    others = [host for host in OURS if host != "vh1"]
    after_kill = halted.units(*others)
    assert "virtengine-incident" in halted.on("vh1", "ls -R /run/systemd/system"), "the kill came before the setting"

    refused = responder.run(*approve)
    assert refused.code != 0
    assert "holds the lock" in refused.output
    assert halted.units(*others) == after_kill, "a run without the lock acted"
    assert "virtengine-incident" in halted.on("vh1", "ls -R /run/systemd/system"), "a run without the lock acted"
    resumed = responder.run(*approve, "-e", f"incident_break_lock={owner_to_break(refused)}")
    assert resumed.code == 0, resumed.output
    assert resumed.entries[-1]["data"]["outcome"] == "recovered"
    assert "virtengine-incident" not in halted.on("vh1", "ls -R /run/systemd/system"), "the check stays off"
    assert "DOUBLE_SIGN" not in halted.on("vh1", f"systemctl show {UNIT} -p Environment")
    assert "double_sign_check_height = 10" in halted.on("vh1", f"cat {HOME}/config/config.toml")
    halted.wait_for_blocks("vh1")


@pytest.mark.more
def test_a_killed_run_leaves_the_host_that_it_did_not_reach(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("stop", "vh2")
    fleet.fault("stop", "vh3")
    fleet.wait_until_halted("vh1")
    planned = responder.run()
    approve = ("-e", f"incident_approve={planned.digest}")
    responder.kill_at(responder.start(*approve), "step 1/2")
    before = fleet.units("vh3")
    looked = responder.run()
    assert "The lock of chain:virtengine-rig-1 is held by run-" in " ".join(looked.output.split())
    refused = responder.run(*approve)
    wrong = responder.run(*approve, "-e", "incident_break_lock=run-00000000")
    assert refused.code != 0 and wrong.code != 0
    assert fleet.units("vh3") == before, "a run without the lock acted"
    resumed = responder.run(*approve, "-e", f"incident_break_lock={owner_to_break(refused)}")
    assert resumed.code == 0, resumed.output
    assert resumed.entries[-1]["data"]["outcome"] == "recovered"
    fleet.wait_for_blocks("vh3")


@pytest.mark.more
def test_a_record_host_that_is_away_stops_no_recovery(fleet: Fleet, responder: Responder) -> None:
    inventory = responder.site / "validators"
    lines = inventory.read_text(encoding="utf-8")
    (network,) = {address.rpartition(".")[0] for address in re.findall(r"ansible_host=(\S+)", lines)}
    lines = lines.replace("\nsentries\n", "\nsentries\nrecords\n")
    inventory.write_text(f"{lines}\n[records]\naway ansible_host={network}.99\n", encoding="utf-8")
    fleet.fault("stop", "vh1")
    fleet.wait_until_halted("vh2")
    planned = responder.run()
    assert "Not looked at" in planned.output
    run = responder.run("-e", f"incident_approve={planned.digest}", "-e", "incident_record_host=away")
    assert "== RECOVERED: THE CHAIN RUNS" in run.output
    assert run.code != 0
    assert "could not be copied to away" in " ".join(run.output.split())
    fleet.wait_for_blocks("vh1")


@pytest.mark.more
def test_half_and_all_hosts_unreachable(fleet: Fleet, responder: Responder) -> None:
    for host in ("vh1", "vh3", "vs1"):
        fleet.fault("cut", host)
    fleet.wait_until_halted("vh2")
    half = responder.run()
    assert half.code == 0, half.output
    assert half.verdict["status"] == "incident"
    # A host that was cut just after it voted may vote still, for all that anybody can see.
    assert half.causes in (["hosts_unreachable"], ["cannot_tell"])
    assert half.plan["steps"] == []
    for host in ("vh2", "vh4"):
        fleet.fault("cut", host)
    nobody = responder.run()
    assert nobody.code == 0, nobody.output
    assert nobody.verdict["status"] == "unknown"
    assert nobody.plan["steps"] == []


@pytest.mark.more
def test_host_that_hangs_after_login_is_late_and_stops_nothing(fleet: Fleet, responder: Responder) -> None:
    fleet.fault("freeze-host", "vh1")
    fleet.wait_until_halted("vh2")
    run = responder.run("-e", "incident_host_deadline=8")
    assert run.code == 0, run.output
    (row,) = [row for row in run.verdict["details"]["validators"] if row["host"] == "vh1"]
    assert row["state"] == "unreachable"
    assert run.plan["steps"] == []


@pytest.mark.more
def test_a_host_of_another_chain_is_set_aside(fleet: Fleet, responder: Responder) -> None:
    genesis = f"{HOME}/config/genesis.json"
    fleet.on("vs1", f"systemctl stop {UNIT} && cp -p {genesis} /root/genesis.json")
    try:
        fleet.on("vs1", f"sed -i 's/virtengine-rig-1/other-chain-9/' {genesis}")
        fleet.fault("stop", "vh1")
        fleet.wait_until_halted("vh2")
        run = responder.run()
        assert run.code == 0, run.output
        assert run.verdict["details"]["chain_id"] == "virtengine-rig-1"
        assert ("start_node", "vs1") not in run.steps()
        assert "vs1" in " ".join(run.verdict["notes"] + [entry["why"] for entry in run.plan["withheld"]])
    finally:
        fleet.on("vs1", f"cp -p /root/genesis.json {genesis} && systemctl start {UNIT}")
